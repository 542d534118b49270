"""The hierarchy of a picture: groups by module path, and sections where a group is too long.

A module that holds one op is that op, and a module that holds one module is one group with it. A
group of very many children is cut where the fewest values cross, so that no picture is a page
that nobody can read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from graftwork.ir.origin import Origin
from graftwork.viz.cells import Cell, Kind
from graftwork.viz.names import visible

DEEPEST = 40
LONGEST = 300
"""So many children a group may have before it is cut into sections."""
_SECTION = 150


def hang(cells: Sequence[Cell], root: Cell, within: str = "") -> None:
    """Put cells into groups below `root` by their modules, `within` a module that is known."""
    groups: dict[tuple[str, ...], _Group] = {(): (root, [*root.children])}
    of_module: dict[str, _Group] = {}
    for cell in cells:
        module = cell.origin.module
        found = of_module.get(module)
        if found is None:
            found = of_module[module] = _group(groups, module_path(module, within))
        cell.parent, children = found
        children.append(cell)
    for group, children in groups.values():
        group.children = children


_Group = tuple[Cell, list[Cell]]
"""A group on its way, and what it will hold."""


def _group(groups: dict[tuple[str, ...], _Group], path: tuple[str, ...]) -> _Group:
    """The group of a path, with those around it."""
    known = len(path)
    while path[:known] not in groups:
        known -= 1
    found = groups[path[:known]]
    for end in range(known + 1, len(path) + 1):
        words = path[:end]
        inner = Cell(Kind.GROUP, _title(words), Origin(_joined(words)))
        inner.parent, siblings = found
        siblings.append(inner)
        groups[words] = found = (inner, [])
    return found


def _title(path: tuple[str, ...]) -> str:
    """The last word of a path; a number with the word before it: `h.3`."""
    last = path[-1]
    return visible(f"{path[-2]}.{last}" if last.isdigit() and len(path) > 1 else last, 200)


def _joined(path: tuple[str, ...]) -> str:
    """The module that a path spells; a source run ends in a slash: `clean/transformer.h.0`."""
    run = path[0] if path[0].endswith("/") else ""
    return run + ".".join(path[bool(run) :])


def module_path(module: str, within: str = "") -> tuple[str, ...]:
    """The words of a module path: `clean/`, `transformer`, `h`, `0`; the deepest in one."""
    if within and (module == within or module.startswith(within + ".")):
        module = module[len(within) + 1 :]
    run, slash, rest = module.rpartition("/")
    words = rest.split(".", DEEPEST) if rest else []
    return (run + slash, *words) if run else tuple(words)


def tidy(root: Cell) -> None:
    """Give groups of one child the place of that child, from the inside out."""
    for cell in reversed(list(root.groups())):
        if 1 in [len(child.children) for child in cell.children]:
            cell.children = [_only(child) for child in cell.children]
            for child in cell.children:
                child.parent = cell


def _only(cell: Cell) -> Cell:
    if cell.kind is not Kind.GROUP or len(cell.children) != 1:
        return cell
    (child,) = cell.children
    if child.kind is Kind.OP and not (child.node and child.node.regions):
        child.title = cell.title
        return child
    if child.kind is Kind.GROUP and child.origin.module != cell.origin.module:
        stop = "" if cell.title.endswith("/") else "."
        child.title = visible(f"{cell.title}{stop}{child.title.rpartition('.')[2]}", 200)
        return child
    return cell


def cut_long_groups(root: Cell) -> None:
    """Cut groups of more than `LONGEST` children into sections, and these again."""
    for group in list(root.groups()):
        while len(group.children) > LONGEST:
            bounds = _cuts(group)
            group.children = [_section(group, group.children[a:b]) for a, b in pairwise(bounds)]


def _cuts(group: Cell) -> list[int]:
    """Where to cut: at the last of the narrowest places of each stretch."""
    children = group.children
    crossing = _crossing(group)
    bounds = [0]
    while len(children) - bounds[-1] > _SECTION:
        start = bounds[-1]
        stretch = range(start + _SECTION // 3, start + _SECTION + 1)
        bounds.append(min(reversed(stretch), key=crossing.__getitem__))
    return [*bounds, len(children)]


def _crossing(group: Cell) -> list[int]:
    """How many wires that are made in a group are still needed at each place between children."""
    place = {cell: i for i, child in enumerate(group.children) for cell in child.walk()}
    last: dict[tuple[int, int], int] = {}
    for cell, here in place.items():
        for wire in cell.reads:
            start = place.get(wire.maker, here)
            key = (id(wire), start)
            last[key] = max(last.get(key, 0), here)
    steps = [0] * (len(group.children) + 1)
    for (_, start), end in last.items():
        if end > start:
            steps[start + 1] += 1
            steps[end + 1 if end + 1 < len(steps) else end] -= 1
    for i in range(1, len(steps)):
        steps[i] += steps[i - 1]
    return steps


def _section(group: Cell, children: Sequence[Cell]) -> Cell:
    section = Cell(Kind.GROUP, _content(children), Origin(module=group.origin.module))
    section.parent, section.children = group, children
    for child in children:
        child.parent = section
    return section


def _content(children: Sequence[Cell]) -> str:
    """What a section holds, the most frequent first: `mul ×40 · add ×30 · …`."""
    counts = Counter(
        cell.node.op.name for child in children for cell in child.walk() if cell.node is not None
    )
    common = [
        f"{visible(op, 40)} ×{n}" if n > 1 else visible(op, 40) for op, n in counts.most_common(3)
    ]
    return " · ".join([*common, "…"] if len(counts) > 3 else common)


def name_groups(cells: Sequence[Cell]) -> None:
    """Give groups the name that all sites inside of them share: `blocks.0.attn`."""
    shared: dict[Cell, tuple[str, ...]] = {}
    for cell in reversed(cells):
        words = shared.pop(cell, None)
        if cell.kind is Kind.GROUP and words is not None:
            cell.sites = (".".join(words),) if len(words) > 1 and words[-1] else ()
        elif cell.sites:
            words = tuple(cell.sites[0].split("."))
        if words is not None and cell.parent is not None:
            words = words if cell.kind is Kind.GROUP else words[:-1]
            known = shared.get(cell.parent)
            shared[cell.parent] = words if known is None else _common(known, words)
    for cell in reversed(cells):
        around = cell.parent
        if cell.sites and cell.kind is Kind.GROUP and around and cell.sites == around.sites:
            cell.sites = ()


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    size = 0
    while size < min(len(a), len(b)) and a[size] == b[size]:
        size += 1
    return a[:size]


def change_groups(cells: Sequence[Cell], last: int) -> None:
    """A group is there where anything that it holds is; and what became of all cells."""
    for cell in reversed(cells):
        around = cell.parent
        if around is not None and around.kind is Kind.GROUP:
            around.there |= cell.there
        if last:
            cell.change = cell.change_in(0, last, 0)
