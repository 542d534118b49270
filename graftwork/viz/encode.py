"""A scene as the columns that the page reads; `assets/data.js` is the other side."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from operator import attrgetter

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
from graftwork.viz.names import attribute_words, bare, sized, visible
from graftwork.viz.overlay import Overlay
from graftwork.viz.pack import Column, Numbers, Rows, Shared, Strings, packed
from graftwork.viz.scene import Scene
from graftwork.viz.selectors import (
    LONGEST,
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
        self.ops = Numbers[Op]()
        self.forms = Numbers[Form]()
        self.origins = Shared[Origin]()
        self.types = Shared[Type]()
        self.plans = Numbers[Plan]()
        self.sizes = sizes = scene.axes
        self.axes = {axis: i for i, axis in enumerate(sizes)}
        self.wires = [wire for cell in scene.cells for wire in cell.makes]
        for number, wire in enumerate(self.wires):
            wire.number = number

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
        for wire in self.wires:
            if wire.types:
                rows[wire.number] = self.types.of(wire.types)
        return rows

    def _described(self, node: Node) -> list[str]:
        """An op, its attributes and types."""
        words = [f"{name} {text}" for name, text in self._attributes(node)]
        types = [f"{v.type.dtype.value} {' '.join(map(visible, v.axes))}" for v in node.outputs]
        return [visible(node.op.name, 200), *words, *types]

    def _attributes(self, of: Node | Form) -> list[tuple[str, str]]:
        return attribute_words(of.op, of.attrs, not self.scene.share_safe)

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
        text, found = self.strings, findings(self.scene.graph)
        sought = [cell.inside_of or (cell.node if cell.place >= 0 else None) for cell in cells]
        ways = list(map(found.of, sought))
        sites = text.of([site for cell in cells for site in cell.sites])
        return {
            **_columns(cells),
            "parent": [cell.parent.number if cell.parent else -1 for cell in cells],
            "title": text.of([cell.title for cell in cells]),
            "note": text.of([cell.note for cell in cells]),
            "form": [self.forms[cell.form] if cell.form else -1 for cell in cells],
            "origin": self.origins.of([cell.origin for cell in cells]),
            "level": text.of([cell.level for cell in cells]),
            "way": [way for way, _ in ways],
            "nth": [nth for _, nth in ways],
            "sites": Rows.of([cell.sites for cell in cells], sites),
            "reads": _wires_of([cell.reads for cell in cells]),
            "readBits": [bits for cell in cells for bits in cell.readings],
            "operands": _wires_of([cell.operands for cell in cells]),
        }

    def _forms(self) -> dict[str, Column]:
        """What nodes do: an op, attributes as pairs of words, and what that does to axes."""
        attrs, done = Rows(), Rows()
        for form in self.forms:
            attrs.add(self.strings(part) for word in self._attributes(form) for part in word)
            done.add(self._acts(form))
        ops = self.ops.of([form.op for form in self.forms])
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
        text, passes, quoted, safe = self.strings, Rows(), [], self.scene.share_safe
        modules = [visible(origin.module) for origin in self.origins]
        for origin, shown in zip(self.origins, modules, strict=True):
            module, code = origin.module, repr(origin.module)
            made = map(bare, origin.passes) if safe else origin.passes
            passes.add(text(visible(word)) for word in made)
            if len(module) > LONGEST or "*" in module or "{" in module:
                quoted.append(text(""))
            else:
                quoted.append(-1 if code == f"'{shown}'" else text(code))
        return {
            "module": text.of(modules),
            "source": text.of(["" if safe else visible(origin.source) for origin in self.origins]),
            "framework": text.of([visible(origin.op) for origin in self.origins]),
            "passes": passes,
            "quoted": quoted,
        }

    def _wires(self) -> dict[str, Column]:
        return {
            "wireMaker": [wire.maker.number for wire in self.wires],
            "wireType": self.types.of([wire.type for wire in self.wires]),
            "wireName": self.strings.of([wire.name for wire in self.wires]),
        }

    def _groups(self, arranged: Mapping[Cell, Arrangement]) -> dict[str, Column]:
        """The plan of each group, its wires, and in which versions their targets read them."""
        bits = [made.readings for made in arranged.values()]
        return {
            "group": [group.number for group in arranged],
            "plan": self.plans.of([made.plan for made in arranged.values()]),
            "net": _wires_of([made.wires for made in arranged.values()]),
            "reading": Rows.of(bits, chain.from_iterable(bits)),
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


_COLUMNS = {
    "kind": "kind",
    "within": "within",
    "there": "there",
    "changed": "changed",
    "guessed": "guessed",
    "place": "place",
    "inner": "inner_sites",
}
"""What stands in columns as it stands in cells."""


def _columns(cells: Sequence[Cell]) -> dict[str, Column]:
    """Those of numbers, taken cell by cell."""
    rows = map(attrgetter(*_COLUMNS.values()), cells)
    numbers = np.fromiter(chain.from_iterable(rows), np.int32, len(cells) * len(_COLUMNS))
    return dict(zip(_COLUMNS, numbers.reshape(len(cells), -1).T, strict=True))


def _wires_of(rows: Sequence[Sequence[Wire]]) -> Rows:
    return Rows.of(rows, [wire.number for row in rows for wire in row])


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
