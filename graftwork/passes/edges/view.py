"""The component graph for networkx: what sends to what, and how much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.graph import Graph
from graftwork.passes.edges.components import Edge, components

if TYPE_CHECKING:
    import networkx as nx


def component_graph(
    graph: Graph,
    scores: NamedArray | None = None,
    edges: Iterable[Edge] = (("**", "**"),),
    threshold: float = 0.0,
) -> nx.DiGraph[Any]:
    """Senders and receivers as nodes, in the order of the model.

    Nodes have `kind`: "sender" or "receiver". An edge from a sender to a receiver has `weight`,
    its score, or 1; from a receiver to the senders that it is a part of, `inside=True`. So a
    path from `embed` to `final_norm` is a path through the model.

    Args:
        scores: `edge_attribution` of a run, axes `receivers` and `senders`; the mean is taken
            over others.
        edges: pairs of globs; only these are shown.
        threshold: edges whose score is smaller in size are left out, and with them components
            that have no edge.
    """
    import networkx as nx

    parts = components(graph)
    shown = parts.selected(edges)
    weights = np.ones(shown.shape) if scores is None else _table(scores)
    shown &= np.abs(weights) >= threshold
    made: nx.DiGraph[Any] = nx.DiGraph()
    for r, receiver in enumerate(parts.receiver_names):
        for s in np.flatnonzero(shown[r]):
            sender = parts.sender_names[s]
            made.add_node(sender, kind="sender")
            made.add_node(receiver, kind="receiver")
            made.add_edge(sender, receiver, weight=float(weights[r, s]))
    for receiver in parts.receiver_names:
        for sender in parts.feeds(receiver):
            if receiver in made and sender in made:
                made.add_edge(receiver, sender, inside=True)
    return made


def _table(scores: NamedArray) -> np.ndarray:
    """Scores by receiver and sender."""
    others = [axis for axis in scores.axes if axis not in ("receivers", "senders")]
    ordered = np.asarray(scores.order("receivers", "senders", *filter(None, others)))
    table: np.ndarray = ordered.reshape(*ordered.shape[:2], -1).mean(-1)
    return table
