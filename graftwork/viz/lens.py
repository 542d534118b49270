"""The picture of a logit lens: what a model would say at each layer and position; two runs too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from graftwork.viz.gridded import grid_svg
from graftwork.viz.heads import layer_of
from graftwork.viz.manifest import NAMES, TOKENS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, Strings, packed
from graftwork.viz.part import Part
from graftwork.viz.predictions import Predictions, predictions, ranked
from graftwork.viz.scales import Scale, scale
from graftwork.viz.still import stacked
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


@frozen(eq=False)
class Run:
    """What all streams of a run say, from the first to the last: the model's own prediction.

    Attributes:
        name: what it is called.
        ids: the tokens of its prompt.
    """

    name: str
    ids: Array
    streams: Sequence[Seen]


def seen(site: str, logs: Array, targets: Array, top: int) -> Seen:
    """Log probabilities over positions and vocabulary, reduced to what the picture shows."""
    pairs = [ranked(logs, row) for row in targets]
    shares, ranks = (np.stack(part) for part in zip(*pairs, strict=True))
    return Seen(site, predictions(logs, top), shares, ranks)


def divergence(logs: Array, others: Array) -> Array:
    """The Kullback-Leibler divergence of others from the first distributions, in bits."""
    bits = (np.exp(logs) * np.maximum(logs - others, -1e3)).sum(-1) / np.log(2)
    return np.asarray(np.maximum(bits, 0))


def targets_of(logits: Array, ids: Array, others: Sequence[int]) -> Array:
    """For each position: what the model says, the token that comes, and others, over positions."""
    said = logits.argmax(-1)
    following = np.append(ids[1:], said[-1])
    return np.stack([said, following, *(np.full_like(said, other) for other in others)])


def lens_view(
    runs: Sequence[Run],
    apart: Array | None,
    tokenizer: Tokenizer,
    others: Sequence[int],
    title: str,
) -> View:
    """A page with a grid of streams and positions; a cell gives the tokens that are likeliest.

    Args:
        runs: one, or two of the same streams, targets and length, which the page compares.
        apart: how far the second run's distributions are from those of the first, over streams and
            positions.
        others: the targets behind the first two of `targets_of`.
    """
    strings, streams = Strings(), runs[0].streams
    words = [spelled(tokenizer, run.ids) for run in runs]
    name = visible(title, 200)
    facts = {
        "title": name,
        "runs": [[visible(run.name, 60), own] for run, own in zip(runs, words, strict=True)],
        "rows": [_label(stream.site) for stream in streams],
        "sites": [[visible(x.site, 200), x.site, layer_of(x.site)] for x in streams],
        "targets": [_SAID, _NEXT, *spelled(tokenizer, others)],
        "scales": [found.facts() for found in _scales(runs)],
        "changes": [] if apart is None else [x.facts() for x in _changes(runs, apart)],
        "top": streams[0].said.ids.shape[-1],
    }
    columns: dict[str, Column] = {} if apart is None else {"apart": _flat([apart])}
    for number, run in enumerate(runs):
        columns |= _columns(str(number), run.streams, tokenizer, strings)
    data = packed({**facts, "strings": strings.all()}, columns)
    svg = stacked(name, [_still(name, run, len(runs) > 1, tokenizer) for run in runs])
    numbers = (Numbers("probabilities and entropies"), Numbers("ranks"))
    manifest = Manifest((NAMES, TOKENS), numbers=numbers)
    return View.of(Part("lens", name, data, svg, manifest, height=680), name)


def _columns(
    number: str, streams: Sequence[Seen], tokenizer: Tokenizer, strings: Strings
) -> dict[str, Column]:
    """Over streams and positions: the likeliest tokens, entropy, and what targets have."""
    said = [number for stream in streams for number in stream.said.words(tokenizer, strings)]
    return {
        f"said{number}": said,
        f"shares{number}": _flat([stream.said.shares for stream in streams]),
        f"entropy{number}": _flat([stream.said.entropy for stream in streams]),
        f"targetShares{number}": _flat([stream.shares for stream in streams]),
        f"targetRanks{number}": [int(r) for stream in streams for r in stream.ranks.reshape(-1)],
    }


def _flat(parts: Sequence[Array]) -> Array:
    return np.concatenate([part.reshape(-1) for part in parts]).astype(np.float32)


def _scales(runs: Sequence[Run]) -> list[Scale]:
    """The colours of the likeliest's probability, entropy, a target's probability and its rank."""
    streams = [stream for run in runs for stream in run.streams]
    probable = scale(np.array([0.0, 1.0]))
    certain = scale(np.array([0.0, max(float(x.said.entropy.max()) for x in streams)]))
    ranks = max(float(np.log10(x.ranks).max()) for x in streams)
    return [probable, _turned(certain), probable, _turned(scale(np.array([0.0, max(ranks, 1.0)])))]


def _changes(runs: Sequence[Run], apart: Array) -> list[Scale]:
    """The colours of how two runs differ: their divergence, and differences of the same numbers."""
    entropy, shares, ranks = (
        max(float(abs(a - b).max()) for a, b in pairs)
        for pairs in (
            [(a.said.entropy, b.said.entropy) for a, b in _pairs(runs)],
            [(a.shares, b.shares) for a, b in _pairs(runs)],
            [(np.log10(a.ranks), np.log10(b.ranks)) for a, b in _pairs(runs)],
        )
    )
    both = (scale(np.array([-(most or 1.0), most or 1.0])) for most in (entropy, shares, ranks))
    return [scale(np.array([0.0, float(apart.max()) or 1.0])), *both]


def _pairs(runs: Sequence[Run]) -> list[tuple[Seen, Seen]]:
    return [*zip(runs[0].streams, runs[1].streams, strict=True)]


def _turned(of: Scale) -> Scale:
    """The strongest colour for the least number."""
    return evolve(of, light=of.light[::-1], dark=of.dark[::-1])


def _still(title: str, run: Run, named: bool, tokenizer: Tokenizer) -> str:
    rows = [_label(stream.site) for stream in run.streams]
    best = np.stack([stream.said.shares[:, 0] for stream in run.streams])
    text = [spelled(tokenizer, stream.said.ids[:, 0]) for stream in run.streams]
    labels = [f"{at} {word}" for at, word in enumerate(spelled(tokenizer, run.ids))]
    whole = f"{title}: {visible(run.name, 60)}" if named else title
    probable = scale(np.array([0.0, 1.0]))
    return grid_svg(whole, best[::-1], rows[::-1], labels, probable, text[::-1])


def _label(site: str) -> str:
    """`3` behind block 3, `3 mid` within it, `3 pre` before it; other sites whole."""
    found = _BLOCK.search(site)
    if found is None or not found[2].startswith("resid_"):
        return visible(site, 40)
    return f"{found[1]} {found[2].removeprefix('resid_')}".removesuffix(" post")
