"""What a picture of arrays is made of: arrays of real numbers, and words for their positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, DTypeError, InputError, nearest
from graftwork.viz.names import visible

Array = np.ndarray[Any, Any]
Words = Mapping[str, Sequence[str]]


@frozen(eq=False)
class Source:
    """An array to be shown.

    Attributes:
        name: what it is called; empty if it is the only one.
        array: numbers or truth values.
        dtype: what they were before.
        axes: the name of each dimension.
        labels: axis -> a word for each position, where numbers do not say enough.
    """

    name: str
    array: Array
    dtype: str
    axes: tuple[str, ...]
    labels: Mapping[str, Sequence[str]]


def sources_of(named: Mapping[str, Any], tokens: Words) -> list[Source]:
    """Named arrays with the words of their positions: tokens, or what was swept.

    Raises:
        InputError: if there are none, or one is no named array.
        AxisError: if one has no cells, or tokens are of an axis that all lack, or not one for each
            position.
        DTypeError: if elements are no real numbers.
    """
    if not named:
        raise InputError("there is no array to show")
    for values in named.values():
        if not isinstance(values, NamedArray):
            kind = type(values).__name__
            raise InputError(
                f"this {kind} has no named axes; gw.NamedArray(array, axes) gives them"
            )
    known = {str(axis) for values in named.values() for axis in values.squeeze().axes}
    require_axes(tokens, known)
    return [_source(name, values.squeeze(), tokens) for name, values in named.items()]


def require_axes(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuses an axis that is not there.

    Raises:
        AxisError: that names the nearest.
    """
    axes = list(known)
    for axis in wanted:
        if axis not in axes:
            raise AxisError(f"no axis {axis!r} among {axes}{nearest(axis, axes)}")


def _source(name: str, values: NamedArray, tokens: Words) -> Source:
    axes = tuple(map(str, values.axes))
    found = {axis: _labels(values, axis, tokens) for axis in axes}
    labels = {axis: words for axis, words in found.items() if words}
    array = np.asarray(values)
    return Source(name, _real(array, name or "the array"), array.dtype.name, axes, labels)


def _labels(values: NamedArray, axis: str, tokens: Words) -> list[str]:
    """A word for each position: a token behind its number, or what was swept; else none."""
    extent = values.sizes[axis]
    swept: Sequence[object] = getattr(values, "labels", {}).get(axis, range(extent))
    if axis not in tokens:
        return [] if swept == range(extent) else [visible(str(label), 60) for label in swept]
    words = tokens[axis]
    if not len(swept) == extent <= len(words):
        raise AxisError(f"axis {axis!r} has {extent} positions, and tokens= {len(words)} words")
    at = [label if isinstance(label, int) else i for i, label in enumerate(swept)]
    return [f"{i} {visible(words[i], 60)}" for i in at]


def _real(array: Array, name: str) -> Array:
    """The array in a dtype that pictures know: truth values, int64, float32 or float64."""
    if not array.ndim or not array.size:
        raise AxisError(f"{name}, of shape {array.shape}, has no cells to show")
    kind, small = array.dtype.kind, array.dtype.itemsize < 8
    if kind == "b" or array.dtype in (np.float32, np.float64):
        return array
    if kind == "i" or (kind == "u" and small):
        return array.astype(np.int64)
    if kind == "u":
        return array.astype(np.float64)
    if kind in "fV" and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)
    raise DTypeError(f"{name}, of {array.dtype}, is no array of real numbers")
