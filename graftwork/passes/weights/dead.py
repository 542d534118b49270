"""Heads and neurons that cannot reach an output, found and taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from attrs import frozen

from graftwork.ir.errors import RewriteError
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.selector import Selector
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead
from graftwork.passes.weights.prune import pruned, reader_of
from graftwork.passes.weights.zeros import Holds, Zeros

ROLES: Mapping[str, str] = {"z": "heads", "post": "mlp"}


@frozen
class PruneDead(Pass):
    """Take out the heads and neurons that nothing comes of, so that their axes shrink.

    A head or neuron is dead where an edit makes it zero (`Ablate("blocks.3.attn.z", {"heads": 5})`,
    of a value or neuron input before it too), and where the weights that make or read it are zero.
    One of each site stays.

    Attributes:
        site: a glob over `attn.z` and `mlp.post` sites.

    Raises:
        RewriteError: if nothing is dead there, or nothing of it can be taken out; says why.
    """

    promise: ClassVar[str] = "tolerance"

    site: str = "**"

    def __call__(self, graph: Graph) -> Graph:
        zeros, new, found, reasons = Zeros(graph), graph, 0, []
        for place, role in _places(graph, self.site):
            axis = place.axis(role)
            try:
                merge, product = reader_of(graph, "PruneDead", place, axis)
            except RewriteError as error:
                reasons.append(str(error))
                continue
            gone = zeros.along(place.place.value, axis) | _unread(zeros, merge, product, axis)
            gone = gone & (np.arange(len(gone)) > 0) if gone.all() else gone
            if gone.any():
                new = pruned(new, "PruneDead", place.name, role, np.flatnonzero(gone).tolist())
                found += 1
        if not found:
            told = f" ({'; '.join(reasons)})" if reasons else ""
            raise RewriteError(f"PruneDead: nothing is dead at {self.site!r}{told}")
        return _unmasked(new)


def _places(graph: Graph, glob: str) -> Iterator[tuple[Found, str]]:
    """The sites with heads or neurons of a fixed number, and the role of their axis."""
    paths = matching(glob, graph.sites)
    if not paths:
        require(graph, Selector(site=glob))
    for path in paths:
        role = ROLES.get(path.rpartition(".")[2], "")
        roles = graph.sites[path].roles if role else {}
        if role in roles and isinstance(graph.axes[roles[role]], int):
            yield next(iter(graph.select(site=path))), role


def _unread(zeros: Zeros, merge: Node | None, product: Node, axis: str) -> Holds:
    """Where the weights that a product reads along an axis are zero."""
    if merge is None:
        weight = next(v for v in product.inputs[:2] if v in zeros.still)
        return zeros.along(weight, axis)
    weight = next(v for v in product.inputs[:2] if v is not merge.output)
    parts = merge.attrs["axes"]
    sizes = [int(str(zeros.graph.axes[part])) for part in parts]
    whole = zeros.along(weight, merge.attrs["into"]).reshape(sizes)
    return np.asarray(whole.all(tuple(i for i, part in enumerate(parts) if part != axis)))


def _unmasked(graph: Graph) -> Graph:
    """The graph without the selections of the pass that take one side always."""
    zeros, rewriter = Zeros(graph), Rewriter(graph, "PruneDead")
    for node in graph.nodes:
        if node.op.name == "select" and "PruneDead" in node.origin.passes:
            held = zeros.array(node.inputs[0])
            taken = None if held is None else np.unique(np.asarray(held))
            side = node.inputs[1 if taken is not None and taken.all() else 2]
            if taken is not None and len(taken) == 1 and side.type.same(node.output.type):
                rewriter.substitute(node.output, side)
    return DropDead()(rewriter.finish())
