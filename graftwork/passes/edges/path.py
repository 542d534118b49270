"""Path patching: what one place does to others along some paths, with all others held."""

from __future__ import annotations

from attrs import field, frozen

from graftwork.ir.build import Term
from graftwork.ir.derive_parts import needed
from graftwork.ir.errors import UnreachableEditError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.base import Pass
from graftwork.passes.derivatives.attribution import from_source
from graftwork.passes.derivatives.places import Point, Sites, as_sites, opened
from graftwork.passes.edit import Where, chosen
from graftwork.passes.replay import replay


@frozen
class PathPatch(Pass):
    """Replace what receivers hold by what they would hold, were only the senders of another run.

    The three runs of Wang et al. (2022) in one graph: from this run, in which nothing is edited
    yet, a second one is made where the senders are as in the other run and everything `frozen` is
    as in this one; what the receivers are there is put into their place here.

    Attributes:
        senders: sites whose activation is taken from the other run.
        receivers: sites that it reaches (`blocks.7.attn.q`), or an output such as `logits`.
        source: the other run.
        frozen: sites that do not follow the senders. By default the other heads, so that paths go
            through MLPs; add `**.mlp.out` for the direct path alone.
        where: positions of the senders (`{"heads": 5}`); all if None.
        at: positions of the receivers; all if None.

    Raises:
        UnreachableEditError: if every path to a receiver is frozen, or none is.
    """

    senders: Sites = field(converter=as_sites)
    receivers: Sites = field(converter=as_sites)
    source: str
    frozen: Sites = field(default=("**.attn.z",), converter=as_sites)
    where: Where | None = None
    at: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        graph, (senders, receivers, held) = opened(
            graph, "PathPatch", self.senders, self.receivers, self.frozen
        )
        rewriter = Rewriter(graph, "PathPatch")
        others = from_source(rewriter, graph, self.source, senders)
        builder = rewriter.builder()
        nodes, _ = needed(graph.nodes, [point.value for point in receivers])
        with builder:
            entries = {port.value: Term(port.value, builder) for port in graph.inputs}
            own = replay(builder, nodes, entries)
            instead = {
                p.value: chosen(p.found, self.where, Term(others[p.value], builder), mine)
                for p in senders
                if (mine := own.get(p.value)) is not None
            }
            moved = replay(builder, nodes, instead, {p.value for p in held}, own)
        rewriter.insert(builder.nodes)
        for point in receivers:
            if point.value not in moved:
                raise UnreachableEditError(
                    f"PathPatch: no path from {self.senders} to {point.name} is left"
                )

            def edit(x: Term, new: Term, point: Point = point) -> Term:
                return chosen(point.found, self.at, new, x)

            rewriter.interpose(point.value, edit, (moved[point.value].value,))
        return rewriter.finish(must_reach=True)
