"""Finding the loops that an export unrolled, by comparing a program at two lengths.

The two programs are the same but for what the longer one repeats more often. A repeated block is a
loop if each step reads what the same step computed, what the step before it computed (a carry),
what does not change from step to step, or the next position of something (a row).
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from attrs import field, frozen
from torch.fx import Node

from graftwork.frontends.torch.decompose import is_number
from graftwork.frontends.torch.likeness import kind_of, leaves_of, sketch_of, text_of

aten = torch.ops.aten
_LOOKAHEAD = 3  # operators after a loop that both programs must share
_JOINS = (aten.stack.default, aten.cat.default)
Step = tuple[Node, ...]


@frozen
class Stretch:
    """Evenly spaced positions of a dimension.

    Attributes:
        source: what they are positions of; of a pair (loop, place), the results of all its steps.
        dim: the dimension, of a node.
    """

    source: Node | tuple[Loop, int]
    dim: int
    start: int
    stride: int
    count: int


@frozen(eq=False)
class Loop:
    """A block of operators that a program repeats, once a step.

    A place is a number of an operator within the step.

    Attributes:
        steps: the operators of each step.
        carries: place -> what stands for its result before the first step.
        anchors: place of an operator that reads one position a step -> those positions.
        feeds: node that the second step reads -> the results of another loop that it is one of.
        writes: place of an operator that writes one position a step -> those positions.
        reads: what is read from before the loop at every step.
    """

    steps: tuple[Step, ...]
    carries: Mapping[int, Node]
    anchors: Mapping[int, Stretch]
    feeds: Mapping[Node, Stretch]
    writes: Mapping[int, Stretch]
    reads: tuple[Node, ...]

    @property
    def count(self) -> int:
        return len(self.steps)

    def outside(self) -> set[Node]:
        """All nodes from before the loop that it reads as they are."""
        sources = [s.source for s in (*self.anchors.values(), *self.writes.values())]
        return {*self.reads, *self.carries.values(), *(s for s in sources if isinstance(s, Node))}


Members = dict[Node, tuple[Loop, int, int]]  # node -> its loop, place and step


def members(loops: Sequence[Loop]) -> Members:
    """Every node of the loops, and where in them it is."""
    return {
        node: (loop, place, number)
        for loop in loops
        for number, step in enumerate(loop.steps)
        for place, node in enumerate(step)
    }


def forget_copies(program: torch.export.ExportedProgram) -> None:
    """Take out the operators that give nothing, or only one of their operands again."""
    for node in list(program.graph.nodes):
        if node.op == "call_function" and not node.users and node.meta.get("val") is None:
            program.graph.erase_node(node)
            continue
        place = {aten.slice.Tensor: 0, aten.slice_scatter.default: 1, aten.copy.default: 1}.get(
            node.target
        )
        if place is None:
            continue
        same = node.args[place]
        if kind_of(same) == kind_of(node) and kind_of(node.args[0]) == kind_of(node):
            node.replace_all_uses_with(same)
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()


def operators(program: torch.export.ExportedProgram) -> list[Node]:
    """The calls of a program that give tensors, in order."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    return [n for n in calls if n.meta.get("val") is not None and not is_number(n.meta["val"])]


# --- two programs ---------------------------------------------------------------------------------


def find_loops(
    short: Sequence[Node], long: Sequence[Node], extra: int
) -> tuple[list[Loop], list[Loop]] | None:
    """The loops of two programs that differ in the number of steps, `extra` more in the second.

    None if the programs differ in any other way.
    """
    weak = [[sketch_of(node) for node in nodes] for nodes in (short, long)]
    strong = [
        [
            (*sketch, kind_of(node), len(leaves_of(node)))
            for sketch, node in zip(s, nodes, strict=True)
        ]
        for s, nodes in zip(weak, (short, long), strict=True)
    ]
    found: tuple[list[Loop], list[Loop]] = ([], [])
    i = j = 0
    while i < len(short) or j < len(long):
        if i < len(short) and j < len(long) and weak[0][i] == weak[1][j]:
            i, j = i + 1, j + 1
            continue
        for period in _periods(weak[0][i:], weak[1], strong[1], j, extra):
            first, last = _run(strong[1], j, period)
            added = extra * period
            lines = short[i - (j - first) : i + (last - j) - added], long[first:last]
            pair = _aligned_loops(*lines, period, found)
            if pair is not None:
                break
        else:
            return None
        found[0].append(pair[0])
        found[1].append(pair[1])
        j += added
    return found


def _periods(
    rest: Sequence[Any], weak: Sequence[Any], strong: Sequence[Any], at: int, extra: int
) -> Iterator[int]:
    """The possible lengths of the block that the longer program repeats at a position."""
    for period in range(1, min(at, (len(strong) - at) // extra) + 1):
        end = at + extra * period
        ahead = min(_LOOKAHEAD, len(rest), len(weak) - end)
        if (
            all(strong[k] == strong[k - period] for k in range(at, end))
            and weak[end : end + ahead] == rest[:ahead]
            and (ahead > 0 or len(rest) == len(weak) - end)
        ):
            yield period


def _run(keys: Sequence[Any], at: int, period: int) -> tuple[int, int]:
    """From where to where a list repeats itself around a position."""
    first, last = at - period, at
    while first > 0 and keys[first - 1] == keys[first - 1 + period]:
        first -= 1
    while last < len(keys) and keys[last] == keys[last - period]:
        last += 1
    return first, last


def _aligned_loops(
    short: Sequence[Node],
    long: Sequence[Node],
    period: int,
    before: tuple[list[Loop], list[Loop]],
) -> tuple[Loop, Loop] | None:
    """The run of each program as a loop: of all ways to cut it into steps the one with most
    steps, and of those the one that carries least."""
    best: tuple[Loop, Loop] | None = None
    known = [members(loops) for loops in before]
    for start in range(2 * period):
        pair = [
            _loop(_cut(nodes, start, period), loops)
            for nodes, loops in zip((short, long), known, strict=True)
        ]
        a, b = pair
        if a is None or b is None:
            continue
        if best is None or (b.count, -len(b.carries)) > (best[1].count, -len(best[1].carries)):
            best = a, b
    return best


def _cut(nodes: Sequence[Node], start: int, period: int) -> tuple[Step, ...]:
    stops = range(start + period, len(nodes) + 1, period)
    return tuple(tuple(nodes[stop - period : stop]) for stop in stops)


# --- one loop -------------------------------------------------------------------------------------


@frozen(eq=False)
class _Reading:
    """What the operators of a loop were found to read so far.

    Attributes:
        inside: node of the loop -> its step and place.
        known: the nodes of earlier loops.
        carries, feeds, reads: as of `Loop`.
    """

    inside: Mapping[Node, tuple[int, int]]
    known: Members
    carries: dict[int, Node] = field(factory=dict)
    feeds: dict[Node, Stretch] = field(factory=dict)
    reads: dict[Node, None] = field(factory=dict)

    def takes(self, values: Sequence[Any], advancing: bool) -> bool:
        """Whether a loop can give its steps these values; numbers may change if `advancing`."""
        first, second, *_ = values
        if not isinstance(second, Node) or is_number(second.meta.get("val")):
            return advancing or len(set(map(text_of, values))) == 1
        if second in self.inside:
            return self._takes_own(values)
        if all(value is first for value in values):
            self.reads[first] = None
            return isinstance(first.meta.get("val"), torch.Tensor)
        family = _family(values, self.known)
        if family is not None:
            self.feeds[second] = family
        return family is not None

    def _takes_own(self, values: Sequence[Any]) -> bool:
        """The results of one operator, each of the same step, or each of the step before."""
        first, second, *_ = values
        step, place = self.inside[second]
        own = [self.inside.get(value) for value in values]
        if own == [(number, place) for number in range(len(values))]:
            return True
        before = own[1:] == [(number, place) for number in range(len(values) - 1)]
        if step != 0 or not before or first in self.inside or kind_of(first) != kind_of(second):
            return False
        return self.carries.setdefault(place, first) is first


def _loop(steps: tuple[Step, ...], known: Members) -> Loop | None:
    """The steps as a loop, None where one of them reads what a loop cannot give it."""
    columns = list(zip(*steps, strict=True))
    if len(steps) < 2 or not all(map(_alike, columns)):
        return None
    inside = {node: (t, place) for t, step in enumerate(steps) for place, node in enumerate(step)}
    reading = _Reading(inside, known)
    anchors: dict[int, Stretch] = {}
    writes: dict[int, Stretch] = {}
    for place, nodes in enumerate(columns):
        stretch = _positions(nodes)
        if stretch is not None and not _is_write(nodes[0]):
            if stretch.source in inside:
                return None
            anchors[place] = stretch
            continue
        if stretch is not None:
            writes[place] = stretch
        leaves = zip(*map(leaves_of, nodes), strict=True)
        if not all(reading.takes(values, stretch is not None) for values in leaves):
            return None
    for place in writes:
        if reading.carries.pop(place, None) is None or not _only_written(steps, place):
            return None
    if reading.reads.keys() & reading.feeds.keys():
        return None
    return Loop(steps, reading.carries, anchors, reading.feeds, writes, tuple(reading.reads))


def _alike(nodes: Sequence[Node]) -> bool:
    """Whether nodes call one operator and give arrays of one kind."""
    return len({(node.target, kind_of(node), len(leaves_of(node))) for node in nodes}) == 1


def _is_write(node: Node) -> bool:
    return node.target is aten.select_scatter.default


def _positions(nodes: Sequence[Node]) -> Stretch | None:
    """The positions that the same operator of all steps reads or writes, if they advance."""
    found = [_position(node) for node in nodes]
    if any(each is None for each in found):
        return None
    sources, dims, places = zip(*found, strict=True)
    stride = places[1] - places[0]
    written = _is_write(nodes[0])
    even = all(b - a == stride for a, b in pairwise(places))
    if stride == 0 or not even or len(set(dims)) > 1:
        return None
    if written and stride != 1:
        return None
    if not written and any(source is not sources[0] for source in sources):
        return None
    return Stretch(sources[0], dims[0], places[0], stride, len(nodes))


def _position(node: Node) -> tuple[Node, int, int] | None:
    """The source, dimension and position of an operator that reads or writes one position."""
    args: tuple[Any, ...] = node.args
    if node.target is operator.getitem and args[0].target is aten.unbind.int:
        source, dim, at = args[0].args[0], (*args[0].args[1:], 0)[0], args[1]
    elif node.target is aten.select.int:
        source, dim, at = args
    elif _is_write(node):
        source, _, dim, at = args
    elif node.target is aten.slice.Tensor and len(args) == 4 and _is_one(args[2], args[3]):
        source, dim, at = args[:3]
    else:
        return None
    shape = source.meta["val"].shape
    extent = shape[dim]
    if not isinstance(at, int) or not isinstance(extent, int):
        return None
    return source, dim % len(shape), at % extent


def _is_one(start: Any, stop: Any) -> bool:
    return isinstance(start, int) and isinstance(stop, int) and stop - start == 1 and start >= 0


def _only_written(steps: Sequence[Step], place: int) -> bool:
    """Whether nothing reads an array that is filled step by step before it is full."""
    later = [step[place] for step in steps[1:]]
    nodes = [step[place] for step in steps[:-1]]
    return all(set(n.users) == {user} for n, user in zip(nodes, later, strict=True)) and all(
        node.args[0] is not node.args[1] for node in (*nodes, later[-1])
    )


def _family(values: Sequence[Any], known: Members) -> Stretch | None:
    """Nodes as the results of one operator in evenly spaced steps of an earlier loop."""
    if not all(value in known for value in values):
        return None
    loops, places, numbers = zip(*(known[value] for value in values), strict=True)
    stride = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    even = all(b - a == stride for a, b in pairwise(numbers))
    if len(set(loops)) > 1 or len(set(places)) > 1 or not even or stride == 0:
        return None
    return Stretch((loops[0], places[0]), 0, numbers[0], stride, len(values))


def is_join(node: Node) -> bool:
    """Whether an operator puts a list of tensors one after another."""
    return node.target in _JOINS


def stretches(nodes: Sequence[Node], known: Members) -> Iterator[Node | Stretch]:
    """A list of nodes, those that are results of a loop in the order of its steps as one."""
    at = 0
    while at < len(nodes):
        end = at + 1
        while end < len(nodes) and _family(nodes[at : end + 1], known) is not None:
            end += 1
        family = _family(nodes[at:end], known) if end - at > 1 else None
        yield nodes[at] if family is None else family
        at = end
