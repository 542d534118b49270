"""From a graph, or several versions of it, to the cells and wires that show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import count, zip_longest

from attrs import define, field, frozen

from graftwork.ir.attributes import Literal
from graftwork.ir.graph import Graph, Node, Parameter, Value, given_graph
from graftwork.ir.infer import Expansion, expand
from graftwork.ir.origin import Origin
from graftwork.ir.sizes import Size
from graftwork.viz.cells import Cell, Forms, Kind, Wire, number_cells
from graftwork.viz.levels import NOTHING, Level, by_name, by_place, latest, top_level
from graftwork.viz.merge import Change, Same, Track, change_of, merged, renamed_axes
from graftwork.viz.names import literal_word, visible
from graftwork.viz.repeats import fold_repeats
from graftwork.viz.tree import change_groups, cut_long_groups, hang, name_groups, tidy


@frozen(eq=False)
class Scene:
    """A graph, or the union of several versions of it, as cells.

    Attributes:
        versions: the graphs, the oldest first.
        cells: the outline in order, its root first, and behind it the stubs.
        parameters: stub -> the parameter.
        tracks: the nodes of the top level, in order.
        carried: for each version, value -> the wire that carries it.
        share_safe: whether values and places in files are not to be shown.
    """

    versions: Sequence[Graph]
    cells: Sequence[Cell]
    parameters: Mapping[Cell, Parameter]
    tracks: Sequence[Track]
    carried: Sequence[Mapping[Value, Wire]]
    share_safe: bool = False

    @property
    def graph(self) -> Graph:
        """The graph as it is now."""
        return self.versions[-1]

    @property
    def wires(self) -> Mapping[Value, Wire]:
        """Value of the graph as it is now -> the wire that carries it."""
        return self.carried[-1]

    @cached_property
    def axes(self) -> Mapping[str, Size]:
        """The axes of all versions, those of older ones with the size of the newest."""
        return {axis: size for graph in self.versions for axis, size in graph.axes.items()}

    @cached_property
    def of_node(self) -> Mapping[Node, Cell]:
        """Node -> its cell."""
        return {cell.node: cell for cell in self.cells if cell.node is not None}

    def release(self) -> None:
        """Part cells from their groups and from what they make, when they have been shown.

        Cells go round in circles; parted, they need no collector, which takes a tenth of the time.
        """
        for cell in self.cells:
            cell.parent, cell.makes = None, ()

    def renamed(self, old: int, new: int) -> dict[str, str]:
        """Axis of one version -> its name in another."""
        return renamed_axes((track.nodes[old], track.nodes[new]) for track in self.tracks)

    def replaced(self) -> Iterator[tuple[Cell, Cell, int]]:
        """(new cell, old cell, version): the new one defines a value that the old one defined."""
        for number in range(1, len(self.versions)):
            before, after = self.carried[number - 1], self.carried[number]
            for value in (v for node in self.versions[number].nodes for v in node.outputs):
                wire, old = after[value], before.get(value)
                if old is not None and old.maker is not wire.maker:
                    yield wire.maker, old.maker, number


def scene(*versions: Graph, share_safe: bool = False) -> Scene:
    """The cells of a graph; of several, those that are gone too, and what changed."""
    versions = tuple(map(given_graph, versions))
    opens = len(versions[-1].nodes) <= MOST_OPENING
    builder = _Builder(len(versions), opens=opens, values=not share_safe)
    root = Cell(Kind.GROUP, "graph")
    builder.add_parameters([graph.parameters for graph in versions])
    tracks = builder.add_levels(top_level(root, versions))
    tidy(root)
    fold_repeats(root)
    cut_long_groups(root)
    cells = number_cells(root)
    builder.mark_sites(versions[-1])
    name_groups(cells)
    change_groups(cells, len(versions) - 1)
    builder.house_stubs(cells)
    for number, stub in enumerate(builder.stubs, len(cells)):
        stub.number = number
        stub.change = stub.change_in(0, len(versions) - 1, 0)
    everything = [*cells, *builder.stubs]
    return Scene(versions, everything, builder.parameters, tracks, builder.carried, share_safe)


MOST_OPENING = 5_000
"""In graphs of more nodes composites do not open into their bodies."""
_LONGEST_BODY = 300


@define(eq=False)
class _Builder:
    """One scene being built: which wire carries which value, in each version."""

    count: int
    carried: list[dict[Value, Wire]] = field(init=False)
    same: list[Same] = field(init=False)
    renamed: list[dict[str, str]] = field(init=False)
    opens: bool = True
    values: bool = True
    forms: Forms = field(factory=Forms)
    inside: dict[Cell, dict[str, Wire]] = field(factory=dict)
    stubs: list[Cell] = field(factory=list)
    parameters: dict[Cell, Parameter] = field(factory=dict)
    entries: list[tuple[Cell, Sequence[Value | None]]] = field(factory=list)
    readings: dict[tuple[int, ...], tuple[int, ...]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.carried = [{} for _ in range(self.count)]
        self.same = [{} for _ in range(1, self.count)]
        self.renamed = [{} for _ in range(self.count)]

    def add_parameters(self, versions: Sequence[Sequence[Parameter]]) -> None:
        """A stub for every parameter."""
        known = {p.name: p for parameters in versions for p in parameters}
        for name, values in by_name(versions):
            stub = self._entry(Kind.PARAMETER, name, values)
            self._make(stub, [[v] if v else [] for v in values])
            self.parameters[stub] = known[name]
            self.stubs.append(stub)

    def add_levels(self, top: Level) -> Sequence[Track]:
        """All nodes, those of regions after their owner; gives the tracks of the top level."""
        todo = deque([top])
        first: Sequence[Track] = ()
        while todo:
            level = todo.popleft()
            inputs = self._inputs(level)
            tracks = merged([region.nodes for region in level.regions], self.same)
            if level is top:
                first = tracks
                self._note_renamed(tracks)
            cells = self._cells(level, tracks)
            outputs = self._outputs(level)
            boxes = [cell for cell in cells if not cell.kind.is_stub]
            for cell in (*inputs, *outputs):
                cell.parent = level.root
            level.root.children = [*level.root.children, *inputs]
            hang(boxes, level.root, level.module)
            level.root.children = [*level.root.children, *outputs]
            if level.body is not None:
                self._note_body(level, level.body, inputs, cells, outputs)
            for cell, track in zip(cells, tracks, strict=True):
                if track.shown.regions:
                    todo.extend(self._regions(level, cell, track))
                if track.shown.op.body is not None:
                    todo.extend(self._bodies(level, cell, track))
        self._note_entries()
        return first

    def _note_body(
        self,
        level: Level,
        body: Expansion,
        inputs: Sequence[Cell],
        cells: Sequence[Cell],
        outputs: Sequence[Cell],
    ) -> None:
        """The parts of a body come from where their composite does, and are no parts of a graph."""
        owner, carried = level.root, self.carried[-1]
        for cell in (*inputs, *cells, *outputs):
            cell.within, cell.origin = True, owner.origin
        if owner.node is not None and not owner.within:
            for i, cell in enumerate(cells):
                cell.inside_of = owner.node, i
        places = {
            f"{i}:{j}": value
            for i, node in enumerate(body.region.nodes)
            for j, value in enumerate(node.outputs)
        }
        self.inside[owner] = {
            step: carried[v] for step, v in (*places.items(), *body.marks.items())
        }

    def _note_renamed(self, tracks: Sequence[Track]) -> None:
        """The axes that each version renamed; at 0, those that all of them did."""
        for number in range(self.count if self.count > 1 else 0):
            pairs = (
                (track.nodes[number - 1 if number else 0], track.nodes[number or -1])
                for track in tracks
            )
            self.renamed[number] = renamed_axes(pairs)

    # --- the edges of a level ---------------------------------------------------------------

    def _inputs(self, level: Level) -> list[Cell]:
        cells = []
        for name, values in level.inputs:
            cell = self._entry(Kind.INPUT, name, values)
            self._make(cell, [[v] if v else [] for v in values])
            cells.append(cell)
        return cells

    def _outputs(self, level: Level) -> list[Cell]:
        cells = []
        for name, values in level.outputs:
            cell = self._entry(Kind.OUTPUT, name, values)
            self._read(cell, [[v] if v else [] for v in values])
            cells.append(cell)
        return cells

    def _entry(self, kind: Kind, name: str, values: Sequence[Value | None]) -> Cell:
        cell = Cell(kind, visible(name), there=_bits(values))
        self.entries.append((cell, values))
        return cell

    def _note_entries(self) -> None:
        """Inputs, outputs and parameters of another type; other names of axes are no change."""
        for cell, values in self.entries if self.count > 1 else ():
            for number in range(self.count):
                old, new = values[number - 1 if number else 0], values[number or -1]
                if old is None or new is None or old.type.same(new.type):
                    continue
                if not old.type.renamed(self.renamed[number]).same(new.type):
                    cell.changed |= 1 << number

    # --- nodes ------------------------------------------------------------------------------

    def _cells(self, level: Level, tracks: Sequence[Track]) -> list[Cell]:
        kept = {value for _, values in level.outputs for value in values if value}
        cells = [self._cell(track, kept) for track in tracks]
        places = count()
        for cell, track in zip(cells, tracks, strict=True):
            self._read(cell, [node.inputs if node else () for node in track.nodes])
            if level.body is None and track.nodes[-1]:
                cell.level, cell.place = level.address, next(places)
        return cells

    def _cell(self, track: Track, kept: set[Value]) -> Cell:
        node = track.shown
        form = self.forms.of(node)
        constant = _constant(node, kept)
        title = form.title if constant is None else literal_word(constant, self.values)
        kind = Kind.OP if constant is None else Kind.CONSTANT
        cell = Cell(kind, title, node.origin, node, form, _bits(track.nodes))
        if self.count > 1:
            self._note_changes(cell, track)
        if constant is not None:
            self.stubs.append(cell)
        self._make(cell, [version.outputs if version else () for version in track.nodes])
        return cell

    def _note_changes(self, cell: Cell, track: Track) -> None:
        for number in range(self.count):
            old, new = track.nodes[number - 1 if number else 0], track.nodes[number or -1]
            if change_of(old, new, self.renamed[number]) is Change.CHANGED and old is not None:
                cell.changed |= 1 << number
                cell.was = {**cell.was, number: old}
        cell.guessed = track.guessed

    def _make(self, cell: Cell, versions: Sequence[Sequence[Value]]) -> None:
        """Let a cell make wires; values of all versions share a wire by their place."""
        made = []
        for values in zip_longest(*versions):
            shown, old = latest(values), None
            now = shown.type
            wire = Wire(cell, now, visible(shown.name, 200) if shown.name else "")
            made.append(wire)
            for number, value in enumerate(values):
                if value is not None:
                    self.carried[number][value] = wire
                    if value.type is not now and value.type != now:
                        wire.types = [now if v is None else v.type for v in values]
                    if old is not None:
                        self.same[number - 1][value] = old
                old = value
        cell.makes = tuple(made)

    def _read(self, cell: Cell, versions: Sequence[Sequence[Value]]) -> None:
        """Note what a cell reads in which version; its operands are those of its last."""
        reads: dict[Wire, int] = {}
        operands: Sequence[Wire] = ()
        for number in reversed(range(self.count)):
            carry, bit = self.carried[number].get, 1 << number
            wires = [wire for value in versions[number] if (wire := carry(value))]
            if not operands:
                operands, reads = wires, dict.fromkeys(wires, bit)
                continue
            for wire in wires:
                reads[wire] = reads.get(wire, 0) | bit
        cell.reads, bits = tuple(reads), tuple(reads.values())
        cell.readings = self.readings.setdefault(bits, bits)
        now = tuple(operands)
        cell.operands = cell.reads if cell.reads == now else now

    def _bodies(self, level: Level, cell: Cell, track: Track) -> Iterable[Level]:
        """What a composite means, as the composite is in the last version that has it."""
        if not self.opens or cell.kind.is_stub:
            return
        version = max(i for i, node in enumerate(track.nodes) if node is not None)
        node, typing = track.shown, level.typings[version]
        body = expand(typing, node.op, node.attrs, [value.type for value in node.inputs])
        if len(body.region.nodes) <= _LONGEST_BODY:
            yield Level(
                cell,
                "",
                [body.region] * self.count,
                by_place([body.region.inputs] * self.count),
                by_place([body.region.outputs] * self.count),
                [body.typing] * self.count,
                body,
            )

    def _regions(self, level: Level, cell: Cell, track: Track) -> Iterable[Level]:
        """The bodies of a control-flow node, each a group inside of it with its own ports."""
        versions = [node.regions if node else () for node in track.nodes]
        words = track.shown.op.regions
        for i in range(max(map(len, versions))):
            regions = [known[i] if i < len(known) else NOTHING for known in versions]
            title = visible(words[i]) if i < len(words) else f"region {i}"
            group = Cell(Kind.GROUP, title, Origin(module=track.shown.origin.module), parent=cell)
            cell.children = [*cell.children, group]
            yield Level(
                group,
                f"{cell.address}.regions[{i}].",
                regions,
                by_place([region.inputs for region in regions]),
                by_place([region.outputs for region in regions]),
                level.typings,
            )

    # --- when every cell is there -----------------------------------------------------------

    def mark_sites(self, graph: Graph) -> None:
        """Give cells their canonical sites; those inside of a composite behind its own."""
        for inner in (False, True):
            for path, site in graph.sites.items():
                wire = self.carried[-1].get(site.place.value)
                if wire is None or bool(site.place.inner) is not inner:
                    continue
                wire.maker.sites = (*wire.maker.sites, visible(path))
                wire.maker.inner_sites += inner
                for step in site.place.inner:
                    wire = wire and self.inside.get(wire.maker, {}).get(step)
                if inner and wire is not None:
                    wire.maker.sites = (*wire.maker.sites, visible(path))

    def house_stubs(self, cells: Sequence[Cell]) -> None:
        """Let stubs live with their first reader."""
        made = {wire for stub in self.stubs for wire in stub.makes}
        for cell in cells if made else ():
            for wire in cell.reads:
                if wire in made and wire.maker.parent is None:
                    wire.maker.parent = cell
        for stub in self.stubs:
            stub.parent = stub.parent or cells[0]


def _bits(versions: Sequence[object]) -> int:
    """The versions that have something, as a number: the first one is its least bit."""
    if None not in versions:
        return (1 << len(versions)) - 1
    return sum([1 << number for number, found in enumerate(versions) if found is not None])


def _constant(node: Node, kept: Set[Value]) -> Literal | None:
    """The array of a node that is nothing else, unless its value is kept."""
    if node.inputs or "creation" not in node.op.traits or not kept.isdisjoint(node.outputs):
        return None
    return next((value for _, value in node.attrs.items if isinstance(value, Literal)), None)
