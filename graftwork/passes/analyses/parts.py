"""The residual stream as a sum: what embeddings, heads, neurons and biases add to it.

The sum is followed back from a stream through what is linear in it (sums, views, casts, products
with what does not vary along the features), down to the places that `graph.sites` knows. So the
parts are exact whatever the model does to its stream, and a model whose stream is no sum is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.replay import replay
from graftwork.passes.sites.stream import NORMS, sited_flow
from graftwork.passes.sums import Product, apart, other_factor

START = ("embed", "pos_embed")
SCALES = frozenset({"mul", "div"})
VIEWS = frozenset({"cast", "rename", "stop_gradient", "neg", "broadcast"})


@frozen(eq=False)
class Part:
    """One term of the stream, or the terms of all heads or neurons of a layer.

    Attributes:
        path: `blocks.3.attn.out`, `blocks.3.attn.bias`, `blocks.3.attn.result`.
        value: what is added.
        trail: the nodes that it passes on its way into the sum, in order.
        axis: the axis that tells heads or neurons apart, with its size.
        product: how they make what is added.
    """

    path: str
    value: Value
    trail: tuple[Node, ...] = ()
    axis: tuple[str, int] | None = None
    product: Product | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """One name a component: `blocks.3.attn.result.5` is head 5 of layer 3."""
        if self.axis is None:
            return (self.path,)
        return tuple(f"{self.path}.{i}" for i in range(self.axis[1]))

    def term(self, builder: Builder) -> Term:
        """What it adds to the stream."""
        made = Term(self.value, builder)
        if self.product is not None:
            made = self.product.results(Term(self.product.operand, builder))
        end = self.trail[-1].output if self.trail else self.value
        return replay(builder, self.trail, {self.value: made})[end]


@frozen
class Split:
    """How far a stream is taken apart.

    Attributes:
        heads: attention into its heads and the bias of its output.
        neurons: MLPs into their neurons and the bias of their output.
        biases: the biases of outputs that are not taken apart otherwise.
    """

    heads: bool = False
    neurons: bool = False
    biases: bool = False


def parts_of(graph: Graph, stream: Value, split: Split) -> tuple[Part, ...]:
    """The terms of a value of the residual stream, in the order of the model.

    Raises:
        SelectionError: if the stream is no sum (a norm stands in it), or heads or neurons are no
            terms of it (a norm follows them); names the place.
    """
    walk = _Walk(graph, split)
    found: list[Part] = []
    stack = [_Here(stream)]
    while stack:
        here = walk.entered(stack.pop())
        node = walk.flow.producer(here.value)
        path = walk.known(here, node)
        if path is not None or node is None:
            found.append(Part(path or here.value.name, here.value, here.trail))
        elif node.op.name == "add":
            stack += [evolve(here, value=x) for x in walk.latest_first(node.inputs)]
        elif here.branch and node.op.name in PRODUCTS:
            found += walk.factored(here, node)
        else:
            trail = (node, *here.trail)
            stack.append(evolve(here, value=_carrier(node), trail=trail))
    return tuple(found)


@frozen(eq=False)
class _Here:
    """A value on the way back, the nodes passed since, and the branch that is taken apart."""

    value: Value
    trail: tuple[Node, ...] = ()
    branch: str = ""


class _Walk:
    """What a walk back along a stream asks of the graph."""

    def __init__(self, graph: Graph, split: Split) -> None:
        self.graph, self.split, self.flow = graph, split, sited_flow(graph)
        sites = graph.sites
        words = [(path.rpartition(".")[2], path, site.place.value) for path, site in sites.items()]
        self.starts = {value: path for word, path, value in words if word in START}
        self.first = {
            value: path for _, path, value in words if path.endswith("blocks.0.resid_pre")
        }
        self.ends = {span.end.value: path for path, span in [*sites.spans.items()][::-1]}
        self.parameters = {p.value: p.name for p in graph.parameters}

    def entered(self, here: _Here) -> _Here:
        """Inside a branch, if this is the end of one that is taken apart."""
        path = self.ends.get(here.value, "")
        opens = path and not here.branch and (self._axis(path) is not None or self.split.biases)
        return evolve(here, branch=path) if opens else here

    def known(self, here: _Here, node: Node | None) -> str | None:
        """What a value is called, if it is a part as it is; None if it is looked into."""
        value, branch = here.value, here.branch
        if branch:
            if value in self.parameters:
                return f"{branch}.bias"
            if node is not None and (_carries(node) or node.op.name in PRODUCTS):
                return None
            if self._axis(branch) is None:
                return f"{branch}.out"
            raise _bent(node, f"{branch} is no sum over its {self._axis(branch)}")
        if value in self.ends:
            return f"{self.ends[value]}.out"
        path = self.starts.get(value) or self.parameters.get(value)
        if path is not None or node is None or _carries(node):
            return path
        if value in self.first:
            return self.first[value]
        if node.op.name in NORMS:
            raise _bent(node, "the stream is not a sum")
        return node.origin.module or node.op.name

    def latest_first(self, values: Iterable[Value]) -> list[Value]:
        """The terms of a sum, so that the last is the first in the model and biases come last."""
        return sorted(
            values, key=lambda v: (v in self.parameters, self.flow.place(v)), reverse=True
        )

    def factored(self, here: _Here, node: Node) -> Iterator[Part]:
        """The parts that a product makes: of each head or neuron, or of all, and of the bias."""
        branch, over = here.branch, tuple(node.attrs["over"])
        start = self.graph.sites.spans[branch].start.value
        held = [x for x in node.inputs[:2] if self.flow.depends(x, start)]
        if len(held) != 1:
            raise _bent(node, f"{branch} is a product of two of its own values")
        role = self._axis(branch)
        if role is None:
            product = Product(held[0], other_factor(node, held[0]), None, (), over)
            yield Part(f"{branch}.out", node.output, here.trail, product=product)
        else:
            yield self._each(here, node, held[0], role)
        if len(node.inputs) > 2:
            yield Part(f"{branch}.bias", node.inputs[2], here.trail)

    def _each(self, here: _Here, node: Node, operand: Value, role: str) -> Part:
        """The part of each head or neuron."""
        word, name = ("z", "result") if role == "heads" else ("post", "neurons")
        site = self.graph.sites.table.get(f"{here.branch}.{word}")
        axis = None if site is None else site.roles.get(role)
        size = None if axis is None else self.graph.axes[axis]
        held = operand if site is None else site.place.value
        product = apart(self.flow, node, operand, held, axis)
        if axis is None or product is None or not isinstance(size, int):
            raise _bent(node, f"{here.branch} is no sum over its {role}")
        return Part(f"{here.branch}.{name}", node.output, here.trail, (axis, size), product)

    def _axis(self, branch: str) -> str | None:
        """The role of the axis that a branch is taken apart along."""
        word = branch.rpartition(".")[2].rstrip("0123456789").rstrip("_")
        if word in ("attn", "cross_attn"):
            return "heads" if self.split.heads else None
        return "mlp" if word == "mlp" and self.split.neurons else None


def _carries(node: Node) -> bool:
    """Whether a node adds, or hands on one operand as it is or times what has fewer axes."""
    if node.op.name not in SCALES:
        return node.op.name == "add" or node.op.name in VIEWS
    first, second = (value.type.axis_set for value in node.inputs)
    return first > second or (node.op.name == "mul" and second > first)


def _carrier(node: Node) -> Value:
    """The operand that a node hands on."""
    return max(node.inputs, key=lambda value: len(value.axes))


def _bent(node: Node | None, what: str) -> SelectionError:
    op, origin = ("an input", "") if node is None else (node.op.name, f" (from {node.origin})")
    return SelectionError(f"{what}: {op} stands in it{origin}")
