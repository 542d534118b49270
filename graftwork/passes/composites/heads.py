"""Query heads in groups as heads: each reads the keys and values of its group, repeated for it.

Programs write grouped queries in two ways: they repeat keys and values for all query heads, or
split the query heads into `kv_heads` and the `groups` that share each. Both become the first, in
which a site has one axis of heads; the repetition costs nothing once a graph is lowered.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import Sight, simplify


def _whole(sight: Sight, node: Node) -> Value | None:
    """Attention of all query heads, split afterwards in the place of before."""
    query, *others = node.inputs
    split = sight.maker(query, "split")
    if split is None or len(split.attrs["into"]) != 2:
        return None
    heads, (shared, group) = split.attrs["axis"], split.attrs["into"]
    keys, values, *mask = others
    reads = all(shared in x.type.axis_set and group not in x.type.axis_set for x in (keys, values))
    known = {a for x in others for a in x.axes}
    apart = heads not in known and not any({shared, group} & set(x.axes) for x in mask)
    if not (reads and apart):
        return None
    repeated = [
        sight.make(
            "merge", sight.make("broadcast", x, axes=(group,)), axes=(shared, group), into=heads
        )
        for x in (keys, values)
    ]
    whole = sight.make("attention", split.inputs[0], *repeated, *mask, **node.attrs.as_dict())
    return sight.make("split", whole, **split.attrs.as_dict())


@frozen
class WholeHeads(Pass):
    """Let attention have one axis of query heads where its program splits them into groups."""

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return simplify(graph, "WholeHeads", {"attention": (_whole,)})
