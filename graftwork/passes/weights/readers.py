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

    An output of the graph is read by nobody here; ask `is_output` of what is found.
    """
    stack = [(value, {axis: axis for axis in axes})]
    while stack:
        here, names = stack.pop()
        for node in graph.index.users_of(here):
            bound = frozenset(node.op.named_axes(node.attrs))
            if node.op.name == "rename":
                to = dict(node.attrs["axes"])
                stack.append((node.output, {old: to.get(a, a) for old, a in names.items()}))
            elif node.op.name in VIEWS and bound.isdisjoint(names.values()):
                stack.append((node.output, names))
            else:
                yield Reader(node, here, names)


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
