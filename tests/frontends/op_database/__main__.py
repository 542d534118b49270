"""Measure operators of the database: `python -m tests.frontends.op_database add sum --limit 10`."""

from __future__ import annotations

import argparse
import sys

from tests.frontends.op_database.cases import cases, names
from tests.frontends.op_database.judge import judge
from tests.frontends.op_database.report import of_zoo, rows, summary

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("ops", nargs="*", help="operators of the database; all if none is given")
parser.add_argument("--limit", type=int, help="samples of each operator and element type")
options = parser.parse_args()
samples = list(cases(options.ops or names(), limit=options.limit))
found = rows(samples, judge(samples))
sys.stdout.write(f"{summary(found)}\n\nreal models' operators alone\n")
sys.stdout.write(f"{summary(of_zoo(found))}\n")
