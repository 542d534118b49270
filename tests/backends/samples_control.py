"""Sample graphs of control flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir import ops
from graftwork.ir.build import Term
from tests.backends.build import Sample, bools, control, normal, region, sample


def _call(x: Term) -> Any:
    body = region(x, [("f64", "a b")], lambda y: (y * 2.0, y.sum("b")))
    return control(ops.call, [x], [body])


def _cond(p: Term, x: Term) -> Any:
    then = region(x, [("f64", "a b")], lambda y: (y * 2.0, y.sum("b")))
    other = region(x, [("f64", "a b")], lambda y: (ops.exp(y), y[{"b": 0}]))
    return control(ops.cond, [p, x], [then, other])


def _cond_wide(p: Term, x: Term) -> Any:
    """The branches give different axes."""
    then = region(x, [("f64", "a b")], lambda y: y.sum("a"))
    other = region(x, [("f64", "a b")], lambda y: y.sum("b"))
    return control(ops.cond, [p, x], [then, other])


def _while(n: Term, x: Term) -> Any:
    """Doubles x until it has done so n times; an element with its own n stops by itself."""
    zero = ops.constant(value=0)
    ports = [("i64", ""), ("f64", "a"), ("i64", " ".join(n.axes))]
    going = region(n, ports, lambda i, y, n: i < n)
    body = region(n, ports, lambda i, y, n: (i + 1, y * 2.0))
    return control(ops.while_, [zero, x, n], [going, body], carry=2)


def _while_wide(x: Term, y: Term) -> Any:
    """The carry gains an axis from a constant of the loop."""
    zero = ops.constant(value=0)
    ports = [("i64", ""), ("f64", "a"), ("f64", "b")]
    going = region(x, ports, lambda i, x, y: i < 3)
    body = region(x, ports, lambda i, x, y: (i + 1, x + y))
    return control(ops.while_, [zero, x, y], [going, body], carry=2)


def _scan(x: Term, h: Term, w: Term, reverse: bool = False) -> Any:
    def step(h: Term, x: Term, w: Term) -> Any:
        new = ops.tanh(ops.contract(h, w, over="e").rename(f="e") + x)
        return new, new.sum("e")

    body = region(x, [("f64", "e"), ("f64", "b e"), ("f64", "e f")], step)
    return control(ops.scan, [h, x, w], [body], axis="s", carry=1, xs=1, reverse=reverse)


def _scan_map(x: Term) -> Any:
    body = region(x, [("f64", "e")], lambda x: x * 2.0)
    return control(ops.scan, [x], [body], axis="s", carry=0, xs=1)


def _scan_count(x: Term) -> Any:
    """No scanned operand: only the length of the axis counts; two nested loops."""

    def outer(h: Term, x: Term) -> Any:
        inner = region(h, [("f64", "e"), ("f64", "e")], lambda a, b: a + b * 0.5)
        (new,) = control(ops.scan, [h, x], [inner], axis="t", carry=1, xs=0)
        return new

    body = region(x, [("f64", "e"), ("f64", "e")], outer)
    return control(ops.scan, [x.sum("s"), x], [body], axis="s", carry=1, xs=1)


def _controls() -> list[Sample]:
    x = normal(2, 3)
    seq, state, weight = normal(2, 5, 3), normal(3), normal(3, 3)
    found = [
        sample("call", _call, x=("a b", x)),
        sample("cond-true", _cond, p=("", np.array(True)), x=("a b", x)),
        sample("cond-false", _cond, p=("", np.array(False)), x=("a b", x)),
        sample("cond-axes", _cond, p=("b", bools(3)), x=("a b", x)),
        sample("cond-wide", _cond_wide, p=("", np.array(True)), x=("a b", normal(3, 2))),
        sample("while", _while, n=("", np.array(3)), x=("a", normal(4))),
        sample("while-none", _while, n=("", np.array(0)), x=("a", normal(4))),
        sample("while-axes", _while, n=("b", np.array([3, 0, 1])), x=("a", normal(4))),
        sample("while-wide", _while_wide, x=("a", normal(4)), y=("b", normal(3))),
    ]
    found += [
        sample(
            f"scan{'-reverse' * reverse}",
            lambda x, h, w, r=reverse: _scan(x, h, w, r),
            x=("b s e", seq),
            h=("e", state),
            w=("e f", weight),
            sizes={"s": "seq", "b": "batch"},
        )
        for reverse in (False, True)
    ]
    found += [
        sample("scan-empty", _scan, x=("b s e", seq[:, :0]), h=("e", state), w=("e f", weight)),
        sample("scan-map", _scan_map, x=("e s", normal(3, 4))),
        sample("scan-nested", lambda x, t: _scan_count(x), x=("e s", normal(3, 4)),
               t=("t", normal(2))),
    ]  # fmt: skip
    return found


SAMPLES: list[Sample] = [*_controls()]
