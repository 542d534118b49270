"""Coloured tokens in a browser: numbers, what was predicted, keys, and names that mean harm."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from playwright.sync_api import Page
from test_hostile import LONG, PAYLOADS

import graftwork as gw
from graftwork import viz
from graftwork.ir.errors import InputError

Open = Callable[..., Page]
VOCABULARY = ["the", " cat", " sat", "\n", " on", " mat", "<b>", " "]
IDS = np.array([0, 1, 2, 4, 3])


def logits() -> gw.NamedArray:
    numbers = np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32) * 3
    return gw.NamedArray(numbers, ("batch", "seq", "vocab"))


def rows(page: Page) -> dict[str, str]:
    """The numbers of the card."""
    names = page.locator(".said dt").all_inner_texts()
    return dict(zip(names, page.locator(".said dd").all_inner_texts(), strict=True))


def test_a_token_shows_what_was_predicted_in_its_place(open_page: Open) -> None:
    page = open_page(viz.tokens((VOCABULARY, IDS), logits=logits(), top=8))
    page.locator(".token").nth(3).hover()
    exact = np.asarray(logits())[0, 2].astype(np.float64)
    shares = np.exp(exact) / np.exp(exact).sum()
    order = np.argsort(-shares)
    card = rows(page)
    assert float(card["probability"]) == pytest.approx(shares[4], rel=1e-3)
    assert float(card["log probability"].replace("−", "-")) == pytest.approx(
        np.log(shares[4]), 1e-3
    )
    entropy = -(shares * np.log2(shares)).sum()
    assert float(card["entropy"]) == pytest.approx(entropy, rel=1e-3)
    assert int(card["rank"]) == 1 + int(np.flatnonzero(order == 4)[0])
    bars = page.get_by_role("list", name="Predicted in its place").get_by_role("listitem")
    words = [bar.locator(".bar-word").inner_text() for bar in bars.all()]
    spelled = [VOCABULARY[i].replace("\n", "\\n").replace(" ", "·") for i in order]
    assert words == spelled
    assert page.locator(".bars .marked .bar-word").inner_text() == "·on"


def test_the_first_token_was_not_predicted(open_page: Open) -> None:
    page = open_page(viz.tokens((VOCABULARY, IDS), logits=logits()))
    page.locator(".token").first.hover()
    assert rows(page) == {}
    assert page.locator(".bars").count() == 0


def test_tokens_go_by_keys_and_are_said(open_page: Open) -> None:
    page = open_page(viz.tokens((VOCABULARY, IDS), {"length": [3, 4, 4, 3, 1]}, logits=logits()))
    page.keyboard.press("/")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("status").inner_text().startswith("“ cat”, length 4; predicted “")
    page.keyboard.press("v")
    page.keyboard.press("v")
    assert page.get_by_label("Colour by").input_value() == "2"
    page.keyboard.press("Enter")
    page.locator(".token").nth(4).hover()
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "1"
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    selected = page.locator(".token[aria-selected=true]")
    assert (selected.get_attribute("aria-label") or "").startswith("4 \\n, ")
    assert selected.inner_text() == "\\n"


def test_colours_follow_the_numbers_in_light_and_dark(open_page: Open) -> None:
    view = viz.tokens(["a", "b", "c"], np.array([-1.0, np.nan, 1.0]))
    for scheme in ("light", "dark"):
        page = open_page(view, color_scheme=scheme)
        colours = [t.evaluate("e => e.style.backgroundColor") for t in page.locator(".token").all()]
        assert colours[1] == ""
        red, _, blue = (int(c) for c in colours[0].removeprefix("rgb(")[:-1].split(","))
        assert red > blue
        red, _, blue = (int(c) for c in colours[2].removeprefix("rgb(")[:-1].split(","))
        assert blue > red


def test_hostile_tokens_are_inert(open_page: Open) -> None:
    words = [*PAYLOADS, *LONG]
    view = viz.tokens(words, {PAYLOADS[0]: np.arange(len(words)), "": np.arange(len(words))})
    ET.fromstring(view.svg)
    page = open_page(view)
    for token in page.locator(".token").all()[:8]:
        token.click()
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text()


def test_without_scripts_the_tokens_stand_still(open_page: Open) -> None:
    view = viz.tokens([" a", "b\n"] * 100, np.arange(200))
    page = open_page(view, ready="", java_script_enabled=False)
    assert page.locator("img.still").is_visible()
    text = [x.text for x in ET.fromstring(view.svg).iter() if x.tag.endswith("}text")]
    assert text[1:3] == ["·a", "b\\n"]
    assert len(text) == 201


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="values= or logits="):
        viz.tokens(["a"])
    with pytest.raises(InputError, match="there are 2 tokens"):
        viz.tokens(["a", "b"], [1.0])
    with pytest.raises(InputError, match=r"\(tokenizer, ids\)"):
        viz.tokens(list("abcde"), logits=logits())
    with pytest.raises(InputError, match="5 positions, and there are 3 tokens"):
        viz.tokens((VOCABULARY, IDS[:3]), logits=logits())
