"""Which integers can be told, from how they were made, never to be negative.

Torch counts negative indices from the end. Where an index is a position (an `iota`, shifted or
broadcast) no wrapping is built, so that a lookup at positions stays recognisable as one.
"""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.ir.build import Term
from graftwork.ir.graph import Node, Value

_ALWAYS = {"iota", "size", "argmax", "argmin"}
_IF_FIRST = {"rename", "split", "merge", "broadcast", "index", "slice", "flip", "gather", "cumsum"}
_IF_ALL = {"add", "mul", "maximum", "minimum", "floor_div", "concat", "pad", "select", "sum"}


def is_non_negative(term: Term) -> bool:
    """Whether the integers of a term are known to be 0 or more."""
    if term.dtype.is_unsigned:
        return True
    producers = {value: node for node in term.builder.nodes for value in node.outputs}
    pending, seen = [term.value], set[Value]()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        needed = _operands(value, producers)
        if needed is None:
            return False
        pending += needed
    return True


def _operands(value: Value, producers: Mapping[Value, Node]) -> list[Value] | None:
    """The values that must be non-negative for this one to be; None where nothing is known."""
    node = producers.get(value)
    if node is None:
        return None
    word = node.op.name
    if word in _ALWAYS:
        return []
    if word in _IF_FIRST:
        return [node.inputs[0]]
    if word in _IF_ALL:
        return list(node.inputs[1:] if word == "select" else node.inputs)
    if word == "mod":
        return [node.inputs[1]]
    if word == "constant":
        return [] if node.attrs["value"].array.min(initial=0) >= 0 else None
    if word == "cast":
        source = node.inputs[0].type.dtype
        return None if source.is_float else [node.inputs[0]] if source.is_int else []
    return None
