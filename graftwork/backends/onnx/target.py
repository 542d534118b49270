"""ONNX as a target: lowerings append nodes, sizes are ints or values computed from shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, Target, widest
from graftwork.backends.onnx.emit import Emitter, dtype_of_value
from graftwork.backends.onnx.extents import Dim, Extents
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.op import Op
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.sizes import Size
from graftwork.ir.types import AxisTable, Typing

Operands = Sequence[Laid]


class OnnxTarget(Target):
    """Lowers to the nodes of one ONNX graph.

    Attributes:
        table: op -> lowering.
        emit: where nodes go.
        extents: what sizes are at run time.
    """

    name = "onnx"

    def __init__(
        self, table: Mapping[Op, Lowering], axes: AxisTable, emit: Emitter, extents: Extents
    ) -> None:
        super().__init__(axes)
        self.table = table
        self.emit = emit
        self.extents = extents

    def value(self, size: Size) -> Dim:
        return self.extents.dim(size)

    def transpose(self, array: onnx.Value, order: Sequence[int]) -> onnx.Value:
        return self.emit.op("Transpose", array, perm=list(order))

    def expand_dims(self, array: onnx.Value, rank: int, places: Sequence[int]) -> onnx.Value:
        return self.emit.op("Unsqueeze", array, self.emit.ints(*places))

    def squeeze(self, array: onnx.Value, places: Sequence[int]) -> onnx.Value:
        return self.emit.op("Squeeze", array, self.emit.ints(*places))

    def lower_node(self, node: Node, env: dict[Value, Laid]) -> None:
        outer = self.emit.origin, self.emit.word
        if node.origin != UNKNOWN:
            self.emit.origin = node.origin
        self.emit.word = node.op.name
        try:
            super().lower_node(node, env)
        finally:
            self.emit.origin, self.emit.word = outer

    # --- shapes -----------------------------------------------------------------------------

    def sizes(self, axes: Iterable[str]) -> list[Size]:
        """The extents of axes, as the table has them."""
        return [self.typing.size(axis) for axis in axes]

    def shape(self, sizes: Iterable[Size]) -> onnx.Value:
        """Sizes as a vector."""
        return self.extents.vector(*sizes)

    def scalar(self, size: Size) -> onnx.Value:
        """A size as an i64 without dimensions."""
        if isinstance(size, int):
            return self.emit.constant(size)
        return self.squeeze(self.extents.vector(size), [0])

    def reshape(
        self, array: onnx.Value, before: Sequence[Size], after: Sequence[Size]
    ) -> onnx.Value:
        """Dimensions of sizes `before` as dimensions of sizes `after`.

        A shape that takes symbolic sizes over from their places in the operand is a constant,
        which the runtime's own shape inference sees through.
        """
        if list(before) == list(after):
            return array
        kept = [i < len(before) and before[i] == size for i, size in enumerate(after)]
        if all(k or (isinstance(s, int) and s > 0) for k, s in zip(kept, after, strict=True)):
            dims = [size if isinstance(size, int) and size else 0 for size in after]
            return self.emit.op("Reshape", array, self.emit.ints(*dims))
        return self.emit.op("Reshape", array, self.shape(after), allowzero=1)

    def spread(self, x: Laid, order: Iterable[str]) -> onnx.Value:
        """The array with exactly these dimensions, repeated along the axes that it lacks."""
        wanted = tuple(order)
        array: onnx.Value = self.lay(x, wanted)
        if len(x.axes) == len(wanted):
            return array
        return self.expand(array, self.sizes(wanted))

    def expand(self, array: onnx.Value, sizes: Sequence[Size]) -> onnx.Value:
        """The array repeated to these sizes."""
        shape = [size for size in sizes if isinstance(size, int)]
        if 0 in shape and len(shape) == len(sizes):  # the runtime's Expand makes an extent 1 of it
            dtype = dtype_of_value(array)
            return self.emit.constant(np.empty(shape, dtype.numpy), dtype)
        return self.emit.op("Expand", array, self.shape(sizes))

    def aligned(self, operands: Operands, order: Sequence[str]) -> list[onnx.Value]:
        """Arrays that broadcast against each other, their last dimensions in this order."""
        return [self.lay(x, order[_first(x, order) :]) for x in operands]

    def open(self, node: Node, operands: Operands, formula: Callable[..., Any]) -> Laid:
        """Lower a node as an expression of smaller ops."""
        builder = Builder(Typing(self.typing.table))
        inputs = tuple(Value(value.type, value.name) for value in node.inputs)
        result = formula(*(Term(value, builder) for value in inputs), **node.attrs.as_dict())
        outer, self.typing = self.typing, builder.typing
        try:
            (laid,) = self.lower(Region(inputs, tuple(builder.nodes), (result.value,)), operands)
        finally:
            self.typing = outer
        return laid


def zipped(target: OnnxTarget, kind: str, *operands: Laid) -> Laid:
    """An elementwise op of ONNX on operands that are brought into one order of dimensions."""
    axes = widest(operands, dict.fromkeys(axis for x in operands for axis in x.axes))
    return Laid(target.emit.op(kind, *target.aligned(operands, axes)), axes)


def _first(x: Laid, order: Sequence[str]) -> int:
    """How many leading axes of the order the array lacks."""
    return next((i for i, axis in enumerate(order) if axis in x.axes), len(order))
