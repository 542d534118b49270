"""Runs inside runs: a second run of the same model, in the same graph.

A source run is cloned from the graph as it was before any edit of the running `apply`, or from
that graph with the edits that an `In` gives the run, and only as far as what is asked of it. Its
nodes live under `clean/`, its inputs are `clean.input_ids` and so on; parameters and axes are
shared. Later uses of a source name share the clone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from graftwork.ir.build import Term
from graftwork.ir.errors import RewriteError, SelectionError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Value
from graftwork.ir.infer import expand
from graftwork.ir.nesting import copied_body, insides
from graftwork.ir.pipeline import Run, current
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Selection, require
from graftwork.ir.selector import Selector
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
        self.parameters = {p.name: p for p in graph.parameters}
        self.resolved: dict[str, Run] = {}

    def run(self, source: str) -> Run:
        """What a source run is a run of."""
        if source not in self.resolved:
            plain = Run(self.application.base, source == UNEDITED)
            run = self.application.runs.get(source, plain)
            if run.same_inputs:
                run = evolve(run, graph=_on_inputs_of(self.graph, run.graph))
            self.resolved[source] = run
        return self.resolved[source]

    def found(self, source: str, site: str | Selector) -> Selection:
        """The places of a site in the graph of a source run."""
        return require(self.run(source).graph, site)

    def values(self, source: str, site: str | Selector) -> list[Value]:
        """What a site holds in a source run, one value a place."""
        return self.places(source, [f.place for f in self.found(source, site)])

    def input(self, source: str, name: str) -> Value | None:
        """An input of a source run by the name that the model has for it."""
        ports = (port for port in self.run(source).graph.inputs if port.name == name)
        return next((self.places(source, [Place(p.value)])[0] for p in ports), None)

    def places(self, source: str, places: Sequence[Place]) -> list[Value]:
        """The clones of places of a source run's graph; in loops, stacked over their steps."""
        self.application.read.add(source)
        base = self.run(source).graph
        known = base.index.producer.keys() | {*base.region.inputs} | base.insides.keys()
        if any(place.value not in known for place in places):
            raise SelectionError(
                f"{self.rewriter.by}: the run {source!r} does not have what is read of it, which "
                f"a pass since has made; apply {self.rewriter.by} before that pass"
            )
        wanted = [value for place in places for value in self._needed(base, place)]
        clones = self._clones(source, wanted)
        return [
            self._inside(source, base, place, clones)
            if place.inner
            else self.rewriter.outside(clones[place.value], place.steps)
            for place in places
        ]

    def beside(self, source: str, places: Sequence[Place], values: Sequence[Value]) -> list[Value]:
        """The clones of places, each in the dtype of a value of the graph that it is used with,
        which a pass since may have cast.
        """
        builder = self.rewriter.builder()
        found = [
            Term(clone, builder).cast(value.type.dtype).value
            for clone, value in zip(self.places(source, places), values, strict=True)
        ]
        self.rewriter.insert(builder.nodes)
        return found

    def _needed(self, base: Graph, place: Place) -> Sequence[Value]:
        """What must be cloned for a place: it, the loop around it, or what its composite reads."""
        if place.value in base.insides:
            return base.insides[place.value].around[0].outputs
        return base.index.producer[place.value].inputs if place.inner else (place.value,)

    def _clones(self, source: str, values: Iterable[Value]) -> dict[Value, Value]:
        """Clone every ancestor that has no clone yet, in the order of the run's graph."""
        run = self.run(source)
        base = run.graph
        known = self._alive(source)
        shared = [p for p in base.parameters if self._is_shared(base, p)]
        known |= {p.value: self.parameters[p.name].value for p in shared}
        runs = _runs(base)
        wanted = _ancestors(base, values, known)
        entering = [port for port in base.inputs if port.value in wanted]
        for port in entering:
            own = port.name.partition(".")[0] not in runs and not run.same_inputs
            known[port.value] = self._input(f"{source}.{port.name}" if own else port.name, port)
        for parameter in base.parameters:
            if parameter.value in wanted:
                known[parameter.value] = self._parameter(source, base, parameter)
        self.rewriter.guards.extend(base.guards)
        for axis, size in base.axes.items():
            self.rewriter.typing.table.setdefault(axis, size)
        nodes = [node for node in base.nodes if any(value in wanted for value in node.outputs)]
        self.rewriter.insert([_clone(node, known, source, self.rewriter.by) for node in nodes])
        for old in (*wanted, *(value for value, _ in insides(nodes))):
            self.application.clones[source, old] = known[old]
        return known

    def _is_shared(self, base: Graph, parameter: Parameter) -> bool:
        """Whether a parameter of a run is one of the graph: not of the run's edits, nor one that
        a pass since has put other weights in the place of. Trained weights are the graph's."""
        name, now = parameter.name, self.parameters.get(parameter.name)
        if now is None or not any(p is parameter for p in self.application.base.parameters):
            return False
        same = base.store.held(name) is self.graph.store.held(name)
        return now.value is parameter.value or (same and now.value.type == parameter.value.type)

    def _alive(self, source: str) -> dict[Value, Value]:
        """Clones that earlier passes of this application made and that are still there."""
        there = {*self.rewriter.defined(), *self.inputs.values()}
        there |= {p.value for p in self.rewriter.parameters}
        return {
            old: new
            for (run, old), new in self.application.clones.items()
            if run == source and new in there
        }

    def _input(self, name: str, port: Port) -> Value:
        if name not in self.inputs:
            self.inputs[name] = self.rewriter.add_input(name, port.value.type, port.layout)
        return self.inputs[name]

    def _parameter(self, source: str, base: Graph, parameter: Parameter) -> Value:
        name, array = f"{source}.{parameter.name}", base.store.held(parameter.name)
        return self.rewriter.add_parameter(
            name, array, parameter.value.type, trainable=parameter.trainable
        )

    def _inside(
        self, source: str, base: Graph, place: Place, clones: Mapping[Value, Value]
    ) -> Value:
        """A place inside a composite: the composite's body on cloned operands, as far as needed."""
        deep = base.insides.get(place.value)
        node = base.index.producer[place.value] if deep is None else deep.maker
        assert node is not None
        beside = None if deep is None else clones[place.value]
        holder = evolve(node, inputs=tuple(clones[v] for v in node.inputs))
        for step in place.inner:
            made, value = self._opened(source, holder, step)
            self.rewriter.insert(made, beside)
            holder = next((n for n in made if value in n.outputs), holder)
        return self.rewriter.outside(value, place.steps)

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


def _on_inputs_of(graph: Graph, base: Graph) -> Graph:
    """A run's graph on the inputs of the edited one, to which a pass may have given worlds."""
    now = {port.name: port for port in graph.inputs}
    ports = [now.get(port.name, port) for port in base.inputs]
    pairs = list(zip(base.inputs, ports, strict=True))
    if all(old.value.type == new.value.type for old, new in pairs):
        return base
    rewriter = Rewriter(base, "Sources")
    rewriter.typing.table.update(graph.axes)
    rewriter.inputs[:] = ports
    for old, new in pairs:
        if new.value is not old.value:
            rewriter.substitute(old.value, new.value)
    return rewriter.finish().evolve(parameters=base.parameters)


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

    def signed(node: Node) -> Node:
        module = node.origin.module
        path = module if "/" in module else f"{source}/{module}"
        return evolve(node, origin=evolve(node.origin, module=path).through(by))

    outputs = tuple(Value(v.type, v.name and f"{source}.{v.name}") for v in node.outputs)
    inputs = tuple(known[v] for v in node.inputs)
    regions = tuple(copied_body(region, known, signed) for region in node.regions)
    known |= dict(zip(node.outputs, outputs, strict=True))
    return Node(node.op, inputs, outputs, node.attrs, regions, signed(node).origin)
