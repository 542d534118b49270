"""Pictures of arrays and attention: their files, and the pages until they are ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import graftwork as gw
from benchmarks import report, timing
from benchmarks.browser import browser, cpu_until_ready

if TYPE_CHECKING:
    from playwright.sync_api import Page

MEGABYTE = 1e6
ATTENTION = {128: 1.0, 256: 3.0}
"""Positions -> megabytes of the page of 144 heads."""
READY = 0.3
"""Seconds of cpu until such a page is ready."""


def figures() -> list[report.Figure]:
    cases: list[tuple[str, Callable[[], gw.viz.View], float, float]] = [
        ("array 4096 × 4096", lambda: gw.viz.array(_normal(4096, 4096)), 2.0, 0.5),
        ("array 4096 × 4096 whole, max_mb=32", _whole, 32.0, 2.0),
        ("heat map of 48 layers × 1024 positions", _sweep, 0.5, 0.5),
    ]
    for length, most in ATTENTION.items():
        name = f"attention, 144 heads, {length} tokens"
        cases.append((name, partial(attention, length), most, READY))
    with browser() as page:
        return [line for case in cases for line in _lines(page, *case)]


def _lines(
    page: Page, name: str, make: Callable[[], gw.viz.View], most: float, longest: float
) -> Iterator[report.Figure]:
    html: list[str] = []
    built = timing.stopwatch(lambda: html.append(make().html)).cpu
    size = len(html[0].encode()) / MEGABYTE
    yield report.Figure(
        f"{name}: file",
        f"{size:.2f} MB (Python {report.seconds(built)} cpu)",
        judged=size,
        target=report.Target(most, "MB"),
    )
    ready = cpu_until_ready(page, html[0])
    yield report.Figure(
        f"{name}: ready",
        f"{report.seconds(ready)} cpu",
        judged=ready,
        target=report.Target(longest, "s cpu"),
    )


def _normal(*sizes: int, axes: str = "embed mlp") -> gw.NamedArray:
    numbers = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
    return gw.NamedArray(numbers, tuple(axes.split()))


def _whole() -> gw.viz.View:
    return gw.viz.array(_normal(4096, 4096), max_mb=32)


def _sweep() -> gw.viz.View:
    return gw.viz.heatmap(_normal(48, 1024, axes="layer seq"))


def attention(length: int) -> gw.viz.View:
    """Patterns of random causal scores: the worst case for compression."""
    scores = np.exp(np.random.default_rng(0).normal(size=(12, 12, length, length)))
    scores *= np.tri(length)
    pattern = (scores / scores.sum(-1, keepdims=True)).astype(np.float32)
    axes = ("layer", "heads", "seq", "kv_seq")
    return gw.viz.attention(gw.NamedArray(pattern, axes), [f" w{i}" for i in range(length)])
