"""The space at one site that an intervention learns in: its axes, and the parameters there."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.names import unused
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.ir.types import Type
from graftwork.passes.positions import editing, fixed


@frozen(eq=False)
class Space:
    """Some axes of an activation, together.

    Attributes:
        found: where the activation is.
        x: the activation.
        axes: those of the space; all others only repeat what happens in it.
        prefix: what its parameters are called by.
        shared: whether parameters of that prefix are taken where there are any.
        key: seed of what is drawn.
    """

    found: Found
    x: Term
    axes: tuple[str, ...]
    prefix: str
    shared: bool
    key: int

    @property
    def rewriter(self) -> Rewriter:
        return editing(self.x)

    @property
    def extents(self) -> tuple[int, ...]:
        return tuple(int(str(self.x.size(axis))) for axis in self.axes)

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return prod(self.extents)

    def coordinates(self, dims: int | Sequence[int], count: int | None = None) -> tuple[int, ...]:
        """The first so many of `count` coordinates (all of the space if None), or those given.

        Raises:
            InputError: if there are none, or not so many.
        """
        count = self.width if count is None else count
        which = tuple(range(dims)) if isinstance(dims, int) else tuple(map(int, dims))
        if not which or min(which) < 0 or max(which) >= count or len(set(which)) < len(which):
            raise InputError(
                f"{self.found.name}: {dims} is no choice among the {count} coordinates here"
            )
        return which

    def exchanged(self, y: Term, directions: Term) -> Term:
        """x + (y - x) R Rᵀ, where R has the columns `directions`."""
        span = [axis for axis in directions.axes if axis not in self.axes]
        part = ops.contract((y - self.x).broadcast(*self.axes), directions, over=self.axes)
        return self.x + ops.contract(part, directions, over=span)

    # --- parameters -------------------------------------------------------------------------

    def reflections(self, count: int) -> Term:
        """So many learned reflections, drawn from a normal distribution."""
        drawn = np.random.default_rng(self.key).standard_normal((count, *self.extents))
        return self.learned("reflections", drawn, "reflection")

    def learned(self, word: str, start: Any, *new: str) -> Term:
        """A trainable parameter over new axes and, unless it is a number, those of the space.

        Raises:
            InputError: if it is shared with one of another shape.
        """
        name, data = f"{self.prefix}.{word}", np.asarray(start).astype(self.x.dtype.numpy)
        known = {p.name: p.value for p in self.rewriter.parameters}
        if self.shared and name in known:
            return self._again(Term(known[name], self.x.builder), data.shape)
        axes = (*self.new_axes(new, data.shape), *(self.axes if data.ndim else ()))
        value = self.rewriter.add_parameter(name, data, Type(self.x.dtype, axes))
        return Term(value, self.x.builder)

    def fixed(self, word: str, array: Any, *new: str) -> Term:
        """An array over new axes and those of the space, which does not learn.

        Raises:
            InputError: if it does not fit them.
        """
        data = np.asarray(array).astype(self.x.dtype.numpy)
        axes = (*self.new_axes(new, data.shape), *self.axes)
        value = fixed(self.rewriter, self.found, f"{self.prefix}.{word}", data, axes)
        return Term(value, self.x.builder)

    def new_axes(self, words: Sequence[str], shape: Sequence[int]) -> tuple[str, ...]:
        """Axes that the graph does not have, of the first of these sizes."""
        typing = self.rewriter.typing
        names = []
        for word, extent in zip(words, shape, strict=False):
            names.append(typing.fresh(word))
            typing.table[names[-1]] = extent
        return tuple(names)

    def _again(self, term: Term, shape: tuple[int, ...]) -> Term:
        """A parameter of another space, its axes called as they are here."""
        found = tuple(term.size(axis) for axis in term.axes)
        if found != shape or term.dtype is not self.x.dtype:
            raise InputError(
                f"{self.found.name}: the parameter {term.value!r} of shape {found} cannot be "
                f"shared here, where one of {self.x.dtype.value} and shape {shape} is needed"
            )
        theirs = term.axes[len(term.axes) - len(self.axes) :] if shape else ()
        names = {a: b for a, b in zip(theirs, self.axes, strict=False) if a != b}
        return term.rename(**names)


def free_prefix(rewriter: Rewriter, prefix: str) -> str:
    """A prefix that no parameter has: this one, or with a number."""
    names = [p.name for p in rewriter.parameters]
    dots = [(name, i) for name in names for i, letter in enumerate(name) if letter == "."]
    return unused(prefix, {name[:i] for name, i in dots})
