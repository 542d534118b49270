"""Finding circuits: cutting every edge of the residual stream that a model can do without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.graph import Graph
from graftwork.lower import compile
from graftwork.passes.edges import MaskEdges, components
from graftwork.passes.edges.components import Components, Edge

Outputs = Mapping[str, NamedArray]
Loss = Callable[[Outputs, Outputs], float]
"""From the outputs of the pruned model and those of the whole one to how much worse it is."""


@frozen
class Circuit:
    """What is left of a model.

    Attributes:
        edges: the edges that were kept, receivers from the first to the last.
        loss: the loss with all others cut.
        effects: edge -> by how much the loss rose when it was cut; of edges that were tried.
    """

    edges: tuple[Edge, ...]
    loss: float
    effects: Mapping[Edge, float]


def prune_edges(
    graph: Graph,
    loss: Loss,
    threshold: float,
    inputs: Mapping[str, Any],
    source: Mapping[str, Any] | None = None,
    edges: Iterable[Edge] = (("**", "**"),),
    backend: str = "onnx",
) -> Circuit:
    """Cut edges one after another, from the output back, and keep those that matter (ACDC).

    Receivers are visited from the last to the first, and the edges into each from the last sender
    to the first. An edge is cut, its contribution replaced by that of the other run, for as long
    as the loss rises by less than the threshold (Conmy et al. 2023). What sends to nothing any
    more loses its own edges untried. The graph is compiled once; each try is one run.

    Args:
        loss: of the outputs of the pruned and of the whole model.
        threshold: the rise of the loss from which on an edge is kept.
        inputs: of the run that is pruned.
        source: of the run whose contributions stand for those cut; zeros if None.
        edges: pairs of globs over senders and receivers; others are never cut.

    Raises:
        SelectionError: for a pair that means no edge.
    """
    parts = components(graph)
    able = parts.selected(edges)
    name = None if source is None else "source"
    run = compile(graph.apply(MaskEdges(name)), backend)
    given = dict(inputs) | ({} if source is None else {"source": dict(source)})

    def outputs(cut: np.ndarray) -> Outputs:
        return run(**given, cut=cut)

    cut = np.zeros_like(able)
    whole = outputs(cut)
    best = loss(whole, whole)
    effects: dict[Edge, float] = {}
    for row in reversed(range(len(able))):
        columns = np.flatnonzero(able[row])[::-1]
        if _is_idle(parts, parts.receiver_names[row], cut):
            cut[row, columns] = True
            continue
        for column in columns:
            cut[row, column] = True
            tried = loss(outputs(cut), whole)
            effects[parts.sender_names[column], parts.receiver_names[row]] = tried - best
            if tried - best < threshold:
                best = tried
            else:
                cut[row, column] = False
    kept = np.argwhere(parts.possible & ~cut)
    names = ((parts.sender_names[s], parts.receiver_names[r]) for r, s in kept)
    return Circuit(tuple(names), best, effects)


def _is_idle(parts: Components, receiver: str, cut: np.ndarray) -> bool:
    """Whether all that a receiver feeds sends to nothing."""
    columns = [parts.sender_names.index(name) for name in parts.feeds(receiver)]
    return bool(columns) and not (parts.possible & ~cut)[:, columns].any()
