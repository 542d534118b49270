"""Graphs for Model Explorer, and numbers of their nodes: its JSON, written without it.

The forms are those of `model_explorer.graph_builder` and `model_explorer.node_data_builder`.
Modules are its namespaces, a parameter stands in the module of its name, and a composite is one
node. The region of a control-flow op is a graph of its own, which its node leads to.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Region, Value, given_graph
from graftwork.viz.files import write
from graftwork.viz.keys import Key, values_of
from graftwork.viz.names import attribute_words, bare, sized, visible
from graftwork.viz.overlay import number_of

Json = dict[str, Any]


@frozen(eq=False)
class _Entry:
    """An input or parameter, which is a node of its own."""

    id: str
    kind: str
    name: str
    value: Value
    module: str = ""


@frozen(eq=False)
class _Level:
    """What becomes one graph: a graph, or a region.

    Attributes:
        id: how it is called; for a region, how Python reaches it in the graph.
        inside: what the ids of graphs inside of it begin with.
    """

    id: str
    inside: str
    region: Region
    entries: Sequence[_Entry]
    outputs: Sequence[str]

    def makers(self) -> dict[Value, tuple[str, int]]:
        """Value -> the node that makes it, and as which of its outputs."""
        found = {entry.value: (entry.id, 0) for entry in self.entries}
        for number, node in enumerate(self.region.nodes):
            found |= {v: (f"nodes[{number}]", i) for i, v in enumerate(node.outputs)}
        return found


def export_model_explorer(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    overlay: Mapping[Key, float] | None = None,
    label: str = "value",
    share_safe: bool = False,
) -> None:
    """Write a graph as JSON that Model Explorer opens, and numbers of its nodes as node data.

    Args:
        path: of the graph; the numbers are written beside it, `model.json` to `model.data.json`.
        overlay: numbers by node, value, or words that select: sites, modules, globs of them. Those
            that are for one node are added up, and what is not finite is left out: Model Explorer
            has no place for either.
        label: what the numbers of the overlay are.
        share_safe: leave out values, arguments of passes, files and lines, as `viz.graph` does;
            the overlay is what you give, and stays.

    Raises:
        SelectionError: if a place of `overlay` is not in the graph.
        StorageError: if a path cannot be written; an older file is then untouched.
    """
    target = Path(path)
    graphs = graph_collection(graph, target.stem, share_safe=share_safe)
    data = None if overlay is None else node_data(graph, overlay, label)
    write(target, json.dumps(graphs, allow_nan=False), "graph")
    if data is not None:
        write(target.with_suffix(".data.json"), json.dumps(data, allow_nan=False), "node data")


def graph_collection(graph: Graph, name: str = "graph", *, share_safe: bool = False) -> Json:
    """A graph and its regions as the JSON of a `GraphCollection`."""
    writer = _Writer(given_graph(graph), share_safe)
    graphs = [writer.graph(level) for level in _levels(graph)]
    axes = " ".join(sized(axis, size) for axis, size in graph.axes.items())
    graphs[0]["groupNodeAttributes"] = {"": {"axes": axes}}
    return {"label": visible(name, 200), "graphs": graphs}


def node_data(graph: Graph, values: Mapping[Key, float], label: str = "value") -> Json:
    """Numbers of nodes as the JSON of a `ModelNodeData`: by graph, then by node.

    Raises:
        SelectionError: for a key that is nowhere in the graph, and for what is no number.
    """
    makers = {
        value: (level.id, node)
        for level in _levels(graph)
        for value, (node, _) in level.makers().items()
    }
    results: dict[str, dict[str, float]] = {}
    for key, number in values.items():
        real = number_of(key, number)
        for where, node in dict.fromkeys(makers[value] for value in values_of(graph, key, makers)):
            known = results.setdefault(where, {})
            known[node] = known.get(node, 0.0) + real
    return {
        where: {
            "name": visible(label, 200),
            "results": {node: {"value": x} for node, x in of.items() if math.isfinite(x)},
        }
        for where, of in results.items()
    }


def _levels(graph: Graph) -> Iterator[_Level]:
    """A graph, and then the regions in it."""
    inputs = [_Entry(f"inputs[{i}]", "input", p.name, p.value) for i, p in enumerate(graph.inputs)]
    parameters = [
        _Entry(f"parameters[{i}]", "parameter", word or module, p.value, module if word else "")
        for i, p in enumerate(graph.parameters)
        for module, _, word in [p.name.rpartition(".")]
    ]
    outputs = [port.name for port in graph.outputs]
    todo = deque([_Level("graph", "", graph.region, [*inputs, *parameters], outputs)])
    while todo:
        level = todo.popleft()
        yield level
        for number, node in enumerate(level.region.nodes):
            for place, region in enumerate(node.regions):
                todo.append(_region(f"{level.inside}nodes[{number}].regions[{place}]", region))


def _region(where: str, region: Region) -> _Level:
    entries = [
        _Entry(f"inputs[{i}]", "input", value.name or str(i), value)
        for i, value in enumerate(region.inputs)
    ]
    outputs = [value.name or str(i) for i, value in enumerate(region.outputs)]
    return _Level(where, f"{where}.", region, entries, outputs)


class _Writer:
    """What is the same for all graphs of a collection."""

    def __init__(self, graph: Graph, share_safe: bool) -> None:
        self.axes, self.share_safe = graph.axes, share_safe
        self.sites: dict[Value, list[str]] = {}
        for path, site in graph.sites.items():
            self.sites.setdefault(site.place.value, []).append(visible(path))

    def graph(self, level: _Level) -> Json:
        """A `Graph`: inputs, parameters, ops and outputs are its nodes."""
        makers = level.makers()
        entries = map(self._entry, level.entries)
        ops = (
            self._node(level, number, node, makers)
            for number, node in enumerate(level.region.nodes)
        )
        outputs = (
            self._json(f"outputs[{i}]", name, "", {"kind": "output"}, [makers[value]])
            for i, (name, value) in enumerate(zip(level.outputs, level.region.outputs, strict=True))
        )
        return {"id": level.id, "nodes": [*entries, *ops, *outputs]}

    def _entry(self, entry: _Entry) -> Json:
        made = self._json(entry.id, entry.name, entry.module, {"kind": entry.kind}, [])
        return {**made, "outputsMetadata": [self._type(0, entry.value)]}

    def _node(
        self, level: _Level, number: int, node: Node, makers: Mapping[Value, tuple[str, int]]
    ) -> Json:
        where, words = f"nodes[{number}]", _operands(node)
        told = {**dict(self._attributes(node)), **self._origin(node)}
        reads = [makers[value] for value in node.inputs]
        return {
            **self._json(where, node.op.name, node.origin.module, told, reads),
            "subgraphIds": [
                f"{level.inside}{where}.regions[{i}]" for i in range(len(node.regions))
            ],
            "inputsMetadata": [
                {"id": str(i), "attrs": _pairs({"__tensor_tag": word})}
                for i, word in enumerate(words)
            ],
            "outputsMetadata": [self._type(i, value) for i, value in enumerate(node.outputs)],
        }

    def _json(
        self,
        where: str,
        name: str,
        module: str,
        told: Mapping[str, str],
        reads: Sequence[tuple[str, int]],
    ) -> Json:
        """A `GraphNode`."""
        return {
            "id": where,
            "label": visible(name, 200),
            "namespace": "/".join(filter(None, visible(module).split("."))),
            "attrs": _pairs(told),
            "incomingEdges": [
                {
                    "sourceNodeId": maker,
                    "sourceNodeOutputId": str(output),
                    "targetNodeInputId": str(place),
                }
                for place, (maker, output) in enumerate(reads)
            ],
        }

    def _attributes(self, node: Node) -> list[tuple[str, str]]:
        return attribute_words(node.op, node.attrs, not self.share_safe)

    def _origin(self, node: Node) -> dict[str, str]:
        """Where a node came from, under words that no attribute has."""
        made = map(bare, node.origin.passes) if self.share_safe else node.origin.passes
        return {
            "origin: framework": visible(node.origin.op),
            "origin: source": "" if self.share_safe else visible(node.origin.source),
            "origin: passes": " → ".join(map(visible, made)),
        }

    def _type(self, number: int, value: Value) -> Json:
        """The type of an output, and its sites."""
        told = {
            "tensor_name": visible(value.name, 200),
            "tensor_shape": " ".join(sized(axis, self.axes[axis]) for axis in value.axes),
            "dtype": value.type.dtype.value,
            "sites": ", ".join(self.sites.get(value, ())),
        }
        return {"id": str(number), "attrs": _pairs(told)}


def _operands(node: Node) -> list[str]:
    """What the op calls each operand; the last word stands for all that follow."""
    words = node.op.operands.split()
    words += words[-1:] * (len(node.inputs) - len(words))
    return [word.strip("*?") for word in words[: len(node.inputs)]]


def _pairs(told: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in told.items() if value]
