"""What heads attend to, by layer: from patterns with named axes to arrays in one order of axes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, InputError

Array = np.ndarray[Any, Any]
BATCH, LAYER, HEADS = "batch", "layer", "heads"
_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")


@frozen(eq=False)
class Heads:
    """The heads of one layer.

    Attributes:
        site: where they are, or what their layer is called.
        layer: its number, if the site or the axis `layer` has one.
        shares: how much each position attends to each other, over batch, heads, queries and keys.
        axes: how queries and keys are called.
    """

    site: str
    layer: int | None
    shares: Array
    axes: tuple[str, str]

    @property
    def place(self) -> str:
        """The path of the attention, which is the same for its pattern and its contributions."""
        return self.site.removeprefix("flow.").removesuffix(".pattern")


def heads_of(pattern: NamedArray | Mapping[str, NamedArray], site: str | None) -> list[Heads]:
    """The heads of a pattern, layer by layer.

    Args:
        pattern: an array over `layer`, `batch`, `heads` (each or not), queries and keys; or arrays
            by their sites, of which those without an axis like `kv_seq` are left out.
        site: of an array; `{layer}` in it is the number of the layer.

    Raises:
        AxisError: for an array that does not have an axis of queries and one of keys.
        InputError: if there are no patterns, or their sizes or numbers are not those of shares.
    """
    if not isinstance(pattern, NamedArray | Mapping):
        raise InputError(f"a pattern is a NamedArray, or several by site: {type(pattern).__name__}")
    if isinstance(pattern, NamedArray):
        found = _layers(pattern, site)
    else:
        patterns = {name: x for name, x in pattern.items() if any(map(_is_keys, x.sizes))}
        found = [layer for name, x in patterns.items() for layer in _layers(x, name)]
    if not found:
        raise InputError("there is no pattern here: nothing has an axis of keys such as kv_seq")
    first = found[0]
    for layer in found:
        mine, its = (x.shares.shape[0:1] + x.shares.shape[2:] for x in (first, layer))
        if mine != its:
            raise InputError(f"{layer.site} has {its} examples, queries, keys; {first.site} {mine}")
        if not np.isfinite(layer.shares).all() or layer.shares.min(initial=0) < 0:
            raise InputError(
                f"{layer.site} has negative or non-finite numbers, and attention is in shares; "
                "gw.viz.heatmap shows any numbers"
            )
    return found


def _layers(pattern: NamedArray, site: str | None) -> list[Heads]:
    named = pattern.squeeze()
    if LAYER not in named.axes:
        name = site or "attention"
        return [_heads(named, name, layer_of(name))]
    word = site or "layer {layer}"
    return [
        _heads(named[{LAYER: i}], word.replace("{layer}", str(i)), i)
        for i in range(named.sizes[LAYER])
    ]


def layer_of(site: str) -> int | None:
    """The number of the block that a site is in."""
    found = _BLOCK.search(site)
    return int(found[1]) if found else None


def _heads(named: NamedArray, site: str, layer: int | None) -> Heads:
    positions = _positions(named)
    if len(positions) != 2:
        raise AxisError(
            f"a pattern has an axis of queries and one of keys beside {BATCH!r}, {LAYER!r} and "
            f"{HEADS!r}; {site} has {[*named.sizes]}"
        )
    query, key = sorted(positions, key=_is_keys)
    order = [axis for axis in (BATCH, HEADS) if axis in named.axes]
    array = np.asarray(named.order(*order, query, key)).astype(np.float32)
    missing = tuple(i for i, axis in enumerate((BATCH, HEADS)) if axis not in named.axes)
    return Heads(site, layer, np.expand_dims(array, missing), (query, key))


def _is_keys(axis: str) -> bool:
    return axis.startswith("kv")


def _positions(named: NamedArray) -> list[str]:
    """The axes that are neither examples nor layers nor heads."""
    return [axis for axis in named.sizes if axis not in (BATCH, LAYER, HEADS)]


def causal(layers: Sequence[Heads]) -> int | None:
    """How many keys beyond its own number a query sees at most, if none ever attends to later ones.

    That is 0 for a causal pattern, more behind a cache, and None where later keys are seen.
    """
    queries, keys = layers[0].shares.shape[-2:]
    beyond = keys - queries
    if keys < 2 or beyond < 0:
        return None
    later = ~np.tri(queries, keys, beyond, dtype=bool)
    return None if any(layer.shares[..., later].any() for layer in layers) else beyond


def scores(sources: Sequence[Sequence[Heads]]) -> dict[str, list[Array]]:
    """What heads can be sorted by: name -> for each layer, over batch and heads.

    Each is a mean over queries: of the largest share; where queries and keys are the same
    positions, of the share of the first key, of the query's own and of the one before it; and of
    the distance between two sources, half the sum of absolute differences.
    """
    layers = sources[0]
    found = _of_one(layers)
    for others in sources[1:]:
        pairs = zip(layers, others, strict=True)
        found["the difference"] = [abs(a.shares - b.shares).sum(-1).mean(-1) / 2 for a, b in pairs]
    return found


def _of_one(layers: Sequence[Heads]) -> dict[str, list[Array]]:
    found = {"most of one key": [x.shares.max(-1).mean(-1) for x in layers]}
    queries, keys = layers[0].shares.shape[-2:]
    beyond = keys - queries
    if beyond < 0:
        return found
    diagonal = [np.diagonal(x.shares, beyond, -2, -1).mean(-1) for x in layers]
    found |= {
        "the same position": diagonal,
        "the first": [x.shares[..., 0].mean(-1) for x in layers],
    }
    if keys > 1:
        before = [np.diagonal(x.shares, beyond - 1, -2, -1) for x in layers]
        found["the one before"] = [x.mean(-1) for x in before]
    return found
