"""Products of two matrices that are never multiplied out: what a head moves and where it looks.

The product of a wide and a tall factor has the rank of the axis between them. Its singular values
come from the triangles of the factors' QR decompositions, its eigenvalues from the product the
other way round, both as small as that axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class SVD:
    """u diag(s) v^T, singular values from the greatest along the axis that was between.

    Attributes:
        u: over the rows and the inner axis.
        s: over the inner axis.
        v: over the inner axis and the columns.
    """

    u: NamedArray
    s: NamedArray
    v: NamedArray


@frozen(eq=False)
class FactoredMatrix:
    """The product of `a` and `b` over one axis, from `rows` to `columns`.

    All further axes (`heads`) are zipped by name: then it is one matrix for each position there.

    Attributes:
        a: has `rows` and `over`.
        b: has `over` and `columns`.
        over: the axis that the product sums over.
        rows, columns: its two sides.
    """

    a: NamedArray
    b: NamedArray
    over: str
    rows: str
    columns: str

    def __attrs_post_init__(self) -> None:
        for name, array, axes in (
            ("a", self.a, (self.rows, self.over)),
            ("b", self.b, (self.over, self.columns)),
        ):
            for axis in axes:
                if axis not in array.axes:
                    raise AxisError(f"{name} has the axes {list(array.axes)}, but not {axis!r}")
        if self.rows in self.b.axes or self.columns in self.a.axes or self.rows == self.columns:
            raise AxisError(f"{self.rows!r} and {self.columns!r} must be of one factor each")

    @property
    def free(self) -> tuple[str, ...]:
        """The axes along which there are many matrices."""
        bound = {self.over, self.rows, self.columns}
        found = dict.fromkeys((*self.a.axes, *self.b.axes))
        return tuple(axis for axis in found if axis is not None and axis not in bound)

    def product(self) -> NamedArray:
        """The matrix itself."""
        a, b = self._factors()
        return NamedArray(a @ b, (*self.free, self.rows, self.columns))

    def svd(self) -> SVD:
        """The singular value decomposition, as thin as the axis between the factors."""
        a, b = self._factors()
        q_a, r_a = np.linalg.qr(a)
        q_b, r_b = np.linalg.qr(b.swapaxes(-1, -2))
        u, s, v = np.linalg.svd(r_a @ r_b.swapaxes(-1, -2), full_matrices=False)
        return SVD(
            NamedArray(q_a @ u, (*self.free, self.rows, self.over)),
            NamedArray(s, (*self.free, self.over)),
            NamedArray(v @ q_b.swapaxes(-1, -2), (*self.free, self.over, self.columns)),
        )

    def eigenvalues(self) -> NamedArray:
        """The eigenvalues that may differ from zero, complex, along the axis between the factors.

        Raises:
            AxisError: if the matrix is not square.
        """
        a, b = self._factors()
        if a.shape[-2] != b.shape[-1]:
            raise AxisError(
                f"{self.rows!r} of {a.shape[-2]} and {self.columns!r} of {b.shape[-1]} make no "
                "square matrix, so it has no eigenvalues"
            )
        found = np.linalg.eigvals(b @ a).astype(np.complex128)
        return NamedArray(found, (*self.free, self.over))

    def norm(self) -> NamedArray:
        """The root of the sum of squares of the product's elements (Frobenius)."""
        a, b = self._factors()
        squares = (a.swapaxes(-1, -2) @ a) * (b @ b.swapaxes(-1, -2))
        total = np.maximum(squares.sum((-1, -2)), 0)
        return NamedArray(np.sqrt(total), self.free)

    @property
    def T(self) -> FactoredMatrix:
        """The product the other way round, from `columns` to `rows`."""
        return FactoredMatrix(self.b, self.a, self.over, self.columns, self.rows)

    def renamed(self, **axes: str) -> FactoredMatrix:
        """The same product with other names for its axes."""

        def named(array: NamedArray) -> NamedArray:
            return NamedArray(array.array, tuple(axes.get(a, a) if a else a for a in array.axes))

        sides = (axes.get(axis, axis) for axis in (self.over, self.rows, self.columns))
        return FactoredMatrix(named(self.a), named(self.b), *sides)

    def __matmul__(self, other: FactoredMatrix | NamedArray) -> FactoredMatrix:
        """This matrix and then another, whose rows are the columns of this one.

        The smaller of the two inner axes is kept between the factors.
        """
        if isinstance(other, NamedArray):
            (column,) = (a for a in other.axes if a is not None and a not in self.b.axes)
            right = _times(self.b, other, self.columns)
            return FactoredMatrix(self.a, right, self.over, self.rows, column)
        entering = other.a
        if other.rows != self.columns:
            names = tuple(self.columns if a == other.rows else a for a in other.a.axes)
            entering = NamedArray(other.a.array, names)
        if self.over == other.over or self.rows == other.columns:
            raise AxisError(
                f"both products have {self.over!r} between their factors, or the result would go "
                f"from {self.rows!r} to {other.columns!r}: rename one of them"
            )
        middle = _times(self.b, entering, self.columns)
        if self.b.sizes[self.over] <= other.b.sizes[other.over]:
            right = _times(middle, other.b, other.over)
            return FactoredMatrix(self.a, right, self.over, self.rows, other.columns)
        left = _times(self.a, middle, self.over)
        return FactoredMatrix(left, other.b, other.over, self.rows, other.columns)

    def _factors(self) -> tuple[Array, Array]:
        """Both as float64 or wider, broadcast over the free axes."""
        a = _ordered(self.a, (*self.free, self.rows, self.over))
        b = _ordered(self.b, (*self.free, self.over, self.columns))
        free = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return np.broadcast_to(a, free + a.shape[-2:]), np.broadcast_to(b, free + b.shape[-2:])


def _ordered(x: NamedArray, order: tuple[str, ...]) -> Array:
    """As float64, with a unit dimension for each axis that it lacks."""
    present = [axis for axis in order if axis in x.axes]
    array = np.asarray(x.order(*present)).astype(np.float64)
    return array[tuple(slice(None) if axis in present else None for axis in order)]


def _times(a: NamedArray, b: NamedArray, over: str) -> NamedArray:
    """The product of two arrays over one axis, all others zipped by name."""
    axes = tuple(dict.fromkeys(x for x in (*a.axes, *b.axes) if x is not None))
    letter = {axis: chr(ord("a") + i) for i, axis in enumerate(axes)}
    kept = tuple(axis for axis in axes if axis != over)
    words = ["".join(letter[x] for x in y.axes if x is not None) for y in (a, b)]
    arrays = [np.asarray(x.squeeze()).astype(np.float64) for x in (a, b)]
    result = "".join(letter[axis] for axis in kept)
    return NamedArray(np.einsum(f"{words[0]},{words[1]}->{result}", *arrays), kept)
