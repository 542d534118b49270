"""A loop that an export unrolled, as one scan.

The second step is the body: what it reads from the first is a carry. Results that are read outside
become rows, one a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from attrs import field, frozen
from torch.fx import Node

from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import joined, sliced
from graftwork.frontends.torch.unrolled import Loop, Members, Stretch, is_join, members, stretches
from graftwork.frontends.torch.values import extent_of, settled
from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import (
    Positional,
    as_carried,
    carrying,
    carrying_axes,
    fresh,
    relabelled,
)

if TYPE_CHECKING:
    from graftwork.frontends.torch.program import Translation

Place = tuple[Loop, int]


@frozen(eq=False)
class Rolled:
    """The loops of a program, and what has become of those that are translated.

    Attributes:
        loops: in the order of the program.
        members: every node of a loop -> its loop, place and step.
        rows: loop and place -> the results of all steps, the first dimension counting them.
    """

    loops: Sequence[Loop] = ()
    members: Members = field(init=False)
    rows: dict[Place, Positional] = field(factory=dict, init=False)

    @members.default
    def _list_members(self) -> Members:
        return members(self.loops)

    def singles(self, loop: Loop) -> set[Node]:
        """The nodes of a loop that are read by themselves outside of it."""
        read = {node for other in self.loops for node in other.outside()}
        found: set[Node] = set()
        for step in loop.steps:
            for node in step:
                users = [user for user in node.users if user not in self.members]
                if node in read or any(self._reads_single(user, node) for user in users):
                    found.add(node)
        return found

    def takes_apart(self, node: Node) -> bool:
        """Whether an operator takes a tensor apart only for loops, which read it whole."""
        apart = node.target is torch.ops.aten.unbind.int
        return apart and bool(node.users) and node.users.keys() <= self.members.keys()

    def _reads_single(self, user: Node, node: Node) -> bool:
        return not is_join(user) or node in self.parts(user)

    def parts(self, join: Node) -> list[Node | Stretch]:
        """What an operator joins, results of a loop in the order of its steps as one."""
        nodes: Sequence[Node] = join.args[0]  # type: ignore[assignment]
        return list(stretches(nodes, self.members))

    def joined_places(self, loop: Loop) -> set[int]:
        """The places of a loop whose results of all steps are read together."""
        found = {s.source for other in self.loops for s in other.feeds.values()}
        joins = {user for step in loop.steps for n in step for user in n.users if is_join(user)}
        for join in joins - self.members.keys():
            found |= {part.source for part in self.parts(join) if isinstance(part, Stretch)}
        return {s[1] for s in found if isinstance(s, tuple) and s[0] is loop}


def join_rows(at: Translation, node: Node) -> Positional | None:
    """The result of an operator that joins results of a loop; None for any other operator."""
    rolled = at.rolled
    if not is_join(node):
        return None
    parts = rolled.parts(node)
    if not any(isinstance(part, Stretch) for part in parts):
        return None
    shape = node.meta["val"].shape
    dim = _dimension(node, len(shape))
    stacked = "stack" in str(node.target)
    pieces: list[Positional] = []
    for part in parts:
        if isinstance(part, Stretch):
            rows = stretched(at, part)
            count, *rest = rows.dims
            x = Positional(rows.term, (*rest[:dim], count, *rest[dim:]))
            pieces.append(x if stacked else _flattened(x, dim))
        else:
            x = at.known[part]
            pieces.append(
                Positional(x.term, (*x.dims[:dim], None, *x.dims[dim:])) if stacked else x
            )
    return joined(pieces, dim)


def _flattened(x: Positional, dim: int) -> Positional:
    """A dimension that counts steps, and the next one, as one."""
    if x.dims[dim + 1] is None:
        return Positional(x.term, (*x.dims[: dim + 1], *x.dims[dim + 2 :]))
    extents = [extent_of(x, place) for place in range(x.rank)]
    both = x.size(dim) * x.size(dim + 1)
    return reshaped(x, (*extents[:dim], both, *extents[dim + 2 :]))


def _dimension(node: Node, rank: int) -> int:
    """The dimension that the second argument of an operator says, the first if it has none."""
    dim: Any = node.args[1] if len(node.args) > 1 else 0
    return int(dim) % rank


def stretched(at: Translation, part: Stretch) -> Positional:
    """Positions of a dimension, or of the results of all steps of a loop."""
    x = at.known[part.source] if isinstance(part.source, Node) else at.rolled.rows[part.source]
    first = min(part.start, part.start + part.stride * (part.count - 1))
    step = abs(part.stride)
    x = carrying(x, part.dim)
    x = sliced(x, part.dim, first, first + step * (part.count - 1) + 1, step, part.count)
    if part.stride < 0:
        x = Positional(ops.flip(x.term, axes=[x.dims[part.dim]]), x.dims)
    return x


def roll(at: Translation, loop: Loop) -> None:
    """Translate a loop; afterwards its results that are read outside are known."""
    rolled = at.rolled
    singles = rolled.singles(loop) - {loop.steps[-1][place] for place in loop.carries}
    wanted = rolled.joined_places(loop)
    wanted |= {place for step in loop.steps for place, node in enumerate(step) if node in singles}
    plain = wanted & loop.anchors.keys()  # no step computes them
    for place in plain:
        source = loop.anchors[place]
        rows = stretched(at, source)
        rolled.rows[loop, place] = _as_read(loop.steps[0][place], _first(rows, source.dim), 1)
    inner = sorted(wanted - plain - loop.writes.keys())
    if loop.carries or loop.writes or inner:
        _scan(at, loop, inner)
    for number, step in enumerate(loop.steps):
        for place, node in enumerate(step):
            if node in singles and place not in loop.writes:
                time, *dims = rolled.rows[loop, place].dims
                row = ops.index(rolled.rows[loop, place].term, axis=time, at=number)
                at.known[node] = Positional(row, tuple(dims))


def _scan(at: Translation, loop: Loop, wanted: Sequence[int]) -> None:
    """A loop as one node, with rows of the wanted places."""
    outer, template, first = at.builder, loop.steps[1], loop.steps[0]
    outer.origin = at.origin(template[0])
    time = fresh(outer.typing, loop.count)
    body = _Body(Builder(outer.typing, outer.origin))
    carries = [_entering(at, first[place], init) for place, init in loop.carries.items()]
    for place, x in zip(loop.carries, carries, strict=True):
        body.enter(first[place], x)
    for place, part in loop.anchors.items():
        node = template[place]
        body.enter(node, _along(stretched(at, part), part.dim, time), time)
        body.known[node] = _as_read(node, body.known[node], 0)
    for node, part in loop.feeds.items():
        body.enter(node, _along(stretched(at, part), 0, time), time)
    for node in loop.reads:
        body.enter(node, at.known[node])
    whole = at.known
    at.builder, at.known = body.builder, body.known
    for place, node in enumerate(template):
        if place not in loop.anchors and place not in loop.writes:
            at.call(node)
    at.builder, at.known = outer, whole

    pairs = zip(loop.carries, carries, strict=True)
    after = [as_carried(body.known[template[place]], x) for place, x in pairs]
    written: list[Node] = [template[place].args[1] for place in loop.writes]  # type: ignore[misc]
    rows = [carrying_axes(body.known[n]) for n in (*(template[p] for p in wanted), *written)]
    ends, stacked = body.scanned(outer, time, after, rows, len(loop.anchors) + len(loop.feeds))
    for place, x, end in zip(loop.carries, carries, ends, strict=True):
        at.known[loop.steps[-1][place]] = Positional(end, x.dims)
    for place, x in zip((*wanted, *loop.writes), stacked, strict=True):
        if place in loop.writes:
            at.known[loop.steps[-1][place]] = _filled(at, loop.writes[place], x)
        else:
            at.rolled.rows[loop, place] = x


@frozen(eq=False)
class _Body:
    """The body of a scan being built.

    Attributes:
        known: node that the body reads or computes -> its array.
        entries: the body's inputs, and what the scan is given for each.
    """

    builder: Builder
    known: dict[Node, Any] = field(factory=dict)
    entries: list[tuple[Value, Term]] = field(factory=list)

    def enter(self, node: Node, x: Positional, *without: str) -> None:
        """Let the body read an array from outside, or one position of some axes of it."""
        value = Value(x.term.type.without(without))
        self.entries.append((value, x.term))
        self.known[node] = Positional(Term(value, self.builder), x.dims)

    def scanned(
        self,
        outer: Builder,
        time: str,
        after: Sequence[Term],
        rows: Sequence[Positional],
        xs: int,
    ) -> tuple[tuple[Term, ...], list[Positional]]:
        """The scan: the final carries, and all rows, counted by their first dimension."""
        values, operands = zip(*self.entries, strict=True)
        results = tuple(term.value for term in (*after, *(x.term for x in rows)))
        region = Region(values, tuple(self.builder.nodes), results)
        attrs = {"axis": time, "carry": len(after), "xs": xs}
        terms = outer.emit(REGISTRY["scan"], operands, attrs, (region,))
        stacked = zip(terms[len(after) :], rows, strict=True)
        return terms[: len(after)], [Positional(term, (time, *x.dims)) for term, x in stacked]


def _entering(at: Translation, node: Node, init: Node) -> Positional:
    """The initial value of a carry, over axes of its own."""
    extents = at.extents(node.meta["val"].shape)
    x = carrying_axes(settled(at.known[init], extents))
    typing = at.builder.typing
    return relabelled(x, {axis: fresh(typing, x.term.size(axis)) for axis in x.axes})


def _along(x: Positional, dim: int, time: str) -> Positional:
    """Rows without the dimension that counts them, whose axis is renamed."""
    x = carrying(x, dim)
    axis = x.dims[dim]
    assert axis is not None
    return relabelled(x, {axis: time}).with_dim(dim)


def _first(x: Positional, dim: int) -> Positional:
    """The same array with a dimension moved to the front."""
    return Positional(x.term, (x.dims[dim], *x.with_dim(dim).dims))


def _as_read(node: Node, x: Positional, before: int) -> Positional:
    """Rows as the operator that reads them gives them: a slice keeps the dimension.

    `before` counts the dimensions before those of a row.
    """
    if node.target is not torch.ops.aten.slice.Tensor:
        return x
    dim = before + _dimension(node, x.rank + 1 - before)
    return Positional(x.term, (*x.dims[:dim], None, *x.dims[dim:]))


def _filled(at: Translation, write: Stretch, rows: Positional) -> Positional:
    """An array in which a loop has written some positions of a dimension."""
    assert isinstance(write.source, Node)
    time, *dims = rows.dims
    parts = [Positional(rows.term, (*dims[: write.dim], time, *dims[write.dim :]))]
    before, last = at.known[write.source], write.start + write.count
    size = write.source.meta["val"].shape[write.dim]
    if write.start > 0:
        parts.insert(0, _between(before, write.dim, 0, write.start))
    if last < size:
        parts.append(_between(before, write.dim, last, size))
    return joined(parts, write.dim)


def _between(x: Positional, dim: int, start: int, stop: int) -> Positional:
    return sliced(x, dim, start, stop, 1, None if stop - start == 1 else stop - start)
