"""Saving what a page shows, as SVG and PNG, by button and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from pictures import PICTURES
from playwright.sync_api import Page
from test_hostile import PAYLOADS

import graftwork as gw
from graftwork import viz

Open = Callable[..., Page]
SAFE = {"svg", "title", "style", "rect", "text", "path", "image", "g", "mask", "clipPath", "tspan"}


def saved(page: Page, kind: str, *, key: bool = False) -> tuple[str, bytes]:
    """The name and the bytes of the file."""
    if key:
        page.keyboard.press("e")
    else:
        page.get_by_role("button", name="Save the picture (e)").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save as {kind}").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def tags(svg: bytes) -> set[str]:
    return {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "page"])
def test_every_picture_is_saved_as_svg_and_png(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name]())
    file, svg = saved(page, "SVG", key=True)
    assert file.endswith(".svg")
    assert tags(svg) <= SAFE | {"polyline", "line", "circle", "defs", "marker", "use"}
    _, png = saved(page, "PNG")
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert min(width, height) > 80


def test_an_array_is_saved_as_it_looks(open_page: Open) -> None:
    values = gw.NamedArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4), ("layer", "seq", "k"))
    page = open_page(viz.array(values, tokens={"seq": ["The", "<b>", "cat"]}), color_scheme="dark")
    page.get_by_label("Side by side").select_option(label="nothing")
    page.get_by_role("slider", name="layer").fill("1")
    _, svg = saved(page, "SVG")
    root = ET.fromstring(svg)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1 <b>", "23", "12"} <= set(words)
    assert "0" in words
    assert "11" not in words
    assert b'fill="rgb(15, 17, 21)"' in svg


def test_hostile_words_are_inert_in_what_is_saved(open_page: Open) -> None:
    values = gw.NamedArray(np.zeros((2, len(PAYLOADS))), (PAYLOADS[0], "seq"))
    page = open_page(viz.heatmap(values, tokens={"seq": PAYLOADS}, title=PAYLOADS[1]))
    file, svg = saved(page, "SVG")
    assert "/" not in file
    assert "<" not in file
    assert tags(svg) <= SAFE
    assert page.evaluate("window.__xss") is None


def test_a_frame_in_a_notebook_saves_too(open_page: Open) -> None:
    page = open_page(PICTURES["heatmap"]()._repr_html_(), ready="iframe")
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(state="attached")
    frame.get_by_role("button", name="Save the picture (e)").click()
    with page.expect_download() as download:
        frame.get_by_role("button", name="Save as PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_pictures_of_all_kinds_share_a_page(open_page: Open) -> None:
    views = [made() for name, made in PICTURES.items() if name != "page"]
    page = open_page(viz.page(views))
    assert page.locator(".view").count() == sum(len(view.parts) for view in views)
    assert page.locator(".view > .still").count() == 0


def test_heads_are_saved_as_grids_and_as_arcs(open_page: Open) -> None:
    page = open_page(PICTURES["attention"]())
    page.locator(".thumbnail").nth(4).click(modifiers=["Shift"])
    page.wait_for_selector("[aria-busy]", state="detached")
    words = saved(page, "SVG")[1].decode()
    assert "layer 0 head 0" in words
    assert "layer 1 head 1" in words
    page.get_by_label("Show heads").select_option("1")
    root = ET.fromstring(saved(page, "SVG")[1])
    curves = [path.get("d") or "" for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert len([curve for curve in curves if "C" in curve]) == 2 * 6


def test_a_lens_is_saved_as_it_is_coloured(open_page: Open) -> None:
    page = open_page(PICTURES["lens"]())
    page.get_by_label("Colour by").select_option("1")
    svg = saved(page, "SVG")[1]
    root = ET.fromstring(svg)
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "Logit lens: entropy (bits)" in words
    assert {"0 pre", "0", "1", "0 the"} <= words
