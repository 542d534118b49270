"""Graphs as networkx graphs, for those who want its algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

    from graftwork.ir.graph import Graph


def to_networkx(graph: Graph) -> nx.MultiDiGraph[Any]:
    """A directed multigraph: a vertex for each input, parameter, node and output.

    Vertices are `input:NAME`, `parameter:NAME`, positions of nodes, and `output:NAME`; edges carry
    `axes`, `dtype` and the `operand` position. Nodes have `op`, `module`, `source` and `attrs`.
    """
    import networkx as nx

    result: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    vertex: dict[Any, Any] = {}
    for kind, entries in (("input", graph.inputs), ("parameter", graph.parameters)):
        for entry in entries:
            vertex[entry.value] = f"{kind}:{entry.name}"
            result.add_node(vertex[entry.value], kind=kind, name=entry.name)
    for place, node in enumerate(graph.nodes):
        result.add_node(
            place,
            kind="node",
            op=node.op.name,
            module=node.origin.module,
            source=node.origin.source,
            attrs=node.attrs.as_dict(),
        )
        for operand, value in enumerate(node.inputs):
            result.add_edge(
                vertex[value], place, operand=operand, axes=value.axes, dtype=value.type.dtype.value
            )
        vertex |= dict.fromkeys(node.outputs, place)
    for port in graph.outputs:
        result.add_node(f"output:{port.name}", kind="output", name=port.name)
        result.add_edge(
            vertex[port.value],
            f"output:{port.name}",
            operand=0,
            axes=port.value.axes,
            dtype=port.value.type.dtype.value,
        )
    return result
