"""What interpretability runs again and again, beside plain torch hooks: GPT-2 small, 32 tokens.

Both sides have the same weights, compute the same numbers (which is checked), and take turns in
one process. Hooks run a part of the edits where all would take minutes, spread evenly over layers,
and their time is multiplied; ours always runs all of them. Compiling is timed apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import frozen

import graftwork as gw
from benchmarks import native, report, timing
from benchmarks.hooks import Array, Cell, Hooked
from graftwork import passes as p

SEQ, LAYERS, HEADS = 32, 12, 12
SUBJECT = (4, 5, 6, 7)
SAMPLES = 10
TOKENS = (1234, 4321)
PART = 12
"""So many edits are run with hooks."""


Run = Callable[[], Array]
Ours = tuple[Run, str]
"""What runs a task, and the backend that does."""


@frozen(eq=False)
class Workload:
    """One task, done by us and with hooks.

    Attributes:
        ours: compiles, and gives what runs it.
        theirs: runs a part of it.
        share: how many times that part is the whole.
        same: the part of our result that theirs is.
        target: how many times faster ours is to be.
    """

    name: str
    ours: Callable[[Bench], Ours]
    theirs: Callable[[Bench], Array]
    target: float
    share: int = 1
    same: Callable[[Array], Array] = np.asarray
    rounds: int = 5


@frozen(eq=False)
class Bench:
    """The model and its graph."""

    @cached_property
    def hooked(self) -> Hooked:
        return Hooked(
            native.gpt2(),
            torch.from_numpy(self.clean),
            torch.from_numpy(self.corrupted),
            TOKENS,
            SUBJECT,
            torch.from_numpy(self.noise),
        )

    @cached_property
    def eager(self) -> Hooked:
        """The same with attention that gives its patterns."""
        found = self.hooked
        model = native.gpt2(attn_implementation="eager")
        return Hooked(model, found.clean, found.corrupted, found.tokens, found.subject, found.noise)

    @cached_property
    def clean(self) -> native.Ids:
        return native.token_ids(1, SEQ, vocab=50257)

    @cached_property
    def corrupted(self) -> native.Ids:
        ids = self.clean.copy()
        ids[0, list(SUBJECT)] = np.random.default_rng(1).integers(0, 50257, len(SUBJECT))
        return ids

    @cached_property
    def noise(self) -> Array:
        shape = (SAMPLES, len(SUBJECT), 768)
        return np.random.default_rng(2).normal(0, 0.06, shape).astype(np.float32)

    @cached_property
    def graph(self) -> gw.Graph:
        model = native.gpt2()
        ids = torch.zeros(2, 8, dtype=torch.int64)
        return gw.from_torch(model, kwargs={"input_ids": ids}, axes={"input_ids": "batch seq"})

    def run(self, *passes: Any) -> gw.Program:
        return gw.compile(self.graph.apply(*passes), backend="onnx")


def contrast(out: Mapping[str, Any]) -> Any:
    first, second = ({"seq": -1, "vocab": token} for token in TOKENS)
    return out["logits"][first] - out["logits"][second]


def last_logits(bench: Bench) -> Ours:
    last = p.Measure(lambda out: out["logits"][{"seq": -1}], "last")
    run = bench.run(last, p.Keep("last"))
    return lambda: np.asarray(run(input_ids=bench.clean)["last"]), run.backend


def cache(bench: Bench) -> Ours:
    streams = [f"blocks.{layer}.resid_pre" for layer in range(LAYERS)]
    patterns = [f"blocks.{layer}.attn.pattern" for layer in range(LAYERS)]
    run = bench.run(p.Collect(*streams, *patterns), p.Keep(*streams, *patterns))

    def whole() -> Array:
        out = run(input_ids=bench.clean)
        parts = [out[name].order("batch", "seq", "embed") for name in streams]
        parts += [out[name].order("batch", "heads", "seq", "kv_seq") for name in patterns]
        return np.concatenate([np.asarray(x).ravel() for x in parts])

    return whole, run.backend


def attribution(bench: Bench) -> Ours:
    found = p.AttributionPatching(
        of=contrast, at="blocks.*.resid_pre", source="clean", over=("embed",)
    )
    names = [f"attribution.blocks.{layer}.resid_pre" for layer in range(LAYERS)]
    run = bench.run(found, p.Keep(*names))

    def whole() -> Array:
        out = run(input_ids=bench.corrupted, clean={"input_ids": bench.clean})
        return np.stack([np.asarray(out[name]).ravel() for name in names])

    return whole, run.backend


def sweep(bench: Bench, applied: p.Pass) -> Ours:
    swept = gw.Sweep(bench.graph, applied, metric=contrast)
    run = {"input_ids": bench.corrupted, "clean": {"input_ids": bench.clean}}
    return lambda: np.asarray(swept.run(progress=False, **run))[..., 0], swept.engine.backend


def streams(bench: Bench) -> Ours:
    site = "blocks.{layer}.resid_pre"
    return sweep(bench, p.Patch(site, where={"seq": gw.each}, source="clean"))


def heads(bench: Bench) -> Ours:
    site = "blocks.{layer}.attn.z"
    return sweep(bench, p.Patch(site, where={"heads": gw.each}, source="clean"))


def tracing(bench: Bench) -> Ours:
    """Embeddings are an input: with noise on the subject, and without in the clean run."""
    noisy = bench.graph.apply(p.Patch("embed", input="embed"))
    answer = int(bench.hooked.last_logits().argmax())
    swept = gw.Sweep(
        noisy,
        p.Patch("blocks.{layer}.resid_post", where={"seq": gw.each}, source="clean"),
        metric=lambda out: gw.ops.softmax(out["logits"][{"seq": -1}], axis="vocab")[
            {"vocab": answer}
        ].mean("batch"),
    )
    ids = np.repeat(bench.clean, SAMPLES, axis=0)
    clean = np.asarray(bench.graph.params["transformer.wte.weight"])[ids]
    noised = clean.copy()
    noised[:, list(SUBJECT)] += bench.noise
    run = {"input_ids": ids, "embed": noised, "clean": {"input_ids": ids, "embed": clean}}
    return lambda: np.asarray(swept.run(progress=False, **run)), swept.engine.backend


def some(columns: int) -> Sequence[Cell]:
    """Edits spread over all layers and positions."""
    return [(i * LAYERS // PART, (7 * i + 5) % columns) for i in range(PART)]


def at(columns: int) -> Callable[[Array], Array]:
    return lambda found: np.array([found[cell] for cell in some(columns)])


WORKLOADS = (
    Workload("last logits", last_logits, lambda b: b.hooked.last_logits(), 1.6, rounds=15),
    Workload("cache streams and patterns", cache, lambda b: b.eager.cache(), 1.5, rounds=15),
    Workload("patch streams, 12 x 32", streams, lambda b: b.hooked.patch_streams(some(SEQ)), 15,
             SEQ * LAYERS // PART, at(SEQ)),
    Workload("patch heads, 12 x 12", heads, lambda b: b.hooked.patch_heads(some(HEADS)), 8,
             HEADS * LAYERS // PART, at(HEADS)),
    Workload("causal tracing, 12 x 32 x 10", tracing, lambda b: b.hooked.trace(some(SEQ)), 10,
             SEQ * LAYERS // PART, at(SEQ), rounds=1),
    Workload("attribution of streams", attribution, lambda b: b.hooked.attribution(), 1.8,
             rounds=9),
)  # fmt: skip


def figures() -> list[report.Figure]:
    numbers = range(len(WORKLOADS))
    return [f for number in numbers for f in timing.isolated(_figures, number)]


def _figures(number: int) -> list[report.Figure]:
    """How many times faster ours is; and the same with compiling and the first run."""
    workload, bench = WORKLOADS[number], Bench()
    assert bench.graph.nodes  # converted now: that is a figure of its own
    found: list[Ours] = []

    def first() -> None:
        found.append(workload.ours(bench))
        found[0][0]()

    start = timing.stopwatch(first)
    ours, backend = found[0]
    expected, got = workload.theirs(bench), workload.same(ours())
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    comparison = timing.compare(
        {"ours": ours, "hooks": lambda: workload.theirs(bench)}, workload.rounds, warmup=0
    )
    theirs = comparison.wall("hooks").median * workload.share
    processor = comparison.cpu("hooks").median * workload.share
    faster = timing.spread([workload.share * x for x in _ratios(comparison)])
    name = f"{workload.name}, {backend}"
    beside = f"hooks: {report.seconds(theirs)} (cpu {report.seconds(processor)})"
    if workload.share > 1:
        beside += f", {PART} of {PART * workload.share} edits, times {workload.share}"
    target = report.Target(workload.target, "x", at_least=True)
    measured = report.times(comparison, "ours")
    return [
        report.Figure(name, measured, beside, faster, faster.median, target),
        report.Figure(f"{name}, first call", report.seconds(start.wall), beside,
                      timing.spread([theirs / start.wall])),
    ]  # fmt: skip


def _ratios(comparison: timing.Comparison) -> list[float]:
    pairs = zip(comparison.samples["hooks"], comparison.samples["ours"], strict=True)
    return [theirs.wall / ours.wall for theirs, ours in pairs]
