"""ONNX: convolution and pooling, by kernels for batch, channels and up to three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftwork.backends.engine import Lowering
from graftwork.backends.onnx.kernels import carrier
from graftwork.backends.onnx.lower_contract import grouped, ungrouped
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

_MOST = 3


def _singles(axes: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(axis,) for axis in axes]


def _conv(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """Groups are axes that both operands have; all batch axes together are one."""
    (x, weight), attrs = operands, node.attrs
    axes, kernel, into, over = (attrs[key] for key in ("axes", "kernel", "into", "over"))
    groups = tuple(a for a in x.axes if a in weight.axes and a not in over)
    count = 1
    for size in target.sizes(groups):
        count = count * size if isinstance(size, int) else 0
    plain = all(step == 1 for step in attrs["base_dilation"])
    pads = [*attrs["low"], *attrs["high"]]
    static = all(isinstance(size, int) for size in target.sizes(kernel))
    usable = carrier("Conv", node.output.type.dtype) and node.output.type.dtype.is_float
    if not (usable and plain and count > 0 and static and min(pads, default=-1) >= 0) or (
        len(axes) > _MOST or not target.certain([*over, *kernel, *axes])
    ):
        return target.opened(node, operands)
    batch = tuple(a for a in x.axes if a not in (*groups, *over, *axes))
    made = tuple(a for a in weight.axes if a not in (*groups, *over, *kernel))
    left = grouped(target, x, batch, (*groups, *over), *_singles(axes))
    right = grouped(target, weight, (*groups, *made), over, *_singles(kernel))
    array = target.emit.op(
        "Conv", left, right, group=count, strides=list(attrs["stride"]),
        dilations=list(attrs["dilation"]), pads=pads,
    )  # fmt: skip
    return ungrouped(target, array, batch, (*groups, *made), *_singles(into))


def _pool(kind: str) -> Lowering:
    """Every axis that is not pooled is batch."""

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Any:
        (x,), attrs = operands, node.attrs.as_dict()
        axes, into, size = attrs["axes"], attrs["into"], attrs["size"]
        pads = [*attrs["low"], *attrs["high"]]
        fits = all(0 <= pad < extent for pad, extent in zip(pads, size * 2, strict=True))
        dtype = node.output.type.dtype
        known = carrier(kind, dtype) and (dtype.is_float or carrier(kind, dtype) is dtype)
        average = kind == "AveragePool"
        if not (fits and known and axes and len(axes) <= _MOST and target.certain(axes)) or (
            average and attrs["divisor"] is not None
        ):
            return target.opened(node, operands)
        rest = tuple(a for a in x.axes if a not in axes)
        batch, channels = rest[:-1], rest[-1:]
        counted: dict[str, Any] = {}
        if average:
            counted["count_include_pad"] = int(attrs["count_padding"])
        array = target.emit.op(
            kind, grouped(target, x, batch, channels, *_singles(axes)),
            kernel_shape=list(size), strides=list(attrs["stride"]),
            dilations=list(attrs["dilation"]), pads=pads, **counted,
        )  # fmt: skip
        return ungrouped(target, array, batch, channels, *_singles(into))

    return lower


TABLE: Mapping[Op, Lowering] = {
    ops.conv: _conv,
    ops.max_pool: _pool("MaxPool"),
    ops.avg_pool: _pool("AveragePool"),
}
