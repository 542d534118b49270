"""What sizes come to: as integers, with their symbols replaced, and beside one another."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from math import gcd
from typing import Any

from graftwork.ir.errors import GraftworkError
from graftwork.ir.sizes import (
    Monomial,
    Size,
    SizeExpr,
    bounds,
    maximum,
    minimum,
    split_constant,
    symbol,
    symbols,
)

_BUILDERS: dict[str, Callable[..., Size]] = {
    "//": operator.floordiv,
    "%": operator.mod,
    "min": minimum,
    "max": maximum,
}


class UnboundSymbol(GraftworkError, LookupError):
    """A size was evaluated without a value for one of its symbols."""


def evaluate(size: Size, bindings: Mapping[str, int]) -> int:
    """The integer that the size is under `bindings`.

    Raises UnboundSymbol where a symbol has no value, ZeroDivisionError where a divisor is 0.
    """
    missing = sorted(symbols(size) - bindings.keys())
    if missing:
        known = ", ".join(sorted(bindings)) or "nothing"
        raise UnboundSymbol(f"size {size} needs a value for {', '.join(missing)}; bound: {known}")
    value = fold(size, bindings.__getitem__, _BUILDERS)
    assert isinstance(value, int)
    return value


def substitute(size: Size, replacements: Mapping[str, Size]) -> Size:
    """The size with symbols replaced, all at once, by sizes that must be non-negative as well."""
    found: Size = fold(size, lambda name: replacements.get(name, symbol(name)), _BUILDERS)
    return found


def decide(a: Size, b: Size) -> bool | None:
    """True if the sizes are always equal, False if they always differ, None if neither is shown."""
    if a == b:
        return True
    difference = a - b
    if isinstance(difference, SizeExpr):
        low, high = bounds(difference)
        if (low is not None and low > 0) or (high is not None and high < 0):
            return False
        difference = fold(difference, symbol, _BUILDERS | {"%": lambda n, d: n - d * (n // d)})
    if isinstance(difference, int):
        return difference == 0
    coefficients, constant = split_constant(difference)
    return False if constant % gcd(*coefficients) else None


def fold(
    size: Size, leaf: Callable[[str], Any], functions: Mapping[str, Callable[..., Any]]
) -> Any:
    """The size computed anew by any arithmetic that has `+` and `*`.

    `leaf` says what a symbol is, `functions` what `//`, `%`, `min` and `max` do.
    """
    if isinstance(size, int):
        return size
    return reduce(operator.add, (_fold_term(m, c, leaf, functions) for m, c in size.terms))


def _fold_term(
    monomial: Monomial,
    coefficient: int,
    leaf: Callable[[str], Any],
    functions: Mapping[str, Callable[..., Any]],
) -> Any:
    factors = [
        leaf(atom.name)
        if atom.op == "symbol"
        else functions[atom.op](*[fold(arg, leaf, functions) for arg in atom.args])
        for atom in monomial
    ]
    if coefficient != 1 or not factors:
        factors.append(coefficient)
    return reduce(operator.mul, factors)
