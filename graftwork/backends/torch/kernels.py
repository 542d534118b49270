"""The ops whose meaning torch's own functions do not quite have, as functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch

Tensor = torch.Tensor


# --- integers -----------------------------------------------------------------------------------


def _minus_one(a: Tensor) -> Tensor:
    return torch.bitwise_not(torch.zeros_like(a))


def _safe(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A divisor that never traps, and where it was -1: the processor faults on least / -1."""
    negative = (b + 1 == 0) if a.dtype.is_signed else torch.zeros_like(b, dtype=torch.bool)
    return torch.where((b == 0) | negative, torch.ones_like(b), b), negative


def floor_divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient of integers rounded down; -1 for a zero divisor."""
    safe, negative = _safe(a, b)
    quotient = torch.div(a, safe, rounding_mode="floor")
    quotient = torch.where(negative, -quotient, quotient)
    return torch.where(b == 0, _minus_one(quotient), quotient)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient of integers towards zero; -1 for a zero divisor.

    TorchInductor does not compile a truncated quotient by a size, so it is a floored one mended.
    """
    return floor_divide(a, b) + _opposed(remainder(a, b), b).to(a.dtype)


def remainder(a: Tensor, b: Tensor) -> Tensor:
    """The remainder of integers with the sign of a; a itself for a zero divisor."""
    safe, _ = _safe(a, b)
    return torch.where(b == 0, a, torch.fmod(a, safe))


def _opposed(rest: Tensor, b: Tensor) -> Tensor:
    """Where the remainder is not zero and its sign is not that of the divisor."""
    return (rest != 0) & (b != 0) & ((rest < 0) ^ (b < 0))


def modulo(a: Tensor, b: Tensor) -> Tensor:
    """The remainder of integers with the sign of b; a itself for a zero divisor."""
    rest = remainder(a, b)
    return torch.where(_opposed(rest, b), rest + b, rest)


def power(a: Tensor, b: Tensor) -> Tensor:
    """Wrapping powers of integers; of a negative exponent, the inverse rounded towards zero."""
    whole = torch.pow(a, torch.abs(b) if b.dtype.is_signed else b)
    return torch.where(b < 0, divide(torch.ones_like(whole), whole), whole)


def _within(b: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Which shifts leave any bits, and amounts that are legal everywhere."""
    inside = (b >= 0) & (b < bits)
    return inside, torch.where(inside, b, torch.zeros_like(b))


def shift_left(a: Tensor, b: Tensor, bits: int) -> Tensor:
    """Zero if all bits are shifted out."""
    inside, amount = _within(b, bits)
    shifted = torch.bitwise_left_shift(a, amount)
    return torch.where(inside, shifted, torch.zeros_like(shifted))


def shift_right(a: Tensor, b: Tensor, bits: int) -> Tensor:
    """Keeps the sign; all sign bits if all others are shifted out."""
    inside, amount = _within(b, bits)
    full = torch.where(inside, amount, torch.full_like(amount, bits - 1))
    shifted = torch.bitwise_right_shift(a, full)
    return shifted if a.dtype.is_signed else torch.where(inside, shifted, torch.zeros_like(shifted))


def shift_right_logical(a: Tensor, b: Tensor, bits: int) -> Tensor:
    """Fills with zeros, also for signed integers."""
    inside, amount = _within(b, bits)
    shifted = torch.bitwise_right_shift(a, amount)
    if a.dtype.is_signed:
        width = bits - torch.clamp(amount, min=1)
        mask = torch.bitwise_left_shift(torch.ones_like(width), width) - 1
        shifted = torch.where(amount == 0, shifted, shifted & mask)
    return torch.where(inside, shifted, torch.zeros_like(shifted))


# --- floats -------------------------------------------------------------------------------------


def sign(a: Tensor) -> Tensor:
    """-1, 0 or 1; NaN for NaN."""
    return torch.where(torch.isnan(a), a, torch.sign(a))


def extremum(a: Tensor, dims: list[int], largest: bool, never: float) -> Tensor:
    """Max or min over dimensions; over nothing, what never wins."""
    if math.prod(a.shape[dim] for dim in dims) != 0:
        return torch.amax(a, dims) if largest else torch.amin(a, dims)
    return a.new_full([extent for dim, extent in enumerate(a.shape) if dim not in dims], never)


def product(a: Tensor, dims: Sequence[int]) -> Tensor:
    """The product over several dimensions."""
    for dim in sorted(dims, reverse=True):
        a = torch.prod(a, dim, dtype=a.dtype)
    return a


def cumsum(a: Tensor, dim: int) -> Tensor:
    """Running sums in the dtype of the operand."""
    return torch.cumsum(a, dim, dtype=a.dtype)


def cumprod(a: Tensor, dim: int) -> Tensor:
    """Running products in the dtype of the operand."""
    return torch.cumprod(a, dim, dtype=a.dtype)


def cummax(a: Tensor, dim: int) -> Tensor:
    """Running maxima."""
    return torch.cummax(a, dim)[0]


def cummin(a: Tensor, dim: int) -> Tensor:
    """Running minima."""
    return torch.cummin(a, dim)[0]


# --- order --------------------------------------------------------------------------------------


def order(keys: Sequence[Tensor], dim: int, descending: bool) -> Tensor:
    """Stable positions by the first key, then the next: sorted by the last one first."""
    places = torch.sort(keys[-1], dim=dim, descending=descending, stable=True)[1]
    for key in reversed(keys[:-1]):
        moved = torch.take_along_dim(key, places, dim)
        inner = torch.sort(moved, dim=dim, descending=descending, stable=True)[1]
        places = torch.take_along_dim(places, inner, dim)
    return places


# --- shapes -------------------------------------------------------------------------------------


def pad(x: Tensor, value: Tensor, dim: int, low: int, high: int, interior: int) -> Tensor:
    """`value`, of one extent along dim, before, after and between the positions of x."""

    def filler(count: int) -> Tensor:
        return value.expand(*x.shape[:dim], count, *x.shape[dim + 1 :])

    extent = x.shape[dim]
    if interior and extent:
        gaps = value.unsqueeze(dim + 1).expand(*x.shape[: dim + 1], interior, *x.shape[dim + 1 :])
        mixed = torch.cat([x.unsqueeze(dim + 1), gaps], dim + 1).flatten(dim, dim + 1)
        x = mixed.narrow(dim, 0, (extent - 1) * (interior + 1) + 1)
    return torch.cat([filler(low), x, filler(high)], dim)


def window(x: Tensor, dim: int, size: int, stride: int, dilation: int) -> Tensor:
    """Sliding windows; the positions inside them become the dimension after `dim`."""
    view = x.unfold(dim, (size - 1) * dilation + 1, stride)
    if dilation > 1:
        view = view[..., ::dilation]
    return view.movedim(-1, dim + 1)


# --- positions ----------------------------------------------------------------------------------


def take(x: Tensor, place: int, index: Tensor) -> Tensor:
    """The positions of one dimension that an index names, in its place."""
    if place == 0:
        return x.index_select(0, index.flatten()).reshape((*index.shape, *x.shape[1:]))
    return x[(slice(None),) * place + (index,)]


def gather(
    x: Tensor, indices: Sequence[Tensor], shared: Sequence[Tensor], mode: str, fill: float
) -> Tensor:
    """x, whose first dimensions are addressed by indices and then by shared positions."""
    extents = x.shape[: len(indices)]
    if mode == "promise":
        return x[(*indices, *shared)]
    points = reduce(torch.add, (*indices, *shared)).shape
    rest = x.shape[len(indices) + len(shared) :]
    if 0 in extents:
        return x.new_full((*points, *rest), fill)
    safe = [torch.clamp(i, 0, n - 1) for i, n in zip(indices, extents, strict=True)]
    taken = x[(*safe, *shared)]
    if mode == "clip":
        return taken
    keep = torch.broadcast_to(_inside(indices, extents), points)
    keep = keep.reshape(*points, *[1] * len(rest))
    return torch.where(keep, taken, torch.full_like(taken, fill))


def _inside(indices: Sequence[Tensor], extents: Sequence[int]) -> Tensor:
    inside = [(i >= 0) & (i < n) for i, n in zip(indices, extents, strict=True)]
    return reduce(torch.logical_and, inside)


def scatter(
    x: Tensor,
    updates: Tensor,
    indices: Sequence[Tensor],
    shared: Sequence[Tensor],
    combine: str,
    mode: str,
) -> Tensor:
    """x with updates combined in at its first dimensions, by indices and then shared positions.

    Dropped updates go to one more row, which is cut off.
    """
    where, extent = list(indices), x.shape[0]
    if mode == "clip":
        sizes = x.shape[: len(where)]
        where = [torch.clamp(i, 0, n - 1) for i, n in zip(where, sizes, strict=True)]
    elif mode == "drop":
        keep = _inside(where, x.shape[: len(where)])
        where = [torch.where(keep, i, torch.zeros_like(i)) for i in where]
        where[0] = torch.where(keep, where[0], torch.full_like(where[0], extent))
        x = torch.cat([x, x.new_zeros(1, *x.shape[1:])])
    key = (*where, *shared)
    x = x.contiguous()  # what is compiled would write into a broadcast x as it lies
    if combine in ("set", "add"):
        written = torch.index_put(x, key, updates, accumulate=combine == "add")
    else:
        written = _scatter_flat(x, updates, key, combine)
    return written.narrow(0, 0, extent) if mode == "drop" else written


_REDUCE = {"mul": "prod", "min": "amin", "max": "amax"}


def _scatter_flat(x: Tensor, updates: Tensor, key: Sequence[Tensor], combine: str) -> Tensor:
    """All addressed dimensions as one, since torch reduces along one dimension only."""
    place = torch.zeros_like(key[0])
    for index, extent in zip(key, x.shape, strict=False):
        place = place * extent + index
    flat = x.flatten(0, len(key) - 1)
    rest = flat.shape[1:]
    count = updates.dim() - len(rest)
    rows = updates.flatten(0, count - 1) if count else updates.unsqueeze(0)
    place = place.broadcast_to(updates.shape[:count]).flatten()
    place = place.reshape(*place.shape, *[1] * len(rest)).expand(rows.shape)
    return flat.scatter_reduce(0, place, rows, _REDUCE[combine]).reshape(x.shape)


# --- attention ----------------------------------------------------------------------------------


def all_masked(mask: Tensor, dim: int) -> Tensor:
    """Rows whose every key is masked, by a bool mask that keeps or a float mask that is added."""
    if mask.dtype == torch.bool:
        return torch.logical_not(torch.any(mask, dim))
    return torch.all(mask == -math.inf, dim)
