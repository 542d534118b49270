"""Edge attribution: what patching each edge would do to a metric, from one gradient (EAP)."""

from __future__ import annotations

from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_values import cotangents
from graftwork.ir.errors import InputError, UnreachableEditError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.base import Pass
from graftwork.passes.derivatives.attribution import Line
from graftwork.passes.edges.components import Components, Receiver, components
from graftwork.passes.edges.patch import Instead
from graftwork.passes.edges.reads import opened
from graftwork.passes.metric import Metric, build_metric, trace_metric
from graftwork.passes.trace import TRACE

OUTPUT = "edge_attribution"


@frozen
class EdgeAttribution(Pass):
    """Add the output `edge_attribution`: for each edge, (other - own contribution) . gradient.

    Its axes are those of the metric (an example each), `receivers` and `senders`, in the order of
    `components`; a pair that is no edge is zero. It estimates what `PatchEdges` of that edge alone
    would do to the metric (EAP, Syed et al. 2023): the gradient is that of the stream as the
    receiver reads it, summed over positions and features.

    Attributes:
        of: the metric.
        source: the run whose contributions would be patched in; None for zero.
        steps: if given, the gradient is the mean over so many steps on the line of the embeddings
            from the other run to this one (EAP-IG, Hanna et al. 2024).
        rule: where on the line; `right` is the paper's k/m.

    Raises:
        InputError: for steps without a source.
        UnreachableEditError: if the metric does not depend on the embeddings.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    source: str | None = None
    steps: int | None = None
    rule: str = "right"

    def __call__(self, graph: Graph) -> Graph:
        if self.steps is not None and self.source is None:
            raise InputError("EdgeAttribution integrates towards another run: give source=")
        parts = components(graph)
        graph = opened(graph, parts, parts.receivers)
        parts = components(graph)
        rewriter = Rewriter(graph, "EdgeAttribution")
        instead = Instead(rewriter, graph, self.source)
        builder = rewriter.builder()
        with builder:
            slopes, kept = self._gradients(builder, graph, parts, instead)
            table = _Table(builder, parts, instead, kept)
            scores = table.built(slopes)
        rewriter.append(builder.nodes)
        rewriter.add_output(OUTPUT, scores.value, (*kept, table.rows, table.columns))
        return rewriter.finish()

    def _gradients(
        self, builder: Builder, graph: Graph, parts: Components, instead: Instead
    ) -> tuple[dict[str, Term], tuple[str, ...]]:
        """Receiver -> the gradient at its read; and the axes that the metric has."""
        reads = {r.path: graph.sites[r.read].place.value for r in parts.receivers}
        metric = build_metric(builder, graph, self.of)
        if self.steps is None:
            one = builder.constant(1.0, metric.dtype).broadcast(*metric.axes)
            nodes = (*graph.nodes, *builder.nodes)
            found = cotangents(builder, nodes, {metric.value: one}, reads.values())
        else:
            line = Line.of(builder, self.rule, self.steps)
            ways: dict[Value, Term] = {}
            for sender in parts.senders:
                if sender.path.endswith("embed"):
                    end = Term(sender.reads, builder)
                    way = end - Term(instead.reads[sender.path], builder)
                    ways[sender.reads] = end - way * line.left(end)
            found = dict(line.mean_gradients(builder, graph, self.of, ways, reads.values()))
        slopes = {path: g for path, v in reads.items() if (g := found.get(v)) is not None}
        if not slopes:
            raise UnreachableEditError("EdgeAttribution: the metric depends on no receiver")
        return slopes, metric.axes


class _Table:
    """The products of gradients and changes, put together over all receivers and senders."""

    def __init__(
        self, builder: Builder, parts: Components, instead: Instead, kept: tuple[str, ...]
    ) -> None:
        self.builder, self.parts, self.kept = builder, parts, kept
        self.rows, self.columns = (builder.typing.fresh(word) for word in ("receivers", "senders"))
        like = Term(parts.receivers[0].stream, builder)
        self.changes: dict[str, Term] = {}
        self.axes: dict[str, str] = {}
        for sender in parts.senders:
            change = instead.change(like, sender.path)
            self.axes[sender.path] = axis = builder.typing.fresh("part")
            builder.typing.table[axis] = len(sender.names)
            if sender.heads is not None:
                change = change.rename(**{str(sender.heads.axis): axis})
            self.changes[sender.path] = change

    def built(self, slopes: dict[str, Term]) -> Term:
        """The whole table, with axes `receivers` and `senders`."""
        rows, axes = list[Term](), list[str]()
        for receiver in self.parts.receivers:
            axis = self.builder.typing.fresh("part")
            self.builder.typing.table[axis] = len(receiver.names)
            rows.append(self._row(receiver, slopes.get(receiver.path), axis))
            axes.append(axis)
        return _joined(rows, axes, self.rows)

    def _row(self, receiver: Receiver, slope: Term | None, axis: str) -> Term:
        """The part of one receiver, all senders beside each other."""
        pulled = self._pulled(receiver, slope)
        cells, axes = list[Term](), list[str]()
        for place, sender in enumerate(self.parts.senders):
            cell = self.builder.constant(0.0, receiver.stream.type.dtype)
            if place in receiver.heard and sender.into in pulled:
                cell = self._product(receiver, pulled[sender.into], sender.path)
            if receiver.axis is not None and receiver.axis[1] in cell.axes:
                cell = cell.rename(**{receiver.axis[1]: axis})
            axes.append(self.axes[sender.path])
            cells.append(cell.broadcast(axis, self.axes[sender.path]))
        return _joined(cells, axes, self.columns)

    def _pulled(self, receiver: Receiver, slope: Term | None) -> dict[Value, Term]:
        """The gradient at what senders add to, which is that of the stream in a plain sum."""
        if slope is None:
            return {}
        ends = [s.into for i, s in enumerate(self.parts.senders) if i in receiver.heard]
        found = cotangents(self.builder, receiver.between, {receiver.stream: slope}, ends)
        return {value: ct for value, ct in found.items() if ct is not None}

    def _product(self, receiver: Receiver, slope: Term, path: str) -> Term:
        over = [axis for axis in receiver.stream.axes if axis not in self.kept]
        change = self.changes[path].broadcast(*over)
        return ops.contract(slope.broadcast(*over), change, over=over)


def _joined(parts: list[Term], axes: list[str], into: str) -> Term:
    """Parts one after another, along a new axis."""
    wide = {axis for part in parts for axis in part.axes} - set(axes)
    parts = [part.broadcast(*sorted(wide)) for part in parts]
    return ops.concat(*parts, axes=tuple(axes), into=into)
