"""Measure operators of the database: `python -m tests.frontends.op_database add sum --limit 10`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.frontends.op_database.cases import cases, names
from tests.frontends.op_database.judge import judge
from tests.frontends.op_database.report import summary

parser = argparse.ArgumentParser()
parser.add_argument("ops", nargs="*")
parser.add_argument("--limit", type=int)
parser.add_argument("--zoo", action="store_true")
parser.add_argument("--rest", action="store_true")
o = parser.parse_args()
found = []
t = time.time()
chosen = [n for n in names() if not o.ops or n in o.ops]
for name in chosen:
    got = list(cases([name], limit=o.limit))
    if (o.zoo and not any(c.zoo for c in got)) or (o.rest and any(c.zoo for c in got)):
        continue
    t1, now = time.time(), []
    for i in range(0, len(got), 48):
        now += judge(got[i : i + 48])
    print(f"== {name} {time.time() - t1:.1f}")
    summary(now)
    sys.stdout.flush()
    found += now
print("== TOTAL")
summary(found)
print(f"{time.time() - t:.0f} s")
