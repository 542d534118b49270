"""The card of a head or neuron: the tokens that it promotes and suppresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from attrs import frozen

from graftwork.viz.manifest import NAMES, PARAMETERS, TOKENS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import packed
from graftwork.viz.part import Part
from graftwork.viz.still import still
from graftwork.viz.words import Tokenizer, spelled

Array = np.ndarray[Any, Any]
_WIDE, _ROW = 190, 17
_STYLE = (
    "svg{font-size:12px}.gw-word{fill:#1b1f27}.gw-number{fill:#666d7c;text-anchor:end}"
    "@media(prefers-color-scheme:dark){.gw-word{fill:#e9ebf1}.gw-number{fill:#9aa2b2}}"
)


@frozen
class Ranking:
    """Tokens with a number each, in their order."""

    title: str
    words: tuple[str, ...]
    numbers: tuple[float, ...]


@frozen
class Section:
    """Rankings that stand side by side, under one title."""

    title: str
    rankings: tuple[Ranking, ...]


def ranking(
    title: str, scores: Array, tokenizer: Tokenizer, top: int, *, least: bool = False
) -> Ranking:
    """The tokens with the greatest scores, or the least; scores are over all tokens."""
    ids = np.argsort(scores if least else -scores, kind="stable")[:top]
    numbers = scores[ids].astype(float).tolist()
    return Ranking(title, tuple(spelled(tokenizer, ids)), tuple(numbers))


def card_part(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> Part:
    """The part of a page that shows a card.

    Args:
        facts: what is known of it, in words.
    """
    name = visible(title, 200)
    data = packed(
        {
            "title": name,
            "facts": [[visible(key), visible(value)] for key, value in facts],
            "sections": [
                [s.title, [[r.title, r.words, r.numbers] for r in s.rankings]] for s in sections
            ],
        },
        {},
    )
    manifest = Manifest((NAMES, TOKENS), (PARAMETERS,), (Numbers("scores of tokens", 64),))
    return Part("card", name, data, _still(name, sections), manifest, height=560)


def _still(title: str, sections: Sequence[Section]) -> str:
    """The first section standing still."""
    rankings = sections[0].rankings
    height = 62 + _ROW * max(len(ranking.words) for ranking in rankings)
    width = max(20 + _WIDE * len(rankings), round(20 + 7.4 * len(title)))
    cells = []
    for column, ranking in enumerate(rankings):
        x = 10 + _WIDE * column
        cells.append(f'<text class="gw-label" x="{x}" y="42">{escape(ranking.title)}</text>')
        for row, (word, number) in enumerate(zip(ranking.words, ranking.numbers, strict=True)):
            y = 62 + _ROW * row
            text = escape(word.replace(" ", "·")[:18] or "∅")
            cells.append(
                f'<text class="gw-word" x="{x}" y="{y}">{text}</text>'
                f'<text class="gw-number" x="{x + _WIDE - 24}" y="{y}">{number:.3g}</text>'
            )
    return still(title, width, height, "".join(cells), _STYLE)
