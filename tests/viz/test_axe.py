"""Every picture by the rules of axe, names, roles, contrast: light, dark and in forced colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from pictures import PICTURES
from playwright.sync_api import Page

Open = Callable[..., Page]
SCHEMES = (
    {"color_scheme": "light", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "light", "forced_colors": "active"},
)


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_break_no_rule(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name]())
    for scheme in SCHEMES:
        page.emulate_media(**scheme)
        assert violations(page) == [], scheme
    assert page.evaluate("document.getAnimations().length") == 0, "reduced motion is asked for"
    if page.locator("body.alone").count():
        beyond = "document.documentElement.scrollHeight - innerHeight"
        assert page.evaluate(beyond) == 0, "a picture alone fills its window and does not scroll"


@pytest.mark.parametrize("name", ["array", "heatmap"])
def test_a_picked_cell_and_a_table_break_none(open_page: Open, name: str) -> None:
    page = open_page(PICTURES[name](), color_scheme="dark")
    page.locator(".matrix").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show the numbers as a table").click()
    assert violations(page) == []
