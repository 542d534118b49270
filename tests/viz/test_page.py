"""The page of a graph in a real browser: looking, opening, searching, walking, copying."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graph_page import point_of, selected, state
from playwright.sync_api import Page
from viz_graphs import decoder, doubled, named, rescaled

from graftwork import viz
from graftwork.ir.graph import Graph
from graftwork.ir.select import Selection

Open = Callable[..., Page]


def test_the_canvas_shows_boxes_in_light_and_dark(open_page: Open) -> None:
    view = viz.graph(decoder())
    colours = set()
    for scheme in ("light", "dark"):
        page = open_page(view, color_scheme=scheme)
        assert state(page, "graftwork.boxes") >= 5
        pixels = page.evaluate(
            """() => { const c = document.querySelector('canvas'); const d =
              c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Set();
              for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i+1] << 8) | d[i+2]);
              return [seen.size, d[0]] }"""
        )
        assert pixels[0] > 20
        colours.add(pixels[1] > 128)
    assert colours == {True, False}


def test_click_selects_and_double_click_opens_and_closes(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(12)))
    page.mouse.dblclick(*point_of(page, "layers"))
    page.mouse.click(*point_of(page, "layers.3"))
    assert selected(page) == "layers.3"
    assert page.locator(".expression").inner_text() == "graph.select(module='model.layers.3')"
    before = point_of(page, "layers.3")
    page.mouse.dblclick(*before)
    assert point_of(page, "layers.3")[1] == pytest.approx(before[1], abs=1)
    assert "attn" in page.locator(".outline").inner_text().split()
    page.mouse.dblclick(*point_of(page, "layers.3"))
    assert "attn" not in page.locator(".outline").inner_text().split()


def test_search_finds_reveals_and_selects(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(12)))
    page.keyboard.press("/")
    page.keyboard.type("blocks.7.attn.z")
    page.keyboard.press("Enter")
    assert selected(page) == "attention"
    assert page.locator(".expression").inner_text() == "graph.select('blocks.7.attn.z')"
    text = page.locator(".inspected").inner_text()
    for words in ("blocks.7.attn.pattern inside", "model.layers.7.attn", "model.py:7", "aten.sdpa"):
        assert words in text
    assert "heads:2" in text
    assert state(page, "[...app.scene.hitSet].includes(app.scene.selected)") is True
    x, y = point_of(page, "attention")
    assert 232 < x < 940
    assert 46 < y < 800


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("op:attention", 3),
        ("op:attention layers.1", 1),
        ("axis:mlp op:tanh", 3),
        ("param:o_proj", 3),
        ("site:pattern", 6),
        ("shape:11 dtype:f32", 4),
        ("lmhd", 2),
        ("mlpdwn layers.1", 2),
        ("qzx", 0),
        ("changed:", 0),
        ("nothing of this name", 0),
    ],
)
def test_queries(open_page: Open, query: str, count: int) -> None:
    page = open_page(viz.graph(decoder(3)))
    page.get_by_role("combobox", name="Search").fill(query)
    assert state(page, "app.scene.hits.length") == count


def test_keys_walk_along_the_graph(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(1)))
    page.locator(".stage").focus()
    walked = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Backspace", "Enter"):
        page.keyboard.press(key)
        walked.append(selected(page))
    assert walked[0] == "ids"
    assert walked[1] == "wte"
    assert walked[3] == "wte"
    assert walked[4] == walked[5] == "model"
    assert state(page, "app.scene.open.has(app.scene.selected)") is False
    page.keyboard.press("Shift+Enter")
    closed = "[...app.model.c.group].filter((g) => !app.scene.open.has(g))"
    closed += ".filter((g) => !app.model.c.within[g + 1]).length"
    assert state(page, closed) == 0
    page.keyboard.press("Escape")
    assert selected(page) == ""


def test_zoom_and_fit_by_key_and_wheel(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(12)))
    page.locator(".stage").focus()
    page.keyboard.press("f")
    small = state(page, "app.camera.scale")
    page.keyboard.press("+")
    assert state(page, "app.camera.scale") > small
    page.mouse.move(640, 400)
    page.mouse.wheel(0, 100)
    page.keyboard.press("0")
    assert state(page, "app.camera.scale") == 1


def test_the_outline_is_a_tree_for_screen_readers(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(2)))
    tree = page.get_by_role("tree", name="Outline of the graph")
    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    item = tree.get_by_role("treeitem", selected=True)
    assert item.get_attribute("aria-level") == "1"
    assert item.get_attribute("aria-expanded") == "true"
    assert tree.get_attribute("aria-activedescendant") == item.get_attribute("id")
    page.keyboard.press("ArrowLeft")
    assert item.get_attribute("aria-expanded") == "false"
    assert page.get_by_role("status").inner_text().startswith("model, closed")


def test_following_an_axis_is_pressed_in_the_legend(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(2)))
    word = page.locator(".legend").get_by_role("button", name="heads:2")
    word.click()
    assert word.get_attribute("aria-pressed") == "true"
    page.locator(".stage").focus()
    page.keyboard.press("Escape")
    assert word.get_attribute("aria-pressed") == "false"


def expressions(page: Page) -> list[tuple[int, str, str]]:
    """Kind, address and expression of every cell."""
    return page.evaluate(
        """() => { const {model, actions} = graftwork.app; const rows = [];
          for (let i = 1; i < model.count; i++) { actions.select(i);
            const place = model.c.place[i], level = model.strings[model.c.level[i]];
            const address = place < 0 ? '' : `${level}nodes[${place}]`;
            const code = document.querySelector('.expression')?.textContent ?? '';
            rows.push([model.c.kind[i], address, code]); }
          return rows }"""
    )


def test_every_expression_finds_its_node(open_page: Open) -> None:
    graph = doubled(decoder(2))
    page = open_page(viz.graph(graph))
    found = [row for row in expressions(page) if row[1]]
    assert len(found) == len(graph.nodes)
    for _, address, expression in found:
        node = eval(address, {"graph": graph})
        selection = eval(expression, {"graph": graph})
        if isinstance(selection, Selection):
            assert [f.place.value for f in selection] == [node.output], expression
            assert all(not f.place.inner for f in selection), expression
        else:
            assert selection is node
    ways = {row[2].split("(")[0] for row in found}
    assert ways == {"graph.select"}


def test_expressions_of_modules_and_parameters(open_page: Open) -> None:
    graph = decoder(1)
    page = open_page(viz.graph(graph))
    texts = {expression for kind, _, expression in expressions(page) if kind in (0, 4)}
    assert "graph.select(module='model.layers.0.mlp')" in texts
    assert "graph.params['model.wte.weight']" in texts
    for text in texts:
        eval(text, {"graph": graph})


def difference(open_page: Open, after: Graph, before: Graph) -> Page:
    return open_page(viz.graph(after, diff=before))


def test_a_difference_is_marked_counted_and_walked(open_page: Open) -> None:
    before = decoder(3)
    page = difference(open_page, doubled(before, "blocks.1.mlp.post"), before)
    assert "undefined" not in page.locator("body").inner_text()
    assert page.get_by_role("group", name="Changes").inner_text().split()[:3] == ["+2", "−0", "~0"]
    page.keyboard.press("n")
    assert selected(page) == "mul"
    assert "added" in page.locator(".inspected").inner_text()
    assert page.get_by_role("treeitem", name="mul added").is_visible()
    page.get_by_role("button", name="Show the difference as text").click()
    lines = page.locator(".difference").inner_text()
    assert "+ " in lines
    assert "= mul(" in lines
    bits = "[...app.model.c.readingNow].reduce((all, bits) => all | bits, 0)"
    assert state(page, bits) & 6 == 6


def test_what_changed_says_what_it_was(open_page: Open) -> None:
    before = decoder(1)
    page = difference(open_page, rescaled(before), before)
    page.keyboard.press("n")
    text = page.locator(".inspected").inner_text()
    assert selected(page) == "attention"
    assert "~ changed" in text
    assert "scale 0.5" in text
    page.keyboard.press("/")
    page.keyboard.type("changed:")
    assert state(page, "app.scene.hits.length") == 1


def test_without_scripts_there_is_the_still_picture(open_page: Open) -> None:
    page = open_page(viz.graph(decoder()), ready=".still", java_script_enabled=False)
    box = page.locator(".still").bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert box["height"] > 100


def test_a_notebook_shows_the_page_in_a_sandbox_over_the_picture(open_page: Open) -> None:
    cell = viz.graph(decoder())._repr_html_()
    page = open_page(f"<!doctype html><body>{cell}</body>", ready="iframe")
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(state="attached")
    assert frame.get_by_role("tree").is_visible()
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"
    assert page.locator("div > img").bounding_box()["width"] > 100


def test_a_page_born_without_size_draws_when_it_grows(open_page: Open) -> None:
    cell = viz.graph(decoder())._repr_html_()
    page = open_page(
        f'<!doctype html><body><div id=d style="width:0;height:0;overflow:hidden">{cell}</div>',
        ready="iframe",
    )
    frame = page.frames[1]
    frame.wait_for_selector("body[data-ready]", state="attached")
    page.evaluate("d.style.cssText = 'width:1000px;height:700px'")
    frame.wait_for_function("() => graftwork.boxes > 0", timeout=5000)


def test_a_title_that_its_box_cuts_is_told_whole_by_the_tip(open_page: Open) -> None:
    name = "a_module_of_a_very_long_name_that_no_box_has_the_room_for"
    page = open_page(viz.graph(named(name)))
    page.mouse.move(*point_of(page, name))
    assert page.locator(".tip").inner_text() == name
    page.mouse.move(5, 5)
    assert page.locator(".tip").is_hidden()
