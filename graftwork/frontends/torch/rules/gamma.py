"""Derivatives of the digamma function.

To the right of zero by the recurrence psi_n(x) = psi_n(x + 1) - (-1)^n n! x^-(n+1) and the
asymptotic series, to the left by reflection (Abramowitz and Stegun 6.4.6, 6.4.7, 6.4.11).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

from graftwork.frontends.torch.rules.elementwise import pointwise
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.positional import Positional

_STEPS = 10  # of the recurrence, before the series is used
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B_2, B_4, ...


@rule("aten.polygamma")
def polygamma(call: Call, n: int, self: Positional) -> Positional:
    """The n-th derivative of digamma; infinite at zero and the negative whole numbers."""
    sign = 1.0 if n % 2 else -1.0

    def build(x: Term) -> Term:
        if n == 0:
            digamma: Term = ops.digamma(x)
            return digamma
        left = ops.lt(x, 0.5)
        right = sign * _to_the_right(ops.select(left, 1.0 - x, x), n)
        slope = _polynomial(_cotangent(n), 1.0 / ops.tan((x - ops.round(x)) * math.pi))
        reflected = -(math.pi ** (n + 1)) * slope - sign * right
        pole = ops.le(x, 0.0) & ops.eq(x, ops.floor(x))
        return ops.select(pole, sign * math.inf, ops.select(left, reflected, right))

    return pointwise(call, build, self, dtype=call.dtype)


def _to_the_right(x: Term, n: int) -> Term:
    """The sum over all k >= 0 of n! / (x + k)^(n + 1)."""
    total = reduce(ops.add, (ops.pow(x + float(k), -float(n + 1)) for k in range(_STEPS)))
    y = x + float(_STEPS)
    series = math.factorial(n - 1) * ops.pow(y, -float(n))
    series = series + math.factorial(n) / 2 * ops.pow(y, -float(n + 1))
    for j, number in enumerate(_BERNOULLI, start=1):
        factor = number * math.factorial(2 * j + n - 1) / math.factorial(2 * j)
        series = series + factor * ops.pow(y, -float(2 * j + n))
    return total * float(math.factorial(n)) + series


def _cotangent(n: int) -> list[float]:
    """The n-th derivative of cot, as the coefficients of a polynomial in cot."""
    found = [0.0, 1.0]
    for _ in range(n):
        slope = [power * c for power, c in enumerate(found)][1:]
        found = [-a - b for a, b in zip((*slope, 0.0, 0.0), (0.0, 0.0, *slope), strict=True)]
    return found


def _polynomial(coefficients: Sequence[float], x: Term) -> Term:
    total = x * 0.0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total
