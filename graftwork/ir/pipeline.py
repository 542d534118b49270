"""Applying passes in order: verified after each, and a failure names the pass and its forerunners.

While passes run, `current()` tells them the graph as it was before any edit of this application:
source runs are cloned from there, and share their clones.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from attrs import define, field, frozen

from graftwork.ir.errors import GraftworkError, PassError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.verify import verify

AnyPass = Callable[[Graph], Graph]


@frozen(eq=False)
class Run:
    """What a source run of a graph is a run of.

    Attributes:
        graph: the graph before any edit, or with the edits of this run.
        same_inputs: whether it reads the inputs of the graph that it stands in, not its own.
    """

    graph: Graph
    same_inputs: bool = False


@define(eq=False)
class Application:
    """One call of `apply`: its first graph, and what its passes share.

    Attributes:
        base: the graph before any edit.
        runs: the source runs that are not plain runs of the base.
        clones: (source run, value of its graph) -> its clone in that run.
        read: the source runs that something reads.
    """

    base: Graph
    runs: dict[str, Run] = field(factory=dict)
    clones: dict[tuple[str, Value], Value] = field(factory=dict)
    read: set[str] = field(factory=set)


_CURRENT: ContextVar[Application | None] = ContextVar("application", default=None)
Stage = tuple[str, Graph]
"""What a pass did by one of its parts or rules: its name, and the graph after it."""
_STAGES: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)


def current(graph: Graph) -> Application:
    """The running application, or a new one that starts at `graph`."""
    return _CURRENT.get() or Application(graph)


@frozen(eq=False)
class Step:
    """One applied pass, with the graphs before and after it.

    Attributes:
        stages: what its parts and rules did one after the other, if that was watched and the pass
            tells; the last one gave `after`.
    """

    name: str
    applied: AnyPass
    before: Graph
    after: Graph
    stages: tuple[Stage, ...] = ()


def watched() -> bool:
    """Whether someone wants to know by which stages a pass proceeds."""
    return _STAGES.get() is not None


def reached(name: str, graph: Graph) -> Graph:
    """The graph, told to whoever watches as what a part or a rule of this name made."""
    stages = _STAGES.get()
    if stages is not None:
        stages.append((name, graph))
    return graph


def name_of(applied: AnyPass) -> str:
    """How messages call a pass: its repr where that says more than the address."""
    plain = getattr(type(applied), "__repr__", None) is object.__repr__
    named = getattr(applied, "__name__", type(applied).__name__ if plain else None)
    return repr(applied) if named is None else str(named)


def running() -> bool:
    """Whether passes are being applied."""
    return _CURRENT.get() is not None


def apply_together(graph: Graph, passes: Sequence[AnyPass]) -> Graph:
    """The graph that passes make of one another's, verified in full at the end.

    For a fixed sequence whose steps nobody sees. Where it fails, the steps are taken again one by
    one, each verified, to say which of them it was.

    Raises:
        PassError: as `apply`.
    """
    try:
        with collection_paused():
            after = _in_turn(graph, passes)
            verify(after)
    except GraftworkError:
        verify(graph)
        return apply(graph, passes)[0]
    return after


def _in_turn(graph: Graph, passes: Sequence[AnyPass]) -> Graph:
    """What passes make of one another's graphs, without those that have nothing left to do.

    A pass has nothing to do on a graph that it left as it was, or gave, if it is idempotent.
    """
    settled: dict[AnyPass, Graph] = {}
    for applied in passes:
        if settled.get(applied) is graph:
            continue
        after = applied(graph)
        if after is graph or getattr(applied, "idempotent", False):
            settled[applied] = after
        graph = after
    return graph


def apply(
    graph: Graph,
    passes: Sequence[AnyPass],
    runs: Mapping[str, Run] | None = None,
    *,
    watch: bool = False,
) -> tuple[Graph, tuple[Step, ...]]:
    """The rewritten graph, and the steps on the way.

    Args:
        runs: source runs that are known already.
        watch: whether steps have their stages.

    Raises:
        PassError: if a pass fails, gives something that is no graph or an ill-formed graph; its
            cause is the pass's own error, and it has the same type as that where it is ours.
    """
    known = dict(runs or {})
    application = Application(graph, dict(known))
    token = _CURRENT.set(application)
    steps: list[Step] = []
    try:
        with collection_paused():
            for applied in passes:
                stages: list[Stage] | None = [] if watch else None
                watching = _STAGES.set(stages)
                try:
                    after = _apply_one(graph, applied, steps)
                finally:
                    _STAGES.reset(watching)
                told = _told(graph, after, stages or ())
                steps.append(Step(name_of(applied), applied, graph, after, told))
                graph = after
        unread = [run for run in application.runs if run not in known.keys() | application.read]
        if unread:
            raise PassError(f"nothing reads the source run {unread[0]!r}, so its edits do nothing")
    finally:
        _CURRENT.reset(token)
    return graph, tuple(steps)


def _told(before: Graph, after: Graph, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages that did something; what a pass tidied up after the last one is part of that."""
    graphs = [before, *(graph for _, graph in stages)]
    done = [stage for stage, last in zip(stages, graphs, strict=False) if stage[1] is not last]
    return (*done[:-1], (done[-1][0], after)) if done else ()


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without cyclic garbage collection: graphs have no cycles, and collecting costs a quarter."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _apply_one(graph: Graph, applied: AnyPass, steps: Sequence[Step]) -> Graph:
    after: Any
    try:
        if not callable(applied):
            raise PassError("a pass is a function from a graph to a graph")
        after = applied(graph)
        if not isinstance(after, Graph):
            raise PassError(f"gave {type(after).__name__}, not a graph")
        if after is not graph:
            verify(after, since=graph)
    except Exception as error:
        before = f", after {', '.join(step.name for step in steps)}" if steps else ""
        raise _placed(error, f"(in pass {name_of(applied)}{before})") from error
    return after


def _placed(error: Exception, where: str) -> GraftworkError:
    """An error of ours that says where; of the same class, so that callers catch what they expect,
    unless it is Python's own, as of a word that was given for a number.
    """
    if not isinstance(error, GraftworkError):
        return PassError(f"{type(error).__name__}: {error} {where}")
    try:
        return type(error)(f"{error} {where}")
    except TypeError:
        return PassError(f"{error} {where}")
