"""Attribution: what replacing an activation would do to a metric, estimated from gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from attrs import field, frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_values import cotangents
from graftwork.ir.errors import InputError, nearest
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place
from graftwork.passes.base import Pass
from graftwork.passes.derivatives.places import (
    Point,
    Sites,
    as_sites,
    find,
    gradients,
    opened,
    required,
    summed,
    with_outputs,
)
from graftwork.passes.edit import Where
from graftwork.passes.metric import Metric, build_metric, trace_metric
from graftwork.passes.replay import replay
from graftwork.passes.source import Sources
from graftwork.passes.trace import TRACE

Grid = tuple[np.ndarray, np.ndarray]


def _gauss(steps: int) -> Grid:
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def _midpoints(steps: int) -> Grid:
    return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)


def _right(steps: int) -> Grid:
    return (np.arange(steps) + 1.0) / steps, np.full(steps, 1 / steps)


RULES: Mapping[str, Callable[[int], Grid]] = {
    "gauss": _gauss,
    "midpoint": _midpoints,
    "right": _right,
}
"""How an integral from 0 to 1 is a sum: where, and with which weights."""


@frozen
class AttributionPatching(Pass):
    """Add (other - own) times gradient to the outputs, as `attribution.<site>`.

    The first-order estimate of what `Patch(at, source=...)` would do to the metric (Nanda 2023;
    Kramar et al. 2024): the gradient is taken in the graph's own run. Exact where the metric is
    affine in the activation.

    Attributes:
        of: the metric.
        at: sites.
        source: the run whose activations would be patched in.
        over: axes, by role or name, that the estimate is summed over.
        where: positions that would be patched; all if None.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    at: Sites = field(converter=as_sites)
    source: str
    over: tuple[str, ...] = ()
    where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        by = "AttributionPatching"
        graph, (points,) = opened(graph, by, self.at)
        rewriter = Rewriter(graph, by)
        others = from_source(rewriter, graph, self.source, points)
        builder = rewriter.builder()
        outputs: dict[str, tuple[Point, Term]] = {}
        with builder:
            metric = build_metric(builder, graph, self.of)
            found = gradients(builder, graph.nodes, metric, points, by)
            for point in points:
                change = Term(others[point.value], builder) - Term(point.value, builder)
                product = point.chosen(change, self.where) * found[point.value]
                outputs[f"attribution.{point.name}"] = point, summed(point, product, self.over)
        return with_outputs(rewriter, builder, outputs)


@frozen
class IntegratedGradients(Pass):
    """Add integrated gradients to the outputs, as `integrated_gradients.<site>`.

    (a - b) times the mean gradient on the straight line from the baseline b to the activation a
    (Sundararajan et al. 2017). The run behind the site is made once, with an axis `steps`. The
    sum over all axes is the metric at a less the metric at b, as far as the rule integrates well.

    Attributes:
        of: the metric.
        at: sites; each has a line of its own, on which everything before it stays as it is.
        source: the run whose activation is the baseline; zero if None.
        steps: how many gradients are averaged.
        rule: `gauss` (Gauss-Legendre), `midpoint` or `right`.
        over: axes, by role or name, that the result is summed over.
        where: positions that differ from the baseline; all if None.

    Raises:
        InputError: for an unknown rule, or fewer than one step.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    at: Sites = field(converter=as_sites)
    source: str | None = None
    steps: int = 16
    rule: str = "gauss"
    over: tuple[str, ...] = ()
    where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        by = "IntegratedGradients"
        graph, (points,) = opened(graph, by, self.at)
        rewriter = Rewriter(graph, by)
        baselines = {}
        if self.source is not None:
            baselines = from_source(rewriter, graph, self.source, points)
        builder = rewriter.builder()
        outputs: dict[str, tuple[Point, Term]] = {}
        with builder:
            line = Line.of(builder, self.rule, self.steps)
            for point in points:
                end = Term(point.value, builder)
                way = end
                if point.value in baselines:
                    way = end - Term(baselines[point.value], builder)
                way = point.chosen(way, self.where)
                at = end - way * line.left(end)
                means = line.mean_gradients(
                    builder, graph, self.of, {point.value: at}, [point.value]
                )
                mean = required(by, "the metric", point, means.get(point.value))
                total = summed(point, way * mean, self.over)
                outputs[f"integrated_gradients.{point.name}"] = point, total
        return with_outputs(rewriter, builder, outputs)


@frozen(eq=False)
class Line:
    """The points of a straight line from 0 to 1 at which gradients are taken, along an axis."""

    axis: str
    places: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(builder: Builder, rule: str, steps: int) -> Line:
        if rule not in RULES:
            raise InputError(f"no rule {rule!r}{nearest(rule, RULES)}")
        if steps < 1:
            raise InputError(f"a line has one step or more, not {steps}")
        axis = builder.typing.fresh("steps")
        builder.typing.table[axis] = steps
        return Line(axis, *RULES[rule](steps))

    def done(self, like: Term) -> Term:
        """How far each step is from the start."""
        return like.builder.constant(self.places, like.dtype, (self.axis,))

    def left(self, like: Term) -> Term:
        """How far each step is from the end."""
        return like.builder.constant(1 - self.places, like.dtype, (self.axis,))

    def mean_gradients(
        self,
        builder: Builder,
        graph: Graph,
        metric: Metric,
        instead: Mapping[Value, Term],
        at: Iterable[Value],
    ) -> dict[Value, Term]:
        """The mean over the line of the metric's gradients.

        Args:
            instead: values of the graph and what they are along the line.
            at: values of the graph whose gradients along the line are asked for.

        Returns:
            Value of `at` -> mean gradient, of those that the metric depends on.
        """
        made = len(builder.nodes)
        moved = replay(builder, graph.nodes, instead)
        result = build_metric(builder, graph, metric, moved)
        if self.axis not in result.axes:
            return {}
        weights = builder.constant(self.weights, result.dtype, (self.axis,))
        places = {v: moved[v].value for v in at if v in moved}
        found = cotangents(
            builder,
            tuple(builder.nodes[made:]),
            {result.value: weights.broadcast(*result.axes)},
            places.values(),
        )
        means = {}
        for value, place in places.items():
            slope = found[place]
            if slope is not None:
                means[value] = slope.sum(self.axis) if self.axis in slope.axes else slope
        return means


def from_source(
    rewriter: Rewriter, graph: Graph, source: str, points: list[Point]
) -> dict[Value, Value]:
    """Value of a point -> what it is in a source run, in the dtype that it has in this one."""
    sources = Sources(rewriter, graph)
    base = sources.run(source).graph
    known = {v for node in base.nodes for v in node.outputs}
    known.update(base.region.inputs)
    places: list[Place] = []
    for point in points:
        place = point.found.place
        if place.value not in known:
            (place,) = (f.place for f in find(base, point.name))
        places.append(place)
    values = [point.value for point in points]
    return dict(zip(values, sources.beside(source, places, values), strict=True))
