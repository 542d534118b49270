"""All runs of a sweep as one graph: the model along an axis of worlds, an edit in each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError, RewriteError
from graftwork.ir.graph import Graph
from graftwork.ir.only import Only, only
from graftwork.ir.pipeline import AnyPass, apply
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Sites
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Type
from graftwork.passes.cleanup import Cleanup, NarrowEarly
from graftwork.passes.edit import WORLDS
from graftwork.passes.interventions import Keep, Measure
from graftwork.passes.metric import Metric
from graftwork.passes.positions import Swept
from graftwork.passes.sweeps.facts import ENTRY
from graftwork.passes.sweeps.template import Template

METRIC = "metric"


def worlds_of(graph: Graph, template: Template, metric: Metric) -> Graph:
    """The graph whose world w is the model with the edit `worlds.entry[w]`, and its metric alone.

    `worlds.seq` and the like hold the positions of what is swept in `where=`. All values may
    differ in every world: this is what a sweep means, and slow; `share` makes it fast.

    Raises:
        RewriteError: for a pass that does more than edit values.
        UnreachableEditError: if no output depends on an edit.
    """
    swept = {word: Swept(f"worlds.{word}") for word in template.positions}
    steps: list[AnyPass] = [_Enter([ENTRY, *(at.name for at in swept.values())])]
    steps += [
        _In(entry, template.filled(choice, swept)) for entry, choice in enumerate(template.choices)
    ]
    return apply(graph, [*steps, Measure(metric, METRIC), Keep(METRIC)])[0]


def narrowed(graph: Graph) -> Graph:
    """The graph without what its outputs do not need, such as logits of other positions."""
    return apply(graph.evolve(sites=Sites()), [Cleanup(), NarrowEarly(), Cleanup()])[0]


def swept_axis(graph: Graph, word: str) -> str | None:
    """The axis whose positions a word of a sweep's graph counts, if it is one axis."""
    value = next(port.value for port in graph.inputs if port.name == f"worlds.{word}")
    counted = set()
    for node in graph.index.users_of(value):
        others = [graph.index.producer.get(v) for v in node.inputs if v is not value]
        counted |= {str(n.attrs["axis"]) for n in others if n is not None and n.op.name == "iota"}
        if node.op.name == "gather":
            counted |= set(node.attrs["axes"])
    return counted.pop() if len(counted) == 1 else None


@frozen
class _Enter:
    """Inputs that tell the worlds apart."""

    names: Sequence[str]

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Sweep")
        if rewriter.typing.table.setdefault(WORLDS, symbol(WORLDS)) != symbol(WORLDS):
            raise InputError("the graph has worlds already; sweep the one without")
        for name in self.names:
            rewriter.add_input(name, Type(DType.i64, (WORLDS,)), (WORLDS,))
        return rewriter.finish()


@frozen
class _In:
    """A pass whose edits hold in the worlds of one entry."""

    entry: int
    applied: AnyPass

    def __call__(self, graph: Graph) -> Graph:
        value = next(port.value for port in graph.inputs if port.name == ENTRY)
        with only(Only(lambda given: ops.eq(given, self.entry), (value,))):
            edited = self.applied(graph)
        changed = next(_changed(graph, edited), None)
        if changed is not None:
            raise RewriteError(
                f"it changes {changed} for every run, so it cannot be swept; only edits of values "
                "can, which leave them as they are in other worlds"
            )
        return edited


def _changed(before: Graph, after: Graph) -> Iterator[str]:
    """The parameters, inputs and outputs that are not what they were."""
    held = {p.name: p for p in after.parameters}
    for p in before.parameters:
        now = held.get(p.name)
        same = now is not None and now.value.type.same(p.value.type)
        if not same or after.store.held(p.name) is not before.store.held(p.name):
            yield f"the parameter {p.name!r}"
    for word in ("inputs", "outputs"):
        ports = {port.name: port for port in getattr(after, word)}
        for port in getattr(before, word):
            now = ports.get(port.name)
            if now is None or not port.value.type.axis_set <= now.value.type.axis_set:
                yield f"the {word.removesuffix('s')} {port.name!r}"
