"""Random keys: one input of the graph, and from it a key of its own for every call that draws."""

from __future__ import annotations

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Port, Value
from graftwork.ir.positional import fresh
from graftwork.ir.types import Type


class Keys:
    """The random keys of a program, in the order of its calls.

    Attributes:
        builder: where the program is built; its bodies of control flow have none of its keys.
        axis: the axis of the two words of a key.
        source: the input that all keys come from.
        drawn: how many have been drawn.
    """

    def __init__(self, name: str, builder: Builder) -> None:
        self.builder = builder
        self.axis = fresh(builder.typing, 2)
        self.source = Term(Value(Type(DType.u32, (self.axis,)), name), builder)
        self.drawn = 0

    def draw(self) -> Term:
        """A new key: the source with the number of the call folded in."""
        number = self.builder.constant(self.drawn, DType.u32)
        self.drawn += 1
        key: Term = ops.random_fold_in(self.source, number, key=self.axis)
        return key

    def ports(self) -> tuple[Port, ...]:
        """The input that the keys come from, where any were drawn."""
        value = self.source.value
        return (Port(value.name or "", value, value.axes),) if self.drawn else ()
