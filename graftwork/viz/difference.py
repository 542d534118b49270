"""What a rewrite did, in words: counts, axes, and the lines of text that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.text.spelling import word
from graftwork.viz.cells import Kind
from graftwork.viz.merge import Change
from graftwork.viz.names import attribute_words, sized, visible
from graftwork.viz.scene import Scene

Line = tuple[str, str]
"""A sign (`+`, `-`, a space, or `@` for what is left out) and a text."""
_AROUND = 2
_LONGEST = 4_000


@frozen
class Difference:
    """What differs between two graphs.

    Attributes:
        counts: how many cells were added, removed and changed.
        axes: what happened to the axis table, a line each.
        lines: the text of both graphs around what differs.
    """

    counts: tuple[int, int, int]
    axes: Sequence[Line]
    lines: Sequence[Line]

    def facts(self) -> dict[str, object]:
        """As JSON."""
        return {"counts": self.counts, "axes": self.axes, "lines": self.lines}


def difference(scene: Scene, before: Graph) -> Difference:
    """The changes of a scene of two graphs."""
    counts = Counter(cell.change for cell in scene.cells if cell.kind is not Kind.GROUP)
    return Difference(
        (counts[Change.ADDED], counts[Change.REMOVED], counts[Change.CHANGED]),
        list(_axes(scene, before)),
        _around_changes(list(_lines(scene, before)))[:_LONGEST],
    )


def _axes(scene: Scene, before: Graph) -> Iterator[Line]:
    now, then = scene.graph.axes, before.axes
    for old, new in scene.renamed.items():
        yield "~", f"{visible(old)} → {visible(new)}"
    for axis, size in then.items():
        if axis not in now and axis not in scene.renamed:
            yield "-", sized(axis, size)
        elif axis in now and now[axis] != size:
            yield "~", f"{sized(axis, size)} → {sized(axis, now[axis])}"
    new_names = set(scene.renamed.values())
    for axis, size in now.items():
        if axis not in then and axis not in new_names:
            yield "+", sized(axis, size)


def _lines(scene: Scene, before: Graph) -> Iterator[Line]:
    """All nodes as lines, with one name for a value in both graphs."""
    names = _Names(scene, before)
    cells = {cell.node: cell for cell in scene.cells if cell.node is not None}
    for pair in scene.pairs:
        old = names.line(pair.before) if pair.before else ""
        new = names.line(pair.after) if pair.after else ""
        if old == new or (old and new and cells[pair.shown].change is Change.SAME):
            yield " ", new
            continue
        if old:
            yield "-", old
        if new:
            yield "+", new


class _Names:
    """What the lines call values: `%name`, made unique, `%3` where there is no name."""

    def __init__(self, scene: Scene, before: Graph) -> None:
        self.known: dict[Value, str] = {}
        self.taken: set[str] = set()
        for graph in (scene.graph, before):
            for port in graph.inputs:
                self._name(port.value, port.name, "%")
            for parameter in graph.parameters:
                self.known[parameter.value] = f"@{visible(parameter.name, 200)}"
        for pair in scene.pairs:
            for node in (pair.after, pair.before):
                for value in node.outputs if node else ():
                    old = scene.same.get(value)
                    if old is not None and old in self.known:
                        self.known.setdefault(value, self.known[old])
                    self._name(value, value.name, "%")
                    if old is not None and node is pair.after:
                        self.known.setdefault(old, self.known[value])

    def _name(self, value: Value, name: str, sigil: str) -> None:
        if value in self.known:
            return
        text = f"{sigil}{visible(name, 200) or len(self.known)}"
        unique, number = text, 2
        while unique in self.taken:
            unique, number = f"{text}_{number}", number + 1
        self.taken.add(unique)
        self.known[value] = unique

    def of(self, values: Sequence[Value]) -> list[str]:
        return [self.known.get(value, "%?") for value in values]

    def line(self, node: Node) -> str:
        attrs = "".join(f" {name}={text}" for name, text in attribute_words(node.op, node.attrs))
        types = ", ".join(
            f"{v.type.dtype.value}{{{', '.join(map(visible, v.axes))}}}" for v in node.outputs
        )
        made, read = ", ".join(self.of(node.outputs)), ", ".join(self.of(node.inputs))
        return f"{made} = {word(node.op.name)}({read}){attrs} : {types}"


def _around_changes(lines: Sequence[Line]) -> list[Line]:
    """The changed lines and a few around them; a mark where others are left out."""
    near: set[int] = set()
    for i, (sign, _) in enumerate(lines):
        if sign != " ":
            near.update(range(max(0, i - _AROUND), min(len(lines), i + _AROUND + 1)))
    shown: list[Line] = []
    last = -1
    for i in sorted(near):
        if i > last + 1:
            shown.append(("@", f"{i - last - 1} lines are the same"))
        shown.append(lines[i])
        last = i
    if shown and last + 1 < len(lines):
        shown.append(("@", f"{len(lines) - last - 1} lines are the same"))
    return shown
