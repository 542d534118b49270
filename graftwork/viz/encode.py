"""A scene as the columns that the page reads; `assets/data.js` is the other side."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import prod
from typing import TypeVar

import numpy as np

from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from graftwork.ir.sizes import SizeExpr
from graftwork.ir.types import Type
from graftwork.viz.arrange import Arrangement, Plan
from graftwork.viz.cells import Cell, Form, Wire
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

T = TypeVar("T")


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
        self.forms: dict[Form, int] = {}
        self.origins: dict[Origin, int] = {}
        self.types: dict[Type, int] = {}
        self.plans: dict[Plan, int] = {}
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
        columns = self._cells() | self._forms() | self._origins() | self._wires()
        columns |= self._groups(arranged) | self._plans()
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
        for wire, number in self.wires.items() if len(self.scene.versions) > 1 else ():
            types = [wire.type if value is None else value.type for value in wire.values]
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

    def _cells(self) -> dict[str, Column]:
        cells = self.scene.cells
        text, number, found = self.strings, self.wires.__getitem__, findings(self.scene.graph)
        ways = [self._finding(cell, found) for cell in cells]
        sites, reads, changes, operands = Rows(), Rows(), array("i"), Rows()
        for cell in cells:
            sites.add([text(site) for site in cell.sites])
            reads.add([number(wire) for wire in cell.reads])
            changes.extend(cell.reads.values())
            operands.add([number(wire) for wire in cell.operands])
        return {
            "kind": [cell.kind for cell in cells],
            "within": [cell.within for cell in cells],
            "parent": [cell.parent.number if cell.parent else -1 for cell in cells],
            "title": [text(cell.title) for cell in cells],
            "note": [text(cell.note) for cell in cells],
            "form": [_number(self.forms, cell.form) if cell.form else -1 for cell in cells],
            "origin": [_number(self.origins, cell.origin) for cell in cells],
            "there": [cell.there for cell in cells],
            "changed": [cell.changed for cell in cells],
            "guessed": [cell.guessed for cell in cells],
            "level": [text(cell.level) for cell in cells],
            "place": [cell.place for cell in cells],
            "way": [finding.way for finding in ways],
            "nth": [finding.nth for finding in ways],
            "sites": sites,
            "inner": [cell.inner_sites for cell in cells],
            "reads": reads,
            "readBits": changes,
            "operands": operands,
        }

    @staticmethod
    def _finding(cell: Cell, found: Mapping[Node | tuple[Node, int], Finding]) -> Finding:
        if cell.inside_of is not None:
            return found.get(cell.inside_of, NOWHERE)
        return found.get(cell.node, NOWHERE) if cell.node and cell.place >= 0 else NOWHERE

    def _forms(self) -> dict[str, Column]:
        """What nodes do: an op, attributes as pairs of words, and what that does to axes."""
        attrs, done = Rows(), Rows()
        for form in self.forms:
            words = attribute_words(form.op, form.attrs)
            attrs.add(self.strings(part) for word in words for part in word)
            done.add(self._acts(form))
        ops = [_number(self.ops, form.op) for form in self.forms]
        return {"formOp": ops, "attrs": attrs, "acts": done}

    def _acts(self, form: Form) -> list[int]:
        """What a form does to axes: an axis, words, and another axis, each as a number."""
        return [
            number
            for axis, words, other in acts(form)
            for number in (self.axes.get(axis, -1), self.strings(words), self.axes.get(other, -1))
        ]

    def _origins(self) -> dict[str, Column]:
        """Where cells come from; `quoted` is -1 where the module just stands in quotes."""
        text, passes, quoted = self.strings, Rows(), []
        for origin in self.origins:
            module, code = origin.module, repr(origin.module)
            passes.add(text(visible(word)) for word in origin.passes)
            if len(module) > LONGEST or "*" in module or "{" in module:
                quoted.append(text(""))
            else:
                quoted.append(-1 if code == f"'{visible(module)}'" else text(code))
        return {
            "module": [text(visible(origin.module)) for origin in self.origins],
            "source": [text(visible(origin.source)) for origin in self.origins],
            "framework": [text(visible(origin.op)) for origin in self.origins],
            "passes": passes,
            "quoted": quoted,
        }

    def _wires(self) -> dict[str, Column]:
        return {
            "wireMaker": [wire.maker.number for wire in self.wires],
            "wireType": [_number(self.types, wire.type) for wire in self.wires],
            "wireName": [self.strings(wire.name) for wire in self.wires],
        }

    def _groups(self, arranged: Mapping[Cell, Arrangement]) -> dict[str, Column]:
        """The plan of each group, its wires, and in which versions their targets read them."""
        wires, bits = Rows(), Rows()
        for made in arranged.values():
            wires.add([self.wires[net.wire] for net in made.nets])
            bits.add([there for net in made.nets for there in net.targets.values()])
        return {
            "group": [group.number for group in arranged],
            "plan": [_number(self.plans, made.plan) for made in arranged.values()],
            "net": wires,
            "reading": bits,
        }

    def _plans(self) -> dict[str, Column]:
        """Slots and joins of all plans, plan after plan; targets and joints of all joins.

        A slot's `ref` is the number of a child or of a net. Sources and targets are numbers of
        children, or -1 for outside; `row` says which targets are not drawn as lines. A joint is
        an upper and a lower slot.
        """
        what, ref, rank = Rows(), array("i"), array("i")
        sources, targets, rows = Rows(), Rows(), array("i")
        upper, lower = Rows(), array("i")
        for plan in self.plans:
            slots = [slot for layer in plan.ranks for slot in layer]
            number = {slot: i for i, slot in enumerate(slots)}
            what.add(slot.what for slot in slots)
            ref.extend(slot.ref for slot in slots)
            rank.extend(slot.rank for slot in slots)
            sources.add(source for source, _ in plan.joins)
            for n, (_, ends) in enumerate(plan.joins):
                targets.add(ends)
                rows.extend((n, end) in plan.rows for end in ends)
            for joints in plan.joints:
                upper.add(number[slot] for slot, _ in joints)
                lower.extend(number[slot] for _, slot in joints)
        return {
            "slot": what,
            "slotRef": ref,
            "slotRank": rank,
            "join": sources,
            "target": targets,
            "targetRow": rows,
            "joint": upper,
            "jointLower": lower,
        }


def _number(table: dict[T, int], thing: T) -> int:
    """The number of a thing in a table, which gets it if it has it not."""
    return table.setdefault(thing, len(table))


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
