"""Layers that repeat, left out of a graph while it is worked on, and put back into it.

A frontend that sees that layers say the same writes three of them: a first, a second that stands
for all between, and the last. What has become of the second is then copied for each of the others,
if it stands to the first as each of them would to the one before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, product

from attrs import evolve, field, frozen

from graftwork.ir.digest import said
from graftwork.ir.edits import reading
from graftwork.ir.graph import Graph, Node, Parameter, Value
from graftwork.ir.nesting import copied
from graftwork.ir.origin import Origin
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.verify import verify

Row = Mapping[Value, Value]  # value of the second layer -> value of another

_BLOCK = re.compile(r"(?P<stack>(?:.*\.)?blocks)\.(?P<number>\d+)\.(?P<rest>.*)")


@frozen(eq=False)
class Layer:
    """A layer that a graph does not have.

    Attributes:
        parameters: its own, each like one of the second layer but for its name.
        origin: tells from the origin of something in the second layer where the same comes from
            in this one; without passes.
    """

    parameters: Sequence[Parameter]
    origin: Callable[[Origin], Origin]


@frozen(eq=False)
class Elided:
    """Layers between the second and the last of a chain that a graph does not have.

    Attributes:
        first, second, last: names of the parameters of those that it has, in one order.
        layers: those that it has not; their parameters have the same order.
        arrays: name of a parameter of these -> its array.
        order: the names of all parameters of the model.
    """

    first: Sequence[str]
    second: Sequence[str]
    last: Sequence[str]
    layers: Sequence[Layer]
    arrays: Mapping[str, object]
    order: Sequence[str]


def restored(graph: Graph, elided: Iterable[Elided]) -> Graph | None:
    """The graph with all its layers; None if those that it has do not show what the others are.

    Raises:
        VerificationError: if the graph was not well-formed.
    """
    new = graph
    for layers in elided:
        longer = _with_layers(new, layers)
        if longer is None:
            return None
        new = longer
    if new is not graph:
        verify(new, since=graph)
    return new


def _with_layers(graph: Graph, elided: Elided) -> Graph | None:
    chain = _chain(graph, elided)
    blocks = None if chain is None else _blocks(graph.sites, chain)
    if chain is None or blocks is None:
        return None
    parameters, nodes, rows = list(graph.parameters), list(graph.nodes[: chain.end]), [chain.own]
    for layer in elided.layers:
        twins = {
            known.value: _twin(known, layer.parameters[place])
            for place, known in chain.parameters.items()
        }
        parameters += twins.values()
        values = chain.read(rows[-1]) | {old: twin.value for old, twin in twins.items()}
        nodes += copied(chain.second, values, _Moved(layer.origin))
        rows.append({value: values[value] for value in chain.own})
    nodes += [reading(node, rows[-1]) for node in graph.nodes[chain.end :]]
    names = {parameter.name: parameter for parameter in parameters}
    return graph.evolve(
        parameters=tuple([names[name] for name in elided.order if name in names]),
        nodes=tuple(nodes),
        store=graph.store.over({name: x for name, x in elided.arrays.items() if name in names}),
        sites=_renumbered(graph.sites, blocks, chain, rows),
    )


# What the layers are that the graph has


@frozen(eq=False)
class _Chain:
    """The first two of the layers that a graph has.

    Attributes:
        second: the nodes of the second one.
        parameters: its parameters, by their place among all.
        to: value of the first -> that of the second; parameters too.
        end: where both end; the last begins there.
        later: what is made from there on.
        own: what the second has -> the same: its parameters, and what it makes.
    """

    second: Sequence[Node]
    parameters: Mapping[int, Parameter]
    to: Row
    end: int
    later: frozenset[Value]
    own: Row = field(init=False)

    @own.default
    def _make_own(self) -> Row:
        made = [value for node in self.second for value in node.outputs]
        return {value: value for value in (*(p.value for p in self.parameters.values()), *made)}

    def read(self, row: Row) -> dict[Value, Value]:
        """What the second layer has not itself -> what that is to the layer after `row`."""
        return {
            value: row[self.to[value]] if value in self.to else value
            for node in self.second
            for value in node.inputs
            if value not in self.own
        }


def _chain(graph: Graph, elided: Elided) -> _Chain | None:
    known = {parameter.name: parameter for parameter in graph.parameters}
    rows = list(zip(elided.first, elided.second, elided.last, strict=True))
    if any(len({name in known for name in row}) > 1 for row in rows):
        return None
    kept = {place: [known[n] for n in row] for place, row in enumerate(rows) if row[0] in known}
    ranks = {p.value: rank for row in kept.values() for rank, p in enumerate(row, 1)}
    places = _ranked(graph.nodes, ranks)
    end = places.index(3) if 3 in places else 0
    first, second = (
        [node for node, rank in zip(graph.nodes, places, strict=True) if rank == layer]
        for layer in (1, 2)
    )
    to = _next(first, second, {a.value: b.value for a, b, _ in kept.values()})
    if to is None or not end or not {1, 2}.isdisjoint(places[end:]):
        return None
    later = graph.nodes[end:]
    gone = {value for node in first for value in node.outputs}
    inside = gone.union(*(node.outputs for node in second))
    if not inside.isdisjoint(port.value for port in graph.outputs) or any(
        not gone.isdisjoint(node.inputs) for node in later
    ):
        return None
    made = frozenset(value for node in later for value in node.outputs)
    return _Chain(second, {place: row[1] for place, row in kept.items()}, to, end, made)


def _ranked(nodes: Sequence[Node], ranks: dict[Value, int]) -> list[int]:
    """The last layer that each node depends on: 1, 2, 3, or 0 for what comes before.

    Args:
        ranks: those of the parameters; learns all others.
    """
    found = []
    for node in nodes:
        rank = max([ranks[value] for value in node.inputs if value in ranks], default=0)
        if rank:
            ranks |= dict.fromkeys(node.outputs, rank)
        found.append(rank)
    return found


def _next(first: Sequence[Node], second: Sequence[Node], parameters: Row) -> Row | None:
    """Value of the first layer -> that of the second; None if these are not the same function.

    The second reads the parameters that correspond, and goes on from the first one where that goes
    on from something before.
    """
    to = dict(parameters)
    inside = {value for node in first for value in node.outputs}
    if len(first) != len(second):
        return None
    for a, b in zip(first, second, strict=True):
        if said(a) != said(b):
            return None
        for x, y in zip(a.inputs, b.inputs, strict=True):
            if to.get(x, y if y in inside else x) is not y:
                return None
        to |= zip(a.outputs, b.outputs, strict=True)
    return to


# What the others become


def _twin(known: Parameter, other: Parameter) -> Parameter:
    """A parameter of a layer that the graph has not, like one of the second layer."""
    value = Value(known.value.type, other.name)
    return evolve(other, value=value, layout=known.layout)


class _Moved:
    """Lets nodes come from another layer."""

    def __init__(self, origin: Callable[[Origin], Origin]) -> None:
        self.origin = origin
        self.known: dict[Origin, Origin] = {}

    def __call__(self, node: Node) -> Node:
        old = node.origin
        if old not in self.known:
            new = self.origin(Origin(old.module, old.source, old.op))
            self.known[old] = Origin(new.module, new.source, new.op, old.passes)
        origin = self.known[old]
        return Node(node.op, node.inputs, node.outputs, node.attrs, node.regions, origin)


# What their sites are called


@frozen
class _Blocks:
    """The blocks of a stack that the second layer is: `count` of them, from `first` on."""

    stack: str = ""
    first: int = 0
    count: int = 0

    def paths(self, paths: Iterable[str], rows: int) -> Iterator[tuple[str, str, int]]:
        """The paths that there are with all layers: each, the path that it had, and its row."""
        for second, group in groupby(paths, self.hold):
            held = [(path, *_parts(path)) for path in group]
            each = range(rows) if second else range(1)
            for number, (path, stack, block, rest) in product(each, held):
                is_later = stack == self.stack and block >= self.first + self.count
                row = rows - 1 if is_later else number
                new = f"{stack}.{block + row * self.count}.{rest}" if row else path
                yield new, path, row

    def hold(self, path: str) -> bool:
        """Whether a path leads into them."""
        stack, number, _ = _parts(path)
        return stack == self.stack and self.first <= number < self.first + self.count


def _parts(path: str) -> tuple[str, int, str]:
    """`encoder.blocks.3.attn.z` as a stack, a number and the rest; -1 where there is none."""
    found = _BLOCK.fullmatch(path)
    return (found["stack"], int(found["number"]), found["rest"]) if found else (path, -1, "")


def _blocks(sites: Sites, chain: _Chain) -> _Blocks | None:
    """The blocks that are the second layer; None if sites do not follow the layers."""
    if sites.unrecognised:
        return None
    numbers = {
        (stack, rest, site.place.inner, site.place.value): number
        for path, site in sites.table.items()
        for stack, number, rest in [_parts(path)]
    }
    steps = {
        (stack, numbers.get((stack, rest, inner, chain.to[value]), number) - number)
        for (stack, rest, inner, value), number in numbers.items()
        if value in chain.to
    }
    if len(steps) > 1 or any(step < 1 for _, step in steps):
        return None
    stack, step = steps.pop() if steps else ("", 0)
    held = [n for (at, _, _, value), n in numbers.items() if at == stack and value in chain.own]
    found = _Blocks(stack, min(held, default=0), step)
    for path, site in sites.table.items():
        value = site.place.value
        apart = _parts(path)[0] != stack and (value in chain.to or value in chain.own)
        if apart or (found.hold(path) and value in chain.later):
            return None
    return found


def _renumbered(sites: Sites, blocks: _Blocks, chain: _Chain, rows: Sequence[Row]) -> Sites:
    """The sites of all layers."""

    def at(place: Place, row: int) -> Place:
        value = place.value
        if value in chain.own:
            return evolve(place, value=rows[row][value])
        if row and value in chain.to:
            return evolve(place, value=rows[row - 1][chain.to[value]])
        return place

    table = {
        new: Site(at(sites.table[old].place, row), sites.table[old].roles)
        for new, old, row in blocks.paths(sites.table, len(rows))
    }
    spans = {
        new: Span(at(sites.spans[old].start, row), at(sites.spans[old].end, row))
        for new, old, row in blocks.paths(sites.spans, len(rows))
    }
    return Sites(table, spans)
