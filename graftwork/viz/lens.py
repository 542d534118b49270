"""The picture of a logit lens: what the model would say at each layer and position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from graftwork.viz.gridded import grid_svg
from graftwork.viz.heads import layer_of
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, Strings, packed
from graftwork.viz.part import Part
from graftwork.viz.predictions import Predictions, log_probabilities, predictions, ranked
from graftwork.viz.scales import scale
from graftwork.viz.view import View
from graftwork.viz.words import Tokenizer, spelled

Array = np.ndarray[Any, Any]
_BLOCK = re.compile(r"blocks\.(\d+)\.(\w+)$")
_SAID, _NEXT = "what the model says", "the token that comes"


@frozen(eq=False)
class Seen:
    """What one stream says at each position.

    Attributes:
        shares, ranks: of the targets, over targets and positions; rank 1 is the likeliest.
    """

    site: str
    said: Predictions
    shares: Array
    ranks: Array


def seen(site: str, logits: Array, targets: Array, top: int) -> Seen:
    """Logits over positions and vocabulary, reduced to what the picture shows."""
    logs = log_probabilities(logits)
    pairs = [ranked(logs, row) for row in targets]
    shares, ranks = (np.stack(part) for part in zip(*pairs, strict=True))
    return Seen(site, predictions(logs, top), shares, ranks)


def targets_of(logits: Array, ids: Array, others: Sequence[int]) -> Array:
    """For each position: what the model says, the token that comes, and others, over positions."""
    said = logits.argmax(-1)
    following = np.append(ids[1:], said[-1])
    return np.stack([said, following, *(np.full_like(said, other) for other in others)])


def lens_view(
    streams: Sequence[Seen], ids: Array, tokenizer: Tokenizer, others: Sequence[int], title: str
) -> View:
    """A page with a grid of streams and positions; a cell gives the tokens that are likeliest.

    Args:
        streams: from the first to the last, which is the model's own prediction.
        ids: the tokens of the prompt.
        others: the targets behind the first two of `targets_of`.
    """
    strings = Strings()
    words = spelled(tokenizer, ids)
    rows = [_label(stream.site) for stream in streams]
    name = visible(title, 200)
    best = np.stack([stream.said.shares[:, 0] for stream in streams])
    entropy = np.stack([stream.said.entropy for stream in streams])
    ranks = np.log10(np.stack([stream.ranks for stream in streams]))
    probable = scale(np.array([0.0, 1.0]))
    certain = scale(np.array([0.0, float(entropy.max())]))
    above = scale(np.array([0.0, max(float(ranks.max()), 1.0)]))
    facts = {
        "title": name,
        "words": words,
        "rows": rows,
        "sites": [[visible(x.site, 200), x.site, layer_of(x.site)] for x in streams],
        "targets": [_SAID, _NEXT, *spelled(tokenizer, others)],
        "probability": probable.facts(),
        "entropy": evolve(certain, light=certain.light[::-1], dark=certain.dark[::-1]).facts(),
        "rank": evolve(above, light=above.light[::-1], dark=above.dark[::-1]).facts(),
        "top": streams[0].said.ids.shape[-1],
    }
    columns = _columns(streams, tokenizer, strings)
    data = packed({**facts, "strings": strings.all()}, columns)
    text = [spelled(tokenizer, stream.said.ids[:, 0]) for stream in streams]
    labels = [f"{at} {word}" for at, word in enumerate(words)]
    svg = grid_svg(name, best[::-1], rows[::-1], labels, probable, text[::-1])
    return View.of(Part("lens", name, data, svg, height=680), name)


def _columns(
    streams: Sequence[Seen], tokenizer: Tokenizer, strings: Strings
) -> Mapping[str, Column]:
    """Over streams and positions: the likeliest tokens, entropy, and what targets have."""
    said = [number for stream in streams for number in stream.said.words(tokenizer, strings)]
    likeliest = np.concatenate([stream.said.shares.reshape(-1) for stream in streams])
    return {
        "said": said,
        "shares": likeliest,
        "entropy": np.concatenate([stream.said.entropy for stream in streams]),
        "targetShares": np.concatenate([stream.shares.reshape(-1) for stream in streams]),
        "targetRanks": [int(r) for stream in streams for r in stream.ranks.reshape(-1)],
    }


def _label(site: str) -> str:
    """`3` behind block 3, `3 mid` within it, `3 pre` before it; other sites whole."""
    found = _BLOCK.search(site)
    if found is None or not found[2].startswith("resid_"):
        return visible(site, 40)
    return f"{found[1]} {found[2].removeprefix('resid_')}".removesuffix(" post")
