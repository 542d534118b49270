"""JAX: reading and writing at computed positions, and sliding windows.

Axes that indices share with the data are batching dimensions of the gather or scatter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import lax

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]

_MODES = {
    "promise": lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    "clip": lax.GatherScatterMode.CLIP,
    "fill": lax.GatherScatterMode.FILL_OR_DROP,
    "drop": lax.GatherScatterMode.FILL_OR_DROP,
}
_SCATTERS = {
    "set": lax.scatter,
    "add": lax.scatter_add,
    "mul": lax.scatter_mul,
    "min": lax.scatter_min,
    "max": lax.scatter_max,
}


def _points(target: JaxTarget, indices: Operands, order: Sequence[str]) -> Any:
    """Index operands as one array whose last dimension lists the coordinates of a point."""
    columns = [_wide(target.spread(index, order)) for index in indices]
    last = len(order)
    stacked = [lax.expand_dims(column, [last]) for column in columns]
    return lax.concatenate(stacked, last) if len(stacked) > 1 else stacked[0]


def _wide(index: Any) -> Any:
    """Small and unsigned indices as i64, so that no bound overflows their type."""
    fits = index.dtype in (np.dtype(np.int32), np.dtype(np.int64))
    return index if fits else lax.convert_element_type(index, np.int64)


def _gather(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    x, *indices = operands
    axes, mode = node.attrs["axes"], node.attrs["mode"]
    if not indices:
        return x
    points = widest(indices, dict.fromkeys(axis for index in indices for axis in index.axes))
    # In the order of x, which is the one that lax takes batching dimensions in.
    shared = [axis for axis in x.axes if axis in points and axis not in axes]
    rest = [axis for axis in x.axes if axis not in axes and axis not in shared]
    order = (*points, *rest)
    fill = np.asarray(node.attrs["fill"]).astype(x.array.dtype)
    bound = [x.axes.index(axis) for axis in axes]
    if math.prod(x.array.shape[place] for place in bound) == 0:
        return Laid(lax.full([target.size(axis) for axis in order], fill), order)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(len(points), len(order))),
        collapsed_slice_dims=tuple(sorted(bound)),
        start_index_map=tuple(bound),
        operand_batching_dims=tuple(x.axes.index(axis) for axis in shared),
        start_indices_batching_dims=tuple(points.index(axis) for axis in shared),
    )
    sizes = [x.array.shape[i] if axis in rest else 1 for i, axis in enumerate(x.axes)]
    taken = lax.gather(
        x.array,
        _points(target, indices, points),
        numbers,
        sizes,
        mode=_MODES[mode],
        fill_value=fill.item() if mode == "fill" else None,
    )
    return Laid(taken, order)


def _scatter(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    x, updates, *indices = operands
    axes, over = node.attrs["axes"], node.attrs["over"]
    order = widest([x], node.output.axes)
    addressed = dict.fromkeys(axis for index in indices for axis in index.axes)
    shared = [axis for axis in order if axis in addressed and axis not in over]
    points = (*over, *shared)
    rest = [axis for axis in order if axis not in axes and axis not in shared]
    bound = [order.index(axis) for axis in axes]
    if not indices or 0 in (target.size(axis) for axis in (*points, *axes)):
        return Laid(target.spread(x, order), order)
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(len(points), len(points) + len(rest))),
        inserted_window_dims=tuple(sorted(bound)),
        scatter_dims_to_operand_dims=tuple(bound),
        operand_batching_dims=tuple(order.index(axis) for axis in shared),
        scatter_indices_batching_dims=tuple(points.index(axis) for axis in shared),
    )
    written = _SCATTERS[node.attrs["combine"]](
        target.spread(x, order),
        _points(target, indices, points),
        target.spread(updates, (*points, *rest)),
        numbers,
        mode=_MODES[node.attrs["mode"]],
    )
    return Laid(written, order)


def _window(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    """A gather at positions that are known when the program is traced."""
    (x,), into, kernel = operands, node.attrs["into"], node.attrs["kernel"]
    place = x.axes.index(node.attrs["axis"])
    starts = np.arange(target.size(into), dtype=np.int32) * node.attrs["stride"]
    steps = np.arange(target.size(kernel), dtype=np.int32) * node.attrs["dilation"]
    where = (starts[:, None] + steps)[..., None]
    around = [i if i < place else i + 1 for i in range(len(x.axes)) if i != place]
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(around), collapsed_slice_dims=(place,), start_index_map=(place,)
    )
    sizes = [1 if i == place else extent for i, extent in enumerate(x.array.shape)]
    taken = lax.gather(x.array, where, numbers, sizes, mode=_MODES["promise"])
    return Laid(taken, (*x.axes[:place], into, kernel, *x.axes[place + 1 :]))


TABLE: dict[Op, Lowering] = {
    ops.gather: _gather,
    ops.scatter: _scatter,
    ops.window: _window,
}
