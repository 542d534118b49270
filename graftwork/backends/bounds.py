"""Positions among the inputs, looked at before a run.

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
    """An input whose numbers are positions along an axis, at one node."""

    name: str
    axis: str
    size: Size
    node: Node


def lookups(graph: Graph) -> tuple[Lookup, ...]:
    """The inputs that are positions as they are given, and have to be there."""
    whole = (port for port in graph.inputs if port.value.type.dtype.is_int)
    names: dict[Value, str] = {port.value: port.name for port in whole}
    found: dict[tuple[str, Size], Lookup] = {}
    for node in graph.nodes:
        if _keeps_numbers(node) and node.inputs[0] in names:
            names[node.output] = names[node.inputs[0]]
        for index, axis in _reads(node):
            if index in names:
                lookup = Lookup(names[index], axis, graph.axes[axis], node)
                found.setdefault((lookup.name, lookup.size), lookup)
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
        array = binding.arrays[lookup.name]
        if not _is_on_host(array):
            continue
        given = np.asarray(array)
        size = _extent(lookup.size, binding.symbols)
        wrong = given[(given < 0) | (given >= size)] if given.size else given
        if wrong.size:
            raise InputError(
                f"input {lookup.name!r} holds {wrong.flat[0]}, which is out of range of the {size} "
                f"positions along {lookup.axis!r} (from {lookup.node.origin})"
            )


def _is_on_host(array: Any) -> bool:
    """Whether an array of any framework can be read without waiting for a device."""
    return "cpu" in str(getattr(array, "device", "cpu")).lower()


def _extent(size: Size, symbols: Mapping[str, int]) -> int:
    return size if isinstance(size, int) else evaluate(size, symbols)
