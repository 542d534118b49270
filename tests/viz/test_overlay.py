"""Numbers laid over a graph, and pictures of a part of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from graph_page import shown, state
from playwright.sync_api import Page
from viz_graphs import decoder

from graftwork import viz
from graftwork.ir import ops
from graftwork.ir.errors import SelectionError
from graftwork.viz.cone import between
from graftwork.viz.keys import cells_of
from graftwork.viz.overlay import overlaid
from graftwork.viz.scene import scene

Open = Callable[..., Page]


def numbers(reduce: str, values: dict[object, float]) -> dict[str, float]:
    """The numbers of the first cells of each title."""
    laid = overlaid(scene(decoder(2)), values, "", reduce)
    return {cell.title: number for cell, number in reversed(laid.values.items())}


@pytest.mark.parametrize(("reduce", "inside"), [("sum", 5.0), ("max", 4.0), ("mean", 2.5)])
def test_a_group_shows_what_its_reducer_makes_of_all_inside(reduce: str, inside: float) -> None:
    found = numbers(reduce, {"blocks.0.attn.q": 4.0, "blocks.0.mlp.post": 1.0})
    assert found["q_proj"] == found["attn"] == 4.0
    assert found["layers.0"] == found["graph"] == inside
    assert "layers.1" not in found


def test_keys_are_nodes_values_sites_modules_globs_and_parameters() -> None:
    graph = decoder(2)
    node = next(node for node in graph.nodes if node.op is ops.attention)
    shown = scene(graph)
    for key in (node, node.output, "blocks.0.attn.z", "model.layers.0.attn.*"):
        assert cells_of(shown, key)
    assert len(cells_of(shown, "blocks.*.attn.q")) == 2
    weight = next(p for p in graph.parameters if p.name.endswith("0.mlp.up.weight"))
    laid = overlaid(shown, {weight.value: 3.0}, "", "sum")
    assert {cell.title for cell in laid.values} >= {"up", "mlp", "layers.0"}


def test_what_is_no_place_or_no_number_is_refused() -> None:
    graph = decoder(1)
    with pytest.raises(SelectionError, match=r"did you mean 'blocks\.0\.attn\.q'"):
        viz.graph(graph, overlay={"blocks.0.attn.qq": 1.0})
    with pytest.raises(SelectionError, match="no place of this graph"):
        viz.graph(graph, overlay={decoder(1).nodes[0]: 1.0})
    with pytest.raises(SelectionError, match="needs a number"):
        viz.graph(graph, overlay={"embed": "much"})
    with pytest.raises(SelectionError, match="no reducer 'median'"):
        viz.graph(graph, overlay={}, reduce="median")


def test_numbers_and_their_legend_are_shown_and_read_out(open_page: Open) -> None:
    graph = decoder(2)
    values = {f"blocks.{i}.attn.z": i + 0.25 for i in range(2)}
    page = open_page(viz.graph(graph, overlay=values, label="<b>effect", reduce="max"))
    scale = page.get_by_role("img", name="<b>effect")
    assert "max in closed groups" in scale.inner_text()
    assert "0.25" in scale.inner_text()
    assert "1.25" in page.get_by_role("treeitem", name="layers.1").inner_text()
    page.get_by_role("treeitem", name="layers.1").click()
    assert "1.25 max of what is inside" in page.locator(".inspected").inner_text()


def test_odd_numbers_are_named_and_not_coloured(open_page: Open) -> None:
    odd = {"embed": math.nan, "logits": math.inf, "blocks.0.mlp.post": np.float16(-2.0)}
    view = viz.graph(decoder(1), overlay=odd, reduce="max")
    page = open_page(view)
    page.get_by_role("button", name="Open all groups").click()
    outline = page.locator(".outline").inner_text()
    assert "NaN" in outline
    assert "∞" in outline
    assert "−2" in outline
    assert "nan" in view.to_svg()


def test_only_what_is_between_two_places_is_shown(open_page: Open) -> None:
    graph = decoder(3)
    whole = scene(graph)
    kept = between(whole, *(cells_of(whole, f"blocks.{i}.mlp.post") for i in (0, 1)))
    selected = {
        f.place.value
        for f in graph.select("blocks.0.mlp.post").between(graph.select("blocks.1.mlp.post"))
    }
    nodes = {cell.node for cell in kept if cell.node is not None and not cell.within}
    assert {v for node in nodes for v in node.outputs} - selected == {
        graph.sites[f"blocks.{i}.mlp.post"].place.value for i in (0, 1)
    }
    view = viz.graph(graph, between=("blocks.0.mlp.post", "blocks.1.mlp.post"))
    page = open_page(view)
    page.get_by_role("button", name="Open all groups").click()
    boxes = (c for c in kept if not c.within and (c.is_composite or not c.children))
    leaves = sorted(c.title for c in boxes)
    assert sorted(shown(page)) == leaves
    assert "q_proj" in leaves
    assert "wte" not in view.to_svg()
    page.get_by_role("button", name="Show the whole graph").click()
    assert "wte" in shown(page)


def test_places_with_nothing_between_them_are_an_error() -> None:
    with pytest.raises(SelectionError, match="nothing leads from 'logits' to 'embed'"):
        viz.graph(decoder(1), between=("logits", "embed"))


def test_keys_show_what_leads_here_what_follows_and_what_is_between(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(3)))
    one, two = (
        state(
            page,
            f"[...app.model.c.kind.keys()].find(i => app.model.strings[app.model.c.title[i]]"
            f" === 'layers.{i}')",
        )
        for i in (1, 2)
    )
    page.get_by_role("button", name="Close all groups").click()
    page.evaluate(f"graftwork.app.actions.select({one}, true)")
    page.keyboard.press("u")
    assert "layers.2" not in shown(page)
    assert {"ids", "wte", "layers.0", "layers.1"} <= {*shown(page)}
    assert page.get_by_role("group", name="Only a part").inner_text().startswith("Only what leads")
    page.keyboard.press("d")
    assert {"layers.1", "layers.2", "lm_head", "logits"} <= {*shown(page)}
    assert "layers.0" not in shown(page)
    page.keyboard.press("Escape")
    assert "layers.0" in shown(page)
    page.keyboard.press("b")
    page.evaluate(f"graftwork.app.actions.select({two}, true)")
    assert set(shown(page)) == {"layers.1", "layers.2"}
    page.evaluate("graftwork.app.actions.select(1, true)")
    assert "layers.0" in shown(page)
