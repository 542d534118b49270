"""The address of a saved picture leads back to what its reader chose, and an odd one to nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graph_page import settled
from lm_graphs import IDS, VOCABULARY, small
from pictures import PICTURES
from playwright.sync_api import Page

import graftwork as gw
from graftwork import viz

Open = Callable[..., Page]
SINGLE = [name for name in PICTURES if name != "page"]
ODD = {
    "heads": "-1.x.99999", "root": "99", "above": "NaN", "level": "1e9", "at": "-3", "row": "999",
    "by": "77", "run": "8", "target": "6.5", "array": "12", "picked": "1.2.3.4.5.6.7", "side": "2",
    "other": "1e99", "example": "<b>", "show": "%00", "form": "11", "order": "__proto__",
    "rows": "toString", "columns": "\u202e", "facet": "constructor", "table": "1", "stretch": "1",
}  # fmt: skip


def again(page: Page) -> None:
    """Opens the page anew, at its address, when that says all."""
    page.wait_for_timeout(200)  # the address is kept behind what is done
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    settled(page)


def chosen(page: Page, label: str) -> str:
    choice = page.get_by_label(label, exact=True)
    return str(choice.evaluate("(choice) => choice.selectedOptions[0].text"))


def test_of_attention_heads_form_order_and_cell_are_found_again(open_page: Open) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 3, 6)).astype(np.float32)
    heads = gw.NamedArray(scores, ("layer", "heads", "seq", "kv_seq"))
    page = open_page(viz.attention(heads, list("abcdef"), other=heads))
    page.locator(".thumbnail").nth(4).click()
    page.locator(".thumbnail").nth(1).click(modifiers=["Shift"])
    for key in "svc":
        page.keyboard.press(key)
    page.locator(".matrix").first.focus()
    for key in ("Home", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    facets = page.locator(".facet h3").all_inner_texts()
    held = page.locator("[data-state=locked]").first.get_attribute("data-at")
    drawn = page.locator(".matrix canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    order, source = chosen(page, "Sort heads by"), chosen(page, "Show")
    assert order != "as in the model"
    again(page)
    assert page.locator(".facet h3").all_inner_texts() == facets
    assert page.locator("[data-state=locked]").first.get_attribute("data-at") == held
    found = page.locator(".matrix canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    assert found == drawn
    assert (chosen(page, "Sort heads by"), chosen(page, "Show")) == (order, source)
    stretch = page.get_by_role("button", name="Stretch the colours")
    assert stretch.get_attribute("aria-pressed") == "true"


def test_of_a_lens_cell_number_target_and_table_are(open_page: Open) -> None:
    view = viz.logit_lens(
        small(), IDS, VOCABULARY, backend="numpy", other_inputs={"input_ids": IDS[::-1]}
    )
    page = open_page(view)
    page.locator(".matrix").first.focus()
    for key in ("Home", "ArrowDown", "Enter", "v", "v", "r"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Show the grid as a table").click()
    card, table = page.locator(".said").inner_text(), page.locator("table").inner_text()
    run, number = chosen(page, "Show"), chosen(page, "Colour by")
    again(page)
    assert (chosen(page, "Show"), chosen(page, "Colour by")) == (run, number)
    assert page.locator(".said").inner_text() == card
    assert page.locator("table").inner_text() == table


def test_of_a_flow_root_threshold_node_and_table_are(open_page: Open) -> None:
    page = open_page(viz.flow(small(), IDS, VOCABULARY, backend="numpy"))
    page.locator(".flow .roots .token").nth(3).click()
    page.locator(".flow-stage").focus()
    for key in ("]", "]", "Enter", "ArrowDown"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Show the routes as a table").click()
    card, level = page.locator(".flow .said").inner_text(), page.locator(".level").inner_text()
    table = page.locator("table").inner_text()
    again(page)
    assert page.locator(".flow .said").inner_text() == card
    assert page.locator(".level").inner_text() == level
    assert page.locator("table").inner_text() == table


def test_of_tokens_the_number_and_the_token_that_is_held_are(open_page: Open) -> None:
    page = open_page(PICTURES["tokens"]())
    page.keyboard.press("v")
    page.locator(".token").nth(2).click()
    card = page.locator(".said").inner_text()
    again(page)
    assert page.locator(".said").inner_text() == card
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "2"


def test_of_arrays_axes_slices_and_the_picked_cell_are(open_page: Open) -> None:
    numbers = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    named = gw.NamedArray(numbers, ("batch", "heads", "seq", "embed"))
    page = open_page(viz.array({"one": named, "two": named + 1}))
    page.get_by_label("Side by side").select_option(label="heads")
    page.get_by_label("Array", exact=True).select_option(label="two")
    page.get_by_label("Rows").select_option(label="batch")
    page.get_by_label("seq", exact=True).fill("2")
    page.locator(".matrix").nth(1).focus()
    for key in ("Home", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    card, controls = page.locator(".card").inner_text(), page.locator(".controls").inner_text()
    assert "two" in card
    again(page)
    assert page.locator(".card").inner_text() == card
    assert page.locator(".controls").inner_text() == controls
    assert page.get_by_label("seq", exact=True).input_value() == "2"


def test_a_heat_map_keeps_its_contours(open_page: Open) -> None:
    page = open_page(PICTURES["heatmap"]())
    page.keyboard.press("c")
    again(page)
    contours = page.get_by_role("button", name="Lines of equal numbers")
    assert contours.get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("name", SINGLE)
def test_an_odd_address_changes_nothing(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name]())
    plain = page.locator("main").inner_text()
    numbers = "&".join(f"{word}={odd}" for word, odd in ODD.items())
    page.evaluate(f"location.hash = {numbers!r}")
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    assert page.locator("main").inner_text() == plain


def test_each_picture_of_a_page_is_found_again(open_page: Open) -> None:
    page = open_page(PICTURES["page"]())
    page.locator(".stage").focus()
    for key in ("ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.locator(".matrix").focus()
    for key in ("Home", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    card, title = page.locator(".card").inner_text(), page.locator(".inspected h2").inner_text()
    again(page)
    assert page.locator(".card").inner_text() == card
    assert page.locator(".inspected h2").inner_text() == title
