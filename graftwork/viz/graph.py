"""The picture of a graph, and of what a rewrite did to it."""

from __future__ import annotations

from graftwork.ir.graph import Graph
from graftwork.viz.arrange import arrange, nets_of
from graftwork.viz.difference import difference
from graftwork.viz.encode import encode
from graftwork.viz.opening import first_open
from graftwork.viz.part import Part
from graftwork.viz.scene import scene
from graftwork.viz.svg import to_svg
from graftwork.viz.view import View


def graph(graph: Graph, diff: Graph | None = None) -> View:
    """A page that shows a graph: its modules, ops, axes, parameters and sites.

    Groups open and close, every op says where it came from and which selector finds it, and
    search finds modules, ops, axes and sites. The page needs no network.

    Args:
        graph: what to show.
        diff: the graph that it was before: what was added, removed and changed is marked.
    """
    shown = scene(graph, diff)
    nets = nets_of(shown.cells)
    arranged = {cell: arrange(cell, nets.get(cell, {})) for cell in shown.cells if cell.children}
    opened = first_open(shown.cells[0])
    changes = None if diff is None else difference(shown, diff)
    title = f"Graph of {len(graph.nodes):,} nodes"
    if changes is not None:
        added, removed, changed = changes.counts
        title = f"Graph of {len(graph.nodes):,} nodes: +{added} −{removed} ~{changed}"
    svg = to_svg(shown, arranged, opened, title)
    data = encode(shown, arranged, opened, changes, title)
    return View.of(Part("graph", title, data, svg), graph)
