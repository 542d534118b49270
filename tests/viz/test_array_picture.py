"""Arrays: statistics, what a small file keeps of large ones, and how they are looked at."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from playwright.sync_api import Page
from test_hostile import PAYLOADS
from viz_graphs import decoder

import graftwork as gw
from graftwork import viz
from graftwork.ir.errors import AxisError, DTypeError, InputError
from graftwork.viz.pooled import blocks_for, pooled
from graftwork.viz.stored import columns_of, kept, step
from graftwork.viz.summary import BINS, summary

Open = Callable[..., Page]
SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=9)
ANY_FLOATS = arrays.arrays(np.float32, SHAPES)
FLOATS = arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32))


def named(array: Any, axes: str = "layer heads seq embed") -> gw.NamedArray:
    return gw.NamedArray(array, tuple(axes.split()[: array.ndim]))


def normal(*sizes: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=sizes).astype(np.float32)


def facts_of(view: viz.View) -> dict[str, Any]:
    raw = zlib.decompress(base64.b64decode(view.parts[0].data))
    return json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])["facts"]


# --- what is kept


@given(SHAPES, st.integers(1, 200))
def test_blocks_leave_few_enough_and_halve_the_longest(shape: tuple[int, ...], most: int) -> None:
    blocks = blocks_for(shape, most)
    left = [-(-extent // block) for extent, block in zip(shape, blocks, strict=True)]
    assert np.prod(left) <= most
    if max(blocks) > 1:
        axis = blocks.index(max(blocks))
        finer = [b // 2 if i == axis else b for i, b in enumerate(blocks)]
        assert np.prod([-(-e // b) for e, b in zip(shape, finer, strict=True)]) > most / 2


@given(FLOATS, st.data())
def test_a_block_becomes_its_furthest_number_or_its_average(array: Any, data: Any) -> None:
    blocks = tuple(data.draw(st.integers(1, 4)) for _ in array.shape)
    far, mean = pooled(array, blocks, "max-abs"), pooled(array, blocks, "mean")
    for place in np.ndindex(far.shape):
        cut = array[tuple(slice(p * b, (p + 1) * b) for p, b in zip(place, blocks, strict=True))]
        assert abs(far[place]) == np.abs(cut).max()
        assert far[place] in cut
        assert mean[place] == pytest.approx(cut.mean(dtype=np.float64), rel=1e-3, abs=1)


def test_a_block_with_a_nan_is_nan() -> None:
    array = np.array([[1.0, np.nan, 3.0, -np.inf]])
    assert np.isnan(pooled(array, (1, 2), "max-abs")).tolist() == [[True, False]]
    assert np.isnan(pooled(array, (1, 2), "mean")).tolist() == [[True, False]]


@given(ANY_FLOATS)
def test_bytes_are_within_half_a_step_and_what_is_beyond_is_exact(array: Any) -> None:
    stored = kept(array, "max-abs", 1e9)
    low, high = -2.0, 3.0
    columns = columns_of(type(stored)(stored.array, stored.blocks, exact=False), low, high)
    codes, apart = np.asarray(columns["codes"]), np.asarray(columns["apart"], np.int64)
    table = np.concatenate([[0, np.nan, -np.inf, np.inf], low + step(low, high) * np.arange(252)])
    back = table[codes]
    back[apart] = np.asarray(columns["numbers"])
    flat = array.reshape(-1)
    inside = (flat >= low) & (flat <= high)
    assert np.all(np.abs(back[inside] - flat[inside]) <= step(low, high) / 2 + 1e-6)
    np.testing.assert_array_equal(back[~inside], flat[~inside])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, ml_dtypes.bfloat16, np.bool_])
@pytest.mark.parametrize("max_mb", [0.2, 0.5])
def test_a_page_stays_below_its_limit(dtype: Any, max_mb: float) -> None:
    array = (100 * normal(600, 700)).clip(0, 250).astype(dtype)
    view = viz.array(named(array), max_mb=max_mb)
    assert len(view.html) < max_mb * 1e6
    (described,) = facts_of(view)["arrays"]
    assert described["dtype"] == np.dtype(dtype).name
    assert described["axes"][0][2] == 600


def test_few_numbers_are_exact_and_many_say_their_error() -> None:
    assert facts_of(viz.array(named(normal(30, 40))))["arrays"][0]["error"] == 0
    facts = facts_of(viz.array(named(normal(300, 400))))
    span = facts["scale"]["high"] - facts["scale"]["low"]
    assert 0 < facts["arrays"][0]["error"] <= span / 500
    assert [axis[3] for axis in facts["arrays"][0]["axes"]] == [1, 1]


# --- statistics


@given(ANY_FLOATS)
def test_statistics_are_those_of_the_finite_elements(array: Any) -> None:
    found, finite = summary(array), array[np.isfinite(array)].astype(np.float64)
    assert found.count == array.size
    assert found.nans == np.isnan(array).sum()
    assert (found.rising, found.falling) == (np.isposinf(array).sum(), np.isneginf(array).sum())
    assert finite.size + found.nans + found.rising + found.falling == array.size
    if finite.size:
        assert (found.low, found.high) == (finite.min(), finite.max())
        assert found.mean == pytest.approx(finite.mean(), rel=1e-6, abs=1e-30)
        assert found.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-30)
        assert found.zeros == (finite == 0).sum()
        assert sum(found.counts) == finite.size


@given(FLOATS)
def test_outliers_are_the_furthest_beyond_six_deviations(array: Any) -> None:
    array = np.concatenate([array.reshape(-1), np.zeros(500, np.float32), [1e7, -2e7]])
    found = summary(array)
    away = np.abs(array.astype(np.float64) - found.mean)
    assert found.far == (away > 6 * found.std).sum()
    assert [number for _, number in found.outliers] == [array[at] for at, _ in found.outliers]
    furthest = [away[at] for at, _ in found.outliers]
    assert furthest == sorted(away, reverse=True)[: len(furthest)]


def test_small_integers_have_a_bar_each() -> None:
    assert summary(np.array([3, 5, 5, 7])).counts == (1, 0, 2, 0, 1)
    assert summary(np.array([True, False, True])).counts == (1, 2)
    assert len(summary(np.array([0.0, 1.0])).counts) == BINS


def test_a_few_far_numbers_do_not_fade_the_others() -> None:
    array = normal(100, 100)
    array[3, 4] = 1e4
    scale = facts_of(viz.array(named(array)))["scale"]
    assert 2 < scale["high"] < 6
    assert scale["low"] == -scale["high"]
    assert facts_of(viz.heatmap(named(array)))["scale"]["high"] == pytest.approx(1e4)


# --- the page


def card(page: Page) -> str:
    return page.locator(".card").inner_text()


def pick(page: Page, *keys: str, matrix: int = 0) -> str:
    page.locator(".matrix").nth(matrix).focus()
    for key in ("Home", "PageUp", *keys, "Enter"):
        page.keyboard.press(key)
    return page.locator(".card .expression").inner_text()


def test_the_last_two_axes_are_shown_and_all_can_be_chosen(open_page: Open) -> None:
    array = normal(2, 3, 4, 5)
    page = open_page(viz.array(named(array)))
    assert page.get_by_label("Rows").input_value() == "seq"
    assert page.locator(".facet h3").all_inner_texts() == ["layer = 0", "layer = 1"]
    page.get_by_role("slider", name="heads").fill("2")
    code = pick(page, "ArrowDown", "ArrowRight", "ArrowRight", matrix=1)
    assert eval(code, {"values": named(array)}) == array[1, 2, 1, 2]
    page.get_by_label("Rows").select_option("embed")
    assert page.get_by_label("Columns").input_value() == "seq"


def test_statistics_marks_and_outliers_are_on_the_card(open_page: Open) -> None:
    array = normal(40, 50)
    array[1, 2], array[3, 4], array[5, 6] = np.nan, -np.inf, 90.0
    page = open_page(viz.array(named(array)))
    text = card(page)
    for words in (
        "float32, layer=40, heads=50",
        "2,000",
        "NaN\n1 (0.05 %)",
        "−∞\n1 (0.05 %)",
        "… 90",
    ):
        assert words in text
    assert page.locator(".colour-bar").inner_text().startswith("≤ −")
    page.get_by_role("button", name="Show the outlier 90").click()
    assert page.locator(".expression").inner_text() == "values[{'layer': 5, 'heads': 6}]"
    assert page.locator(".card h3").first.inner_text() == "90"


def test_a_large_array_is_pooled_and_says_so(open_page: Open) -> None:
    array = normal(2048, 1024)
    array[1001, 3] = 50
    page = open_page(viz.array(named(array), max_mb=0.6))
    assert "Pooled by max-abs: 4 of layer, 2 of heads to one." in card(page)
    assert "Kept to within ±" in card(page)
    page.get_by_role("button", name="Show the outlier 50").click()
    code = page.locator(".expression").inner_text()
    assert code == "values[{'layer': slice(1000, 1004), 'heads': slice(2, 4)}]"
    assert np.abs(eval(code, {"values": named(array)}).array).max() == 50
    drawn = page.locator(".matrix")
    before = drawn.evaluate("(m) => m.querySelector('.extent').clientHeight")
    page.get_by_role("button", name="Larger cells").click()
    page.get_by_role("button", name="Larger cells").click()
    assert drawn.evaluate("(m) => m.querySelector('.extent').clientHeight") > 1.8 * before
    page.get_by_role("button", name="All cells").click()
    assert drawn.evaluate("(m) => m.querySelector('.extent').clientHeight") == before


def test_integers_are_digits_and_ids_are_tokens(open_page: Open) -> None:
    ids = np.array([[5, 0, 12], [-7, 3, 110]])
    page = open_page(viz.array(named(ids)))
    assert page.locator(".colour-bar").count() == 0
    probe = """() => { const {data, width, height} = document.querySelector('.matrix canvas')
        .getContext('2d').getImageData(0, 0, 400, 200); const seen = new Set();
        for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
        return ['141,180,226', '143,205,180', '127,199,218'].map((c) => seen.has(c)) }"""
    assert page.evaluate(probe) == [True, True, True]
    page = open_page(
        viz.array(named(ids.clip(0, 4)), tokenizer=["<s>", " the", "cat", "\n", "<b>"])
    )
    pick(page, "ArrowRight", "ArrowRight")
    assert page.locator(".card h3").first.inner_text() == "4 “<b>”"
    page = open_page(viz.array(named(ids > 3)))
    pick(page)
    assert page.locator(".card h3").first.inner_text() == "true"


def test_several_arrays_share_colours_and_the_place_that_is_picked(open_page: Open) -> None:
    both = {"first": named(normal(4, 6)), "second": named(2 * normal(4, 6))}
    page = open_page(viz.array(both))
    assert page.locator(".facet h3").all_inner_texts() == ["first", "second"]
    code = pick(page, "ArrowDown", "ArrowRight")
    assert eval(code, {"values": both}) == both["first"].array[1, 1]
    words = f"{both['second'].array[1, 1]:.4g}".replace("-", "−")
    rows = page.locator(".card dl").first.locator("dt, dd").all_inner_texts()
    assert rows[-2:] == ["second", words]
    page.get_by_label("Side by side").select_option(label="nothing")
    page.get_by_label("Array", exact=True).select_option(label="second")
    assert page.locator(".card .expression").inner_text().startswith("values['second']")


def test_a_collected_array_and_its_site_in_the_graph_find_each_other(open_page: Open) -> None:
    graph, site = decoder(3), "blocks.1.resid_post"
    collected = {"blocks.0.resid_post": named(normal(2, 3)), site: named(normal(2, 3))}
    page = open_page(viz.page([viz.graph(graph), viz.array(collected)]))
    pick(page, matrix=1)
    assert site in page.locator(".inspected").inner_text()


@pytest.mark.parametrize("words", [PAYLOADS])
def test_hostile_names_are_inert(open_page: Open, words: list[str]) -> None:
    arrays = {word or "empty": gw.NamedArray(normal(2, 3), (word, "seq")) for word in words}
    page = open_page(viz.array(arrays, title=words[0], tokens={"seq": words[:3]}))
    for index in range(len(arrays)):
        page.get_by_label("Array", exact=True).select_option(index=index)
        pick(page)
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, body img").count() == 0


def test_what_cannot_be_shown_is_said() -> None:
    with pytest.raises(AxisError, match="did you mean 'layer'"):
        viz.array(named(normal(2, 3)), rows="layers")
    with pytest.raises(DTypeError, match="complex64"):
        viz.array(named(np.ones((2, 2), np.complex64)))
    with pytest.raises(InputError, match="no array to show"):
        viz.array({})
    with pytest.raises(InputError, match="this list has no named axes"):
        viz.array([[1.0]])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'max-abs' or 'mean'"):
        viz.array(named(normal(2, 3)), pool="min")  # type: ignore[arg-type]
    with pytest.raises(AxisError, match="no cells"):
        viz.array(named(np.zeros((0, 3))))
