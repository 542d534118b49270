"""Computing what worlds share once: worlds enter where they differ, and gather from there on.

From the graph of a sweep, in which every world runs the whole model, this makes one in which
a value exists once for all worlds that do not differ there, and along an axis of its own for
those that do: the worlds of the first edits, then those of more and more. Where the positions of
the edits bound how far their effects have come, only these are computed; see `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Port, Value
from graftwork.ir.sites import Sites
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.types import Type, Typing
from graftwork.passes.edit import WORLDS
from graftwork.passes.sweeps.facts import ENTRY, Facts, study
from graftwork.passes.sweeps.rows import At, Grid, Lookup, Points, Rows

PLAIN = "plain"
DIFFERS = "differs"


@frozen(eq=False)
class Shared:
    """A sweep's graph in which nothing is computed twice.

    Attributes:
        graph: an input of worlds is now one for each entry, `worlds.seq.3`; its outputs are the
            metric, with the worlds of all entries in front, one entry after another; `plain`, the
            metric of the unedited run; and `differs.3`, whether the edit of an entry changes
            anything at all, a boolean a world, or a boolean a world and position.
        lookups: what some of its inputs hold.
        suffixes: the entries for which `rows.3` holds the positions from each edit on.
        axis: the axis of these positions.
    """

    graph: Graph
    lookups: tuple[Lookup, ...]
    suffixes: tuple[int, ...]
    axis: str | None


def share(
    graph: Graph,
    entries: int,
    positions: str | None = None,
    axis: str | None = None,
    told: str | None = None,
) -> Shared:
    """Let worlds enter where they differ.

    Args:
        graph: of a sweep, with the input `worlds.entry`.
        entries: how many edits there are.
        positions: the input with the position of each world's edit, if only what it can reach is
            to be computed.
        axis: that of the first position at which each world's edit changes anything, if only what
            comes from there on is to be computed.
        told: an axis along which `differs` is to tell positions apart.
    """
    facts = study(graph, entries, positions, axis)
    return _Sharing(graph, entries, facts, positions or "", told).run()


@frozen(eq=False)
class _Held:
    """What a value is in the worlds in which it differs."""

    points: Grid | Rows
    term: Term


@frozen(eq=False)
class _Sharing:
    """One walk along a sweep's graph.

    Attributes:
        plain: value -> what it is in the unedited run.
        held: value -> what it is in the worlds in which it differs.
    """

    graph: Graph
    entries: int
    facts: Facts
    positions: str
    told: str | None
    builder: Builder = field(init=False)
    inputs: dict[str, Port] = field(factory=dict)
    plain: dict[Value, Term] = field(factory=dict)
    held: dict[Value, _Held] = field(factory=dict)
    taken: dict[tuple[Value, Points], Term] = field(factory=dict)
    lookups: dict[tuple[Rows | Grid | None, Points], Lookup] = field(factory=dict)
    axes: dict[Points, str] = field(factory=dict)
    changes: dict[int, list[tuple[Term, str]]] = field(factory=dict)

    @builder.default
    def _make_builder(self) -> Builder:
        return Builder(Typing({a: size for a, size in self.graph.axes.items() if a != WORLDS}))

    def run(self) -> Shared:
        with self.builder:
            for port in self.graph.inputs:
                self._enter(port)
            for node in self.graph.nodes:
                self.builder.origin = node.origin.through("Share")
                self._node(node)
            outputs = [port for known in self.graph.outputs for port in self._outputs(known)]
            outputs += [self._differs(entry) for entry in sorted(self.changes)]
        graph = self.graph.evolve(
            inputs=tuple(self.inputs.values()),
            nodes=tuple(self.builder.nodes),
            outputs=tuple(outputs),
            axes=self.builder.typing.table,
            sites=Sites(),
        )
        suffixes = tuple(e for e in range(self.entries) if f"rows.{e}" in self.inputs)
        return Shared(graph, tuple(self.lookups.values()), suffixes, self.facts.axis)

    # --- the walk -------------------------------------------------------------------------------

    def _enter(self, port: Port) -> None:
        """An input of worlds becomes one for each entry; elsewhere it is -1, which is nowhere.

        The entries themselves are known, and only read by edits inside loops.
        """
        if WORLDS not in port.value.axes:
            self.inputs[port.name] = port
            return
        self.plain[port.value] = self.builder.constant(-1, DType.i64)
        grids = [Grid((entry,)) for entry in range(self.entries)]
        if port.name == ENTRY:
            numbers = [self.builder.constant(entry, DType.i64) for entry in range(self.entries)]
            axes = map(self._axis, grids)
            parts = [number.broadcast(a) for number, a in zip(numbers, axes, strict=True)]
        else:
            parts = [self._input(f"{port.name}.{g.entries[0]}", (self._axis(g),)) for g in grids]
        self.taken.update(((port.value, g), part) for g, part in zip(grids, parts, strict=True))
        whole = Grid(tuple(range(self.entries)))
        self.held[port.value] = _Held(whole, self._joined(parts, grids, whole))

    def _node(self, node: Node) -> None:
        if not any(value in self.facts.extents for value in node.inputs):
            self.builder.append([node])
            return
        active = tuple(sorted({e for v in node.outputs for e in self.facts.active.get(v, ())}))
        if node in self.facts.gates:
            self.plain[node.output] = self._plain(node.inputs[2])
            if active:
                self._gate(node, active)
            return
        self._compute_plain(node)
        if active:
            self._compute(node, active)

    def _compute_plain(self, node: Node) -> None:
        """The node in the unedited run; what nobody reads of it is dropped in the end."""
        operands = [self._plain(value) for value in node.inputs]
        made = self.builder.emit(node.op, operands, node.attrs.as_dict(), node.regions)
        self.plain.update(zip(node.outputs, made, strict=True))

    def _gate(self, node: Node, active: tuple[int, ...]) -> None:
        """The edited value in the worlds of the entry, what it was in those of others."""
        points = self._points(node.output, active)
        gate = self.facts.gates[node]
        inner = {WORLDS, self.facts.axis} if isinstance(points, Rows) else {WORLDS}
        axes = [axis for axis in node.output.axes if axis not in inner]
        parts, places = [], []
        for edited, run in groupby(active, lambda entry: entry == gate):
            place = _only(points, tuple(run))
            term = self._take(node.inputs[1 if edited else 2], place)
            parts.append(term.broadcast(self._axis(place), *axes))  # a zero has no axes
            places.append(place)
            if edited:
                changed = ops.ne(parts[-1], self._take(node.inputs[2], place))
                self.changes.setdefault(gate, []).append((changed, self._axis(place)))
        self.held[node.output] = _Held(points, self._joined(parts, places, points))

    def _compute(self, node: Node, active: tuple[int, ...]) -> None:
        """The node in the worlds in which it differs."""
        if self._is_taken_at(node):
            at = At(active, node.attrs["at"])
            self.held[node.output] = _Held(Grid(active), self._take(node.inputs[0], at))
            return
        points: Grid | Rows = Grid(active)
        if self._maps_over_rows(node):
            points = self._points(node.outputs[0], active)
        operands = [self._take(value, points) for value in node.inputs]
        made = self.builder.emit(node.op, operands, node.attrs.as_dict(), node.regions)
        for value, term in zip(node.outputs, made, strict=True):
            self.held[value] = _Held(points, term)
            wanted = self._points(value, active)
            if points != wanted:
                self.held[value] = _Held(wanted, self._take(value, wanted))

    def _points(self, value: Value, active: tuple[int, ...]) -> Grid | Rows:
        """How a value is held: in rows, if its edits bound where it differs."""
        if not self.facts.in_rows(value):
            return Grid(active)
        return Rows(active, self.facts.singles(value))

    def _maps_over_rows(self, node: Node) -> bool:
        """Whether a node may be computed row by row, and no row has more to read than it gives."""
        axis = str(self.facts.axis)
        if node.regions or axis in node.op.named_axes(node.attrs):
            return False
        return all(self.facts.in_rows(value) for value in node.outputs) and all(
            axis in value.type.axis_set or value.type.axis_set <= {WORLDS, *node.outputs[0].axes}
            for value in node.inputs
            if value in self.held
        )

    def _is_taken_at(self, node: Node) -> bool:
        """Whether a node takes one position of what is held in rows."""
        if node.op.name != "index" or node.attrs["axis"] != self.facts.axis:
            return False
        held = self.held.get(node.inputs[0])
        return held is not None and isinstance(held.points, Rows)

    def _outputs(self, port: Port) -> Sequence[Port]:
        """The metric in all worlds, and in the unedited run."""
        everywhere = Grid(tuple(range(self.entries)))
        worlds = self._axis(everywhere)
        term = self._take(port.value, everywhere).broadcast(worlds)
        rest = tuple(axis for axis in port.layout if axis != WORLDS)
        plain = self._plain(port.value)
        return (
            Port(port.name, term.value, (worlds, *rest)),
            Port(PLAIN, plain.value, rest),
        )

    def _differs(self, entry: int) -> Port:
        """Whether an entry's edits change anything, a boolean a world (and position)."""
        worlds = self._axis(Grid((entry,)))
        kept = (worlds,) if self.told is None else (worlds, self.told)
        found = [
            ops.any(changed, over=[a for a in changed.axes if a not in (axis, *kept)]).rename(
                **({axis: worlds} if axis != worlds else {})
            )
            for changed, axis in self.changes[entry]
        ]
        differs = reduce(Term.__or__, found).broadcast(*kept)
        return Port(f"{DIFFERS}.{entry}", differs.value, kept)

    # --- values at points -----------------------------------------------------------------------

    def _plain(self, value: Value) -> Term:
        """What a value is in the unedited run."""
        return self.plain[value] if value in self.plain else Term(value, self.builder)

    def _take(self, value: Value, points: Points) -> Term:
        """A value at some points; without their axis where it is the same at all of them."""
        known = self.taken.get((value, points))
        if known is None:
            known = self._made(value, points)
            self.taken[value, points] = known
        return known

    def _made(self, value: Value, points: Points) -> Term:
        held, axis = self.held.get(value), self.facts.axis
        if held is not None and not {*points.entries} & {*held.points.entries}:
            held = None  # in these worlds it is as in the unedited run
        if held is not None and held.points == points:
            return held.term
        along = axis is not None and axis in value.type.axis_set
        if held is None:
            plain = self._plain(value)
            if along and isinstance(points, Rows):
                return ops.gather(plain, self._columns(points), axes=(axis,), mode="promise")
            return plain
        if isinstance(held.points, Rows):
            return self._looked_up(self._table(value, held), held.points, points)
        if not isinstance(points, Rows):
            return self._regrouped(value, held, points.entries)
        grid = Grid(points.entries)
        worlds, term = self._axis(grid), self._take(value, grid)
        if not along:
            return self._looked_up((term, worlds), None, points)
        flat = self.builder.typing.fresh("flat")
        return self._looked_up((term.merge(worlds, str(axis), into=flat), flat), grid, points)

    def _table(self, value: Value, held: _Held) -> tuple[Term, str]:
        """The positions of the unedited run, then the rows; and the axis of both."""
        plain, axis = self._plain(value), str(self.facts.axis)
        into = f"{self._axis(held.points)}_table"
        table = ops.concat(plain, held.term, axes=(axis, self._axis(held.points)), into=into)
        return table, into

    def _looked_up(
        self, table: tuple[Term, str], source: Rows | Grid | None, target: Points
    ) -> Term:
        known = self.lookups.get((source, target))
        if known is None:
            known = Lookup(f"lookup.{len(self.lookups)}", source, target)
            self.lookups[source, target] = known
        axes = (self._axis(target), *([str(self.facts.axis)] if isinstance(target, Grid) else ()))
        index = self._input(known.name, axes)
        return ops.gather(table[0], index, axes=(table[1],), mode="promise")

    def _regrouped(self, value: Value, held: _Held, entries: Sequence[int]) -> Term:
        """A value at all positions, in the worlds of other entries than it is held for."""
        there = held.points.entries
        firsts: list[Size] = [0]
        for entry in there:
            firsts.append(firsts[-1] + self._count(entry))
        parts, places = [], []
        for known, run in groupby(entries, lambda entry: entry in there):
            place = Grid(tuple(run))
            if known:
                first = there.index(place.entries[0])
                last = first + len(place.entries)
                if there[first:last] != place.entries:
                    raise RewriteError(f"{value!r} is held for edits in another order")
                start, stop = firsts[first], firsts[last]
                axis = self._axis(held.points)
                whole = len(place.entries) == len(there)
                parts.append(
                    held.term if whole
                    else ops.slice(held.term, axis=axis, start=start, stop=stop,
                                   into=self._axis(place))
                )  # fmt: skip
            else:
                parts.append(self._plain(value).broadcast(self._axis(place)))
            places.append(place)
        return self._joined(parts, places, Grid(tuple(entries)))

    def _joined(self, parts: Sequence[Term], places: Sequence[Points], whole: Points) -> Term:
        """Parts one after another, along the axis of all their points."""
        if len(parts) == 1:
            return parts[0]
        return ops.concat(*parts, axes=[self._axis(p) for p in places], into=self._axis(whole))

    def _columns(self, rows: Rows) -> Term:
        """The position of each row."""
        parts, places = [], []
        for entry, single in zip(rows.entries, rows.singles, strict=True):
            place = Grid((entry,)) if single else Rows((entry,), (False,))
            name = f"{self.positions}.{entry}" if single else f"rows.{entry}"
            parts.append(self._input(name, (self._axis(place),)))
            places.append(place)
        if rows.singles == (True,):
            return parts[0].rename(**{self._axis(places[0]): self._axis(rows)})
        return self._joined(parts, places, rows)

    # --- axes and inputs ------------------------------------------------------------------------

    def _count(self, entry: int) -> Size:
        """How many worlds an entry has: one, where nothing but the entry tells them apart."""
        several = any(WORLDS in p.value.axes and p.name != ENTRY for p in self.graph.inputs)
        return symbol(f"worlds_{entry}") if several else 1

    def _axis(self, points: Points) -> str:
        """The axis of worlds or rows along which points lie."""
        if isinstance(points, At):
            points = Grid(points.entries)
        if points not in self.axes:
            word = "rows" if isinstance(points, Rows) else "worlds"
            several = len(points.entries) > 1 or (isinstance(points, Rows) and points.singles[0])
            number = sum(isinstance(known, type(points)) for known in self.axes)
            name = f"{word}.{number}" if several else f"{word}_{points.entries[0]}"
            self.axes[points] = name
            self.builder.typing.table[name] = self._extent(points)
            if isinstance(points, Rows):
                self._count_rows(points)
        return self.axes[points]

    def _extent(self, points: Grid | Rows) -> Size:
        """The number of points, a sum over entries."""
        singles = points.singles if isinstance(points, Rows) else (True,) * len(points.entries)
        total: Size = 0
        for entry, single in zip(points.entries, singles, strict=True):
            total = total + (self._count(entry) if single else symbol(f"rows_{entry}"))
        return total

    def _count_rows(self, rows: Rows) -> None:
        """The positions from each edit of an entry on are an input, which tells their number."""
        for entry, single in zip(rows.entries, rows.singles, strict=True):
            if not single:
                self._input(f"rows.{entry}", (self._axis(Rows((entry,), (False,))),))

    def _input(self, name: str, axes: Sequence[str]) -> Term:
        if name not in self.inputs:
            value = Value(Type(DType.i64, tuple(axes)), name)
            self.inputs[name] = Port(name, value, value.axes)
        return Term(self.inputs[name].value, self.builder)


def _only(points: Grid | Rows, entries: tuple[int, ...]) -> Grid | Rows:
    return points.only(entries) if isinstance(points, Rows) else Grid(entries)
