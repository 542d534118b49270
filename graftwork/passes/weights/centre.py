"""Centring: subtracting a mean that nothing downstream can see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Parameter, Value
from graftwork.ir.select import require
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site
from graftwork.passes.unroll import refuse_scanned
from graftwork.passes.weights.fold import folded
from graftwork.passes.weights.shifts import Uses, blind_axis, centre, partly, uses

_NEVER: Mapping[Value, str] = {}


@frozen
class CentreWriting(Pass):
    """Subtract the mean over `embed` from every weight and bias that is written to the stream.

    Layer norms subtract that mean themselves, so it is done wherever they alone read what is
    written, through sums and views; the stream then has the mean zero wherever all that is written
    to it was centred.

    Raises:
        RewriteError: if something else reads what is written everywhere (an RMS norm sees the
            mean), or if a tied weight is read elsewhere too.
    """

    promise: ClassVar[str] = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        found = uses(graph, _layer_norm, _NEVER)
        shifted = _blind(graph, found, _NEVER)
        if not shifted:
            norms = sorted({n.op.name for n in graph.nodes if n.op.name.endswith("_norm")})
            raise RewriteError(
                "CentreWriting: nothing is read by layer norms alone, which subtract the mean"
                + (f"; this graph's norms are {', '.join(norms)}" if norms else "")
            )
        _require_untied(graph, found, "CentreWriting")
        return folded(centre(graph, "CentreWriting", shifted), "CentreWriting")


@frozen
class CentreUnembed(Pass):
    """Subtract the mean over the vocabulary from the weight and bias that make the logits.

    Logits change by a constant at each position: log-probabilities stay.

    Attributes:
        site: the logits.
        axis: the role or name of the axis of the classes there.

    Raises:
        RewriteError: if the logits are not an output that a linear alone makes (a softcap, say,
            bends them), or if the weight is tied.
    """

    promise: ClassVar[str] = "changes"

    site: Site = "logits"
    axis: str = "vocab"

    def __call__(self, graph: Graph) -> Graph:
        (place,) = require(graph, self.site).count(1)
        refuse_scanned([place.place])
        axis, value = place.axis(self.axis), place.place.value
        ends = {value: axis}

        def cancels(node: Node) -> str | None:
            alone = node.op.name in ("softmax", "log_softmax") and node.inputs[0] is value
            return axis if alone and node.attrs["axis"] == axis else None

        found = uses(graph, cancels, ends)
        shifted = _blind(graph, found, ends)
        _require_untied(graph, found, "CentreUnembed")
        if not shifted:
            maker = graph.index.producer.get(value)
            made = "an input" if maker is None else f"{maker.op.name} (from {maker.origin})"
            raise RewriteError(
                f"CentreUnembed: {place.name} is not an output that a linear makes, or something "
                f"else reads it; {made} makes it"
            )
        return folded(centre(graph, "CentreUnembed", shifted), "CentreUnembed")


def _layer_norm(node: Node) -> str | None:
    if node.op.name != "layer_norm" or len(node.attrs["over"]) != 1:
        return None
    return str(node.attrs["over"][0])


def _blind(graph: Graph, found: Uses, ends: Mapping[Value, str]) -> dict[Value, str]:
    """The trained parameters that may be shifted, and along which axis."""
    axes = {p.value: blind_axis(graph, found, ends, p.value) for p in _trained(graph)}
    return {value: axis for value, axis in axes.items() if axis is not None}


def _trained(graph: Graph) -> list[Parameter]:
    return [p for p in graph.parameters if p.trainable]


def _require_untied(graph: Graph, found: Uses, by: str) -> None:
    for parameter in _trained(graph):
        where = [n.origin.module or n.op.name for n in partly(found, parameter.value)]
        if where:
            raise RewriteError(
                f"{by}: {parameter.name!r} is tied: {', '.join(sorted(set(where)))} reads it too; "
                f"apply Untie({parameter.name!r}) first, which gives each a parameter of its own"
            )
