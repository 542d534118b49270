"""Where a value is always zero along an axis, by structure and by what weights hold.

`select(heads == 3, 0, z)` is zero at head 3, and so is all that is linear in it; a neuron whose
weights are zero is as well.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from attrs import field, frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.store import as_numpy
from graftwork.passes.attention import PRODUCTS

Holds: TypeAlias = np.ndarray[Any, Any]
_SAME = frozenset({"cast", "broadcast", "stop_gradient", "split", "merge", "slice", "index"})


@frozen(eq=False)
class Zeros:
    """What is known of one graph.

    Attributes:
        arrays: what values hold that are the same in every run.
        known: (value, axis) -> where it is zero.
        still: the values that depend on weights and constants alone, and what makes them.
    """

    graph: Graph
    arrays: dict[Value, NamedArray] = field(factory=dict)
    known: dict[tuple[Value, str], Holds] = field(factory=dict)
    still: dict[Value, Node | None] = field(init=False)

    @still.default
    def _find_still(self) -> dict[Value, Node | None]:
        found: dict[Value, Node | None] = {p.value: None for p in self.graph.parameters}
        for node in self.graph.nodes:
            fixed = all(isinstance(self.graph.axes[a], int) for v in node.outputs for a in v.axes)
            plain = not node.regions and "random" not in node.op.traits and node.op.name != "size"
            if fixed and plain and all(v in found for v in node.inputs):
                found |= dict.fromkeys(node.outputs, node)
        return found

    def array(self, value: Value) -> NamedArray | None:
        """What a value holds in every run; None if that depends on the run."""
        if value in self.still and value not in self.arrays:
            node = self.still[value]
            if node is None:
                (p,) = [p for p in self.graph.parameters if p.value is value]
                held = as_numpy(self.graph.store[p.name])
                self.arrays[value] = NamedArray(held, p.layout).squeeze()
            else:
                env = {v: x for v in node.inputs if (x := self.array(v)) is not None}
                made = At(self.graph.axes, {}).node(node, env)
                self.arrays.update(zip(node.outputs, made, strict=True))
        return self.arrays.get(value)

    def along(self, value: Value, axis: str) -> Holds:
        """For each position of an axis of fixed size, whether the value is always zero there."""
        if (value, axis) not in self.known:
            self.known[value, axis] = self._found(value, axis)
        return self.known[value, axis]

    def _found(self, value: Value, axis: str) -> Holds:
        shape = (int(str(self.graph.axes[axis])),)
        held = self.array(value)
        if held is not None:
            return _everywhere(NamedArray(np.asarray(held) == 0, held.axes), axis, shape)
        node = self.graph.index.producer.get(value)
        if node is None or axis not in value.type.axis_set:
            return np.zeros(shape, bool)
        return np.broadcast_to(self._made(node, axis), shape)

    def _made(self, node: Node, axis: str) -> Holds:
        """Where what a node makes is zero."""
        name, inputs, attrs = node.op.name, node.inputs, node.attrs
        if name == "select":
            return self._selected(node, axis)
        if name == "mul" or (name in PRODUCTS and axis not in attrs["over"]):
            zero = self.along(inputs[0], axis) | self.along(inputs[1], axis)
            return zero & self.along(inputs[2], axis) if len(inputs) > 2 else zero
        if name in ("add", "sub"):
            return self.along(inputs[0], axis) & self.along(inputs[1], axis)
        if name == "attention":
            return self.along(inputs[2], axis)
        if name == "rename":
            back = {new: old for old, new in attrs["axes"]}
            return self.along(inputs[0], back.get(axis, axis))
        if name == "split" and axis in attrs["into"]:
            sizes = [int(str(size)) for size in attrs["sizes"]]
            whole = self.along(inputs[0], attrs["axis"]).reshape(sizes)
            others = [i for i, part in enumerate(attrs["into"]) if part != axis]
            return np.asarray(whole.all(tuple(others)))
        if name == "merge" and axis == attrs["into"]:
            return self._merged(node)
        same = name in _SAME and (name == "broadcast" or axis not in node.op.named_axes(attrs))
        if same or self._keeps_zero(node):
            return self.along(inputs[0], axis)
        return np.zeros((), bool)

    def _selected(self, node: Node, axis: str) -> Holds:
        condition, yes, no = node.inputs
        zero = self.along(yes, axis), self.along(no, axis)
        held = self.array(condition)
        if held is None:
            return zero[0] & zero[1]
        always = _everywhere(held, axis, zero[0].shape)
        never = _everywhere(NamedArray(~np.asarray(held), held.axes), axis, zero[0].shape)
        return (zero[0] & zero[1]) | (always & zero[0]) | (never & zero[1])

    def _merged(self, node: Node) -> Holds:
        parts = node.attrs["axes"]
        shape = [1] * len(parts)

        def spread(i: int, part: str) -> Holds:
            return self.along(node.inputs[0], part).reshape([*shape[:i], -1, *shape[i + 1 :]])

        return reduce(np.logical_or, [spread(i, part) for i, part in enumerate(parts)]).ravel()

    def _keeps_zero(self, node: Node) -> bool:
        """Whether an elementwise function of one value is zero at zero."""
        if "elementwise" not in node.op.traits or len(node.inputs) != 1 or node.regions:
            return False
        of = node.inputs[0].type
        zero = NamedArray(np.zeros([1] * len(of.axes), of.dtype.numpy), of.axes)
        with np.errstate(all="ignore"):
            (made,) = At(dict.fromkeys(of.axes, 1), {}).apply(node, [zero])
        return not np.asarray(made).any()


def _everywhere(held: NamedArray, axis: str, shape: tuple[int, ...]) -> Holds:
    """For each position of an axis, whether an array holds at all others."""
    others = tuple(i for i, a in enumerate(held.axes) if a != axis)
    return np.broadcast_to(np.asarray(held).all(others), shape)
