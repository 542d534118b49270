"""Arrays with named axes: what runs take and give, and what the numpy reference computes on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
from attrs import frozen

from graftwork.ir.errors import AxisError, nearest
from graftwork.ir.store import as_numpy

T = TypeVar("T")


def by_axis(where: Mapping[str, T]) -> Mapping[str, T]:
    """Positions, if they are told by axis.

    Raises:
        AxisError: otherwise.
    """
    if not isinstance(where, Mapping):
        raise AxisError(f"positions are told by axis, as {{'seq': -1}}, not {where!r}")
    return where


@frozen(eq=False, repr=False)
class NamedArray:
    """An array of any framework whose dimensions have names.

    Attributes:
        array: a numpy, JAX or torch array.
        axes: the name of each dimension; None for a unit dimension without a name.
    """

    array: Any
    axes: tuple[str | None, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Axis name -> extent."""
        named = zip(self.axes, self.array.shape, strict=True)
        return {axis: int(extent) for axis, extent in named if axis is not None}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.array.shape))

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def __repr__(self) -> str:
        named = ", ".join(
            f"{axis or '1'}={extent}" for axis, extent in zip(self.axes, self.shape, strict=True)
        )
        return f"NamedArray({self.dtype}, {named})\n{self.array!r}"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(as_numpy(self.array), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def position(self, axis: str) -> int:
        """The dimension that `axis` names.

        Raises:
            AxisError: if there is none.
        """
        if axis not in self.axes:
            known = [a for a in self.axes if a is not None]
            raise AxisError(f"no axis {axis!r} in {known}{nearest(axis, known)}")
        return self.axes.index(axis)

    def __getitem__(self, where: Mapping[str, int | slice]) -> NamedArray:
        """Select by axis name; an integer removes the axis.

        Raises:
            AxisError: for an axis that is not there, or positions without one.
        """
        key: list[int | slice] = [slice(None)] * len(self.axes)
        for axis, at in by_axis(where).items():
            key[self.position(axis)] = at
        kept = (a for a, at in zip(self.axes, key, strict=True) if isinstance(at, slice))
        return NamedArray(self.array[tuple(key)], tuple(kept))

    def order(self, *axes: str) -> NamedArray:
        """The same array with its dimensions in this order; unit dimensions are dropped."""
        squeezed = self.squeeze()
        places = tuple(squeezed.position(axis) for axis in axes)
        if len(places) != len(squeezed.axes):
            raise AxisError(f"{list(axes)} does not name all of {list(squeezed.axes)}")
        array = squeezed.array
        moved = array.permute(places) if hasattr(array, "permute") else array.transpose(places)
        return NamedArray(moved, axes)

    def squeeze(self) -> NamedArray:
        """Without the unit dimensions that have no name."""
        if None not in self.axes:
            return self
        key = tuple(0 if axis is None else slice(None) for axis in self.axes)
        return NamedArray(self.array[key], tuple(a for a in self.axes if a is not None))

    def __add__(self, other: Operand) -> NamedArray:
        return zipped(operator.add, self, other)

    def __radd__(self, other: Operand) -> NamedArray:
        return zipped(operator.add, other, self)

    def __sub__(self, other: Operand) -> NamedArray:
        return zipped(operator.sub, self, other)

    def __rsub__(self, other: Operand) -> NamedArray:
        return zipped(operator.sub, other, self)

    def __mul__(self, other: Operand) -> NamedArray:
        return zipped(operator.mul, self, other)

    def __rmul__(self, other: Operand) -> NamedArray:
        return zipped(operator.mul, other, self)

    def __truediv__(self, other: Operand) -> NamedArray:
        return zipped(operator.truediv, self, other)

    def __rtruediv__(self, other: Operand) -> NamedArray:
        return zipped(operator.truediv, other, self)

    def __lt__(self, other: Operand) -> NamedArray:
        return zipped(operator.lt, self, other)

    def __le__(self, other: Operand) -> NamedArray:
        return zipped(operator.le, self, other)

    def __gt__(self, other: Operand) -> NamedArray:
        return zipped(operator.gt, self, other)

    def __ge__(self, other: Operand) -> NamedArray:
        return zipped(operator.ge, self, other)

    def __neg__(self) -> NamedArray:
        return NamedArray(-self.array, self.axes)

    def __abs__(self) -> NamedArray:
        return NamedArray(abs(self.array), self.axes)

    def __float__(self) -> float:
        """The number, if there is one element."""
        return float(np.asarray(self).item())

    def sum(self, *axes: str) -> NamedArray:
        return self._reduced("sum", axes)

    def mean(self, *axes: str) -> NamedArray:
        return self._reduced("mean", axes)

    def max(self, *axes: str) -> NamedArray:
        return self._reduced("amax" if hasattr(self.array, "amax") else "max", axes)

    def min(self, *axes: str) -> NamedArray:
        return self._reduced("amin" if hasattr(self.array, "amin") else "min", axes)

    def _reduced(self, method: str, axes: tuple[str, ...]) -> NamedArray:
        """One number for all positions of some axes; as in a graph, no axes means none."""
        if not axes:
            return self
        places = tuple(self.position(axis) for axis in axes)
        kept = tuple(a for i, a in enumerate(self.axes) if i not in places)
        return NamedArray(getattr(self.array, method)(places), kept)

    def numpy(self) -> NamedArray:
        """The same array held by numpy."""
        return NamedArray(np.asarray(self), self.axes)

    def argmax(self, axis: str) -> NamedArray:
        """Positions of the largest elements along an axis."""
        found = np.asarray(self).argmax(self.position(axis))
        return NamedArray(found, tuple(a for a in self.axes if a != axis))


Operand: TypeAlias = NamedArray | bool | int | float


def zipped(function: Callable[..., Any], *operands: Operand) -> NamedArray:
    """A function of elements, on arrays whose axes are zipped by name, and numbers.

    An array is repeated along the axes that it lacks. Arrays stay in their framework.

    Raises:
        AxisError: if an axis has two sizes; names it and both.
        TypeError: for an array whose dimensions have no names.
    """
    arrays = [x.squeeze() for x in operands if isinstance(x, NamedArray)]
    sizes: dict[str, int] = {}
    for array in arrays:
        for axis, extent in array.sizes.items():
            if sizes.setdefault(axis, extent) != extent:
                raise AxisError(f"axis {axis!r} has size {sizes[axis]} here and {extent} there")
    axes = union(*arrays)
    parts = []
    for x in operands:
        if isinstance(x, NamedArray):
            parts.append(_align(x.squeeze(), axes))
        elif np.ndim(x):
            raise TypeError(f"an array of shape {np.shape(x)} has no names; NamedArray gives them")
        else:
            parts.append(x)
    return NamedArray(function(*parts), axes)


def aligned(axes: Iterable[str], *arrays: NamedArray) -> tuple[np.ndarray[Any, Any], ...]:
    """numpy arrays that broadcast against each other in the order `axes`.

    An axis that an array lacks becomes a unit dimension.
    """
    order = tuple(axes)
    return tuple(_align(array, order) for array in arrays)


def _align(x: NamedArray, order: tuple[str, ...]) -> Any:
    array = x.array
    if x.axes == order:
        return array
    present = [x.axes.index(a) for a in order if a in x.axes]
    array = array.permute(present) if hasattr(array, "permute") else array.transpose(present)
    return array[tuple(slice(None) if a in x.axes else None for a in order)]


def union(*arrays: NamedArray) -> tuple[str, ...]:
    """All axes of the arrays, those of the widest first."""
    widest = max(arrays, key=lambda a: len(a.axes))
    names = dict.fromkeys(widest.axes)
    for array in arrays:
        names |= dict.fromkeys(array.axes)
    return tuple(a for a in names if a is not None)
