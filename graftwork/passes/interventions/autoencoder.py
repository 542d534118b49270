"""Sparse autoencoders spliced into a model: its activations go through latents that people read."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.sites import Place, Site, Sites
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, Where, chosen, free_axes, interpose, summary
from graftwork.passes.edit import Site as Selected
from graftwork.passes.positions import fixed


@frozen
class Splice(Pass):
    """Put a sparse autoencoder in the place of an activation x.

    Latents are f(x W_e + b_e), or f((x - b_d) W_e + b_e) if `centered`; decoded is
    latents W_d + b_d. The activation becomes decoded, plus the error x - decoded of the unedited
    latents if `error`, so that nothing changes until latents are edited.

    The sites `<site>.sae.latents`, `.sae.decoded` and `.sae.error` are those of the autoencoder;
    the axis of the latents has the role `latents`. Further passes edit them like any other; source
    runs see them from the next `apply` on, or in runs that an `In` splices too.

    Attributes:
        site: where; the last axis is the one that is encoded.
        encoder: W_e, (axis, latents).
        decoder: W_d, (latents, axis).
        encoder_bias, decoder_bias: b_e and b_d; none if None.
        threshold: a number or one for each latent: JumpReLU, which keeps what is above it
            (Rajamanoharan et al. 2024). ReLU if None.
        k: keep only so many latents, the greatest (Gao et al. 2024).
        error: whether the error is added back.
        centered: whether b_d is subtracted before encoding.
        where: positions by axis; everywhere if None.
        count: how many sites there must be.
    """

    site: Selected
    encoder: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    decoder: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    encoder_bias: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    decoder_bias: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    threshold: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    k: int | None = None
    error: bool = False
    centered: bool = False
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        if self.centered and self.decoder_bias is None:
            raise InputError("Splice subtracts decoder_bias if centered=, but there is none")
        selection = require(graph, self.site)
        if self.count is not None:
            selection.count(self.count)
        rewriter = Rewriter(graph, "Splice")
        sites: dict[str, Site] = {}
        for found in selection:

            def edit(x: Term, found: Found = found) -> Term:
                return self._edit(rewriter, found, x, sites)

            interpose(rewriter, found, edit)
        new = rewriter.finish(must_reach=True)
        return new.evolve(sites=_with(new.sites, sites))

    def _edit(self, rewriter: Rewriter, found: Found, x: Term, sites: dict[str, Site]) -> Term:
        latents, width = _latents(rewriter, self.encoder), free_axes(found, None)[-1]
        given = _Given(rewriter, found, x, latents)
        w_e = given.array("encoder", self.encoder, width, latents)
        w_d = given.array("decoder", self.decoder, latents, width)
        b_e = given.optional("encoder_bias", self.encoder_bias, latents)
        b_d = given.optional("decoder_bias", self.decoder_bias, width)
        over = tuple(a for a in w_e.axes if a != latents)
        pre = ops.contract(x - b_d if self.centered and b_d is not None else x, w_e, over=over)
        raw = self._active(given, pre if b_e is None else pre + b_e, latents)

        def decoded(z: Term) -> Term:
            y = ops.contract(z, w_d, over=latents)
            return y if b_d is None else y + b_d

        edited = ops.rename(raw, axes={})  # latents that are edited, apart from those of the error
        marks = {"latents": edited, "decoded": decoded(edited)}
        if self.error:
            marks["error"] = x - decoded(raw)
            y = marks["decoded"] + marks["error"]
        else:
            y = ops.rename(marks["decoded"], axes={})
        for word, term in marks.items():
            roles = {r: a for r, a in found.roles.items() if a in term.axes}
            roles |= {"latents": latents} if word == "latents" else {}
            sites[f"{found.name}.sae.{word}"] = Site(
                Place(term.value, steps=found.place.steps), roles
            )
        return chosen(found, self.where, y, x)

    def _active(self, given: _Given, pre: Term, latents: str) -> Term:
        if self.threshold is None:
            z = ops.relu(pre)
        elif np.ndim(self.threshold) == 0:
            z = ops.select(pre > float(self.threshold), ops.relu(pre), 0.0)
        else:
            least = given.array("threshold", self.threshold, latents)
            z = ops.select(pre > least, ops.relu(pre), 0.0)
        return z if self.k is None else _greatest(z, latents, self.k)


def _greatest(z: Term, axis: str, k: int) -> Term:
    """z where it is among the k greatest along an axis, else 0."""
    if not 0 < k <= int(str(z.size(axis))):
        raise InputError(f"Splice keeps k={k} of {z.size(axis)} latents")
    into = z.builder.typing.fresh("top")
    values, places = ops.top_k.emit(z, axis=axis, k=k, into=into)
    zero = z.builder.constant(0.0, z.dtype).broadcast(*z.axes)
    return ops.scatter(zero, values, places, axes=(axis,), over=(into,))


def _latents(rewriter: Rewriter, encoder: Any) -> str:
    """A new axis, as long as the encoder says."""
    position = encoder.position("latents") if isinstance(encoder, NamedArray) else -1
    name = rewriter.typing.fresh("latents")
    rewriter.typing.table[name] = int(np.shape(encoder)[position])
    return name


@frozen(eq=False)
class _Given:
    """The arrays of an autoencoder at a place, as parameters."""

    rewriter: Rewriter
    found: Found
    x: Term
    latents: str

    def array(self, word: str, array: Any, *axes: str) -> Term:
        """An array over these axes, or those that it names."""
        if isinstance(array, NamedArray):
            array = array.squeeze()
            axes = tuple(self._axis(str(a)) for a in array.axes)
        data = np.asarray(array).astype(self.x.dtype.numpy)
        name = f"sae.{self.found.name}.{word}"
        return Term(fixed(self.rewriter, self.found, name, data, axes), self.x.builder)

    def optional(self, word: str, array: Any, axis: str) -> Term | None:
        return None if array is None else self.array(word, array, axis)

    def _axis(self, word: str) -> str:
        return self.latents if word == "latents" else self.found.axis(word)


def _with(sites: Sites, new: dict[str, Site]) -> Sites:
    return evolve(sites, table={**sites.table, **new})
