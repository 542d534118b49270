"""Taking the picture away, finding back to it, and repeated blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from graph_page import selected, shown, state
from playwright.sync_api import Page
from viz_graphs import decoder, doubled, named

from graftwork import viz
from graftwork.ir.graph import Graph
from graftwork.viz.cells import Cell
from graftwork.viz.scene import scene

Open = Callable[..., Page]


def notes(graph: Graph, *later: Graph) -> dict[str, str]:
    return {cell.title: cell.note for cell in scene(graph, *later).cells if cell.note}


def test_blocks_that_repeat_are_folded_and_labelled() -> None:
    assert notes(decoder(12)) == {"layers": "12 distinct, same structure"}
    assert notes(decoder(2)) == {}


def test_an_edited_block_is_not_folded_with_the_others() -> None:
    before = decoder(9)
    found = notes(before, doubled(before, "blocks.4.mlp.post"))
    assert found == dict.fromkeys(
        ("layers.0 – layers.3", "layers.5 – layers.8"), "4 distinct, same structure"
    )


def test_shared_parameters_are_said_to_be_the_same() -> None:
    def cells(cell: Cell) -> list[str]:
        return [inner.note for inner in cell.walk() if inner.note]

    graph = decoder(3)
    first = {p.name.partition("layers.0.")[2]: p.value for p in graph.parameters}
    tied = {
        p.value: first.get(p.name.rpartition(".layers.")[2][2:], p.value) for p in graph.parameters
    }
    rewired = [evolve(n, inputs=tuple(tied.get(v, v) for v in n.inputs)) for n in graph.nodes]
    assert cells(scene(graph.evolve(nodes=tuple(rewired))).cells[0]) == ["×3 same parameters"]


def test_a_folded_block_opens_into_its_instances(open_page: Open) -> None:
    view = viz.graph(decoder(12))
    assert "12 distinct, same structure" in view.to_svg()
    page = open_page(view)
    page.get_by_role("treeitem", name="layers", exact=False).first.wait_for()
    assert "layers" in shown(page)
    page.locator(".row").get_by_text("layers", exact=True).dblclick()
    assert {f"layers.{i}" for i in range(12)} <= {*shown(page)}


@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_the_open_picture_is_saved(open_page: Open, tmp_path: Path, kind: str) -> None:
    graph = named("<b>&\"'", "plain")
    page = open_page(viz.graph(graph, overlay={graph.nodes[0]: 2.0}))
    page.get_by_role("button", name="Open all groups").click()
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save as {kind}").click()
    file = tmp_path / "saved"
    download.value.save_as(file)
    assert download.value.suggested_filename.endswith(f".{kind.lower()}")
    if kind == "PNG":
        assert file.read_bytes().startswith(b"\x89PNG")
        return
    root = ET.parse(file).getroot()
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "path", "text", "clipPath"}
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "<b>&\"'" in words
    assert "tanh" in words


def test_the_address_leads_back_to_what_was_open(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(4)))
    page.keyboard.press("/")
    page.keyboard.type("blocks.2.attn.z")
    page.keyboard.press("Enter")
    page.locator(".legend").get_by_role("button", name="heads:2").click()
    before = shown(page)
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    page.locator(".inspected h2").wait_for()  # it is selected as soon as the page has a size
    assert selected(page) == "attention"
    assert shown(page) == before
    assert page.locator(".legend [aria-pressed=true]").inner_text() == "heads:2"


@pytest.mark.parametrize("words", ["of=1&open=zz", "of=NaN", "open=%00&at=-5", "<script>", "of"])
def test_an_odd_address_is_left_aside(open_page: Open, words: str) -> None:
    page = open_page(viz.graph(decoder(2)))
    count = state(page, "app.model.count")
    page.goto("about:blank")
    page.go_back()
    page.evaluate(
        f"location.hash = 'of={count}&at=99999999&axis=-2&step=x&open=-1..zzzz&' + {words!r}"
    )
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    assert selected(page) == ""
    assert state(page, "app.scene.axis") == -1
    assert state(page, "graftwork.boxes") >= 2


def test_forced_colours_paint_with_the_systems_own(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(2), overlay={"embed": 1.0}), forced_colors="active")
    colours = page.evaluate(
        """() => { const c = document.querySelector('canvas'); const d =
          c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Map();
          for (let i = 0; i < d.length; i += 4) { const k = `${d[i]},${d[i+1]},${d[i+2]}`;
            seen.set(k, (seen.get(k) ?? 0) + 1); }
          return [...seen].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([k]) => k); }"""
    )
    assert all(len(set(colour.split(","))) == 1 for colour in colours)
