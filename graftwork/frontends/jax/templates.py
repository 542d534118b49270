"""What a repeated stretch of a program became: simplified once, then copied for every repetition.

A copy takes arrays of the same shapes over other axes; they are renamed to those of the template,
so that equal layers have equal axes from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from attrs import field, frozen

from graftwork.frontends.jax.exact import Exact
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Graph, Node, Port, Value, walk
from graftwork.ir.nesting import copied
from graftwork.ir.origin import Origin
from graftwork.ir.positional import Dims, Positional, carrying_axes, relabelled

Simplify: TypeAlias = Callable[[Graph], Graph]
Known: TypeAlias = Positional | Exact


@frozen(eq=False)
class Template:
    """A stretch as a graph of its own, over the axis table of the program.

    Attributes:
        graph: its inputs and outputs are the arrays among those of the stretch.
        dims: the axes at the dimensions of each input.
        exact: those outputs of the stretch that are known sizes, by place.
        places: origin of a node -> the number of the equation that it comes from.
        origins: the origin of each equation.
    """

    graph: Graph
    dims: Sequence[Dims]
    exact: Mapping[int, Exact]
    places: Mapping[Origin, int]
    origins: Sequence[Origin]

    @cached_property
    def fixed(self) -> frozenset[Node]:
        """The nodes that no input reaches, such as those of masks and angles of positions."""
        found: set[Node] = set()
        given: set[Value] = set()
        for node in self.graph.nodes:
            if given.issuperset(node.inputs):
                found.add(node)
                given.update(node.outputs)
        return frozenset(found)

    def copy(
        self,
        builder: Builder,
        arrays: Sequence[Positional],
        origin: Callable[[int], Origin],
        shared: dict[Value, Value],
    ) -> list[Positional]:
        """Append the nodes again, on other arrays; what they give.

        Args:
            origin: the origin of an equation of the copy, by its number.
            shared: what fixed nodes gave in an earlier copy in the same place; the first adds it.
        """
        met = [
            relabelled(x, {a: b for a, b in zip(x.dims, dims, strict=True) if a and b})
            for x, dims in zip(arrays, self.dims, strict=True)
        ]
        values = {p.value: x.term.value for p, x in zip(self.graph.inputs, met, strict=True)}
        moved: dict[Origin, Origin] = {}

        def placed(node: Node) -> Node:
            old = node.origin
            known = moved.get(old)
            if known is None:
                known = moved[old] = self.moved(old, origin)
            if known is old:
                return node
            return Node(node.op, node.inputs, node.outputs, node.attrs, node.regions, known)

        nodes = [n for n in self.graph.nodes if n not in self.fixed] if shared else self.graph.nodes
        values |= shared
        builder.append(copied(nodes, values, placed))
        if not shared:
            shared.update((value, values[value]) for n in self.fixed for value in n.outputs)
        return [
            Positional(Term(values[port.value], builder), port.layout)
            for port in self.graph.outputs
        ]

    def sources(self, of: Callable[[int], Origin]) -> dict[Origin, Origin]:
        """Where the nodes of a copy come from -> where those of the template do, without passes."""
        bare = {Origin(n.origin.module, n.origin.source, n.origin.op) for n in self.graph.walk()}
        return {self.moved(old, of): old for old in bare}

    def counterpart(
        self, sources: Mapping[Origin, Origin], of: Callable[[int], Origin], old: Origin
    ) -> Origin:
        """Where something comes from in a copy that comes from `old` in another one.

        Args:
            sources: of that other one.
            of: the origin of an equation of this one, by its number.
        """
        return self.moved(sources[old], of) if old in sources else old

    def moved(self, old: Origin, of: Callable[[int], Origin]) -> Origin:
        """Where a node of a copy comes from, said of the template's node."""
        place = self.places.get(Origin(old.module, old.source, old.op))
        if place is None:
            return old
        there, here = self.origins[place], of(place)
        if there == here:
            return old
        module, source = old.module, old.source
        if there.module and f"{module}.".startswith(f"{there.module}."):
            module = here.module + module.removeprefix(there.module)
        source = here.source if source == there.source else source
        return Origin(module, source, old.op, old.passes)


@frozen(eq=False)
class Templates:
    """The templates of one program, by the form of the stretch and the form of what it takes.

    Attributes:
        simplify: makes the graph of a template smaller, with the same inputs and outputs.
    """

    simplify: Simplify
    known: dict[Hashable, Template] = field(factory=dict)

    def make(
        self,
        builder: Builder,
        inputs: Sequence[Positional],
        results: Sequence[Known],
        made: Sequence[int],
        origins: Sequence[Origin],
    ) -> Template:
        """A template of what was built.

        Args:
            made: how many nodes there were after each equation.
            origins: the origin of each equation.
        """
        outputs = [carrying_axes(x) for x in results if isinstance(x, Positional)]
        graph = self.simplify(
            Graph(
                inputs=_ports([Positional(x.term, x.term.axes) for x in inputs]),
                parameters=(),
                nodes=tuple(builder.nodes),
                outputs=_ports(outputs),
                axes=dict(builder.typing.table),
            )
        )
        for axis, size in graph.axes.items():
            builder.typing.make(axis, size)
        places: dict[Origin, int] = {}
        for place, (start, stop) in enumerate(zip((0, *made), made, strict=False)):
            for node in walk(tuple(builder.nodes[start:stop])):
                places.setdefault(node.origin, place)
        exact = {i: x for i, x in enumerate(results) if not isinstance(x, Positional)}
        dims = [_now(x, port.layout) for x, port in zip(inputs, graph.inputs, strict=True)]
        return Template(graph, dims, exact, places, origins)


def form(known: Known) -> Hashable:
    """What arrays have in common that a template fits: which dimensions have axes of their own."""
    if not isinstance(known, Positional):
        return known
    return tuple([axis and known.carries(place) for place, axis in enumerate(known.dims)])


def _ports(arrays: Sequence[Positional]) -> tuple[Port, ...]:
    return tuple(Port(str(i), x.term.value, x.dims) for i, x in enumerate(arrays))


def _now(x: Positional, layout: Dims) -> Dims:
    """The axes at the dimensions of an input whose axes have new names."""
    names = dict(zip(x.term.axes, layout, strict=True))
    return tuple(names.get(axis, axis) if axis else None for axis in x.dims)
