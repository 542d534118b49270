"""Type inference of one op, and the opening of composites.

Verdicts are memoised on (op, attributes, operand types) in the `Typing` of a graph, so that
twelve equal layers cost one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from attrs import frozen

from graftwork.ir.attributes import Attrs, exact
from graftwork.ir.errors import AxisError, RewriteError
from graftwork.ir.graph import Region, Value
from graftwork.ir.op import Op
from graftwork.ir.sizes import Size
from graftwork.ir.types import Type, Typing, as_types


@frozen(eq=False)
class Expansion:
    """The body of a composite, instantiated at operand types.

    Attributes:
        region: the body as a closed region.
        marks: interior site name -> value.
        typing: the axis table, with the axes that only the body has.
        own: those axes and their sizes.
    """

    region: Region
    marks: Mapping[str, Value]
    typing: Typing
    own: Mapping[str, Size]

    def fits(self, typing: Typing) -> bool:
        """Whether no axis of the body's own has come to mean another size."""
        return all(typing.table.get(axis, size) == size for axis, size in self.own.items())


def called(
    typing: Typing, op: Op, given: Mapping[str, Any], types: Sequence[Type]
) -> tuple[Attrs, tuple[Type, ...]]:
    """The canonical attributes and the output types of an op, as somebody wrote it.

    Raises:
        AttributeTypeError: for operands or attributes that the op does not take.
        AxisError, DTypeError: if the op is not defined on these operands.
    """
    words = tuple([(name, exact(value)) for name, value in given.items()]) if given else ()
    key = (op, words, *types)
    memo: dict[Any, Any] = typing.memo
    try:
        known: tuple[Attrs, tuple[Type, ...]] | None = memo.get(key)
    except TypeError:  # a list, say, has no hash: it is read again each time
        known, key = None, ()
    if known is None:
        op.check_arity(len(types))
        attrs = op.attributes(given)
        known = attrs, infer(typing, op, attrs, types)
        if key:
            memo[key] = known
    return known


def fitted(
    typing: Typing,
    op: Op,
    given: Mapping[str, Any],
    types: Sequence[Type],
    regions: Sequence[Region],
) -> tuple[Attrs, Sequence[Region], tuple[Type, ...]]:
    """The same of an op with regions, and these at the types of its operands.

    Raises:
        AttributeTypeError, AxisError, DTypeError: as `called`.
    """
    op.check_arity(len(types))
    attrs = op.attributes(given)
    if op.fit is not None:
        regions = op.fit(typing, regions, types, **attrs.as_dict())
    return attrs, regions, infer(typing, op, attrs, types, regions)


def infer(
    typing: Typing, op: Op, attrs: Attrs, types: Sequence[Type], regions: Sequence[Region] = ()
) -> tuple[Type, ...]:
    """The output types of an op.

    Raises:
        AxisError, DTypeError: if the op is not defined on these operands.
    """
    key = (op, attrs, *types)
    if not regions and (known := typing.memo.get(key)) is not None:
        return known
    for made in types:
        if len(made.axis_set) != len(made.axes):
            raise AxisError(f"{made!r} carries an axis twice")
    if op.infer is None:
        result = _infer_body(typing, op, attrs, types)
    elif regions:
        return as_types(op.infer(typing, *types, regions=regions, **attrs.as_dict()))
    else:
        result = as_types(op.infer(typing, *types, **attrs.as_dict()))
    typing.memo[key] = result = typing.shared(result)
    return result


def _infer_body(typing: Typing, op: Op, attrs: Attrs, types: Sequence[Type]) -> tuple[Type, ...]:
    body = expand(typing, op, attrs, types)
    result = tuple(value.type for value in body.region.outputs)
    for axis in dict.fromkeys(a for made in result for a in made.axes):
        if not any(axis in x.axis_set for x in types):
            typing.make(axis, body.typing.size(axis))
    return result


def expand(typing: Typing, op: Op, attrs: Attrs, types: Sequence[Type]) -> Expansion:
    """Instantiate a composite's body at operand types.

    Raises:
        RewriteError: if the op is primitive.
    """
    from graftwork.ir.build import Builder, Term

    if op.body is None:
        raise RewriteError(f"{op.name} is primitive: it has no body to open")
    key = ("body", op, attrs, *types)
    memo: dict[Any, Any] = typing.memo
    known: Expansion | None = memo.get(key)
    if known is not None and known.fits(typing):
        return known
    scratch = Typing(typing.table)
    builder = Builder(scratch)
    inputs = tuple(
        Value(x, word.strip("*?"))
        for x, word in zip(types, _words(op.operands, len(types)), strict=True)
    )
    with builder:
        result = op.body(*(Term(value, builder) for value in inputs), **attrs.as_dict())
    outputs = (result,) if isinstance(result, Term) else tuple(result)
    region = Region(inputs, tuple(builder.nodes), tuple(term.value for term in outputs))
    own = dict(islice(scratch.table.items(), len(typing.table), None))
    expansion = Expansion(region, dict(builder.marks), scratch, own)
    memo[key] = expansion
    return expansion


def _words(operands: str, count: int) -> list[str]:
    words = operands.split()
    while len(words) < count:
        words.append(words[-1])
    return words[:count]
