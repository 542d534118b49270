"""Arrays to run graphs on: few kinds, from the plain to the hostile, each from a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from attrs import fields_dict, frozen

from graftwork.ir.binding import bind
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import symbols

Array = np.ndarray[Any, Any]

WHOLE, NORMAL, SPECIAL, BITS = range(4)
KINDS = (WHOLE, NORMAL, SPECIAL, BITS)


def array_of(
    dtype: DType,
    shape: tuple[int, ...],
    kind: int = WHOLE,
    seed: int = 0,
    within: tuple[float, float] | None = None,
) -> Array:
    """An array of small integers, normal numbers, special values or random bits.

    Sums and products of few small integers are exact in every float dtype, in any order.
    """
    rng = np.random.default_rng((seed, kind))
    if dtype is DType.boolean:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if within is not None:
        return np.asarray(rng.uniform(*within, shape)).astype(dtype.numpy)
    if kind == BITS:
        words = rng.integers(0, 2**dtype.bits - 1, shape, np.uint64, endpoint=True)
        return np.asarray(words).astype(f"u{dtype.bits // 8}").view(dtype.numpy)
    if kind == NORMAL and dtype.is_float:
        return np.asarray(rng.normal(size=shape)).astype(dtype.numpy)
    low = 0 if dtype.is_unsigned else -4
    whole = np.asarray(rng.integers(low, 6, shape)).astype(dtype.numpy)
    if kind != SPECIAL:
        return whole
    chosen = rng.choice(special(dtype), shape).astype(dtype.numpy)
    return np.where(rng.integers(0, 2, shape) == 0, chosen, whole)


def special(dtype: DType) -> Array:
    """The values of a dtype at which things go wrong."""
    if not dtype.is_float:
        info = np.iinfo(dtype.numpy)
        return np.array([info.max, info.min, info.max - 1, info.bits - 1], dtype.numpy)
    edge = limits(dtype.numpy)
    ties = [0.5, 1.5, 2.5, -0.5, -2.5]
    edges = [edge.max, -edge.max, edge.smallest_normal, edge.smallest_subnormal, edge.eps]
    values = [-0.0, 0.0, -0.0, np.inf, -np.inf, np.nan, *ties, *edges]
    return np.array(values).astype(dtype.numpy)


@frozen
class Limits:
    """The edges of a float dtype."""

    eps: float
    max: float
    smallest_normal: float
    smallest_subnormal: float


def limits(dtype: np.dtype[Any]) -> Limits:
    """The edges of a float dtype, of 16 bits too."""
    found: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return Limits(*(float(getattr(found, name)) for name in fields_dict(Limits)))


def symbol_sizes(graph: Graph, wanted: Mapping[str, int]) -> dict[str, int]:
    """Sizes of all symbols near those wanted that meet the guards of a graph.

    Raises:
        ValueError: if no size of up to 64 does.
    """
    names = graph.symbols
    for more in range(65):
        sizes = {name: wanted.get(name, 0) + more for name in names}
        if _legal(graph, sizes):
            return sizes
    raise ValueError(f"found no sizes of {list(names)} that meet the guards of the graph")


def _legal(graph: Graph, sizes: Mapping[str, int]) -> bool:
    try:
        extents = [evaluate(size, sizes) for size in graph.axes.values()]
    except ZeroDivisionError:
        return False
    for guard in graph.guards:
        if symbols(guard.size) <= sizes.keys():
            value = evaluate(guard.size, sizes)
            if not (guard.low or 0) <= value <= (value if guard.high is None else guard.high):
                return False
    return all(extent >= 0 for extent in extents)


def inputs_at(
    graph: Graph,
    sizes: Mapping[str, int],
    kinds: Mapping[str, tuple[int, int]],
    within: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Array]:
    """Arrays for the inputs of a graph: input name -> kind and seed."""
    arrays = {}
    for port in graph.inputs:
        kind, seed = kinds.get(port.name, (WHOLE, 0))
        shape = tuple(_extent(graph, axis, sizes) for axis in port.layout)
        limits = (within or {}).get(port.name)
        arrays[port.name] = array_of(port.value.type.dtype, shape, kind, seed, limits)
    bind(graph, arrays)
    return arrays


def _extent(graph: Graph, axis: str | None, sizes: Mapping[str, int]) -> int:
    return 1 if axis is None else evaluate(graph.axes[axis], sizes)
