"""A scene as the columns that the page reads; `assets/data.js` is the other side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from graftwork.ir.sizes import SizeExpr
from graftwork.ir.types import Type
from graftwork.viz.arrange import Arrangement
from graftwork.viz.cells import Cell, Wire
from graftwork.viz.difference import Difference
from graftwork.viz.life import acts
from graftwork.viz.names import attribute_words, sized, visible
from graftwork.viz.overlay import Overlay
from graftwork.viz.pack import Column, Rows, Strings, packed
from graftwork.viz.scene import Scene
from graftwork.viz.selectors import (
    LONGEST,
    NOWHERE,
    Finding,
    findings,
    module_paths,
    site_expression,
)


def encode(
    scene: Scene,
    arranged: Mapping[Cell, Arrangement],
    opened: Sequence[Cell],
    changes: Sequence[Difference],
    title: str,
    overlay: Overlay | None = None,
    ends: Sequence[Sequence[Cell]] | None = None,
) -> str:
    """Everything that the page shows, as base64; at first only what is between two `ends`."""
    return _Encoder(scene).encode(arranged, opened, changes, title, overlay, ends)


class _Encoder:
    """The tables that the columns of one scene refer to."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.strings = Strings()
        self.ops: dict[Op, int] = {}
        self.origins: dict[Origin, int] = {}
        self.types: dict[Type, int] = {}
        self.sizes = sizes = scene.axes
        self.axes = {axis: i for i, axis in enumerate(sizes)}
        self.wires: dict[Wire, int] = {
            wire: i for i, wire in enumerate(w for cell in scene.cells for w in cell.makes)
        }

    def encode(
        self,
        arranged: Mapping[Cell, Arrangement],
        opened: Sequence[Cell],
        changes: Sequence[Difference],
        title: str,
        overlay: Overlay | None,
        ends: Sequence[Sequence[Cell]] | None,
    ) -> str:
        columns: dict[str, Column] = {**self._cells(), **self._wires(), **self._groups(arranged)}
        if overlay is not None:
            columns["overlayCell"] = [cell.number for cell in overlay.values]
            columns["overlayValue"] = np.array([*overlay.values.values()], np.float32)
        modules, retyped = module_paths(self.scene.graph), self._retyped()
        facts = {
            "title": visible(title, 200),
            "axes": [[visible(a), sized(a, size)] for a, size in self.sizes.items()],
            "types": [
                [t.dtype.value, [self.axes.get(axis, -1) for axis in t.axes]] for t in self.types
            ],
            "ops": [self._op(op) for op in self.ops],
            "origins": [self._origin(origin) for origin in self.origins],
            "parameters": self._parameters(),
            "sites": {
                visible(path): site_expression(path, modules)
                for path in self.scene.graph.sites
                if len(path) <= LONGEST
            },
            "unrecognised": [
                [visible(a), visible(b)] for a, b in self.scene.graph.sites.unrecognised.items()
            ],
            "opened": [cell.number for cell in opened],
            "was": {c.number: self._was(c) for c in self.scene.cells if c.was},
            "differences": [difference.facts() for difference in changes],
            "replaced": [(a.number, b.number, step) for a, b, step in self.scene.replaced()],
            "retyped": retyped,
            "overlay": None
            if overlay is None
            else {"label": overlay.label, "reduce": overlay.reduce},
            "between": [[cell.number for cell in cells] for cells in ends] if ends else None,
            "strings": self.strings.all(),
        }
        return packed(facts, columns)

    def _was(self, cell: Cell) -> dict[int, list[str]]:
        """What a node was before it changed, by the step that changed it."""
        return {step: self._described(node) for step, node in cell.was.items()}

    def _retyped(self) -> dict[int, list[int]]:
        """The types of a wire in all versions, where they differ; those it lacks are as now."""
        rows = {}
        for wire, number in self.wires.items():
            types = [of or wire.type for of in wire.types]
            if any(of is not wire.type and of != wire.type for of in types):
                rows[number] = [self.types.setdefault(of, len(self.types)) for of in types]
        return rows

    @staticmethod
    def _described(node: Node) -> list[str]:
        """An op, its attributes and types."""
        words = [f"{name} {text}" for name, text in attribute_words(node.op, node.attrs)]
        types = [f"{v.type.dtype.value} {' '.join(map(visible, v.axes))}" for v in node.outputs]
        return [visible(node.op.name, 200), *words, *types]

    def _op(self, op: Op) -> list[str]:
        return [visible(op.name, 200), category(op), visible(op.doc), visible(op.operands), op.name]

    def _origin(self, origin: Origin) -> list[object]:
        module = origin.module
        return [
            visible(module),
            visible(origin.source),
            visible(origin.op),
            [visible(word) for word in origin.passes],
            repr(module) if len(module) <= LONGEST and not set(module) & set("*{") else "",
        ]

    def _parameters(self) -> list[list[object]]:
        """Of each parameter, in the order of stubs: how many numbers, other names, frozen."""
        rows: list[list[object]] = []
        for p in self.scene.parameters.values():
            sizes = [self.sizes[axis] for axis in p.value.axes]
            numbers = [size for size in sizes if not isinstance(size, SizeExpr)]
            count = prod(numbers) if len(numbers) == len(sizes) else None
            key = repr(p.name) if len(p.name) <= LONGEST else ""
            rows.append([count, [*map(visible, p.aliases)], p.trainable, key])
        return rows

    def _cells(self) -> dict[str, Sequence[int] | Rows]:
        cells = self.scene.cells
        text, found = self.strings, findings(self.scene.graph)
        ways = [self._finding(cell, found) for cell in cells]
        attrs, sites, done = Rows(), Rows(), Rows()
        for cell in cells:
            done.add(self._acts(cell.node) if cell.node else ())
            words = attribute_words(cell.node.op, cell.node.attrs) if cell.node else []
            attrs.add(text(part) for word in words for part in word)
            sites.add(map(text, cell.sites))
        reads, changes, operands = Rows(), Rows(), Rows()
        for cell in cells:
            reads.add(self.wires[wire] for wire in cell.reads)
            changes.add(cell.reads.values())
            operands.add(self.wires[wire] for wire in cell.operands)
        return {
            "kind": [cell.kind for cell in cells],
            "within": [int(cell.within) for cell in cells],
            "parent": [cell.parent.number if cell.parent else -1 for cell in cells],
            "title": [text(cell.title) for cell in cells],
            "note": [text(cell.note) for cell in cells],
            "op": [self._number(self.ops, c.node.op) if c.node else -1 for c in cells],
            "origin": [self.origins.setdefault(c.origin, len(self.origins)) for c in cells],
            "there": [cell.there for cell in cells],
            "changed": [cell.changed for cell in cells],
            "guessed": [cell.guessed for cell in cells],
            "address": [text(cell.address) for cell in cells],
            "way": [finding.way for finding in ways],
            "nth": [finding.nth for finding in ways],
            "attrs": attrs,
            "sites": sites,
            "acts": done,
            "inner": [cell.inner_sites for cell in cells],
            "reads": reads,
            "readBits": changes.items,
            "operands": operands,
        }

    @staticmethod
    def _finding(cell: Cell, found: Mapping[Node | tuple[Node, int], Finding]) -> Finding:
        if cell.inside_of is not None:
            return found.get(cell.inside_of, NOWHERE)
        return found.get(cell.node, NOWHERE) if cell.address and cell.node else NOWHERE

    def _acts(self, node: Node) -> list[int]:
        """What a node does to axes: an axis, words, and another axis, each as a number."""
        return [
            number
            for axis, words, other in acts(node)
            for number in (self.axes.get(axis, -1), self.strings(words), self.axes.get(other, -1))
        ]

    @staticmethod
    def _number(table: dict[Op, int], op: Op) -> int:
        return table.setdefault(op, len(table))

    def _wires(self) -> dict[str, Sequence[int] | Rows]:
        types = [self.types.setdefault(wire.type, len(self.types)) for wire in self.wires]
        return {
            "wireMaker": [wire.maker.number for wire in self.wires],
            "wireType": types,
            "wireName": [self.strings(wire.name) for wire in self.wires],
        }

    def _groups(self, arranged: Mapping[Cell, Arrangement]) -> dict[str, Sequence[int] | Rows]:
        """Slots and nets of all groups, group after group.

        A slot's `ref` is a cell for a child, and else the number of a net within the group. A
        target is a cell, or -1 for outside.
        """
        slots, what, ref, rank = Rows(), list[int](), list[int](), list[int]()
        nets, net_wire, net_source = Rows(), list[int](), list[int]()
        targets, bits, rows = Rows(), list[int](), list[int]()
        for group, made in arranged.items():
            for i, layer in enumerate(made.ranks):
                for slot in layer:
                    child = group.children[slot.ref].number if slot.what == 0 else slot.ref
                    what.append(int(slot.what))
                    ref.append(child)
                    rank.append(i)
            slots.ends.append(len(what))
            for n, net in enumerate(made.nets):
                net_wire.append(self.wires[net.wire])
                net_source.append(-1 if net.source is None else net.source.number)
                targets.add(-1 if t is None else t.number for t in net.targets)
                bits.extend(net.targets.values())
                rows.extend(int((n, t) in made.rows) for t in net.targets)
            nets.ends.append(len(net_wire))
        return {
            "group": [group.number for group in arranged],
            "slotEnds": slots.ends,
            "slotWhat": what,
            "slotRef": ref,
            "slotRank": rank,
            "netEnds": nets.ends,
            "netWire": net_wire,
            "netSource": net_source,
            "target": targets,
            "targetVersions": bits,
            "targetRow": rows,
        }


def category(op: Op) -> str:
    """What kind of op it is, which decides its colour."""
    if op.regions:
        return "control"
    for trait in ("view", "elementwise", "creation", "random"):
        if trait in op.traits:
            return trait
    if op.body is not None:
        return "composite"
    return "contraction" if op.multilinear else "other"
