"""Small regions for tests: built from a function of terms, and run by the reference."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import dtype_of
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Region
from graftwork.ir.sizes import Size
from graftwork.ir.types import Typing

Sizes = Mapping[str, Size]


def named(array: Any, axes: str = "") -> NamedArray:
    return NamedArray(np.asarray(array), tuple(axes.split()))


def region_of(
    function: Callable[..., Any], typing: Typing, arrays: Mapping[str, NamedArray]
) -> Region:
    """The function's nodes, on inputs of the types of the arrays."""
    builder = Builder(typing)
    with builder:
        inputs = [builder.input(dtype_of(a.dtype), a.axes, n) for n, a in arrays.items()]
        result = function(*inputs)
    outputs = [result] if isinstance(result, Term) else list(result)
    return Region(
        tuple(term.value for term in inputs),
        tuple(builder.nodes),
        tuple(term.value for term in outputs),
    )


def run_region(
    region: Region, typing: Typing, arrays: list[NamedArray], symbols: Mapping[str, int]
) -> tuple[NamedArray, ...]:
    with np.errstate(all="ignore"):
        return At(typing.table, symbols).run(region, arrays)


def evaluate(
    function: Callable[..., Any],
    sizes: Sizes,
    symbols: Mapping[str, int] | None = None,
    /,
    **arrays: NamedArray,
) -> tuple[NamedArray, ...]:
    """What the function gives on these arrays."""
    typing = Typing(sizes)
    region = region_of(function, typing, arrays)
    return run_region(region, typing, list(arrays.values()), symbols or {})


def ordered(array: NamedArray, axes: str) -> np.ndarray[Any, Any]:
    return np.asarray(array.order(*axes.split()))
