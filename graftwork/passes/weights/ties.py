"""Weights that are read in several places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from attrs import evolve, frozen

from graftwork.ir.calls import module_of
from graftwork.ir.errors import RewriteError, SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Parameter, Value
from graftwork.ir.names import unused
from graftwork.passes.base import Pass


@frozen
class Untie(Pass):
    """Give each reader of a shared weight a parameter of its own: `lm_head.weight` beside
    `wte.weight`, say.

    They share one array until another pass changes one of them, and train apart from now on. The
    first reader keeps the parameter; the others get its aliases for names, or their modules'.

    Attributes:
        parameter: a glob over names and aliases of parameters; if None, whatever is tied.

    Raises:
        SelectionError: if no parameter matches, or none of those is read in several places.
    """

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    parameter: str | None = None

    def __call__(self, graph: Graph) -> Graph:
        tied = [p for p in self._selected(graph) if len(graph.index.users_of(p.value)) > 1]
        if not tied and self.parameter is not None:
            raise SelectionError(f"no parameter {self.parameter!r} is read in several places")
        taken = {p.name for p in graph.parameters}
        fresh: dict[tuple[Node, Value], Value] = {}
        added: dict[Parameter, list[Parameter]] = {}
        for parameter in tied:
            for node, copy in _copies(graph, parameter, taken):
                fresh[node, parameter.value] = copy.value
                added.setdefault(parameter, []).append(copy)
        sources = {copy.name: p.name for p, copies in added.items() for copy in copies}
        return graph.evolve(
            nodes=tuple([_reading(node, fresh) for node in graph.nodes]),
            parameters=tuple(
                one
                for p in graph.parameters
                for one in (_left(p, added.get(p, [])), *added.get(p, []))
            ),
            store=graph.store.over({name: graph.store[source] for name, source in sources.items()}),
        )

    def _selected(self, graph: Graph) -> list[Parameter]:
        trained = [p for p in graph.parameters if p.trainable]
        if self.parameter is None:
            return trained
        names = [name for p in graph.parameters for name in (p.name, *p.aliases)]
        matched = set(matching(self.parameter, names))
        if not matched:
            raise SelectionError(f"no parameter {self.parameter!r}{nearest(self.parameter, names)}")
        return [p for p in trained if not matched.isdisjoint((p.name, *p.aliases))]


def require_own(graph: Graph, value: Value, by: str) -> None:
    """Refuse to change a parameter for one reader that another reads too.

    Raises:
        RewriteError: names the parameter and its readers.
    """
    readers = graph.index.users_of(value)
    if len(readers) > 1:
        name = next(p.name for p in graph.parameters if p.value is value)
        where = ", ".join(sorted({str(node.origin.module or node.op.name) for node in readers}))
        raise RewriteError(
            f"{by}: {name!r} is tied: {where} read it; apply Untie({name!r}) first, which gives "
            "each a parameter of its own"
        )


def _copies(
    graph: Graph, parameter: Parameter, taken: set[str]
) -> Iterator[tuple[Node, Parameter]]:
    """Every reader but the first, with a parameter of its own."""
    free = list(parameter.aliases)
    leaf = parameter.name.rpartition(".")[2]
    for node in graph.index.users_of(parameter.value)[1:]:
        module = node.origin.module
        alias = next((a for a in free if a.rpartition(".")[0] == module_of(module)), None)
        alias = alias or next(iter(free), None)
        if alias is not None:
            free.remove(alias)
        name = unused(alias or (f"{module}.{leaf}" if module else leaf), taken)
        taken.add(name)
        value = Value(parameter.value.type, name)
        yield node, evolve(parameter, name=name, value=value, aliases=())


def _left(parameter: Parameter, copies: list[Parameter]) -> Parameter:
    """The parameter without the aliases that others go by now."""
    names = {copy.name for copy in copies}
    aliases = tuple(alias for alias in parameter.aliases if alias not in names)
    return evolve(parameter, aliases=aliases)


def _reading(node: Node, fresh: dict[tuple[Node, Value], Value]) -> Node:
    inputs = tuple([fresh.get((node, value), value) for value in node.inputs])
    if inputs == node.inputs:
        return node
    return evolve(node, inputs=inputs, origin=node.origin.through("Untie"))
