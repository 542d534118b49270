"""The picture of a graph, and of what rewrites did to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import AnyPass, Stage, Step, apply, collection_paused
from graftwork.viz.arrange import arrange, readings_of
from graftwork.viz.cells import Cell
from graftwork.viz.cone import between as cells_between
from graftwork.viz.cone import narrowed
from graftwork.viz.difference import differences
from graftwork.viz.encode import encode
from graftwork.viz.keys import Key, cells_of
from graftwork.viz.opening import first_open
from graftwork.viz.overlay import Overlay, overlaid
from graftwork.viz.part import Part
from graftwork.viz.scene import Scene, scene
from graftwork.viz.svg import to_svg
from graftwork.viz.view import View

MOST_STEPS = 30
"""So many steps a page shows one by one: passes, and their rules if there is room for them."""


@collection_paused()
def graph(
    graph: Graph,
    diff: Graph | None = None,
    *,
    overlay: Mapping[Key, float] | None = None,
    label: str = "value",
    reduce: str = "sum",
    between: tuple[Key, Key] | None = None,
) -> View:
    """A page that shows a graph: its modules, ops, axes, parameters and sites.

    Groups open and close, every op says where it came from and which selector finds it, and
    search finds modules, ops, axes and sites. The page needs no network.

    Args:
        graph: what to show.
        diff: the graph that it was before: what was added, removed and changed is marked.
        overlay: numbers that colour the boxes, by node, value, or words that select: sites,
            modules, globs of them.
        label: what the numbers of the overlay are, for the legend.
        reduce: what a closed group shows of the numbers inside of it: their `sum`, `max` or
            `mean`.
        between: two places, named as in `overlay`: at first only what lies on a way from the one
            to the other is shown.

    Raises:
        SelectionError: if a place of `overlay` or `between` is not in the graph, or if nothing
            leads from the one to the other.
    """
    shown = scene(graph) if diff is None else scene(diff, graph)
    ends = None if between is None else [cells_of(shown, key) for key in between]
    kept = None if ends is None else cells_between(shown, *ends)
    if between is not None and not kept:
        raise SelectionError(f"nothing leads from {between[0]!r} to {between[1]!r}")
    laid = None if overlay is None else overlaid(shown, overlay, label, reduce)
    return _view(shown, [] if diff is None else ["difference"], laid, ends, kept)


@collection_paused()
def replay(graph: Graph, *passes: AnyPass) -> View:
    """A page that applies passes to a graph and shows what each of them did, step by step.

    One picture holds all versions of the graph, so that nothing changes its order from step to
    step; `[` and `]` go through the passes, and within those that tell (`ir.pipeline.reached`)
    through their rules and parts. Of more than 30 steps the first are joined; rules then stay in
    their passes.

    Raises:
        GraftworkError: of the pass that failed; its message names it and those before it.
    """
    steps = apply(graph, passes, watch=True)[1]
    whole = [(step.name, step.after) for step in steps]
    stages = [stage for step in steps for stage in _stages(step)]
    shown = stages if len(stages) <= MOST_STEPS else whole
    joined = max(0, len(shown) - MOST_STEPS)
    first = [f"the first {joined + 1} passes"] if joined else []
    versions = [graph, *(after for _, after in shown[joined:])]
    names = [*first, *(name for name, _ in shown[joined + len(first) :])]
    together = whole[0][0] if len(whole) == 1 else "all passes"
    return _view(scene(*versions), [together, *names] if len(names) > 1 else names)


def _stages(step: Step) -> Sequence[Stage]:
    """The stages of a pass, or the pass itself."""
    told = [(f"{step.name}: {name}", graph) for name, graph in step.stages]
    return told if len(told) > 1 else [(step.name, step.after)]


def _view(
    shown: Scene,
    names: Sequence[str],
    laid: Overlay | None = None,
    ends: Sequence[Sequence[Cell]] | None = None,
    kept: frozenset[Cell] | None = None,
) -> View:
    readings = readings_of(shown.cells)
    groups = [cell for cell in shown.cells if cell.children]
    arranged = {group: arrange(group, readings.pop(group, ())) for group in groups}
    if len(shown.versions) > 2:
        first_and_last = 1 | 1 << len(shown.versions) - 1
        kept = frozenset(cell for cell in shown.cells if cell.there & first_and_last)
    opened = first_open(shown.cells[0], kept=kept)
    changes = differences(shown, names) if names else []
    title = f"Graph of {len(shown.graph.nodes):,} nodes"
    if changes:
        added, removed, changed = changes[0].counts
        title = f"{title}: +{added} −{removed} ~{changed}"
    seen = {cell: arranged[cell] for cell in opened}
    if kept is not None:
        seen = {cell: narrowed(cell, made, kept) for cell, made in seen.items()}
    svg = to_svg(shown, seen, opened, title, laid)
    data = encode(shown, arranged, opened, changes, title, laid, ends)
    shown.release()
    return View.of(Part("graph", title, data, svg), shown.graph)
