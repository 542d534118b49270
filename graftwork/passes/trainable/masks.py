"""Interchange by learned soft masks: which coordinates are taken from the source run is learned.

A mask between 0 and 1 is a sigmoid over a temperature, given with the pass or, by the name of an
input, with each run: so it can fall while the mask is trained.
"""

from __future__ import annotations

import numpy as np
from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.types import Type
from graftwork.passes.trainable.rotations import numbers, rotated, rotated_back
from graftwork.passes.trainable.space import Space
from graftwork.passes.trainable.subspaces import SubspacePatch


@frozen
class BoundlessPatch(SubspacePatch):
    """Exchange the first rotated coordinates, as many as is learned (Wu et al. 2023).

    The mask of coordinate i of n is sigmoid(i / T) sigmoid((clip(b, 0.001, 1) n - i) / T), where
    the boundary b is learned; the edited activation is ((1 - m) x R + m y R) Rᵀ.

    Attributes:
        temperature: T, or the name of an input for it; it usually falls from 50 to 0.1.
        start: b before training.
    """

    temperature: float | str
    start: float = 0.5

    def _exchanged(self, space: Space, y: Term) -> Term:
        t = _temperature(space, self.temperature)
        bound = space.learned("boundary", self.start)
        end = ops.minimum(ops.maximum(bound, 1e-3), 1.0) * float(space.width)
        i = numbers(space.x, space.axes).cast(space.x.dtype)
        mask = ops.logistic(i / t) * ops.logistic((end - i) / t)
        return _mixed(space, y, mask, rotates=True)


@frozen
class MaskPatch(SubspacePatch):
    """Exchange by a learned mask of its own for each neuron, or each rotated coordinate.

    The edited activation is (1 - m) x + m y with m = sigmoid(mask / T).

    Attributes:
        temperature: T, or the name of an input for it.
        start: the mask before training; at 0 it takes half of each run.
        rotated: whether the coordinates are those of a learned rotation, not neurons.
    """

    temperature: float | str
    start: float = 0.0
    rotated: bool = field(default=False, kw_only=True)

    def _exchanged(self, space: Space, y: Term) -> Term:
        logits = space.learned("mask", np.full(space.extents, self.start))
        mask = ops.logistic(logits / _temperature(space, self.temperature))
        return _mixed(space, y, mask, rotates=self.rotated)


def _mixed(space: Space, y: Term, mask: Term, *, rotates: bool) -> Term:
    """(1 - m) x + m y, in the coordinates of a learned rotation if it rotates."""
    change = y - space.x
    if not rotates:
        return space.x + change * mask
    reflections = space.reflections(space.width)
    turned = rotated(change.broadcast(*space.axes), reflections)
    return space.x + rotated_back(turned * mask, reflections)


def _temperature(space: Space, given: float | str) -> Term:
    """A temperature as a number, or as an input that has no axes.

    Raises:
        InputError: if an input of that name is something else.
    """
    x, rewriter = space.x, space.rewriter
    if not isinstance(given, str):
        return x.builder.constant(float(given), x.dtype)
    known = {port.name: port.value for port in rewriter.inputs}
    if given not in known:
        return Term(rewriter.add_input(given, Type(x.dtype, ()), ()), x.builder)
    if known[given].axes or not known[given].type.dtype.is_float:
        raise InputError(f"{space.found.name}: the input {given!r} is no temperature")
    return Term(known[given], x.builder).cast(x.dtype)
