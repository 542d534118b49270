"""Heat maps in a browser: cells, keys, code, sliders, tables, and pages of several pictures."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from attrs import evolve
from playwright.sync_api import Page
from test_hostile import LONG, PAYLOADS
from viz_graphs import SIZES, decoder

import graftwork as gw
from graftwork import passes as p
from graftwork import viz
from graftwork.ir.errors import AxisError, InputError
from graftwork.ir.store import Store
from graftwork.viz.scales import LEVELS, scale

Open = Callable[..., Page]
TOKENS = [" The", "cat", "\n", "<b>", "\u202e"]


def array(*sizes: int, axes: str = "layer seq factor batch") -> gw.NamedArray:
    numbers = np.random.default_rng(0).normal(size=sizes)
    return gw.NamedArray(numbers, tuple(axes.split()[: len(sizes)]))


def swept() -> tuple[gw.Graph, gw.NamedArray]:
    """The effect of scaling each stream of a decoder, with its graph."""
    graph, rng = decoder(3), np.random.default_rng(0)
    weights = {
        port.name: rng.normal(size=[SIZES[axis] for axis in port.layout]).astype(np.float32)
        for port in graph.parameters
    }
    graph = evolve(graph, store=Store((weights,)))
    sweep = gw.Sweep(
        graph,
        p.Scale("blocks.{layer}.resid_post", gw.each("factor", (0.0, 2.0))),
        metric=lambda out: out["logits"].mean("vocab"),
        backend="numpy",
    )
    return graph, sweep.run(**{graph.inputs[0].name: np.array([[1, 2, 3]])}, progress=False)


def pick(page: Page, *keys: str) -> None:
    page.locator(".matrix").first.focus()
    for key in (*keys, "Enter"):
        page.keyboard.press(key)


def test_keys_move_say_and_pick_cells(open_page: Open) -> None:
    values = array(3, 5)
    page = open_page(viz.heatmap(values, tokens={"seq": TOKENS}))
    pick(page, "Home", "ArrowDown", "ArrowDown", "End", "ArrowLeft")
    assert page.get_by_role("status").inner_text().startswith("layer 2, seq 3 <b>: ")
    code = page.locator(".expression").inner_text()
    assert eval(code, {"values": values}) == pytest.approx(values.array[2, 3])
    assert (
        f"{values.array[2, 3]:.4g}".replace("-", "−") in page.locator(".card h3").first.inner_text()
    )


def test_the_pointer_finds_the_cell_under_it(open_page: Open) -> None:
    page = open_page(viz.heatmap(array(3, 5)))
    box = page.locator(".matrix").bounding_box()
    page.mouse.click(box["x"] + 80, box["y"] + 60)
    assert page.locator(".tip").inner_text().startswith("layer ")
    assert page.locator(".card dd").first.inner_text() in {"0", "1", "2"}


def test_a_cell_of_a_sweep_gives_the_edit_that_makes_it(open_page: Open) -> None:
    graph, effect = swept()
    page = open_page(viz.heatmap(effect))
    pick(page, "Home", "ArrowDown", "ArrowRight")
    assert page.locator(".card dd").nth(0).inner_text() == "1"
    code = page.locator(".expression").inner_text()
    edited = eval(code, {"graph": graph, "p": p})
    assert str(edited) == str(graph.apply(effect.edit(layer=1, factor=2.0)))


def test_an_edit_with_arrays_in_it_is_found_by_its_place_in_the_sweep(open_page: Open) -> None:
    graph, _ = swept()
    directions = [np.full(8, 0.1, np.float32), np.full(8, 0.2, np.float32)]
    sweep = gw.Sweep(
        graph,
        p.Steer("blocks.{layer}.resid_post", gw.each("direction", directions)),
        metric=lambda out: out["logits"].mean("vocab"),
        backend="numpy",
    )
    effect = sweep.run(**{graph.inputs[0].name: np.array([[1, 2, 3]])}, progress=False)
    page = open_page(viz.heatmap(effect))
    pick(page, "Home", "ArrowDown", "ArrowRight")
    code = page.locator(".expression").inner_text()
    edited = eval(code, {"graph": graph, "effect": effect})
    assert str(edited) == str(graph.apply(effect.edit(layer=1, direction=1)))


def test_other_axes_stand_side_by_side_or_have_sliders(open_page: Open) -> None:
    values = array(2, 3, 4, 20)
    page = open_page(viz.heatmap(values, title="all"))
    assert page.locator(".facet").count() == 4
    page.get_by_label("Side by side").select_option(label="nothing")
    assert page.locator(".facet").count() == 0
    page.get_by_role("slider", name="factor").fill("3")
    page.get_by_role("slider", name="batch").fill("7")
    pick(page, "Home")
    code = page.locator(".expression").inner_text()
    assert eval(code, {"values": values}) == pytest.approx(values.array[0, 0, 3, 7])
    page.get_by_label("Rows").select_option(label="seq")
    pick(page, "Home", "ArrowDown", "ArrowDown", "ArrowRight")
    code = page.locator(".expression").inner_text()
    assert eval(code, {"values": values}) == pytest.approx(values.array[1, 2, 3, 7])


def test_the_numbers_as_a_table(open_page: Open) -> None:
    values = array(3, 5)
    values.array[1, 1] = np.nan
    page = open_page(viz.heatmap(values))
    page.get_by_role("button", name="Show the numbers as a table").click()
    rows = page.get_by_role("table").get_by_role("row").all_inner_texts()
    assert len(rows) == 4
    assert "NaN" in rows[2]
    page.get_by_role("button", name="Show the numbers as a table").click()
    assert page.get_by_role("table").count() == 0


def test_colours_follow_the_numbers_and_the_theme(open_page: Open) -> None:
    values = gw.NamedArray(np.array([[-1.0, 0.0, 1.0]]), ("layer", "seq"))
    page = open_page(viz.heatmap(values), color_scheme="light")
    probe = """() => { const canvas = document.querySelector('.matrix canvas'), runs = [];
      const {data} = canvas.getContext('2d').getImageData(0, 44, canvas.width, 1);
      for (let i = 0; i < data.length; i += 4) {
        const colour = [...data.slice(i, i + 3)];
        if (String(runs.at(-1)?.colour) === String(colour)) runs.at(-1).wide++;
        else runs.push({colour, wide: 1}); }
      return runs.filter((run) => run.wide > 30).map((run) => run.colour).slice(1, 4) }"""
    left, middle, right = page.evaluate(probe)
    assert left[0] > left[2]
    assert right[2] > right[0]
    assert min(middle[:3]) > 200
    page.get_by_role("button", name="Light or dark").click()
    assert max(page.evaluate(probe)[1][:3]) < 80


def test_pictures_on_one_page_share_their_selection(open_page: Open) -> None:
    graph, effect = swept()
    one, other = viz.heatmap(effect), viz.heatmap(array(3, 2))
    page = open_page(viz.page([one, other, viz.graph(graph)], title="all of it"))
    assert page.title() == "all of it"
    assert page.locator(".view").count() == 3
    pick(page, "Home", "ArrowDown")
    assert page.evaluate("graftwork.app.scene.selected") > 0
    assert "blocks.1.resid_post" in page.locator(".inspected").inner_text()


@pytest.mark.parametrize("words", [PAYLOADS, LONG], ids=["payloads", "long"])
def test_hostile_tokens_and_axes_are_inert(open_page: Open, words: list[str]) -> None:
    values = gw.NamedArray(np.zeros((2, len(words))), (words[0], "seq"))
    view = viz.heatmap(values, tokens={"seq": words}, title=words[1])
    page = open_page(view)
    pick(page, "End")
    page.get_by_role("button", name="Show the numbers as a table").click()
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, body img").count() == 0
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(view.svg).iter()}
    assert tags <= {"svg", "title", "style", "rect", "text"}


def test_what_cannot_be_shown_is_said() -> None:
    with pytest.raises(AxisError, match="did you mean 'layer'"):
        viz.heatmap(array(2, 3), rows="layers")
    with pytest.raises(AxisError, match="3 positions, and tokens= 2 words"):
        viz.heatmap(array(2, 3), tokens={"seq": ["a", "b"]})
    with pytest.raises(AxisError, match="no cells"):
        viz.heatmap(gw.NamedArray(np.zeros((0, 3)), ("layer", "seq")))
    with pytest.raises(InputError, match="at least one"):
        viz.page([])


@pytest.mark.parametrize("numbers", [[-1.0, 3.0], [0.0, 1.0], [-2.0, 0.0], [5.0, 5.0], [np.nan]])
def test_scales_hold_their_numbers(numbers: list[float]) -> None:
    made = scale(np.array(numbers))
    finite = [x for x in numbers if np.isfinite(x)]
    assert all(made.low <= x <= made.high for x in finite)
    assert all(0 <= made.level(x) < LEVELS for x in (*finite, -1e30, 1e30))
    assert made.style().count("{fill:") == 2 * LEVELS
