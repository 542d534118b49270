"""Asking the page of a graph what it shows."""

from __future__ import annotations

from playwright.sync_api import Page


def state(page: Page, expression: str) -> object:
    """Something about the page's `app`."""
    return page.evaluate(f"() => {{ const app = graftwork.app; return {expression} }}")


def settled(page: Page) -> None:
    """Waits until what was asked for is inflated."""
    page.wait_for_selector("[aria-busy]", state="detached")


def selected(page: Page) -> str:
    title = page.locator(".inspected h2")
    return title.inner_text() if title.is_visible() else ""


def point_of(page: Page, title: str) -> tuple[float, float]:
    """The title of the first box of that title, on the screen, after moving there if need be."""
    x, y = page.evaluate(
        """async (title) => {
          await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
          const {scene, camera, model, outline} = graftwork.app;
          const cell = outline.lines.find((c) => model.strings[model.c.title[c]] === title);
          let x = 20, y = 16;
          for (let c = cell; c > 0; c = model.c.parent[c]) {
            x += scene.layout.x[c]; y += scene.layout.y[c]; }
          const r = document.querySelector('.stage').getBoundingClientRect();
          const high = camera.y + y * camera.scale;
          if (high < 20 || high > r.height - 20) { camera.y += 300 - high; camera.changed(); }
          return [r.left + camera.x + x * camera.scale, r.top + camera.y + y * camera.scale]; }""",
        title,
    )
    return x, y


def shown(page: Page) -> list[str]:
    """The titles of the boxes that are closed, in the order of the outline."""
    return page.evaluate(
        """() => { const {scene, model, outline} = graftwork.app;
          return Array.from(outline.lines).filter((c) => !scene.open.has(c))
            .map((c) => model.strings[model.c.title[c]]); }"""
    )
