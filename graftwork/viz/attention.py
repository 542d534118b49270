"""The picture of attention: who looks at whom, head by head, over the tokens themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError
from graftwork.viz.heads import BATCH, Heads, causal, heads_of, scores
from graftwork.viz.likeness import groups_of
from graftwork.viz.manifest import NAMES, TOKENS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import Bytes, Column, Floats, deflated, packed
from graftwork.viz.part import Part
from graftwork.viz.scales import scale
from graftwork.viz.thumbnails import pooled, thumbnails_svg
from graftwork.viz.view import View
from graftwork.viz.words import Tokens, words_of

Array = np.ndarray[Any, Any]
Pattern: TypeAlias = "NamedArray | Mapping[str, NamedArray]"
LEVELS = 255
FEW, SIDE = 56, 44
"""Steps and pixels of thumbnails, which are in the page of all heads; an even number of steps."""


def attention(
    pattern: Pattern,
    tokens: Tokens,
    *,
    keys: Tokens | None = None,
    other: Pattern | None = None,
    names: tuple[str, str] = ("attention", "other"),
    site: str | None = None,
    max_mb: float = 8.0,
) -> View:
    """A page that shows which tokens heads attend to.

    All heads are there as thumbnails, to be sorted by scores and by likeness (see
    `graftwork.viz.likeness`); those that are chosen stand large beside the tokens, as grids or as
    arcs from each query to the keys of its largest shares. A token that is pointed at colours what
    it attends to, or what attends to it. Shares are stored in 255 steps, so that each is off by at
    most 1/510 of the largest (of 1, if that is less). The page inflates a layer when one of its
    heads is chosen.

    Args:
        pattern: shares of attention over any of `batch`, `layer` and `heads`, and two more axes,
            queries and keys (`seq` and `kv_seq`); or such arrays by their sites, as a run gives
            them (outputs without an axis like `kv_seq` are left out).
        tokens: a string for each position, a list of them for each example, or `(tokenizer, ids)`.
        keys: the same for keys, if they are other tokens than queries (cross-attention).
        other: what to compare with, for the same heads: another run's pattern, or what
            `passes.Contributions` gives.
        names: what pattern and other are called.
        site: of a pattern that is one array; `{layer}` in it stands for the number of a layer.
        max_mb: how large the file may become.

    Raises:
        AxisError: for a pattern without an axis of queries and one of keys.
        InputError: if tokens, other or examples do not fit, shares are negative, or the file would
            be larger than `max_mb`.
    """
    layers = heads_of(pattern, site)
    examples, _, queries, key_count = layers[0].shares.shape
    query, key = layers[0].axes
    words = words_of(tokens, {BATCH: examples, query: queries}, query)
    key_words = None
    if keys is not None or queries != key_count:
        given = tokens if keys is None else keys
        key_words = words_of(given, {BATCH: examples, key: key_count}, key)
    sources = [layers] if other is None else [layers, _matched(layers, heads_of(other, None))]
    title = _title(layers, queries)
    tops = [_top(source) for source in sources]
    found = scores(sources)
    called = [visible(name, 60) for name in names[: len(sources)]]
    facts = {
        "title": title,
        "words": words,
        "keyWords": key_words,
        "axes": [[visible(query), query], [visible(key), key]],
        "sizes": [examples, queries, key_count],
        "layers": [[visible(x.site, 200), x.site, x.layer, x.shares.shape[1]] for x in layers],
        "causal": causal([layer for source in sources for layer in source]),
        "names": called,
        "scales": [scale(np.array([0.0, top])).facts() for top in tops],
        "change": scale(np.array([-max(tops), max(tops)])).facts(),
        "scores": list(found),
        "alike": groups_of(layers),
    }
    columns = {**_thumbnails(sources, tops), "scores": _numbers(found.values())}
    chunks = (
        deflated(_levels(layer.shares, top, LEVELS).tobytes())
        for source, top in zip(sources, tops, strict=True)
        for layer in source
    )
    data = "\n".join((packed(facts, columns), *chunks))
    if len(data) > max_mb * 1e6:
        raise InputError(
            f"{title} would take {len(data) / 1e6:.3g} MB, more than {max_mb:g}; show fewer "
            f"layers, heads or positions, or say max_mb={math.ceil(len(data) / 1e6)}"
        )
    svg = thumbnails_svg(title, " ".join(words[0])[:100], layers, tops[0])
    manifest = Manifest((NAMES, TOKENS), numbers=tuple(_kept(called, tops)))
    return View.of(Part("attention", title, data, svg, manifest, height=680), title)


def _kept(names: Sequence[str], tops: Sequence[float]) -> Iterator[Numbers]:
    """How the numbers of each source are stored."""
    for name, top in zip(names, tops, strict=True):
        yield Numbers(f"{name}, shares", 8, LEVELS, 0.0, top)
        yield Numbers(f"{name}, thumbnails", 8, FEW, 0.0, top)
    if len(names) > 1:
        yield Numbers("difference, thumbnails", 8, FEW, -max(tops), max(tops))
    yield Numbers("scores of heads")


def _matched(layers: Sequence[Heads], others: Sequence[Heads]) -> list[Heads]:
    """The others in the order of the layers."""
    if len(layers) == len(others) == 1:
        found = list(others)
    else:
        by_place = {other.place: other for other in others}
        if missing := [layer.site for layer in layers if layer.place not in by_place]:
            raise InputError(f"other= has nothing for {missing[0]}; it has {[*by_place]}")
        found = [by_place[layer.place] for layer in layers]
    for layer, other in zip(layers, found, strict=True):
        if layer.shares.shape != other.shares.shape:
            raise InputError(
                f"other= has the sizes {other.shares.shape} (batch, heads, queries, keys) where "
                f"{layer.site} has {layer.shares.shape}"
            )
    return found


def _title(layers: Sequence[Heads], queries: int) -> str:
    heads = sum(layer.shares.shape[1] for layer in layers)
    where = f" of {visible(layers[0].site, 200)}" if len(layers) == 1 else ""
    count = "1 head" if heads == 1 else f"{heads} heads"
    return f"Attention{where}: {count}, {queries} position{'s' * (queries != 1)}"


def _top(layers: Sequence[Heads]) -> float:
    """The largest share; 1 where they come near it, so that colours mean the same in all pages."""
    largest = max((float(layer.shares.max(initial=0)) for layer in layers), default=0.0)
    return max(largest, 1.0) if largest > 0.5 or largest == 0 else largest


def _levels(shares: Array, top: float, steps: int) -> Bytes:
    """Shares in equal steps up to top, over batch, heads, queries and keys."""
    return np.round(shares * (steps / top)).astype(np.uint8)


def _thumbnails(sources: Sequence[Sequence[Heads]], tops: Sequence[float]) -> dict[str, Column]:
    """The heads of each source in small: the greatest share of each tile, layer by layer.

    Of two sources also their difference, where that is farthest from 0, in steps up and down.
    """

    found = {
        f"small{i}": [_levels(_small(layer.shares), top, FEW) for layer in source]
        for i, (source, top) in enumerate(zip(sources, tops, strict=True))
    }
    if len(sources) > 1:
        highest = max(tops)
        changes = (_farthest(a.shares - b.shares) for a, b in zip(*sources, strict=True))
        found["smallChange"] = [_levels(x + highest, 2 * highest, FEW) for x in changes]
    return {name: np.concatenate([x.reshape(-1) for x in of]) for name, of in found.items()}


def _small(shares: Array) -> Array:
    rows, columns = (min(extent, SIDE) for extent in shares.shape[-2:])
    return pooled(shares, rows, columns)


def _farthest(numbers: Array) -> Array:
    """Of each tile what is farthest from 0."""
    above, below = _small(numbers), _small(-numbers)
    return np.where(above >= below, above, -below)


def _numbers(found: Iterable[Sequence[Array]]) -> Floats:
    """Scores one after the other: layer by layer, over batch and heads."""
    parts = [part.reshape(-1) for score in found for part in score]
    return np.concatenate(parts).astype(np.float32)
