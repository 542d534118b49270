"""JAX: contraction, reduction, running totals and order along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from graftwork.backends.engine import Laid, Lowering, product_order, widest
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _contract(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    """In whichever order of operands the result lies as its type hints."""
    over = node.attrs["over"]
    a, b = product_order(operands, node.output.axes)
    shared = [axis for axis in a.axes if axis in b.axes and axis not in over]
    if shared:
        a, b = (_long_axes_last(target, x, shared, over) for x in (a, b))
    left, right = (
        [axis for axis in x.axes if axis not in over and axis not in shared] for x in (a, b)
    )
    numbers = (_places(a, b, over), _places(a, b, shared))
    product = lax.dot_general(a.array, b.array, numbers)
    return Laid(product, (*shared, *left, *right))


def _long_axes_last(target: JaxTarget, x: Laid, shared: Sequence[str], over: Sequence[str]) -> Laid:
    """Short free axes first, as groups before queries: what reads the product runs along rows."""
    extents = dict(zip(x.axes, x.array.shape, strict=True))
    free = [axis for axis in x.axes if axis not in over and axis not in shared]
    order = (*shared, *sorted(free, key=extents.__getitem__), *over)
    return Laid(target.lay(x, order), order) if len(free) > 1 else x


def _places(a: Laid, b: Laid, axes: Sequence[str]) -> tuple[list[int], list[int]]:
    return [a.axes.index(axis) for axis in axes], [b.axes.index(axis) for axis in axes]


def _reduction(function: Callable[[Any, list[int]], Any]) -> Lowering:
    def lower(target: JaxTarget, node: Node, operands: Operands) -> Laid:
        (x,), over = operands, node.attrs["over"]
        kept = tuple(axis for axis in x.axes if axis not in over)
        return Laid(function(x.array, [x.axes.index(axis) for axis in over]), kept)

    return lower


def _sum(a: Any, places: list[int]) -> Any:
    return jnp.sum(a, tuple(places), dtype=a.dtype)


def _prod(a: Any, places: list[int]) -> Any:
    return jnp.prod(a, tuple(places), dtype=a.dtype)


def _arg(function: Callable[..., Any]) -> Lowering:
    def lower(target: JaxTarget, node: Node, operands: Operands) -> Laid:
        (x,), axis = operands, node.attrs["axis"]
        found = function(x.array, x.axes.index(axis), node.attrs["dtype"].numpy)
        return Laid(found, tuple(known for known in x.axes if known != axis))

    return lower


def _cumulative(function: Callable[..., Any]) -> Lowering:
    def lower(target: JaxTarget, node: Node, operands: Operands) -> Laid:
        (x,) = operands
        place = x.axes.index(node.attrs["axis"])
        if x.array.shape[place] == 0:
            return x
        return Laid(function(x.array, place, reverse=node.attrs["reverse"]), x.axes)

    return lower


def _sort(target: JaxTarget, node: Node, operands: Operands) -> list[Laid]:
    """Descending is ascending read backward, so that ties keep their order."""
    order = widest(operands, node.outputs[0].axes)
    place = order.index(node.attrs["axis"])
    arrays = [target.spread(x, order) for x in operands]
    if node.attrs["descending"]:
        arrays = [lax.rev(array, [place]) for array in arrays]
    arrays = list(lax.sort(arrays, dimension=place, is_stable=True, num_keys=node.attrs["keys"]))
    if node.attrs["descending"]:
        arrays = [lax.rev(array, [place]) for array in arrays]
    return [Laid(array, order) for array in arrays]


def _top_k(target: JaxTarget, node: Node, operands: Operands) -> tuple[Laid, Laid]:
    (x,), axis = operands, node.attrs["axis"]
    values, places = lax.top_k(x.array, target.value(node.attrs["k"]), axis=x.axes.index(axis))
    axes = tuple(node.attrs["into"] if known == axis else known for known in x.axes)
    return Laid(values, axes), Laid(lax.convert_element_type(places, np.int64), axes)


TABLE: dict[Op, Lowering] = {
    ops.contract: _contract,
    ops.sum: _reduction(_sum),
    ops.prod: _reduction(_prod),
    ops.max: _reduction(lax.reduce_max),
    ops.min: _reduction(lax.reduce_min),
    ops.any: _reduction(lax.reduce_or),
    ops.all: _reduction(lax.reduce_and),
    ops.argmax: _arg(lax.argmax),
    ops.argmin: _arg(lax.argmin),
    ops.cumsum: _cumulative(lax.cumsum),
    ops.cumprod: _cumulative(lax.cumprod),
    ops.cummax: _cumulative(lax.cummax),
    ops.cummin: _cumulative(lax.cummin),
    ops.cumlogsumexp: _cumulative(lax.cumlogsumexp),
    ops.sort: _sort,
    ops.top_k: _top_k,
}
