"""Proving from its graph that a mask lets no position see a later one.

Nothing is evaluated: a mask is causal if its nodes say so, whatever the sizes are and whatever
else (padding, a sliding window) it forbids besides. What is added to scores forbids by a number as
low as the dtype has, of which a softmax leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any, cast

import ml_dtypes
import numpy as np
from attrs import frozen

from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node, Value

_MIRRORED = {"gt": "lt", "ge": "le"}
_COUNTING = frozenset({DType.i32, DType.i64})  # others may round a position, or wrap it around


@frozen(eq=False)
class Order:
    """Positions of one axis against those of another: which pairs a mask speaks of.

    Attributes:
        producer: value -> the node that makes it.
        query, key: the axes.
    """

    producer: Mapping[Value, Node]
    query: str
    key: str

    def forbids(self, mask: Value) -> bool:
        """Whether a mask is false, or low, at every key position after the query's."""
        node = self.producer.get(mask)
        if node is None:
            return False
        match node.op.name:
            case "le" | "lt" | "ge" | "gt":
                return self._compared(node, later=False)
            case "and":
                return any(self.forbids(value) for value in node.inputs)
            case "or" | "maximum":
                return all(self.forbids(value) for value in node.inputs)
            case "not":
                return self.demands(node.inputs[0])
            case "broadcast":
                return self.forbids(node.inputs[0])
            case "cast":
                same = mask.type.dtype.is_float is node.inputs[0].type.dtype.is_float
                return same and self.forbids(node.inputs[0])
            case "add" | "minimum":  # whatever finite is added to what is so low, it stays low
                return any(self.forbids(value) for value in node.inputs)
            case "select":
                return self._selects(node)
        return False

    def demands(self, mask: Value) -> bool:
        """Whether a mask is true at every key position after the query's."""
        node = self.producer.get(mask)
        if node is None:
            return False
        match node.op.name:
            case "le" | "lt" | "ge" | "gt":
                return self._compared(node, later=True)
            case "and":
                return all(self.demands(value) for value in node.inputs)
            case "or":
                return any(self.demands(value) for value in node.inputs)
            case "not":
                return self.forbids(node.inputs[0])
            case "broadcast":
                return self.demands(node.inputs[0])
            case "cast":  # what is low is not zero, so it is true
                return mask.type.dtype is DType.boolean and self.forbids(node.inputs[0])
        return False

    def own(self, mask: Value) -> bool | None:
        """Whether a mask is true, or not low, where the key is at its query's place; None if that
        is not known, or not one thing.
        """
        node = self.producer.get(mask)
        if node is None:
            return None
        match node.op.name:
            case "le" | "lt" | "ge" | "gt":
                sides = self._sides(node)
                return None if sides is None else sides[2] >= 0
            case "not":
                found = self.own(node.inputs[0])
                return None if found is None else not found
            case "and" | "add" | "minimum":
                return _all(map(self.own, node.inputs))
            case "or" | "maximum":
                return _any(map(self.own, node.inputs))
            case "broadcast":
                return self.own(node.inputs[0])
            case "select":
                condition, *ways = node.inputs
                chosen = self.own(condition)
                ways = ways if chosen is None else ways[not chosen :][:1]
                found, *others = map(self.own, ways)
                return found if {*others} <= {found} else None
            case "cast" if _holds(mask.type.dtype, node.inputs[0].type.dtype):
                return self.own(node.inputs[0])
        return _is_something(self.producer, mask)

    def _selects(self, node: Node) -> bool:
        condition, chosen, other = node.inputs
        if self.forbids(condition):
            return is_nothing(self.producer, other)
        if self.demands(condition):
            return is_nothing(self.producer, chosen)
        return all(self.forbids(x) or is_nothing(self.producer, x) for x in (chosen, other))

    def _compared(self, node: Node, later: bool) -> bool:
        """Whether a comparison never holds, or always does, where the key is after the query."""
        sides = self._sides(node)
        if sides is None:
            return False
        left, _, slack = sides
        if later:
            return left == self.query and slack >= -1
        return left == self.key and slack <= 0

    def _sides(self, node: Node) -> tuple[str, str, int] | None:
        """A comparison of positions as `left <= right + slack`: the axes left and right, and it."""
        word = node.op.name
        left, right = (self._position(value) for value in node.inputs)
        if word in _MIRRORED:
            word, left, right = _MIRRORED[word], right, left
        if left is None or right is None or {left[0], right[0]} != {self.query, self.key}:
            return None
        return left[0], right[0], right[1] - left[1] - (word == "lt")

    def _position(self, value: Value) -> tuple[str, int] | None:
        """An axis and a shift, of a value that counts the positions along it."""
        shift = 0
        renamed: dict[str, str] = {}
        while (node := self.producer.get(value)) is not None:
            if value.type.dtype not in _COUNTING:
                return None
            match node.op.name:
                case "iota":
                    axis = str(node.attrs["axis"])
                    return renamed.get(axis, axis), shift
                case "broadcast" | "cast":
                    value = node.inputs[0]
                case "rename":
                    pairs: dict[str, str] = dict(node.attrs["axes"])
                    renamed = renamed | {a: renamed.get(b, b) for a, b in pairs.items()}
                    value = node.inputs[0]
                case "add" | "sub":
                    step = number(self.producer, node.inputs[1])
                    if not isinstance(step, int):
                        return None
                    shift += step if node.op.name == "add" else -step
                    value = node.inputs[0]
                case _:
                    return None
        return None


def number(producer: Mapping[Value, Node], value: Value) -> bool | int | float | None:
    """The number that a value is everywhere, if it is one."""
    dtypes = []
    while (node := producer.get(value)) is not None and node.op.name in ("broadcast", "cast"):
        dtypes.append(value.type.dtype)
        (value,) = node.inputs
    if node is None or node.op.name != "constant" or value.axes:
        return None
    array = node.attrs["value"].array
    for dtype in reversed(dtypes):
        array = array.astype(dtype.numpy)
    return cast("bool | int | float", array.item())


def is_nothing(producer: Mapping[Value, Node], value: Value) -> bool:
    """Whether a value is false, or so low that a softmax leaves nothing of it, everywhere."""
    found = number(producer, value)
    if isinstance(found, float):
        limits: Any = ml_dtypes.finfo(value.type.dtype.numpy)  # type: ignore[no-untyped-call]
        return found <= float(limits.min) / 2
    return found is False


def _is_something(producer: Mapping[Value, Node], value: Value) -> bool | None:
    """Whether a value is true, or a number that a softmax leaves something of; None if unknown."""
    found = number(producer, value)
    known = isinstance(found, bool) or (isinstance(found, float) and np.isfinite(found))
    return not is_nothing(producer, value) if known else None


def _holds(dtype: DType, other: DType) -> bool:
    """Whether a dtype has every number of another of its kind, so that none becomes low in it."""
    return dtype is other or (dtype.is_float and other.is_float and dtype.bits > other.bits)


def _all(parts: Iterable[bool | None]) -> bool | None:
    """Whether all hold, of which some may not be known."""
    found = set(parts)
    return False if False in found else None if None in found else True


def _any(parts: Iterable[bool | None]) -> bool | None:
    found = set(parts)
    return True if True in found else None if None in found else False


def orders(producer: Mapping[Value, Node], mask: Value) -> frozenset[tuple[str, str]]:
    """The pairs of axes, query and key, of which a mask lets no query see a later key."""
    pairs = permutations(mask.axes, 2)
    return frozenset(pair for pair in pairs if Order(producer, *pair).forbids(mask))
