"""How long ``import graftwork`` takes after NumPy and attrs, and that it loads no framework.

The package loads what it holds when that is first used, so the second figure is the one that a
user feels: the import, with graphs, ops and passes.
"""

import subprocess
import sys

from benchmarks import report, timing

ROUNDS = 15
LIMIT = report.Target(0.1, "s")
SCRIPT = """
import sys, time
times = [time.perf_counter()]
import numpy, attrs
times.append(time.perf_counter())
import graftwork
times.append(time.perf_counter())
graftwork.Graph, graftwork.ops.exp, graftwork.passes.Steer
times.append(time.perf_counter())
loaded = {"torch", "jax", "onnx", "onnxruntime", "transformers"} & set(sys.modules)
assert not loaded, f"graftwork loads {loaded}"
print(*times)
"""


def figures() -> list[report.Figure]:
    _moments()  # compiles the bytecode and warms the file cache
    samples = [_moments() for _ in range(ROUNDS)]
    return [
        _line("import graftwork", [(b - a, c - b) for a, b, c, _ in samples]),
        _line("import, graphs, ops and passes", [(b - a, d - b) for a, b, _, d in samples]),
    ]


def _line(name: str, samples: list[tuple[float, float]]) -> report.Figure:
    base = timing.spread([base for base, _ in samples]).median
    ours = timing.spread([ours for _, ours in samples]).median
    return report.Figure(
        name,
        report.seconds(ours),
        f"numpy and attrs: {report.seconds(base)}",
        timing.spread([ours / base for base, ours in samples]),
        ours,
        LIMIT,
    )


def _moments() -> list[float]:
    """The clock before and after each step, in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    return [float(moment) for moment in run.stdout.split()]
