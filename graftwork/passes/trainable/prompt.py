"""Soft prompts: trainable embeddings before those of the tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError, SelectionError, nearest
from graftwork.ir.graph import Graph, Node, Parameter, Port, Value
from graftwork.ir.levels import used_axes
from graftwork.ir.names import unused
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.rename import rename_axes
from graftwork.ir.resize import resized
from graftwork.ir.select import Found, require
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import symbol, symbols, variable
from graftwork.ir.types import Type, Typing
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, Site, summary

COUNT = "count"
USUAL = {"attention_mask": 1}


@frozen
class SoftPrompt(Pass):
    """Put trainable embeddings before those of the tokens (Lester et al. 2021).

    From the embeddings on the model sees `length + seq` positions, the first of them the prompt's:
    its positions are counted, and its masks made, for all of them. Their axis is a new one there,
    `prompted_seq`, and `where=` of later passes counts from the first of the prompt. What the
    graph takes and gives along `seq` is of the tokens alone, as before. The new parameter is
    called `prompt.embed`, after the site.

    Attributes:
        length: how many positions the prompt has.
        key: seed of the start, which is uniform from -0.5 to 0.5.
        start: an array over positions and `embed` to start from instead.
        site: where the embeddings of the tokens are.
        fill: for other inputs along the tokens, what they are at the prompt's positions: a
            number, or "count" for an input that numbers positions, which then starts at the
            prompt. Where a model reads tokens beside their embeddings, which token it sees there.
            An `attention_mask` is 1 unless told otherwise.

    Raises:
        SelectionError: if the embeddings are not one value along a `seq` of free size.
        InputError: if an input along the tokens has no `fill`, or `start` does not fit.
    """

    length: int
    key: int = 0
    start: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary, kw_only=True)
    site: Site = field(default="embed", kw_only=True)
    fill: Mapping[str, int | str] = field(factory=dict, hash=False, kw_only=True)

    def __call__(self, graph: Graph) -> Graph:
        (found,) = require(graph, self.site).count(1)
        seq, tokens = _sequence(found, graph)
        sizes = {tokens: symbol(tokens) + self.length}
        names = _names(graph, tokens)
        renamed = rename_axes(graph, names)
        (inside,) = require(renamed, self.site)
        nodes, read = _needed(renamed, [p.value for p in renamed.outputs], inside.place.value)

        builder = Builder(Typing(graph.axes), UNKNOWN.through("SoftPrompt"))
        for axis, long in names.items():
            builder.typing.make(long, substitute(graph.axes[axis], sizes))
        prompt = builder.typing.fresh("prompt")
        builder.typing.make(prompt, self.length)
        parameter, array = self._parameter(graph, found, seq, prompt)
        with builder:
            instead = self._filled(builder, graph, renamed, read, names, prompt)
            learned = Term(parameter.value, builder).cast(found.dtype)
            embedded = Term(found.place.value, builder)
            joined = ops.concat(learned, embedded, axes=(prompt, seq), into=names[seq])
        instead[inside.place.value] = joined.value
        model = resized(renamed.evolve(nodes=nodes), sizes, instead)
        end = Builder(builder.typing, builder.origin)
        outputs = [_of_tokens(end, port, seq, names[seq], self.length) for port in model.outputs]
        before, _ = _needed(graph, [found.place.value])
        new = graph.evolve(
            parameters=(*graph.parameters, parameter),
            nodes=(*before, *builder.nodes, *model.nodes, *end.nodes),
            outputs=tuple(outputs),
            axes=builder.typing.table,
            guards=model.guards,
            sites=model.sites,
            store=graph.store.over({parameter.name: array}),
        )
        return new.evolve(axes=used_axes(new))

    def _parameter(
        self, graph: Graph, found: Found, seq: str, prompt: str
    ) -> tuple[Parameter, np.ndarray[Any, Any]]:
        """The parameter that holds the prompt, and what it starts from."""
        own = tuple(a for a in found.axes if isinstance(graph.axes[a], int) and a != seq)
        shape = (self.length, *(int(str(graph.axes[a])) for a in own))
        rng = np.random.default_rng(self.key)
        data = rng.uniform(-0.5, 0.5, shape) if self.start is None else np.asarray(self.start)
        if data.shape != shape or self.length < 1:
            raise InputError(
                f"SoftPrompt: a prompt of {self.length} positions at {found.name} has shape "
                f"{shape}, not {data.shape}"
            )
        name = unused(f"prompt.{found.name}", {p.name for p in graph.parameters})
        dtype = DType.f32 if found.dtype.bits < 32 else found.dtype
        value = Value(Type(dtype, (prompt, *own)), name)
        return Parameter(name, value, value.axes), data.astype(dtype.numpy)

    def _filled(
        self,
        builder: Builder,
        graph: Graph,
        renamed: Graph,
        read: frozenset[Value],
        names: Mapping[str, str],
        prompt: str,
    ) -> dict[Value, Value]:
        """The inputs along the tokens that the model reads, as long as it sees them."""
        known = [port.name for port in graph.inputs]
        unknown = next((name for name in self.fill if name not in known), None)
        if unknown is not None:
            raise InputError(f"SoftPrompt: there is no input {unknown!r}{nearest(unknown, known)}")
        fill = {**USUAL, **self.fill}
        instead = {}
        for old, new in zip(graph.inputs, renamed.inputs, strict=True):
            along = [axis for axis in old.value.axes if axis in names]
            if new.value not in read or not along:
                continue
            if len(along) != 1 or variable(graph.axes[along[0]]) is None:
                raise InputError(
                    f"SoftPrompt: the input {old.name!r} is {old.value.type!r}, which has no one "
                    "place for a prompt before the tokens"
                )
            if old.name not in fill:
                raise InputError(
                    f"SoftPrompt: the model reads the input {old.name!r} along {along[0]!r} beside "
                    f"the embeddings; say what it is at the prompt: fill={{{old.name!r}: ...}}"
                )
            x = Term(old.value, builder)
            instead[new.value] = _before(x, fill[old.name], along[0], prompt, names).value
        return instead


def _before(x: Term, fill: int | str, axis: str, prompt: str, names: Mapping[str, str]) -> Term:
    """An input with what it is at the prompt before it."""
    if fill == COUNT:
        front, x = ops.iota(axis=prompt).cast(x.dtype), x + ops.size(value=x.size(prompt))
    else:
        fixed = bool(fill) if x.dtype is DType.boolean else fill
        front = x.builder.constant(fixed, x.dtype).broadcast(prompt)
    return ops.concat(front, x, axes=(prompt, axis), into=names[axis])


def _sequence(found: Found, graph: Graph) -> tuple[str, str]:
    """The axis of the tokens where they are embedded, and the symbol that is its size."""
    if found.place.inner or "seq" not in (*found.roles, *found.axes):
        raise SelectionError(f"SoftPrompt: {found.name} has no axis 'seq' to put a prompt on")
    seq = found.axis("seq")
    name = variable(graph.axes[seq])
    if name is None:
        raise SelectionError(
            f"SoftPrompt: {seq!r} has size {graph.axes[seq]} at {found.name}; a prompt needs a "
            "free one, so convert the model with a dynamic sequence, and give one prompt only"
        )
    return seq, name


def _names(graph: Graph, tokens: str) -> dict[str, str]:
    """New names for all axes whose size depends on how many tokens there are."""
    typing = Typing(graph.axes)
    names = {}
    for axis, size in graph.axes.items():
        if tokens in symbols(size):
            names[axis] = typing.fresh(f"prompted_{axis}")
            typing.make(names[axis], size)
    return names


def _needed(
    graph: Graph, wanted: Iterable[Value], cut: Value | None = None
) -> tuple[tuple[Node, ...], frozenset[Value]]:
    """The nodes that some values depend on, but for the one that makes `cut`, and all they read."""
    read, nodes = set(wanted), []
    for node in reversed(graph.nodes):
        if cut not in node.outputs and not read.isdisjoint(node.outputs):
            read.update(node.inputs)
            nodes.append(node)
    return tuple(reversed(nodes)), frozenset(read)


def _of_tokens(builder: Builder, port: Port, seq: str, long: str, length: int) -> Port:
    """An output at the positions of the tokens."""
    if long not in port.value.axes:
        return port
    x = Term(port.value, builder)
    with builder:
        part = ops.slice(x, axis=long, start=length, stop=x.size(long), into=seq)
    layout = tuple(seq if axis == long else axis for axis in port.layout)
    return evolve(port, value=part.value, layout=layout)
