"""Information-flow routes: the part of a model that one position's stream is made by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError

if TYPE_CHECKING:
    from networkx import DiGraph

Array = np.ndarray[Any, Any]
Node = tuple[str, int]
"""A stream or an MLP, and a position: `("blocks.3.resid_mid", 5)`."""
PREFIX = "flow."


def kept(parts: Mapping[str, Array], threshold: float, *, renormalize: bool) -> dict[str, Array]:
    """Contributions above a threshold, the others 0, divided by what is left of their sum.

    Each array begins with the axis of positions; what it has further is summed over. A position at
    which nothing is left has zeros.
    """
    cut = {name: np.where(part > threshold, part, 0.0) for name, part in parts.items()}
    if not renormalize:
        return cut
    left = sum(part.reshape(len(part), -1).sum(-1) for part in cut.values())
    some = np.where(left > 0, left, 1.0)
    return {name: part / some.reshape(-1, *[1] * (part.ndim - 1)) for name, part in cut.items()}


def routes(
    contributions: Mapping[str, NamedArray],
    position: int,
    *,
    batch: int = 0,
    threshold: float = 0.04,
    renormalize: bool = True,
) -> DiGraph[Node]:
    """The graph of what flows into the last stream at one position.

    Nodes are pairs of a site and a position: streams, and MLPs beside them. An edge leads from the
    stream at a position that heads attend to, or from the stream or an MLP at the same position;
    its `weight` is the contribution, summed over heads, and `heads` is that of each head.

    Args:
        contributions: the outputs that `Contributions` adds.
        position: of the last stream, from the end if negative.
        batch: which example.
        threshold: contributions up to it do not count: of each head from each position with
            `renormalize`, of all heads together without.
        renormalize: whether what is left is divided by its sum. Where nothing is left, nothing
            leads to a node.

    Returns:
        A networkx DiGraph; `graph["root"]` is the node that it leads to.

    Raises:
        InputError: if there are no contributions, or no such position or example.
    """
    from networkx import DiGraph

    steps = _steps(contributions)
    first = next(iter(steps[0].values()))
    count = _within("seq", position, first)
    example = _within("batch", batch, first)
    streams = [next(iter(step)) for step in steps]
    streams.append(streams[-1].rpartition(".")[0] + ".resid_post")
    root = (streams[-1], count)
    found: DiGraph[Node] = DiGraph(root=root)
    found.add_node(root)
    reached = {count}
    for place in reversed(range(len(steps))):
        shares = {name: _one(x, example) for name, x in steps[place].items()}
        cut = kept(shares, threshold, renormalize=True) if renormalize else shares
        least = 0.0 if renormalize else threshold
        before: set[int] = set()
        for at in sorted(reached):
            target = (streams[place + 1], at)
            for name, share in cut.items():
                before |= _link(found, target, (streams[place], name), share[at], least)
        reached = before
    return found


def _link(
    found: DiGraph[Node], target: Node, names: tuple[str, str], share: Array, least: float
) -> set[int]:
    """Add the edges of one part into a stream; the positions before that they come from."""
    stream, name = names
    at = target[1]
    if share.ndim == 0:
        if not share > least:
            return set()
        if name == stream:
            found.add_edge((stream, at), target, weight=float(share))
        else:
            found.add_edge((stream, at), (name, at), weight=float(share))
            found.add_edge((name, at), target, weight=float(share))
        return {at}
    sums = share.sum(0)
    keys = [int(key) for key in np.flatnonzero(sums > least)]
    for key in keys:
        old = found.get_edge_data((stream, key), target, {"weight": 0.0})["weight"]
        heads = {int(h): float(share[h, key]) for h in np.flatnonzero(share[:, key])}
        weight = old + float(sums[key])
        found.add_edge((stream, key), target, weight=weight, heads=heads)
    return set(keys)


def _steps(contributions: Mapping[str, NamedArray]) -> list[dict[str, NamedArray]]:
    """Part -> contribution, for each sum of the stream; the stream before it comes first."""
    steps: list[dict[str, NamedArray]] = []
    for name, array in contributions.items():
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX)
        if path.rpartition(".")[2].startswith("resid_"):
            steps.append({})
        steps[-1][path] = array.squeeze().numpy()
    if not steps:
        raise InputError("there are no outputs of Contributions among these")
    return steps


def _one(array: NamedArray, example: int) -> Array:
    """The contributions of one example, positions first, then heads and keys."""
    batch, *rest = array.axes
    chosen = array if batch is None else array[{batch: example}]
    if len(rest) == 1:
        return np.asarray(chosen)
    heads, seq, key = (axis for axis in rest if axis is not None)
    return np.asarray(chosen.order(seq, heads, key))


def _within(word: str, at: int, array: NamedArray) -> int:
    extent = array.shape[0 if word == "batch" else 1]
    if not -extent <= at < extent:
        raise InputError(f"{word} {at} is outside of the {extent} that were run")
    return at % extent
