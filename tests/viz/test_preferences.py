"""Pictures keep to what readers ask of their system: its colours, and no motion."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graph_page import state
from pictures import PICTURES
from playwright.sync_api import Page
from viz_graphs import decoder

from graftwork import viz

Open = Callable[..., Page]
GROUND = """() => { const c = [...document.querySelectorAll('canvas')].find((c) => c.width > 300);
  const mark = document.createElement('div'); document.body.append(mark);
  mark.style.color = 'Canvas'; const wanted = getComputedStyle(mark).color; mark.remove();
  const [red, green, blue, seen] = c.getContext('2d').getImageData(1, 1, 1, 1).data;
  return [seen ? `rgb(${red}, ${green}, ${blue})` : wanted, wanted]; }"""
HIDDEN = """(bar) => { const of = (name) => getComputedStyle(bar)[name];
  const mark = document.createElement('div'); mark.style.backgroundColor = 'Canvas';
  document.body.append(mark); const canvas = getComputedStyle(mark).backgroundColor; mark.remove();
  return of('backgroundColor') === canvas || bar.getBoundingClientRect().height === 0; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["heatmap", "array", "attention", "lens", "flow", "graph"])
def test_canvases_have_the_systems_ground(open_page: Open, name: str, scheme: str) -> None:
    page = open_page(PICTURES[name](), forced_colors="active", color_scheme=scheme)
    page.wait_for_timeout(100)
    ground, wanted = page.evaluate(GROUND)
    assert ground == wanted


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("lens", ".share-bar, .profile span"),
        ("card", ".share-bar"),
        ("attention", ".bar-mark"),
        ("array", ".bars i"),
    ],
)
def test_bars_are_seen_in_forced_colours(open_page: Open, name: str, bars: str) -> None:
    page = open_page(PICTURES[name](), forced_colors="active")
    found = page.locator(bars).all()
    assert found
    assert not any(bar.evaluate(HIDDEN) for bar in found if bar.is_visible())


def test_the_eye_moves_at_once_where_motion_is_unwelcome(open_page: Open) -> None:
    view, ends = viz.graph(decoder(12)), []
    for motion in ("reduce", "no-preference"):
        page = open_page(view, reduced_motion=motion)
        page.locator(".stage").focus()
        for _ in range(6):
            page.keyboard.press("+")
        moves = """async () => { const {app} = graftwork, seen = new Set();
          const key = new KeyboardEvent('keydown', {key: 'f', bubbles: true});
          document.querySelector('.stage').dispatchEvent(key);
          for (let i = 0; i < 40; i++) { seen.add(app.camera.scale);
            await new Promise((next) => setTimeout(next, 10)); }
          return seen.size; }"""
        count = page.evaluate(moves)
        assert (count == 1) == (motion == "reduce")
        ends.append(state(page, "app.camera.scale"))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("name", ["attention", "lens"])
def test_on_a_narrow_screen_every_button_is_in_sight(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name](), viewport={"width": 420, "height": 800})
    for tool in page.locator(".bar").locator("button, select").all():
        box = tool.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 420
