"""Run the benchmarks, print their figures as a table, and write them to ``results.md``.

``python -m benchmarks`` runs all of them; ``python -m benchmarks latency imports`` runs those two
and leaves the file as it is.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from benchmarks import (
    compiling,
    conversion,
    families,
    imports,
    interventions,
    latency,
    pictures,
    report,
    rewriting,
    training,
    values,
    workloads,
)

WORKLOADS: dict[str, Callable[[], Sequence[report.Figure]]] = {
    "imports": imports.figures,
    "rewriting": rewriting.figures,
    "conversion": conversion.figures,
    "compiling": compiling.figures,
    "latency": latency.figures,
    "families": families.figures,
    "interventions": interventions.figures,
    "training": training.figures,
    "pictures": pictures.figures,
    "workloads": workloads.figures,
    "values": values.figures,
}
RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    names = _arguments() or list(WORKLOADS)
    load = os.getloadavg()[0]
    figures: list[report.Figure] = []
    failed = False
    for name in names:
        start = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            figures += WORKLOADS[name]()
        except Exception:
            traceback.print_exc()
            failed = True
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    text = report.table(figures)
    print(text)
    if not failed and set(names) == set(WORKLOADS):
        RESULTS.write_text(_page(text, load))
    return int(failed)


def _arguments() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    names: list[str] = parser.parse_args().names
    for unknown in set(names) - set(WORKLOADS):
        parser.error(f"no benchmark is called {unknown!r}; there are {', '.join(WORKLOADS)}")
    return names


def _page(text: str, load: float) -> str:
    return f"""# Figures

`make bench` wrote this page on {date.today()}. Times are medians of interleaved runs, on the wall
clock and, as cpu, summed over threads; ratios are medians of the quotients within a round, with
their quartiles. The machine's load before the first run was {load:.1f}.

{report.machine()}

{text}
"""


if __name__ == "__main__":
    sys.exit(main())
