"""What kind of head a pattern shows: one that looks at the previous token, at duplicates, or at
what followed them (TransformerLens's head detector; induction heads of Olsson et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, InputError, nearest

Array = np.ndarray[Any, Any]


def previous_token(ids: Array) -> Array:
    """1 from each position to the one before it, 0 elsewhere."""
    length = ids.shape[-1]
    return np.asarray(np.broadcast_to(np.eye(length, k=-1), (*ids.shape, length)))


def duplicate_token(ids: Array) -> Array:
    """1 from each position to earlier ones with the same token."""
    same = ids[..., :, None] == ids[..., None, :]
    return np.asarray(np.tril(same, -1), np.float64)


def induction(ids: Array) -> Array:
    """1 from each position to those just after earlier ones with the same token."""
    after = np.roll(duplicate_token(ids), 1, axis=-1)
    after[..., 0] = 0
    return after


DETECTORS: Mapping[str, Callable[[Array], Array]] = {
    "previous_token": previous_token,
    "duplicate_token": duplicate_token,
    "induction": induction,
}


def head_scores(
    pattern: NamedArray,
    ids: NamedArray | Array,
    kind: str | NamedArray,
    *,
    measure: Literal["mul", "abs"] = "mul",
    exclude_first: bool = False,
    exclude_current: bool = False,
) -> NamedArray:
    """How much each head attends where a head of a kind would: from 0 to 1, over `batch`, `heads`.

    `mul` is the part of the attention that lies there, sum(A D) / sum(A); `abs` is 1 less the mean
    distance of a row from D, 1 - mean(|A - D|) n over its n keys.

    Args:
        pattern: collected from `attn.pattern`; has `seq` and `kv_seq`, `heads`, and `batch` or not.
        ids: the tokens, over `batch` and `seq`.
        kind: `previous_token`, `duplicate_token`, `induction`, or what to look for: a NamedArray
            over `seq` and `kv_seq`, and other axes of the pattern.
        measure: how the pattern is compared.
        exclude_first: attention to the first position, where heads rest, does not count.
        exclude_current: attention to the query's own position does not count.

    Raises:
        AxisError: if the pattern lacks an axis.
        InputError: for an unknown kind or measure, or sequences of different lengths.
    """
    queries, keys = "seq", "kv_seq"
    named = pattern.squeeze().numpy()
    for axis in (queries, keys):
        named.position(axis)
    free = tuple(axis for axis in named.axes if axis not in (queries, keys) and axis is not None)
    seen = np.asarray(named.order(*free, queries, keys)).astype(np.float64)
    wanted = _wanted(kind, ids, (*free, queries, keys))
    if wanted.shape[-2:] != seen.shape[-2:]:
        raise InputError(
            f"the pattern is {seen.shape[-2:]} positions, what is looked for {wanted.shape[-2:]}"
        )
    if exclude_first:
        seen = np.where(np.arange(seen.shape[-1]) == 0, 0.0, seen)
    if exclude_current:
        seen = np.where(np.eye(*seen.shape[-2:]) == 1, 0.0, seen)
    return NamedArray(_compared(seen, wanted, measure), free)


def _wanted(kind: str | NamedArray, ids: NamedArray | Array, axes: tuple[str, ...]) -> Array:
    if isinstance(kind, NamedArray):
        given = kind.squeeze()
        lacking = [axis for axis in given.axes if axis not in axes]
        if lacking:
            raise AxisError(f"the pattern has no axes {lacking}, only {list(axes)}")
        present = [axis for axis in axes if axis in given.axes]
        array = np.asarray(given.order(*present)).astype(np.float64)
        return array[tuple(slice(None) if axis in present else None for axis in axes)]
    if kind not in DETECTORS:
        raise InputError(f"no detector {kind!r}{nearest(kind, DETECTORS)}")
    found = DETECTORS[kind](np.asarray(ids))
    return _wanted(NamedArray(found, ("batch", "seq", "kv_seq")[-found.ndim :]), ids, axes)


def _compared(seen: Array, wanted: Array, measure: str) -> Array:
    """Raises InputError for an unknown measure."""
    if measure == "abs":
        return np.asarray(1 - np.abs(seen - wanted).mean((-1, -2)) * seen.shape[-1])
    if measure != "mul":
        raise InputError(f"the measure is 'mul' or 'abs', not {measure!r}")
    total = seen.sum((-1, -2))
    hit = (seen * wanted).sum((-1, -2))
    return np.asarray(np.divide(hit, total, out=np.zeros_like(total), where=total > 0))
