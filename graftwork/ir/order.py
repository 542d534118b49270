"""Putting nodes in an order in which everything is defined before it is read."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Node, Value


def dependency_order(
    nodes: Sequence[Node], reads: Mapping[Value, Sequence[Value]]
) -> Sequence[Node]:
    """The nodes, moved as little as possible, so that each comes after what it needs.

    `reads` says what the producer of a value needs beyond its inputs.

    Raises:
        RewriteError: if nodes need each other in a circle.
    """
    place = {value: i for i, node in enumerate(nodes) for value in node.outputs}
    waiting = [0] * len(nodes)
    users: list[list[int]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        needed = {*node.inputs, *(r for v in node.outputs for r in reads.get(v, ()))}
        sources = {place[value] for value in needed if value in place} - {i}
        waiting[i] = len(sources)
        for source in sources:
            users[source].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    order: list[Node] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(nodes[i])
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise RewriteError(
            f"an edit reads a value that depends on what it edits, at {stuck.op.name} "
            f"from {stuck.origin}"
        )
    return order
