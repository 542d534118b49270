"""The algebra of axis sizes: integers, and integer polynomials over named non-negative symbols.

A size is an ``int`` or a `SizeExpr`: a sum of terms, each an integer coefficient times a product of
atoms. An atom is a symbol (``seq``) or one of the operations that polynomials lack (``//``, ``%``,
``min``, ``max``) applied to sizes. Every operation returns the canonical form, so that equality
is equality of forms; a constant is always a plain ``int``. Nothing is solved: what the form and
interval bounds do not decide stays undecided. Floor semantics are Python's, and all statements
hold for those non-negative symbol values at which no divisor is zero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import gcd
from typing import TypeAlias

from attrs import field, frozen

from graftwork.ir import intervals
from graftwork.ir.intervals import Bounds

Monomial: TypeAlias = "tuple[_Atom, ...]"  # sorted by text; a power is a repetition; () is 1


@frozen
class _Atom:
    """A factor that the polynomial sees as opaque. Its canonical text is its identity."""

    text: str
    op: str = field(eq=False)  # "symbol", "//", "%", "min" or "max"
    args: tuple[Size, ...] = field(eq=False)
    symbols: frozenset[str] = field(eq=False)
    bounds: Bounds = field(eq=False)

    @property
    def name(self) -> str:
        (name,) = self.symbols
        return name


@frozen(cache_hash=True, repr=False)
class SizeExpr:
    """A size that is not constant, in canonical form.

    Build it from `symbol` and operators. `terms` pairs monomials with non-zero coefficients,
    highest degree first, then by name, the constant last.
    """

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, Size):
            return NotImplemented
        total = dict(self.terms)
        for monomial, coefficient in terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return polynomial(total)

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, Size):
            return NotImplemented
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in terms(other):
                both = left + right
                monomial = tuple(sorted(both, key=_text)) if left and right else both
                total[monomial] = total.get(monomial, 0) + a * b
        return polynomial(total)

    def __neg__(self) -> SizeExpr:
        return SizeExpr(tuple((monomial, -c) for monomial, c in self.terms))

    def __sub__(self, other: Size) -> Size:
        return self + -other if isinstance(other, Size) else NotImplemented

    def __rsub__(self, other: int) -> Size:
        return -self + other if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: Size) -> Size:
        return _floordiv(self, other) if isinstance(other, Size) else NotImplemented

    def __rfloordiv__(self, other: int) -> Size:
        return _floordiv(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Size) -> Size:
        return _mod(self, other) if isinstance(other, Size) else NotImplemented

    def __rmod__(self, other: int) -> Size:
        return _mod(other, self) if isinstance(other, int) else NotImplemented

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in sorted(self.terms, key=lambda term: term[1] < 0):
            sign = "-" if coefficient < 0 else "+"
            lead = text or sign == "+"
            term = _term_text(monomial, abs(coefficient), alone=bool(lead))
            text = f"{text} {sign} {term}" if text else term if lead else sign + term
        return text

    __repr__ = __str__


Size: TypeAlias = int | SizeExpr


def symbol(name: str) -> SizeExpr:
    """The size that is only known by name: any integer from 0 up.

    Raises UnicodeEncodeError where the name holds lone surrogates, which no text can carry.
    """
    name.encode()
    text = name if _PLAIN.fullmatch(name) else json.dumps(name)
    atom = _Atom(text, "symbol", (), frozenset((name,)), (0, None))
    return SizeExpr((((atom,), 1),))


def variable(size: Size) -> str | None:
    """The name of the symbol that the size is, if it is one and nothing else."""
    atom = _lone_atom(size)
    return atom.name if atom is not None and atom.op == "symbol" else None


def minimum(first: Size, *rest: Size) -> Size:
    """The least of the sizes."""
    return _extreme("min", (first, *rest), lambda a, b: b - a)


def maximum(first: Size, *rest: Size) -> Size:
    """The greatest of the sizes."""
    return _extreme("max", (first, *rest), lambda a, b: a - b)


def ceil_div(a: Size, b: Size) -> Size:
    """``a / b`` rounded up. Raises ZeroDivisionError where `b` is 0."""
    return -(-a // b)


def symbols(size: Size) -> frozenset[str]:
    """The names of the symbols that the size mentions."""
    atoms = (atom for monomial, _ in terms(size) for atom in monomial)
    return frozenset[str]().union(*(atom.symbols for atom in atoms))


def bounds(size: Size, lower: Mapping[str, int] | None = None) -> Bounds:
    """Integers that the size never falls below and never exceeds; None where there is none known.

    Every symbol is at least its entry in `lower`, or 0.
    """
    low: int | None = 0
    high: int | None = 0
    for monomial, coefficient in terms(size):
        interval: Bounds = (coefficient, coefficient)
        for atom in monomial:
            interval = intervals.product(
                interval, _atom_bounds(atom, lower) if lower else atom.bounds
            )
        low = None if low is None or interval[0] is None else low + interval[0]
        high = None if high is None or interval[1] is None else high + interval[1]
    return low, high


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
        monomial = monomial_quotient(lead, divisor)
        if monomial is None or coefficient % scale:
            return None
        step = polynomial({monomial: coefficient // scale})
        quotient, a = quotient + step, a - step * b
    return quotient


def monomial_quotient(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """The product of what is left of the atoms; None if the divisor has others."""
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


# Canonical forms


def _text(atom: _Atom) -> str:
    return atom.text


def _order(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    # Graded lexicographic: compatible with multiplication, which exact division relies on.
    return -len(term[0]), [atom.text for atom in term[0]]


def terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    """Monomials and their coefficients; of an integer, the empty monomial."""
    return size.terms if isinstance(size, SizeExpr) else (((), size),)


def polynomial(coefficients: Mapping[Monomial, int]) -> Size:
    """The size with these coefficients, in canonical form."""
    terms = [term for term in coefficients.items() if term[1]]
    if not terms:
        return 0
    if len(terms) > 1:
        terms.sort(key=_order)
    elif not terms[0][0]:
        return terms[0][1]
    return SizeExpr(tuple(terms))


def split_constant(size: SizeExpr) -> tuple[list[int], int]:
    """The coefficients of the monomials, and the constant."""
    coefficients = [coefficient for monomial, coefficient in size.terms if monomial]
    monomial, last = size.terms[-1]
    return coefficients, 0 if monomial else last


def _lone_atom(size: Size) -> _Atom | None:
    """The atom that the size is, if it is one and nothing else."""
    if isinstance(size, SizeExpr) and len(size.terms) == 1:
        (monomial, coefficient), *_ = size.terms
        if coefficient == 1 and len(monomial) == 1:
            return monomial[0]
    return None


def _apply(op: str, *args: Size) -> Size:
    """The operation as an atom, or the constant that bounds pin it to."""
    interval = _INTERVALS[op](*map(bounds, args))
    if interval[0] is not None and interval[0] == interval[1]:
        return interval[0]
    if op in ("min", "max"):
        text = f"{op}({', '.join(map(str, args))})"
    else:
        text = f"{_operand_text(args[0], False)} {op} {_operand_text(args[1], True)}"
    atom = _Atom(text, op, args, frozenset[str]().union(*map(symbols, args)), interval)
    return SizeExpr((((atom,), 1),))


def _whole_multiples(size: Size, k: int) -> Size:
    """The `q` for which ``size - k * q`` has coefficients within ±k and its constant in [0, k).

    Coefficients keep their sign, since bounds are sharpest so.
    """
    return polynomial(
        {monomial: -(-c // k) if monomial and c < 0 else c // k for monomial, c in terms(size)}
    )


def _floordiv(a: Size, b: Size) -> Size:
    if b == 0:
        raise ZeroDivisionError(f"size {a} // 0")
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if terms(b)[0][1] < 0:
        a, b = -a, -b
    if isinstance(b, int):
        return _floordiv_constant(a, b)
    if _at_least(b, 1) and (quotient := exact_div(a, b)) is not None:
        return quotient
    return _apply("//", a, b)


def _floordiv_constant(a: Size, k: int) -> Size:
    """``a // k`` for positive `k`: whole multiples out, lowest terms, nested divisions merged."""
    quotient = _whole_multiples(a, k)
    rest = a - k * quotient
    if isinstance(rest, int):
        return quotient
    common = gcd(k, *split_constant(rest)[0])
    k //= common
    rest = SizeExpr(tuple((m, c // common) for m, c in rest.terms if c // common))
    if rest.terms[0][1] < 0:
        return quotient - _floordiv_constant(k - 1 - rest, k)
    for monomial, coefficient in rest.terms:
        if coefficient == 1 and len(monomial) == 1 and monomial[0].op == "//":
            inner, divisor = monomial[0].args
            if isinstance(divisor, int):
                others = rest - SizeExpr(((monomial, 1),))
                return quotient + _floordiv_constant(inner + divisor * others, divisor * k)
    return quotient + _apply("//", rest, k)


def _mod(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    quotient = a // b
    rest = a - b * quotient
    if isinstance(quotient, int) or isinstance(rest, int):
        return rest
    if terms(b)[0][1] < 0:
        return -_mod(-a, -b)
    return _mod_constant(a, b) if isinstance(b, int) else _apply("%", a, b)


def _mod_constant(a: Size, k: int) -> Size:
    """``a % k`` for positive `k` and a quotient that is no constant."""
    rest: Size = 0
    for monomial, c in terms(a - k * _whole_multiples(a, k)):
        inner: Size = polynomial({monomial: 1})
        if len(monomial) == 1 and monomial[0].op == "%" and c * monomial[0].args[1] % k == 0:
            inner = monomial[0].args[0]
        rest += c * inner
    if rest != a:
        return rest % k
    assert isinstance(rest, SizeExpr)
    coefficients, constant = split_constant(rest)
    common = gcd(k, *coefficients)
    if common > 1:
        return common * (rest // common % (k // common)) + constant % common
    return _apply("%", rest, k)


def _extreme(op: str, sizes: Iterable[Size], lead: Callable[[Size, Size], Size]) -> Size:
    """Min or max: flattened, without sizes that another one provably leads or equals."""
    flat: dict[Size, None] = {}
    for size in sizes:
        atom = _lone_atom(size)
        flat.update(dict.fromkeys(atom.args if atom and atom.op == op else (size,)))
    kept = [
        size
        for size in flat
        if not any(other != size and _at_least(lead(other, size), 0) for other in flat)
    ]
    kept.sort(key=lambda size: (isinstance(size, int), str(size)))
    return kept[0] if len(kept) == 1 else _apply(op, *kept)


def _at_least(size: Size, floor: int) -> bool:
    low, _ = bounds(size)
    return low is not None and low >= floor


def _atom_bounds(atom: _Atom, lower: Mapping[str, int]) -> Bounds:
    if atom.op == "symbol":
        return max(lower.get(atom.name, 0), 0), None
    return _INTERVALS[atom.op](*[bounds(arg, lower) for arg in atom.args])


_INTERVALS: dict[str, Callable[..., Bounds]] = {
    "//": intervals.floordiv,
    "%": intervals.mod,
    "min": intervals.least,
    "max": intervals.greatest,
}


_PLAIN = re.compile(r"(?!(?:min|max)\Z)[A-Za-z_][A-Za-z0-9_]*")


def _term_text(monomial: Monomial, coefficient: int, alone: bool) -> str:
    """One term, its coefficient positive; a quotient keeps its parentheses unless `alone`."""
    if alone and coefficient == 1 and len(monomial) == 1:
        return monomial[0].text
    factors = [f"({atom.text})" if atom.op in ("//", "%") else atom.text for atom in monomial]
    return "*".join([str(coefficient), *factors] if coefficient != 1 or not monomial else factors)


def _operand_text(size: Size, right: bool) -> str:
    """The size as it stands beside ``//`` or ``%``."""
    atom = _lone_atom(size)
    single = atom.op not in ("//", "%") if atom else not right and len(terms(size)) == 1
    return str(size) if single or isinstance(size, int) else f"({size})"
