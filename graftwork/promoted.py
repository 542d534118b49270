"""What the parts of a flow promote: the tokens that heads and neurons write towards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph
from graftwork.passes.analyses import neuron_vocabulary, ov
from graftwork.viz.routes import Flow, Neurons
from graftwork.viz.single import single

Array = np.ndarray[Any, Any]
_PROMOTED, _NEURONS = 6, 4
"""How many tokens a head or neuron is said to promote, and how many neurons a node has."""


def of_heads(graph: Graph, out: Mapping[str, NamedArray], found: Flow, promote: Array) -> Array:
    """The tokens that each of the flow's writers promotes by what it adds to the stream."""
    writers = found.writers
    if any(path and f"{path}.z" not in out for path in found.attentions):
        return np.zeros((len(writers), 0), np.int64)
    vectors = np.zeros((len(writers), len(promote)), np.float32)
    for step, path in enumerate(found.attentions):
        mine = writers[:, 0] == step
        if path is None or not mine.any():
            continue
        try:
            weight = ov(graph, path).b.order("heads", "head_dim", "target")
        except SelectionError:
            return np.zeros((len(writers), 0), np.int64)
        query, head = writers[mine, 1], writers[mine, 2]
        z = np.asarray(single(out[f"{path}.z"]).order("seq", "heads", "head_dim"))
        vectors[mine] = np.einsum("ni,nij->nj", z[query, head], np.asarray(weight)[head])
    return _best(vectors, promote)


def of_mlps(
    graph: Graph, out: Mapping[str, NamedArray], found: Flow, promote: Array
) -> list[Neurons | None]:
    """The neurons of each MLP that write most at each position, and what they promote."""
    notes: list[Neurons | None] = []
    for path in found.mlps:
        activations = out.get(f"{path}.post")
        if path is None or activations is None:
            notes.append(None)
            continue
        try:
            weight = np.asarray(neuron_vocabulary(graph, path).a.order("mlp", "target"))
        except SelectionError:
            notes.append(None)
            continue
        active = np.asarray(single(activations).order("seq", "mlp"))
        sizes = active * np.linalg.norm(weight, axis=-1)
        ids = np.argsort(-abs(sizes), axis=-1)[:, :_NEURONS]
        largest = np.take_along_axis(sizes, ids, -1)
        vectors = weight[ids] * np.sign(largest)[..., None]
        tokens = _best(vectors.reshape(-1, len(promote)).astype(np.float32), promote)
        notes.append(Neurons(ids, largest, tokens))
    return notes


def _best(vectors: Array, promote: Array) -> Array:
    """The ids of the tokens that vectors of the stream promote most, over vectors."""
    count = min(_PROMOTED, promote.shape[-1])
    found = []
    for start in range(0, len(vectors), 256):
        scores = vectors[start : start + 256] @ promote
        some = np.argpartition(scores, -count)[:, -count:]
        order = np.argsort(-np.take_along_axis(scores, some, -1), axis=-1)
        found.append(np.take_along_axis(some, order, -1))
    return np.concatenate([np.zeros((0, count), np.int64), *found])
