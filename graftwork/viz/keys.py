"""What stands for a place of a graph where a caller names one: a node, a value, or words."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TypeAlias

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.select import require
from graftwork.viz.cells import Cell
from graftwork.viz.scene import Scene

Key: TypeAlias = Node | Value | str
"""A node, a value, or what `graph.select` takes: a canonical site, a module, a glob of them."""


def cells_of(scene: Scene, key: Key) -> list[Cell]:
    """The cells that a key means: the node's own, or those that make the values.

    Raises:
        SelectionError: if it is nowhere in the graph.
    """
    if isinstance(key, Node) and key in scene.of_node:
        return [scene.of_node[key]]
    values = values_of(scene.graph, key, scene.wires)
    return list(dict.fromkeys(scene.wires[value].maker for value in values))


def values_of(graph: Graph, key: Key, known: Container[Value]) -> Sequence[Value]:
    """The values that a key means: those of the node, or those that are selected.

    Args:
        known: the values of the graph and its regions.

    Raises:
        SelectionError: if it is nowhere in the graph.
    """
    if isinstance(key, str):
        return [found.place.value for found in require(graph, key)]
    values = key.outputs if isinstance(key, Node) else (key,)
    if all(value in known for value in values):
        return values
    raise SelectionError(
        f"{key!r} is no place of this graph: give a node or a value of it, or words that select"
    )
