"""The picture of a graph, and of what rewrites did to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
from graftwork.viz.manifest import ARGUMENTS, NAMES, PARAMETERS, SOURCES, VALUES, Manifest, Numbers
from graftwork.viz.names import bare
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
    share_safe: bool = False,
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
        share_safe: leave out what shall not be mailed to strangers: values of constants, numbers
            and free text among attributes, arguments of passes, the overlay, files and lines of
            the source. Names, axes, sizes and ops stay; `View.manifests` tells all. No picture of
            a graph has the values of parameters.

    Raises:
        SelectionError: if a place of `overlay` or `between` is not in the graph, or if nothing
            leads from the one to the other.
    """
    versions = [graph] if diff is None else [diff, graph]
    shown = scene(*versions, share_safe=share_safe)
    ends = None if between is None else [cells_of(shown, key) for key in between]
    kept = None if ends is None else cells_between(shown, *ends)
    if between is not None and not kept:
        raise SelectionError(f"nothing leads from {between[0]!r} to {between[1]!r}")
    laid = None if overlay is None else overlaid(shown, overlay, label, reduce)
    return _view(shown, [] if diff is None else ["difference"], laid, ends, kept)


@collection_paused()
def replay(graph: Graph, *passes: AnyPass, share_safe: bool = False) -> View:
    """A page that applies passes to a graph and shows what each of them did, step by step.

    One picture holds all versions of the graph, so that nothing changes its order from step to
    step; `[` and `]` go through the passes, and within those that tell (`ir.pipeline.reached`)
    through their rules and parts. Of more than 30 steps the first are joined; rules then stay in
    their passes.

    Args:
        share_safe: leave out values, arguments of passes, and files and lines, as in `graph`.

    Raises:
        GraftworkError: of the pass that failed; its message names it and those before it.
    """
    steps = apply(graph, passes, watch=True)[1]
    called = bare if share_safe else str
    whole = [(called(step.name), step.after) for step in steps]
    stages = [stage for step in steps for stage in _stages(step, called)]
    shown = stages if len(stages) <= MOST_STEPS else whole
    joined = max(0, len(shown) - MOST_STEPS)
    first = [f"the first {joined + 1} passes"] if joined else []
    versions = [graph, *(after for _, after in shown[joined:])]
    names = [*first, *(name for name, _ in shown[joined + len(first) :])]
    together = whole[0][0] if len(whole) == 1 else "all passes"
    shown_all = scene(*versions, share_safe=share_safe)
    return _view(shown_all, [together, *names] if len(names) > 1 else names)


def _stages(step: Step, called: Callable[[str], str]) -> Sequence[Stage]:
    """The stages of a pass, or the pass itself."""
    told = [(f"{called(step.name)}: {called(name)}", graph) for name, graph in step.stages]
    return told if len(told) > 1 else [(called(step.name), step.after)]


def _view(
    shown: Scene,
    names: Sequence[str],
    laid: Overlay | None = None,
    ends: Sequence[Sequence[Cell]] | None = None,
    kept: frozenset[Cell] | None = None,
) -> View:
    readings = readings_of(shown.cells)
    root = shown.cells[0]  # a group even if it holds nothing
    groups = [cell for cell in shown.cells if cell.children or cell is root]
    arranged = {group: arrange(group, readings.pop(group, ())) for group in groups}
    if len(shown.versions) > 2:
        first_and_last = 1 | 1 << len(shown.versions) - 1
        kept = frozenset(cell for cell in shown.cells if cell.there & first_and_last)
    opened = first_open(shown.cells, kept=kept)
    changes = differences(shown, names) if names else []
    title = f"Graph of {len(shown.graph.nodes):,} nodes"
    if changes:
        added, removed, changed = changes[0].counts
        title = f"{title}: +{added} −{removed} ~{changed}"
    seen = {cell: arranged[cell] for cell in opened}
    if kept is not None:
        seen = {cell: narrowed(cell, made, kept) for cell, made in seen.items()}
    manifest = _manifest(shown, laid)
    if shown.share_safe:
        laid = None
    svg = to_svg(shown, seen, opened, title, laid)
    data = encode(shown, arranged, opened, changes, title, laid, ends)
    shown.release()
    source = title if shown.share_safe else shown.graph
    return View.of(Part("graph", title, data, svg, manifest), source)


def _manifest(shown: Scene, laid: Overlay | None) -> Manifest:
    """What the picture holds: all, or what may be shared."""
    private = (VALUES, SOURCES, ARGUMENTS)
    numbers = () if laid is None else (Numbers(f"overlay, {laid.label}"),)
    if not shown.share_safe:
        return Manifest((NAMES, *private), (PARAMETERS,), numbers)
    overlays = tuple(kept.what for kept in numbers)
    return Manifest((NAMES,), (PARAMETERS, *private, *overlays), share_safe=True)
