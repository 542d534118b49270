"""Equations between sizes: what a symbol must be."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.ir.size_values import UnboundSymbol, evaluate
from graftwork.ir.sizes import Monomial, Size, monomial_quotient, polynomial, symbol, terms


def solve(expr: Size, name: str, value: int, bindings: Mapping[str, int]) -> int | None:
    """The value of symbol `name` at which `expr` equals `value`, the other symbols bound.

    None if `expr` is not linear in the symbol, another symbol is unbound, or no non-negative
    integer solves it.
    """
    (unknown, _), *_ = symbol(name).terms
    slope: dict[Monomial, int] = {}
    offset: dict[Monomial, int] = {}
    for monomial, coefficient in terms(expr):
        others = monomial_quotient(monomial, unknown)
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
