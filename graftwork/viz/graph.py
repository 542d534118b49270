"""The picture of a graph, and of what a rewrite did to it."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph
from graftwork.viz.arrange import arrange, nets_of
from graftwork.viz.cone import between as cells_between
from graftwork.viz.cone import narrow
from graftwork.viz.difference import difference
from graftwork.viz.encode import encode
from graftwork.viz.keys import Key, cells_of
from graftwork.viz.opening import first_open
from graftwork.viz.overlay import overlaid
from graftwork.viz.part import Part
from graftwork.viz.scene import scene
from graftwork.viz.svg import to_svg
from graftwork.viz.view import View


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
    shown = scene(graph, diff)
    nets = nets_of(shown.cells)
    arranged = {cell: arrange(cell, nets.get(cell, {})) for cell in shown.cells if cell.children}
    ends = None if between is None else [cells_of(shown, key) for key in between]
    kept = None if ends is None else cells_between(shown, *ends)
    if between is not None and not kept:
        raise SelectionError(f"nothing leads from {between[0]!r} to {between[1]!r}")
    opened = first_open(shown.cells[0], kept=kept)
    changes = None if diff is None else difference(shown, diff)
    laid = None if overlay is None else overlaid(shown, overlay, label, reduce)
    title = f"Graph of {len(graph.nodes):,} nodes"
    if changes is not None:
        added, removed, changed = changes.counts
        title = f"Graph of {len(graph.nodes):,} nodes: +{added} −{removed} ~{changed}"
    still = arranged if kept is None else narrow(arranged, kept)
    svg = to_svg(shown, still, opened, title, laid)
    data = encode(shown, arranged, opened, changes, title, laid, ends)
    return View.of(Part("graph", title, data, svg), graph)
