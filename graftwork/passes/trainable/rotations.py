"""Orthogonal matrices as products of reflections, which stay orthogonal whatever is learned.

H(v) = I - 2 v vᵀ / vᵀv is orthogonal for every v but zero, so Q = H(v_1) ... H(v_r) is, with no
constraint on the rows v that an optimiser must keep. With r = n reflections Q is any rotation of n
coordinates up to the signs of its columns; the first k columns of k reflections are any k
orthonormal columns up to signs, for that is their QR decomposition (Householder 1958; Mhammedi et
al. 2017). A change of scale of v changes nothing, so no step of gradient descent shrinks v.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Region


def rotated(x: Term, reflections: Term) -> Term:
    """The coordinates x Q of x, called by the axes that x has; reflections has one axis more."""
    return _reflected(x, reflections, reverse=False)


def rotated_back(z: Term, reflections: Term) -> Term:
    """z Qᵀ, which undoes `rotated`."""
    return _reflected(z, reflections, reverse=True)


def columns(reflections: Term, which: Sequence[int]) -> Term:
    """Some columns of Q, along a new axis."""
    builder = reflections.builder
    span = builder.typing.fresh("span")
    builder.typing.table[span] = len(which)
    chosen = builder.constant(list(which), DType.i64, axes=(span,))
    unit = ops.eq(numbers(reflections, reflections.axes[1:]), chosen)
    return _reflected(unit.cast(reflections.dtype), reflections, reverse=True)


def numbers(x: Term, axes: Sequence[str]) -> Term:
    """The row-major number of each position of some axes."""
    sizes = [int(str(x.size(axis))) for axis in axes]
    at = x.builder.constant(0, DType.i64)
    for i, axis in enumerate(axes):
        at = at + ops.iota(axis=axis) * prod(sizes[i + 1 :])
    return at


def _reflected(x: Term, reflections: Term, *, reverse: bool) -> Term:
    """One reflection after another, the first first unless `reverse`."""
    steps, *axes = reflections.axes
    body = Builder(x.builder.typing)
    held, v = body.input(x.dtype, x.axes), body.input(x.dtype, axes)
    with body:
        along = ops.contract(v, held, over=axes) / ops.contract(v, v, over=axes)
        after = held - v * (along * 2.0)
    region = Region((held.value, v.value), tuple(body.nodes), (after.value,))
    attrs = {"axis": steps, "carry": 1, "xs": 1, "reverse": reverse}
    return x.builder.emit(ops.scan, (x, reflections), attrs, (region,))[0]
