"""Sums along the residual stream: products over heads or neurons, and where a sum is bent."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.derive import linear_places
from graftwork.ir.graph import Node, Value
from graftwork.passes.sites.stream import Flow


@frozen(eq=False)
class Product:
    """A product as a sum over heads or neurons: of what each holds with its weights.

    Attributes:
        operand: what they hold.
        weight: the weights.
        axis: that which tells them apart; None if the product is one.
        merged: axis of the product -> the axes that were merged into it.
        over: the axes that the part of one is summed over.
    """

    operand: Value
    weight: Value
    axis: str | None
    merged: tuple[tuple[str, tuple[str, ...]], ...]
    over: tuple[str, ...]

    def factors(self, x: Term) -> tuple[Term, Term]:
        """An operand and the weights, with their own axis apart."""
        both = x, Term(self.weight, x.builder)
        for whole, parts in self.merged:
            sizes = {axis: x.builder.typing.size(axis) for axis in parts}
            both = both[0].split(whole, **sizes), both[1].split(whole, **sizes)
        return both

    def results(self, x: Term) -> Term:
        """What each head or neuron gives, from an operand of all."""
        held, weight = self.factors(x)
        return ops.contract(held, weight, over=self.over) if self.over else held * weight


def apart(flow: Flow, node: Node, operand: Value, held: Value, axis: str | None) -> Product | None:
    """How a product sums over an axis of `held`, which its operand is made of; None if it does not.

    Args:
        node: a product of two values, perhaps with a bias.
    """
    over = tuple(node.attrs["over"])
    merged = tuple(
        (inner.attrs["into"], tuple(inner.attrs["axes"]))
        for inner in flow.between(held, operand)
        if inner.op.name == "merge" and inner.attrs["into"] in over
    )
    parts = [part for whole in over for part in dict(merged).get(whole, (whole,))]
    if axis not in parts:
        return None
    rest = tuple(part for part in parts if part != axis)
    return Product(operand, other_factor(node, operand), axis, merged, rest)


def other_factor(node: Node, operand: Value) -> Value:
    """What a product multiplies one of its factors with."""
    return next(x for x in node.inputs[:2] if x is not operand)


def first_bent(nodes: Iterable[Node], moving: set[Value], *, affine: bool = False) -> Node | None:
    """The first node that is not linear in the values that move, or reads two of them as factors.

    A sum may have a term that does not move; a product may have a bias if `affine`.
    """
    moving = set(moving)
    for node in nodes:
        active = {place for place, value in enumerate(node.inputs) if value in moving}
        if not active:
            continue
        straight = active <= linear_places(node.op, len(node.inputs))
        straight = straight or (affine and node.op.name == "linear")
        if not straight or (node.op.multilinear and len(active) > 1):
            return node
        moving.update(node.outputs)
    return None
