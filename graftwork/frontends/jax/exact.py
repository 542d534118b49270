"""Scalars that are sizes, followed as sizes: `x.shape[0] - 1`, a wrapped negative index.

JAX computes the size of a dynamic dimension with the same equations as any number. Seen through,
`x[-1]` is one position of an axis and not a read at a computed place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import Atom, JaxprEqn
from graftwork.frontends.jax.sizes import SizeReader
from graftwork.ir.sizes import Size, bounds, maximum, minimum, symbols

Exact: TypeAlias = Size  # a bool is an int here, as in Python


def at_least(size: Size, floor: int) -> bool | None:
    """Whether `size >= floor` for all dimensions from 1 up, which is what JAX assumes."""
    low, high = bounds(size, dict.fromkeys(symbols(size), 1))
    if low is not None and low >= floor:
        return True
    return False if high is not None and high < floor else None


def _equal(a: Size, b: Size) -> bool | None:
    if a == b:
        return True
    return False if at_least(a - b, 1) or at_least(b - a, 1) else None


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def _choose(which: Size, *cases: Size) -> Size | None:
    return cases[which] if isinstance(which, int) else None


_FOLDS: dict[str, Callable[..., Size | None]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "max": maximum,
    "min": minimum,
    "clamp": lambda low, x, high: maximum(low, minimum(x, high)),
    "lt": lambda a, b: at_least(b - a, 1),
    "le": lambda a, b: at_least(b - a, 0),
    "gt": lambda a, b: at_least(a - b, 1),
    "ge": lambda a, b: at_least(a - b, 0),
    "eq": _equal,
    "ne": lambda a, b: _not(_equal(a, b)),
    "select_n": _choose,
    "convert_element_type": lambda a: a,
    "copy": lambda a: a,
    "stop_gradient": lambda a: a,
}


def _default_platform(platforms: Sequence[Sequence[str] | None]) -> int:
    """The branch for any device, or for the CPU, since a graph is for all devices."""
    if None in platforms:
        return platforms.index(None)
    return next((i for i, names in enumerate(platforms) if names and "cpu" in names), 0)


def fold(
    size: SizeReader, equation: JaxprEqn, exact: Callable[[Atom], Exact | None]
) -> Exact | None:
    """The size or truth value that an equation gives, if that is known.

    Args:
        exact: what an operand is known to be.
    """
    name = equation.primitive.name
    if name == "dim_as_value":
        return size(equation.params["dim"])
    if name == "platform_index":
        return _default_platform(equation.params["platforms"])
    if name == "broadcast_in_dim" and _jax.aval(equation.outvars[0]).shape == (1,):
        return exact(equation.invars[0])  # a vector that addresses one dimension
    if name not in _FOLDS:
        return None
    operands = [exact(atom) for atom in equation.invars]
    if any(x is None for x in operands):
        return None
    kinds = "".join(map(_jax.scalar_kind, (*equation.invars, *equation.outvars)))
    if not set(kinds) <= {"i", "b"} or (name == "convert_element_type" and kinds == "ib"):
        return None
    return _FOLDS[name](*operands)
