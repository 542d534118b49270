"""Lenses: what the model would say, were the stream at a place its last one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.types import Type
from graftwork.passes.analyses.readout import Readout, readout
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site
from graftwork.passes.replay import replay


@frozen
class LogitLens(Pass):
    """Add the outputs `lens.<site>`: the stream at sites through the final norm and unembedding.

    The norm normalises each stream by its own scale (nostalgebraist 2020). Whatever stands between
    the model's last stream and its logits is done: a soft cap, the head of an encoder.

    Attributes:
        site: streams; `resid_post` of every block of the stack that is read out, if None.
        norm: whether the final norm is applied.

    Raises:
        SelectionError: if the model has no logits, or no final norm to leave out.
    """

    promise = "bitwise"

    site: Site | None = None
    norm: bool = True

    def __call__(self, graph: Graph) -> Graph:
        def seen(_: Rewriter, read: Readout, __: Found, stream: Term) -> Term:
            return _seen(read, stream, self.norm)

        return _with_lenses(graph, self, "lens", self.site, seen)


@frozen
class TunedLens(Pass):
    """Add the outputs `tuned_lens.<site>`: the logit lens on x + x A + b at each site.

    A and b are new parameters, `tuned_lens.<site>.weight` and `.bias`, zero until they are trained
    to give what the model gives (Belrose et al. 2023): before that it is the logit lens.

    Attributes:
        site: streams; `resid_post` of every block of the stack that is read out, if None.
    """

    promise = "bitwise"

    site: Site | None = None

    def __call__(self, graph: Graph) -> Graph:
        def seen(rewriter: Rewriter, read: Readout, found: Found, stream: Term) -> Term:
            return _seen(read, stream + _translation(rewriter, found, stream), norm=True)

        return _with_lenses(graph, self, "tuned_lens", self.site, seen)


def _with_lenses(
    graph: Graph, by: Pass, word: str, site: Site | None, seen: Callable[..., Term]
) -> Graph:
    """The graph with what `seen(rewriter, readout, place, stream)` makes of each stream."""
    rewriter, read = Rewriter(graph, by.name()), readout(graph)
    builder = rewriter.builder()
    with builder:
        for found in _streams(graph, read, site):
            stream = Term(rewriter.resolve(found.place), builder)
            made = seen(rewriter, read, found, stream)
            rewriter.add_output(f"{word}.{found.name}", made.value, read.logits.axes)
    rewriter.append(builder.nodes)
    return rewriter.finish()


def _streams(graph: Graph, read: Readout, site: Site | None) -> list[Found]:
    """The selected places, all of them streams of the width that is unembedded."""
    found = list(require(graph, f"{read.prefix}blocks.*.resid_post" if site is None else site))
    for place in found:
        if not read.stream.type.axis_set <= set(place.axes):
            raise SelectionError(
                f"{place.name} has the axes {list(place.axes)}, not those of the stream that is "
                f"unembedded, {list(read.stream.axes)}"
            )
    return found


def _seen(read: Readout, stream: Term, norm: bool) -> Term:
    """What the model makes of a value in the place of its last stream."""
    if stream.value is read.stream and norm:
        return Term(read.logits, stream.builder)
    if not norm and read.norm is None:
        raise SelectionError("the model has no final norm that could be left out")
    start = read.stream if norm or read.norm is None else read.norm
    return replay(stream.builder, read.nodes, {start: stream})[read.logits]


def _translation(rewriter: Rewriter, found: Found, x: Term) -> Term:
    """x A + b with new parameters, zero."""
    axis, dtype = found.axis("embed"), x.dtype
    width = rewriter.typing.size(axis)
    if not isinstance(width, int):
        raise InputError(f"{found.name}: {axis!r} has the size {width}, so no matrix fits it")
    into = rewriter.typing.fresh(axis)
    rewriter.typing.table[into] = width
    name = f"tuned_lens.{found.name}"
    weight = rewriter.add_parameter(
        f"{name}.weight", np.zeros((width, width), dtype.numpy), Type(dtype, (axis, into))
    )
    bias = rewriter.add_parameter(
        f"{name}.bias", np.zeros(width, dtype.numpy), Type(dtype, (axis,))
    )
    moved = ops.contract(x, Term(weight, x.builder), over=(axis,)).rename(**{into: axis})
    return moved + Term(bias, x.builder)
