"""Information-flow routes in a browser: the same as the pass finds, at any threshold and root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from lm_graphs import IDS, VOCABULARY, marked, shares, small
from playwright.sync_api import Page
from test_axe import violations
from test_hostile import PAYLOADS

import graftwork as gw
from graftwork import passes as p
from graftwork import viz
from graftwork.ir.errors import InputError

Open = Callable[..., Page]
Edges = dict[tuple[str, int, str, int], float]


@cache
def flow(words: Sequence[str] = tuple(VOCABULARY), **options: object) -> viz.View:
    return gw.viz.flow(small(), IDS, words, backend="numpy", **options)


@cache
def contributions() -> Mapping[str, gw.NamedArray]:
    graph = small().apply(p.Contributions(), p.LogitLens("blocks.*.resid_*"))
    return gw.compile(graph, "numpy")(input_ids=np.array([IDS]))


def expected(root: int, threshold: float) -> Edges:
    """The edges of the pass; an MLP is on the way from a stream to the next."""
    found: Edges = {}
    graph = p.routes(contributions(), root, threshold=threshold)
    for (source, at), (target, to), edge in graph.edges(data=True):
        if not target.endswith("mlp"):
            found[source, at, target, to] = edge["weight"]
    return found


def drawn(page: Page) -> Edges:
    """The edges of the page, those of attention and of the stream before as one."""
    rows = page.evaluate(
        """() => { const { flow, routes } = graftwork.flow; const rows = [];
          routes.levels.forEach((nodes, level) => { for (const [at, parts] of nodes)
            for (const { kind, from, weight } of parts) rows.push([
              kind === "mlp" ? flow.mlps[level - 1] : flow.streams[level - 1][1], from,
              flow.streams[level][1], at, weight]); });
          return rows; }"""
    )
    found: Edges = {}
    for source, at, target, to, weight in rows:
        found[source, at, target, to] = found.get((source, at, target, to), 0.0) + weight
    return found


def test_routes_are_those_of_the_pass(open_page: Open) -> None:
    page = open_page(flow(threshold=0.04))
    for root, presses in ((5, 0), (5, 5), (3, 0)):
        page.locator(".roots .token").nth(root).click()
        page.locator(".flow-stage").focus()
        for _ in range(presses):
            page.keyboard.press("]")
        threshold = float(page.get_by_label("Threshold").input_value())
        found, exact = drawn(page), expected(root, threshold)
        assert found.keys() == exact.keys()
        assert list(found.values()) == pytest.approx([exact[edge] for edge in found], abs=1e-5)


def test_a_node_says_what_its_stream_would_say_and_what_made_it(open_page: Open) -> None:
    page = open_page(flow())
    page.locator(".flow-stage").focus()
    page.keyboard.press("Enter")
    assert page.locator(".flow .said h3").inner_text() == f"{marked(VOCABULARY[5])}  5"
    found = shares(np.asarray(contributions()["lens.blocks.1.resid_post"])[0, 5])
    bars = page.locator(".flow .bars .bar-word").all_inner_texts()
    assert bars[0] == marked(VOCABULARY[found.argmax()])
    page.keyboard.press("ArrowDown")
    status = page.get_by_role("status").inner_text()
    assert status.startswith("blocks.1.resid_mid, 5 “\\u202e”: says “")
    weights = page.locator(".flow .part b:last-child").all_inner_texts()
    assert all(text.endswith("%") for text in weights[:1])
    assert page.locator(".flow .promoted").count() >= 1


def test_neurons_are_those_that_write_most(open_page: Open) -> None:
    page = open_page(flow())
    page.locator(".flow-stage").focus()
    page.keyboard.press("Enter")
    graph = small().apply(p.Collect("blocks.1.mlp.post"))
    active = np.asarray(gw.compile(graph, "numpy")(input_ids=np.array([IDS]))["blocks.1.mlp.post"])
    circuit = p.neuron_vocabulary(small(), 1)
    sizes = active[0, 5] * np.linalg.norm(np.asarray(circuit.a.order("mlp", "target")), axis=-1)
    best = int(abs(sizes).argmax())
    first = page.locator(".flow section section li, .flow .said section li").first
    assert first.inner_text().startswith(f"neuron {best}")
    scores = np.asarray(circuit.product().order("mlp", "vocab"))[best] * np.sign(sizes[best])
    assert marked(VOCABULARY[scores.argmax()]) in first.inner_text()


def test_a_head_is_shown_in_the_maps_below(open_page: Open) -> None:
    page = open_page(flow())
    page.locator(".flow-stage").focus()
    page.keyboard.press("Enter")
    while not page.locator(".flow .of-part button").count():
        page.keyboard.press("ArrowDown")
    head = page.locator(".flow .of-part button").first
    name = head.get_attribute("title") or ""
    head.click()
    chosen = page.locator(".attention .thumbnail[aria-selected=true]")
    _, number, _, path = name.removeprefix("Show ").split(" ")
    assert chosen.get_attribute("aria-label") == f"layer {path.split('.')[1]} head {number}"
    assert page.locator(".attention [data-state=locked]").count() == 1
    assert (
        page.get_by_label("Show", exact=True).locator("option").all_inner_texts()[1]
        == "contribution"
    )


def test_pointing_at_a_node_tells_of_it_and_a_click_picks_it(open_page: Open) -> None:
    page = open_page(flow())
    box = page.locator(".flow-stage").bounding_box()
    assert box is not None
    place = box["x"] + 54 + 5.5 * 66, box["y"] + 30
    page.mouse.move(*place)
    assert "blocks.1.resid_post, 5" in page.locator(".flow .tip").inner_text()
    page.mouse.click(*place)
    assert page.locator(".flow .said h3").inner_text().endswith("5")
    page.keyboard.press("Escape")
    assert page.locator(".flow .said h3").inner_text() == "No node is picked"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_kinds_of_edges_are_painted(open_page: Open, scheme: str) -> None:
    page = open_page(flow(), color_scheme=scheme)
    page.wait_for_selector(".flow-stage[data-edges]")
    hues = page.evaluate(
        """() => { const c = document.querySelector('.flow-stage canvas'); const d =
          c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let [blue, warm] = [0, 0];
          for (let i = 0; i < d.length; i += 4) {
            blue += d[i + 2] - d[i] > 70; warm += d[i] - d[i + 2] > 70; }
          return [blue, warm] }"""
    )
    assert min(hues) > 40


def test_hostile_vocabularies_are_inert(open_page: Open) -> None:
    view = flow(tuple((PAYLOADS * 2)[:40]))
    ET.fromstring(view.svg)
    page = open_page(view)
    page.locator(".flow-stage").focus()
    for key in ("Enter", "ArrowDown", "ArrowDown", "ArrowLeft", "r"):
        page.keyboard.press(key)
    assert page.evaluate("window.__xss") is None
    assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0


def test_without_scripts_the_routes_stand_still(open_page: Open) -> None:
    view = flow()
    page = open_page(view, ready="", java_script_enabled=False)
    assert page.locator("img.still").first.is_visible()
    paths = [x for x in ET.fromstring(view.parts[0].svg).iter() if x.tag.endswith("}path")]
    exact = expected(5, 0.04)
    assert len(paths) >= len(exact)


def test_a_threshold_below_the_floor_is_refused() -> None:
    with pytest.raises(InputError, match=r"threshold=0\.001"):
        gw.viz.flow(small(), IDS, VOCABULARY, threshold=0.001)


def test_routes_are_a_table_too(open_page: Open) -> None:
    page = open_page(flow(threshold=0.04))
    page.get_by_role("button", name="Show the routes as a table").click()
    assert violations(page) == []
    names = page.evaluate("graftwork.flow.flow.streams.map((s) => s[1])")
    for root in (5, 3):
        page.locator(".roots .token").nth(root).click()
        rows = page.get_by_role("table").get_by_role("row").all_inner_texts()
        head, *body = [row.split("\t") for row in rows]
        assert [row[0] for row in body] == names[::-1]
        places = [int(name.split(" ")[0]) for name in head[1:]]
        told = {
            (stream, at): cell.split(", ")
            for stream, *cells in body
            for at, cell in zip(places, cells, strict=True)
            if cell not in ("", "reached")
        }
        made: dict[tuple[str, int], list[float]] = {}
        for kind, target, at, weight in parts(page):
            assert any(kind in text for text in told[target, at])
            made.setdefault((target, at), []).append(weight)
        shares = {key: [float(text.split("%")[0]) / 100 for text in told[key]] for key in told}
        assert shares == {
            key: pytest.approx(sorted(weights, reverse=True), abs=6e-3)
            for key, weights in made.items()
        }
    page.get_by_role("button", name="Show the routes as a table").click()
    assert page.locator(".flow-stage").is_visible()


def parts(page: Page) -> list[tuple[str, str, int, float]]:
    """What the nodes of the page are made of, as the table calls it."""
    return page.evaluate(
        """() => { const { flow, routes } = graftwork.flow; const rows = [];
          routes.levels.forEach((nodes, level) => { for (const [at, parts] of nodes)
            for (const { kind, from, weight } of parts) rows.push([
              { stay: "stays", mlp: "MLP", move: `from ${from} ` }[kind],
              flow.streams[level][1], at, weight]); });
          return rows; }"""
    )
