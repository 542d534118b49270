"""Interchange in a subspace: of another run's activation, only what lies along some directions.

With R of orthonormal columns, b the activation here and s that of the source run, the edited
activation is b + (s - b) R Rᵀ: the coordinates along R are those of s, all others those of b.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.ir.select import Found
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, Site, Where, free_axes, summary
from graftwork.passes.interventions.reads import edit_by_run
from graftwork.passes.positions import editing
from graftwork.passes.trainable.rotations import columns
from graftwork.passes.trainable.space import Space, free_prefix


@frozen
class SubspacePatch(Pass):
    """What interchanges in subspaces share: where, and from which run.

    New parameters are called `subspace.<site>.<what>`.

    Attributes:
        site: where.
        source: another run of the model: `run(input_ids=x, clean={"input_ids": y})`.
        axes: the axes that the subspace is of, together if several (`("heads", "head_dim")`); the
            last axis of the site if None. At all other positions directions are the same.
        where: positions by axis; everything if None.
        source_site, source_where: where in the source run, as in `Patch`.
        share: a name for the new parameters; passes that give one name share them.
        key: seed of what is drawn.
        count: how many sites there must be.
    """

    site: Site
    source: str
    axes: str | Sequence[str] | None = field(default=None, kw_only=True)
    where: Where | None = field(default=None, kw_only=True)
    source_site: Site | None = field(default=None, kw_only=True)
    source_where: Where | None = field(default=None, kw_only=True)
    share: str | None = field(default=None, kw_only=True)
    key: int = field(default=0, kw_only=True)
    count: int | None = field(default=None, kw_only=True)

    def __call__(self, graph: Graph) -> Graph:
        return edit_by_run(
            graph,
            type(self).__name__,
            self.site,
            self.source,
            lambda found, x, y: self._exchanged(self._space(found, x), y),
            where=self.where,
            source_site=self.source_site,
            source_where=self.source_where,
            count=self.count,
        )

    @abstractmethod
    def _exchanged(self, space: Space, y: Term) -> Term:
        """The activation of a space with what it takes from y."""

    def _space(self, found: Found, x: Term) -> Space:
        words = (self.axes,) if isinstance(self.axes, str) else self.axes
        axes = tuple(map(found.axis, words or free_axes(found, self.where)[-1:]))
        sizes = {axis: str(x.size(axis)) for axis in axes}
        if not axes or not all(isinstance(x.size(axis), int) for axis in axes):
            raise InputError(f"{found.name}: a subspace is of axes of known size, not of {sizes}")
        prefix = self.share or free_prefix(editing(x), f"subspace.{found.name}")
        return Space(found, x, axes, prefix, self.share is not None, self.key)


@frozen
class RotatedPatch(SubspacePatch):
    """Exchange some coordinates of a learned rotation (DAS: Geiger et al. 2023).

    All n coordinates are rotated, by n reflections, so that several passes can share one rotation
    (`share=`) and exchange other coordinates each, from other runs. For few coordinates of a wide
    space `LowRankPatch` learns the same with less.

    Attributes:
        dims: the first so many rotated coordinates, or which.
    """

    dims: int | Sequence[int]

    def _exchanged(self, space: Space, y: Term) -> Term:
        which = space.coordinates(self.dims)
        return space.exchanged(y, columns(space.reflections(space.width), which))


@frozen
class LowRankPatch(SubspacePatch):
    """Exchange what lies along so many learned orthonormal directions.

    Attributes:
        rank: how many directions are learned.
        dims: which of them are exchanged, or the first so many; all if None.
    """

    rank: int
    dims: int | Sequence[int] | None = None

    def _exchanged(self, space: Space, y: Term) -> Term:
        known = space.coordinates(self.rank)
        which = known if self.dims is None else space.coordinates(self.dims, self.rank)
        return space.exchanged(y, columns(space.reflections(self.rank), which))


@frozen
class PCAPatch(SubspacePatch):
    """Exchange standardised coordinates along given principal components.

    With z = ((x - mean) / std) Cᵀ the edited activation is b + std ((z_s - z_b) C) over the
    exchanged coordinates. What lies outside of the components stays that of b; without `residual`
    it is dropped, as decoding std (z C) + mean does.

    Attributes:
        components: C, one orthonormal row a component.
        mean, std: of the activations, over the axes of the space; 0 and 1 if None.
        dims: which components are exchanged, or the first so many; all if None.
        residual: whether what lies outside of the components is kept.
    """

    components: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    mean: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    std: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    dims: int | Sequence[int] | None = None
    residual: bool = True

    def _exchanged(self, space: Space, y: Term) -> Term:
        x, rows = space.x, np.asarray(self.components)
        which = space.coordinates(len(rows) if self.dims is None else self.dims, len(rows))
        std = None if self.std is None else space.fixed("std", self.std)

        def projected(change: Term, c: Term) -> Term:
            scaled = change if std is None else change / std
            z = ops.contract(scaled.broadcast(*space.axes), c, over=space.axes)
            back = ops.contract(z, c, over=c.axes[0])
            return back if std is None else back * std

        change = projected(y - x, space.fixed("components", rows[list(which)], "component"))
        if self.residual:
            return x + change
        mean = space.fixed("mean", np.zeros(space.extents) if self.mean is None else self.mean)
        whole = space.fixed("all_components", rows, "component")
        return mean + projected(x - mean, whole) + change
