"""Derivatives between values of a graph, which are there already and are not computed again.

`tangents` says how all values move when some do, `cotangents` how much each of some values moves
others. A value in the middle of the graph counts with all that depends on it: what is asked of it
is the derivative with respect to something added to it, whatever moves before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive import as_wide, push_node, separated, transpose
from graftwork.ir.derive_parts import Tangent, needed, plus
from graftwork.ir.errors import DTypeError
from graftwork.ir.graph import Node, Value
from graftwork.ir.origin import UNKNOWN


def tangents(
    builder: Builder, nodes: Iterable[Node], seeds: Mapping[Value, Term]
) -> dict[Value, Term]:
    """How values move when others do: value -> its tangent, of those that move.

    Args:
        builder: where the derivative is built; the values of `nodes` are read there.
        nodes: in order.
        seeds: value -> its own tangent, to which is added what reaches it from other seeds.

    Raises:
        UnsupportedOpError: if an op that a tangent reaches has no derivative.
    """
    rates = dict(seeds)
    outer = builder.origin
    with builder:
        for node in nodes:
            moving = [rates.get(value) for value in node.inputs]
            if all(rate is None for rate in moving):
                continue
            builder.origin = outer if node.origin == UNKNOWN else node.origin
            operands = [Term(value, builder) for value in node.inputs]
            outputs = [Term(value, builder) for value in node.outputs]
            _, moved = push_node(builder, node, operands, moving, outputs)
            for output, rate in zip(outputs, moved, strict=True):
                total = plus(rates.get(output.value), as_wide(rate, output))
                if total is not None:
                    rates[output.value] = total
    builder.origin = outer
    return rates


def cotangents(
    builder: Builder, nodes: Sequence[Node], of: Mapping[Value, Term], at: Iterable[Value]
) -> dict[Value, Tangent]:
    """How much values move others: value of `at` -> its cotangent, None if it moves nothing.

    Args:
        builder: where the derivative is built; the values of `nodes` are read there.
        nodes: in order.
        of: value -> its cotangent, which may have axes that the value lacks.

    Raises:
        DTypeError: if a value of `at` is not a float.
        UnsupportedOpError: if an op between the values has no derivative or no transpose.
    """
    scratch = Builder(builder.typing, builder.origin)
    seeds: dict[Value, Term] = {}
    for value in at:
        if not value.type.dtype.is_float:
            raise DTypeError(f"{value!r} is not a float, so nothing has a derivative in it")
        seeds[value] = Term(Value(value.type), scratch)
    between, _ = needed(nodes, of)
    rates = tangents(scratch, between, seeds)
    ends = [rates.get(value) for value in of]
    linear = separated(builder, scratch, list(seeds.values()), ends)
    return dict(zip(seeds, transpose(builder, linear, list(of.values())), strict=True))
