"""What heads, neurons and biases contribute: to a stream, and through it to the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_values import cotangents, tangents
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import require
from graftwork.ir.types import Type
from graftwork.passes.analyses.parts import Part, Split, parts_of
from graftwork.passes.analyses.readout import Linear, linear_readout, readout
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site
from graftwork.passes.replay import replay

COMPONENT = "component"
Token: TypeAlias = int | str


@frozen
class Decompose(Pass):
    """Add the output `components.<site>`: the terms whose sum is the stream there.

    It has an axis `component`: the embeddings, then what each branch adds, layer by layer;
    `names(graph)` says which is which. The terms sum to the stream exactly, up to rounding.

    Attributes:
        site: one value of the residual stream, or a branch's `out`.
        heads: each attention as its heads (`blocks.3.attn.result.5`) and its `bias`.
        neurons: each MLP as its neurons (`blocks.3.mlp.neurons.17`) and its `bias`.
        biases: the biases of all branches apart, so that their `out` is without them.

    Raises:
        SelectionError: if the stream is no sum, as in a post-norm model, or a branch is no sum
            over its heads or neurons, as where a norm follows them.
    """

    promise = "bitwise"

    site: Site
    heads: bool = False
    neurons: bool = False
    biases: bool = False

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Decompose")
        builder = rewriter.builder()
        name, stream, parts = self._parts(graph)
        with builder:
            terms = [part.term(builder).broadcast(*stream.axes) for part in parts]
            whole, axis = _joined(builder, parts, terms)
        return _with_output(rewriter, builder, f"components.{name}", whole, (axis, *stream.axes))

    def names(self, graph: Graph) -> tuple[str, ...]:
        """What stands at each position of the axis `component`."""
        return tuple(name for part in self._parts(graph)[2] for name in part.names)

    def _parts(self, graph: Graph) -> tuple[str, Value, tuple[Part, ...]]:
        (found,) = require(graph, self.site).count(1)
        split = Split(self.heads, self.neurons, self.biases)
        return found.name, found.place.value, parts_of(graph, found.place.value, split)


@frozen
class LogitAttribution(Pass):
    """Add the output `logit_attribution`: what each component adds to a logit directly.

    A component goes through the final norm, divided by the norm's scale as it is in the run, and
    the unembedding (direct logit attribution; Elhage et al. 2021, TransformerLens's
    `logit_attrs`). Axes: `component`, then those of the logits. The last component, `readout`, is
    what the readout adds by itself: the norm's bias through the unembedding, and the unembedding's
    bias; with it the components sum to the logit exactly, before a soft cap if there is one.

    Attributes:
        token: the token whose logit is attributed: its id, or the name of a new integer input with
            the axis `batch`; every token, with the axis `vocab`, if None.
        against: a token whose logit is subtracted, given in the same way.
        heads, neurons, biases: how far branches are taken apart, as in `Decompose`.

    Raises:
        SelectionError: if the stream is no sum, or the logits are not linear in it.
        InputError: for `against` without `token`, or a token outside of the vocabulary.
    """

    promise = "tolerance"

    token: Token | None = None
    against: Token | None = None
    heads: bool = False
    neurons: bool = False
    biases: bool = False

    def __call__(self, graph: Graph) -> Graph:
        if self.token is None and self.against is not None:
            raise InputError("LogitAttribution: against= needs the token that it is set against")
        graph, read = linear_readout(graph, "LogitAttribution")
        parts = parts_of(graph, read.stream, Split(self.heads, self.neurons, self.biases))
        rewriter = Rewriter(graph, "LogitAttribution")
        builder = rewriter.builder()
        with builder:
            own = _constant_part(builder, read)
            if self.token is None:
                terms = [_through(builder, read, part.term(builder)) for part in parts]
            else:
                chosen = self._direction(rewriter, builder, read)
                toward = cotangents(builder, read.nodes, {read.product: chosen}, [read.stream])
                slope = toward[read.stream]
                assert slope is not None
                terms = [_along(builder, read, part, slope) for part in parts]
                own = ops.contract(own, chosen, over=(read.vocab,))
            kept = [a for a in read.product.axes if a != read.vocab or self.token is None]
            terms = [term.broadcast(*kept) for term in (*terms, own)]
            whole, axis = _joined(builder, parts, terms)
        return _with_output(rewriter, builder, "logit_attribution", whole, (axis, *kept))

    def names(self, graph: Graph) -> tuple[str, ...]:
        """What stands at each position of the axis `component`."""
        split = Split(self.heads, self.neurons, self.biases)
        parts = parts_of(graph, readout(graph).stream, split)
        return (*(name for part in parts for name in part.names), "readout")

    def _direction(self, rewriter: Rewriter, builder: Builder, read: Linear) -> Term:
        """1 at the token, and -1 at that which it is set against."""
        chosen = _one_hot(rewriter, builder, read, self.token)
        if self.against is not None:
            chosen = chosen - _one_hot(rewriter, builder, read, self.against)
        return chosen


def _one_hot(rewriter: Rewriter, builder: Builder, read: Linear, token: Token | None) -> Term:
    size, dtype = builder.typing.size(read.vocab), read.product.type.dtype
    if isinstance(token, str):
        axes = tuple(a for role, a in read.roles.items() if role == "batch")
        if any(port.name == token for port in rewriter.inputs):
            raise InputError(f"{rewriter.by}: the graph has an input {token!r} already")
        ids = Term(rewriter.add_input(token, Type(DType.i64, axes), axes), builder)
    else:
        assert token is not None
        if isinstance(size, int) and not 0 <= token < size:
            raise InputError(f"{rewriter.by}: token {token} is outside of the {size} of the model")
        ids = builder.constant(token, DType.i64)
    return ops.one_hot(ids, axis=read.vocab, size=size, dtype=dtype)


def _constant_part(builder: Builder, read: Linear) -> Term:
    """What the readout gives for a stream of zeros, its scale held."""
    zero = Term(read.stream, builder) * 0.0
    return replay(builder, read.nodes, {read.stream: zero})[read.product]


def _through(builder: Builder, read: Linear, part: Term) -> Term:
    """What a part of the stream gives to every logit."""
    wide = part.broadcast(*read.stream.axes)
    return tangents(builder, read.nodes, {read.stream: wide})[read.product]


def _along(builder: Builder, read: Linear, part: Part, slope: Term) -> Term:
    """What a part gives to the one number whose slope along the stream is given.

    Weights meet the slope before what heads or neurons hold, which is never made wide.
    """
    features = read.roles["embed"]
    if part.product is None or part.trail:
        return _dot(part.term(builder), slope, features)
    x, weight = part.product.factors(Term(part.product.operand, builder))
    seen = _dot(weight, slope, features)
    over = part.product.over
    return ops.contract(x.broadcast(*over), seen.broadcast(*over), over=over) if over else x * seen


def _dot(a: Term, b: Term, axis: str) -> Term:
    return ops.contract(a.broadcast(axis), b.broadcast(axis), over=(axis,))


def _joined(builder: Builder, parts: Sequence[Part], terms: Sequence[Term]) -> tuple[Term, str]:
    """All terms beside each other, heads and neurons one by one."""
    own = [part.axis[0] if part.axis else None for part in parts]
    own += [None] * (len(terms) - len(parts))
    pieces, axes = list[Term](), list[str]()
    for term, axis in zip(terms, own, strict=True):
        part = builder.typing.fresh("part")
        builder.typing.table[part] = builder.typing.size(axis) if axis else 1
        pieces.append(term.rename(**{axis: part}) if axis else term)
        axes.append(part)
    into = builder.typing.fresh(COMPONENT)
    return ops.concat(*pieces, axes=tuple(axes), into=into), into


def _with_output(
    rewriter: Rewriter, builder: Builder, name: str, term: Term, first: Sequence[str]
) -> Graph:
    """The graph with what was built at its end, and one new output."""
    rewriter.append(builder.nodes)
    rewriter.add_output(name, term.value, first)
    return rewriter.finish()
