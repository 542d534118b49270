"""From a model at hand to its first result: time and memory, beside the framework's own compiler.

GPT-2 small, batch 1, 128 tokens, random weights, no cache on disk. At hand is a converted graph
for us; for others a module, a function or a file that was exported. Each start has an interpreter
of its own, in which the compiler has compiled something small before. Memory is what comes on top
of the module's weights, at its highest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

import graftwork as gw
from benchmarks import native, report, timing
from benchmarks.conversion import convert
from graftwork import passes as p

if TYPE_CHECKING:
    from torch import nn

ROUNDS = 3
COMPILERS: Mapping[str, str] = {
    "jax": "jax.numpy by hand, jitted",
    "torch": "torch.compile",
    "onnx": "ONNX Runtime on a file of torch.onnx.export",
}
TARGET = report.Target(1.1)
NO_HIGHER = report.Target(1.0)
DEEP = {"n_layer": 48, "n_embd": 128, "n_head": 4, "vocab_size": 999}
"""Narrow layers, of which compiling takes longer than running."""

Start = Callable[[], native.Logits]


def figures() -> list[report.Figure]:
    beside = [f for backend, label in COMPILERS.items() for f in _beside(backend, label)]
    return [*beside, *_rolled()]


def _beside(backend: str, label: str) -> list[report.Figure]:
    candidates = {"graftwork": True, label: False}
    found: dict[str, list[tuple[timing.Sample, timing.Memory]]] = {n: [] for n in candidates}
    for _ in range(ROUNDS):
        for name, ours in candidates.items():
            found[name].append(timing.isolated(_first, backend, ours))
    times = timing.Comparison({name: [time for time, _ in each] for name, each in found.items()})
    peaks = {name: timing.spread([m.peak for _, m in each]) for name, each in found.items()}
    mine, other = peaks["graftwork"].median, peaks[label].median
    name = f"first result of GPT-2 small, {backend}"
    return [
        report.side_by_side(name, times, "graftwork", label, TARGET),
        report.Figure(
            f"{name}, memory",
            report.megabytes(mine),
            f"{label}: {report.megabytes(other)}",
            timing.spread([mine / other]),
            mine / other,
            NO_HIGHER,
        ),
    ]


def _first(backend: str, ours: bool) -> tuple[timing.Sample, timing.Memory]:
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    ids = native.token_ids(1, 128, vocab=50257)
    model = native.gpt2()
    reference = native.torch_eager(model)(ids)
    with TemporaryDirectory() as folder:
        start = _ours(backend, model, ids) if ours else _theirs(backend, model, ids, Path(folder))
        _warm(backend)
        made: list[native.Logits] = []
        sample, memory = timing.memory_of(lambda: timing.stopwatch(lambda: made.append(start())))
    native.check(lambda _: made[0], reference, ids)
    return sample, memory


def _ours(backend: str, model: nn.Module, ids: native.Ids) -> Start:
    graph = convert(model)
    return lambda: np.asarray(gw.compile(graph, backend=backend)(input_ids=ids)["logits"])


def _theirs(backend: str, model: nn.Module, ids: native.Ids, folder: Path) -> Start:
    if backend == "jax":
        import jax

        function, weights = native.jax_function(model)
        return lambda: np.asarray(jax.jit(function)(weights, ids))
    if backend == "torch":
        return lambda: native.torch_compile(model)(ids)
    path = folder / "native.onnx"
    native.export(native.gpt2(attn_implementation="eager"), path)
    return lambda: native.session(path)(ids)


def _warm(backend: str) -> None:
    """Load and start, on both sides, what is loaded and started but once."""
    import torch

    small, x = torch.nn.Linear(2, 2), torch.zeros(3, 2)
    gw.compile(gw.from_torch(small, x), backend=backend)(input=x)
    if backend == "torch":
        torch.compile(small)(x)


def _rolled() -> list[report.Figure]:
    """Layers as one scan beside layers written out, in JAX: the first result, then the others."""
    first, then = timing.isolated(_deep)
    name = f"{DEEP['n_layer']} narrow layers, jax"
    return [
        report.side_by_side(f"{name}, first result", first, "rolled", "written out"),
        report.side_by_side(f"{name}, after it", then, "rolled", "written out"),
    ]


def _deep() -> tuple[timing.Comparison, timing.Comparison]:
    ids = native.token_ids(1, 32, vocab=999)
    graph = convert(native.gpt2(**DEEP))
    graphs = {"written out": graph, "rolled": graph.apply(p.Roll())}
    _warm("jax")
    runs: dict[str, Callable[[], native.Logits]] = {}
    first: dict[str, list[timing.Sample]] = {}
    for name, each in graphs.items():

        def start(name: str = name, each: gw.Graph = each) -> None:
            program = gw.compile(each, "jax")
            runs[name] = lambda: np.asarray(program(input_ids=ids)["logits"])
            runs[name]()

        first[name] = [timing.stopwatch(start)]
    np.testing.assert_allclose(runs["rolled"](), runs["written out"](), rtol=1e-4, atol=1e-4)
    return timing.Comparison(first), timing.compare(runs, rounds=15)
