"""Freezing: parts of a model take what they have in another run, so that the rest stays linear."""

from __future__ import annotations

from attrs import evolve, frozen

from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.levels import reaching
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site, Where, chosen, interpose
from graftwork.passes.interventions.reads import edit_by_run
from graftwork.passes.source import UNEDITED, Sources


@frozen(init=False)
class Freeze(Pass):
    """Let activations be what they are in another run, that of the same inputs unedited.

    `Freeze("blocks.*.attn.pattern")` freezes where attention looks.

    Attributes:
        sites: where.
        run: another source run.
        where: positions by axis; everywhere if None.
    """

    sites: tuple[Site, ...]
    run: str
    where: Where | None

    def __init__(self, *sites: Site, run: str = UNEDITED, where: Where | None = None) -> None:
        self.__attrs_init__(tuple(sites), run, where)

    def __call__(self, graph: Graph) -> Graph:
        if not self.sites:
            raise SelectionError("Freeze takes the sites that it freezes")
        for site in self.sites:
            graph = edit_by_run(
                graph, "Freeze", site, self.run, lambda _found, _x, y: y, where=self.where
            )
        return graph


@frozen
class FreezeNorms(Pass):
    """Let norms divide by what they divide by in another run, that of the same inputs unedited.

    With its scale fixed a norm is affine: it subtracts a mean, divides by a constant, multiplies
    by its weight and adds its bias.

    Attributes:
        site: what norms give (`blocks.*.attn.in`, `final_norm`, a module); if None, every norm
            that an output depends on.
        run: another source run.
        where: positions by axis; everywhere if None.
        count: how many norms there must be.
    """

    site: Site | None = None
    run: str = UNEDITED
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        norms = self._norms(graph)
        if self.count is not None and len(norms) != self.count:
            raise SelectionError(f"expected {self.count} norms, found {[f.name for f in norms]}")
        rewriter = Rewriter(graph, "FreezeNorms")
        sources = Sources(rewriter, graph)
        inner = [evolve(found.place, inner=("scale",)) for found in norms]
        scales = sources.places(self.run, inner)
        for found, place, scale in zip(norms, inner, scales, strict=True):

            def edit(x: Term, y: Term, found: Found = found) -> Term:
                return chosen(found, self.where, y, x)

            interpose(rewriter, evolve(found, place=place), edit, (scale,))
        return rewriter.finish(must_reach=True)

    def _norms(self, graph: Graph) -> list[Found]:
        if self.site is None:
            live = reaching(graph)
            words = sorted({n.op.name for n in graph.nodes if "scale" in n.op.sites})
            norms = (f for word in words for f in graph.select(op=word))
            found = [f for f in norms if f.place.value in live]
        else:
            found = list(require(graph, self.site))
        producers = {v: node for node in graph.walk() for v in node.outputs}
        makers = [producers.get(f.place.value) for f in found]
        for place, node in zip(found, makers, strict=True):
            if node is None or "scale" not in node.op.sites:
                raise SelectionError(f"{place.name} is not what a norm gives, so it has no scale")
        if not found:
            raise SelectionError("the graph has no norms")
        return found
