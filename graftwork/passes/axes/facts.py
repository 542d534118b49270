"""What splits, merges and renames say of the axes that they take and make."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from graftwork.ir.graph import Graph
from graftwork.ir.sizes import Size


@frozen(eq=False)
class Fact:
    """An axis that is made of others: equals make equals.

    `whole` splits by `sizes` into `parts`, which merge into it; a rename that means something
    makes the one part out of the whole, and has no sizes.
    """

    whole: str
    parts: tuple[str, ...]
    sizes: tuple[Size, ...] | None


def facts(graph: Graph) -> Iterator[Fact]:
    """All facts of a graph, in the order of its nodes."""
    for node in graph.walk():
        name, attrs = node.op.name, node.attrs
        if name == "split" and attrs["into"]:
            yield Fact(attrs["axis"], attrs["into"], attrs["sizes"])
        elif name == "merge" and attrs["axes"]:
            sizes = tuple(graph.axes[axis] for axis in attrs["axes"])
            yield Fact(attrs["into"], attrs["axes"], sizes)
        elif name == "rename":
            for old, new in attrs["axes"]:
                yield Fact(old, (new,), None)
