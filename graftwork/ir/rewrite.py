"""The one engine that every rewrite goes through.

A `Rewriter` collects edits of one graph and carries them out in a single walk. Its primitive is
*interpose*: the producer of a value defines a fresh raw value, and an inserted sub-graph defines
the value from it. No consumer is touched, and the value keeps its identity, its name, its sites.
Only where a type changes (a value gains an axis) are the nodes downstream rebuilt, by inferring
their types again. Whatever the engine makes carries the origin of what it replaced and the name
of the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat

from attrs import evolve

from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.edits import Edits, Interposed, Level, moved_sites, with_values
from graftwork.ir.errors import InputError, RewriteError, UnreachableEditError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Value, walk
from graftwork.ir.infer import expand
from graftwork.ir.levels import reaching
from graftwork.ir.nesting import Nested, copied
from graftwork.ir.only import condition
from graftwork.ir.op import CURRENT, REGISTRY
from graftwork.ir.order import dependency_order
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sites import Place
from graftwork.ir.types import Type, Typing


class Rewriter:
    """Edits of one graph, to be carried out together by `finish`.

    Attributes:
        graph: the graph as it was.
        by: the name of the pass, recorded in the origin of every node made.
        typing: the axis table, which edits may extend.
        guards: conditions on sizes, which edits may extend.
    """

    def __init__(self, graph: Graph, by: str) -> None:
        self.graph = graph
        self.by = by
        self.typing = Typing(graph.axes)
        self.inputs = list(graph.inputs)
        self.parameters = list(graph.parameters)
        self.outputs = list(graph.outputs)
        self.guards = list(graph.guards)
        self.arrays: dict[str, object] = {}
        self.edits = Edits(self.typing, by)
        self._replaced: dict[Node, tuple[Node, ...]] = {}
        self.prelude: list[Node] = []
        self.postlude: list[Node] = []
        self._opened: dict[Value, Mapping[str, Value]] = {}
        self._edited: list[Value] = []
        self._producers: dict[Value, Node] | None = None
        self._nested = Nested(graph.insides)
        self._steps: dict[str, Value] = {}
        self._replacing = self.builder()

    # --- what can be edited -----------------------------------------------------------------

    def producer(self, value: Value) -> Node | None:
        """The node that defines a value, inside regions and opened composites too."""
        if self._producers is None:
            nodes = (*self.prelude, *self.graph.nodes)
            self._producers = {v: node for node in walk(nodes) for v in node.outputs}
        return self._producers.get(value)

    def builder(self, origin: Origin = UNKNOWN) -> Builder:
        """A builder over this graph's axes whose nodes carry the pass's name."""
        return Builder(self.typing, origin.through(self.by), self)

    def interpose(
        self, value: Value, edit: Callable[..., Term], reads: Sequence[Value] = ()
    ) -> None:
        """Let `edit(term, *terms_of_reads)` define `value` from what its producer gives.

        Raises:
            RewriteError: if the edit changes the dtype, or the value is a tied parameter.
        """
        self._refuse_tied(value)
        producer = self.producer(value)
        builder = self.builder(producer.origin if producer else UNKNOWN)
        raw = Value(value.type, value.name and f"{value.name}_raw")
        only = condition()
        with builder:
            x = Term(raw, builder)
            result = edit(x, *(Term(read, builder) for read in reads))
            if only is not None:
                result = only.choose(result, x)
        if result.dtype is not value.type.dtype:
            raise RewriteError(
                f"{self.by}: the edit makes {result.type!r} of {value!r}; cast it back"
            )
        outside = (*reads, *(() if only is None else only.reads))
        entry = Interposed(raw, self._signed(builder.nodes), result.value, outside)
        self.edits.interposed.setdefault(value, []).append(entry)
        self._edited.append(value)

    def _refuse_condition(self) -> None:
        """What is replaced is replaced for good, not where a condition holds."""
        if condition() is not None:
            raise RewriteError(
                f"{self.by} replaces nodes for every run, so it cannot be swept; only edits of "
                "values can, which leave them as they are in other worlds"
            )

    def _refuse_tied(self, value: Value) -> None:
        for parameter in self.parameters:
            if parameter.value is value and parameter.aliases:
                names = (parameter.name, *parameter.aliases)
                raise RewriteError(
                    f"{self.by}: one parameter is {' and '.join(map(repr, names))}, so an edit "
                    f"would change all uses; untie them first, with Untie({names[1]!r})"
                )

    def replace(self, node: Node, make: Callable[..., Term | Sequence[Term]]) -> None:
        """Let `make(*operand_terms)` define the outputs of `node`.

        Raises:
            RewriteError: if it gives another number of outputs, or another dtype; or where edits
                are made under a condition.
        """
        self._refuse_condition()
        builder = self._replacing
        builder.nodes, builder.origin = [], node.origin.through(self.by)
        token = CURRENT.set(builder)
        try:
            made = make(*map(Term, node.inputs, repeat(builder)))
        finally:
            CURRENT.reset(token)
        results = (made.value,) if isinstance(made, Term) else tuple([term.value for term in made])
        if len(results) != len(node.outputs):
            raise RewriteError(f"{self.by}: {len(results)} outputs for those of {node.op.name}")
        self._define(node, self._signed(builder.nodes), results)

    def substitute(self, old: Value, new: Value) -> None:
        """Let everything that reads `old` read `new`."""
        self._refuse_condition()
        self.edits.aliases[old] = new

    def drop(self, node: Node) -> None:
        """Leave a node out; its outputs must be substituted or unused."""
        self._refuse_condition()
        self._replaced[node] = ()

    def insert(self, nodes: Iterable[Node], beside: Value | None = None) -> None:
        """Add nodes before all others, as far as those do not define what they read; or behind
        the node inside a region that makes the value `beside`.
        """
        made = tuple(nodes)
        maker = None if beside is None else self._nested.insides[beside].maker
        if beside is None or maker is None:
            self.prelude.extend(made)
            self._nested.add(made)
        else:
            self._nested.replace(beside, maker, (maker, *made))
        self._made(made)

    def defined(self) -> Iterable[Value]:
        """The values that the nodes of the graph, and those that are added, make."""
        nodes = (*self.graph.nodes, *self.prelude)
        yield from (value for node in nodes for value in node.outputs)
        yield from self._nested.insides

    def _made(self, nodes: Sequence[Node]) -> None:
        if self._producers is not None:
            self._producers |= {v: node for node in walk(tuple(nodes)) for v in node.outputs}

    def append(self, nodes: Iterable[Node]) -> None:
        """Add nodes after all others; they may read whatever the graph defines."""
        self.postlude.extend(self._signed(nodes))

    def open(self, node: Node) -> Mapping[str, Value]:
        """Put a composite's body in its place; interior site name or position -> value."""
        if node.outputs[0] in self._opened:
            return self._opened[node.outputs[0]]
        expansion = expand(self.typing, node.op, node.attrs, [v.type for v in node.inputs])
        for axis, size in expansion.typing.table.items():
            self.typing.table.setdefault(axis, size)
        fresh = dict(zip(expansion.region.inputs, node.inputs, strict=True))
        body = expansion.region.nodes
        copies = copied(body, fresh, lambda inner: evolve(inner, origin=node.origin))
        results = tuple(fresh[value] for value in expansion.region.outputs)
        self._define(node, copies, results)
        found = {
            f"{i}:{j}": value
            for i, inner in enumerate(copies)
            for j, value in enumerate(inner.outputs)
        } | {name: fresh[value] for name, value in expansion.marks.items()}
        self._opened[node.outputs[0]] = found
        return found

    def resolve(self, place: Place) -> Value:
        """The value at a place, opening the composites that it lies in."""
        value = place.value
        for step in place.inner:
            inside = self._opened.get(value)
            if inside is None:
                node = self.producer(value)
                if node is None or node.op.body is None:
                    raise RewriteError(f"{value!r} is made by no composite with {step!r} inside")
                inside = self.open(node)
            if step not in inside:
                raise RewriteError(f"{value!r} is made by a composite without {step!r} inside")
            value = inside[step]
        return value

    # --- values inside regions --------------------------------------------------------------

    def outside(self, value: Value, steps: Sequence[int] = ()) -> Value:
        """What holds, at the top level, what a value is at every step of the loops around it.

        Args:
            steps: only that one of each loop, the outermost first.

        Raises:
            SelectionError: if it is inside a branch, or in a loop of unknown length.
        """
        place = self._nested.insides.get(value)
        if place is None:
            return value
        builder = self.builder(place.around[0].origin)
        row = Term(self._nested.expose(value), builder)
        for axis, step in zip(place.scanned, steps, strict=False):
            (row,) = builder.emit(REGISTRY["index"], (row,), {"axis": axis, "at": step})
        self.insert(builder.nodes)
        return row.value

    def inside(self, value: Value, given: Value) -> Value:
        """What stands for a value of the top level in edits of `value`: in loops over one of its
        axes the row of the step.
        """
        place = self._nested.insides.get(value)
        if place is None or given.type.axis_set.isdisjoint(place.scanned):
            return given
        return self._nested.feed(value, given)

    def step(self, value: Value, axis: str) -> Value:
        """What stands, in edits of `value`, for the position along the axis of a scan around it."""
        if axis not in self._steps:
            iota = REGISTRY["iota"]
            steps = self._steps[axis] = Value(Type(DType.i64, (axis,)), f"{axis}_steps")
            origin = UNKNOWN.through(self.by)
            self.insert([Node(iota, (), (steps,), iota.attributes({"axis": axis}), (), origin)])
        return self.inside(value, self._steps[axis])

    # --- inputs and outputs -----------------------------------------------------------------

    def add_input(self, name: str, type: Type, layout: Sequence[str | None]) -> Value:
        """A new input of the graph."""
        value = Value(type, name)
        self.inputs.append(Port(name, value, tuple(layout)))
        return value

    def add_parameter(
        self, name: str, array: object, type: Type, *, trainable: bool = True
    ) -> Value:
        """A new parameter, with its array.

        Raises:
            RewriteError: if a parameter of that name exists.
        """
        if any(p.name == name for p in self.parameters):
            raise RewriteError(f"{self.by}: there is a parameter {name!r} already")
        value = Value(type, name)
        self.parameters.append(Parameter(name, value, type.axes, trainable=trainable))
        self.arrays[name] = array
        return value

    def add_output(self, name: str, value: Value, first: Sequence[str] = ()) -> None:
        """A new output of the graph, with the axes of `first` that it has before the others.

        Raises:
            InputError: if an output of that name exists.
        """
        if any(port.name == name for port in self.outputs):
            raise InputError(f"{self.by}: the graph has an output {name!r} already")
        order = dict.fromkeys((*first, *value.axes))
        layout = tuple(axis for axis in order if axis in value.type.axis_set)
        self.outputs.append(Port(name, value, layout))

    # --- carrying out -----------------------------------------------------------------------

    def finish(self, *, must_reach: bool = False) -> Graph:
        """The graph with all edits carried out.

        Raises:
            UnreachableEditError: with `must_reach`, if an edited value reaches no output.
            RewriteError: if edits need each other's results in a circle.
        """
        level = Level(self.edits)
        entering: tuple[Port | Parameter, ...] = (*self.inputs, *self.parameters)
        for entry in entering:
            level.enter(entry.value)
        entries = set(level.entered)
        nodes = level.run(self._ordered())
        graph = self.graph.evolve(
            inputs=tuple(evolve(p, value=level.raw(p.value)) for p in self.inputs),
            parameters=tuple(evolve(p, value=level.raw(p.value)) for p in self.parameters),
            nodes=nodes,
            outputs=tuple(self._output(port, level) for port in self.outputs),
            axes=self.typing.table,
            guards=tuple(dict.fromkeys(self.guards)),
            store=self.graph.store.over(self.arrays),
        )
        if must_reach:
            self._require_reach(graph, level)
        return graph.evolve(sites=moved_sites(graph, level, entries, self._opened))

    def _signed(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Nodes with this pass in their origin, whatever builder made them."""
        return tuple(
            [
                node
                if node.origin.passes and node.origin.passes[-1] == self.by
                else evolve(node, origin=node.origin.through(self.by))
                for node in nodes
            ]
        )

    def _define(self, node: Node, nodes: Sequence[Node], results: tuple[Value, ...]) -> None:
        """Make `nodes` define the outputs of `node`, as the same values where types agree."""
        renamed: tuple[Node, ...]
        alike = all(map(_alike, results, node.outputs))
        if alike and len(nodes) == 1 and nodes[0].outputs == results:
            (made,) = nodes
            attrs, origin = made.attrs, made.origin
            renamed = (Node(made.op, made.inputs, node.outputs, attrs, made.regions, origin),)
        else:
            renamed = self._renamed(node, nodes, results)
        if node.outputs[0] in self._nested.insides:
            self._nested.replace(node.outputs[0], node, renamed)
        else:
            self._replaced[node] = renamed
        self._made(renamed)

    def _renamed(
        self, node: Node, nodes: Sequence[Node], results: tuple[Value, ...]
    ) -> tuple[Node, ...]:
        """The nodes, defining the outputs of `node` where they make values of the same types.

        Raises:
            RewriteError: if a result has another dtype than the output.
        """
        inner = {value for made in nodes for value in made.outputs}
        keep: dict[Value, Value] = {}
        for old, new in zip(node.outputs, results, strict=True):
            if old.type.dtype is not new.type.dtype:
                raise RewriteError(f"{self.by}: {new.type!r} in the place of {old!r}")
            if new in inner and new not in keep and new.type.same(old.type):
                keep[new] = old
            else:
                self.edits.aliases[old] = new
        return tuple([with_values(made, keep) for made in nodes])

    def _ordered(self) -> Sequence[Node]:
        """The nodes to walk, sorted again only if an edit reads what comes later."""
        nodes = []
        now = self._nested.now
        for node in (*self.prelude, *self.graph.nodes):
            made = self._replaced.get(node)
            if made is None:
                nodes.append(now.get(node, node))
            else:
                nodes.extend(made)
        nodes += self.postlude
        reads: dict[Value, list[Value]] = {}
        for value, chain in self.edits.interposed.items():
            place = self._nested.insides.get(value)
            maker = value if place is None else place.around[0].outputs[0]
            reads.setdefault(maker, []).extend(r for e in chain for r in e.reads)
        moved = now or self.prelude or any(reads.values())
        return dependency_order(nodes, reads) if moved else nodes

    def _output(self, port: Port, level: Level) -> Port:
        value = level.mapped(port.value)
        extra = tuple(a for a in value.axes if a not in port.layout)
        layout = tuple(a for a in port.layout if a is None or a in value.type.axis_set)
        return Port(port.name, value, (*extra, *layout))

    def _require_reach(self, graph: Graph, level: Level) -> None:
        live = reaching(graph)
        for value in self._edited:
            if level.mapped(value) not in live:
                raise UnreachableEditError(
                    f"{self.by}: no output of the graph depends on {value!r}, so the edit would "
                    "do nothing; edit an earlier value, or collect this one"
                )


def _alike(a: Value, b: Value) -> bool:
    return a.type is b.type or a.type.same(b.type)
