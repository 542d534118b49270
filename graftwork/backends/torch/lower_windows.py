"""torch: convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _fits(node: Node) -> bool:
    return len(node.attrs["axes"]) in _CONV and node.output.type.dtype.is_float


def _padding(
    target: TorchTarget, array: Any, node: Node, fill: float, most: Sequence[float]
) -> tuple[Any, list[int]]:
    """What the kernel pads by itself, and the array padded where it cannot."""
    low, high = list(node.attrs["low"]), list(node.attrs["high"])
    inside = all(0 <= a <= m for a, m in zip(low, most, strict=True))
    if low == high and inside:
        return array, low
    pairs = [amount for pair in zip(low[::-1], high[::-1], strict=True) for amount in pair]
    return target.call(F.pad, array, pairs, value=fill), [0] * len(low)


def _conv(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """Groups are the axes that both operands have and neither loses."""
    x, weight = operands
    attrs = node.attrs
    bound = (*attrs["over"], *attrs["axes"], *attrs["kernel"])
    group = [a for a in x.axes if a in weight.axes and a not in bound]
    batch = [a for a in x.axes if a not in bound and a not in group]
    out = [a for a in weight.axes if a not in bound and a not in group]
    over = [a for a in x.axes if a in attrs["over"]]
    spatial = [[a] for a in attrs["axes"]]
    kernel = [[a] for a in attrs["kernel"]]
    if not _fits(node) or any(a in weight.axes for a in attrs["axes"]):
        return target.open_body(node, operands)
    data = target.grouped(x, (batch, [*group, *over], *spatial))
    groups = math.prod(target.size(a) for a in group)
    if any(step != 1 for step in attrs["base_dilation"]):
        found = _transposed(target, node, data, weight, (group, over, out, kernel), groups)
        if found is None:
            return target.open_body(node, operands)
    else:
        many = [math.inf] * len(spatial)
        data, padding = _padding(target, data, node, 0.0, many)
        taps = target.grouped(weight, ([*group, *out], over, *kernel))
        stride, dilation = list(attrs["stride"]), list(attrs["dilation"])
        convolve: Callable[..., Any] = _CONV[len(spatial)]
        found = target.call(convolve, data, taps, None, stride, padding, dilation, groups)
    return target.ungrouped(found, (batch, [*group, *out], *([a] for a in attrs["into"])))


def _transposed(
    target: TorchTarget,
    node: Node,
    data: Any,
    weight: Laid,
    parts: tuple[list[str], list[str], list[str], list[list[str]]],
    groups: int,
) -> Any:
    """A convolution of spread-out data, as the transpose of one; None if it is not."""
    (group, over, out, kernel), attrs = parts, node.attrs
    extents = [target.size(axis) for (axis,) in kernel]
    dilation, stride = list(attrs["dilation"]), list(attrs["base_dilation"])
    if not all(isinstance(n, int) for n in extents) or any(step != 1 for step in attrs["stride"]):
        return None
    padding = [d * (n - 1) - low for d, n, low in zip(dilation, extents, attrs["low"], strict=True)]
    extra = [high - low for high, low in zip(attrs["high"], attrs["low"], strict=True)]
    bounds = zip(padding, extra, stride, dilation, strict=True)
    if any(p < 0 or not 0 <= e < max(s, d) for p, e, s, d in bounds):
        return None
    taps = target.grouped(weight, ([*group, *over], out, *kernel))
    taps = taps.flip(list(range(2, 2 + len(kernel))))
    convolve: Callable[..., Any] = _CONV_TRANSPOSE[len(kernel)]
    return target.call(convolve, data, taps, None, stride, padding, extra, groups, dilation)


def _pool_parts(node: Node, x: Laid) -> tuple[list[list[str]], list[list[str]]]:
    """The dimensions that torch pools, before and after."""
    free = [a for a in x.axes if a not in node.attrs["axes"]]
    before = [free, [], *([a] for a in node.attrs["axes"])]
    return before, [free, [], *([a] for a in node.attrs["into"])]


def _max_pool(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    (x,), attrs = operands, node.attrs
    if not _fits(node):
        return target.open_body(node, operands)
    before, after = _pool_parts(node, x)
    half = [size // 2 for size in attrs["size"]]
    data, padding = _padding(target, target.grouped(x, before), node, -math.inf, half)
    pool: Callable[..., Any] = _MAX_POOL[len(attrs["axes"])]
    sizes, stride, dilation = (list(attrs[word]) for word in ("size", "stride", "dilation"))
    return target.ungrouped(target.call(pool, data, sizes, stride, padding, dilation), after)


def _avg_pool(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """With a divisor, as the mean over whole windows times a number."""
    (x,), attrs = operands, node.attrs
    low, high, size = attrs["low"], attrs["high"], list(attrs["size"])
    half = all(0 <= a <= n // 2 for a, n in zip(low, size, strict=True))
    whole = attrs["count_padding"] or attrs["divisor"] is not None
    same = low == high and half
    if not _fits(node) or any(d != 1 for d in attrs["dilation"]) or not (same or whole):
        return target.open_body(node, operands)
    before, after = _pool_parts(node, x)
    most = [n // 2 for n in size]
    data, padding = _padding(target, target.grouped(x, before), node, 0.0, most)
    pool: Callable[..., Any] = _AVG_POOL[len(size)]
    found = target.call(pool, data, size, list(attrs["stride"]), padding, False, whole)
    if attrs["divisor"] is not None:
        found = found * (math.prod(size) / attrs["divisor"])
    return target.ungrouped(found, after)


TABLE: Mapping[Op, Lowering] = {
    ops.conv: _conv,
    ops.max_pool: _max_pool,
    ops.avg_pool: _avg_pool,
}
