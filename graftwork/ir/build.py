"""Building graphs with ordinary expressions.

A `Term` is a value under construction: `x + y`, `x * 0.5`, `x[{"seq": -1}]`, `x.sum("embed")`,
`ops.softmax(x, axis="kv_seq")` append nodes to its `Builder`. The same expressions write
composite bodies, derivative rules, rewrite rules and the functions that users give to `Map`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import Token
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from attrs import define

from graftwork.ir.array import by_axis
from graftwork.ir.attributes import Literal
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import AxisError, DTypeError, GraftworkError, RewriteError
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.infer import called, fitted
from graftwork.ir.op import CURRENT, REGISTRY, Op
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, maximum, minimum
from graftwork.ir.types import Type, Typing

if TYPE_CHECKING:
    from graftwork.ir.rewrite import Rewriter

Scalar: TypeAlias = bool | int | float


class Builder:
    """Appends nodes, inferring the type of each as it comes.

    As a context manager it is the place where ops without operands (`ops.iota`) build.

    Attributes:
        typing: the axis table; grows with the axes that ops make.
        nodes: what was built, in order.
        marks: interior sites named by `mark`.
        origin: given to every node that is built.
        editing: the edits of a graph that it builds for, which know the graph's inputs.
    """

    def __init__(
        self,
        typing: Typing | None = None,
        origin: Origin = UNKNOWN,
        editing: Rewriter | None = None,
    ) -> None:
        self.typing = Typing({}) if typing is None else typing
        self.editing = editing
        self.nodes: list[Node] = []
        self.marks: dict[str, Value] = {}
        self.origin = origin
        self._tokens: list[Token[Builder | None]] = []

    def __enter__(self) -> Builder:
        self._tokens.append(CURRENT.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._tokens.pop())

    def input(self, dtype: DType | str, axes: Iterable[str] | str, name: str = "") -> Term:
        """A value that comes from outside; its axes must be in the table."""
        names = tuple(axes.split()) if isinstance(axes, str) else tuple(axes)
        for axis in names:
            self.typing.size(axis)
        return Term(Value(Type(dtype_of(dtype), names), name), self)

    def emit(
        self,
        op: Op,
        operands: Sequence[Operand],
        attrs: Mapping[str, Any],
        regions: Sequence[Region] = (),
    ) -> tuple[Term, ...]:
        """Append one node.

        Raises:
            AxisError, DTypeError: if the op is not defined on these operands; the message names
                op, operands and origin.
        """
        values = self._values(op, operands)
        types = [value.type for value in values]
        try:
            if regions:
                checked, regions, results = fitted(self.typing, op, attrs, types, regions)
            else:
                checked, results = called(self.typing, op, attrs, types)
        except (AxisError, DTypeError) as error:
            raise _located(error, op, types, self.origin) from error
        outputs = tuple(map(Value, results))
        self.nodes.append(Node(op, tuple(values), outputs, checked, tuple(regions), self.origin))
        return tuple(map(Term, outputs, repeat(self)))

    def _values(self, op: Op, operands: Sequence[Operand]) -> list[Value]:
        values: list[Value] = []
        for x in operands:
            if not isinstance(x, Term) or x.builder is not self:
                break
            values.append(x.value)
        else:
            return values
        dtype = next(
            (x.dtype for x in operands if isinstance(x, Term) and x.dtype is not DType.boolean),
            DType.boolean,
        )
        values = []
        for operand in operands:
            if isinstance(operand, Term):
                if operand.builder is not self:
                    raise RewriteError(f"{op.name}: an operand belongs to another graph")
                values.append(operand.value)
            else:
                values.append(self.constant(operand, dtype).value)
        return values

    def constant(
        self, value: object, dtype: DType | str | None = None, axes: Sequence[str] = ()
    ) -> Term:
        """A small constant array over `axes`; a scalar takes `dtype`.

        Raises:
            DTypeError: for a value that the dtype cannot hold, `0.3` as an integer.
        """
        target = None if dtype is None else dtype_of(dtype)
        if target is not None and not target.is_float:
            array = np.asarray(value)
            if array.dtype.kind == "f" or (target is DType.boolean and array.dtype.kind != "b"):
                raise DTypeError(f"the constant {value!r} is no {target.value}; cast it first")
        literal = value if isinstance(value, Literal) else Literal.of(value, target)
        return self.emit(REGISTRY["constant"], (), {"value": literal, "axes": tuple(axes)})[0]

    def append(self, nodes: Iterable[Node]) -> None:
        """Take over nodes that were built elsewhere over the same axis table."""
        self.nodes.extend(nodes)


def _located(
    error: GraftworkError, op: Op, types: Sequence[Type], origin: Origin
) -> GraftworkError:
    where = "" if origin == UNKNOWN else f" (from {origin})"
    return type(error)(f"{op.name}({', '.join(map(repr, types))}): {error}{where}")


@define(eq=False, repr=False)
class Term:
    """A value under construction, with Python's operators."""

    value: Value
    builder: Builder

    __array_ufunc__ = None  # so that a NumPy number on the left leaves the operator to the term
    __hash__ = object.__hash__  # a term is a key by identity, though == compares numbers

    @property
    def type(self) -> Type:
        return self.value.type

    @property
    def dtype(self) -> DType:
        return self.value.type.dtype

    @property
    def axes(self) -> tuple[str, ...]:
        return self.value.type.axes

    def size(self, axis: str) -> Size:
        return self.builder.typing.size(axis)

    def __repr__(self) -> str:
        return f"Term({self.value!r})"

    def __neg__(self) -> Term:
        return REGISTRY["neg"](self)

    def __add__(self, other: Operand) -> Term:
        return REGISTRY["add"](self, other)

    def __radd__(self, other: Operand) -> Term:
        return REGISTRY["add"](other, self)

    def __sub__(self, other: Operand) -> Term:
        return REGISTRY["sub"](self, other)

    def __rsub__(self, other: Operand) -> Term:
        return REGISTRY["sub"](other, self)

    def __mul__(self, other: Operand) -> Term:
        return REGISTRY["mul"](self, other)

    def __rmul__(self, other: Operand) -> Term:
        return REGISTRY["mul"](other, self)

    def __truediv__(self, other: Operand) -> Term:
        return REGISTRY["div"](self, other)

    def __rtruediv__(self, other: Operand) -> Term:
        return REGISTRY["div"](other, self)

    def __floordiv__(self, other: Operand) -> Term:
        return REGISTRY["floor_div"](self, other)

    def __mod__(self, other: Operand) -> Term:
        return REGISTRY["mod"](self, other)

    def __pow__(self, other: Operand) -> Term:
        return REGISTRY["pow"](self, other)

    def __and__(self, other: Operand) -> Term:
        return REGISTRY["and"](self, other)

    def __or__(self, other: Operand) -> Term:
        return REGISTRY["or"](self, other)

    def __xor__(self, other: Operand) -> Term:
        return REGISTRY["xor"](self, other)

    def __invert__(self) -> Term:
        return REGISTRY["not"](self)

    def __lt__(self, other: Operand) -> Term:
        return REGISTRY["lt"](self, other)

    def __le__(self, other: Operand) -> Term:
        return REGISTRY["le"](self, other)

    def __gt__(self, other: Operand) -> Term:
        return REGISTRY["gt"](self, other)

    def __ge__(self, other: Operand) -> Term:
        return REGISTRY["ge"](self, other)

    def __eq__(self, other: Operand) -> Term:  # type: ignore[override]
        return REGISTRY["eq"](self, other)

    def __ne__(self, other: Operand) -> Term:  # type: ignore[override]
        return REGISTRY["ne"](self, other)

    def sum(self, *axes: str) -> Term:
        return REGISTRY["sum"](self, over=axes)

    def mean(self, *axes: str) -> Term:
        return REGISTRY["mean"](self, over=axes)

    def max(self, *axes: str) -> Term:
        return REGISTRY["max"](self, over=axes)

    def min(self, *axes: str) -> Term:
        return REGISTRY["min"](self, over=axes)

    def cast(self, dtype: DType | str) -> Term:
        """The same numbers as another dtype; itself if it has that dtype already."""
        target = dtype_of(dtype)
        return self if target is self.dtype else REGISTRY["cast"](self, dtype=target)

    def rename(self, /, **axes: str) -> Term:
        """The same array with axes renamed: `x.rename(seq="kv_seq")`."""
        return REGISTRY["rename"](self, axes=axes) if axes else self

    def split(self, axis: str, /, **parts: Size) -> Term:
        """One axis as several, the first the slowest: `x.split("embed", heads=12, head_dim=64)`."""
        names = tuple(parts)
        return REGISTRY["split"](self, axis=axis, into=names, sizes=tuple(parts.values()))

    def merge(self, *axes: str, into: str) -> Term:
        """Several axes as one, the first the slowest."""
        return REGISTRY["merge"](self, axes=axes, into=into)

    def broadcast(self, *axes: str) -> Term:
        """The same array, repeated along axes that it lacks; itself if it lacks none."""
        missing = tuple(a for a in axes if a not in self.type.axis_set)
        return REGISTRY["broadcast"](self, axes=missing) if missing else self

    def __getitem__(self, where: Mapping[str, int | slice]) -> Term:
        """Select by axis name: an integer takes one position, a slice makes a new axis.

        Raises:
            AxisError: for positions without an axis.
        """
        term = self
        for axis, at in by_axis(where).items():
            term = _take(term, axis, at)
        return term

    def __iter__(self) -> Any:
        raise TypeError("a term is indexed by axis names, and has no order to iterate over")

    def __bool__(self) -> bool:
        raise RewriteError("a term has no numbers yet; ops.select(condition, a, b) chooses by them")


Operand: TypeAlias = Term | Scalar


def _take(x: Term, axis: str, at: int | slice) -> Term:
    size = x.size(axis)
    if not isinstance(at, slice):
        return REGISTRY["index"](x, axis=axis, at=at if at >= 0 else size + at)
    step = 1 if at.step is None else at.step
    if step < 1:
        raise AxisError(f"slices of {axis!r} go forward; flip the axis to go backward")
    start = _clamped(at.start, size, 0)
    stop = _clamped(at.stop, size, size)
    into = x.builder.typing.fresh(axis)
    return REGISTRY["slice"](x, axis=axis, start=start, stop=stop, step=step, into=into)


def _clamped(at: int | None, size: Size, default: Size) -> Size:
    """A slice bound as Python means it: negative from the end, never beyond it."""
    if at is None:
        return default
    if isinstance(size, int):
        return evaluate(maximum(0, minimum(at + size if at < 0 else at, size)), {})
    return minimum(at, size) if at >= 0 else maximum(0, size + at)


def mark(name: str, term: Term) -> Term:
    """Name an interior site of the composite whose body is being built."""
    term.builder.marks[name] = term.value
    return term
