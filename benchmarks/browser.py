"""Pages in Chromium, and the processor time of their main thread.

A page is measured by the ticks of its main thread, which other work on the machine does not stretch
as it does the clock on the wall: a busy machine makes a page late, not dear.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

VISITS = 3
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def browser() -> Iterator[Page]:
    """A page of Chromium, as the system's package manager installs it.

    Raises:
        FileNotFoundError: if there is none.
    """
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise FileNotFoundError("the figures of pictures need Chromium")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium.new_context(
            offline=True, viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        ).new_page()
        chromium.close()


@frozen
class Thread:
    """The main thread of a page."""

    page: Page
    session: CDPSession

    def metrics(self) -> dict[str, float]:
        found = self.session.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    @property
    def cpu(self) -> float:
        """Seconds of cpu since the page was visited."""
        return self.metrics()["TaskDuration"]

    def cost_of(self, script: str) -> float:
        """Seconds of cpu that a script and the frames after it take."""
        before = self.cpu
        soon = "(done) => requestAnimationFrame(() => setTimeout(done))"
        frame = f"const frame = () => new Promise({soon});"
        self.page.evaluate(f"async () => {{ {frame} {script}; await frame(); await frame(); }}")
        return self.cpu - before


def visit(page: Page, html: str) -> Thread:
    """Opens a page and waits until its pictures stand."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "blank.html").write_text("<!doctype html>")
        (Path(folder) / "page.html").write_text(html, "utf-8")
        page.goto((Path(folder) / "blank.html").as_uri())
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto((Path(folder) / "page.html").as_uri())
        page.wait_for_selector("body[data-ready]", state="attached", timeout=120_000)
        page.wait_for_function("!globalThis.graftwork || graftwork.boxes > 0", timeout=60_000)
        return Thread(page, session)


def cpu_until_ready(page: Page, html: str) -> float:
    """Seconds of cpu until the pictures of a page stand: the least of a few visits."""
    return min(visit(page, html).cpu for _ in range(VISITS))
