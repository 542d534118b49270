"""The table from torch's operators to the functions that translate them.

A rule is called with the `Call` and then the operator's own arguments, tensors as `Positional`,
sizes as `Size`, element types as `DType`. It gives a `Positional`, or a tuple of them where the
operator has several results. Anyone may register rules for operators of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from attrs import frozen

from graftwork.frontends.torch.keys import Keys
from graftwork.frontends.torch.values import Extents
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.positional import fresh
from graftwork.ir.sizes import Size

Rule = Callable[..., Any]
F = TypeVar("F", bound=Rule)

RULES: dict[str, Rule] = {}
COMPLEX_RULES: dict[str, Rule] = {}  # those of calls that take or give complex numbers


@frozen(eq=False)
class Call:
    """One call of an operator, as a rule sees it.

    Attributes:
        op: the operator, `aten.add.Tensor`.
        builder: where to build.
        shapes: the shape of each result as torch knows it.
        dtypes: the element type of each result; of complex numbers, that of their parts.
        complexes: whether each result is complex.
        parts: the axis of the real and imaginary parts of complex numbers; it rides along unseen
            by position.
        keys: the random keys of the program.
        operands: the tensors among its arguments, without numbers, as torch knows them.
    """

    op: str
    builder: Builder
    shapes: tuple[Extents, ...]
    dtypes: tuple[DType, ...]
    complexes: tuple[bool, ...]
    parts: str
    keys: Keys
    operands: tuple[torch.Tensor, ...] = ()

    @property
    def shape(self) -> Extents:
        """The shape of the only, or first, result."""
        return self.shapes[0]

    @property
    def dtype(self) -> DType:
        """The element type of the only, or first, result."""
        return self.dtypes[0]

    def fresh(self, size: Size) -> str:
        """A new axis that nobody has named."""
        return fresh(self.builder.typing, size)

    def fresh_dims(self, extents: Extents) -> tuple[str | None, ...]:
        """A new axis for each dimension that is not unit."""
        return tuple(None if e is None else self.fresh(e) for e in extents)

    def draw_key(self) -> Term:
        """A random key of this call's own."""
        if self.builder is not self.keys.builder:
            raise self.refuse("it draws random numbers in a loop or a branch; do it before")
        return self.keys.draw()

    def refuse(self, what: str) -> UnsupportedOpError:
        """The error for a use of the operator that no rule knows."""
        return UnsupportedOpError(f"{self.op}: {what} (from {self.builder.origin})")


def rule(*names: str) -> Callable[[F], F]:
    """Register a rule under operators (`aten.add`) or single overloads (`aten.add.Tensor`)."""

    def register(function: F) -> F:
        for name in names:
            RULES[name] = function
        return function

    return register


def complex_rule(*names: str) -> Callable[[F], F]:
    """Register a rule under operators where an operand or a result is complex."""

    def register(function: F) -> F:
        for name in names:
            COMPLEX_RULES[name] = function
        return function

    return register


def find_rule(op: str) -> Rule | None:
    """The rule of an overload `aten.add.Tensor`, or of all overloads of its operator."""
    return find_real_rule(op) or find_complex_rule(op)


def find_real_rule(op: str) -> Rule | None:
    """The rule of an operator between real numbers."""
    return RULES.get(op) or RULES.get(op.rpartition(".")[0])


def find_complex_rule(op: str) -> Rule | None:
    """The rule of an operator where an operand or a result is complex."""
    return COMPLEX_RULES.get(op) or COMPLEX_RULES.get(op.rpartition(".")[0])
