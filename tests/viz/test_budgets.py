"""Pages of large graphs keep to their budgets, with a factor of two for busy machines."""

from __future__ import annotations

import pytest

from benchmarks import pictures, timing, values
from benchmarks.browser import browser, cpu_until_ready

pytestmark = pytest.mark.all
SLACK = 2


@pytest.mark.parametrize("size", pictures.SIZES)
def test_a_page_is_soon_made_small_painted_soon_and_moves_smoothly(size: int) -> None:
    page = timing.isolated(pictures.built, size)
    assert len(page.html) <= pictures.FILE[size]
    assert page.cpu <= SLACK * pictures.BUILD
    assert page.memory <= pictures.MEMORY
    with browser() as tab:
        shown = pictures.measured(tab, page.html)
    assert shown.first <= SLACK * pictures.FIRST_PAINT[size]
    assert shown.frame <= SLACK * pictures.FRAME
    assert shown.expand <= SLACK * pictures.EXPAND
    assert shown.search <= SLACK * pictures.SEARCH
    assert shown.heap <= pictures.HEAP


def test_a_large_group_opens_at_once() -> None:
    with browser() as tab:
        assert pictures.opened(tab) <= SLACK * pictures.OPEN


def test_a_difference_is_soon_made_and_its_page_painted_soon() -> None:
    page = timing.isolated(pictures.built_difference, 10_000)
    assert page.cpu <= SLACK * pictures.DIFF
    with browser() as tab:
        assert pictures.measured(tab, page.html).first <= SLACK * pictures.DIFF_PAGE


@pytest.mark.parametrize("length", values.ATTENTION)
def test_the_page_of_all_heads_is_small_and_soon_ready(length: int) -> None:
    html = values.attention(length).html
    assert len(html) <= values.ATTENTION[length] * values.MEGABYTE
    with browser() as tab:
        assert cpu_until_ready(tab, html) <= SLACK * values.READY
