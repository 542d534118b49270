"""From a graph, or two, to the cells and wires that show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from attrs import define, field, frozen

from graftwork.ir.attributes import Literal
from graftwork.ir.graph import Graph, Node, Parameter, Port, Region, Value
from graftwork.ir.origin import Origin
from graftwork.viz.cells import Cell, Kind, Wire, number_cells
from graftwork.viz.merge import Change, Pair, Same, change_of, merged, renamed_axes
from graftwork.viz.names import literal_word, visible
from graftwork.viz.tree import change_groups, cut_long_groups, hang, name_groups, tidy

Entry = tuple[str, Value | None, Value | None]
"""An input or output of a level: its name, its value now, its value before."""


@frozen(eq=False)
class Scene:
    """A graph, or the union of two, as cells.

    Attributes:
        graph: the graph as it is now.
        before: the graph as it was, if this is a difference.
        cells: the outline in order, its root first, and behind it the stubs.
        parameters: stub -> the parameter.
        renamed: old axis -> new axis.
        pairs: the nodes of the top level, in order.
        same: value of `graph` -> value of `before`.
        wires: value of `graph` -> the wire that carries it.
    """

    graph: Graph
    before: Graph | None
    cells: Sequence[Cell]
    parameters: Mapping[Cell, Parameter]
    renamed: Mapping[str, str]
    pairs: Sequence[Pair]
    same: Same
    wires: Mapping[Value, Wire]

    @cached_property
    def of_node(self) -> Mapping[Node, Cell]:
        """Node -> its cell."""
        return {cell.node: cell for cell in self.cells if cell.node is not None}


def scene(graph: Graph, before: Graph | None = None) -> Scene:
    """The cells of a graph; with `before`, those that are gone too, and what changed."""
    builder = _Builder(before is not None)
    root = Cell(Kind.GROUP, "graph")
    builder.add_parameters(graph.parameters, before.parameters if before else ())
    levels = builder.add_levels(_top(root, graph, before))
    tidy(root)
    cut_long_groups(root)
    cells = number_cells(root)
    builder.mark_sites(graph)
    name_groups(cells)
    change_groups(cells)
    builder.house_stubs(root)
    for number, stub in enumerate(builder.stubs, len(cells)):
        stub.number = number
    return Scene(
        graph,
        before,
        [*cells, *builder.stubs],
        builder.parameters,
        builder.renamed,
        levels,
        builder.same,
        builder.now,
    )


@frozen(eq=False)
class _Level:
    """A graph or a region on its way into the picture, as it is now and as it was."""

    root: Cell
    address: str
    now: Region
    then: Region | None
    inputs: Sequence[Entry]
    outputs: Sequence[Entry]

    @property
    def module(self) -> str:
        return self.root.origin.module


def _top(root: Cell, graph: Graph, before: Graph | None) -> _Level:
    return _Level(
        root,
        "graph.",
        graph.region,
        before.region if before else None,
        _by_name(graph.inputs, before.inputs if before else ()),
        _by_name(graph.outputs, before.outputs if before else ()),
    )


def _by_name(now: Sequence[Port | Parameter], then: Sequence[Port | Parameter]) -> list[Entry]:
    """Ports of equal name are the same one, whichever objects they are."""
    old = {port.name: port.value for port in then}
    entries: list[Entry] = [(port.name, port.value, old.pop(port.name, None)) for port in now]
    return [*entries, *((name, None, value) for name, value in old.items())]


def _by_place(now: Sequence[Value], then: Sequence[Value]) -> list[Entry]:
    entries: list[Entry] = []
    for i in range(max(len(now), len(then))):
        new, old = now[i] if i < len(now) else None, then[i] if i < len(then) else None
        shown = new or old
        entries.append((shown.name if shown and shown.name else str(i), new, old))
    return entries


@define(eq=False)
class _Builder:
    """One scene being built: which wire carries which value, in each of the two graphs."""

    differs: bool
    now: dict[Value, Wire] = field(factory=dict)
    then: dict[Value, Wire] = field(factory=dict)
    same: Same = field(factory=dict)
    stubs: list[Cell] = field(factory=list)
    parameters: dict[Cell, Parameter] = field(factory=dict)
    renamed: dict[str, str] = field(factory=dict)

    def add_parameters(self, now: Sequence[Parameter], then: Sequence[Parameter]) -> None:
        """A stub for every parameter."""
        known = {p.name: p for p in (*then, *now)}
        for name, new, old in _by_name(now, then):
            stub = self._entry(Kind.PARAMETER, name, new, old)
            self._make(stub, [new] if new else [], [old] if old else [])
            self.parameters[stub] = known[name]
            self.stubs.append(stub)

    def add_levels(self, top: _Level) -> Sequence[Pair]:
        """All nodes, those of regions after their owner; gives the pairs of the top level."""
        todo = deque([top])
        first: Sequence[Pair] = ()
        while todo:
            level = todo.popleft()
            inputs = self._inputs(level)
            pairs = self._pairs(level)
            if level is top:
                first, self.renamed = pairs, renamed_axes(pairs) if self.differs else {}
            cells = self._cells(level, pairs)
            outputs = self._outputs(level)
            boxes = [cell for cell in cells if not cell.kind.is_stub]
            for cell in (*inputs, *outputs):
                cell.parent = level.root
            level.root.children += inputs
            hang(boxes, level.root, level.module)
            level.root.children += outputs
            for cell, pair in zip(cells, pairs, strict=True):
                todo.extend(self._regions(cell, pair))
        return first

    # --- the edges of a level ---------------------------------------------------------------

    def _inputs(self, level: _Level) -> list[Cell]:
        cells = []
        for name, new, old in level.inputs:
            cell = self._entry(Kind.INPUT, name, new, old)
            self._make(cell, [new] if new else [], [old] if old else [])
            cells.append(cell)
        return cells

    def _outputs(self, level: _Level) -> list[Cell]:
        cells = []
        for name, new, old in level.outputs:
            cell = self._entry(Kind.OUTPUT, name, new, old)
            self._read(cell, [new] if new else [], [old] if old else [])
            cells.append(cell)
        return cells

    def _entry(self, kind: Kind, name: str, now: Value | None, then: Value | None) -> Cell:
        change = Change.SAME
        if self.differs and now is None:
            change = Change.REMOVED
        elif self.differs and then is None:
            change = Change.ADDED
        elif self.differs and now and then and not now.type.same(then.type):
            change = Change.CHANGED
        return Cell(kind, visible(name), change=change)

    # --- nodes ------------------------------------------------------------------------------

    def _pairs(self, level: _Level) -> Sequence[Pair]:
        if not self.differs:
            return [Pair(None, node) for node in level.now.nodes]
        return merged(level.then.nodes if level.then else (), level.now.nodes, self.same)

    def _cells(self, level: _Level, pairs: Sequence[Pair]) -> list[Cell]:
        kept = {value for _, *values in level.outputs for value in values if value}
        place = {node: i for i, node in enumerate(level.now.nodes)}
        cells = []
        for pair in pairs:
            cell = self._cell(pair, kept)
            if pair.after is not None:
                cell.address = f"{level.address}nodes[{place[pair.after]}]"
            cells.append(cell)
        for cell, pair in zip(cells, pairs, strict=True):
            now, then = pair.after, pair.before
            self._read(cell, now.inputs if now else (), then.inputs if then else ())
        return cells

    def _cell(self, pair: Pair, kept: set[Value]) -> Cell:
        node = pair.shown
        constant = None if kept.intersection(node.outputs) else _constant(node)
        title = visible(node.op.name, 200) if constant is None else literal_word(constant)
        change = change_of(pair, self.renamed) if self.differs else Change.SAME
        kind = Kind.OP if constant is None else Kind.CONSTANT
        cell = Cell(kind, title, node.origin, change, node)
        if change is Change.CHANGED:
            cell.old = pair.before
        if kind.is_stub:
            self.stubs.append(cell)
        now, then = pair.after, pair.before
        self._make(cell, now.outputs if now else (), then.outputs if then else ())
        return cell

    def _make(self, cell: Cell, now: Sequence[Value], then: Sequence[Value]) -> None:
        """Let a cell make wires; a value of now and one of then share a wire by their place."""
        for _, new, old in _by_place(now, then):
            shown = new or old
            assert shown is not None
            wire = Wire(cell, shown.type, visible(shown.name, 200))
            cell.makes.append(wire)
            if new is not None:
                self.now[new] = wire
            if old is not None:
                self.then[old] = wire
            if new is not None and old is not None:
                self.same[new] = old

    def _read(self, cell: Cell, now: Sequence[Value], then: Sequence[Value]) -> None:
        """Note what a cell reads, and what it read before and reads no more."""
        new = [self.now[value] for value in now if value in self.now]
        if not self.differs:
            cell.operands, cell.reads = new, dict.fromkeys(new, Change.SAME)
            return
        old = [self.then[value] for value in then if value in self.then]
        cell.operands = new if now else old
        before, after = set(old), set(new)
        for wire in (*new, *old):
            only = Change.REMOVED if wire in before else Change.ADDED
            cell.reads[wire] = Change.SAME if wire in before and wire in after else only

    def _regions(self, cell: Cell, pair: Pair) -> Iterable[_Level]:
        """The bodies of a control-flow node, each a group inside of it with its own ports."""
        now = pair.after.regions if pair.after else ()
        then = pair.before.regions if pair.before else ()
        words = pair.shown.op.regions
        for i in range(max(len(now), len(then))):
            new, old = now[i] if i < len(now) else None, then[i] if i < len(then) else None
            title = visible(words[i]) if i < len(words) else f"region {i}"
            group = Cell(Kind.GROUP, title, Origin(module=pair.shown.origin.module), parent=cell)
            cell.children.append(group)
            nothing = Region((), (), ())
            yield _Level(
                group,
                f"{cell.address}.regions[{i}].",
                new or nothing,
                old,
                _by_place((new or nothing).inputs, (old or nothing).inputs),
                _by_place((new or nothing).outputs, (old or nothing).outputs),
            )

    # --- when every cell is there -----------------------------------------------------------

    def mark_sites(self, graph: Graph) -> None:
        """Give cells their canonical sites; those inside of a composite behind its own."""
        for inner in (False, True):
            for path, site in graph.sites.items():
                wire = self.now.get(site.place.value)
                if wire is not None and bool(site.place.inner) is inner:
                    wire.maker.sites.append(visible(path))
                    wire.maker.inner_sites += inner

    def house_stubs(self, root: Cell) -> None:
        """Let stubs live with their first reader."""
        for cell in root.walk():
            for wire in cell.reads:
                if wire.maker.kind.is_stub and wire.maker.parent is None:
                    wire.maker.parent = cell
        for stub in self.stubs:
            stub.parent = stub.parent or root


def _constant(node: Node) -> Literal | None:
    """The array of a node that is nothing else."""
    if node.inputs or "creation" not in node.op.traits:
        return None
    return next((value for _, value in node.attrs.items if isinstance(value, Literal)), None)
