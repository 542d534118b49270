"""Dropout whose randomness is explicit: a key is an input, and each call draws by its own of it."""

from __future__ import annotations

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.types import Type


def key_input(rewriter: Rewriter, name: str) -> Value:
    """The input that holds a random key, two u32; a new one if the graph has none of that name.

    Raises:
        InputError: if it has one that is no key.
    """
    for port in rewriter.inputs:
        if port.name == name:
            if port.value.type.dtype is not DType.u32 or len(port.value.axes) != 1:
                raise InputError(
                    f"{rewriter.by}: the input {name!r} is {port.value.type!r}, no random key; "
                    "give the key of dropout another name"
                )
            return port.value
    axis = rewriter.typing.fresh("key")
    rewriter.typing.make(axis, 2)
    return rewriter.add_input(name, Type(DType.u32, (axis,)), (axis,))


def draws(graph: Graph, name: str) -> int:
    """How many draw by a key already, so that later ones take other numbers."""
    held = [port.value for port in graph.inputs if port.name == name]
    return sum(len(graph.index.users_of(value)) for value in held)


def dropped(x: Term, key: Term, number: int, probability: float) -> Term:
    """x with elements made zero by chance, the others divided by what is left of 1."""
    (axis,), keep = key.axes, 1 - probability
    own = ops.random_fold_in(key, x.builder.constant(number, DType.u32), key=axis)
    drawn = ops.random_uniform(own, axes=x.axes, key=axis)
    return ops.select(ops.lt(drawn, keep), x / keep, 0.0)
