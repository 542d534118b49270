"""Sweeps: one model, run once for every way to make an edit, compiled as one graph.

    sweep = gw.Sweep(graph, p.Patch("blocks.{layer}.resid_pre", where={"seq": gw.each},
                                    source="clean"), metric=metric)
    effect = sweep.run(input_ids=corrupted, clean={"input_ids": clean})

The edits become worlds of one graph, which computes what they share once (see
`graftwork.passes.sweeps`). Worlds whose edit changes nothing are left out, and the others run in
chunks that fit the memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from importlib.util import find_spec
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from attrs import evolve, field, frozen

from graftwork.backends import Program, compile
from graftwork.fastest import Engine, fastest, soonest
from graftwork.ir.array import NamedArray
from graftwork.ir.binding import bind, flatten
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph, given_graph
from graftwork.ir.size_values import evaluate
from graftwork.passes.base import Pass
from graftwork.passes.edit import WORLDS
from graftwork.passes.interventions import Keep, Measure
from graftwork.passes.lowering import lowered
from graftwork.passes.metric import Metric
from graftwork.passes.sweeps import saved
from graftwork.passes.sweeps.chunks import (
    Cells,
    Feeding,
    Worlds,
    chunks,
    everything,
    feeding,
)
from graftwork.passes.sweeps.cost import Cost, Plan, cost, peak
from graftwork.passes.sweeps.effect import Effect, effect_of
from graftwork.passes.sweeps.facts import causal_axis, reaches
from graftwork.passes.sweeps.share import DIFFERS, PLAIN, Shared, share
from graftwork.passes.sweeps.template import Template, template
from graftwork.passes.sweeps.worlds import METRIC, narrowed, swept_axis, worlds_of

Array: TypeAlias = np.ndarray[Any, Any]
Inputs: TypeAlias = Mapping[str, Any]
Folder: TypeAlias = str | os.PathLike[str]

_MANY = 32  # positions, examples; a guess at sizes before there is a run


@frozen(eq=False)
class Sweep:
    """Every way to fill the open words of a pass, and the metric of the model under each.

    Attributes:
        graph: the model.
        applied: a pass with open words: `{layer}` in its paths, `gw.each` in `where=`, or
            `gw.each("scale", values)` in any field.
        metric: from the named outputs, inputs and sites to a term, such as a difference of logits.
        backend, device, options: what computes it; see `gw.compile`. Without a backend it is
            torch, uncompiled, or ONNX Runtime, whichever is measured to be the faster one here.
        devices: those of JAX among which worlds are shared out, such as `jax.devices()`; each
            holds the weights and takes every so many chunks.
        memory: how many bytes activations may take; so many worlds run at a time.
    """

    graph: Graph = field(converter=given_graph)
    applied: Pass
    metric: Metric = field(kw_only=True)
    backend: str | None = field(default=None, kw_only=True)
    device: str | None = field(default=None, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)
    devices: Sequence[Any] = field(default=(), kw_only=True, converter=tuple)
    memory: int = field(default=2 << 30, kw_only=True)

    def run(
        self,
        /,
        *,
        resume: Folder | None = None,
        progress: bool = True,
        **inputs: Any,
    ) -> Effect:
        """The metric under every edit, for one set of inputs.

        Args:
            resume: a folder that keeps what is found; a run that was interrupted goes on there.
            progress: show a bar, if there is more than one chunk and `rich` is installed.

        Raises:
            InputError: if the inputs are not those of the model and its source runs.
            StorageError: if the folder holds another sweep.
        """
        job = self._looked(self._job(inputs))
        form = self.program if self._is_bounded(job) else self.program_of_all
        parts = list(chunks(job.kept, job.cells, self._chunk_size(job, form.shared, form.graph)))
        results = self._results(job, form, parts, resume, progress)
        table = plain = np.zeros(())
        for worlds, found in zip(parts, results, strict=True):
            if worlds is parts[0]:
                plain = found[PLAIN]
                table = np.empty((len(job.kept), len(job.cells), *plain.shape), plain.dtype)
                table[...] = plain
            start = 0
            for entry, cells in worlds.items():
                wanted = np.isin(cells, job.kept[entry])
                table[entry, cells[wanted]] = found[METRIC][start : start + len(cells)][wanted]
                start += len(cells)
        (layout,) = (p.layout for p in form.graph.outputs if p.name == PLAIN)
        return effect_of(self.template, job.cells, table, NamedArray(plain, layout))

    def plan(self, /, **inputs: Any) -> Plan:
        """What a run on such inputs costs, against one run for every edit.

        Edits of positions that change nothing are not left out: which they are is seen when it
        runs. From which position on other edits change something is looked at now.
        """
        job = self._job(inputs)
        count = len(job.kept) * len(job.cells)
        if self.axis is not None:
            job = evolve(self._looked(job), kept=job.kept)
        graph = lowered(_giving(self.shared.graph, METRIC, PLAIN))
        parts = list(chunks(job.kept, job.cells, self._chunk_size(job, self.shared, graph)))
        measured = self.graph.apply(Measure(self.metric, METRIC), Keep(METRIC))
        steps = {
            "one run for every edit": cost(lowered(self.graph), job.sizes).times(count),
            "only what the metric reads": cost(lowered(measured), job.sizes).times(count),
        }
        ways = {"worlds enter where they differ": self.whole}
        if self.along is not None or self.axis is not None:
            ways[f"only from the edit's {self.along or self.axis} on"] = self.shared
        for word, shared in ways.items():
            graph = lowered(_giving(shared.graph, METRIC))
            told = feeding(shared, job.cells, job.sizes, parts)
            costs = (cost(graph, told.symbols(worlds)) for worlds in parts)
            steps[word] = reduce(Cost.__add__, costs)
        return Plan(count, len(parts), steps)

    # --- what is compiled -----------------------------------------------------------------------

    @cached_property
    def template(self) -> Template:
        """The pass with its open words."""
        return template(self.graph, self.applied)

    @cached_property
    def worlds(self) -> Graph:
        """All runs side by side, nothing shared."""
        return worlds_of(self.graph, self.template, self.metric)

    @cached_property
    def narrowed(self) -> Graph:
        """All runs side by side, without what the metric does not read."""
        return narrowed(self.worlds)

    @cached_property
    def along(self) -> str | None:
        """The swept word whose positions bound, in a causal model, what an edit can change."""
        entries, words = len(self.template.choices), self.template.positions
        return next((w for w in words if reaches(self.narrowed, entries, f"worlds.{w}")), None)

    @cached_property
    def axis(self) -> str | None:
        """Where no swept word bounds it: the axis along which effects come from one position on,
        in a causal model, which a run tells.
        """
        if self.along is not None:
            return None
        return causal_axis(self.narrowed, len(self.template.choices))

    @cached_property
    def whole(self) -> Shared:
        """All runs in one, at all positions."""
        return share(self.narrowed, len(self.template.choices), told=self.axis)

    @cached_property
    def shared(self) -> Shared:
        """All runs in one, nothing computed twice."""
        entries = len(self.template.choices)
        if self.along is not None:
            return share(self.narrowed, entries, f"worlds.{self.along}")
        return self.whole if self.axis is None else share(self.narrowed, entries, axis=self.axis)

    @cached_property
    def program(self) -> _Compiled:
        """The metric in all worlds, and in none."""
        return self._compiled(self.shared, METRIC, PLAIN, engine=self.engine)

    @cached_property
    def program_of_all(self) -> _Compiled:
        """The same at all positions."""
        return self._compiled(self.whole, METRIC, PLAIN, engine=self.engine)

    @cached_property
    def probe(self) -> _Compiled:
        """Whether edits change anything, and where; by what starts soonest, if that is open."""
        shared = self.shared if self.axis is None else self.whole
        chosen = self.backend is not None or self.device is not None or self.devices
        return self._compiled(shared, DIFFERS, engine=self.engine if chosen else soonest())

    @cached_property
    def engine(self) -> Engine:
        """What computes it.

        Raises:
            InputError: for devices of another backend than JAX.
        """
        backend = self.backend or ("jax" if self.devices else None)
        if self.devices and backend != "jax":
            raise InputError(f"devices= are those of JAX, and backend= is {backend!r}")
        if backend is not None:
            return Engine(backend, self.options)
        graph = self.shared.graph
        sizes = {name: 1 if name.startswith(WORLDS) else _MANY for name in graph.symbols}
        return fastest(graph, sizes, self.device)

    def _compiled(self, shared: Shared, *words: str, engine: Engine) -> _Compiled:
        graph = lowered(_giving(shared.graph, *words))
        places = self.devices or (self.device,)
        programs = (compile(graph, engine.backend, at, **engine.options) for at in places)
        return _Compiled(shared, graph, tuple(programs))

    # --- one run --------------------------------------------------------------------------------

    def _job(self, inputs: Inputs) -> _Job:
        """What follows from the inputs."""
        told = {port.name for port in self.worlds.inputs if WORLDS in port.value.axes}
        binding = bind(self.worlds, {**inputs, **dict.fromkeys(told, np.zeros(1, np.int64))})
        sizes = {name: extent for name, extent in binding.symbols.items() if name != WORLDS}
        ranges = []
        for word, (where, values) in self.template.positions.items():
            axis = swept_axis(self.worlds, word)
            if axis is None:
                raise SelectionError(f"{where!r} is not one axis at all sites; sweep them apart")
            extent = evaluate(self.worlds.axes[axis], sizes)
            ranges.append([_position(p, extent, where) for p in values or range(extent)])
        found = list(product(*ranges))
        positions = np.array(found, np.int64).reshape(len(found), len(ranges))
        words, starts = tuple(self.template.positions), {}
        entries = range(len(self.template.choices))
        if self.along is not None:
            starts = dict.fromkeys(entries, positions[:, words.index(self.along)])
        elif self.axis is not None:
            starts = dict.fromkeys(entries, np.zeros(len(positions), np.int64))
        cells = Cells(words, positions, starts)
        return _Job(inputs, sizes, cells, everything(len(entries), cells))

    def _looked(self, job: _Job) -> _Job:
        """Without the worlds whose edits change nothing; and from where on the others do.

        Sources agree at some positions of their inputs, but hardly ever at whole heads or neurons:
        for these alone it is not worth a look.
        """
        axes = (swept_axis(self.worlds, word) for word in job.cells.words)
        fixed = all(axis is None or isinstance(self.worlds.axes[axis], int) for axis in axes)
        if fixed and self.axis is None:
            return job
        kept: dict[int, list[Array]] = {entry: [] for entry in job.kept}
        starts = {entry: own.copy() for entry, own in job.cells.starts.items()}
        size = self._chunk_size(job, self.probe.shared, self.probe.graph)
        parts = list(chunks(job.kept, job.cells, size))
        told = feeding(self.probe.shared, job.cells, job.sizes, parts)
        for part, out in zip(parts, self.probe.outputs(job, parts, told), strict=True):
            for entry, cells in part.items():
                differs = out.get(f"{DIFFERS}.{entry}", np.ones(len(cells), np.bool_))
                anywhere = differs.reshape(len(cells), -1).any(1)
                kept[entry].append(cells[anywhere])
                if differs.ndim > 1:
                    last = differs.shape[1] - 1
                    starts[entry][cells] = np.where(anywhere, differs.argmax(1), last)
        found = {entry: np.unique(np.concatenate(cells)) for entry, cells in kept.items()}
        return evolve(job, kept=found, cells=evolve(job.cells, starts=starts))

    def _is_bounded(self, job: _Job) -> bool:
        """Whether there is anything before the first positions that edits change."""
        return self.axis is None or any(own.any() for own in job.cells.starts.values())

    def _results(
        self,
        job: _Job,
        form: _Compiled,
        parts: Sequence[Worlds],
        resume: Folder | None,
        progress: bool,
    ) -> Iterator[Mapping[str, Array]]:
        """The outputs for each chunk, from disk if they are there."""
        folder = None
        if resume is not None:
            given = {name: np.asarray(x) for name, x in flatten(job.inputs)}
            given |= {f"cells.{e}": np.concatenate([part[e] for part in parts]) for e in parts[0]}
            folder = saved.opened(resume, saved.key_of(form.graph, given))
        kept = [None if folder is None else saved.kept(folder, n) for n in range(len(parts))]
        told = feeding(form.shared, job.cells, job.sizes, parts)
        missing = [worlds for worlds, known in zip(parts, kept, strict=True) if known is None]
        fresh = form.outputs(job, missing, told)
        for number in _tracked(range(len(parts)), progress):
            found = kept[number]
            if found is None:
                found = next(fresh)
                if folder is not None:
                    saved.keep(folder, number, found)
            yield found

    def _chunk_size(self, job: _Job, shared: Shared, graph: Graph) -> int:
        """How many worlds of each entry fit the memory."""
        size = -(-len(job.cells) // max(1, len(self.devices)))
        while size > 1:
            first = next(chunks(job.kept, job.cells, size))
            told = feeding(shared, job.cells, job.sizes, [first])
            if peak(graph, told.symbols(first)) <= self.memory:
                break
            size = (size + 1) // 2
        return size


@frozen(eq=False)
class _Job:
    """What one run is about.

    Attributes:
        sizes: size symbol -> extent.
        cells: the positions that are tried at each entry.
        kept: the worlds that run.
    """

    inputs: Inputs
    sizes: Mapping[str, int]
    cells: Cells
    kept: Worlds


@frozen(eq=False)
class _Compiled:
    """One form of a sweep's graph, and its program on each device."""

    shared: Shared
    graph: Graph
    programs: tuple[Program, ...]

    def outputs(
        self, job: _Job, parts: Sequence[Worlds], told: Feeding
    ) -> Iterator[Mapping[str, Array]]:
        """What comes out for each chunk; as many are under way as there are programs."""
        running: deque[Mapping[str, Any]] = deque()
        for number, worlds in enumerate(parts):
            run = self.programs[number % len(self.programs)]
            running.append(run(**job.inputs, **told.inputs(worlds)))
            if len(running) == len(self.programs):
                yield _arrays(running.popleft())
        yield from map(_arrays, running)


def _giving(graph: Graph, *words: str) -> Graph:
    """The graph with some of its outputs."""
    kept = tuple(port for port in graph.outputs if port.name.partition(".")[0] in words)
    return graph.evolve(outputs=kept)


def _position(at: Any, extent: int, word: str) -> int:
    """A position counted from the front."""
    if isinstance(at, bool) or not isinstance(at, int | np.integer) or not -extent <= at < extent:
        raise SelectionError(f"position {at!r} is outside of {word!r} of size {extent}")
    return int(at) % extent


def _arrays(out: Mapping[str, Any]) -> Mapping[str, Array]:
    return {name: np.asarray(x) for name, x in out.items()}


def _tracked(parts: Sequence[int], progress: bool) -> Iterable[int]:
    """The chunks, with a bar where there are several and one can be shown."""
    if progress and len(parts) > 1 and find_spec("rich") is not None:
        from rich.progress import track

        return track(parts, description="sweep")
    return parts
