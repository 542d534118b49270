"""Sizes as JAX writes them, integers and symbolic dimensions, as sizes of the IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from graftwork.frontends.jax._jax import DimExpr, dim_terms
from graftwork.ir.errors import ConversionError
from graftwork.ir.sizes import Size, exact_div, maximum, minimum, symbol


def _floor_div(a: Size, b: Size) -> Size:
    """`a // b`; JAX's dimensions are 1 or more, so symbols cancel."""
    exact = exact_div(a, b)
    return a // b if exact is None else exact


def _modulo(a: Size, b: Size) -> Size:
    return a % b if exact_div(a, b) is None else 0


_OPERATIONS: dict[str, Callable[..., Size]] = {
    "floordiv": _floor_div,
    "mod": _modulo,
    "max": maximum,
    "min": minimum,
}


@frozen
class SizeReader:
    """Reads JAX's sizes.

    It remembers what it has read by identity, since comparing two symbolic dimensions takes JAX
    longer than reading one.

    Attributes:
        axes: JAX's name of a dimension variable -> the axis that it is the size of.
    """

    axes: Mapping[str, str]
    _known: dict[int, tuple[DimExpr, Size]] = field(factory=dict, init=False, eq=False, repr=False)

    def __call__(self, value: Any) -> Size:
        """The size that an int or a symbolic dimension is."""
        if not isinstance(value, DimExpr):
            return int(value)
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = value, self._sum(value)
        return known[1]

    def _sum(self, value: DimExpr) -> Size:
        total: Size = 0
        for coefficient, factors in dim_terms(value):
            product: Size = coefficient
            for word, operands, power in factors:
                for _ in range(power):
                    product = product * self._factor(word, operands)
            total = total + product
        return total

    def _factor(self, word: str, operands: Sequence[Any]) -> Size:
        if not operands:
            return symbol(self.axes[word])
        if word not in _OPERATIONS:
            raise ConversionError(
                f"the model computes with a size that is a {word}, which sizes here do not have; "
                'fix the axis that it depends on (`"batch=1"` in axes=)'
            )
        return _OPERATIONS[word](*map(self, operands))

    def shape(self, sizes: Sequence[Any]) -> tuple[Size, ...]:
        """All sizes of a shape."""
        return tuple([size if type(size) is int else self(size) for size in sizes])
