"""JAX: convolution and pooling, in the order in which the dimensions happen to lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _conv(target: JaxTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """Groups are the axes that both operands have and neither loses."""
    x, weight = operands
    attrs = node.attrs
    bound = (*attrs["over"], *attrs["axes"], *attrs["kernel"])
    group = [a for a in x.axes if a in weight.axes and a not in bound]
    batch = [a for a in x.axes if a not in bound and a not in group]
    out = [a for a in weight.axes if a not in bound and a not in group]
    over = [a for a in x.axes if a in attrs["over"]]
    if not node.output.type.dtype.is_float or any(a in weight.axes for a in attrs["axes"]):
        return target.open_body(node, operands)
    dims = (batch, [*group, *over], *([a] for a in attrs["axes"]))
    taps_dims = ([*group, *out], over, *([a] for a in attrs["kernel"]))
    data, places = target.grouped(x, dims)
    taps, taps_places = target.grouped(weight, taps_dims)
    padding, spread = list(zip(attrs["low"], attrs["high"], strict=True)), attrs["base_dilation"]
    if _cuts(node):
        data = _padded(data, dict(zip(places[2:], zip(padding, spread, strict=True), strict=True)))
        padding, spread = [(0, 0)] * len(padding), [1] * len(padding)
    found = lax.conv_general_dilated(
        data,
        taps,
        attrs["stride"],
        padding,
        spread,
        attrs["dilation"],
        lax.ConvDimensionNumbers(tuple(places), tuple(taps_places), tuple(places)),
        feature_group_count=math.prod(target.size(a) for a in group),
    )
    result_dims = (batch, [*group, *out], *([a] for a in attrs["into"]))
    return target.ungrouped(found, result_dims, places)


def _padded(data: Any, edges: Mapping[int, tuple[tuple[int, int], int]]) -> Any:
    """Padding beforehand: XLA's kernel is wrong where one edge is cut and the other padded."""
    config = [edges.get(place, ((0, 0), 1)) for place in range(data.ndim)]
    zero = data.dtype.type(0)
    return lax.pad(data, zero, [(low, high, spread - 1) for (low, high), spread in config])


def _windowed(node: Node, x: Laid, init: Any, combine: Callable[..., Any], array: Any) -> Any:
    """A reduction over windows; other axes have windows of one."""
    attrs = node.attrs

    def each(word: str, default: int) -> list[int]:
        given = dict(zip(attrs["axes"], attrs[word], strict=True))
        return [given.get(axis, default) for axis in x.axes]

    return lax.reduce_window(
        array,
        init,
        combine,
        each("size", 1),
        each("stride", 1),
        list(zip(each("low", 0), each("high", 0), strict=True)),
        window_dilation=each("dilation", 1),
    )


def _pooled_axes(node: Node, x: Laid) -> tuple[str, ...]:
    names = dict(zip(node.attrs["axes"], node.attrs["into"], strict=True))
    return tuple(names.get(axis, axis) for axis in x.axes)


def _cuts(node: Node) -> bool:
    """Whether padding is negative somewhere, which windows do not know."""
    return min((*node.attrs["low"], *node.attrs["high"]), default=0) < 0


def _max_pool(target: JaxTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    (x,) = operands
    if _cuts(node) or not node.output.type.dtype.is_float:
        return target.open_body(node, operands)
    init = x.array.dtype.type(-math.inf)
    return Laid(_windowed(node, x, init, lax.max, x.array), _pooled_axes(node, x))


def _avg_pool(target: JaxTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    (x,) = operands
    if _cuts(node):
        return target.open_body(node, operands)
    zero = x.array.dtype.type(0)
    total = _windowed(node, x, zero, lax.add, x.array)
    divisor = node.attrs["divisor"]
    if divisor is None and node.attrs["count_padding"]:
        divisor = math.prod(node.attrs["size"])
    if divisor is None:
        count = _windowed(node, x, zero, lax.add, jnp.ones_like(x.array))
    else:
        count = jnp.full_like(total, divisor)
    return Laid(total / count, _pooled_axes(node, x))


TABLE: dict[Op, Lowering] = {
    ops.conv: _conv,
    ops.max_pool: _max_pool,
    ops.avg_pool: _avg_pool,
}
