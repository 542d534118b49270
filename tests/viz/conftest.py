"""Opening pages in a browser that notes everything they do wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from graftwork.viz import View

Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a view or HTML without a network; no page may err, or ask for anything else."""
    contexts = []
    problems: list[str] = []
    requests: list[str] = []

    def go(shown: View | str, *, ready: str = "body[data-ready]", **options: object) -> Page:
        file = tmp_path / f"page{len(contexts)}.html"
        if isinstance(shown, View):
            shown.save(file)
        else:
            file.write_text(shown, "utf-8")
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        context = browser.new_context(offline=True, **(settings | options))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.goto(file.as_uri())
        if ready:
            page.wait_for_selector(ready, state="attached", timeout=20_000)
        return page

    yield go
    for context in contexts:
        context.close()
    assert problems == []
    allowed = ("file:", "data:", "blob:", "about:srcdoc")
    assert [url for url in requests if not url.startswith(allowed)] == []
