"""Heads beside one another: arcs to the keys of their largest shares, and groups of like ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graph_page import settled
from playwright.sync_api import Page
from test_attention_picture import WORDS, layers, pattern, shares
from test_axe import violations
from test_hostile import LONG, PAYLOADS

import graftwork as gw
from graftwork import viz
from graftwork.viz.heads import Heads
from graftwork.viz.likeness import groups_of, overlaps

Open = Callable[..., Page]
AXES = ("seq", "kv_seq")


def arcs(page: Page, label: str = "3 arcs each") -> None:
    page.get_by_label("Show heads").select_option(label=label)


def colours(page: Page) -> int:
    """How many colours stand between the two columns of tokens."""
    return page.locator(".arcs canvas").evaluate(
        """(c) => { const context = c.getContext('2d'), middle = c.width / 2 - 20;
          const d = context.getImageData(middle, 0, 40, c.height).data;
          const seen = new Set();
          for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i+1] << 8) | d[i+2]);
          return seen.size }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_arcs_lead_to_the_keys_of_the_largest_shares(open_page: Open, scheme: str) -> None:
    given = layers()
    page = open_page(viz.attention(given, WORDS), color_scheme=scheme)
    arcs(page)
    first = np.round(255 * np.asarray(given["blocks.0.attn.pattern"])[0, :, 0])
    count = np.minimum((first > 0).sum(-1), 3).sum()
    page.wait_for_selector(f"[data-drawn='{count} arcs']")
    assert colours(page) > 20
    arcs(page, "1 arc each")
    page.wait_for_selector("[data-drawn='6 arcs']")
    assert violations(page) == []


def test_a_head_is_a_table_with_nothing_where_keys_are_hidden(open_page: Open) -> None:
    given = layers()
    page = open_page(viz.attention(given, WORDS))
    for _ in range(4):
        page.keyboard.press("a")
    assert page.get_by_role("status").inner_text() == "Heads as a table"
    rows = page.get_by_role("table").get_by_role("row").all_inner_texts()
    assert len(rows) == 7
    shares = np.asarray(given["blocks.0.attn.pattern"])[0, :, 0]
    cells = [row.split("\t") for row in rows[1:]]
    for query, row in enumerate(cells):
        told = [float(cell.replace("−", "-")) for cell in row[1 : query + 2]]
        assert told == pytest.approx(shares[query, : query + 1].tolist(), abs=1 / 500)
        assert [cell for cell in row[query + 2 :] if cell] == []
    assert violations(page) == []


def test_arcs_are_walked_and_held_by_keys_and_pointer(open_page: Open) -> None:
    page = open_page(viz.attention(layers(), WORDS))
    page.keyboard.press("a")
    page.locator(".arcs").focus()
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    said = page.get_by_role("status")
    assert said.inner_text().startswith("“ sat” is attended by")
    page.keyboard.press("Enter")
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "2"
    page.keyboard.press("End")
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "2"
    page.keyboard.press("Escape")
    page.locator(".arcs").hover(position={"x": 10, "y": 24 + 18 * 4 + 9})
    assert said.inner_text().startswith("“ on” attends to")
    page.locator(".thumbnail").nth(3).click(modifiers=["Shift"])
    settled(page)
    assert page.locator(".arcs").count() == 2
    page.keyboard.press("a")
    assert "3 arcs each" in said.inner_text()


def test_arcs_of_a_difference_show_what_either_source_has(open_page: Open) -> None:
    one = np.eye(4)
    other = one[::-1]
    view = viz.attention(
        gw.NamedArray(one, AXES), list("abcd"), other=gw.NamedArray(other.copy(), AXES)
    )
    page = open_page(view)
    page.get_by_label("Show", exact=True).select_option(label="difference")
    arcs(page)
    page.wait_for_selector("[data-drawn='8 arcs']")


def test_hostile_tokens_beside_arcs_are_inert(open_page: Open) -> None:
    words = [*PAYLOADS, *LONG]
    page = open_page(viz.attention(pattern(2, len(words), len(words)), words))
    arcs(page, "10 arcs each")
    page.wait_for_selector(".arcs[data-drawn]")
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    width = page.locator(".arcs").evaluate("(arcs) => arcs.scrollWidth - arcs.clientWidth")
    assert width <= 0


def heads(*patterns: np.ndarray) -> list[Heads]:
    """A layer of one head for each pattern."""
    return [Heads(str(i), i, x[None, None], AXES) for i, x in enumerate(patterns)]


def test_overlaps_are_those_of_distributions() -> None:
    one, other = shares(9, 9, seed=1), shares(9, 9, seed=2)
    found = overlaps(heads(one, other, np.zeros((9, 9))))
    assert found[0, 1] == pytest.approx(np.sqrt(one * other).sum(-1).mean(), rel=1e-5)
    np.testing.assert_allclose(np.diagonal(found), [1, 1, 0], rtol=1e-5)
    first = np.tile(np.eye(9)[0], (9, 1))
    last = np.tile(np.eye(9)[8], (9, 1))
    assert overlaps(heads(first, last))[0, 1] == 0


def test_like_heads_are_in_one_group_and_others_at_the_end() -> None:
    same, before = np.eye(12), np.eye(12, k=-1) + np.eye(12)[0][:, None] * np.eye(12)[0]
    noise = 0.05 * shares(5, 12, 12, sharpness=1.0)
    mixed = [0.95 * x + n for x, n in zip((same, before, same, before, same), noise, strict=True)]
    alone = shares(12, 12, sharpness=0.0)
    found = groups_of(heads(mixed[0], alone, *mixed[1:]))
    assert sorted(map(sorted, found[:2])) == [[0, 3, 5], [2, 4]]
    assert found[2:] == [[1]]
    assert groups_of(heads(same)) == [[0]]


def test_heads_are_shown_by_likeness(open_page: Open) -> None:
    same, before = np.eye(6), np.eye(6, k=-1) + np.eye(6)[0][:, None] * np.eye(6)[0]
    even = np.tri(6) / np.tri(6).sum(-1, keepdims=True)
    given = np.stack([np.stack(pair) for pair in ((same, before), (before, even), (same, same))])
    page = open_page(viz.attention(gw.NamedArray(given, ("layer", "heads", *AXES)), WORDS))
    page.keyboard.press("s")
    assert page.get_by_label("Sort heads by").input_value() == "-2"
    groups: dict[str, set[str]] = {}
    for label in page.locator(".thumbnail").all():
        head, _, group = (label.get_attribute("aria-label") or "").partition(", ")
        groups.setdefault(group, set()).add(head)
    assert groups.pop("like no other") == {"layer 1 head 1"}
    assert sorted(groups) == ["group 1", "group 2"]
    assert sorted(groups.values(), key=len) == [
        {"layer 0 head 1", "layer 1 head 0"},
        {"layer 0 head 0", "layer 2 head 0", "layer 2 head 1"},
    ]
    titles = [x.get_attribute("title") for x in page.get_by_role("rowheader").all()]
    assert titles[-1] == "like no other"
    assert len(titles) == 4
    assert violations(page) == []
