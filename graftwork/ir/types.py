"""Types of values and the context in which type rules run.

A type is a dtype and a tuple of distinct axis names. What an op means never depends on the order
of the tuple: the order only remembers the layout in which the source program held the value.
Axes have one size in a whole graph; the table of sizes is the context, `Typing`, not the type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size

AxisTable = Mapping[str, Size]


@frozen(eq=False, repr=False)
class Type:
    """A dtype and the distinct axes of a value, in layout order."""

    dtype: DType
    axes: tuple[str, ...] = ()
    axis_set: frozenset[str] = field(init=False)
    _hash: int = field(init=False)

    @axis_set.default
    def _make_set(self) -> frozenset[str]:
        return frozenset(self.axes)

    @_hash.default
    def _make_hash(self) -> int:
        return hash((self.dtype, self.axes))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Type) and self.dtype is other.dtype and self.axes == other.axes
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"{self.dtype.value}{{{', '.join(self.axes)}}}"

    def same(self, other: Type) -> bool:
        """Equal but for the order of axes, which has no meaning."""
        return self.dtype is other.dtype and self.axis_set == other.axis_set

    def with_axes(self, axes: Iterable[str]) -> Type:
        return Type(self.dtype, tuple(axes))

    def with_dtype(self, dtype: DType) -> Type:
        return self if dtype is self.dtype else Type(dtype, self.axes)

    def without(self, axes: Iterable[str]) -> Type:
        gone = frozenset(axes)
        return Type(self.dtype, tuple(a for a in self.axes if a not in gone))

    def replacing(self, axis: str, by: Iterable[str]) -> Type:
        """The type with `axis` replaced, in its place, by other axes."""
        new: list[str] = []
        for known in self.axes:
            if known == axis:
                new.extend(by)
            else:
                new.append(known)
        return Type(self.dtype, tuple(new))

    def renamed(self, mapping: Mapping[str, str]) -> Type:
        return Type(self.dtype, tuple(mapping.get(a, a) for a in self.axes))


def zipped(*types: Type) -> tuple[str, ...]:
    """The union of the free axes of operands, in the layout order of the widest operand first."""
    widest = max(types, key=lambda t: len(t.axes))
    rest = (a for t in types if t is not widest for a in t.axes if a not in widest.axis_set)
    return (*widest.axes, *dict.fromkeys(rest))


class Typing:
    """The axis table as type rules see it, with a memo of the rules' verdicts.

    A rule reads sizes with `size`, and announces each axis that its op makes with `make`. An open
    typing (of a builder) adds made axes to the table; a closed one (of the verifier) requires
    them to be there. Two sizes that cannot be told apart statically are collected in `unproven`
    and checked when the graph runs.
    """

    def __init__(self, table: AxisTable, *, closed: bool = False) -> None:
        self.table: dict[str, Size] = dict(table)
        self.closed = closed
        self.memo: dict[object, tuple[Type, ...]] = {}
        self.unproven: list[tuple[str, Size]] = []
        self._types: dict[Type, Type] = {}

    def shared(self, types: Iterable[Type]) -> tuple[Type, ...]:
        """The types, equal ones as one object: identity is what dictionaries look at first."""
        return tuple([self._types.setdefault(found, found) for found in types])

    def size(self, axis: str) -> Size:
        try:
            return self.table[axis]
        except KeyError:
            raise AxisError(f"axis {axis!r} is not in the axis table") from None

    def make(self, axis: str, size: Size) -> None:
        """Say that the op makes `axis` of `size`; refuse if the table knows it otherwise."""
        known = self.table.get(axis)
        if known is None:
            if self.closed:
                raise AxisError(f"axis {axis!r} is made here but is not in the axis table")
            if isinstance(size, int) and size < 0:
                raise AxisError(f"axis {axis!r} would have the negative size {size}")
            self.table[axis] = size
        elif known != size:
            verdict = decide(known, size)
            if verdict is False:
                raise AxisError(f"axis {axis!r} has size {known}, but here it would be {size}")
            if verdict is None:
                self.unproven.append((axis, size))

    def fresh(self, hint: str) -> str:
        """An axis name that the table does not have yet: `hint`, or `hint_2` and so on."""
        if hint not in self.table:
            return hint
        stem, count = hint, 2
        while f"{stem}_{count}" in self.table:
            count += 1
        return f"{stem}_{count}"


def require_axes(x: Type, axes: Iterable[str], what: str = "operand") -> None:
    """Refuse a binding of axes that the operand lacks."""
    for axis in axes:
        if axis not in x.axis_set:
            raise AxisError(f"{what} {x!r} has no axis {axis!r}")


def require_new(axes: Iterable[str], *types: Type) -> None:
    """Refuse axis capture: a made axis that would meet a free axis of the same name."""
    for axis in axes:
        for x in types:
            if axis in x.axis_set:
                raise AxisError(
                    f"the new axis {axis!r} would capture the free axis of {x!r}; rename it first"
                )


def require_same_dtype(*types: Type) -> DType:
    """The one dtype of all operands; ops never promote."""
    first = types[0].dtype
    for x in types:
        if x.dtype is not first:
            raise DTypeError(
                f"operands have dtypes {', '.join(t.dtype.value for t in types)}; "
                "ops take equal dtypes, so cast one of them"
            )
    return first


def as_types(result: Any) -> tuple[Type, ...]:
    """What a type rule gives, one type or several, as a tuple."""
    return (result,) if isinstance(result, Type) else tuple(result)
