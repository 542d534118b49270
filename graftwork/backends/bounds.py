"""Positions that are known before a run, looked at before it: those that inputs hold or count.

For one that is not there XLA takes the last row, and ONNX Runtime counts negative ones from the
end, both without a word; others speak of their kernels, not of the user's input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.binding import Binding
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size

_VIEWS = {ops.rename, ops.split, ops.merge, ops.broadcast}


@frozen
class Lookup:
    """Positions along an axis that have to be there, at one node.

    Attributes:
        name: the input that holds them, or the axis along which they are 0, 1, 2 and so on.
        count: how many there are, if they are counted; None if an input holds them.
        axis: where they are looked up, and its size.
    """

    name: str
    count: Size | None
    axis: str
    size: Size
    node: Node


def lookups(graph: Graph) -> tuple[Lookup, ...]:
    """The positions that a graph looks up as they are given or counted."""
    whole = (port for port in graph.inputs if port.value.type.dtype.is_int)
    known: dict[Value, tuple[str, Size | None]] = {p.value: (p.name, None) for p in whole}
    found: dict[object, Lookup] = {}
    for node in graph.nodes:
        if node.op is ops.iota:
            axis = node.attrs["axis"]
            known[node.output] = axis, graph.axes[axis]
        elif _keeps_numbers(node) and node.inputs[0] in known:
            known[node.output] = known[node.inputs[0]]
        for index, axis in _reads(node):
            if index in known:
                size = graph.axes[axis]
                lookup = Lookup(*known[index], axis, size, node)
                found.setdefault((known[index], size), lookup)
    return tuple(found.values())


def _keeps_numbers(node: Node) -> bool:
    """Whether whole numbers come out of a node as they went in."""
    if node.op is not ops.cast:
        return node.op in _VIEWS
    before, after = node.inputs[0].type.dtype, node.output.type.dtype
    return after.is_int and after.bits >= before.bits


def _reads(node: Node) -> Iterator[tuple[Value, str]]:
    """The positions that a node promises to be there, and along which axis."""
    if node.op is ops.embedding:
        yield node.inputs[1], node.attrs["axis"]
    elif node.op is ops.gather and node.attrs["mode"] == "promise":
        yield from zip(node.inputs[1:], node.attrs["axes"], strict=True)


def require(known: Iterable[Lookup], binding: Binding) -> None:
    """Raise InputError for a position that is not there; what an accelerator holds stays there."""
    for lookup in known:
        size = _extent(lookup.size, binding.symbols)
        wrong = _missing(lookup, size, binding)
        if wrong:
            raise InputError(
                f"{wrong}, which is out of range of the {size} positions along {lookup.axis!r} "
                f"(from {lookup.node.origin})"
            )


def _missing(lookup: Lookup, size: int, binding: Binding) -> str:
    """What is not there of so many positions; nothing if all are."""
    if lookup.count is not None:
        count = _extent(lookup.count, binding.symbols)
        return f"axis {lookup.name!r} has size {count}" if count > size else ""
    array = binding.arrays[lookup.name]
    if not _is_on_host(array):
        return ""
    given = np.asarray(array)
    wrong = given[(given < 0) | (given >= size)]
    return f"input {lookup.name!r} holds {wrong.flat[0]}" if wrong.size else ""


def _is_on_host(array: Any) -> bool:
    """Whether an array of any framework can be read without waiting for a device."""
    return "cpu" in str(getattr(array, "device", "cpu")).lower()


def _extent(size: Size, symbols: Mapping[str, int]) -> int:
    return size if isinstance(size, int) else evaluate(size, symbols)
