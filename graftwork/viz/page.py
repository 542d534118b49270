"""One HTML file of everything: style, script, data, and still pictures.

No network, no eval: the policy in the page allows the one script and the one style that are in
it, by their hashes, and pictures that are data.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence

from graftwork.viz.part import Part
from graftwork.viz.scripts import script_text, style_text
from graftwork.viz.still import address_of


def page(title: str, parts: Sequence[Part]) -> str:
    """The page that shows the parts one under the other; where no script runs, their SVGs.

    The title and the SVGs must be free of lone surrogates, and the SVGs safe pictures.
    """
    kinds = sorted({part.kind for part in parts})
    script, style = script_text(kinds), style_text(kinds)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body class="{"alone" if len(parts) == 1 else "many"}">
<main>
<h1 class="unseen">{html.escape(title)}</h1>
{"".join(map(_section, parts))}</main>
<script type="module">{script}</script>
</body>
</html>
"""


def _section(part: Part) -> str:
    name = html.escape(part.title)
    return f"""<section class="view {part.kind}" aria-label="{name}" data-kind="{part.kind}" \
data-height="{part.height}">
<img class="still" alt="{name}" src="{address_of(part.svg)}">
<script type="application/octet-stream">{part.data}</script>
</section>
{part.manifest.html()}"""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
