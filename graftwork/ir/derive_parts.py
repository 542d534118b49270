"""What the derivative rules of control flow have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.types import Typing

Tangent: TypeAlias = Term | None
Push: TypeAlias = Callable[
    [Builder, Region, Sequence[Term], Sequence[Tangent]], tuple[list[Term], list[Tangent]]
]
Pull: TypeAlias = Callable[
    [Builder, Region, Sequence[Term], Sequence[int], Sequence[Tangent]], list[Tangent]
]
Forward: TypeAlias = Callable[
    [Builder, Node, list[Term], list[Tangent], Push], tuple[Sequence[Term], Sequence[Tangent]]
]
Backward: TypeAlias = Callable[
    [Builder, Node, list[Term], list[int], Sequence[Tangent], Pull], Mapping[int, Tangent]
]


@frozen(eq=False)
class Pushed:
    """A region and its derivative while they are built.

    Attributes:
        seeds: position of an input -> its tangent.
        rates: the tangents of the outputs.
    """

    builder: Builder
    primals: tuple[Term, ...]
    seeds: Mapping[int, Term]
    outputs: tuple[Term, ...]
    rates: tuple[Tangent, ...]

    def ends(self, wanted: Sequence[int]) -> tuple[Value, ...]:
        """The tangents of some outputs."""
        return values(materialized(self.rates[i], self.outputs[i]) for i in wanted)


def pushed(typing: Typing, region: Region, active: Iterable[int], push: Push) -> Pushed:
    """A region and its derivative in the active inputs, on fresh values."""
    builder = Builder(typing)
    primals = fresh(builder, region.inputs)
    seeds = {i: Term(Value(primals[i].type), builder) for i in sorted(active)}
    outputs, rates = push(builder, region, primals, [seeds.get(i) for i in range(len(primals))])
    return Pushed(builder, primals, seeds, tuple(outputs), tuple(rates))


def fresh(builder: Builder, like: Iterable[Value]) -> tuple[Term, ...]:
    """New terms of the types of some values."""
    return tuple(Term(Value(value.type, value.name), builder) for value in like)


def materialized(rate: Tangent, like: Term) -> Term:
    """The tangent or cotangent with all axes of its value; zeros for None."""
    known = like.builder.constant(0.0, like.dtype) if rate is None else rate
    return known.broadcast(*like.axes)


def plus(a: Tangent, b: Tangent) -> Tangent:
    """The sum, where None is zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def moving(rates: Sequence[Tangent]) -> list[int]:
    """Positions of those that are not zero."""
    return [i for i, rate in enumerate(rates) if rate is not None]


def values(terms: Iterable[Term]) -> tuple[Value, ...]:
    """What the terms stand for."""
    return tuple(term.value for term in terms)


def needed(nodes: Sequence[Node], outputs: Iterable[Value]) -> tuple[tuple[Node, ...], set[Value]]:
    """The nodes that outputs depend on, and all values that those nodes and outputs read."""
    live = set(outputs)
    kept: list[Node] = []
    for node in reversed(nodes):
        if any(value in live for value in node.outputs):
            kept.append(node)
            live.update(node.inputs)
    return tuple(reversed(kept)), live
