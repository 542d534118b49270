"""The harness itself: wrong passes that were planted must be caught, and right ones not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph, Node
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.verify import verify
from graftwork.testing import (
    assert_equivalent,
    check_op,
    check_pass,
    check_rule,
    graphs,
    inputs_for,
)
from graftwork.testing.choices import Choices
from graftwork.testing.grown import grown_graph

Make = Callable[..., Any]


def replacing(name: str, make: Callable[[Node, Graph], Make | None]) -> Callable[[Graph], Graph]:
    """A pass that replaces what a function says, at the top level."""

    def applied(graph: Graph) -> Graph:
        rewriter = Rewriter(graph, name)
        for node in graph.nodes:
            if (new := make(node, graph)) is not None:
                rewriter.replace(node, new)
        return rewriter.finish()

    return applied


def number(graph: Graph, node: Node, place: int) -> float | None:
    maker = graph.index.producer.get(node.inputs[place])
    if maker is None or maker.op is not ops.constant or maker.attrs["axes"]:
        return None
    return float(maker.attrs["value"].item())


def spread(x: Term, like: Node) -> Term:
    return x.broadcast(*like.output.axes).rename()


def plus_zero(node: Node, graph: Graph) -> Make | None:
    """x + 0 -> x, which is wrong for -0.0."""
    if node.op is not ops.add or number(graph, node, 1) != 0.0:
        return None
    return lambda x, zero: spread(x, node)


def times_zero(node: Node, graph: Graph) -> Make | None:
    """x * 0 -> 0, which is wrong for NaN and infinity."""
    if node.op is not ops.mul or number(graph, node, 1) != 0.0:
        return None
    return lambda x, zero: spread(zero, node)


def split_backward(node: Node, graph: Graph) -> Make | None:
    """A merge in the other order."""
    if node.op is not ops.merge or len(node.attrs["axes"]) < 2:
        return None
    attrs = {"axes": node.attrs["axes"][::-1], "into": node.attrs["into"]}
    return lambda x: ops.merge(x, **attrs)


def cast_away(node: Node, graph: Graph) -> Make | None:
    """A cast of a cast forgets the one between."""
    maker = graph.index.producer.get(node.inputs[0]) if node.inputs else None
    if node.op is not ops.cast or maker is None or maker.op is not ops.cast:
        return None
    inner = maker.inputs[0]
    return lambda x: ops.cast(Term(inner, x.builder), dtype=node.attrs["dtype"])


def swapped(node: Node, graph: Graph) -> Make | None:
    """Operands of an op that does not commute."""
    return (lambda a, b: b - a) if node.op is ops.sub else None


def one_step_short(node: Node, graph: Graph) -> Make | None:
    """A sort that goes the other way."""
    if node.op is not ops.sort:
        return None
    attrs = node.attrs.as_dict()
    attrs["descending"] = not attrs["descending"]
    return lambda *xs: ops.sort.emit(*xs, **attrs)


def drawn(name: str, zero: float | None = None) -> Callable[[Draw], Term]:
    """A motif: an op on floats, or a float and a number."""

    def write(draw: Any) -> Term:
        x = draw.operand(FLOATS, binds=2, least=2)
        if zero is not None:
            return REGISTRY[name](x, zero)
        if name == "merge":
            wide = draw.operand(FLOATS, binds=2, least=2)
            return ops.merge(wide, axes=some(draw, wide, 2, least=2), into=draw.new())
        if name == "cast":
            return ops.cast(ops.cast(x, dtype="bool"), dtype=draw.pick(*FLOATS))
        if name == "sort":
            wide = draw.operand(FLOATS, binds=1, least=2)
            return ops.sort(wide, axis=draw.axis(wide, least=2))
        return REGISTRY[name](x, draw.operand((x.dtype,)))

    return write


@pytest.mark.parametrize(
    ("wrong", "motif"),
    [
        (plus_zero, drawn("add", 0.0)),
        (times_zero, drawn("mul", 0.0)),
        (split_backward, drawn("merge")),
        (cast_away, drawn("cast")),
        (swapped, drawn("sub", 2.0)),
        (one_step_short, drawn("sort")),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_a_wrong_rule_is_caught_where_its_pattern_is_planted(wrong: Any, motif: Any) -> None:
    with pytest.raises(AssertionError, match=r"the new graph: output|the new graph in float64"):
        check_rule(motif, replacing("Wrong", wrong), promise="bitwise", max_examples=60)


def share_equal(graph: Graph) -> Graph:
    """Common subexpressions by Python's own equality, where 0.0 == -0.0 and 1 == True."""
    rewriter = Rewriter(graph, "ShareEqual")
    seen: dict[float, Node] = {}
    for node in graph.nodes:
        if node.op is ops.constant and not node.attrs["axes"]:
            first = seen.setdefault(float(node.attrs["value"].item()), node)
            if first is not node and first.output.type == node.output.type:
                rewriter.substitute(node.output, first.output)
                rewriter.drop(node)
    return rewriter.finish()


def signed_zeros(draw: Any) -> Term:
    x = draw.operand((DType.f32, DType.f64))
    zero, other = (x.builder.constant(v, x.dtype) for v in (0.0, -0.0))
    return ops.select(x > zero, ops.div(1.0, other), x)


def test_sharing_by_equality_is_caught() -> None:
    with pytest.raises(AssertionError, match="the new graph"):
        check_rule(signed_zeros, share_equal, promise="bitwise", max_examples=100)


def test_a_lost_output_is_caught() -> None:
    with pytest.raises(AssertionError, match="gives outputs"):
        check_pass(
            lambda graph: graph.evolve(outputs=graph.outputs[:1]),
            graphs=graphs().filter(lambda graph: len(graph.outputs) > 1),
        )


def test_a_graph_that_is_changed_in_place_is_caught() -> None:
    def careless(graph: Graph) -> Graph:
        graph.axes["more"] = 3  # type: ignore[index]
        return graph

    with pytest.raises(AssertionError, match="has changed"):
        check_pass(careless)


def test_nodes_without_the_name_of_their_pass_are_caught() -> None:
    def anonymous(graph: Graph) -> Graph:
        return graph.evolve(
            nodes=tuple(
                evolve(node, op=ops.sub) if node.op is ops.add else node for node in graph.nodes
            )
        )

    with pytest.raises(AssertionError, match="without its name"):
        check_rule(drawn("add"), anonymous, promise="changes")


def thrice(node: Node, graph: Graph) -> Make | None:
    """Two more negations, every time."""
    return (lambda x: ops.neg(ops.neg(ops.neg(x)))) if node.op is ops.neg else None


def test_a_pass_that_is_never_done_is_caught() -> None:
    def negated(graph: Graph) -> Graph:
        return replacing("Negated", thrice)(graph)

    def once_more(draw: Any) -> Term:
        return -draw.operand(FLOATS)

    check_rule(once_more, negated, promise="bitwise", max_examples=10)
    with pytest.raises(AssertionError, match="a second time"):
        check_pass(
            negated, graphs(motifs=[once_more], max_nodes=4), promise="bitwise", idempotent=True
        )


def test_an_op_that_knows_its_positions_is_caught() -> None:
    """A reference that reads the first dimension, whatever its name."""
    sneaky = Op(
        "sneaky", "x", "The first row, wherever it lies.", infer=lambda typing, x: x,
        evaluate=lambda at, x: type(x)(x.array[:1] + 0 * x.array, x.axes) if x.axes else x,
        sample=ops.exp.sample,
    )  # fmt: skip
    REGISTRY.add(sneaky)
    try:
        with pytest.raises(AssertionError, match="sneaky over one more axis"):
            check_op(sneaky)
    finally:
        del REGISTRY["sneaky"]


def test_tolerance_is_what_a_graph_deserves() -> None:
    """Another order of summation passes; a hundredth of a percent does not."""
    graph = grown_graph([2, 2, 2], [])
    (port,) = graph.outputs

    def scaled(by: float) -> Graph:
        rewriter = Rewriter(graph, "Scaled")
        rewriter.interpose(port.value, lambda x: (x * 3.0) * (by / 3.0))
        return rewriter.finish()

    assert_equivalent(graph, scaled(1.0))
    with pytest.raises(AssertionError, match="output 'out' has"):
        assert_equivalent(graph, scaled(1.0001))


@given(graphs(), st.data())
def test_inputs_fit_their_graph(graph: Graph, data: st.DataObject) -> None:
    arrays = data.draw(inputs_for(graph))
    for port in graph.inputs:
        assert arrays[port.name].dtype == port.value.type.dtype.numpy
        assert arrays[port.name].ndim == len(port.layout)


@given(st.lists(st.integers(0, 10**6)), st.lists(st.lists(st.integers(0, 10**6)), max_size=6))
def test_every_list_of_numbers_is_a_graph(header: list[int], steps: list[list[int]]) -> None:
    verify(grown_graph(header, steps))


def test_choices_that_ran_out_are_the_first() -> None:
    assert Choices([5]).pick("a", "b", "c") == "c"
    assert Choices([]).pick("a", "b") == "a"
    assert np.array_equal(Literal.of([1.0]).array, [1.0])
