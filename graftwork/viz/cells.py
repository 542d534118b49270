"""What a picture is made of, before anything in it has a place.

*Cells* are boxes: ops, groups of them, inputs and outputs; *stubs* (parameters, constants) are
rows in the boxes of their readers. *Wires* are values. A cell reads wires and makes wires. Cells
are filled in step by step while a scene is built, hence they are mutable, and nobody outside of
this room sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum

from attrs import define, field, frozen

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.types import Type
from graftwork.viz.merge import Change
from graftwork.viz.names import visible


class Kind(IntEnum):
    """What a cell stands for."""

    GROUP = 0
    OP = 1
    INPUT = 2
    OUTPUT = 3
    PARAMETER = 4
    CONSTANT = 5

    @property
    def is_stub(self) -> bool:
        """Whether it is a row in the boxes of its readers."""
        return self >= Kind.PARAMETER


@frozen(eq=False, repr=False)
class Form:
    """What a node does, whichever values it does it to: nodes that do the same share it.

    Attributes:
        title: the name of its op, as it is shown.
    """

    title: str
    op: Op
    attrs: Attrs
    reads: tuple[Type, ...]
    makes: tuple[Type, ...]


@frozen(eq=False, repr=False)
class Forms:
    """The forms of the nodes of a scene, equal ones as one object."""

    known: dict[tuple[Op, Attrs, tuple[Type, ...], tuple[Type, ...]], Form] = field(factory=dict)

    def of(self, node: Node) -> Form:
        """What a node does."""
        reads = tuple([value.type for value in node.inputs])
        key = node.op, node.attrs, reads, tuple([value.type for value in node.outputs])
        form = self.known.get(key)
        if form is None:
            form = self.known[key] = Form(visible(node.op.name, 200), *key)
        return form


@define(eq=False, repr=False)
class Wire:
    """A value, and the cell that makes it.

    Attributes:
        type: its type as it is now.
        types: its type in each version, where they differ.
        number: which of all wires it is, in the order of the cells that make them.
    """

    maker: Cell
    type: Type
    name: str
    types: Sequence[Type] = ()
    number: int = -1


_NEVER: Mapping[int, Node] = {}


@define(eq=False, repr=False)
class Cell:
    """A box of the picture.

    Attributes:
        kind: what it stands for.
        title: what is written on it.
        origin: where it came from; the path of a module for its group.
        node: the op as it is now, or as it was if it is gone.
        form: what that does.
        there: the versions that have it, as bits.
        changed: the steps that changed it, as bits: bit 3 is the step from version 2 to 3, and
            bit 0 stands for all steps together.
        guessed: the versions in which it was matched with the one before by structure alone.
        was: step -> the op as it was before, where that differs.
        level: how Python reaches the graph or region that the node is in, `graph.`.
        place: which of its nodes it is; -1 if it is none now.
        parent: the group around it; the first reader of a stub.
        children: the cells of a group, in the order of the program.
        reads: the wires that it reads in any version, in the order of operands.
        readings: the versions in which it reads each of them, as bits.
        operands: the wires that it reads now, in order, a wire once for each use.
        makes: the wires that it defines.
        within: whether it is part of a composite's body, which says what the composite means.
        inside_of: the composite of the graph that it is part of, and its place in the body.
        note: what is to be said about a group beside how much it holds.
        sites: the canonical sites that it makes, then those inside of it.
        inner_sites: how many of them are inside of it.
        number: its place in the outline of the whole, groups before what they hold.
        nth: its place among the children of its group.
        depth: how many groups are around it.
        change: what became of it from the first version to the last.
    """

    kind: Kind
    title: str
    origin: Origin = UNKNOWN
    node: Node | None = None
    form: Form | None = None
    there: int = 0
    changed: int = 0
    guessed: int = 0
    change: Change = Change.SAME
    was: Mapping[int, Node] = _NEVER
    level: str = ""
    place: int = -1
    parent: Cell | None = None
    children: Sequence[Cell] = ()
    reads: Sequence[Wire] = ()
    readings: Sequence[int] = ()
    operands: Sequence[Wire] = ()
    makes: Sequence[Wire] = ()
    within: bool = False
    inside_of: tuple[Node, int] | None = None
    note: str = ""
    sites: Sequence[str] = ()
    inner_sites: int = 0
    number: int = -1
    nth: int = -1
    depth: int = 0

    @property
    def address(self) -> str:
        """How Python reaches the node, `graph.nodes[3]`."""
        return f"{self.level}nodes[{self.place}]" if self.place >= 0 else ""

    @property
    def is_composite(self) -> bool:
        """Whether what it holds is a body that says what it means."""
        return self.kind is Kind.OP and bool(self.children) and self.children[0].within

    def change_in(self, old: int, new: int, step: int) -> Change:
        """What became of it from one version to another; `step` is its bit in `changed`."""
        before, after = self.there >> old & 1, self.there >> new & 1
        if before and after:
            return Change.CHANGED if self.changed >> step & 1 else Change.SAME
        return Change.ADDED if after else Change.REMOVED if before else Change.SAME

    def walk(self) -> Iterator[Cell]:
        """This cell and all inside of it, in order."""
        todo = [self]
        while todo:
            cell = todo.pop()
            yield cell
            if cell.children:
                todo.extend(reversed(cell.children))

    def groups(self) -> Iterator[Cell]:
        """Those of this cell and all inside of it that hold others, in order."""
        todo = [self] if self.children else []
        while todo:
            cell = todo.pop()
            yield cell
            todo.extend([child for child in reversed(cell.children) if child.children])


def inside(cells: Sequence[Cell], cell: Cell) -> Sequence[Cell]:
    """A cell and all inside of it, out of all by their numbers."""
    last = cell
    while last.children:
        last = last.children[-1]
    return cells[cell.number : last.number + 1]


def number_cells(root: Cell) -> list[Cell]:
    """All cells of a tree, numbered in order, and in their groups."""
    cells = list(root.walk())
    for number, cell in enumerate(cells):
        cell.number = number
        if cell.children:
            depth = cell.depth + 1
            for nth, child in enumerate(cell.children):
                child.nth, child.depth = nth, depth
    return cells
