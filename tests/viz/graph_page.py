"""Asking the page of a graph what it shows."""

from __future__ import annotations

from playwright.sync_api import Page


def state(page: Page, expression: str) -> object:
    """Something about the page's `app`."""
    return page.evaluate(f"() => {{ const app = graftwork.app; return {expression} }}")


def selected(page: Page) -> str:
    title = page.locator(".inspected h2")
    return title.inner_text() if title.is_visible() else ""


def point_of(page: Page, title: str) -> tuple[float, float]:
    """The title of the first box of that title, on the screen, after moving there if need be."""
    x, y = page.evaluate(
        """(title) => { const {scene, camera, model} = graftwork.app;
          const find = (placed, x, y) => { for (const b of placed.boxes) {
            if (model.strings[model.c.title[b.cell]] === title) return [x + b.x + 20, y + b.y + 16];
            const inner = b.inner && find(b.inner, x + b.x, y + b.y); if (inner) return inner; } };
          const [x, y] = find(scene.placed.get(0), 0, 0);
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
        """() => { const {scene, model} = graftwork.app; const found = [];
          const walk = (placed) => { for (const b of placed.boxes) {
            if (b.inner) walk(b.inner); else found.push(b.cell); } };
          walk(scene.placed.get(0));
          return found.sort((a, b) => a - b).map((c) => model.strings[model.c.title[c]]); }"""
    )
