"""Which scripts and styles show which kind of picture.

The parts of the script are plain modules; a page gets those that its pictures need, joined to one.
Modules that export share a scope, hence no two of them declare the same name; those that export
nothing have one of their own. The script of a kind registers itself with `views.set(kind, ...)`,
and `start.js` shows them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from attrs import frozen


@frozen
class Assets:
    """Names of files in `assets/`, without their endings, in the order of their needs."""

    scripts: tuple[str, ...]
    styles: tuple[str, ...]


CORE = Assets(("unpack", "dom", "address", "palette", "page", "saving"), ("page",))
KINDS: Mapping[str, Assets] = {
    "graph": Assets(
        ("overlay", "data", "measure", "plan", "place", "lines", "cone", "panes", "scene", "tint",
         "life", "paint", "record", "camera", "forced", "export", "state",
         "search", "finder", "outline", "inspector", "pointer", "legend", "steps", "graph"),
        ("graph",),
    ),
    "attention": Assets(
        ("scales", "grid", "matrix", "table", "drawing", "sheet", "arcs", "keys", "strip", "bars",
         "heads", "chosen", "attention"),
        ("matrix", "keys", "strip", "attention"),
    ),
    "array": Assets(
        ("scales", "grid", "matrix", "table", "drawing", "sheet", "stored", "digits",
         "summary", "contours", "array"),
        ("matrix", "array"),
    ),
    "card": Assets(("scales", "strip", "bars", "card"), ("strip", "bars", "card")),
    "flow": Assets(
        ("scales", "table", "keys", "strip", "bars", "routes", "flow"),
        ("matrix", "keys", "strip", "bars", "flow"),
    ),
    "lens": Assets(
        ("scales", "grid", "matrix", "table", "drawing", "sheet", "keys", "strip", "bars", "lens"),
        ("matrix", "keys", "strip", "bars"),
    ),
    "tokens": Assets(
        ("scales", "keys", "strip", "bars", "tokens"), ("matrix", "keys", "strip", "bars")
    ),
}  # fmt: skip
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_BESIDE = re.compile(r"^(?:\s|//.*\n)+", re.MULTILINE)
# Literals, to keep, and what a script can do without: notes on types, ends of lines that end no
# statement, space that parts no words. A stroke that divides is followed by space.
_LITERAL = (
    r'"(?:[^"\\]|\\.)*"|/(?![ =/*])(?:\\.|\[(?:\\.|[^\]])*\]|[^/\n])+/'
    r"|`(?:[^`$]|\$(?!\{)|\$\{(?:[^`{}]|`[^`]*`|\{[^}]*\})*\})*`"
)
_SIGN = r"[=<>!?:&|,;(){}\[\]*%]"
_NEEDLESS = rf"/\*.*?\*/\s*|(?<=[;{{}},(\[])\n|\n(?=[}})\]])|(?<={_SIGN}) +| +(?={_SIGN})"
# A sign between two names or brackets, which cannot become another with its neighbours.
_NEEDLESS += r"|(?<=[\w)\]]) (?=[-+] [\w(])|(?<=[\w)\]] [-+]) (?=[\w(])"
_SCRIPT = re.compile(f"({_LITERAL})|{_NEEDLESS}")
_LOOSE = re.compile(r";?\s*(\})\s|\s?([{;:,])\s")


def script_text(kinds: Iterable[str]) -> str:
    """The script that shows these kinds of pictures, as one module."""
    names = (*CORE.scripts, *(name for kind in kinds for name in KINDS[kind].scripts), "start")
    return "".join(map(_joined, dict.fromkeys(names)))


@cache
def _joined(name: str) -> str:
    """A module as a part of one script."""
    text = _IMPORT.sub("", _asset(f"{name}.js"))
    whole = _EXPORT.sub("", text) if _EXPORT.search(text) else f"{{\n{text}}}\n"
    return _SCRIPT.sub(r"\1", whole)


def style_text(kinds: Iterable[str]) -> str:
    """Their style."""
    names = (*CORE.styles, *(name for kind in kinds for name in KINDS[kind].styles))
    return "".join(_LOOSE.sub(r"\1\2", _asset(f"{name}.css")) for name in dict.fromkeys(names))


@cache
def _asset(name: str) -> str:
    """A file without its indentation and lines of comments: no string of ours has two lines."""
    return _BESIDE.sub("", (files("graftwork.viz") / "assets" / name).read_text("utf-8"))
