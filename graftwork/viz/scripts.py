"""Which scripts and styles show which kind of picture.

The parts of the script are plain modules; a page gets those that its pictures need, joined to one.
The script of a kind registers itself with `views.set(kind, ...)`, and `start.js` shows them all.
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


CORE = Assets(("unpack", "dom", "palette", "page"), ("page",))
KINDS: Mapping[str, Assets] = {
    "graph": Assets(
        ("data", "measure", "place", "scene", "paint", "camera",
         "search", "outline", "inspector", "legend", "graph"),
        ("graph",),
    ),
}  # fmt: skip
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) )", re.MULTILINE)


def script_text(kinds: Iterable[str]) -> str:
    """The script that shows these kinds of pictures, as one module."""
    names = (*CORE.scripts, *(name for kind in kinds for name in KINDS[kind].scripts), "start")
    joined = _joined(tuple(dict.fromkeys(names)), "js")
    return _EXPORT.sub("", _IMPORT.sub("", joined))


def style_text(kinds: Iterable[str]) -> str:
    """Their style."""
    names = (*CORE.styles, *(name for kind in kinds for name in KINDS[kind].styles))
    return _joined(tuple(dict.fromkeys(names)), "css")


@cache
def _joined(names: tuple[str, ...], ending: str) -> str:
    folder = files("graftwork.viz") / "assets"
    return "".join((folder / f"{name}.{ending}").read_text("utf-8") for name in names)
