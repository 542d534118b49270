"""How the work of converting grows with depth, in lines of Python that run: no clock decides.

A line of ours does work that is bounded by one node, one type or one axis, so their number is the
running time up to a constant. Where work is linear, doubling the depth doubles what is added.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import graftwork
from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Port
from graftwork.ir.pattern import Pattern
from graftwork.ir.types import Typing
from graftwork.passes.axes import Name, Unify
from graftwork.passes.axes.classes import AxisClasses
from graftwork.passes.importing import imported
from tests.passes.raw_decoder import raw_decoder

PACKAGE = str(Path(graftwork.__file__).parent)
DEPTHS = (4, 8, 16, 32)
NEARLY_LINEAR = 2.25  # by how much work may grow where depth doubles


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of the package run."""
    count = 0

    def line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(counts: Sequence[int]) -> list[float]:
    """What is added by each doubling, beside what the doubling before it added."""
    added = [b - a for a, b in pairwise(counts)]
    return [b / a for a, b in pairwise(added)]


def test_a_pass_that_is_quadratic_would_be_found() -> None:
    """The measure tells quadratic work from linear."""
    graph = raw_decoder(1)

    def pairs(depth: int) -> None:
        for _ in range(depth):
            for _ in range(depth):
                graph.evolve(nodes=graph.nodes)

    assert min(growth([lines_of(lambda d=d: pairs(d)) for d in DEPTHS])) > 3.5


@pytest.mark.parametrize("step", [Unify(), Name()], ids=repr)
def test_axes_are_unified_and_named_in_nearly_linear_work(step: Callable[[Graph], Graph]) -> None:
    ready = {depth: raw_decoder(depth) for depth in DEPTHS}
    if isinstance(step, Name):
        ready = {depth: Unify()(graph) for depth, graph in ready.items()}
    counts = [lines_of(lambda depth=depth: step(ready[depth])) for depth in DEPTHS]
    assert max(growth(counts)) < NEARLY_LINEAR


def chain(length: int) -> Graph:
    """x + tanh(x) + ..., whose every step has axes of its own."""
    builder = Builder(Typing({}))
    pairs = [(f"_{2 * i}", f"_{2 * i + 1}") for i in range(length + 1)]
    for pair in pairs:
        for axis, size in zip(pair, (5, 7), strict=True):
            builder.typing.make(axis, size)
    x = term = builder.input("f64", pairs[0], "x")
    for old, new in pairwise(pairs):
        term = ops.rename(ops.tanh(term), axes=dict(zip(old, new, strict=True)))
    output = Port("y", term.value, term.axes)
    nodes = tuple(builder.nodes)
    return Graph((Port("x", x.value, x.axes),), (), nodes, (output,), builder.typing.table)


def in_order(pairs: Sequence[Any]) -> Iterator[Any]:
    return iter(pairs)


def backwards(pairs: Sequence[Any]) -> Iterator[Any]:
    return reversed(pairs)


def shuffled(pairs: Sequence[Any]) -> Iterator[Any]:
    return iter(random.Random(0).sample(pairs, len(pairs)))


def halves(pairs: Sequence[Any]) -> Iterator[Any]:
    """As a tournament: classes of one size meet, so that no order merges more."""
    step = 1
    while step < len(pairs):
        yield from pairs[step - 1 :: 2 * step]
        step *= 2


@pytest.mark.parametrize("order", [in_order, backwards, shuffled, halves])
def test_classes_merge_in_nearly_linear_work_in_any_order(
    order: Callable[[Sequence[Any]], Iterator[Any]],
) -> None:
    def unite(graph: Graph) -> None:
        classes = AxisClasses(graph, fixed=())
        renames = [node.attrs["axes"] for node in graph.nodes if node.op is ops.rename]
        for pairs in order(renames):
            for old, new in pairs:
                assert classes.unite(old, new)

    counts = [lines_of(lambda n=n: unite(chain(n))) for n in (32, 64, 128, 256)]
    assert max(growth(counts)) < NEARLY_LINEAR


@contextmanager
def tried_rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pattern]]:
    """The patterns that are laid over a node, each time."""
    tried: list[Pattern] = []
    match = Pattern.match

    def counted(self: Pattern, *args: Any) -> Any:
        tried.append(self)
        return match(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Pattern, "match", counted)
        yield tried


def test_a_model_is_imported_in_nearly_linear_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """All passes and their verification; and a rule is tried where it may well apply."""
    depths = (2, 4, 8, 16)
    ready = {depth: raw_decoder(depth) for depth in depths}
    with tried_rules(monkeypatch) as tried:  # and the patterns, which are made once, are made
        rules = [len(tried) for depth in depths if imported(ready[depth])]
    assert max(growth(rules)) == 2.0
    assert rules[0] < len(ready[depths[0]].nodes)
    counts = [lines_of(lambda depth=depth: imported(ready[depth])) for depth in depths]
    assert max(growth(counts)) < NEARLY_LINEAR
