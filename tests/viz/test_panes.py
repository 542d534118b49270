"""Before and after side by side: one scene, one camera, each side without what the other adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from graph_page import point_of, selected, state
from playwright.sync_api import Page
from test_axe import violations
from test_replay import renamed, undone
from viz_graphs import decoder, doubled, rescaled

from graftwork import viz

Open = Callable[..., Page]
PANE = "app.size.width"


def apart(page: Page) -> None:
    page.get_by_role("button", name="Open all groups").click()
    page.get_by_role("button", name="Before and after side by side").click()


def texts(page: Page, tmp_path: Path) -> tuple[list[str], list[str]]:
    """The words on the two sides of the picture that is saved."""
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG").click()
    file = tmp_path / "saved.svg"
    download.value.save_as(file)
    page.keyboard.press("Escape")
    groups = [g for g in ET.parse(file).getroot() if g.tag.endswith("}g")]
    words = [[t.text or "" for t in g.iter() if t.tag.endswith("}text")] for g in groups]
    assert [words[1], words[3]] == [["before"], ["after"]]
    return words[0], words[2]


def test_each_side_leaves_out_what_only_the_other_has(open_page: Open, tmp_path: Path) -> None:
    page = open_page(viz.replay(decoder(1), doubled, rescaled, renamed, undone))
    apart(page)
    page.keyboard.press("]")
    before, after = texts(page, tmp_path)
    assert "+" not in before
    assert after.count("mul") == before.count("mul") + 1
    page.keyboard.press("]")
    before, after = texts(page, tmp_path)
    assert any("scale 0.5" in text for text in before) != any("scale 0.5" in t for t in after)
    page.keyboard.press("]")
    before, after = texts(page, tmp_path)
    assert ("mlp:16" in before, "neurons:16" in before) == (True, False)
    assert ("mlp:16" in after, "neurons:16" in after) == (False, True)
    page.keyboard.press("]")
    before, after = texts(page, tmp_path)
    assert "−" not in after
    assert before.count("mul") == after.count("mul") + 1


def test_sides_are_in_line_and_move_as_one(open_page: Open) -> None:
    before = decoder(2)
    page = open_page(viz.graph(doubled(before), diff=before))
    apart(page)
    page.keyboard.press("0")
    pane = float(str(state(page, PANE)))
    assert pane == pytest.approx(float(str(state(page, "app.stage.clientWidth"))) / 2)
    x, y = point_of(page, "attention")
    found = [selected(page)]
    for at in (x, x + pane):
        page.mouse.click(at, y)
        found.append(selected(page))
        page.keyboard.press("Escape")
    assert found == ["", "attention", "attention"]
    camera = "[app.camera.x, app.camera.y, app.camera.scale]"
    old = state(page, camera)
    page.keyboard.down("Control")
    page.mouse.move(x + pane, y)
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function(f"() => {{ const app = graftwork.app; return {camera}[2] > {old[2]} }}")
    assert point_of(page, "attention")[0] == pytest.approx(x, abs=20)


def test_what_is_not_on_a_side_is_not_to_be_picked_there(open_page: Open) -> None:
    before = decoder(2)
    page = open_page(viz.graph(doubled(before), diff=before))
    apart(page)
    page.keyboard.press("n")
    assert selected(page) == "mul"
    x, y, width = page.evaluate(
        """() => { const {app, scene, camera} = graftwork;
          let [x, y] = [20, 16];
          for (let c = scene.selected; c > 0; c = app.model.c.parent[c]) {
            x += scene.layout.x[c]; y += scene.layout.y[c]; }
          const {left, top} = app.stage.getBoundingClientRect();
          return [left + camera.x + x * camera.scale, top + camera.y + y * camera.scale,
            app.size.width]; }"""
    )
    added = state(page, "app.scene.selected")
    page.mouse.click(x + width, y)
    assert state(page, "app.scene.selected") == added
    page.mouse.click(x, y)
    assert state(page, "app.scene.selected") != added


def test_the_key_switches_and_the_address_keeps_it(open_page: Open) -> None:
    before = decoder(2)
    page = open_page(viz.graph(doubled(before), diff=before))
    switch = page.get_by_role("button", name="Before and after side by side")
    page.keyboard.press("s")
    assert page.get_by_role("status").inner_text() == "Before and after, side by side"
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    assert switch.get_attribute("aria-pressed") == "true"
    for scheme in ("none", "active"):
        page.emulate_media(forced_colors=scheme)
        assert violations(page) == []
    page.keyboard.press("s")
    assert switch.get_attribute("aria-pressed") == "false"
    assert state(page, f"{PANE} === app.stage.clientWidth") is True


def test_where_nothing_is_compared_nothing_switches(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(1)))
    assert page.get_by_role("button", name="Before and after side by side").count() == 0
    page.keyboard.press("s")
    assert state(page, "app.scene.apart") is False
