"""Pictures of graphs: building the page, its size, and the processor time of the page's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

import graftwork as gw
from benchmarks import report, timing
from benchmarks.browser import browser, cpu_until_ready, visit
from graftwork import ops, viz
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Port
from graftwork.ir.origin import Origin
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = (1_000, 10_000, 100_000)
FIRST_PAINT = dict(zip(SIZES, (0.15, 0.25, 0.5), strict=True))  # seconds of cpu
FILE = dict(zip(SIZES, (0.15e6, 0.4e6, 2.5e6), strict=True))  # bytes
BUILD, MEMORY, HEAP = 3.0, 300e6, 60e6
OPEN, EXPAND, FRAME, SEARCH = 0.016, 0.5, 0.008, 0.05
DIFF, DIFF_PAGE = 1.0, 0.4
WIDEST = 400


@frozen
class Built:
    """A page made by Python: seconds of cpu, bytes of memory while it was made, its text."""

    cpu: float
    memory: int
    html: str


@frozen
class Shown:
    """A page in the browser: seconds of cpu of each step, and bytes of its heap.

    Attributes:
        first: from the start to the first picture.
        expand: opening all groups.
        frame: one frame of moving about with all groups open.
        search: the first search, which reads all names.
        heap: the heap of scripts once all of that is done.
    """

    first: float
    expand: float
    frame: float
    search: float
    heap: float


def figures() -> list[report.Figure]:
    found: list[report.Figure] = []
    pages = {size: timing.isolated(built, size) for size in SIZES}
    for size, page in pages.items():
        size_of = f"page of {size:,} nodes"
        found.append(_bytes(f"{size_of}: file", len(page.html), FILE[size]))
    last = pages[SIZES[-1]]
    found += [
        _seconds(f"build of {SIZES[-1]:,} nodes in Python, cpu", last.cpu, BUILD),
        _bytes(f"build of {SIZES[-1]:,} nodes in Python, memory", last.memory, MEMORY),
    ]
    with browser() as page:
        shown = {size: measured(page, pages[size].html) for size in SIZES}
        for size, times in shown.items():
            found.append(
                _seconds(
                    f"page of {size:,} nodes: first paint, cpu", times.first, FIRST_PAINT[size]
                )
            )
        times = shown[SIZES[-1]]
        name = f"page of {SIZES[-1]:,} nodes"
        found += [
            _seconds(f"{name}: all groups opened, cpu", times.expand, EXPAND),
            _seconds(f"{name}: a frame of panning, cpu", times.frame, FRAME),
            _seconds(f"{name}: first search, cpu", times.search, SEARCH),
            _bytes(f"{name}: heap", times.heap, HEAP),
            _seconds(f"a group of {WIDEST} opened, cpu", opened(page), OPEN),
        ]
        difference = timing.isolated(built_difference, SIZES[1])
        found += [
            _seconds(
                f"diff of two graphs of {SIZES[1]:,} nodes in Python, cpu", difference.cpu, DIFF
            ),
            _seconds(
                "its page: first paint, cpu", measured(page, difference.html).first, DIFF_PAGE
            ),
        ]
    return found


def _seconds(name: str, value: float, limit: float) -> report.Figure:
    target = report.Target(limit, "s")
    return report.Figure(name, report.seconds(value), judged=value, target=target)


def _bytes(name: str, value: float, limit: float) -> report.Figure:
    target = report.Target(limit / 1e6, "MB")
    return report.Figure(name, f"{value / 1e6:.2f} MB", judged=value / 1e6, target=target)


# --- graphs -------------------------------------------------------------------------------------


def blocks(size: int) -> gw.Graph:
    """A residual stack of small blocks in groups of fifty, of about `size` nodes."""
    builder = Builder(Typing({"batch": symbol("batch"), "seq": symbol("seq"), "embed": 64}))
    x = term = builder.input("float32", "batch seq embed", "x")
    for i in range(size // 10):
        term = _block(builder, f"stage.{i // 50}.layer.{i % 50}", term)
    return _graph(builder, x, term)


def _block(builder: Builder, name: str, x: Term) -> Term:
    def at(module: str) -> None:
        builder.origin = Origin(f"{name}.{module}".rstrip("."), "model.py:7", "aten.op")

    with builder:
        at("norm")
        h = x * ops.rsqrt(ops.mean(x * x, over="embed") + 1e-5)
        at("gate")
        gate = ops.logistic(h)
        at("act")
        h = ops.tanh(h) * gate
        at("")
        return x + h


def wide(size: int) -> gw.Graph:
    """One module of `size` nodes, of which each reads the last and another before it."""
    builder = Builder(Typing({"embed": 64}))
    x = term = builder.input("float32", "embed", "x")
    builder.origin = Origin("module")
    kept = [x]
    with builder:
        for i in range(size):
            term = ops.add(term, kept[max(0, i - i % 7)])
            kept.append(term)
    return _graph(builder, x, term)


def _graph(builder: Builder, x: Term, y: Term) -> gw.Graph:
    return gw.Graph(
        inputs=(Port("x", x.value, x.axes),),
        parameters=(),
        nodes=tuple(builder.nodes),
        outputs=(Port("y", y.value, y.axes),),
        axes=builder.typing.table,
    )


def edited(graph: gw.Graph) -> gw.Graph:
    """Every hundredth node interposed."""
    rewriter = Rewriter(graph, "Double")
    for node in graph.nodes[::100]:
        rewriter.interpose(node.output, lambda value: value * 2.0)
    return rewriter.finish()


# --- measuring ----------------------------------------------------------------------------------


def built(size: int) -> Built:
    graph = blocks(size)
    html: list[str] = []
    samples: list[timing.Sample] = []
    _, memory = timing.memory_of(
        lambda: samples.append(timing.stopwatch(lambda: html.append(viz.graph(graph).html)))
    )
    return Built(samples[0].cpu, memory.peak, html[0])


def built_difference(size: int) -> Built:
    before = blocks(size)
    after = edited(before)
    html: list[str] = []
    sample = timing.stopwatch(lambda: html.append(viz.graph(after, diff=before).html))
    return Built(sample.cpu, 0, html[0])


def measured(page: Page, html: str) -> Shown:
    """The times of a page of a graph."""
    first = cpu_until_ready(page, html)
    thread = visit(page, html)
    expand = thread.cost_of("document.querySelector('[title=\"Open all groups\"]').click()")
    moves = "for (let i = 0; i < 20; i++) { camera.y -= 60; camera.changed(); await frame(); }"
    panned = thread.cost_of(f"const {{ camera }} = graftwork.app; {moves}") / 20
    typed = "query.value = 'act'; query.dispatchEvent(new Event('input'));"
    search = thread.cost_of(f"const {{ query }} = graftwork.app; {typed}")
    heap = thread.metrics()["JSHeapUsedSize"]
    return Shown(first, expand, panned, search, heap)


def opened(page: Page) -> float:
    """Seconds of cpu to open a group of `WIDEST` nodes, which are one long chain with skips."""
    graph = wide(WIDEST - 110)  # longer ones are cut into sections
    thread = visit(page, viz.graph(graph).html)
    thread.cost_of("graftwork.app.actions.toggle(graftwork.app.model.c.group[1])")
    return thread.cost_of("graftwork.app.actions.toggle(graftwork.app.model.c.group[1])")
