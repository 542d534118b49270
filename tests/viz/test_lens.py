"""The logit lens in a browser: its cells say what the pass says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from lm_graphs import IDS, VOCABULARY, marked, shares, small
from playwright.sync_api import Page
from test_hostile import PAYLOADS

import graftwork as gw
from graftwork import passes as p
from graftwork import viz
from graftwork.ir.errors import InputError, SelectionError

Open = Callable[..., Page]


def lens(words: Sequence[str] = VOCABULARY, **options: object) -> viz.View:
    return gw.viz.logit_lens(small(), IDS, words, backend="numpy", **options)


def exact(site: str) -> np.ndarray:
    """Probabilities over positions and vocabulary."""
    graph = small().apply(p.LogitLens(site))
    out = gw.compile(graph, "numpy")(input_ids=np.array([IDS]))
    return shares(np.asarray(out[f"lens.{site}"])[0])


def rows(page: Page) -> dict[str, str]:
    names = page.locator(".said dt").all_inner_texts()
    return dict(zip(names, page.locator(".said dd").all_inner_texts(), strict=True))


def go(page: Page, *keys: str) -> None:
    page.locator(".matrix").focus()
    for key in keys:
        page.keyboard.press(key)


def test_a_cell_gives_what_the_model_would_say(open_page: Open) -> None:
    page = open_page(lens(top=5))
    go(page, "PageDown", "Home", "ArrowUp", "ArrowRight", "ArrowRight")
    found = exact("blocks.0.resid_post")[2]
    order = np.argsort(-found)[:5]
    words = [bar.inner_text() for bar in page.locator(".bars .bar-word").all()]
    assert words == [marked(VOCABULARY[i]) for i in order]
    said = page.get_by_role("status").inner_text()
    best = VOCABULARY[order[0]].encode("unicode_escape").decode()
    assert said.startswith(f"layer 0, 2 “ sat”: “{best}” ")
    entropy = -(found * np.log2(found)).sum()
    assert float(rows(page)["entropy"].removesuffix(" bits")) == pytest.approx(entropy, rel=1e-3)
    assert page.locator(".said h3").inner_text() == "·sat  2, layer 0"


def test_targets_have_probabilities_and_ranks(open_page: Open) -> None:
    page = open_page(lens(targets=[7]))
    go(page, "PageUp", "Home", "ArrowRight")
    found = exact("blocks.1.resid_post")[1]
    assert rows(page)["its rank"] == "1"
    for target, token in (("the token that comes", IDS[2]), (" w1", 7)):
        page.get_by_label("Target", exact=True).select_option(label=target)
        assert rows(page)["its rank"] == str(1 + int((found > found[token]).sum()))
    colours = page.get_by_label("Colour by")
    assert colours.input_value() == "2"
    colours.select_option("3")
    label = page.locator(".profile").get_attribute("aria-label") or ""
    last = float(label.rpartition(", ")[2])
    assert last == pytest.approx(np.log10(1 + (found > found[7]).sum()), abs=1e-3)


def test_a_cell_is_held_and_told_to_other_pictures(open_page: Open) -> None:
    page = open_page(viz.page([lens(), viz.tokens((VOCABULARY, IDS), range(6))]))
    go(page, "PageUp", "Home", "ArrowDown", "ArrowRight", "Enter")
    page.locator(".matrix").press("End")
    assert page.locator(".lens .said h3").inner_text().startswith("·cat  1, layer 0")
    assert page.locator(".tokens [data-state=locked]").get_attribute("data-at") == "1"
    page.locator(".tokens .token").nth(4).click()
    assert page.locator(".lens .said h3").inner_text().startswith("<b>  4, layer 0")


def test_the_grid_is_a_table_as_well(open_page: Open) -> None:
    page = open_page(lens())
    page.get_by_role("button", name="Show the grid as a table").click()
    cells = page.get_by_role("table").get_by_role("cell")
    assert cells.count() == 3 * 6
    best = exact("blocks.1.resid_post")[0]
    word, _, number = cells.first.inner_text().rpartition(" ")
    assert word == VOCABULARY[best.argmax()].strip()
    assert float(number) == pytest.approx(best.max(), rel=1e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_grid_is_painted(open_page: Open, scheme: str) -> None:
    page = open_page(lens(), color_scheme=scheme)
    page.wait_for_selector("[data-drawn='3x6']")
    colours = page.evaluate(
        """() => { const c = document.querySelector('.matrix canvas'); const d =
          c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Set();
          for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i+1] << 8) | d[i+2]);
          return seen.size }"""
    )
    assert colours > 30


def test_hostile_vocabularies_are_inert(open_page: Open) -> None:
    view = lens((PAYLOADS * 2)[:40], targets=[0, 5])
    tags = {x.tag.rpartition("}")[2] for x in ET.fromstring(view.svg).iter()}
    assert tags <= {"svg", "title", "style", "g", "rect", "text"}
    page = open_page(view)
    go(page, "Home", "Enter")
    page.get_by_role("button", name="Show the grid as a table").click()
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0


def test_without_scripts_the_grid_stands_still(open_page: Open) -> None:
    view = lens()
    page = open_page(view, ready="", java_script_enabled=False)
    assert page.locator("img.still").is_visible()
    assert "<b>" in [x.text for x in ET.fromstring(view.svg).iter()] or "&lt;b&gt;" in view.svg


def test_what_is_no_prompt_of_a_language_model_is_refused() -> None:
    with pytest.raises(InputError, match="2 prompts"):
        gw.viz.logit_lens(small(), [IDS, IDS], VOCABULARY, backend="numpy")
    with pytest.raises(SelectionError):
        lens(site="blocks.9.resid_post")
    hidden = small().apply(p.Collect("blocks.0.resid_post"))
    hidden = hidden.evolve(outputs=hidden.outputs[1:])
    with pytest.raises(InputError, match="output logits"):
        gw.viz.logit_lens(hidden, IDS, VOCABULARY)
