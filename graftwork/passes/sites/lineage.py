"""What the axes inside a branch come from: positions of the stream, or features.

A branch splits, merges and renames axes. Whether one counts heads, windows or positions is told
by what it was made of: products make features, everything else comes of the stream's own axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graftwork.ir.graph import Node
from graftwork.passes.attention import PRODUCTS

FEATURE = "feature"
_CUTS = frozenset({"slice", "pad", "window", "top_k"})
_SLIDES = frozenset({"conv", "max_pool", "avg_pool"})
_APART = frozenset({*_CUTS, "concat", "embedding", "group_norm", "batch_norm"})


def lineage(nodes: Iterable[Node], roots: Mapping[str, str]) -> dict[str, str]:
    """Axis -> what it comes from: one of the values of `roots`, or `FEATURE`.

    Args:
        nodes: a branch, in order.
        roots: what the axes of the stream are.
    """
    found = dict(roots)
    merged: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if node.op.name == "merge":
            merged[node.attrs["into"]] = node.attrs["axes"]
        for new, olds in _made(node, merged):
            sources = [found[old] for old in olds if old in found]
            if sources:
                found.setdefault(new, sources[0])
        if node.op.name in (*PRODUCTS, "conv"):
            for axis in node.output.axes:
                found.setdefault(axis, FEATURE)
    return found


def _made(
    node: Node, merged: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each axis that a node makes of others, and those others; a split undoes a merge."""
    name, attrs = node.op.name, node.attrs
    if name == "rename":
        yield from ((new, (old,)) for old, new in attrs["axes"])
    elif name == "split":
        whole = attrs["axis"]
        same = len(merged.get(whole, ())) == len(attrs["into"])
        olds = merged[whole] if same else [whole] * len(attrs["into"])
        yield from ((part, (old,)) for part, old in zip(attrs["into"], olds, strict=True))
    elif name in ("merge", "concat"):
        yield attrs["into"], attrs["axes"]
    elif name == "gather":
        data, *indices = node.inputs
        for axis, index in zip(attrs["axes"], indices, strict=True):
            yield from ((new, (axis,)) for new in index.axes if new not in data.axes)
    elif name in _CUTS:
        yield attrs["into"], (attrs["axis"],)
    elif name in _SLIDES:
        yield from ((new, (old,)) for old, new in zip(attrs["axes"], attrs["into"], strict=True))


def mixes(node: Node, axes: Mapping[str, str]) -> tuple[str, ...]:
    """The axes of the stream that a node mixes positions of."""
    if node.op.traits & {"view", "elementwise"} or node.op.name in _APART:
        return ()
    slides = node.op.name in _SLIDES
    bound = node.attrs["axes"] if slides else tuple(node.op.named_axes(node.attrs))
    roots = (axes.get(axis) for axis in bound)
    return tuple(dict.fromkeys(root for root in roots if root is not None and root != FEATURE))
