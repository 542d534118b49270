"""What rewrites did, in words: counts, axes, and the lines of text that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from graftwork.ir.graph import Node, Value
from graftwork.ir.text.spelling import word
from graftwork.viz.cells import Kind, Wire
from graftwork.viz.merge import Change, change_of
from graftwork.viz.names import attribute_words, sized, visible
from graftwork.viz.scene import Scene

Line = tuple[str, str]
"""A sign (`+`, `-`, a space, or `@` for what is left out) and a text."""
_AROUND = 2
_LONGEST = 4_000


@frozen
class Difference:
    """What differs between two versions of a graph.

    Attributes:
        name: what made the one from the other.
        step: the numbers of the two versions.
        counts: how many cells were added, removed and changed.
        axes: what happened to the axis table, a line each.
        lines: the text of both versions around what differs.
    """

    name: str
    step: tuple[int, int]
    counts: tuple[int, int, int]
    axes: Sequence[Line]
    lines: Sequence[Line]

    def facts(self) -> dict[str, object]:
        """As JSON."""
        return {
            "name": self.name,
            "step": self.step,
            "counts": self.counts,
            "axes": self.axes,
            "lines": self.lines,
        }


def differences(scene: Scene, names: Sequence[str]) -> list[Difference]:
    """What all steps did together and, if there are several, what each of them did.

    Args:
        names: of the whole, and of each step.
    """
    last = len(scene.versions) - 1
    steps = [(0, last), *((i, i + 1) for i in range(last if last > 1 else 0))]
    text = _Text(scene)
    return [
        Difference(
            visible(name, 200),
            step,
            _counts(scene, step, number),
            list(_axes(scene, step)),
            text.lines(step),
        )
        for number, (name, step) in enumerate(zip(names, steps, strict=True))
    ]


def _counts(scene: Scene, step: tuple[int, int], number: int) -> tuple[int, int, int]:
    boxes = (cell for cell in scene.cells if cell.kind is not Kind.GROUP)
    counts = Counter(cell.change_in(*step, number) for cell in boxes)
    return counts[Change.ADDED], counts[Change.REMOVED], counts[Change.CHANGED]


def _axes(scene: Scene, step: tuple[int, int]) -> Iterator[Line]:
    renamed = scene.renamed(*step)
    then, now = (scene.versions[number].axes for number in step)
    for old, new in renamed.items():
        yield "~", f"{visible(old)} → {visible(new)}"
    for axis, size in then.items():
        if axis not in now and axis not in renamed:
            yield "-", sized(axis, size)
        elif axis in now and now[axis] != size:
            yield "~", f"{sized(axis, size)} → {sized(axis, now[axis])}"
    new_names = set(renamed.values())
    for axis, size in now.items():
        if axis not in then and axis not in new_names:
            yield "+", sized(axis, size)


class _Text:
    """All nodes as lines, with one name for a wire in all versions: `%name`, made unique."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.known: dict[Wire, str] = {}
        self.taken: set[str] = set()
        for cell in scene.cells:
            if cell.kind is Kind.PARAMETER:
                self.known |= {wire: f"@{visible(cell.title, 200)}" for wire in cell.makes}
            elif cell.kind is Kind.INPUT:
                self._name(cell.makes, cell.title)
        for track in scene.tracks:
            outputs = track.shown.outputs
            version = max(i for i, node in enumerate(track.nodes) if node is not None)
            for value in outputs:
                self._name([scene.carried[version][value]], value.name)

    def _name(self, wires: Sequence[Wire], name: str) -> None:
        for wire in wires:
            text = f"%{visible(name, 200) or len(self.known)}"
            unique, number = text, 2
            while unique in self.taken:
                unique, number = f"{text}_{number}", number + 1
            self.taken.add(unique)
            self.known[wire] = unique

    def lines(self, step: tuple[int, int]) -> list[Line]:
        """The nodes that differ between two versions and a few around them, as far as is shown."""
        drafts = list(self._drafts(step))
        shown: list[Line] = []
        last = -1
        for i in _near_changes([sign for sign, _, _ in drafts]):
            if i > last + 1:
                shown.append(("@", f"{i - last - 1} lines are the same"))
            sign, node, version = drafts[i]
            shown.append((sign, self.line(node, version, not self.scene.share_safe)))
            last = i
        if shown and last + 1 < len(drafts):
            shown.append(("@", f"{len(drafts) - last - 1} lines are the same"))
        return shown[:_LONGEST]

    def _drafts(self, step: tuple[int, int]) -> Iterator[tuple[str, Node, int]]:
        """The nodes of two versions, each with its sign and the version that it is of."""
        old, new = step
        renamed = self.scene.renamed(*step)
        for track in self.scene.tracks:
            before, after = track.nodes[old], track.nodes[new]
            if before and after and self._same(before, after, step, renamed):
                yield " ", after, new
                continue
            if before:
                yield "-", before, old
            if after:
                yield "+", after, new

    def _same(
        self, before: Node, after: Node, step: tuple[int, int], renamed: Mapping[str, str]
    ) -> bool:
        """Whether a node is what it was, or at least reads as it did."""
        if change_of(before, after, renamed) is Change.SAME:
            return True
        return self.line(before, step[0], True) == self.line(after, step[1], True)

    def line(self, node: Node, version: int, values: bool) -> str:
        """A node in a version; without `values`, no more than that there are numbers."""
        words = attribute_words(node.op, node.attrs, values)
        attrs = "".join(f" {name}={text}" for name, text in words)
        types = ", ".join(
            f"{v.type.dtype.value}{{{', '.join(map(visible, v.axes))}}}" for v in node.outputs
        )
        made, read = self._names(node.outputs, version), self._names(node.inputs, version)
        return f"{made} = {word(node.op.name)}({read}){attrs} : {types}"

    def _names(self, values: Sequence[Value], version: int) -> str:
        carried = self.scene.carried[version]
        wires = (carried.get(value) for value in values)
        return ", ".join(self.known.get(wire, "%?") if wire else "%?" for wire in wires)


def _near_changes(signs: Sequence[str]) -> list[int]:
    """The lines that changed, and a few around each, in order."""
    near: set[int] = set()
    for i, sign in enumerate(signs):
        if sign != " ":
            near.update(range(max(0, i - _AROUND), min(len(signs), i + _AROUND + 1)))
    return sorted(near)[:_LONGEST]
