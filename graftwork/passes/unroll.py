"""Scans written out: one copy of the body for each step.

Passes that look at the structure of a model (edges, analyses, weights) look at its top level; of a
model whose layers are scanned they see all once the scan is written out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.nesting import copied_body
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place, Sites
from graftwork.passes.base import Pass

Copies = dict[tuple[Value, int], Value]


@frozen
class Unroll(Pass):
    """Write out scans of known length. A site of one step is then a value of the top level.

    Attributes:
        axis: that of the scans; if None all scans of known length are written out, those inside of
            others too.

    Raises:
        SelectionError: if there is none.
    """

    promise = "bitwise"

    axis: str | None = None

    def __call__(self, graph: Graph) -> Graph:
        scans = self._scans(graph)
        if not scans:
            lengths = {n.attrs["axis"]: graph.axes[n.attrs["axis"]] for n in _all_scans(graph)}
            raise SelectionError(f"no scan can be written out; those of the graph: {lengths}")
        while scans:
            graph = _unrolled(graph, scans)
            scans = self._scans(graph)
        return graph

    def _scans(self, graph: Graph) -> list[Node]:
        """What is to be written out at the top level."""
        return [
            node
            for node in graph.nodes
            if node.op.name == "scan"
            and self.axis in (None, node.attrs["axis"])
            and isinstance(length := graph.axes[node.attrs["axis"]], int)
            and length > 0
        ]


def refuse_scanned(places: Iterable[Place]) -> None:
    """Refuse places that are at single steps of scans, for what looks at the top level alone.

    Raises:
        SelectionError: if there are any.
    """
    if any(place.steps for place in places):
        raise SelectionError(
            "the layers of this model are steps of a scan, into which this does not look; apply "
            "Unroll() first, which writes them out"
        )


def _all_scans(graph: Graph) -> list[Node]:
    return [node for node in graph.walk() if node.op.name == "scan"]


def _unrolled(graph: Graph, scans: Sequence[Node]) -> Graph:
    rewriter = Rewriter(graph, "Unroll")
    copies: Copies = {}
    ends: dict[Value, Value] = {}
    for node in scans:

        def make(*operands: Term, node: Node = node) -> list[Term]:
            results = _written_out(rewriter, node, operands, copies)
            ends.update(zip((term.value for term in results), node.outputs, strict=True))
            return results

        rewriter.replace(node, make)
    new = rewriter.finish()
    alive = {*new.index.producer, *new.region.inputs, *new.insides}
    there = {
        at: v if v in alive else ends[v] for at, v in copies.items() if v in alive or v in ends
    }
    return new.evolve(sites=_sites(graph.sites, alive, there))


def _written_out(
    rewriter: Rewriter, node: Node, operands: Sequence[Term], copies: Copies
) -> list[Term]:
    """What a scan gives, of copies of its body; each copied value is noted with its step."""
    (body,) = node.regions
    axis, carry = node.attrs["axis"], node.attrs["carry"]
    last = carry + node.attrs["xs"]
    length = rewriter.typing.size(axis)
    assert isinstance(length, int)
    builder = operands[0].builder
    state = list(operands[:carry])
    rows: dict[int, list[Term]] = {}
    for step in range(length)[:: -1 if node.attrs["reverse"] else 1]:
        sliced = [ops.index(x, axis=axis, at=step) for x in operands[carry:last]]
        env = dict(zip(body.inputs, (*state, *sliced, *operands[last:]), strict=True))
        for inner in body.nodes:
            env |= _copied(builder, inner, env, copies, step)
        copies |= {(value, step): term.value for value, term in env.items()}
        results = [env[value] for value in body.outputs]
        state, rows[step] = results[:carry], results[carry:]
    stacked = [
        ops.concat(*(rows[step][i] for step in range(length)), axes=(axis,) * length, into=axis)
        for i in range(len(body.outputs) - carry)
    ]
    return [*state, *stacked]


def _copied(
    builder: Builder, node: Node, env: dict[Value, Term], copies: Copies, step: int
) -> dict[Value, Term]:
    """A node of the body again, with values of its own inside its regions."""
    known: dict[Value, Value] = {}
    regions = tuple(copied_body(region, known) for region in node.regions)
    copies |= {(value, step): copy for value, copy in known.items()}
    builder.origin = node.origin
    made = builder.emit(node.op, [env[v] for v in node.inputs], node.attrs.as_dict(), regions)
    return dict(zip(node.outputs, made, strict=True))


def _sites(sites: Sites, alive: Container[Value], copies: Copies) -> Sites:
    """Sites where their values are now: those of one step in the copy for that step."""

    def moved(place: Place) -> Place | None:
        copy = copies.get((place.value, place.steps[0])) if place.steps else None
        if copy in alive and copy is not None:
            return Place(copy, place.inner, place.steps[1:])
        return place if place.value in alive else None

    return sites.moved(moved)
