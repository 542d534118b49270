"""Replacing what one component sends to another, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.derive_values import tangents
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import require
from graftwork.ir.sites import Place
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.edges.components import Components, Edge, Receiver, components
from graftwork.passes.edges.reads import opened
from graftwork.passes.edit import Where, chosen
from graftwork.passes.source import Sources

Weights = Callable[[Term, slice, slice, str | None, str | None], Term]
"""How much of each edge is replaced: (a term to build beside, rows, columns, their axes)."""


@frozen
class PatchEdges(Pass):
    """Replace what senders send to receivers: each edge alone, all else as it comes.

    A receiver reads the stream with the sender's contribution in another run in the place of that
    in this one. Several edges act together: what a receiver then makes, its own edges send on. An
    edge into `final_norm` is a direct effect.

    Attributes:
        edges: pairs of globs over senders and receivers (see `components`), such as
            `("blocks.3.attn.result.5", "blocks.7.attn.q.2")`.
        source: the run whose contributions are taken; None for zero, or for a mean.
        mean: instead, the mean of the contribution over these axes, by role or name.
        where: positions of the receiver at which they are replaced; all if None.

    Raises:
        SelectionError: for a pair that means no edge.
        InputError: if both source and mean are given.
    """

    edges: tuple[Edge, ...]
    source: str | None = None
    mean: tuple[str, ...] = ()
    where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        if self.source is not None and self.mean:
            raise InputError("PatchEdges takes one of source= and mean=")
        parts = components(graph)
        cut = parts.selected(self.edges)
        wanted = [
            r for r in parts.receivers if any(cut[rows].any() for _, rows, _ in parts.blocks(r))
        ]
        graph = opened(graph, parts, wanted)

        def weights(x: Term, rows: slice, columns: slice, to: str | None, by: str | None) -> Term:
            block = cut[rows, columns].astype(x.dtype.numpy)
            for place, axis in ((1, by), (0, to)):
                block = block if axis is not None else block.squeeze(place)
            return x.builder.constant(block, x.dtype, [a for a in (to, by) if a is not None])

        rewriter = Rewriter(graph, "PatchEdges")
        instead = Instead(rewriter, graph, self.source, self.mean)
        for receiver in components(graph).receivers:
            if any(r.path == receiver.path for r in wanted):
                replace(rewriter, parts, receiver, instead, weights, cut, self.where)
        return rewriter.finish(must_reach=True)


@frozen
class MaskEdges(Pass):
    """Replace what senders send to receivers as far as a new input says.

    The input has a number for each edge, from 0 (as it is) to 1 (replaced), with the axes
    `receivers` and `senders` in the order of `components`; so one compiled graph runs any set of
    edges. Numbers of pairs that are no edge are not read.

    Attributes:
        source: the run whose contributions are taken; None for zero.
        input: the name of the new input.
    """

    source: str | None = None
    input: str = "cut"

    def __call__(self, graph: Graph) -> Graph:
        parts = components(graph)
        graph = opened(graph, parts, parts.receivers)
        rewriter = Rewriter(graph, "MaskEdges")
        if any(port.name == self.input for port in rewriter.inputs):
            raise InputError(f"the graph has an input {self.input!r} already")
        table = rewriter.typing.table
        names = tuple(rewriter.typing.fresh(word) for word in ("receivers", "senders"))
        table |= dict(zip(names, parts.possible.shape, strict=True))
        dtype = parts.receivers[0].stream.type.dtype
        cut = rewriter.add_input(self.input, Type(dtype, names), names)

        def weights(x: Term, rows: slice, columns: slice, to: str | None, by: str | None) -> Term:
            block = Term(cut, x.builder)
            for name, places, axis in zip(names, (rows, columns), (to, by), strict=True):
                if axis is None:
                    block = block[{name: places.start}]
                else:
                    block = ops.slice(
                        block, axis=name, start=places.start, stop=places.stop, into=axis
                    )
            return block.cast(x.dtype)

        instead = Instead(rewriter, graph, self.source)
        for receiver in components(graph).receivers:
            replace(rewriter, parts, receiver, instead, weights, parts.possible)
        return rewriter.finish(must_reach=True)


class Instead:
    """What senders would send instead, and the values that this is read from."""

    def __init__(
        self, rewriter: Rewriter, graph: Graph, source: str | None, mean: Sequence[str] = ()
    ) -> None:
        self.source, self.mean = source, mean
        self.now = {sender.path: sender for sender in components(graph).senders}
        self.roles = components(graph).receivers[0].roles
        self.reads: dict[str, Value] = {}
        if source is not None:
            sources = Sources(rewriter, graph)
            there = components(sources.run(source).graph).senders
            now = [self.now.get(sender.path, sender).reads for sender in there]
            values = sources.beside(source, [Place(sender.reads) for sender in there], now)
            self.reads = {s.path: value for s, value in zip(there, values, strict=True)}

    def change(self, like: Term, path: str) -> Term:
        """What a sender would send instead, less what it sends."""
        sender = self.now[path]
        now = sender.adds(Term(sender.reads, like.builder))
        if self.source is not None:
            if path not in self.reads:
                raise SelectionError(f"{path} is no sender in the run {self.source!r}")
            return sender.adds(Term(self.reads[path], like.builder)) - now
        if self.mean:
            over = [self.roles.get(word, word) for word in self.mean]
            return now.mean(*(axis for axis in over if axis in now.axes)) - now
        return -now


def replace(
    rewriter: Rewriter,
    parts: Components,
    receiver: Receiver,
    instead: Instead,
    weights: Weights,
    cut: np.ndarray,
    where: Where | None = None,
) -> None:
    """Let a receiver, whose read is open, read other contributions of some senders."""
    (found,) = require(rewriter.graph, receiver.read)
    (place,) = (r for r in parts.receivers if r.path == receiver.path)

    def edit(read: Term, *_: Term) -> Term:
        seeds: dict[Value, Term] = {}
        for old, rows, columns in parts.blocks(place):
            if not cut[rows, columns].any():
                continue
            part = _share(read, receiver, instead, old.path, rows, columns, weights)
            into = instead.now[old.path].into
            seeds[into] = seeds[into] + part if into in seeds else part
        moved = tangents(read.builder, receiver.between, seeds)[receiver.stream]
        return read + chosen(found, where, moved, read * 0.0)

    rewriter.interpose(found.place.value, edit, tuple(instead.reads.values()))


def _share(
    read: Term,
    receiver: Receiver,
    instead: Instead,
    path: str,
    rows: slice,
    columns: slice,
    weights: Weights,
) -> Term:
    """The change of one sender, or of heads together, as far as the receiver's heads take it."""
    change = instead.change(read, path)
    heads = instead.now[path].heads
    by = None
    if heads is not None:
        by = read.builder.typing.fresh("from_heads")
        change = change.rename(**{str(heads.axis): by})
    to = None if receiver.axis is None else receiver.axis[1]
    weight = weights(change, rows, columns, to, by)
    return change * weight if by is None else ops.contract(change, weight, over=by)
