"""The picture of a text: tokens coloured by numbers, and what was predicted in place of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError
from graftwork.viz.manifest import TOKENS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, Strings, packed
from graftwork.viz.part import Part
from graftwork.viz.predictions import log_probabilities, predictions, ranked
from graftwork.viz.scales import Scale, scale
from graftwork.viz.single import rows_of
from graftwork.viz.still import still
from graftwork.viz.view import View
from graftwork.viz.words import Tokens, ids_of, words_of

Array = np.ndarray[Any, Any]
Values: TypeAlias = "NamedArray | Sequence[float] | np.ndarray[Any, Any]"
_LINE = 960
_STYLE = (
    'svg{font:13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}'
    ".gw-word{fill:#12151b}.gw-light{fill:#fff}.gw-none{fill:none}"
    "@media(prefers-color-scheme:dark){.gw-word{fill:#e9ebf1}.gw-light{fill:#12151b}}"
)


def tokens(
    tokens: Tokens,
    values: Values | Mapping[str, Values] | None = None,
    *,
    logits: NamedArray | None = None,
    center: float | None = None,
    top: int = 10,
    title: str = "Tokens",
) -> View:
    """A page that shows a text, its tokens coloured by numbers.

    Args:
        tokens: a string for each position, or `(tokenizer, ids)`.
        values: a number for each position, or several such by their names; NaN is no number.
        logits: of a language model on these ids, over `seq` and `vocab`; it needs the tokenizer.
            Each token then has its log probability (in nats), its probability, and the entropy (in
            bits) of what was predicted for its place, with the `top` likeliest tokens there. The
            first token, for which nothing is predicted, has no numbers.
        center: the number that has the pale colour; None is 0, if there are numbers on both sides.

    Raises:
        InputError: if there is nothing to show, or not one number for each token.
    """
    words = words_of(tokens, {}, "seq")[0]
    given = {name: np.asarray(x, np.float64) for name, x in _named(values).items()}
    scales = {name: scale(numbers, center) for name, numbers in given.items()}
    strings = Strings()
    columns: dict[str, Column] = {}
    if logits is not None:
        found, columns = _predicted(tokens, logits, top, strings)
        given |= found
        scales |= {name: scale(numbers) for name, numbers in found.items()}
    if not given:
        raise InputError("tokens needs values= or logits=")
    for name, numbers in given.items():
        if numbers.shape != (len(words),):
            raise InputError(f"{name}: {numbers.shape} numbers, and there are {len(words)} tokens")
    name = visible(title, 200)
    facts = {
        "title": name,
        "words": words,
        "values": [[visible(key, 60), colours.facts()] for key, colours in scales.items()],
        "strings": strings.all(),
    }
    columns["numbers"] = np.concatenate(list(given.values())).astype(np.float32)
    data = packed(facts, columns)
    manifest = Manifest((TOKENS,), numbers=tuple(Numbers(visible(key, 60)) for key in given))
    first = next(iter(given))
    svg = strip_svg(name, words, given[first], scales[first])
    return View.of(Part("tokens", name, data, svg, manifest, height=380), name)


def _named(values: Values | Mapping[str, Values] | None) -> Mapping[str, Values]:
    if values is None:
        return {}
    return values if isinstance(values, Mapping) else {"value": values}


def _predicted(
    tokens: Tokens, logits: NamedArray, top: int, strings: Strings
) -> tuple[dict[str, Array], dict[str, Column]]:
    """What was predicted for the place of each token: the numbers, and the likeliest tokens."""
    decoder, ids = ids_of(tokens)
    logs = log_probabilities(rows_of(logits))
    if len(logs) != len(ids):
        raise InputError(f"the logits have {len(logs)} positions, and there are {len(ids)} tokens")
    before = logs[:-1]
    said = predictions(before, top)
    shares, ranks = ranked(before, ids[1:])
    none = np.full(1, np.nan)
    found = {
        "log probability": np.concatenate([none, np.log(np.maximum(shares, 1e-38))]),
        "probability": np.concatenate([none, shares]),
        "entropy": np.concatenate([none, said.entropy]),
    }
    columns: dict[str, Column] = {
        "said": said.words(decoder, strings),
        "shares": said.shares.reshape(-1),
        "ranks": [0, *ranks.astype(int).tolist()],
    }
    return found, columns


def strip_svg(title: str, words: Sequence[str], numbers: Array, colours: Scale) -> str:
    """The tokens standing still, in lines, coloured."""
    x, line, cells = 10.0, 0, []
    for word, number in zip(words, numbers, strict=True):
        text = word.replace(" ", "·") or "∅"
        wide = 7.4 * len(text) + 8
        if x + wide > _LINE and x > 10:
            x, line = 10.0, line + 1
        kind = f"q{colours.level(float(number))}" if np.isfinite(number) else "gw-none"
        ink = "#fff" if np.isfinite(number) and colours.is_strong(float(number)) else ""
        y = 34 + 28 * line
        cells.append(
            f'<rect class="{kind}" x="{x:g}" y="{y}" width="{wide - 2:g}" height="24" rx="4"/>'
            f'<text class="gw-word{" gw-light" * bool(ink)}" x="{x + 3:g}" y="{y + 16}">'
            f"{escape(text)}</text>"
        )
        x += wide
    height = 34 + 28 * (line + 1) + 8
    return still(title, _LINE, height, "".join(cells), _STYLE + colours.style())
