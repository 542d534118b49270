"""Several versions of a graph as one: which node of the one is which node of the other.

Graphs share what a rewrite did not touch, so most nodes match by identity, which is a fact. Then
nodes match that compute the same from the same in the same place, then those that define the same
value, then those of the same op from the same line of the source, in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import IntEnum

from attrs import define

from graftwork.ir.digest import region_key
from graftwork.ir.graph import Node, Value
from graftwork.ir.types import Type


class Change(IntEnum):
    """What became of a part of a graph."""

    SAME = 0
    ADDED = 1
    REMOVED = 2
    CHANGED = 3


@define(eq=False)
class Track:
    """A node through all versions of a graph: None where it is not there.

    Attributes:
        nodes: the node in each version.
        shown: the node as it is in the last version that has it.
        guessed: the versions in which it was matched with the one before by structure, not fact,
            as bits.
    """

    nodes: list[Node | None]
    shown: Node
    guessed: int = 0


Same = dict[Value, Value]
"""Value of a version -> the value of the version before that it corresponds to."""


def merged(versions: Sequence[Sequence[Node]], same: Sequence[Same]) -> list[Track]:
    """The union of the versions of one level, as tracks.

    The order is that of the last version, with the nodes that are gone where they were.

    Args:
        same: for each version but the first, what corresponds to what; it knows the inputs of
            the level, and learns everything else.
    """
    tracks = [Track([node], node) for node in versions[0]]
    for number, (nodes, known) in enumerate(zip(versions[1:], same, strict=True), 1):
        tracks = _extended(tracks, nodes, known, number)
    return tracks


def _extended(
    tracks: Sequence[Track], after: Sequence[Node], same: Same, number: int
) -> list[Track]:
    """The tracks with one more version."""
    of_node = {node: track for track in tracks if (node := track.nodes[-1]) is not None}
    facts, guesses = _partners([*of_node], after, same)
    position = {track: place for place, track in enumerate(tracks)}
    taken = {of_node[old] for old in (*facts.values(), *guesses.values())}
    union: list[Track] = []
    done = 0

    def leave(upto: int) -> None:
        for track in tracks[done:upto]:
            if track not in taken:
                track.nodes.append(None)
                union.append(track)

    for node in after:
        old = facts.get(node) or guesses.get(node)
        track = of_node[old] if old is not None else Track([None] * number, node)
        if old is not None and position[track] >= done:
            leave(position[track])
            done = position[track]
        if node in guesses:
            track.guessed |= 1 << number
        track.nodes.append(node)
        track.shown = node
        union.append(track)
    leave(len(tracks))
    return union


def _partners(
    before: Sequence[Node], after: Sequence[Node], same: Same
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """New node -> old node, those that are known, and those that are guessed."""
    old_nodes = set(before)
    facts = {node: node for node in after if node in old_nodes}
    guesses: dict[Node, Node] = {}
    for node in facts:
        same.update((value, value) for value in node.outputs)
    rest = [node for node in before if node not in facts]
    definers = {value: node for node in rest for value in node.outputs}
    taken: set[Node] = set()

    def match(node: Node, old: Node, found: dict[Node, Node]) -> None:
        found[node] = old
        taken.add(old)
        same.update(zip(node.outputs, old.outputs, strict=False))

    old_exact = _queues(rest, lambda node: _exact_key(node, {}))
    for node in after:
        if node in facts:
            continue
        if (old := _next(old_exact.get(_exact_key(node, same)), taken)) is not None:
            match(node, old, guesses)
        elif (old := _definer(node, definers)) is not None and old not in taken:
            match(node, old, facts)
    old_like = _queues([node for node in rest if node not in taken], _place_key)
    for node in after:
        if node in facts or node in guesses:
            continue
        if (old := _next(old_like.get(_place_key(node)), taken)) is not None:
            match(node, old, guesses)
    return facts, guesses


def _definer(node: Node, definers: Mapping[Value, Node]) -> Node | None:
    """The old node of the same op that defined the same value."""
    old = definers.get(node.outputs[0]) if node.outputs else None
    return old if old is not None and old.op is node.op else None


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


Pair = tuple[Node | None, Node | None]
"""A node in an earlier and in a later version."""


def renamed_axes(pairs: Iterable[Pair]) -> dict[str, str]:
    """Old axis -> new axis, where every value that had the old one now has the new one."""
    votes: Counter[tuple[str, str]] = Counter()
    for before, after in pairs:
        if before is None or after is None or before is after:
            continue
        for old, new in zip(before.outputs, after.outputs, strict=False):
            if len(old.axes) == len(new.axes):
                votes.update(zip(old.axes, new.axes, strict=True))
    olds, news = Counter(old for old, _ in votes), Counter(new for _, new in votes)
    return {o: n for o, n in votes if o != n and olds[o] == 1 and news[n] == 1}


def change_of(old: Node | None, new: Node | None, renamed: Mapping[str, str]) -> Change:
    """What became of a node in itself: what it reads is a change of wires, not of nodes.

    Another name of an axis alone is no change either, and what is in neither version is the same.
    """
    if old is new:
        return Change.SAME
    if old is None:
        return Change.ADDED
    if new is None:
        return Change.REMOVED
    return Change.SAME if _alike(old, new, renamed) else Change.CHANGED


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
