"""One HTML file of everything: style, script, data, and a still picture.

No network, no eval: the policy in the page allows the one script and the one style that are in
it, by their hashes, and pictures that are data. The parts of the script are plain modules; here
they are joined to one.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files

SCRIPTS = (
    "data", "palette", "measure", "place", "scene", "paint", "camera",
    "search", "dom", "outline", "inspector", "legend", "graph",
)  # fmt: skip
STYLES = ("page",)
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) )", re.MULTILINE)


def page(title: str, data: str, svg: str) -> str:
    """The page that shows `data`; where no script runs, it shows `svg`.

    The title and the SVG must be free of lone surrogates, and the SVG a safe picture.
    """
    script, style = script_text(), _asset_text(STYLES, "css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    picture = base64.b64encode(svg.encode()).decode()
    name = html.escape(title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<img id="still" alt="{name}" src="data:image/svg+xml;base64,{picture}">
<div id="app" hidden></div>
<script type="application/octet-stream" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def script_text() -> str:
    """All parts of the script, as one module."""
    return _EXPORT.sub("", _IMPORT.sub("", _asset_text(SCRIPTS, "js")))


@cache
def _asset_text(names: tuple[str, ...], kind: str) -> str:
    folder = files("graftwork.viz") / "assets"
    return "".join((folder / f"{name}.{kind}").read_text("utf-8") for name in names)
