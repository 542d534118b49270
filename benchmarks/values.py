"""Pictures of arrays and attention: their files, and the pages until they are ready.

The page is measured by the CPU time of its main thread, not by the clock: a busy machine makes a
page late, not dear.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

import graftwork as gw
from benchmarks import report

ROUNDS = 3
MEGABYTE = 1e6


def figures() -> list[report.Figure]:
    cases: list[tuple[str, Callable[[], gw.viz.View], float, float]] = [
        ("array 4096 × 4096", lambda: gw.viz.array(_normal(4096, 4096)), 2.0, 0.5),
        ("array 4096 × 4096 whole, max_mb=32", _whole, 32.0, 2.0),
        ("heat map of 48 layers × 1024 positions", _sweep, 0.5, 0.5),
        ("attention, 144 heads, 128 tokens", lambda: _attention(128), 1.0, 0.3),
        ("attention, 144 heads, 256 tokens", lambda: _attention(256), 3.0, 0.3),
    ]
    with _browser() as browser:
        return [line for case in cases for line in _lines(browser, *case)]


def _lines(
    browser: Browser, name: str, make: Callable[[], gw.viz.View], most: float, longest: float
) -> Iterator[report.Figure]:
    start = time.process_time()
    view = make()
    size = len(view.html.encode()) / MEGABYTE
    built = time.process_time() - start
    yield report.Figure(
        f"{name}: file",
        f"{size:.2f} MB (Python {report.seconds(built)} cpu)",
        judged=size,
        target=report.Target(most, "MB"),
    )
    ready = min(_cpu_until_ready(browser, view) for _ in range(ROUNDS))
    yield report.Figure(
        f"{name}: ready",
        f"{report.seconds(ready)} cpu",
        judged=ready,
        target=report.Target(longest, "s cpu"),
    )


def _cpu_until_ready(browser: Browser, view: gw.viz.View) -> float:
    """The CPU seconds of the main thread until every picture of the page is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "view.html")
        view.save(path)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]", state="attached", timeout=120_000)
        found = session.send("Performance.getMetrics")["metrics"]
        page.close()
    return float({metric["name"]: metric["value"] for metric in found}["TaskDuration"])


@contextmanager
def _browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise FileNotFoundError("the figures of pictures need Chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def _normal(*sizes: int, axes: str = "embed mlp") -> gw.NamedArray:
    numbers = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
    return gw.NamedArray(numbers, tuple(axes.split()))


def _whole() -> gw.viz.View:
    return gw.viz.array(_normal(4096, 4096), max_mb=32)


def _sweep() -> gw.viz.View:
    return gw.viz.heatmap(_normal(48, 1024, axes="layer seq"))


def _attention(length: int) -> gw.viz.View:
    """Patterns of random causal scores: the worst case for compression."""
    scores = np.exp(np.random.default_rng(0).normal(size=(12, 12, length, length)))
    scores *= np.tri(length)
    pattern = (scores / scores.sum(-1, keepdims=True)).astype(np.float32)
    axes = ("layer", "heads", "seq", "kv_seq")
    return gw.viz.attention(gw.NamedArray(pattern, axes), [f" w{i}" for i in range(length)])
