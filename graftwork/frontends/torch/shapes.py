"""Sizes as torch.export writes them (integers and SymPy expressions) as sizes of the IR.

The symbols of an export are torch's own (`s43`). Each is replaced by what it stands for: the
symbol of the axis that the caller named, or the size that the sample has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import gcd
from typing import Any

from attrs import frozen
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.utils._sympy.functions import Max, Min

from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Guard
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, SizeExpr, bounds, exact_div, maximum, minimum, symbol, symbols


@frozen
class SizeReader:
    """Reads torch's sizes.

    Attributes:
        symbols: torch's symbol -> size.
    """

    symbols: Mapping[str, Size]

    def __call__(self, value: Any) -> Size:
        """The size that an int, a SymInt or a SymPy expression is.

        Raises:
            ConversionError: for a size that depends on data, or one that no size algebra holds.
        """
        if isinstance(value, int):
            return int(value)
        node = getattr(value, "node", None)
        return self._read(value if node is None else node.expr)

    def _read(self, expr: Any) -> Size:
        if expr.is_Integer:
            return int(expr)
        if expr.is_Symbol:
            return self._symbol(str(expr))
        word = type(expr).__name__
        if word not in _OPERATIONS:
            raise ConversionError(
                f"the model computes with a size that is {expr}, and {word} of sizes is not "
                "supported; fix the axis that it depends on (`seq=128` in axes=)"
            )
        return _OPERATIONS[word](*map(self._read, expr.args))

    def _symbol(self, name: str) -> Size:
        if name not in self.symbols:
            raise ConversionError(
                "the model makes an array whose size depends on data, not on the sizes of its "
                "inputs; such a program has no static shapes to convert: keep arrays whole and "
                "mask them (torch.where instead of x[mask]), or pass what decides their sizes as "
                "an argument that is not a tensor"
            )
        return self.symbols[name]


def is_unit(extent: Any) -> bool:
    """Whether torch knows an extent to be 1, if need be by what it knows of the sizes in it."""
    if isinstance(extent, int):
        return extent == 1
    return bool(extent.node.expr.has(Max, Min)) and statically_known_true(extent == 1)


def _add(*parts: Size) -> Size:
    total: Size = 0
    for part in parts:
        total = total + part
    return total


def _multiply(*parts: Size) -> Size:
    total: Size = 1
    for part in parts:
        total = total * part
    return total


def _power(base: Size, exponent: Size) -> Size:
    if not isinstance(exponent, int) or exponent < 0:
        raise ConversionError(f"the model computes with a size that is {base} ** {exponent}")
    return _multiply(*[base] * exponent)


def _reduced(a: Size, b: Size) -> tuple[Size, Size, Size]:
    """A common factor of two sizes taken out of both: what remains of them, and the factor."""
    factor: Size = 1
    for name in symbols(b):
        one = symbol(name)
        while (p := exact_div(a, one)) is not None and (q := exact_div(b, one)) is not None:
            a, b, factor = p, q, factor * one
    common = gcd(*_coefficients(a), *_coefficients(b))
    return a // common, b // common, factor * common


def _coefficients(size: Size) -> list[int]:
    return [size] if isinstance(size, int) else [number for _, number in size.terms]


def floor_div(a: Size, b: Size) -> Size:
    """`a // b`; what a traced program divides by is never 0, so that common factors cancel."""
    a, b, _ = _reduced(a, b)
    exact = exact_div(a, b)
    return a // b if exact is None else exact


def _modulo(a: Size, b: Size) -> Size:
    a, b, factor = _reduced(a, b)
    return factor * (a % b) if exact_div(a, b) is None else 0


_OPERATIONS: dict[str, Callable[..., Size]] = {
    "Add": _add,
    "Mul": _multiply,
    "Pow": _power,
    "FloorDiv": floor_div,
    "CleanDiv": floor_div,
    "Mod": _modulo,
    "PythonMod": _modulo,
    "Max": maximum,
    "Min": minimum,
}


def read_guards(conditions: Iterable[Any], reader: SizeReader) -> tuple[Guard, ...]:
    """The conditions on sizes under which a trace is valid, less those that always hold.

    Args:
        conditions: SymPy relations between sizes.
        reader: reads their two sides.

    That two sizes differ, or that a size is not 1, only says how torch specialises programs: the
    translation to named axes does not depend on it. What follows from a size being a multiple of
    a number is left out where that is a condition of its own.
    """
    listed = list(conditions)
    multiples = [found for each in listed if (found := _multiple(each, reader)) is not None]
    times = {name: symbol(name) * number for name, number in multiples}
    scaled = SizeReader({name: substitute(n, times) for name, n in reader.symbols.items()})
    guards = [guard_between(symbol(name) % number, 0, 0) for name, number in multiples]
    guards += [_guard(each, reader) for each in listed if _guard(each, scaled) is not None]
    return tuple(dict.fromkeys(guard for guard in guards if guard is not None))


def _multiple(condition: Any, reader: SizeReader) -> tuple[str, int] | None:
    """The symbol and the number in a condition that one is a multiple of the other."""
    if type(condition).__name__ == "Equality" and condition.args[1] == 0:
        left = condition.args[0]
        if type(left).__name__ in ("Mod", "PythonMod"):
            try:
                size, number, _ = _reduced(*map(reader, left.args))
            except ConversionError:
                return None
            for name in symbols(size):
                if size == symbol(name) and isinstance(number, int):
                    return name, number
    return None


# SymPy's relation -> the least and greatest difference of its sides that it allows; where it is
# the right side that must be greater, the difference is right - left.
_RELATIONS: dict[str, tuple[bool, int, int | None]] = {
    "Equality": (False, 0, 0),
    "GreaterThan": (False, 0, None),
    "StrictGreaterThan": (False, 1, None),
    "LessThan": (True, 0, None),
    "StrictLessThan": (True, 1, None),
}


def _guard(condition: Any, reader: SizeReader) -> Guard | None:
    if type(condition).__name__ not in _RELATIONS:
        return None
    swapped, low, high = _RELATIONS[type(condition).__name__]
    try:
        left, right = map(reader, condition.args)
    except ConversionError:
        return None  # about values, or symbols that no input has: torch.export decided it
    return guard_between(right - left if swapped else left - right, low, high)


def guard_between(size: Size, low: int | None, high: int | None) -> Guard | None:
    """The guard `low <= size <= high`, unless it always holds.

    Torch assumes for itself that symbols are 2 or more. A guard that then always holds is one of
    those that it made up, and dropped.
    """
    least, _ = bounds(size, dict.fromkeys(symbols(size), 2))
    _, most = bounds(size)
    met_low = low is None or (least is not None and least >= low)
    met_high = high is None or (most is not None and most <= high)
    if met_low and met_high:
        return None
    return Guard(*_plainest(size, low, high), "assumed when the model was traced")


def _plainest(size: Size, low: int | None, high: int | None) -> tuple[Size, int | None, int | None]:
    """The same condition without a constant term, so `64 - seq >= 0` is `seq <= 64`."""
    if not isinstance(size, SizeExpr):
        return size, low, high
    constant = dict(size.terms).get((), 0)
    size = size - constant
    low = None if low is None else low - constant
    high = None if high is None else high - constant
    if isinstance(size, SizeExpr) and size.terms[0][1] < 0:
        return -size, None if high is None else -high, None if low is None else -low
    return size, low, high
