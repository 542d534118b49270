"""Runs inside runs: a second run of the same model, in the same graph.

A source run is cloned from the graph as it was before any edit of the running `apply`, and only
as far as what is asked of it. Its nodes live under `clean/`, its inputs are `clean.input_ids`
and so on; parameters and axes are shared. Later uses of a source name share the clone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.infer import expand
from graftwork.ir.pipeline import current
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Selector, require
from graftwork.ir.sites import Place

UNEDITED = "unedited"
"""The run that reads the graph's own inputs but none of its edits."""


class Sources:
    """The source runs that one rewriting of a graph reads."""

    def __init__(self, rewriter: Rewriter, graph: Graph) -> None:
        self.rewriter = rewriter
        self.graph = graph
        self.application = current(graph)
        self.inputs = {port.name: port.value for port in graph.inputs}
        self.parameters = {p.name: p.value for p in graph.parameters}

    def values(self, source: str, site: str | Selector) -> list[Value]:
        """What a site holds in a source run, one value a place."""
        return self.places(source, [f.place for f in require(self.application.base, site)])

    def places(self, source: str, places: Sequence[Place]) -> list[Value]:
        """The clones of places of the base graph."""
        nodes = [self._holder(place) for place in places]
        wanted = [v for node in nodes if node is not None for v in node.inputs]
        plain = [place.value for place, node in zip(places, nodes, strict=True) if node is None]
        clones = self._clones(source, [*wanted, *plain])
        return [
            clones[place.value] if node is None else self._inside(source, node, place, clones)
            for place, node in zip(places, nodes, strict=True)
        ]

    def _holder(self, place: Place) -> Node | None:
        """The composite that a place lies in."""
        return self.application.base.index.producer[place.value] if place.inner else None

    def _clones(self, source: str, values: Iterable[Value]) -> dict[Value, Value]:
        """Clone every ancestor that has no clone yet, in the order of the base graph."""
        base = self.application.base
        known = self._alive(source)
        known |= {p.value: self.parameters[p.name] for p in base.parameters}
        runs = _runs(base)
        for port in base.inputs:
            if source == UNEDITED or port.name.partition(".")[0] in runs:
                known[port.value] = self.inputs[port.name]
        wanted = _ancestors(base, values, known)
        for port in base.inputs:
            if port.value in wanted:
                known[port.value] = self._input(f"{source}.{port.name}", port.value, port.layout)
        made = [
            _clone(node, known, source, self.rewriter.by)
            for node in base.nodes
            if any(value in wanted for value in node.outputs)
        ]
        self.rewriter.insert(made)
        for old in wanted:
            self.application.clones[source, old] = known[old]
        return known

    def _alive(self, source: str) -> dict[Value, Value]:
        """Clones that earlier passes of this application made and that are still there."""
        there = {v for node in self.graph.nodes for v in node.outputs} | set(self.inputs.values())
        there |= {v for node in self.rewriter.prelude for v in node.outputs}
        return {
            old: new
            for (run, old), new in self.application.clones.items()
            if run == source and new in there
        }

    def _input(self, name: str, value: Value, layout: Sequence[str | None]) -> Value:
        if name not in self.inputs:
            self.inputs[name] = self.rewriter.add_input(name, value.type, layout)
        return self.inputs[name]

    def _inside(
        self, source: str, node: Node, place: Place, clones: Mapping[Value, Value]
    ) -> Value:
        """A place inside a composite: the composite's body on cloned operands, as far as needed."""
        holder = evolve(node, inputs=tuple(clones[v] for v in node.inputs))
        for step in place.inner:
            made, value = self._opened(source, holder, step)
            self.rewriter.insert(made)
            holder = next((n for n in made if value in n.outputs), holder)
        return value

    def _opened(self, source: str, node: Node, step: str) -> tuple[list[Node], Value]:
        typing = self.rewriter.typing
        body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
        for axis, size in body.typing.table.items():
            typing.table.setdefault(axis, size)
        known = dict(zip(body.region.inputs, node.inputs, strict=True))
        made = [
            _clone(evolve(inner, origin=node.origin), known, source, self.rewriter.by)
            for inner in body.region.nodes
        ]
        if step in body.marks:
            return made, known[body.marks[step]]
        number, _, output = step.partition(":")
        if not number.isdigit() or int(number) >= len(made):
            raise RewriteError(f"{node.op.name} has nothing inside called {step!r}")
        return made, made[int(number)].outputs[int(output or 0)]


def _runs(graph: Graph) -> set[str]:
    """The names of source runs that a graph has already."""
    return {
        node.origin.module.partition("/")[0] for node in graph.nodes if "/" in node.origin.module
    }


def _ancestors(graph: Graph, values: Iterable[Value], known: Mapping[Value, Value]) -> set[Value]:
    wanted = {value for value in values if value not in known}
    for node in reversed(graph.nodes):
        if any(v in wanted for v in node.outputs):
            wanted.update(v for v in node.inputs if v not in known)
    return wanted


def _clone(node: Node, known: dict[Value, Value], source: str, by: str) -> Node:
    """A copy of a node that reads clones, under the path of its run."""
    outputs = tuple(Value(v.type, v.name and f"{source}.{v.name}") for v in node.outputs)
    inputs = tuple(known[v] for v in node.inputs)
    known |= dict(zip(node.outputs, outputs, strict=True))
    module = node.origin.module
    if "/" not in module:
        module = f"{source}/{module}"
    origin = evolve(node.origin, module=module).through(by)
    return Node(node.op, inputs, outputs, node.attrs, node.regions, origin)
