"""Gradients of a metric with respect to activations, inputs and parameters, as outputs."""

from __future__ import annotations

from attrs import field, frozen

from graftwork.ir.build import Term
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.base import Pass
from graftwork.passes.derivatives.places import (
    Point,
    Sites,
    as_sites,
    gradients,
    opened,
    summed,
    with_outputs,
)
from graftwork.passes.edit import Where
from graftwork.passes.metric import Metric, build_metric, trace_metric
from graftwork.passes.trace import TRACE


@frozen
class Gradient(Pass):
    """Add d metric / d activation to the outputs, as `gradient.<site>`.

    A metric that has an example axis is summed over it: an activation of one example moves the
    metric of that example alone, so its gradient is that example's.

    Attributes:
        of: the metric; see `graftwork.passes.metric`.
        at: sites, module outputs, inputs or parameters. Each gradient is the whole one: through
            everything that depends on the place, other places of `at` too.

    Raises:
        UnreachableEditError: if the metric does not depend on a place.
        DTypeError: at a place that is not a float.
        UnsupportedOpError: if an op between place and metric has no derivative.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    at: Sites = field(converter=as_sites)

    def __call__(self, graph: Graph) -> Graph:
        graph, (points,) = opened(graph, "Gradient", self.at)
        rewriter = Rewriter(graph, "Gradient")
        builder = rewriter.builder()
        with builder:
            metric = build_metric(builder, graph, self.of)
            found = gradients(builder, graph.nodes, metric, points, "Gradient")
        return with_outputs(
            rewriter, builder, {f"gradient.{p.name}": (p, found[p.value]) for p in points}
        )


@frozen
class GradientTimesInput(Pass):
    """Add activation times gradient to the outputs, as `gradient_times_input.<site>`.

    Attributes:
        of: the metric.
        at: sites, module outputs, inputs or parameters.
        over: axes, by role or name, that the product is summed over.
        where: positions that count; all if None.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    at: Sites = field(converter=as_sites)
    over: tuple[str, ...] = ()
    where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        by = "GradientTimesInput"
        graph, (points,) = opened(graph, by, self.at)
        rewriter = Rewriter(graph, by)
        builder = rewriter.builder()
        outputs: dict[str, tuple[Point, Term]] = {}
        with builder:
            metric = build_metric(builder, graph, self.of)
            found = gradients(builder, graph.nodes, metric, points, by)
            for point in points:
                product = Term(point.value, builder) * found[point.value]
                kept = summed(point, point.chosen(product, self.where), self.over)
                outputs[f"gradient_times_input.{point.name}"] = point, kept
        return with_outputs(rewriter, builder, outputs)
