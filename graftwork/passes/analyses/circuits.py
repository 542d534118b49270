"""The weights of heads and neurons as they act on the residual stream, and what they spell.

They are found from the canonical sites: the products between a branch's input and its heads, and
the views that take heads apart, done to the weights. Weights act on what the norm gives; fold the
norms into them first to read circuits of the stream itself. Biases are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder, Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.store import as_numpy
from graftwork.ir.types import Typing
from graftwork.passes.analyses.factored import FactoredMatrix
from graftwork.passes.analyses.parts import Split, parts_of
from graftwork.passes.analyses.readout import linear_readout
from graftwork.passes.attention import PRODUCTS, Attention
from graftwork.passes.sites.stream import Flow, sited_flow
from graftwork.passes.sums import Product

VIEWS = frozenset({"split", "merge", "slice", "index", "rename", "broadcast", "cast"})
SOURCE, TARGET = "source", "target"
"""The axes of the stream that a circuit reads, and that it writes or compares with."""


def ov(graph: Graph, layer: int | str) -> FactoredMatrix:
    """What each head of a layer writes of what it attends to: W_V W_O, `source` to `target`.

    Both are the width of the stream; further axis `heads`, and `head_dim` is between the factors.
    Grouped heads share W_V.

    Args:
        graph: with recognised blocks.
        layer: its number, or the path of an attention (`decoder.blocks.1.cross_attn`).

    Raises:
        SelectionError: if there is no such attention, or its heads cannot be told apart in its
            weights (a norm or a gate stands between).
    """
    flow = sited_flow(graph)
    path, found = _attention(flow, layer)
    roles = graph.sites[f"{path}.z"].roles
    value = _heads_weight(graph, flow, path, "v", found.v)
    out = _out_weight(graph, path, Split(heads=True))
    width = roles["head_dim"]
    value = _named(value, {_stream_axis(value, (roles["heads"], width)): SOURCE, **_words(roles)})
    out = _named(out, {_stream_axis(out, (roles["heads"], width)): TARGET, **_words(roles)})
    return FactoredMatrix(value, out, "head_dim", SOURCE, TARGET)


def qk(graph: Graph, layer: int | str, *, ignore_rotary: bool = False) -> FactoredMatrix:
    """Where each head of a layer looks: W_Q W_K^T, from the query's stream (`source`) to the key's.

    The key's stream is the axis `target`; further axis `heads`, and `head_dim` is between.

    Args:
        graph: with recognised blocks.
        layer: its number, or the path of an attention.
        ignore_rotary: rotary positions turn queries and keys by their distance, so that there is
            one matrix a distance; take that of distance 0, which turns nothing.

    Raises:
        SelectionError: if there is no such attention, if more than views stands between stream and
            scores, or for rotary positions.
    """
    flow = sited_flow(graph)
    path, found = _attention(flow, layer)
    roles = graph.sites[f"{path}.q"].roles
    query = _heads_weight(graph, flow, path, "q", found.q, ignore_rotary)
    key = _heads_weight(graph, flow, path, "k", found.k, ignore_rotary)
    own = (roles["heads"], found.over)
    query = _named(query, {_stream_axis(query, own): SOURCE, **_words(roles)})
    key = _named(key, {_stream_axis(key, own): TARGET, **_words(roles)})
    return FactoredMatrix(query, key, "head_dim", SOURCE, TARGET)


def unembedding(graph: Graph) -> NamedArray:
    """The weight of the last product before the logits, over `target` (the stream) and `vocab`.

    Raises:
        SelectionError: if the model has no logits that are linear in its last stream.
    """
    graph, read = linear_readout(graph, "unembedding")
    node = graph.index.producer[read.product]
    weight = next(x for x in node.inputs[:2] if read.vocab in x.type.axis_set)
    (over,) = node.attrs["over"]
    return _named(_value(graph, weight), {read.vocab: "vocab", over: TARGET})


def head_vocabulary(graph: Graph, layer: int | str) -> FactoredMatrix:
    """What attending to a stream says: the OV circuit of each head and then the unembedding.

    From `source`, the stream that is attended to, to `vocab`.
    """
    return ov(graph, layer) @ unembedding(graph)


def neuron_vocabulary(graph: Graph, layer: int | str) -> FactoredMatrix:
    """What each neuron says when it fires: W_out W_U, from `mlp` to `vocab`.

    The sign of an activation is that of the neuron's, which is not in the weights.

    Raises:
        SelectionError: if there is no such MLP, or its output is no sum over its neurons.
    """
    path = layer if isinstance(layer, str) else f"blocks.{layer}.mlp"
    if path not in graph.sites.spans:
        raise SelectionError(f"no MLP {path!r} in {[*graph.sites.spans]}")
    weight = _out_weight(graph, path, Split(neurons=True))
    hidden = graph.sites[f"{path}.post"].roles["mlp"]
    weight = _named(weight, {_stream_axis(weight, (hidden,)): TARGET, hidden: "mlp"})
    return FactoredMatrix(weight, unembedding(graph), TARGET, "mlp", "vocab")


def composition_scores(
    writer: FactoredMatrix, reader: FactoredMatrix, kind: Literal["q", "k", "v"]
) -> NamedArray:
    """How much heads of one layer read what heads of an earlier one write.

    |W_OV W| / (|W_OV| |W|) in Frobenius norms, over `from_heads` and `to_heads` (Elhage et al.
    2021): W is the reader's QK circuit for queries (`q`), its transpose for keys (`k`), and its
    OV circuit for values (`v`). Products are never multiplied out.

    Args:
        writer: `ov` of the earlier layer.
        reader: `qk` of the later one for `q` and `k`, its `ov` for `v`.
        kind: what is composed with.
    """
    first = writer.renamed(heads="from_heads", head_dim="from_dim")
    second = reader.T if kind == "k" else reader
    turned = {second.rows: "middle", second.columns: "last", "heads": "to_heads"}
    second = second.renamed(**turned, head_dim="to_dim")
    joined = first @ second
    norms = [np.asarray(x.norm()) for x in (first, second)]
    found = np.asarray(joined.norm().order("from_heads", "to_heads"))
    return NamedArray(found / (norms[0][:, None] * norms[1]), ("from_heads", "to_heads"))


# --- finding weights ----------------------------------------------------------------------------


def _attention(flow: Flow, layer: int | str) -> tuple[str, Attention]:
    """The path of an attention, and what meets in it."""
    sites = flow.graph.sites
    path = layer if isinstance(layer, str) else f"blocks.{layer}.attn"
    if f"{path}.z" not in sites:
        known = [name.removesuffix(".z") for name in sites if name.endswith(".z")]
        raise SelectionError(f"no attention {path!r} in {known}")
    node = flow.producer(sites[f"{path}.z"].place.value)
    found = None if node is None else flow.attentions.get(node)
    if found is None:
        raise SelectionError(f"{path}: its queries, keys and values are not found")
    return path, found


def _heads_weight(
    graph: Graph, flow: Flow, path: str, word: str, end: Value, ignore_rotary: bool = False
) -> NamedArray:
    """The weight that makes queries, keys or values, its heads as they meet in the attention."""
    trail: list[Node] = []
    value = end
    while (node := flow.producer(value)) is not None and node.op.name not in PRODUCTS:
        if node.op.name == "rotary" and not ignore_rotary:
            raise SelectionError(
                f"{path}: rotary positions turn its {word}, so its circuit depends on the "
                f"distance of query and key; ignore_rotary=True takes distance 0 (from "
                f"{node.origin})"
            )
        biased = node.op.name == "add" and any(x in _parameters(graph) for x in node.inputs)
        if node.op.name not in VIEWS and node.op.name != "rotary" and not biased:
            raise SelectionError(
                f"{path}: {node.op.name} stands between the stream and its {word}, so no weight "
                f"alone makes them (from {node.origin})"
            )
        if node.op.name in VIEWS:
            trail.append(node)
        value = max(node.inputs, key=lambda x: len(x.axes))
    parameters = _parameters(graph)
    weight = None if node is None else next((x for x in node.inputs[:2] if x in parameters), None)
    if node is None or weight is None:
        raise SelectionError(f"{path}: its {word} are no product with a parameter")
    return _viewed(graph, weight, reversed(trail))


def _viewed(graph: Graph, weight: Value, trail: Any) -> NamedArray:
    """A weight, seen as the views of a trail show what it makes."""
    builder = Builder(Typing(graph.axes))
    term = start = builder.input(weight.type.dtype, weight.axes, "weight")
    for node in trail:
        attrs = node.attrs.as_dict()
        if node.op.name == "rename":
            axes = {a: b for a, b in dict(attrs["axes"]).items() if a in term.axes}
            term = term.rename(**axes)
        else:
            (term,) = builder.emit(node.op, [term], attrs)
    return _evaluated(builder, {start: _value(graph, weight)}, term)


def _out_weight(graph: Graph, path: str, split: Split) -> NamedArray:
    """The weight by which heads or neurons write into the stream, their axis apart."""
    end = graph.sites.spans[path].end.value
    parts = [part for part in parts_of(graph, end, split) if part.product is not None]
    product = parts[0].product
    assert isinstance(product, Product)
    builder = Builder(Typing(graph.axes))
    weight = start = builder.input(product.weight.type.dtype, product.weight.axes, "weight")
    for whole, axes in product.merged:
        weight = weight.split(whole, **{axis: builder.typing.size(axis) for axis in axes})
    return _evaluated(builder, {start: _value(graph, product.weight)}, weight)


def _parameters(graph: Graph) -> dict[Value, str]:
    return {p.value: p.name for p in graph.parameters}


def _value(graph: Graph, weight: Value) -> NamedArray:
    """The array of a parameter.

    Raises:
        SelectionError: if it is none.
    """
    layouts = {p.value: p for p in graph.parameters}
    if weight not in layouts:
        raise SelectionError(f"{weight!r} is computed from the inputs, so it is no weight")
    parameter = layouts[weight]
    return NamedArray(np.asarray(as_numpy(graph.store[parameter.name])), parameter.layout).squeeze()


def _evaluated(builder: Builder, given: dict[Term, NamedArray], result: Term) -> NamedArray:
    env = {term.value: array for term, array in given.items()}
    at = At(builder.typing.table, {})
    for node in builder.nodes:
        env |= dict(zip(node.outputs, at.node(node, env), strict=True))
    return env[result.value]


def _stream_axis(weight: NamedArray, own: Sequence[str]) -> str:
    """The axis of a weight that lies along the stream: the one that is not its heads' own."""
    (axis,) = (a for a in weight.axes if a is not None and a not in own)
    return axis


def _words(roles: Any) -> dict[str, str]:
    return {roles["heads"]: "heads", roles["head_dim"]: "head_dim"}


def _named(x: NamedArray, names: dict[str, str]) -> NamedArray:
    return NamedArray(x.array, tuple(names.get(a, a) if a else a for a in x.axes))
