"""Hypothesis strategies: random well-typed graphs, and inputs to run them on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph
from graftwork.ir.op import Op
from graftwork.testing.grown import WRITE_MOTIF, Motif, Sample, grown_graph, sample_of
from graftwork.testing.values import KINDS, inputs_at, symbol_sizes

_SMALL = st.integers(0, 255)
_NUMBERS = st.lists(_SMALL, max_size=40)
_OP = st.integers(0, 2**16 - 1)


def graphs(
    *,
    ops: Sequence[Op] = (),
    motifs: Sequence[Motif] = (),
    dtypes: Collection[DType] = (),
    max_nodes: int = 10,
) -> st.SearchStrategy[Graph]:
    """Random well-typed graphs over the whole op set.

    They have symbolic and repeated sizes, sizes 0 and 1, control flow, shared nodes and nodes that
    nearly repeat others, several outputs, parameters, and names as users' names may be. No list of
    numbers is rejected, and a simpler list is a simpler graph, so failures shrink well.

    Args:
        ops: those to draw from, your own among them; none for all that are registered.
        motifs: functions that build the pattern of a rewrite rule from a `Draw`; now and then one
            of them is planted.
        dtypes: those that operands should have; none for all.
        max_nodes: so many instructions at most; casts and broadcasts come on top.
    """
    instruction = st.builds(lambda op, rest: [rest[0], op, *rest[1:]], _OP, _at_least_one())
    return st.builds(
        lambda header, steps: grown_graph(header, steps, ops, motifs, frozenset(dtypes)),
        _NUMBERS,
        st.lists(instruction, max_size=max_nodes),
    )


def planted(motif: Motif) -> st.SearchStrategy[Graph]:
    """Small random graphs whose last instruction writes a motif."""
    return st.builds(
        lambda header, steps, numbers: grown_graph(
            header, [*steps, [WRITE_MOTIF, *numbers]], motifs=[motif]
        ),
        _NUMBERS,
        st.lists(_at_least_one(), max_size=2),
        _NUMBERS,
    )


def _at_least_one() -> st.SearchStrategy[list[int]]:
    return st.lists(_SMALL, min_size=1, max_size=24)


def samples(op: Op, *, dtypes: Collection[DType] = ()) -> st.SearchStrategy[Sample]:
    """One op on fresh operands, with attributes as its definition draws them."""
    return st.builds(lambda numbers: drawn_sample(op, numbers, dtypes), _NUMBERS)


def drawn_sample(op: Op, numbers: Sequence[int], dtypes: Collection[DType] = ()) -> Sample:
    """The sample that the numbers choose, or the simplest, if the op refuses that one.

    Raises:
        AssertionError: if the op has no sampler, or refuses its simplest sample.
    """
    found = sample_of(op, numbers, frozenset(dtypes)) or sample_of(op, (), frozenset(dtypes))
    assert found is not None, f"{op!r} refuses the simplest sample that it draws of itself"
    return found


def inputs_for(
    graph: Graph, *, kinds: Sequence[int] = KINDS
) -> st.SearchStrategy[dict[str, np.ndarray[Any, Any]]]:
    """Inputs for a graph, by name: sizes from 0 up for its symbols, numbers from plain to hostile.

    Args:
        graph: what the inputs are for; its guards hold.
        kinds: of `graftwork.testing.values`: `WHOLE`, `NORMAL`, `SPECIAL` (signed zeros,
            infinities, NaN, ties, the edges of the dtype) and `BITS` (any bits at all).
    """
    count = len(graph.inputs)

    def build(sizes: Sequence[int], data: Sequence[tuple[int, int]]) -> dict[str, Any]:
        wanted = dict(zip(graph.symbols, sizes, strict=True))
        named = {port.name: item for port, item in zip(graph.inputs, data, strict=True)}
        return inputs_at(graph, symbol_sizes(graph, wanted), named)

    return st.builds(
        build,
        st.lists(st.integers(0, 4), min_size=len(graph.symbols), max_size=len(graph.symbols)),
        st.lists(st.tuples(st.sampled_from(list(kinds)), _SMALL), min_size=count, max_size=count),
    )
