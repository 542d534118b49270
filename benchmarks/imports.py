"""How long ``import graftwork`` takes after NumPy and attrs, and that it loads no framework."""

import subprocess
import sys

from benchmarks import report, timing

ROUNDS = 15
SCRIPT = """
import sys, time
start = time.perf_counter()
import numpy, attrs
between = time.perf_counter()
import graftwork
end = time.perf_counter()
loaded = {"torch", "jax", "onnx", "onnxruntime", "transformers"} & set(sys.modules)
assert not loaded, f"import graftwork loads {loaded}"
print(between - start, end - between)
"""


def figures() -> list[report.Figure]:
    _import_seconds()  # compiles the bytecode and warms the file cache
    samples = [_import_seconds() for _ in range(ROUNDS)]
    base = timing.spread([base for base, _ in samples])
    ours = timing.spread([ours for _, ours in samples])
    return [
        report.Figure(
            "import graftwork",
            report.seconds(ours.median),
            f"numpy and attrs: {report.seconds(base.median)}",
            timing.spread([ours / base for base, ours in samples]),
            ours.median,
            report.Target(0.1, "s"),
        )
    ]


def _import_seconds() -> tuple[float, float]:
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    ).stdout
    base, ours = map(float, printed.split())
    return base, ours
