"""Taking out heads and neurons: axes shrink, and so does the work.

What is left of a site is computed from what is left of the weights that make it: the choice of
positions moves up through everything that maps over the axis, into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import RewriteError, SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.sites import Place, Site
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead
from graftwork.passes.unroll import refuse_scanned
from graftwork.passes.weights.fold import folded


@frozen
class PruneHeads(Pass):
    """Take heads out of an attention layer, which zero ablation of their `z` does too.

    The numbers of the heads that stay close up. Of grouped keys and values, the weights stay.

    Attributes:
        site: where the heads are, `blocks.3.attn.z`.
        heads: which of them go.

    Raises:
        SelectionError: if there is no such head, or none would be left.
        RewriteError: if something else than a linear map of weights reads them.
    """

    promise: ClassVar[str] = "changes"

    site: str
    heads: Sequence[int]

    def __call__(self, graph: Graph) -> Graph:
        return pruned(graph, "PruneHeads", self.site, "heads", self.heads)


@frozen
class PruneNeurons(Pass):
    """Take neurons out of an MLP, which zero ablation of them does too.

    Attributes:
        site: where the neurons are, `blocks.3.mlp.post`.
        neurons: which of them go.

    Raises:
        SelectionError: if there is no such neuron, or none would be left.
        RewriteError: if something else than a linear map of weights reads them.
    """

    promise: ClassVar[str] = "changes"

    site: str
    neurons: Sequence[int]

    def __call__(self, graph: Graph) -> Graph:
        return pruned(graph, "PruneNeurons", self.site, "mlp", self.neurons)


def pruned(graph: Graph, by: str, site: str, role: str, gone: Sequence[int]) -> Graph:
    """The graph without some positions of an axis at one site.

    Raises:
        SelectionError, RewriteError: as `PruneHeads` does.
    """
    (place,) = require(graph, site).count(1)
    refuse_scanned([place.place])
    axis, value = place.axis(role), place.place.value
    keep = _left(graph, place, axis, gone)
    merge, product = reader_of(graph, by, place, axis)
    rewriter = Rewriter(graph, by)
    into = rewriter.typing.fresh(axis)
    rewriter.typing.table[into] = len(keep)
    narrowed: dict[Value, Value] = {}

    def made(*operands: Term) -> Term:
        taking = _Taking(graph, axis, into, keep, narrowed)
        position = 0 if product.inputs[0] in (value, merge and merge.output) else 1
        w, over = operands[1 - position], list(product.attrs["over"])
        if merge is not None:
            axes, whole = merge.attrs["axes"], merge.attrs["into"]
            w = w.split(whole, **{a: graph.axes[a] for a in axes})
            over = [b for a in over for b in (axes if a == whole else (a,))]
        over = [into if a == axis else a for a in over]
        z = taking.narrow(Term(value, w.builder))
        return ops.linear(z, taking.positions(w), *operands[2:], over=over)

    rewriter.replace(product, made)
    new = rewriter.finish()
    return folded(DropDead()(_resited(new, narrowed, axis, into)), by)


def _left(graph: Graph, place: Found, axis: str, gone: Sequence[int]) -> list[int]:
    size = graph.axes[axis]
    if not isinstance(size, int):
        raise SelectionError(f"{place.name}: the axis {axis!r} has no fixed size")
    wrong = [at for at in gone if not -size <= at < size]
    if wrong or not gone:
        raise SelectionError(f"{place.name} has {size} positions along {axis!r}, not {wrong}")
    out = {at % size for at in gone}
    keep = [at for at in range(size) if at not in out]
    if not keep:
        raise SelectionError(f"{place.name}: nothing of {axis!r} would be left; use Ablate")
    return keep


def reader_of(graph: Graph, by: str, place: Found, axis: str) -> tuple[Node | None, Node]:
    """The product that alone reads a site, and the merge before it."""
    value = place.place.value
    users = graph.index.users_of(value)
    merge: Node | None = None
    if len(users) == 1 and users[0].op.name == "merge" and axis in users[0].attrs["axes"]:
        (merge,) = users
        users, axis = graph.index.users_of(merge.output), str(merge.attrs["into"])
    read = [n for n in users if n.op.name in PRODUCTS and axis in n.attrs["over"]]
    if place.place.inner or len(users) != 1 or len(read) != 1 or value in graph.index.outputs:
        told = ", ".join(sorted({n.op.name for n in users})) or "an output"
        raise RewriteError(
            f"{by}: {place.name} is read by {told}; it is pruned only where one linear map alone "
            "reads it"
        )
    return merge, read[0]


@frozen(eq=False)
class _Taking:
    """A choice of positions of an axis, moved up into weights."""

    graph: Graph
    axis: str
    into: str
    keep: Sequence[int]
    narrowed: dict[Value, Value]

    def positions(self, x: Term) -> Term:
        """x at the positions that are kept."""
        if self.axis not in x.type.axis_set:
            return x
        kept = x.builder.constant(list(self.keep), DType.i64, (self.into,))
        return ops.gather(x, kept, axes=(self.axis,))

    def narrow(self, x: Term) -> Term:
        """The same, computed from as little as can be."""
        if self.axis not in x.type.axis_set:
            return x
        if x.value not in self.narrowed:
            self.narrowed[x.value] = self._made(x).value
        return Term(self.narrowed[x.value], x.builder)

    def _made(self, x: Term) -> Term:
        node = self.graph.index.producer.get(x.value)
        if node is None:
            return self.positions(x)
        operands = [Term(v, x.builder) for v in node.inputs]
        if self.axis in node.op.named_axes(node.attrs):
            return self._split(x, node) if node.op.name == "split" else self.positions(x)
        if node.regions or len(node.outputs) != 1 or not node.inputs:
            return self.positions(x)
        return node.op(*(self.narrow(v) for v in operands), **node.attrs.as_dict())

    def _split(self, x: Term, node: Node) -> Term:
        """Where a split makes the axis of what a linear gives, the weights are split."""
        inner = self.graph.index.producer.get(node.inputs[0])
        whole = node.attrs.as_dict().get("axis")
        if inner is None or inner.op.name != "linear":
            return self.positions(x)
        source, *affine = [Term(v, x.builder) for v in inner.inputs]
        if whole in source.type.axis_set:
            return self.positions(x)
        split = [
            node.op(v, **node.attrs.as_dict()) if whole in v.type.axis_set else v for v in affine
        ]
        return ops.linear(source, *map(self.positions, split), over=inner.attrs["over"])


def _resited(graph: Graph, narrowed: Mapping[Value, Value], axis: str, into: str) -> Graph:
    """Sites of what was narrowed are where it is now; its axis plays the same role."""

    def moved(place: Place) -> Place:
        return evolve(place, value=narrowed.get(place.value, place.value))

    def resited(site: Site) -> Site:
        if site.place.value not in narrowed:
            return site
        return evolve(site, roles={r: into if a == axis else a for r, a in site.roles.items()})

    sites = evolve(graph.sites, table={path: resited(site) for path, site in graph.sites.items()})
    return graph.evolve(sites=sites.moved(moved))
