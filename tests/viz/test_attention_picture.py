"""Attention in a browser: tokens that are pointed at, heads that are chosen, and what is stored."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from attrs import evolve
from graph_page import settled
from playwright.sync_api import Page
from test_hostile import LONG, PAYLOADS

import graftwork as gw
from graftwork import viz
from graftwork.ir.errors import AxisError, InputError

Open = Callable[..., Page]
WORDS = [" The", " cat", " sat", "\n", " on", "  "]


def shares(*sizes: int, causal: bool = True, seed: int = 0, sharpness: float = 2.0) -> np.ndarray:
    """Random attention; the last two axes are queries and keys."""
    logits = np.random.default_rng(seed).normal(size=sizes) * sharpness
    if causal:
        logits = np.where(np.tri(*sizes[-2:], sizes[-1] - sizes[-2], dtype=bool), logits, -np.inf)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True), np.float32)


def pattern(*sizes: int, axes: str = "heads seq kv_seq", **options: object) -> gw.NamedArray:
    return gw.NamedArray(shares(*sizes, **options), tuple(axes.split()))


def layers(count: int = 3, **options: int) -> dict[str, gw.NamedArray]:
    """Patterns by site, as a run gives them, with an output that is none."""
    found = {
        f"blocks.{i}.attn.pattern": pattern(1, 6, 2, 6, axes="batch seq heads kv_seq", seed=i)
        for i in range(count)
    }
    for name, x in found.items():
        found[name] = gw.NamedArray(shares(1, 2, 6, 6, seed=ord(name[7])).swapaxes(1, 2), x.axes)
    return {"logits": gw.NamedArray(np.zeros((1, 6, 9)), ("batch", "seq", "vocab")), **found}


def at(found: gw.NamedArray, head: int, query: int, key: int) -> float:
    return float(found[{"batch": 0, "heads": head, "seq": query, "kv_seq": key}].array)


def notes(page: Page) -> list[str]:
    """What the tokens say of themselves."""
    tokens = page.locator(".token").all()
    return [token.get_attribute("aria-label") or "" for token in tokens]


def percent(share: float) -> str:
    share *= 100
    return f"{share:.0f} %" if share >= 9.95 or share == 0 else f"{share:.1f} %"


def test_a_token_shows_what_it_attends_to_and_swapped_what_attends_to_it(open_page: Open) -> None:
    given = layers()
    page = open_page(viz.attention(given, WORDS))
    page.locator(".thumbnail").nth(3).click()
    settled(page)
    page.locator(".token").nth(4).hover()
    exact = given["blocks.1.attn.pattern"]
    found = notes(page)
    for key in range(5):
        assert found[key].startswith(f"{key} {WORDS[key]}".replace("\n", "\\n"))
        shown = float(found[key].rpartition(", ")[2].removesuffix(" %"))
        assert shown == pytest.approx(100 * at(exact, 1, 4, key), abs=100 / 510 + 0.51)
    assert "%" not in found[5]
    page.keyboard.press("x")
    found = notes(page)
    assert "%" not in found[3]
    assert found[5].endswith(percent(round(255 * at(exact, 1, 5, 4)) / 255))
    assert "is attended by" in page.get_by_role("status").inner_text()


def test_a_click_holds_a_token_until_it_is_let_go(open_page: Open) -> None:
    page = open_page(viz.attention(layers(), WORDS))
    page.locator(".token").nth(2).click()
    page.locator(".token").nth(5).hover()
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "2"
    page.keyboard.press("Escape")
    page.locator(".token").nth(4).hover()
    assert page.locator("[data-state=held]").get_attribute("data-at") == "4"


def test_everything_goes_by_keys(open_page: Open) -> None:
    page = open_page(viz.attention(layers(), WORDS))
    page.locator(".thumbnail[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    chosen = page.locator(".thumbnail[aria-selected=true]")
    assert chosen.get_attribute("aria-label") == "layer 1 head 1"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert chosen.count() == 2
    settled(page)
    assert page.locator(".matrix").count() == 2
    page.keyboard.press("/")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("[data-state=locked]").get_attribute("data-at") == "1"
    assert "mean of 2 heads" in page.locator(".strip-title").inner_text()
    page.keyboard.press("]")
    assert chosen.get_attribute("aria-label") == "layer 2 head 0"
    page.locator(".matrix").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    assert page.get_by_role("status").inner_text().startswith("“ The” attends to")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()


def test_heads_are_sorted_by_a_score(open_page: Open) -> None:
    given = layers()
    page = open_page(viz.attention(given, WORDS))
    page.get_by_label("Sort heads by").select_option(label="the one before")
    ranked = sorted(
        ((i, h) for i in range(3) for h in range(2)),
        key=lambda head: (
            -np.diagonal(
                np.asarray(given[f"blocks.{head[0]}.attn.pattern"])[0, :, head[1]], -1
            ).mean()
        ),
    )
    labels = [x.get_attribute("aria-label") or "" for x in page.locator(".thumbnail").all()]
    assert [f"layer {i} head {h}" for i, h in ranked] == [x.partition(",")[0] for x in labels]


def test_other_patterns_stand_beside_and_are_taken_off(open_page: Open) -> None:
    given = layers()
    other = {
        name.replace("blocks", "flow.blocks").removesuffix(".pattern"): x * 0.5
        for name, x in reversed(given.items())
        if name != "logits"
    }
    view = viz.attention(given, WORDS, other=other, names=("attention", "contribution"))
    page = open_page(view)
    page.get_by_label("Show", exact=True).select_option(label="difference")
    page.locator(".token").nth(0).hover()
    assert notes(page)[0].endswith("50 %")
    page.keyboard.press("Escape")
    page.get_by_label("Show", exact=True).select_option(label="side by side")
    assert page.locator(".matrix").count() == 2
    assert page.locator(".strip").count() == 2
    assert "attention" in page.locator(".facet h3").first.inner_text()
    assert page.locator(".facet h3").nth(1).inner_text().endswith("contribution")


def test_queries_and_keys_may_be_other_tokens(open_page: Open) -> None:
    cross = pattern(2, 3, 2, 5, axes="batch seq heads encoder", causal=False)
    view = viz.attention(cross, (list("abc"), np.array([[0, 1, 2], [2, 1, 0]])), keys=list("vwxyz"))
    page = open_page(view)
    strips = page.get_by_role("listbox")
    assert [s.get_attribute("aria-label") for s in strips.all()] == ["seq", "encoder"]
    assert strips.first.inner_text().split() == ["a", "b", "c"]
    strips.nth(1).locator(".token").nth(4).hover()
    assert all("%" in note for note in notes(page)[:3])
    page.get_by_label("Example").select_option("1")
    assert strips.first.inner_text().split() == ["c", "b", "a"]


def test_pictures_of_a_page_follow_each_other(open_page: Open) -> None:
    given = layers()
    single = viz.attention(given["blocks.2.attn.pattern"], WORDS, site="blocks.2.attn.pattern")
    page = open_page(viz.page([viz.attention(given, WORDS), single]))
    first, second = page.locator(".view").all()
    second.locator(".thumbnail").nth(1).click()
    second.locator(".token").nth(3).click()
    chosen = first.locator(".thumbnail[aria-selected=true]")
    assert chosen.get_attribute("aria-label") == "layer 2 head 1"
    assert first.locator("[data-state=locked]").get_attribute("data-at") == "3"


def first_thumbnail(page: Page) -> np.ndarray:
    """The pixels of the first head of all, 44 in a row."""
    pixels = page.locator(".heads-row canvas").first.evaluate(
        "(c) => [...c.getContext('2d').getImageData(0, 0, 44, c.height).data]"
    )
    return np.array(pixels).reshape(-1, 44, 4)


def test_thumbnails_are_painted_in_light_and_dark(open_page: Open) -> None:
    brightness = []
    for scheme in ("light", "dark"):
        page = open_page(viz.attention(layers(), WORDS), color_scheme=scheme)
        image = first_thumbnail(page)[:, 3::7]  # a key is at least seven pixels wide
        assert image.shape == (6, 6, 4)
        assert len(np.unique(image.reshape(-1, 4), axis=0)) > 8
        brightness.append(image[0, 5, :3].mean())
    assert brightness[0] > 200 > 60 > brightness[1]


@pytest.mark.parametrize(("causal", "sharpness"), [(True, 2.0), (False, 3.0)])
def test_twelve_layers_of_twelve_heads_fit_in_a_megabyte(
    open_page: Open, causal: bool, sharpness: float
) -> None:
    axes = "layer heads seq kv_seq"
    big = pattern(12, 12, 128, 128, axes=axes, causal=causal, sharpness=sharpness)
    view = viz.attention(big, ["x"] * 128)
    assert len(view.html) < 1e6
    page = open_page(view)
    assert page.locator(".thumbnail").count() == 144


def test_a_larger_file_is_refused_unless_it_is_asked_for() -> None:
    big = pattern(4, 12, 128, 128, axes="layer heads seq kv_seq")
    with pytest.raises(InputError, match=r"0\.\d+ MB, more than 0\.1; show fewer.*max_mb=1$"):
        viz.attention(big, ["x"] * 128, max_mb=0.1)


def test_long_texts_are_shown_layer_by_layer(open_page: Open) -> None:
    big = pattern(2, 2, 600, 600, axes="layer heads seq kv_seq", sharpness=6.0)
    page = open_page(viz.attention(big, ["x"] * 600))
    whole = "(m) => [m.scrollWidth <= m.clientWidth, m.scrollHeight <= m.clientHeight]"
    assert page.locator(".matrix").evaluate(whole) == [True, True]
    page.locator(".thumbnail").nth(3).click()
    settled(page)
    page.locator(".token").nth(599).click()
    found = np.array(
        [float(note.rpartition(", ")[2].rstrip(" %").strip("< ")) for note in notes(page)]
    )
    exact = 100 * np.asarray(big)[1, 1, 599]
    assert abs(found - exact).max() <= 100 / 510 + 0.5
    assert found.argmax() == exact.argmax()


def test_only_layers_that_are_looked_at_are_inflated(open_page: Open) -> None:
    view = viz.attention(layers(), WORDS)
    head, first, _, last = view.parts[0].data.split("\n")
    broken = "\n".join((head, first, "no base64!", last))
    page = open_page(viz.View(view.title, (evolve(view.parts[0], data=broken),), None))
    page.locator(".thumbnail").nth(5).click()
    settled(page)
    assert page.locator(".facet h3").inner_text() == "layer 2 head 1"


def test_thumbnails_of_a_difference_show_what_is_farthest_from_nothing(open_page: Open) -> None:
    one, other = shares(1, 88, 88, seed=1), shares(1, 88, 88, seed=2)
    named = [gw.NamedArray(x, ("heads", "seq", "kv_seq")) for x in (one, other)]
    page = open_page(viz.attention(named[0], ["x"] * 88, other=named[1]))
    page.get_by_label("Show", exact=True).select_option(label="difference")
    red, _, blue, _ = first_thumbnail(page).transpose(2, 0, 1)
    tiles = (one - other).reshape(44, 2, 44, 2).transpose(0, 2, 1, 3).reshape(44, 44, 4)
    change = np.take_along_axis(tiles, abs(tiles).argmax(-1)[..., None], -1)[..., 0]
    strong = abs(change) > 0.05
    assert strong.sum() > 50
    assert ((blue > red) == (change > 0))[strong].all()


def test_hostile_tokens_and_sites_are_inert(open_page: Open) -> None:
    words = [*PAYLOADS, *LONG]
    given = {
        payload: pattern(2, len(words), len(words), seed=i) for i, payload in enumerate(PAYLOADS)
    }
    view = viz.attention(given, words, names=("<img src=x onerror=window.__xss=1>", ""))
    ET.fromstring(view.svg)
    page = open_page(view)
    page.locator(".thumbnail").nth(5).click()
    page.locator(".token").first.click()
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text()


def test_without_scripts_the_heads_stand_still(open_page: Open) -> None:
    view = viz.attention(layers(), WORDS)
    page = open_page(view, ready="", java_script_enabled=False)
    box = page.locator("img.still").bounding_box()
    assert box is not None
    assert box["height"] > 60
    tags = {x.tag.rpartition("}")[2] for x in ET.fromstring(view.svg).iter()}
    assert tags <= {"svg", "title", "style", "g", "rect", "text", "mask", "image"}


def test_wrong_patterns_and_tokens_are_refused() -> None:
    given = pattern(2, 6, 6)
    with pytest.raises(InputError, match="'seq' has 6 positions, and there are 5 tokens"):
        viz.attention(given, WORDS[:5])
    with pytest.raises(InputError, match="negative"):
        viz.attention(given - 1.0, WORDS)
    with pytest.raises(AxisError, match=r"\['heads', 'seq'\]"):
        viz.attention(given.mean("kv_seq"), WORDS)
    with pytest.raises(InputError, match="no pattern"):
        viz.attention({"logits": given.mean("kv_seq")}, WORDS)
    with pytest.raises(InputError, match=r"other= has the sizes"):
        viz.attention(given, WORDS, other=pattern(3, 6, 6))
    with pytest.raises(InputError, match=r"other= has nothing for blocks\.0"):
        viz.attention(layers(), WORDS, other={"blocks.7.attn": given, "blocks.8.attn": given})
    with pytest.raises(InputError, match="token 9 is none of the 2"):
        viz.attention(given, (["a", "b"], np.full((1, 6), 9)))
    with pytest.raises(InputError, match="1 examples, and tokens of 2"):
        viz.attention(given, [WORDS, WORDS])
