"""The verifier on graphs with one thing broken: refused, or the same graph, never a surprise."""

from collections.abc import Callable

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from graftwork.ir.attributes import Attrs
from graftwork.ir.digest import equal
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import TextError, VerificationError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.text import parse
from graftwork.ir.types import Type
from graftwork.ir.verify import verify
from graftwork.testing import graphs

Corruption = Callable[[Graph, int], Graph]


def _with_node(graph: Graph, place: int, node: Node) -> Graph:
    return graph.evolve(nodes=(*graph.nodes[:place], node, *graph.nodes[place + 1 :]))


def _read_later(graph: Graph, at: int) -> Graph:
    """A node moves before one that it may read."""
    place = at % len(graph.nodes)
    rest = (*graph.nodes[:place], *graph.nodes[place + 1 :])
    return graph.evolve(nodes=(graph.nodes[place], *rest))


def _twice(graph: Graph, at: int) -> Graph:
    """A node stands twice, so its values are defined twice."""
    return graph.evolve(nodes=(*graph.nodes, graph.nodes[at % len(graph.nodes)]))


def _lost(graph: Graph, at: int) -> Graph:
    """A node is gone, though what it defines may be read."""
    place = at % len(graph.nodes)
    return graph.evolve(nodes=(*graph.nodes[:place], *graph.nodes[place + 1 :]))


def _other_op(graph: Graph, at: int) -> Graph:
    """A node has another op with the same attributes."""
    place = at % len(graph.nodes)
    op = list(REGISTRY.values())[at * 31 % len(REGISTRY)]
    return _with_node(graph, place, evolve(graph.nodes[place], op=op))


def _other_operand(graph: Graph, at: int) -> Graph:
    """A node reads another value."""
    place = at % len(graph.nodes)
    node = graph.nodes[place]
    known = [v for n in graph.nodes for v in n.outputs]
    if not node.inputs:
        return graph
    inputs = (known[at * 7 % len(known)], *node.inputs[1:])
    return _with_node(graph, place, evolve(node, inputs=inputs))


def _other_type(graph: Graph, at: int) -> Graph:
    """A value claims to lack its first axis, or to be a bool."""
    place = at % len(graph.nodes)
    node = graph.nodes[place]
    old = node.outputs[0]
    of = old.type.with_axes(old.axes[1:]) if old.axes else Type(DType.boolean)
    return _with_node(graph, place, evolve(node, outputs=(Value(of), *node.outputs[1:])))


def _without_attributes(graph: Graph, at: int) -> Graph:
    place = at % len(graph.nodes)
    return _with_node(graph, place, evolve(graph.nodes[place], attrs=Attrs()))


def _other_size(graph: Graph, at: int) -> Graph:
    """An axis of the table has one position more."""
    if not graph.axes:
        return graph
    axis = list(graph.axes)[at % len(graph.axes)]
    return graph.evolve(axes={**graph.axes, axis: graph.axes[axis] + 1})


def _lost_axis(graph: Graph, at: int) -> Graph:
    if not graph.axes:
        return graph
    gone = list(graph.axes)[at % len(graph.axes)]
    return graph.evolve(axes={a: size for a, size in graph.axes.items() if a != gone})


def _without_regions(graph: Graph, at: int) -> Graph:
    place = next((i for i, node in enumerate(graph.nodes) if node.regions), None)
    if place is None:
        return graph
    return _with_node(graph, place, evolve(graph.nodes[place], regions=()))


def _same_output(graph: Graph, at: int) -> Graph:
    return graph.evolve(outputs=(*graph.outputs, graph.outputs[at % len(graph.outputs)]))


CORRUPTIONS: list[Corruption] = [
    _read_later, _twice, _lost, _other_op, _other_operand, _other_type, _without_attributes,
    _other_size, _lost_axis, _without_regions, _same_output,
]  # fmt: skip
ALWAYS_WRONG = {_twice, _same_output}


@given(graphs(), st.sampled_from(CORRUPTIONS), st.integers(0, 1000))
def test_what_is_broken_is_refused_or_is_a_graph_still(
    graph: Graph, corrupt: Corruption, at: int
) -> None:
    """What the verifier lets pass reads back from its text."""
    if not graph.nodes:
        return
    broken = corrupt(graph, at)
    try:
        verify(broken)
    except VerificationError:
        return
    assert corrupt not in ALWAYS_WRONG
    assert equal(parse(str(broken), broken.store), broken, origins=True)


@given(graphs(max_nodes=4), st.integers(0, 10**6), st.sampled_from('{}():,=%@1 \n"\\x'))
def test_text_with_another_character_is_refused_or_means_what_it_says(
    graph: Graph, at: int, character: str
) -> None:
    text = str(graph)
    place = at % len(text)
    try:
        read = parse(text[:place] + character + text[place + 1 :], graph.store)
    except TextError:
        return
    verify(read)
    assert equal(parse(str(read), read.store), read, origins=True)
