"""Two versions of a graph as one: which node of the one is which node of the other.

Graphs share what a rewrite did not touch, so most nodes match by identity, which is a fact. Then
nodes match that compute the same from the same in the same place, then those that define the same
value, then those of the same op from the same line of the source, in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import IntEnum

from attrs import frozen

from graftwork.ir.digest import region_key
from graftwork.ir.graph import Node, Value
from graftwork.ir.types import Type


class Change(IntEnum):
    """What became of a part of a graph."""

    SAME = 0
    ADDED = 1
    REMOVED = 2
    CHANGED = 3


@frozen(eq=False)
class Pair:
    """A node of the union of two graphs: in one of them, or in both."""

    before: Node | None
    after: Node | None

    @property
    def shown(self) -> Node:
        """The node as it is now, or as it was if it is gone."""
        node = self.after or self.before
        assert node is not None
        return node


Same = dict[Value, Value]
"""Value of the new graph -> the value of the old graph that it corresponds to."""


def merged(before: Sequence[Node], after: Sequence[Node], same: Same) -> list[Pair]:
    """The union of two levels; `same` knows their inputs, and learns everything else.

    The order is that of `after`, with the nodes that are gone where they were.
    """
    partner = _partners(before, after, same)
    position = {node: place for place, node in enumerate(before)}
    taken = set(partner.values())
    pairs: list[Pair] = []
    done = 0
    for node in after:
        old = partner.get(node)
        if old is not None and position[old] >= done:
            gone = (n for n in before[done : position[old]] if n not in taken)
            pairs.extend(Pair(n, None) for n in gone)
            done = position[old]
        pairs.append(Pair(old, node))
    pairs.extend(Pair(node, None) for node in before[done:] if node not in taken)
    return pairs


def _partners(before: Sequence[Node], after: Sequence[Node], same: Same) -> dict[Node, Node]:
    known = set(before)
    partner = {node: node for node in after if node in known}
    for node in partner:
        same.update((value, value) for value in node.outputs)
    rest = [node for node in before if node not in partner]
    definers = {value: node for node in rest for value in node.outputs}
    taken: set[Node] = set()

    def match(node: Node, old: Node) -> None:
        partner[node] = old
        taken.add(old)
        same.update(zip(node.outputs, old.outputs, strict=False))

    old_exact = _queues(rest, lambda node: _exact_key(node, {}))
    for node in after:
        if node in partner:
            continue
        old = _next(old_exact.get(_exact_key(node, same)), taken)
        if old is None and (found := definers.get(next(iter(node.outputs), None))):  # type: ignore[arg-type]
            old = found if found.op is node.op and found not in taken else None
        if old is not None:
            match(node, old)
    old_like = _queues([node for node in rest if node not in taken], _place_key)
    for node in after:
        if node not in partner and (old := _next(old_like.get(_place_key(node)), taken)):
            match(node, old)
    return partner


def _queues(nodes: Sequence[Node], key: Callable[[Node], Hashable]) -> dict[Hashable, deque[Node]]:
    queues: dict[Hashable, deque[Node]] = defaultdict(deque)
    for node in nodes:
        queues[key(node)].append(node)
    return queues


def _next(queue: deque[Node] | None, taken: set[Node]) -> Node | None:
    while queue:
        node = queue.popleft()
        if node not in taken:
            return node
    return None


def _place_key(node: Node) -> Hashable:
    return (node.op, node.origin.module, node.origin.source, node.origin.op, len(node.outputs))


def _exact_key(node: Node, same: Mapping[Value, Value]) -> Hashable:
    inputs = tuple(same.get(value, value) for value in node.inputs)
    return (_place_key(node), node.attrs, inputs)


def renamed_axes(pairs: Sequence[Pair]) -> dict[str, str]:
    """Old axis -> new axis, where every value that had the old one now has the new one."""
    votes: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        if pair.before is None or pair.after is None or pair.before is pair.after:
            continue
        for old, new in zip(pair.before.outputs, pair.after.outputs, strict=False):
            if len(old.axes) == len(new.axes):
                votes.update(set(zip(old.axes, new.axes, strict=True)))
    olds, news = Counter(old for old, _ in votes), Counter(new for _, new in votes)
    return {o: n for o, n in votes if o != n and olds[o] == 1 and news[n] == 1}


def change_of(pair: Pair, renamed: Mapping[str, str]) -> Change:
    """What became of a node in itself: what it reads is a change of wires, not of nodes.

    Another name of an axis alone is no change either.
    """
    old, new = pair.before, pair.after
    if old is None:
        return Change.ADDED
    if new is None:
        return Change.REMOVED
    return Change.SAME if old is new or _alike(old, new, renamed) else Change.CHANGED


def _alike(old: Node, new: Node, renamed: Mapping[str, str]) -> bool:
    attrs = old.attrs
    if renamed:
        attrs = old.op.rename_axes(attrs, lambda axis: renamed.get(axis, axis))
    types = [_renamed(value.type, renamed) for value in old.outputs]
    return (
        attrs == new.attrs
        and types == [value.type for value in new.outputs]
        and [*map(region_key, old.regions)] == [*map(region_key, new.regions)]
    )


def _renamed(of: Type, renamed: Mapping[str, str]) -> Type:
    return of.renamed(renamed) if renamed else of
