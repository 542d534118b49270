"""Finding places in a graph: by canonical site, module path, op, axes, predicates, neighbours.

A `Selector` applied to a graph gives a `Selection`, an immutable set of places with set algebra.
An empty selection is an error where it is used, and names the nearest words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from graftwork.ir.calls import calls, calls_of, is_within, modules
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Parameter, Value
from graftwork.ir.infer import expand
from graftwork.ir.origin import Origin
from graftwork.ir.selector import Selector, no_place
from graftwork.ir.sites import Place
from graftwork.ir.types import Type, Typing


@frozen(eq=False)
class Found:
    """One selected place, as predicates and passes see it.

    Attributes:
        place: where it is.
        name: the site's path, or the module path and op.
        type: its dtype and axes.
        roles: role -> axis, at a canonical site.
        op: the name of the op that makes it, "" for an input or parameter.
        origin: where it came from.
        scanned: the axes of the scans that it is in, the outermost first. Where the place is at
            all their steps `steps` means the last of them.
    """

    place: Place
    name: str
    type: Type
    roles: Mapping[str, str]
    op: str
    origin: Origin
    scanned: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        return self.type.axes

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def module(self) -> str:
        return self.origin.module

    def axis(self, word: str) -> str:
        """The axis that plays the role `word` here, or else has that name.

        Inside a scan its axis may be meant, by name or as `steps`.

        Raises:
            SelectionError: if neither is at this place.
        """
        axis = self.roles.get(word, word)
        if axis not in self.type.axis_set:
            loops = ("steps", *self.scanned) if self.scanned and not self.place.steps else ()
            if word in loops:
                return self.scanned[-1] if word == "steps" else word
            known = [*self.roles, *self.type.axes, *loops]
            raise SelectionError(
                f"{self.name} has no axis {word!r}; it has {{{', '.join(self.type.axes)}}}"
                f"{nearest(word, known)}"
            )
        return axis


@frozen(eq=False, repr=False)
class Selection:
    """An ordered set of places of one graph."""

    graph: Graph
    found: tuple[Found, ...]

    def __iter__(self) -> Iterator[Found]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __repr__(self) -> str:
        lines = [f"  {f.name}: {f.type!r}" for f in self.found]
        return "\n".join([f"{len(lines)} places", *lines])

    def where(self, holds: Callable[[Found], bool]) -> Selection:
        """Those for which a predicate holds."""
        return evolve(self, found=tuple(f for f in self.found if holds(f)))

    def count(self, expected: int) -> Selection:
        """This selection, if it has so many places.

        Raises:
            SelectionError: otherwise; lists what was found.
        """
        if len(self.found) != expected:
            raise SelectionError(f"expected {expected} places, found {self!r}")
        return self

    def nth(self, position: int) -> Selection:
        """Only one of them, by position.

        Raises:
            SelectionError: if there are not so many.
        """
        if not -len(self.found) <= position < len(self.found):
            raise SelectionError(f"there is no place {position} of {self!r}")
        return evolve(self, found=(self.found[position],))

    def __and__(self, other: Selection) -> Selection:
        keys = {f.place for f in other.found}
        return self.where(lambda f: f.place in keys)

    def __or__(self, other: Selection) -> Selection:
        keys = {f.place for f in self.found}
        extra = tuple(f for f in other.found if f.place not in keys)
        return evolve(self, found=self.found + extra)

    def __sub__(self, other: Selection) -> Selection:
        keys = {f.place for f in other.found}
        return self.where(lambda f: f.place not in keys)

    def before(self) -> Selection:
        """The values that the nodes of these places read."""
        index = self.graph.index
        nodes = [index.producer.get(f.place.value) for f in self.found]
        return _of_values(self.graph, (v for n in nodes if n is not None for v in n.inputs))

    def after(self) -> Selection:
        """The values that are made by reading these places."""
        index = self.graph.index
        users = (n for f in self.found for n in index.users_of(f.place.value))
        return _of_values(self.graph, (v for n in users for v in n.outputs))

    def ancestors(self) -> Selection:
        """Everything that these places depend on."""
        wanted = {f.place.value for f in self.found}
        for node in reversed(self.graph.nodes):
            if any(v in wanted for v in node.outputs):
                wanted.update(node.inputs)
        return _of_values(self.graph, (v for v in _values(self.graph) if v in wanted)) - self

    def descendants(self) -> Selection:
        """Everything that depends on these places."""
        reached = {f.place.value for f in self.found}
        for node in self.graph.nodes:
            if any(v in reached for v in node.inputs):
                reached.update(node.outputs)
        return _of_values(self.graph, (v for v in _values(self.graph) if v in reached)) - self

    def between(self, other: Selection) -> Selection:
        """What lies on a path from these places to the others."""
        return self.descendants() & other.ancestors()


def select(
    graph: Graph, selector: Selector | str | Selection | None = None, **words: Any
) -> Selection:
    """The places of a graph that a selector means; may be empty.

    Raises:
        SelectionError: if a path matches canonical sites and module paths both, if nothing
            matches a path without globs, if a module has not the call that is asked for, or if
            `count` is not met.
    """
    if isinstance(selector, Selection):
        return selector
    if not isinstance(selector, Selector):
        selector = Selector(selector, **words)
    chosen = _by_path(graph, selector)
    if selector.parameter is not None:
        held = _by_parameter(graph, selector.parameter)
        chosen = held if chosen is None else chosen & held
    if selector.op is not None:
        nodes = _by_op(graph, selector.op)
        chosen = nodes if chosen is None else chosen & nodes
    if chosen is None:
        chosen = _of_values(graph, _values(graph))
    if selector.axes:
        chosen = chosen.where(lambda f: set(selector.axes) <= {*f.axes, *f.roles})
    chosen = chosen if selector.count is None else chosen.count(selector.count)
    return chosen if selector.nth is None else chosen.nth(selector.nth)


def require(graph: Graph, selector: Selector | str | Selection) -> Selection:
    """The places that a selector means, at least one.

    Raises:
        SelectionError: if there is none; names the nearest sites and modules.
    """
    if selector is None:
        raise no_place(selector)
    chosen = select(graph, selector)
    if not chosen:
        word = str(getattr(selector, "path", selector) or selector)
        known = [*graph.sites, *modules(graph)]
        if getattr(selector, "parameter", None) is not None:
            word, known = str(getattr(selector, "parameter", "")), list(graph.params)
        shown = repr(selector) if isinstance(selector, str) else str(selector)
        raise SelectionError(f"nothing in the graph matches {shown}{nearest(word, known)}")
    return chosen


def _by_path(graph: Graph, selector: Selector) -> Selection | None:
    site_glob = selector.site or selector.path
    module_glob = selector.module or selector.path
    sites = matching(site_glob, graph.sites) if site_glob and not selector.module else []
    paths = calls_of(module_glob, calls(graph)) if module_glob and not selector.site else []
    if selector.path is not None and sites and paths:
        raise SelectionError(
            f"{selector.path!r} matches sites ({sites[0]} ...) and modules ({paths[0]} ...); "
            "say site= or module="
        )
    if selector.path is None and selector.site is None and selector.module is None:
        return None
    if sites:
        return Selection(graph, tuple(_at_site(graph, path) for path in sites))
    leaving = (f for path in paths for f in _leaving(graph, path))
    unique = {f.place: f for f in leaving}
    return Selection(graph, tuple(unique.values()))


def _at_site(graph: Graph, path: str) -> Found:
    site = graph.sites[path]
    place = site.place
    inside = graph.insides.get(place.value)
    node = graph.index.producer.get(place.value) if inside is None else inside.maker
    made, op = _inner_type(graph, place, node)
    origin = node.origin if node is not None else Origin()
    scanned = () if inside is None else inside.scanned
    return Found(place, path, made, site.roles, op, origin, scanned)


def _inner_type(graph: Graph, place: Place, node: Node | None) -> tuple[Type, str]:
    """The type of a place, looking into the composites that hold it, and the op that makes it."""
    made, op = place.value.type, node.op.name if node is not None else ""
    typing = Typing(graph.axes)
    for step in place.inner:
        assert node is not None
        body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
        typing = body.typing
        inside = {v: inner for inner in body.region.nodes for v in inner.outputs}
        if step in body.marks:
            value = body.marks[step]
        else:
            number, _, output = step.partition(":")
            value = body.region.nodes[int(number)].outputs[int(output)]
        node = inside.get(value)
        made, op = value.type, node.op.name if node is not None else op
    return made, op


def _leaving(graph: Graph, path: str) -> Iterable[Found]:
    """The values that a call of a module makes and does not read alone."""
    index = graph.index
    seen = seen_parameters(graph, graph.parameters)
    for node in graph.nodes:
        if not is_within(node.origin.module, path):
            continue
        for value in (v for v in node.outputs if v not in seen):
            readers = index.users_of(value)
            if (
                not readers
                or value in index.outputs
                or any(not is_within(reader.origin.module, path) for reader in readers)
            ):
                yield _found(graph, value, node, path)


def seen_parameters(graph: Graph, parameters: Iterable[Parameter]) -> set[Value]:
    """Parameters, and views of them: modules share these, and make none."""
    seen = {parameter.value for parameter in parameters}
    for node in graph.nodes:
        if "view" in node.op.traits and node.inputs[0] in seen:
            seen.update(node.outputs)
    return seen


def _by_parameter(graph: Graph, glob: str) -> Selection:
    found = [
        Found(Place(p.value), p.name, p.value.type, {}, "", Origin())
        for p in graph.parameters
        if matching(glob, (p.name, *p.aliases))
    ]
    return Selection(graph, tuple(found))


def _by_op(graph: Graph, name: str) -> Selection:
    """Nodes of an op by name, inside composites and loops too, not those of source runs."""
    found: list[Found] = []
    typing = Typing(graph.axes)
    for node, scanned in _inside(graph.nodes):
        if "/" in node.origin.module:
            continue
        if node.op.name == name:
            places = (_found(graph, value, node) for value in node.outputs)
            found += [evolve(place, scanned=scanned) for place in places]
        elif node.op.body is not None:
            body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
            for i, inner in enumerate(body.region.nodes):
                if inner.op.name == name:
                    place = Place(node.outputs[0], (f"{i}:0",))
                    label = f"{node.origin.module or node.op.name}/{name}"
                    made = inner.outputs[0].type
                    found.append(Found(place, label, made, {}, name, node.origin, scanned))
    return Selection(graph, tuple(found))


def _inside(
    nodes: Iterable[Node], scanned: tuple[str, ...] = ()
) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """All nodes, those in regions too, and the axes of the scans that each is in."""
    for node in nodes:
        yield node, scanned
        within = (*scanned, node.attrs["axis"]) if node.op.name == "scan" else scanned
        for region in node.regions:
            yield from _inside(region.nodes, within)


def _found(graph: Graph, value: Value, node: Node | None, path: str = "") -> Found:
    origin = node.origin if node is not None else Origin()
    op = node.op.name if node is not None else ""
    return Found(
        Place(value), path or origin.module or value.name or op, value.type, {}, op, origin
    )


def _of_values(graph: Graph, values: Iterable[Value]) -> Selection:
    index = graph.index
    unique = dict.fromkeys(values)
    return Selection(graph, tuple(_found(graph, v, index.producer.get(v)) for v in unique))


def _values(graph: Graph) -> Iterator[Value]:
    """Every value of the top level, source runs left out."""
    yield from (port.value for port in graph.inputs)
    yield from (parameter.value for parameter in graph.parameters)
    for node in graph.nodes:
        if "/" not in node.origin.module:
            yield from node.outputs
