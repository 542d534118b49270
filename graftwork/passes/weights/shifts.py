"""What cannot be seen: numbers that are added all along an axis, and that every reader cancels.

A layer norm subtracts the mean, so nothing that reads a stream through layer norms alone sees a
constant added over `embed`; a softmax does not see one added over `vocab`. Read backward through
sums, products and views, this says which parameters may be shifted, and so may be centred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from graftwork.ir.build import Term
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter

VIEWS = frozenset(
    {"cast", "stop_gradient", "split", "merge", "slice", "index", "broadcast", "concat"}
)
Uses = Mapping[Value, Mapping[Node, str | None]]
Cancels = Callable[[Node], str | None]


def uses(graph: Graph, cancels: Cancels, ends: Mapping[Value, str]) -> Uses:
    """For each value and each node that reads it, the axis along which that sees no shift.

    Args:
        cancels: the axis along which a node sees no shift of its first operand, by itself.
        ends: outputs of the graph that may be shifted, and along which axis.
    """
    found: dict[Value, dict[Node, str | None]] = {}
    for node in reversed(graph.nodes):
        axes = {blind_axis(graph, found, ends, value) for value in node.outputs}
        axis = axes.pop() if len(axes) == 1 and not node.regions else None
        for position, value in enumerate(node.inputs):
            seen = _through(node, position, axis) if axis is not None else None
            if position == 0 and cancels(node) is not None:
                seen = cancels(node)
            here = found.setdefault(value, {})
            here[node] = seen if here.get(node, seen) == seen else None
    return found


def blind_axis(graph: Graph, found: Uses, ends: Mapping[Value, str], value: Value) -> str | None:
    """The axis along which nobody sees a shift of a value."""
    axes: set[str | None] = set(found.get(value, {}).values())
    if value in graph.index.outputs:
        axes.add(ends.get(value))
    return axes.pop() if len(axes) == 1 else None


def centre(graph: Graph, by: str, shifted: Mapping[Value, str]) -> Graph:
    """The graph with the mean over an axis subtracted from each of these parameters."""
    rewriter = Rewriter(graph, by)

    def edit(axis: str) -> Callable[[Term], Term]:
        return lambda x: x - x.mean(axis)

    for value, axis in shifted.items():
        rewriter.interpose(value, edit(axis))
    return rewriter.finish()


def partly(found: Uses, value: Value) -> Iterator[Node]:
    """The readers that do see a shift, of a value of which others see none."""
    seen = found.get(value, {})
    if any(axis is not None for axis in seen.values()):
        yield from (node for node, axis in seen.items() if axis is None)


def _through(node: Node, position: int, axis: str) -> str | None:
    """What the axis is called in an operand, if its shift only shifts the result."""
    value, name = node.inputs[position], node.op.name
    if name == "rename":
        back = {new: old for old, new in node.attrs["axes"]}
        return str(back.get(axis, axis))
    if axis not in value.type.axis_set:
        return None
    others = [v for i, v in enumerate(node.inputs) if i != position]
    bound = frozenset(node.op.named_axes(node.attrs))
    if name in ("add", "sub", "neg") or (name in VIEWS and axis not in bound):
        return axis
    if name == "select":
        return axis if position and axis not in node.inputs[0].type.axis_set else None
    if name in ("embedding", "gather"):
        return axis if position == 0 and axis not in bound else None
    if name == "linear" and position == 2:
        return axis
    if name in ("linear", "contract", "mul", "div"):
        alone = all(axis not in v.type.axis_set for v in others[:1])
        return axis if alone and axis not in bound and not (name == "div" and position) else None
    return None
