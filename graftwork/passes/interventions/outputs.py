"""What a graph gives: metrics of its outputs, and fewer outputs, so that less is computed."""

from __future__ import annotations

from attrs import field, frozen

from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.base import Pass
from graftwork.passes.metric import Metric, build_metric, trace_metric
from graftwork.passes.trace import TRACE


@frozen
class Measure(Pass):
    """Add an output that is a function of others, of inputs or of sites.

    Attributes:
        of: the function, `lambda out: out["logits"][{"seq": -1}]`.
        output: what it is called.
    """

    of: Metric = field(metadata={TRACE: trace_metric})
    output: str = "metric"

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Measure")
        builder = rewriter.builder()
        with builder:
            term = build_metric(builder, graph, self.of)
        rewriter.append(builder.nodes)
        rewriter.add_output(self.output, term.value)
        return rewriter.finish()


@frozen(init=False)
class Keep(Pass):
    """Give only some outputs: what no other needs is not computed.

    Attributes:
        names: globs over the names of outputs.
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        self.__attrs_init__(tuple(names))

    def __call__(self, graph: Graph) -> Graph:
        known = [port.name for port in graph.outputs]
        kept: set[str] = set()
        for name in self.names:
            found = matching(name, known)
            if not found:
                raise SelectionError(f"no output matches {name!r}{nearest(name, known)}")
            kept.update(found)
        return graph.evolve(outputs=tuple(port for port in graph.outputs if port.name in kept))
