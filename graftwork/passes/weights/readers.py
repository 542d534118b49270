"""Who reads a value, seen through views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.attention import PRODUCTS

VIEWS = frozenset({"cast", "stop_gradient", "split", "merge", "slice", "index", "broadcast"})


@frozen(eq=False)
class Reader:
    """A node that reads a value, or a view of it.

    Attributes:
        value: what it reads.
        axes: an axis of the value -> what it is called here.
    """

    node: Node
    value: Value
    axes: Mapping[str, str]


def readers(graph: Graph, value: Value, axes: Iterable[str]) -> Iterator[Reader]:
    """The nodes that read a value, through views that leave its `axes` whole.

    An output of the graph is read by nobody here; see `is_output`.
    """
    for here, names in _views(graph, value, axes):
        yield from (
            Reader(node, here, names)
            for node in graph.index.users_of(here)
            if _renamed(node, names) is None
        )


def is_output(graph: Graph, value: Value, axes: Iterable[str]) -> bool:
    """Whether a value, or such a view of it, is an output of the graph."""
    return any(here in graph.index.outputs for here, _ in _views(graph, value, axes))


def _views(
    graph: Graph, value: Value, axes: Iterable[str]
) -> Iterator[tuple[Value, Mapping[str, str]]]:
    """A value and its views, and what the axes are called there."""
    stack: list[tuple[Value, Mapping[str, str]]] = [(value, {axis: axis for axis in axes})]
    while stack:
        here, names = stack.pop()
        yield here, names
        for node in graph.index.users_of(here):
            to = _renamed(node, names)
            if to is not None:
                stack.append((node.output, to))


def _renamed(node: Node, names: Mapping[str, str]) -> Mapping[str, str] | None:
    """What axes are called in a view; None if a node is none, or does not leave them whole."""
    if node.op.name == "rename":
        to = dict(node.attrs["axes"])
        return {old: to.get(a, a) for old, a in names.items()}
    bound = frozenset(node.op.named_axes(node.attrs))
    return names if node.op.name in VIEWS and bound.isdisjoint(names.values()) else None


def weight_of(reader: Reader, parameters: Mapping[Value, Value]) -> Value | None:
    """The weight that a linear reader contracts all the axes with, if it is one.

    Args:
        parameters: a parameter, or a view of one -> the parameter.
    """
    node = reader.node
    if node.op.name not in PRODUCTS or not {*reader.axes.values()} <= {*node.attrs["over"]}:
        return None
    operands = [v for v in node.inputs[:2] if v is not reader.value]
    if node.op.name == "linear" and node.inputs[0] is not reader.value:
        return None
    return operands[0] if len(operands) == 1 and operands[0] in parameters else None


def parameter_views(graph: Graph) -> Mapping[Value, Value]:
    """Every parameter, and what renames one -> the parameter."""
    found = {p.value: p.value for p in graph.parameters}
    for node in graph.nodes:
        if node.op.name == "rename" and node.inputs[0] in found:
            found[node.output] = found[node.inputs[0]]
    return found
