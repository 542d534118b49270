"""Edits of activations: ablate, steer, scale, add noise, apply a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, Site, Where, chosen, edit_sites, given_array, summary
from graftwork.passes.interventions.reads import edit_by_run
from graftwork.passes.trace import Function, as_graph, inline


@frozen
class Ablate(Pass):
    """Replace activations by zero, a mean, or those of another input.

    Attributes:
        site: where.
        where: positions by axis; everything if None.
        mean: axes to average over (`("batch", "seq")`), or an array to put there.
        resample: name of a source run whose activations are put there.
        key: with `resample`, shuffles the examples of the source run along `batch`.
        count: how many sites there must be.
    """

    site: Site
    where: Where | None = None
    mean: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    resample: str | None = None
    key: int | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        if self.mean is not None and self.resample is not None:
            raise InputError("Ablate takes mean= or resample=, not both")
        if self.resample is not None:
            return edit_by_run(
                graph,
                "Ablate",
                self.site,
                self.resample,
                lambda found, _, y: self._shuffled(found, y),
                where=self.where,
                count=self.count,
            )
        return edit_sites(graph, "Ablate", self.site, self._edit, self.count)

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        if self.mean is None:
            return chosen(found, self.where, x.builder.constant(0.0, x.dtype), x)
        words = (self.mean,) if isinstance(self.mean, str) else self.mean
        if isinstance(words, Sequence) and all(isinstance(word, str) for word in words):
            return chosen(found, self.where, x.mean(*(found.axis(word) for word in words)), x)
        name = f"mean.{found.name}"
        value = given_array(rewriter, found, self.mean, self.where, name)
        return chosen(found, self.where, Term(value, x.builder), x)

    def _shuffled(self, found: Found, x: Term) -> Term:
        if self.key is None:
            return x
        batch = found.axis("batch")
        bits = ops.random_bits(_key(self.key, x), axes=(batch,), key="key")
        order = ops.sort.emit(bits, ops.iota(axis=batch), axis=batch)[1]
        return ops.gather(x, order, axes=(batch,))


def _key(seed: int, x: Term) -> Term:
    """A threefry key, as `jax.random.key(seed)` makes it."""
    halves = [seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF]
    axis = "key" if x.builder.typing.table.get("key", 2) == 2 else x.builder.typing.fresh("key")
    return x.builder.constant(Literal.of(halves, DType.u32), axes=(axis,))


@frozen
class Steer(Pass):
    """Add `scale` times a vector, or times another run's activations; -1 subtracts.

    Attributes:
        site: where; usually a residual stream.
        vector: an array along the last axes of the site, or a NamedArray.
        scale: a factor.
        where: positions by axis; everywhere if None.
        count: how many sites there must be.
        source: another run of the model, instead of a vector.
        source_site, source_where: where in that run, as in `Patch`.
    """

    site: Site
    vector: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    scale: float = 1.0
    where: Where | None = None
    count: int | None = None
    source: str | None = None
    source_site: Site | None = None
    source_where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        if (self.vector is None) == (self.source is None):
            raise InputError("Steer takes exactly one of vector= and source=")
        if self.source is None:
            return edit_sites(graph, "Steer", self.site, self._edit, self.count)
        return edit_by_run(
            graph,
            "Steer",
            self.site,
            self.source,
            lambda _, x, y: x + y * float(self.scale),
            where=self.where,
            source_site=self.source_site,
            source_where=self.source_where,
            count=self.count,
        )

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        value = given_array(rewriter, found, self.vector, self.where, f"steer.{found.name}")
        return chosen(found, self.where, x + Term(value, x.builder) * float(self.scale), x)


@frozen
class Scale(Pass):
    """Multiply activations by a factor."""

    site: Site
    factor: float
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        return edit_sites(
            graph,
            "Scale",
            self.site,
            lambda _, found, x: chosen(found, self.where, x * float(self.factor), x),
            self.count,
        )


@frozen
class Noise(Pass):
    """Add Gaussian noise of standard deviation `scale`; equal keys give equal noise everywhere."""

    site: Site
    scale: float
    key: int
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        return edit_sites(graph, "Noise", self.site, self._edit, self.count)

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        key = _key(self.key, x)
        noise = ops.random_normal(key, axes=x.axes, key=key.axes[0], dtype=x.dtype)
        return chosen(found, self.where, x + noise * float(self.scale), x)


@frozen
class Map(Pass):
    """Apply a function to activations, or to those of this and of another run.

    A graph-building function sees axes by their roles at the site (`heads`, `seq`), and must keep
    them; it is traced once, so a recipe saves what it builds. A function or module of PyTorch or
    JAX is converted first, its axes called by the same roles:
    `Map(site, gw.from_torch(module, sample, axes={0: "batch seq embed=768"}))`. Its parameters
    become parameters of the model.

    Attributes:
        function: from a `Term` to a `Term`, or a graph of one output.
        where: positions by axis; everything if None.
        count: how many sites there must be.
        source: another run of the model; the function takes its activation second.
        source_site, source_where: where in that run, as in `Patch`.
    """

    site: Site
    function: Function | Graph
    where: Where | None = None
    count: int | None = None
    source: str | None = None
    source_site: Site | None = None
    source_where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        if self.source is None:
            return edit_sites(graph, "Map", self.site, self._edit, self.count)
        return edit_by_run(
            graph,
            "Map",
            self.site,
            self.source,
            lambda found, x, y: self._applied(found, x, y.broadcast(*x.axes)),
            where=self.where,
            source_site=self.source_site,
            source_where=self.source_where,
            count=self.count,
        )

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        return chosen(found, self.where, self._applied(found, x), x)

    def _applied(self, found: Found, *xs: Term) -> Term:
        return inline(as_graph(self.function, found, *xs), found, *xs)
