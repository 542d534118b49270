"""Layers that repeat, rolled into a scan: the inverse of writing one out.

A compiler that compiles the body of a loop once (XLA) then compiles one layer instead of all of
them. This comes after all edits: a layer that was edited by itself repeats no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.edits import with_values
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Node, Parameter, Region, Value
from graftwork.ir.names import unused
from graftwork.ir.op import REGISTRY
from graftwork.ir.sites import Place
from graftwork.ir.store import Lazy, Store, as_numpy
from graftwork.ir.types import Type, Typing
from graftwork.passes.base import Pass
from graftwork.passes.repeats import Carried, Outer, Own, Repeats, Spot, repeats

Array = np.ndarray[Any, Any]

_LAYERS = "layers"


@frozen
class Roll(Pass):
    """Write layers that repeat as scans over an axis `layers`.

    Layers repeat if they apply the same ops to values of equal types and differ in what they read:
    parameters above all, which are stacked when a program takes them, as a copy. Sites stay, each
    at its step.

    Raises:
        SelectionError: if nothing repeats.
    """

    promise = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        found = repeats(graph)
        if found is None:
            raise SelectionError("no layers repeat in this graph, so there is nothing to roll")
        while found is not None:
            graph = _rolled(graph, found)
            found = repeats(graph)
        return graph


@frozen(eq=False)
class _Body:
    """What one step computes, and what it reads.

    Attributes:
        nodes: those of a step, of values of their own.
        own: what they define.
        carried: what comes from the step before -> the value that the nodes read.
        outer: what comes from outside, likewise.
    """

    nodes: tuple[Node, ...]
    own: Mapping[Spot, Value]
    carried: Mapping[Carried, Value]
    outer: Mapping[Outer, Value]

    def read(self, constant: bool) -> dict[Outer, Value]:
        """What comes from outside and is the same at all steps, or is not."""
        return {of: value for of, value in self.outer.items() if of.is_constant is constant}


def _body(found: Repeats) -> _Body:
    own: dict[Spot, Value] = {}
    carried: dict[Carried, Value] = {}
    outer: dict[Outer, Value] = {}
    nodes = []
    for number, (node, sources) in enumerate(zip(found.steps[0], found.sources, strict=True)):
        inputs = []
        for value, source in zip(node.inputs, sources, strict=True):
            match source:
                case Own():
                    inputs.append(own[source.spot])
                case Carried():
                    inputs.append(carried.setdefault(source, Value(value.type, value.name)))
                case Outer():
                    inputs.append(outer.setdefault(source, Value(value.type, value.name)))
        outputs = tuple(Value(value.type, value.name) for value in node.outputs)
        own |= {(number, place): value for place, value in enumerate(outputs)}
        origin = node.origin.through("Roll")
        nodes.append(Node(node.op, tuple(inputs), outputs, node.attrs, node.regions, origin))
    return _Body(tuple(nodes), own, carried, outer)


def _rolled(graph: Graph, found: Repeats) -> Graph:
    """The graph with a scan in the place of the stretches that repeat."""
    body, before, after = _body(found), graph.nodes[: found.start], graph.nodes[found.stop :]
    typing = Typing(graph.axes)
    axis = typing.fresh(_LAYERS)
    typing.table[axis] = len(found.steps)
    builder = Builder(typing, found.steps[0][0].origin.through("Roll"))
    stacks = _stacks(graph, axis, body.read(constant=False))
    reads = {value for node in after for value in node.inputs}
    reads |= {port.value for port in graph.outputs}
    wanted = {value: at for value, at in found.places.items() if value in reads}
    results = _scan(builder, axis, body, stacks, wanted)
    names = {term.value: value for value, term in results.items()}
    nodes = (*before, *(with_values(node, names) for node in builder.nodes), *after)
    stacked = {value for of in stacks for value in of.values}
    stacked.difference_update(reads, *(node.inputs for node in nodes))
    return graph.evolve(
        parameters=(
            *(known for known in graph.parameters if known.value not in stacked),
            *(stack.parameter for stack in stacks.values()),
        ),
        nodes=nodes,
        axes=typing.table,
        store=graph.store.over({s.parameter.name: Lazy(s.make) for s in stacks.values()}),
        sites=graph.sites.moved(partial(_moved, _steps(found, body))),
    )


def _scan(
    builder: Builder,
    axis: str,
    body: _Body,
    stacks: Mapping[Outer, _Stack],
    wanted: Mapping[Value, tuple[int, Spot]],
) -> dict[Value, Term]:
    """The scan, and what becomes of the values that are read after it."""
    terms = partial(Term, builder=builder)
    constant, each = body.read(constant=True), body.read(constant=False)
    operands = [terms(of.first) for of in body.carried]
    for of in each:
        if of in stacks:
            operands.append(terms(stacks[of].parameter.value))
        else:
            axes = (axis,) * len(of.values)
            operands.append(ops.concat(*map(terms, of.values), axes=axes, into=axis))
    operands += [terms(of.values[0]) for of in constant]
    last = builder.typing.size(axis) - 1
    ends = {of.spot: place for place, of in reversed([*enumerate(body.carried)])}
    rows = {spot for step, spot in wanted.values() if step != last or spot not in ends}
    spots = [*(of.spot for of in body.carried), *sorted(rows)]
    region = Region(
        (*body.carried.values(), *each.values(), *constant.values()),
        body.nodes,
        tuple(body.own[spot] for spot in spots),
    )
    attrs = {"axis": axis, "carry": len(body.carried), "xs": len(each)}
    results = builder.emit(REGISTRY["scan"], operands, attrs, (region,))
    stacked = dict(zip(sorted(rows), results[len(body.carried) :], strict=True))
    return {
        value: results[ends[spot]] if step == last and spot in ends
        else ops.index(stacked[spot], axis=axis, at=step)
        for value, (step, spot) in wanted.items()
    }  # fmt: skip


# --- parameters


@frozen(eq=False)
class _Stack:
    """The parameters of all steps as one, and what makes its array."""

    parameter: Parameter
    make: Callable[[], Array]


def _stacks(graph: Graph, axis: str, read: Iterable[Outer]) -> dict[Outer, _Stack]:
    """Of what is a parameter at every step, all of one layout."""
    known = {parameter.value: parameter for parameter in graph.parameters}
    taken = {name for each in graph.parameters for name in (each.name, *each.aliases)}
    stacks = {}
    for of in read:
        found = [known[value] for value in of.values if value in known]
        if len(found) < len(of.values) or len({each.layout for each in found}) > 1:
            continue
        names = [each.name for each in found]
        name = unused(_name(names), taken)
        taken.add(name)
        first = found[0].value
        value = Value(Type(first.type.dtype, (axis, *first.axes)), first.name)
        trainable = all(each.trainable for each in found)
        parameter = Parameter(name, value, (axis, *found[0].layout), (), trainable)
        stacks[of] = _Stack(parameter, partial(_stack, graph.store, names))
    return stacks


def _stack(store: Store, names: Sequence[str]) -> Array:
    return np.stack([as_numpy(store[name]) for name in names])


def _name(names: Sequence[str]) -> str:
    """`h.0.weight` to `h.11.weight` are `h.0-11.weight`."""
    paths = [name.split(".") for name in names]
    if len({len(path) for path in paths}) > 1:
        return f"{names[0]}-{names[-1]}"
    parts = zip(paths[0], paths[-1], strict=True)
    return ".".join(a if a == b else f"{a}-{b}" for a, b in parts)


# --- sites


def _steps(found: Repeats, body: _Body) -> Mapping[Value, tuple[Value, int]]:
    """Value of a repeat -> that of the body, and the step."""
    return {
        old: (new, step)
        for step, nodes in enumerate(found.steps)
        for node, inner in zip(nodes, body.nodes, strict=True)
        for old, new in zip(_values(node), _values(inner), strict=True)
    }


def _values(node: Node) -> Iterator[Value]:
    """The values that a node defines, and those inside of it."""
    yield from node.outputs
    for region in node.regions:
        yield from region.inputs
        for inner in region.nodes:
            yield from _values(inner)


def _moved(steps: Mapping[Value, tuple[Value, int]], place: Place) -> Place:
    if place.value not in steps:
        return place
    value, step = steps[place.value]
    return Place(value, place.inner, (step, *place.steps))
