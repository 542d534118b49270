"""Running type inference again over a region whose inputs changed type."""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.ir.graph import Region, Value
from graftwork.ir.types import Type, Typing


def retype(
    typing: Typing, region: Region, inputs: Sequence[Type], outputs: Sequence[Type] = ()
) -> Region:
    """The region at other input types; itself where nothing changes.

    The first outputs are broadcast to the axes of `outputs`, where those are given.

    Raises:
        AxisError, DTypeError: if an op of the region is not defined on what it would read.
    """
    from graftwork.ir.build import Builder, Term

    if all(v.type.same(x) for v, x in zip(region.inputs, inputs, strict=True)) and all(
        v.type.same(x) for v, x in zip(region.outputs, outputs, strict=False)
    ):
        return region
    builder = Builder(typing)
    env: dict[Value, Value] = {
        old: Value(x, old.name) for old, x in zip(region.inputs, inputs, strict=True)
    }
    for node in region.nodes:
        builder.origin = node.origin
        operands = [Term(env[value], builder) for value in node.inputs]
        results = builder.emit(node.op, operands, node.attrs.as_dict(), node.regions)
        env |= {old: new.value for old, new in zip(node.outputs, results, strict=True)}
    results = tuple(Term(env[value], builder) for value in region.outputs)
    wide = [term.broadcast(*x.axes) for term, x in zip(results, outputs, strict=False)]
    ends = (*wide, *results[len(wide) :])
    return Region(
        tuple(env[value] for value in region.inputs),
        tuple(builder.nodes),
        tuple(term.value for term in ends),
    )
