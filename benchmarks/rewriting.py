"""Nodes per second of what passes are made of: build, verify, share, substitute, print, parse.

Processor time, interleaved with torch.fx, onnx-ir and xDSL where they have the operation, on the
chain of `benchmarks.chains`; Python's garbage collector is on. One figure more is the whole of a
rewrite, every node substituted and then cleanup, each verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks import chains, report, timing
from graftwork.passes.cleanup import Cleanup

SIZE, LARGE = 100_000, 1_000_000
ROUNDS, LARGE_ROUNDS = chains.RUNS - 1, 2  # one run more warms up
LIBRARIES: Mapping[str, Callable[[int], Mapping[str, chains.Work]]] = {
    "graftwork": chains.ours,
    "torch.fx": chains.torch_fx,
    "onnx-ir": chains.onnx_ir,
    "xDSL": chains.xdsl,
}
CHAINS: Mapping[str, Callable[[int], object]] = {
    "graftwork": chains.chain,
    "torch.fx": chains.fx_chain,
    "onnx-ir": chains.onnx_chain,
    "xDSL": chains.xdsl_chain,
}
FAST = report.Target(100_000, "nodes/s", at_least=True)
READ = report.Target(30_000, "nodes/s", at_least=True)
SMALL = report.Target(1_000, "bytes")
TARGETS = {
    "build": FAST,
    "verify what an edit changed": FAST,
    "share what is common": FAST,
    "substitute": FAST,
    "verify": READ,
    "print": READ,
    "parse": READ,
}


def figures() -> list[report.Figure]:
    near = timing.isolated(_times, SIZE, ROUNDS, tuple(LIBRARIES))
    far = timing.isolated(_times, LARGE, LARGE_ROUNDS, ("graftwork",))
    beside = [_beside(name, near[name]) for name in TARGETS]
    linear = [_linear(name, near[name], far[name]) for name in far]
    return [*beside, *linear, _memory()]


def _times(size: int, rounds: int, names: tuple[str, ...]) -> dict[str, timing.Comparison]:
    """Operation -> its samples by library."""
    libraries = {name: LIBRARIES[name](size) for name in names}
    graph = chains.chain(size)
    found = {
        operation: timing.compare(
            {name: works[operation] for name, works in libraries.items() if operation in works},
            rounds,
        )
        for operation in TARGETS
    }
    whole = {"graftwork": lambda: graph.apply(chains.substitute, Cleanup())}
    return {**found, "substitute, clean up, verify": timing.compare(whole, rounds)}


def _beside(operation: str, times: timing.Comparison) -> report.Figure:
    rates = {name: SIZE / times.cpu(name).median for name in times.samples}
    peers = [name for name in rates if name != "graftwork"]
    ratio = None
    if peers:
        best = max(peers, key=lambda name: rates[name])
        pairs = zip(times.samples[best], times.samples["graftwork"], strict=True)
        ratio = timing.spread([theirs.cpu / ours.cpu for theirs, ours in pairs])
    return report.Figure(
        f"{operation}, {SIZE:,} nodes",
        f"{rates['graftwork']:,.0f} nodes/s",
        ", ".join(f"{name}: {rates[name]:,.0f}" for name in peers),
        ratio,
        rates["graftwork"],
        TARGETS[operation],
    )


def _linear(operation: str, near: timing.Comparison, far: timing.Comparison) -> report.Figure:
    slow, fast = LARGE / far.cpu("graftwork").median, SIZE / near.cpu("graftwork").median
    return report.Figure(
        f"{operation}, {LARGE:,} nodes",
        f"{slow:,.0f} nodes/s",
        f"{SIZE:,} nodes: {fast:,.0f}",
        timing.spread([slow / fast]),
    )


def _memory() -> report.Figure:
    kept = {name: timing.isolated(_bytes, name) for name in CHAINS}
    return report.Figure(
        "memory of a node",
        f"{kept['graftwork']:,.0f} bytes",
        ", ".join(f"{name}: {kept[name]:,.0f}" for name in kept if name != "graftwork"),
        judged=kept["graftwork"],
        target=SMALL,
    )


def _bytes(name: str) -> float:
    """Resident bytes of a node."""
    CHAINS[name](chains.BLOCK)  # what is loaded once is no node's
    return timing.memory_of(lambda: CHAINS[name](SIZE))[1].kept / SIZE
