"""What passes, rules, ops and backends promise, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graftwork.ir.array import NamedArray
from graftwork.ir.binding import bind
from graftwork.ir.build import Builder, Term
from graftwork.ir.digest import digest, equal
from graftwork.ir.dtypes import DType
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Node, Port, Region, Value
from graftwork.ir.op import Op
from graftwork.ir.pipeline import name_of
from graftwork.ir.sizes import symbol
from graftwork.ir.text import parse
from graftwork.ir.types import Type, Typing
from graftwork.ir.verify import verify
from graftwork.testing.equivalence import (
    Expected,
    assert_equivalent,
    told,
    typical_inputs,
)
from graftwork.testing.evaluators import Array, evaluated
from graftwork.testing.grown import Motif, Sample
from graftwork.testing.running import Inputs, Refusal, run_on
from graftwork.testing.strategies import graphs as random_graphs
from graftwork.testing.strategies import planted, samples
from graftwork.testing.values import KINDS

BACKENDS = ("torch", "jax", "onnx")

GraphPass = Callable[[Graph], Graph]


def check_pass(
    applied: GraphPass,
    graphs: st.SearchStrategy[Graph] | Sequence[Graph] | None = None,
    *,
    promise: str | None = None,
    idempotent: bool | None = None,
    backends: Sequence[str] = (),
    kinds: Sequence[int] = KINDS,
    max_examples: int = 50,
) -> None:
    """Hold a pass to what it promises, on many graphs.

    The result is well-formed and survives its text form; the graph that was given is untouched;
    what the pass made names it; its promise is kept, and a second application changes nothing
    where that is promised.

    Args:
        applied: a `Pass`, or any function from graph to graph.
        graphs: a strategy, or the graphs themselves; None for random ones over all ops.
        promise: "bitwise", "tolerance" or "changes"; None for what the pass says of itself, or
            "tolerance" for a plain function.
        idempotent: None for what the pass says of itself.
        backends: to run the results on, as well as on numpy.
        kinds: of inputs; see `inputs_for`.
        max_examples: so many random graphs.

    Raises:
        AssertionError: says which promise is broken and shows the smallest graph that was found.
    """
    kept = promise or promise_of(applied)
    twice = getattr(applied, "idempotent", False) if idempotent is None else idempotent

    def check(graph: Graph) -> None:
        _check_once(applied, graph, kept, twice, backends, kinds)

    if isinstance(graphs, Sequence):
        for graph in graphs:
            check(graph)
    else:
        _on_many(random_graphs() if graphs is None else graphs, check, max_examples)


def _on_many(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], None], max_examples: int
) -> None:
    """Run a check on examples that are the same in every run."""
    chosen = settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
    )
    chosen(given(strategy)(check))()


def _check_once(
    applied: GraphPass, graph: Graph, promise: str, twice: bool, backends: Sequence[str],
    kinds: Sequence[int],
) -> None:  # fmt: skip
    before = digest(graph, origins=True)
    after = applied(graph)
    assert digest(graph, origins=True) == before, f"the graph given has changed:\n{graph}"
    assert isinstance(after, Graph), f"gave {type(after).__name__}, not a graph"
    verify(after)
    read = parse(str(after), after.store)
    assert equal(read, after, origins=True), f"does not survive its text form:\n{after}"
    unsigned = list(made_without(graph, after, name_of_pass(applied)))
    assert not unsigned, f"made {unsigned[0].op.name} without its name:\n{graph}\n{after}"
    if twice:
        again = applied(after)
        assert equal(again, after), f"a second time changes it again:\n{graph}\n{after}\n{again}"
    if promise != "changes":
        assert_equivalent(graph, after, promise=promise, backends=backends, kinds=kinds)


def promise_of(applied: GraphPass) -> str:
    """What a pass says of itself; a plain function keeps meaning to a tolerance."""
    return str(getattr(applied, "promise", "tolerance"))


def name_of_pass(applied: GraphPass) -> str:
    """What the origin of nodes calls a pass; empty for a plain function."""
    name = getattr(applied, "name", None)
    return str(name()) if callable(name) else ""


def made_without(before: Graph, after: Graph, name: str) -> Iterator[Node]:
    """The nodes that a pass made and that do not say so."""
    makers = {value: node for node in before.walk() for value in node.outputs}
    for node in after.walk():
        old = makers.get(node.outputs[0]) if node.outputs else node
        kept = old is not None and old.op is node.op and old.attrs == node.attrs
        if not kept and (name not in node.origin.passes if name else not node.origin.passes):
            yield node


def check_rule(
    motif: Motif,
    applied: GraphPass,
    *,
    promise: str | None = None,
    kinds: Sequence[int] = KINDS,
    max_examples: int = 50,
) -> None:
    """Hold a pass to its promise on graphs in which the pattern of one of its rules is planted.

    Args:
        motif: builds the pattern from a `Draw`: operands, axes and attributes are drawn.
        applied: the pass that has the rule.
        promise: see `check_pass`.
        kinds: of inputs; see `inputs_for`.
        max_examples: so many random graphs.

    Raises:
        AssertionError: as `check_pass`, and if the pass leaves every such graph as it is.
    """
    seen: list[bool] = []

    def watched(graph: Graph) -> Graph:
        after = applied(graph)
        seen.append(not equal(graph, after))
        return after

    kept = promise or promise_of(applied)
    _on_many(
        planted(motif),
        lambda graph: _check_once(watched, graph, kept, False, (), kinds),
        max_examples,
    )
    assert any(seen), f"{name_of(applied)} never changes a graph that has this pattern"


# --- ops ----------------------------------------------------------------------------------------


def check_op(op: Op, *, backends: Sequence[str] = (), max_examples: int = 25) -> None:
    """Hold an op to the laws of all ops, on samples of itself.

    Its samples are well-formed and survive their text form; it maps over an axis that it has never
    heard of, in any operand; its body, if it has one, means what it does; backends agree with it.

    Raises:
        AssertionError: says which law is broken, and shows the sample.
    """

    def check(sample: Sample) -> None:
        verify(sample.graph)
        assert equal(parse(str(sample.graph), sample.graph.store), sample.graph)
        for inputs in typical_inputs(sample.graph, 2):
            check_polymorphism(sample, inputs)
        if backends:
            check_backends(sample.graph, backends=backends)

    _on_many(samples(op), check, max_examples)


def check_polymorphism(sample: Sample, inputs: Inputs) -> None:
    """op(stack(xs, w)) = stack(op(x) for x in xs), for every operand.

    An output of a region that does not depend on the operand need not have the axis.

    Raises:
        AssertionError: says for which operand, and shows the sample.
    """
    graph, node = sample.graph, sample.node
    other = {name: np.flip(array) for name, array in inputs.items()}
    symbols = bind(graph, inputs).symbols
    first, second = (_operands(graph, node, given) for given in (inputs, other))
    for place in range(len(node.inputs)):
        try:
            _check_stacked(Law(graph, node, place, symbols), first, second[place])
        except AssertionError as error:
            message = f"{error}\n\nfor operand {place} of\n{graph}\non {told(inputs)}"
            raise AssertionError(message) from error


_EXTRA = "an axis that no op has heard of"


def _check_stacked(law: Law, first: list[NamedArray], second: NamedArray) -> None:
    """Compare one application to stacked operands with two applications."""
    place = law.place
    axes = first[place].axes
    others, stacked = list(first), list(first)
    others[place] = second.order(*(a for a in axes if a is not None))
    pair = np.stack([first[place].array, others[place].array])
    stacked[place] = NamedArray(pair, (_EXTRA, *axes))
    many, one = law.alone(_EXTRA), law.alone()
    found = evaluated(many, law.inputs(stacked))
    for world, operands in enumerate((first, others)):
        rows = {}
        for wide, port in zip(many.outputs, one.outputs, strict=True):
            mapped = _EXTRA in wide.layout
            assert mapped or law.node.regions, f"{law.node.op.name} loses the axis"
            row = NamedArray(found[wide.name], wide.layout)
            row = row[{_EXTRA: world}] if mapped else row
            rows[port.name] = row.order(*(a for a in port.layout if a is not None)).array
        expected = Expected.of(one, law.inputs(operands))
        expected.check(rows, f"{law.node.op.name} over one more axis, at {world},")


@frozen(eq=False)
class Law:
    """A node of a graph by itself, at sizes, with one operand of interest."""

    graph: Graph
    node: Node
    place: int
    symbols: Mapping[str, int]

    def alone(self, extra: str = "") -> Graph:
        """The node as a graph whose inputs are its operands, one with an extra axis of size 2."""
        typing = Typing(self.graph.axes)
        builder = Builder(typing)
        values = []
        for place, value in enumerate(self.node.inputs):
            axes = value.type.axes
            if extra and place == self.place:
                typing.make(extra, 2)
                axes = (extra, *axes)
            values.append(Value(value.type.with_axes(axes), f"x{place}"))
        terms = [Term(value, builder) for value in values]
        with builder:
            outputs = builder.emit(
                self.node.op, terms, self.node.attrs.as_dict(), self.node.regions
            )
        ports = [Port(value.name, value, value.type.axes) for value in values]
        for name in self.symbols:
            axis = next(a for a, size in self.graph.axes.items() if size == symbol(name))
            ports.append(Port(name, Value(Type(DType.boolean, (axis,)), name), (axis,)))
        return Graph(
            tuple(ports),
            (),
            tuple(builder.nodes),
            tuple(Port(f"y{i}", x.value, x.axes) for i, x in enumerate(outputs)),
            typing.table,
        )

    def inputs(self, operands: Sequence[NamedArray]) -> dict[str, Array]:
        """The operands by name, and an array of the length that each symbol has."""
        sizes = {name: np.zeros(size, np.bool_) for name, size in self.symbols.items()}
        return {f"x{i}": np.asarray(x.array) for i, x in enumerate(operands)} | sizes


def _operands(graph: Graph, node: Node, inputs: Inputs) -> list[NamedArray]:
    """What the operands of a node are when the graph runs, in the layout of their types."""
    given = [NamedArray(inputs[port.name], port.layout).squeeze() for port in graph.inputs]
    region = Region(graph.region.inputs, graph.nodes[: graph.nodes.index(node)], node.inputs)
    with np.errstate(all="ignore"):
        found = At(graph.axes, bind(graph, inputs).symbols).run(region, given)
    return [x.order(*value.axes) for x, value in zip(found, node.inputs, strict=True)]


# --- backends -----------------------------------------------------------------------------------


def check_backends(
    graph: Graph, inputs: Inputs | None = None, *, backends: Sequence[str] = BACKENDS
) -> list[Refusal]:
    """Run a graph on backends and hold them to the reference; what they refuse by name.

    Raises:
        AssertionError: names the backend and shows the elements that differ, and the graph.
    """
    refusals = []
    for given_inputs in [inputs] if inputs is not None else typical_inputs(graph):
        expected = Expected.of(graph, given_inputs)
        for backend in backends:
            found = run_on(backend, graph, given_inputs)
            if isinstance(found, Refusal):
                refusals.append(found)
                continue
            try:
                expected.check(found, backend)
            except AssertionError as error:
                raise AssertionError(f"{error}\n\non {told(given_inputs)}\n\n{graph}") from error
    return refusals
