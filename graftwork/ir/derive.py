"""Derivatives of graphs, as graphs.

`push` carries tangents forward through a region by the rules of its ops: the Jacobian-vector
product. `linearize` separates what it builds into a primal part and a part that is linear in the
tangents; `transpose` runs that part backward: the vector-Jacobian product. What is built are
ordinary nodes, which every backend runs and every pass rewrites (Radul et al. 2023, "You only
linearize once").

A tangent or cotangent of None is zero, and costs nothing. Integers and bools have none. A
composite opens, unless it has a rule of its own. An op may broadcast an operand by name, so a
cotangent is summed over the axes that its operand lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from attrs import frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_control import BACKWARD, FORWARD
from graftwork.ir.derive_parts import Tangent, fresh, materialized
from graftwork.ir.errors import DTypeError, UnsupportedOpError
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.infer import expand
from graftwork.ir.op import Op
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.types import Typing


@frozen(eq=False)
class Linear:
    """The linear part of a derivative: nodes that depend on tangents.

    They also read values of the primal part, which is in the builder that `linearize` was given.

    Attributes:
        inputs: the tangents that come in.
        nodes: each linear in what depends on the inputs.
        outputs: the tangents that go out; None is zero.
    """

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value | None, ...]


# --- forward ------------------------------------------------------------------------------------


def push(
    builder: Builder, region: Region, primals: Sequence[Term], tangents: Sequence[Tangent]
) -> tuple[list[Term], list[Tangent]]:
    """Build a region and its derivative in the direction of `tangents`.

    Args:
        primals: one term for each input of the region.
        tangents: for each of them its direction, which may have axes of its own, or None for zero.

    Returns:
        The outputs and their tangents.

    Raises:
        UnsupportedOpError: if an op that a tangent reaches has no derivative.
    """
    env = dict(zip(region.inputs, primals, strict=True))
    rates = {
        value: as_wide(rate, primal)
        for value, rate, primal in zip(region.inputs, tangents, primals, strict=True)
    }
    outer = builder.origin
    with builder:
        for node in region.nodes:
            builder.origin = outer if node.origin == UNKNOWN else node.origin
            operands = [env[value] for value in node.inputs]
            moving = [rates[value] for value in node.inputs]
            outputs, moved = push_node(builder, node, operands, moving)
            for value, output, rate in zip(node.outputs, outputs, moved, strict=True):
                env[value] = output
                rates[value] = as_wide(rate, output)
    builder.origin = outer
    return [env[v] for v in region.outputs], [rates[v] for v in region.outputs]


def as_wide(rate: Tangent, output: Term) -> Tangent:
    """Only floats have a tangent; it has at least the axes of its value."""
    return rate.broadcast(*output.axes) if rate is not None and output.dtype.is_float else None


def push_node(
    builder: Builder,
    node: Node,
    operands: list[Term],
    rates: list[Tangent],
    known: Sequence[Term] | None = None,
) -> tuple[Sequence[Term], Sequence[Tangent]]:
    """The outputs of one node, which may be `known` already, and their tangents."""
    op, attrs = node.op, node.attrs.as_dict()
    active = {i for i, rate in enumerate(rates) if rate is not None}
    still = not active or not any(value.type.dtype.is_float for value in node.outputs)
    if not still and op.name in FORWARD:
        return FORWARD[op.name](builder, node, operands, rates, push)
    linear = active <= linear_places(op, len(operands))
    if not still and op.jvp is None and not linear:
        return push(builder, _opened(builder.typing, node, operands), operands, rates)
    outputs = builder.emit(op, operands, attrs, node.regions) if known is None else known
    if still:
        return outputs, [None] * len(outputs)
    if op.jvp is None:
        return outputs, _push_linear(builder, node, operands, rates)
    try:
        return outputs, op.jvp(operands, rates, outputs, **attrs)
    except UnsupportedOpError as error:
        raise UnsupportedOpError(f"{error} (from {node.origin})") from error


def _push_linear(
    builder: Builder, node: Node, operands: list[Term], rates: list[Tangent]
) -> Sequence[Term]:
    """The op itself on tangents: of all operands at once, or of a product one after another."""
    op, attrs = node.op, node.attrs.as_dict()
    linear = linear_places(op, len(operands))
    if not op.multilinear:
        mixed = [
            materialized(rate, x) if i in linear else x
            for i, (x, rate) in enumerate(zip(operands, rates, strict=True))
        ]
        return builder.emit(op, mixed, attrs)
    total: Tangent = None
    for i, rate in enumerate(rates):
        if rate is not None:
            (part,) = builder.emit(op, [*operands[:i], rate, *operands[i + 1 :]], attrs)
            total = part if total is None else total + part
    return [] if total is None else [total]


def linear_places(op: Op, count: int) -> frozenset[int]:
    """The positions of the operands that an op is linear in, when it has `count` of them."""
    words = op.operands.split()
    places = set(op.linear or ())
    if places and words[max(places)].startswith("*"):
        places.update(range(max(places), count))
    return frozenset(places)


def _opened(typing: Typing, node: Node, operands: Sequence[Term]) -> Region:
    """The body of a composite.

    Raises:
        UnsupportedOpError: if the op is primitive, and hence has no derivative.
    """
    if node.op.body is None:
        raise UnsupportedOpError(
            f"{node.op.name} has no derivative here (from {node.origin}); put stop_gradient before "
            "it, or define the op with a jvp rule"
        )
    return expand(typing, node.op, node.attrs, [x.type for x in operands]).region


def jvp_region(typing: Typing, region: Region, active: Collection[int]) -> Region:
    """A region with its derivative.

    Args:
        typing: the axis table, which the rules may extend.
        active: positions of the inputs that have a tangent.

    Returns:
        A region from the inputs, then a tangent of each active one, to the outputs, then a
        tangent of each output that is a float.

    Raises:
        DTypeError: if an active input is not a float.
        UnsupportedOpError: if an op on the way has no derivative.
    """
    builder = Builder(typing)
    primals = fresh(builder, region.inputs)
    seeds = _seeds(builder, primals, active)
    outputs, rates = push(builder, region, primals, [seeds.get(i) for i in range(len(primals))])
    moved = [
        materialized(rate, output)
        for output, rate in zip(outputs, rates, strict=True)
        if output.dtype.is_float
    ]
    return Region(
        tuple(term.value for term in (*primals, *seeds.values())),
        tuple(builder.nodes),
        tuple(term.value for term in (*outputs, *moved)),
    )


def _seeds(builder: Builder, primals: Sequence[Term], active: Collection[int]) -> dict[int, Term]:
    """A fresh tangent for each active input."""
    for i in active:
        if not primals[i].dtype.is_float:
            raise DTypeError(f"{primals[i].value!r} is not a float, so it has no derivative")
    return {i: Term(Value(primals[i].type), builder) for i in sorted(active)}


# --- backward -----------------------------------------------------------------------------------


def linearize(
    builder: Builder, region: Region, primals: Sequence[Term], active: Collection[int]
) -> tuple[list[Term], Linear]:
    """Build a region, and its derivative at that point as a linear map of its own.

    Returns:
        The outputs, and the map from the tangents of the active inputs to those of the outputs.

    Raises:
        DTypeError: if an active input is not a float.
        UnsupportedOpError: if an op on the way has no derivative.
    """
    scratch = Builder(builder.typing, builder.origin)
    inside = [Term(x.value, scratch) for x in primals]
    seeds = _seeds(scratch, inside, active)
    outputs, rates = push(scratch, region, inside, [seeds.get(i) for i in range(len(inside))])
    linear = separated(builder, scratch, list(seeds.values()), rates)
    return [Term(x.value, builder) for x in outputs], linear


def separated(
    builder: Builder, scratch: Builder, seeds: Sequence[Term], outputs: Sequence[Tangent]
) -> Linear:
    """Keep apart what depends on the seeds, and give all else to the builder."""
    inputs = tuple(seed.value for seed in seeds)
    reached = set(inputs)
    linear: list[Node] = []
    for node in scratch.nodes:
        if any(value in reached for value in node.inputs):
            linear.append(node)
            reached.update(node.outputs)
        else:
            builder.append([node])
    ends = [term.value if term is not None and term.value in reached else None for term in outputs]
    return Linear(inputs, tuple(linear), tuple(ends))


def transpose(builder: Builder, linear: Linear, cotangents: Sequence[Tangent]) -> list[Tangent]:
    """Run a linear map backward.

    Args:
        builder: holds the primal part that the map reads.
        cotangents: one for each output of the map, or None for zero. They may have axes that the
            map does not know.

    Returns:
        The cotangents of the inputs of the map.

    Raises:
        UnsupportedOpError: if an op of the map has no transpose, such as a `while` loop.
    """
    pulled = _Cotangents(linear, cotangents)
    reached = {*linear.inputs, *(v for node in linear.nodes for v in node.outputs)}
    outer = builder.origin
    with builder:
        pulled.start(cotangents)
        for node in reversed(linear.nodes):
            given = pulled.take(node.outputs)
            if all(ct is None for ct in given):
                continue
            builder.origin = node.origin
            active = [i for i, value in enumerate(node.inputs) if value in reached]
            found = _pull_node(builder, node, active, given)
            for i, ct in found.items():
                pulled.add(node.inputs[i], ct)
    builder.origin = outer
    return pulled.take(linear.inputs)


class _Cotangents:
    """The cotangents that are known so far, each with just the axes of its value.

    Axes that the given cotangents have beyond the outputs are free: everything maps over them.
    """

    def __init__(self, linear: Linear, cotangents: Sequence[Tangent]) -> None:
        self.known: dict[Value, Term] = {}
        self.outputs = linear.outputs
        pairs = zip(linear.outputs, cotangents, strict=True)
        self.free = {
            axis
            for value, ct in pairs
            if value is not None and ct is not None
            for axis in ct.axes
            if axis not in value.type.axis_set
        }

    def start(self, cotangents: Sequence[Tangent]) -> None:
        for value, ct in zip(self.outputs, cotangents, strict=True):
            if value is not None:
                self.add(value, ct)

    def add(self, value: Value, ct: Tangent) -> None:
        if ct is None:
            return
        extra = [a for a in ct.axes if a not in value.type.axis_set and a not in self.free]
        fitted = (ct.sum(*extra) if extra else ct).broadcast(*value.axes)
        known = self.known.get(value)
        self.known[value] = fitted if known is None else known + fitted

    def take(self, values: Sequence[Value]) -> list[Tangent]:
        return [self.known.pop(value, None) for value in values]


def _pull_node(
    builder: Builder, node: Node, active: list[int], cotangents: Sequence[Tangent]
) -> Mapping[int, Tangent]:
    """The cotangents of the active operands of one node of a linear map."""
    op = node.op
    operands = [Term(value, builder) for value in node.inputs]
    if op.name in BACKWARD:
        return BACKWARD[op.name](builder, node, operands, active, cotangents, pull)
    if op.transpose is None and op.body is not None:
        region = _opened(builder.typing, node, operands)
        found = pull(builder, region, operands, active, cotangents)
        return dict(zip(active, found, strict=True))
    linear = set(active) <= linear_places(op, len(operands))
    if op.transpose is None or not linear or (op.multilinear and len(active) > 1):
        raise UnsupportedOpError(
            f"{op.name} cannot be transposed in its operands {active} (from {node.origin}); it is "
            "not linear in them, or its definition has no transpose"
        )
    attrs = node.attrs.as_dict()
    return {i: op.transpose(cotangents, operands, i, builder.typing, **attrs) for i in active}


def pull(
    builder: Builder,
    region: Region,
    operands: Sequence[Term],
    active: Sequence[int],
    cotangents: Sequence[Tangent],
) -> list[Tangent]:
    """Run a region backward that is linear in its active inputs.

    Args:
        operands: one term for each input; of the active ones only the type counts.
        cotangents: one for each output of the region.

    Returns:
        The cotangents of the active inputs.
    """
    scratch = Builder(builder.typing, builder.origin)
    inside = [Term(x.value, scratch) for x in operands]
    for i in active:
        inside[i] = Term(Value(operands[i].type), scratch)
    outputs, _ = push(scratch, region, inside, [None] * len(inside))
    linear = separated(builder, scratch, [inside[i] for i in active], outputs)
    return transpose(builder, linear, cotangents)


def vjp(
    builder: Builder, region: Region, primals: Sequence[Term], active: Collection[int]
) -> tuple[list[Term], Callable[[Sequence[Tangent]], list[Tangent]]]:
    """Build a region; its outputs, and the function from their cotangents to those of its inputs.

    Raises:
        DTypeError: if an active input is not a float.
        UnsupportedOpError: if an op on the way has no derivative.
    """
    outputs, linear = linearize(builder, region, primals, active)
    return outputs, partial(transpose, builder, linear)
