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
from attrs import field, frozen

from graftwork.backends import Program, compile
from graftwork.fastest import Engine, fastest
from graftwork.ir.array import NamedArray
from graftwork.ir.binding import bind, flatten
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph
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
from graftwork.passes.sweeps.facts import reaches
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

    graph: Graph
    applied: Pass
    metric: Metric = field(kw_only=True)
    backend: str | None = field(default=None, kw_only=True)
    device: str | None = field(default=None, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)
    devices: Sequence[Any] = field(default=(), kw_only=True, converter=tuple)
    memory: int = field(default=1 << 30, kw_only=True)

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
        job = self._job(inputs)
        kept = self._that_differ(job)
        parts = list(chunks(kept, job.cells, self._chunk_size(job, self.programs[0].graph)))
        table = plain = np.zeros(())
        for worlds, found in zip(parts, self._results(job, parts, resume, progress), strict=True):
            if worlds is parts[0]:
                plain = found[PLAIN]
                table = np.empty((job.entries, len(job.cells), *plain.shape), plain.dtype)
                table[...] = plain
            start = 0
            for entry, cells in worlds.items():
                wanted = np.isin(cells, kept[entry])
                table[entry, cells[wanted]] = found[METRIC][start : start + len(cells)][wanted]
                start += len(cells)
        (layout,) = (p.layout for p in self.programs[0].graph.outputs if p.name == PLAIN)
        return effect_of(self.template, job.cells, table, NamedArray(plain, layout))

    def plan(self, /, **inputs: Any) -> Plan:
        """What a run on such inputs costs, against one run for every edit.

        Edits that change nothing are not left out: which they are is seen when it runs.
        """
        job = self._job(inputs)
        size = self._chunk_size(job, lowered(_giving(self.shared.graph, METRIC, PLAIN)))
        parts = list(chunks(everything(job.entries, job.cells), job.cells, size))
        count = job.entries * len(job.cells)
        measured = self.graph.apply(Measure(self.metric, METRIC), Keep(METRIC))
        steps = {
            "one run for every edit": cost(lowered(self.graph), job.sizes).times(count),
            "only what the metric reads": cost(lowered(measured), job.sizes).times(count),
        }
        ways = {"worlds enter where they differ": self.shared}
        if self.along is not None:
            apart = share(self.narrowed, job.entries)
            ways = {
                **dict.fromkeys(ways, apart),
                f"only from the edit's {self.along} on": self.shared,
            }
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
    def shared(self) -> Shared:
        """All runs in one, nothing computed twice."""
        positions = None if self.along is None else f"worlds.{self.along}"
        return share(self.narrowed, len(self.template.choices), positions)

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """The metric in all worlds, and in none; on each device."""
        return self._compiled(METRIC, PLAIN)

    @cached_property
    def probes(self) -> tuple[Program, ...]:
        """Whether edits change anything; on each device."""
        return self._compiled(DIFFERS)

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

    def _compiled(self, *words: str) -> tuple[Program, ...]:
        engine, graph = self.engine, lowered(_giving(self.shared.graph, *words))
        places = self.devices or (self.device,)
        return tuple(compile(graph, engine.backend, at, **engine.options) for at in places)

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
        cells = Cells(tuple(self.template.positions), positions, self.along)
        return _Job(inputs, sizes, cells, len(self.template.choices))

    def _that_differ(self, job: _Job) -> Worlds:
        """The worlds whose edits change anything.

        Sources agree at some positions of their inputs, but hardly ever at whole heads or neurons:
        for these it is not worth a look.
        """
        worlds = everything(job.entries, job.cells)
        axes = (swept_axis(self.worlds, word) for word in job.cells.words)
        if all(axis is None or isinstance(self.worlds.axes[axis], int) for axis in axes):
            return worlds
        found: dict[int, list[Array]] = {entry: [] for entry in worlds}
        parts = list(chunks(worlds, job.cells, self._chunk_size(job, self.probes[0].graph)))
        told = feeding(self.shared, job.cells, job.sizes, parts)
        for part, out in zip(parts, self._outputs(job, self.probes, parts, told), strict=True):
            for entry, cells in part.items():
                differ = out.get(f"{DIFFERS}.{entry}")
                found[entry].append(cells if differ is None else cells[differ])
        return {entry: np.unique(np.concatenate(cells)) for entry, cells in found.items()}

    def _results(
        self, job: _Job, parts: Sequence[Worlds], resume: Folder | None, progress: bool
    ) -> Iterator[Mapping[str, Array]]:
        """The outputs for each chunk, from disk if they are there."""
        folder = None
        if resume is not None:
            given = {name: np.asarray(x) for name, x in flatten(job.inputs)}
            given |= {f"cells.{e}": np.concatenate([part[e] for part in parts]) for e in parts[0]}
            folder = saved.opened(resume, saved.key_of(self.programs[0].graph, given))
        kept = [None if folder is None else saved.kept(folder, n) for n in range(len(parts))]
        told = feeding(self.shared, job.cells, job.sizes, parts)
        missing = [worlds for worlds, known in zip(parts, kept, strict=True) if known is None]
        fresh = self._outputs(job, self.programs, missing, told)
        for number in _tracked(range(len(parts)), progress):
            found = kept[number]
            if found is None:
                found = next(fresh)
                if folder is not None:
                    saved.keep(folder, number, found)
            yield found

    def _outputs(
        self,
        job: _Job,
        programs: Sequence[Program],
        parts: Sequence[Worlds],
        told: Feeding,
    ) -> Iterator[Mapping[str, Array]]:
        """What programs give for each chunk; as many chunks are under way as there are programs."""
        running: deque[Mapping[str, Any]] = deque()
        for number, worlds in enumerate(parts):
            run = programs[number % len(programs)]
            running.append(run(**job.inputs, **told.inputs(worlds)))
            if len(running) == len(programs):
                yield _arrays(running.popleft())
        yield from map(_arrays, running)

    def _chunk_size(self, job: _Job, graph: Graph) -> int:
        """How many worlds of each entry fit the memory."""
        worlds = everything(job.entries, job.cells)
        size = -(-len(job.cells) // max(1, len(self.devices)))
        while size > 1:
            first = next(chunks(worlds, job.cells, size))
            told = feeding(self.shared, job.cells, job.sizes, [first])
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
        entries: how many ways there are to fill the other words.
    """

    inputs: Inputs
    sizes: Mapping[str, int]
    cells: Cells
    entries: int


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
