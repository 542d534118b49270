"""Contours of heat maps, which page and Python find alike, and cells that are means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from playwright.sync_api import Browser, Page
from test_heatmap import pick, swept

import graftwork as gw
from graftwork import passes as p
from graftwork import viz
from graftwork.ir.errors import AxisError, InputError
from graftwork.viz.contours import contours, levels_of

Open = Callable[..., Page]
CELLS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, float("nan"), float("inf")])
GRIDS = hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=CELLS)


def hill(rows: int = 9, columns: int = 14) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return np.exp(-((y - 4) ** 2 + (x - 6) ** 2) / 6.0) - 0.2


def squares(grid: np.ndarray) -> np.ndarray:
    """Which squares between cells have numbers at all corners."""
    finite = np.isfinite(grid)
    return finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]


@given(GRIDS, st.sampled_from([-0.75, 0.0, 0.1, 1.0]))
def test_lines_part_what_is_below_a_level_from_what_is_not(grid: np.ndarray, level: float) -> None:
    lines = contours(grid, level)
    high, whole = grid >= level, np.pad(squares(grid), 1)
    for line in lines:
        assert len(line) > 1
        for (x, y), (to_x, to_y) in pairwise(line):
            assert abs(to_x - x) <= 1
            assert abs(to_y - y) <= 1
        for x, y in line:
            row, column = int(y - 0.5), int(x - 0.5)
            below, right = y - 0.5 - row, x - 0.5 - column
            assert not (below and right)
            other = grid[row + (below > 0), column + (right > 0)]
            if below or right:
                assert grid[row, column] + (below + right) * (other - grid[row, column]) == (
                    pytest.approx(level)
                )
            else:
                assert grid[row, column] == level
    edges = 0
    for (row, column), up in np.ndenumerate(high):
        if column + 1 < grid.shape[1] and up != high[row, column + 1]:
            edges += int(whole[row, column + 1]) + int(whole[row + 1, column + 1])
        if row + 1 < grid.shape[0] and up != high[row + 1, column]:
            edges += int(whole[row + 1, column]) + int(whole[row + 1, column + 1])
    segments = sum(len(line) - 1 for line in lines)
    assert 2 * segments == edges


def test_a_hill_has_a_ring_and_a_saddle_is_parted_by_its_mean() -> None:
    (ring,) = contours(hill(), 0.3)
    assert ring[0] == ring[-1]
    assert np.hypot(*(np.array(ring) - (6.5, 4.5)).T).max() < 3
    for high in (1.0, 3.0):
        lines = contours(np.array([[high, -1.0], [-1.0, high]]), 0.5)
        assert len(lines) == 2
        middles = [np.mean(line, 0) for line in lines]
        on_diagonal = [abs(x - y) < 0.1 for x, y in middles]
        assert on_diagonal == [high < 2] * 2


def test_the_page_finds_the_lines_that_python_finds(browser: Browser) -> None:
    source = (files("graftwork.viz") / "assets" / "contours.js").read_text("utf-8")
    script = re.sub(r"^import .*\n|^export ", "", source, flags=re.MULTILINE)
    rng = np.random.default_rng(0)
    grids = [
        rng.integers(-3, 4, size=(rng.integers(1, 9), rng.integers(1, 9))) / 2 for _ in range(40)
    ]
    for grid in grids[::3]:
        grid[rng.random(grid.shape) < 0.1] = np.nan
    cases = [
        [np.where(np.isnan(g), None, g).tolist(), level] for g in grids for level in (0.0, 0.3)
    ]
    with browser.new_page() as page:
        found = page.evaluate(
            f"""(cases) => {{ {script}
              return cases.map(([grid, level]) => contoursOf(grid.length, grid[0].length,
                (row, column) => grid[row][column] ?? NaN, level)); }}""",
            cases,
        )
    ours = [contours(grid, level) for grid in grids for level in (0.0, 0.3)]
    assert found == json.loads(json.dumps(ours))


@pytest.mark.parametrize(
    ("numbers", "middle", "shown"),
    [
        ([-1.0, 0.0, 1.0, 2.0, 3.0], None, [0.0, -0.6, 1.0, 2.6]),
        ([1.0, 2.0, 3.0], None, [1.2, 2.0, 2.8]),
        ([0.0, 0.0, 0.0, 5.0], 1.0, [1.0, 3.5]),
        ([2.0, 2.0], None, []),
        ([np.nan, np.inf], 0.0, []),
    ],
)
def test_levels_lie_within_the_numbers_and_apart(
    numbers: list[float], middle: float | None, shown: list[float]
) -> None:
    levels = levels_of(np.array(numbers), middle, "the middle")
    assert [level.number for level in levels] == shown
    assert [bool(level.words) for level in levels] == [True] * len(shown)


def test_contours_come_by_button_and_by_key_and_are_said(open_page: Open) -> None:
    view = viz.heatmap(gw.NamedArray(hill(), ("layer", "seq")))
    page = open_page(view)
    canvas = page.locator(".matrix canvas")
    plain = canvas.screenshot()
    toggle = page.get_by_role("button", name="Lines of equal numbers")
    assert page.get_by_role("list", name="Contours").count() == 0
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "true"
    items = page.get_by_role("list", name="Contours").get_by_role("listitem").all_inner_texts()
    assert any("0, zero" in item for item in items)
    assert len({item.split()[0] + item.split()[1] for item in items}) == len(items)
    assert canvas.screenshot() != plain
    pick(page, "Home")
    said = page.get_by_role("status").inner_text()
    assert "contours" in said
    page.keyboard.press("c")
    assert toggle.get_attribute("aria-pressed") == "false"
    assert page.get_by_role("status").inner_text() == "No contours"


def test_a_small_grid_without_levels_offers_none(open_page: Open) -> None:
    page = open_page(viz.heatmap(gw.NamedArray(np.ones((2, 3)), ("layer", "seq"))))
    assert page.get_by_role("button", name="Lines of equal numbers").count() == 0
    page.keyboard.press("c")


def test_contours_stand_in_saved_and_still_pictures_with_their_key(open_page: Open) -> None:
    values = gw.NamedArray(hill(), ("layer", "seq"))
    view = viz.heatmap(values, contours=[0.5, 0.1])
    root = ET.fromstring(view.svg)
    lines = [e for e in root.iter() if e.get("class") == "gw-line"]
    assert [line.get("stroke-dasharray") for line in lines] == ["none", "7 3"]
    assert {"0.1", "0.5"} <= {"".join(e.itertext()) for e in root.iter() if e.tag.endswith("text")}
    assert "gw-line" not in viz.heatmap(values).svg.partition("</style>")[2]
    page = open_page(view)
    page.keyboard.press("e")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as SVG").click()
    text = saved.value.path().read_text()
    assert text.count('stroke-dasharray="7 3"') == 1
    assert "contours at ——— 0.1; – – – 0.5" in text


@pytest.mark.parametrize("levels", ["high", [np.nan], [[0.5]], [None]])
def test_levels_that_are_no_numbers_are_refused(levels: object) -> None:
    with pytest.raises(InputError, match="finite numbers"):
        viz.heatmap(gw.NamedArray(hill(), ("layer", "seq")), contours=levels)


# --- cells that are means


def test_a_mean_leaves_out_nan_and_says_how_many_numbers_it_is_of(open_page: Open) -> None:
    numbers = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    numbers[1, 2, :3], numbers[2, 0] = np.nan, np.nan
    values = gw.NamedArray(numbers, ("layer", "seq", "batch"))
    page = open_page(viz.heatmap(values, mean="batch"))
    pick(page, "Home", "ArrowDown", "ArrowRight", "ArrowRight")
    assert page.get_by_role("status").inner_text().endswith("mean of 2 of 5")
    code = page.locator(".expression").inner_text()
    assert eval(code, {"np": np, "values": values}) == pytest.approx(numbers[1, 2, 3:].mean())
    card = page.locator(".card").inner_text()
    assert "2 of 5" in card
    assert "Means over batch: each of 0 to 5 of 5 numbers." in card
    page.get_by_role("button", name="Show the numbers as a table").click()
    cells = page.get_by_role("table").get_by_role("cell").all_inner_texts()
    assert cells[6].startswith("n=2: ")
    assert cells[8] == "n=0: NaN"


def test_means_over_runs_keep_the_edit_and_over_edits_do_not(open_page: Open) -> None:
    graph, effect = swept()
    page = open_page(viz.heatmap(effect, mean=["batch", "seq"]))
    pick(page, "Home", "ArrowDown", "ArrowRight")
    edited = eval(page.locator(".expression").inner_text(), {"graph": graph, "p": p})
    assert str(edited) == str(graph.apply(effect.edit(layer=1, factor=2.0)))
    shown = page.locator(".card").inner_text()
    assert "without edit" in shown
    page = open_page(viz.heatmap(effect, mean="factor"))
    pick(page, "Home")
    code = page.locator(".expression").inner_text()
    assert code.startswith("np.nanmean(values[")


def test_means_over_no_axis_or_all_are_refused() -> None:
    values = gw.NamedArray(hill(), ("layer", "seq"))
    with pytest.raises(AxisError, match="did you mean 'seq'"):
        viz.heatmap(values, mean="seqs")
    with pytest.raises(AxisError, match="leaves no axis"):
        viz.heatmap(values, mean=["seq", "layer"])


def test_what_is_averaged_is_in_the_title_and_the_manifest() -> None:
    values = gw.NamedArray(np.ones((2, 3, 4), bool), ("layer", "seq", "batch"))
    view = viz.heatmap(values, mean=["batch"])
    assert view.title == "layer × seq, mean over batch"
    assert "numbers along batch: cells are means" in view.manifests[0].left_out
