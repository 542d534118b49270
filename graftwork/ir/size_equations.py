"""Equations between sizes: exact polynomial division, and what a symbol must be."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.ir.sizes import (
    Monomial,
    Size,
    UnboundSymbol,
    evaluate,
    polynomial,
    symbol,
    terms,
)


def solve(expr: Size, name: str, value: int, bindings: Mapping[str, int]) -> int | None:
    """The value of symbol `name` at which `expr` equals `value`, the other symbols bound.

    None if `expr` is not linear in the symbol, another symbol is unbound, or no non-negative
    integer solves it.
    """
    (unknown, _), *_ = symbol(name).terms
    slope: dict[Monomial, int] = {}
    offset: dict[Monomial, int] = {}
    for monomial, coefficient in terms(expr):
        others = _quotient(monomial, unknown)
        rest, part = (monomial, offset) if others is None else (others, slope)
        if any(name in atom.symbols for atom in rest):
            return None
        part[rest] = coefficient
    try:
        factor = evaluate(polynomial(slope), bindings)
        distance = value - evaluate(polynomial(offset), bindings)
    except (UnboundSymbol, ZeroDivisionError):
        return None
    if factor == 0 or distance % factor or distance // factor < 0:
        return None
    return distance // factor


def exact_div(a: Size, b: Size) -> Size | None:
    """The polynomial `q` with ``q * b == a``, if there is one.

    Unlike ``a // b`` it cancels symbols that may be 0. Raises ZeroDivisionError if `b` is 0.
    """
    if b == 0:
        raise ZeroDivisionError(f"size {a} divided by 0")
    (divisor, scale), *_ = terms(b)
    quotient: Size = 0
    while a != 0:
        (lead, coefficient), *_ = terms(a)
        monomial = _quotient(lead, divisor)
        if monomial is None or coefficient % scale:
            return None
        step = polynomial({monomial: coefficient // scale})
        quotient, a = quotient + step, a - step * b
    return quotient


def _quotient(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)
