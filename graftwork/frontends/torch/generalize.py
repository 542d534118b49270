"""One graph for every length, from the graphs of a program at two lengths.

The two graphs have the same nodes. Every number in which they differ must be affine in the length,
which takes its place as a symbol. That is a conjecture: the type rules check it for all lengths,
and its caller by running the graph at others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve, frozen

from graftwork.ir.attributes import SIZE, SIZES, Attrs, Literal
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.sizes import Size, polynomial, symbol, terms


@frozen
class Lengths:
    """A named axis, and the two lengths at which a program was traced."""

    name: str
    short: int
    long: int

    def __call__(self, a: Size, b: Size) -> Size:
        """The size that is `a` at the one length and `b` at the other.

        Raises:
            ConversionError: if no size that is affine in the length is.
        """
        total: Size = 0
        one, other = dict(terms(a)), dict(terms(b))
        for monomial in dict.fromkeys((*one, *other)):
            first, last = one.get(monomial, 0), other.get(monomial, 0)
            slope, rest = divmod(last - first, self.long - self.short)
            if rest:
                raise ConversionError(
                    f"a size is {a} where {self.name!r} is {self.short}, but {b} where it is "
                    f"{self.long}: that is no multiple of it and a constant"
                )
            affine = first + slope * (symbol(self.name) - self.short)
            total = total + polynomial({monomial: 1}) * affine
        return total


def generalized(short: Graph, long: Graph, lengths: Lengths) -> Graph:
    """The graph that is the one at the first length and the other at the second.

    Raises:
        ConversionError: if the two differ in more than numbers that are affine in the length.
    """
    if _face(short) != _face(long):
        raise ConversionError("the model has other inputs, outputs or parameters at each length")
    pairs = dict(zip(short.region.inputs, long.region.inputs, strict=True))
    nodes = tuple(_nodes(short.nodes, long.nodes, pairs, lengths))
    ends = zip(short.outputs, long.outputs, strict=True)
    if any(pairs[a.value] is not b.value for a, b in ends):
        raise ConversionError("the model gives other results at each length")
    return short.evolve(
        nodes=nodes,
        axes={axis: lengths(size, long.axes[axis]) for axis, size in short.axes.items()},
        guards=tuple(_guards(short.guards, long.guards, lengths)),
    )


def _face(graph: Graph) -> tuple[object, ...]:
    """What is seen of a graph from outside, less its sizes."""
    ports: Sequence[Port | Parameter] = (*graph.inputs, *graph.parameters, *graph.outputs)
    return (*((p.name, p.layout, p.value.type.dtype) for p in ports), graph.axes.keys())


def _nodes(
    short: Sequence[Node], long: Sequence[Node], pairs: dict[Value, Value], lengths: Lengths
) -> Iterator[Node]:
    """Nodes generalised one by one; `pairs` grows by the values that they define."""
    if len(short) != len(long):
        raise ConversionError(
            f"where {lengths.name!r} is {lengths.short} the model takes {len(short)} operations, "
            f"where it is {lengths.long} it takes {len(long)}, besides what its loops repeat"
        )
    for a, b in zip(short, long, strict=True):
        same = a.op is b.op and len(a.inputs) == len(b.inputs)
        if not same or any(pairs[x] is not y for x, y in zip(a.inputs, b.inputs, strict=True)):
            raise ConversionError(f"the model computes {a.op.name} ({a.origin}) of other arrays")
        regions = tuple(_region(x, y, lengths) for x, y in zip(a.regions, b.regions, strict=True))
        pairs |= zip(a.outputs, b.outputs, strict=True)
        yield _node(evolve(a, regions=regions), b, lengths)


def _region(short: Region, long: Region, lengths: Lengths) -> Region:
    pairs = dict(zip(short.inputs, long.inputs, strict=True))
    nodes = tuple(_nodes(short.nodes, long.nodes, pairs, lengths))
    if any(pairs[a] is not b for a, b in zip(short.outputs, long.outputs, strict=True)):
        raise ConversionError("the steps of a loop give other results at each length")
    return evolve(short, nodes=nodes)


def _node(a: Node, b: Node, lengths: Lengths) -> Node:
    """One node with the numbers of both."""
    if a.attrs == b.attrs:
        return a
    if a.op.name == "constant":
        return _counted(a, b, lengths)
    merged: dict[str, Any] = {}
    for spec in a.op.attrs:
        one, other = a.attrs[spec.name], b.attrs[spec.name]
        if Attrs(((spec.name, one),)) == Attrs(((spec.name, other),)):
            merged[spec.name] = one
        elif spec.kind is SIZE:
            merged[spec.name] = lengths(one, other)
        elif spec.kind is SIZES and len(one) == len(other):
            merged[spec.name] = tuple(map(lengths, one, other))
        else:
            raise ConversionError(
                f"{spec.name}= of {a.op.name} is {one} at one length but {other} at the other "
                f"(from {a.origin})"
            )
    return evolve(a, attrs=a.op.attributes(merged))


def _counted(a: Node, b: Node, lengths: Lengths) -> Node:
    """A constant that is a whole number computed from the length."""
    one, other = a.attrs["value"], b.attrs["value"]
    if a.attrs["axes"] or b.attrs["axes"] or not (_is_whole(one) and _is_whole(other)):
        raise ConversionError(f"a constant depends on the length (from {a.origin})")
    size = lengths(int(one.item()), int(other.item()))
    attrs = REGISTRY["size"].attributes({"value": size, "dtype": one.dtype})
    return evolve(a, op=REGISTRY["size"], attrs=attrs)


def _is_whole(literal: Literal) -> bool:
    number = 0.5 if literal.shape else literal.item()
    return not isinstance(number, bool) and abs(number) < 2**31 and number == int(number)


def _guards(short: Sequence[Guard], long: Sequence[Guard], lengths: Lengths) -> Iterator[Guard]:
    if len(short) != len(long):
        raise ConversionError("the model assumes other things of its sizes at each length")
    for a, b in zip(short, long, strict=True):
        if (a.low, a.high) != (b.low, b.high):
            raise ConversionError(f"the model assumes {a.size} in another range at each length")
        yield evolve(a, size=lengths(a.size, b.size))
