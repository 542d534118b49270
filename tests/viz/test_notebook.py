"""Notebooks: trusted, untrusted and exported; frames that grow; arrays through treescope."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import ClassVar

import numpy as np
import pytest
from pictures import PICTURES, numbers
from playwright.sync_api import Page

import graftwork as gw
from graftwork import viz
from graftwork.viz.scripts import KINDS

Open = Callable[..., Page]
GROWN = "() => [...document.querySelectorAll('canvas')].some((c) => c.width * c.height > 50_000)"


class Sanitizer(HTMLParser):
    """What a notebook that is not trusted keeps of HTML: no frames, scripts or inline SVG."""

    KEPT: ClassVar = {"div": ("style",), "img": ("alt", "src", "style")}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.kept: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = self.KEPT.get(tag)
        if names is not None:
            words = "".join(f' {n}="{escape(v or "")}"' for n, v in attrs if n in names)
            self.kept.append(f"<{tag}{words}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.KEPT:
            self.kept.append(f"</{tag}>")


def exported(*cells: str) -> str:
    """A page as `nbconvert --to html` makes it: each output in nested boxes of its own."""
    outputs = "".join(
        '<div class="jp-OutputArea-child"><div class="jp-RenderedHTMLCommon '
        f'jp-RenderedHTML" data-mime-type="text/html">{cell}</div></div>'
        for cell in cells
    )
    return f'<!doctype html><meta charset="utf-8"><body class="jp-Notebook"><main>{outputs}</main>'


@pytest.mark.parametrize("name", PICTURES)
def test_an_exported_notebook_shows_every_picture_in_its_frame(open_page: Open, name: str) -> None:
    view = PICTURES[name]()
    page = open_page(exported(view._repr_html_()), ready="iframe")
    frame = page.frames[1]
    frame.wait_for_selector("body[data-ready]", state="attached")
    assert page.locator("iframe").bounding_box()["height"] == view.height
    assert frame.locator("canvas, .sheet").first.is_visible()


@pytest.mark.parametrize("name", PICTURES)
def test_an_untrusted_notebook_keeps_the_picture(open_page: Open, name: str) -> None:
    page = open_page("".join(Sanitizer(PICTURES[name]()._repr_html_()).kept), ready="img")
    assert page.locator("iframe, script").count() == 0
    size = page.locator("img").evaluate("(i) => [i.complete, i.naturalWidth, i.naturalHeight]")
    assert size[0]
    assert min(size[1:]) > 40


@pytest.mark.parametrize("name", PICTURES)
def test_without_scripts_a_page_shows_its_pictures(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name](), ready=".still", java_script_enabled=False)
    for still in page.locator(".still").all():
        assert still.bounding_box()["width"] > 40


@pytest.mark.parametrize("name", ["array", "heatmap", "attention"])
def test_a_frame_born_without_size_draws_when_it_grows(open_page: Open, name: str) -> None:
    cell = PICTURES[name]()._repr_html_()
    page = open_page(
        f'<!doctype html><div id=d style="width:0;height:0;overflow:hidden">{cell}</div>',
        ready="iframe",
    )
    frame = page.frames[1]
    frame.wait_for_selector("body[data-ready]", state="attached")
    page.evaluate("d.style.cssText = 'width:1000px;height:700px'")
    frame.wait_for_function(GROWN, timeout=5000)


def test_a_small_array_is_shown_through_treescope() -> None:
    treescope = pytest.importorskip("treescope")
    array = gw.NamedArray(numbers(3, 1, 4), ("layer", None, "seq"))
    html = array._repr_mimebundle_()["text/html"]  # type: ignore[attr-defined]
    assert "treescope" in html
    assert "iframe" not in html
    with treescope.active_autovisualizer.set_scoped(treescope.ArrayAutovisualizer()):
        text = treescope.render_to_html({"values": array}, compressed=False)
    assert "NamedArray(float32, layer=3, 1=1, seq=4)" in text
    assert "arrayviz" in text


def test_a_large_array_is_shown_by_our_own_view(monkeypatch: pytest.MonkeyPatch) -> None:
    array = gw.NamedArray(numbers(200, 300), ("seq", "embed"))
    assert "<iframe sandbox=" in array._repr_mimebundle_()["text/html"]  # type: ignore[attr-defined]
    small = gw.NamedArray(numbers(2, 3), ("seq", "embed"))
    monkeypatch.setitem(sys.modules, "treescope", None)
    assert "<iframe sandbox=" in small._repr_mimebundle_()["text/html"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("array", [np.float32(3.0), np.zeros((0, 2)), np.array(["a", "b"])])
def test_an_array_that_is_no_picture_is_text(array: np.ndarray) -> None:
    axes = ("seq", "embed")[: np.ndim(array)]
    bundle = gw.NamedArray(np.asarray(array), axes)._repr_mimebundle_()  # type: ignore[attr-defined]
    assert set(bundle) == {"text/plain"}


def test_pictures_of_all_kinds_share_a_page(open_page: Open) -> None:
    made = [
        PICTURES[name]()
        for name in ("graph", "array", "attention", "tokens", "lens", "flow", "card")
    ]
    page = open_page(viz.page(made))
    assert {part.kind for view in made for part in view.parts} == set(KINDS)
    for view in page.locator(".view").all():
        assert view.locator(".bar h2").is_visible()


def test_pages_are_titled() -> None:
    assert "<h1" in viz.page([PICTURES["heatmap"]()], title="all").html
