"""Discrete Fourier transforms, as contractions with cosines and sines.

They take time in the square of the length, where libraries take n log n: exact in meaning, and
linear algebra like all else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from graftwork.frontends.torch.rules.complex_numbers import as_complex, part, turned
from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, complex_rule
from graftwork.frontends.torch.values import place_of
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional, carrying
from graftwork.ir.sizes import Size

_BY_ROOT, _BY_LENGTH = 1, 2  # torch's words for the scale of a transform


@complex_rule("aten._fft_c2c")
def of_complex(
    call: Call, self: Positional, dim: Sequence[int], normalization: int, forward: bool
) -> Positional:
    """The transform of complex numbers along some dimensions."""
    places = [place_of(self, d) for d in dim]
    sizes = [self.size(place) for place in places]
    x = self
    for place, size in zip(places, sizes, strict=True):
        x = _transformed(call, x, place, size, size, -1 if forward else 1)
    return _scaled(call, x, sizes, normalization)


@complex_rule("aten._fft_r2c")
def of_real(
    call: Call, self: Positional, dim: Sequence[int], normalization: int, onesided: bool
) -> Positional:
    """The transform of real numbers; of its last dimension only the first half, if onesided."""
    places = [place_of(self, d) for d in dim]
    sizes = [self.size(place) for place in places]
    x = as_complex(call, self)
    for place, size in zip(reversed(places), reversed(sizes), strict=True):
        half = onesided and place == places[-1]
        x = _transformed(call, x, place, size, size // 2 + 1 if half else size, -1)
    return _scaled(call, x, sizes, normalization)


@complex_rule("aten._fft_c2r")
def to_real(
    call: Call, self: Positional, dim: Sequence[int], normalization: int, last_dim_size: Size
) -> Positional:
    """The inverse of the onesided transform of real numbers."""
    *others, last = [place_of(self, d) for d in dim]
    sizes = [*(self.size(place) for place in others), last_dim_size]
    x = self
    for place in others:
        x = _transformed(call, x, place, x.size(place), x.size(place), 1)
    x = _with_conjugates(call, carrying(x, last), last, last_dim_size)
    x = _transformed(call, x, last, last_dim_size, last_dim_size, 1)
    return _scaled(call, part(call, x, 0), sizes, normalization)


def _with_conjugates(call: Call, x: Positional, place: int, size: Size) -> Positional:
    """The first half of a transform, each number counted for its conjugate in the other half.

    Only the real part of what they add up to is read.
    """
    at = positions(call, str(x.dims[place]))
    with call.builder:
        alone = ops.eq(at, 0) | ops.eq(at * 2, ops.size(value=size))
    return Positional(x.term * (2 - alone.cast(x.dtype)), x.dims)


def _transformed(
    call: Call, x: Positional, place: int, size: Size, frequencies: Size, sign: int
) -> Positional:
    """sum over n of x[n] exp(sign 2 pi i k n / size), for the first so many frequencies k."""
    x = carrying(x, place)
    along, into = str(x.dims[place]), call.fresh(frequencies)
    angle = _angles(call, along, into, size, x.dtype) * sign
    straight = ops.contract(x.term, ops.cos(angle), over=[along])
    across = ops.contract(turned(call, x).term, ops.sin(angle), over=[along])
    return Positional(straight + across, x.with_dim(place, into).dims)


def _angles(call: Call, along: str, into: str, size: Size, dtype: DType) -> Term:
    """2 pi k n / size, less whole turns, which are taken off while the numbers are exact."""
    with call.builder:
        count = ops.size(value=size)
    steps: Term = (positions(call, along) * positions(call, into)) % count
    return steps.cast(dtype) * (2 * math.pi) / count.cast(dtype)


def _scaled(call: Call, x: Positional, sizes: Sequence[Size], normalization: int) -> Positional:
    total: Size = 1
    for size in sizes:
        total = total * size
    if normalization not in (_BY_ROOT, _BY_LENGTH):
        return x
    with call.builder:
        count = ops.size(value=total).cast(x.dtype)
    return Positional(x.term / (ops.sqrt(count) if normalization == _BY_ROOT else count), x.dims)
