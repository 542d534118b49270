"""The logit lens in a browser: its cells say what the pass says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from attrs import evolve
from lm_graphs import IDS, VOCABULARY, marked, shares, small
from playwright.sync_api import Page
from test_axe import SCHEMES, violations
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


def compared(names: tuple[str, str] = ("clean", "ablated"), **options: object) -> viz.View:
    edited = small().apply(p.Ablate("blocks.1.attn.z", where={"heads": 0}))
    return lens(other=edited, names=names, **options)


def ablated(site: str) -> np.ndarray:
    graph = small().apply(p.Ablate("blocks.1.attn.z", where={"heads": 0}), p.LogitLens(site))
    out = gw.compile(graph, "numpy")(input_ids=np.array([IDS]))
    return shares(np.asarray(out[f"lens.{site}"])[0])


def test_two_runs_stand_side_by_side_with_one_cursor(open_page: Open) -> None:
    page = open_page(compared(top=3))
    assert page.locator(".facet h3").all_inner_texts() == ["clean", "ablated"]
    page.locator(".matrix").nth(1).focus()
    for key in ("PageUp", "Home", "ArrowRight"):
        page.keyboard.press(key)
    said = [bar.inner_text() for bar in page.locator(".bars .bar-word").all()]
    for words, found in ((said[:3], exact), (said[3:], ablated)):
        best = np.argsort(-found("blocks.1.resid_post")[1])[:3]
        assert words == [marked(VOCABULARY[i]) for i in best]
    one, other = exact("blocks.1.resid_post")[1], ablated("blocks.1.resid_post")[1]
    bits = (one * np.log2(one / other)).sum()
    text = page.locator(".said p").nth(1).inner_text()
    assert text.endswith("bits from clean to ablated")
    assert float(text.split()[0]) == pytest.approx(bits, rel=2e-3)
    page.keyboard.press("Enter")
    page.locator(".matrix").first.focus()
    page.keyboard.press("End")
    assert page.locator(".said h3").inner_text().startswith("·cat  1, layer 1")


def test_a_difference_says_what_is_taken_from_what(open_page: Open) -> None:
    page = open_page(compared(targets=[7]))
    page.keyboard.press("r")
    assert page.locator(".matrix").count() == 1
    legend = page.locator(".legend-bar")
    assert "Kullback-Leibler divergence (bits)" in legend.inner_text()
    chosen = page.get_by_label("Colour by").locator("option").first
    assert chosen.inner_text() in legend.inner_text()
    page.get_by_label("Target", exact=True).select_option(label=" w1")
    assert "probability of the target: clean − ablated" in legend.inner_text()
    ends = [float(end.replace("−", "-")) for end in legend.locator("span").all_inner_texts()[1:]]
    assert ends[0] == -ends[1] < 0
    page.get_by_role("button", name="Show the grid as a table").click()
    last = page.get_by_role("table").get_by_role("row").nth(1).get_by_role("cell").last.inner_text()
    one, other = exact("blocks.1.resid_post")[5], ablated("blocks.1.resid_post")[5]
    shown = float(last.split()[-1].replace("−", "-"))
    assert shown == pytest.approx(one[7] - other[7], rel=1e-3, abs=1e-6)
    best = [VOCABULARY[run.argmax()].strip() for run in (one, other)]
    assert last.startswith("|".join(dict.fromkeys(best)))
    page.keyboard.press("r")
    assert page.get_by_role("status").inner_text() == "clean"


def test_another_prompt_is_compared_with_the_targets_of_the_first(open_page: Open) -> None:
    other = [*IDS[:2], 9, *IDS[3:]]
    page = open_page(lens(other_inputs={"input_ids": other}))
    go_to = page.locator(".matrix").first
    for key in ("PageUp", "Home", "ArrowRight", "ArrowRight"):
        go_to.press(key)
    assert page.locator(".said h3").inner_text().startswith(f"sat|{VOCABULARY[9].strip()} ")
    terms = page.locator(".said dt").all_inner_texts()
    values = page.locator(".said dd").all_inner_texts()
    ranks = [value for term, value in zip(terms, values, strict=True) if term == "its rank"]
    graph = small().apply(p.LogitLens("blocks.1.resid_post"))
    out = gw.compile(graph, "numpy")(input_ids=np.array([other]))
    moved = shares(np.asarray(out["lens.blocks.1.resid_post"])[0])[2]
    target = exact("blocks.1.resid_post")[2].argmax()
    assert ranks == ["1", str(1 + int((moved > moved[target]).sum()))]


@pytest.mark.parametrize("shown", ["side by side", "clean − ablated"])
def test_a_comparison_breaks_no_rule(open_page: Open, shown: str) -> None:
    page = open_page(compared())
    page.get_by_label("Show", exact=True).select_option(label=shown)
    for scheme in SCHEMES:
        page.emulate_media(**scheme)
        assert violations(page) == [], scheme


def test_hostile_names_of_runs_are_inert(open_page: Open) -> None:
    names = ("<img src=x onerror=window.__xss=1>", "\u202e</script>")
    view = compared(names)
    pictures = [image.get("href") for image in ET.fromstring(view.svg).iter() if image.get("href")]
    assert len(pictures) == 2
    page = open_page(view)
    go_to = page.get_by_label("Show", exact=True)
    for value in "0123":
        go_to.select_option(value)
        page.locator(".matrix").first.press("Home")
    assert page.evaluate("window.__xss") is None
    assert "\u202e" not in page.locator("body").inner_text()
    assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0


def test_runs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match="3 tokens and one of 6"):
        lens(other_inputs={"input_ids": IDS[:3]})
    with pytest.raises(InputError, match="by another name"):
        lens(other={"input_ids": IDS})
    shorter = small().apply(p.Collect("blocks.0.resid_post"))
    shorter = shorter.evolve(sites=evolve(shorter.sites, table={}))
    with pytest.raises(SelectionError, match="no recognised blocks"):
        lens(other=shorter)
