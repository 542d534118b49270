"""Graphs for inputs that are padded: what lies beyond the true length reaches no true result.

A program that is compiled for few sizes takes others padded at the end. That is right if every op
either maps over the padded axis, or looks only back along it (behind a mask that is proved causal),
or does not look where inputs are padded with zeros (behind a mask made of such an input), or asks
for sizes, which become an input. Anything else is refused by name. What is computed beyond the true
length must be finite, since zero times infinity would not be zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError, RewriteError, nearest
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.op import CURRENT
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.size_values import fold
from graftwork.ir.sizes import Size, SizeExpr, symbol, symbols
from graftwork.ir.types import Type
from graftwork.passes.masks import is_nothing, number, orders

LENGTH = "length"
_ANYWHERE = frozenset({"rename", "iota", "broadcast", "embedding"})
_BACKWARD = frozenset({"cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"})


def padded(graph: Graph, names: Iterable[str]) -> Graph:
    """The graph with an input `length.seq` for each size symbol, the true one of a padded run.

    Raises:
        InputError: if the graph has no such symbol.
        RewriteError: if what lies beyond the true length could reach a result; names the op and
            where it came from.
    """
    names = tuple(names)
    for name in names:
        if name not in graph.symbols:
            raise InputError(f"no dynamic size {name!r}{nearest(name, graph.symbols)}")
        derived = [a for a, n in graph.axes.items() if name in symbols(n) and n != symbol(name)]
        if derived:
            raise RewriteError(
                f"inputs cannot be padded along {name!r}: the size of axis {derived[0]!r} is "
                f"{graph.axes[derived[0]]}"
            )
    return _Padding(graph, names).run()


class _Padding:
    """One walk along a graph, which refuses or mends."""

    def __init__(self, graph: Graph, names: tuple[str, ...]) -> None:
        self.graph = graph
        self.names = frozenset(names)
        self.rewriter = Rewriter(graph, "Pad")
        sizes = {symbol(name) for name in names}
        self.axes = frozenset(axis for axis, size in graph.axes.items() if size in sizes)
        self.lengths = {
            name: self.rewriter.add_input(f"{LENGTH}.{name}", Type(DType.i64, ()), ())
            for name in names
        }
        self.patterns: dict[Value, frozenset[str]] = {}

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self._follow(node)
            attrs = node.attrs.as_dict()
            if node.op.name == "size" and self._mentions(attrs["value"]):
                self.rewriter.replace(node, lambda s=attrs["value"]: self._term(s))
            elif node.op.name == "index" and self._mentions(attrs["at"]):
                self.rewriter.replace(node, lambda x, a=attrs: self._at(x, a))
            elif not self._is_right(node, attrs):
                raise RewriteError(
                    f"inputs cannot be padded: {node.op.name} ({node.origin}) sees all of "
                    f"{', '.join(sorted(self._bound(node)))}"
                )
        return self.rewriter.finish()

    def _bound(self, node: Node) -> frozenset[str]:
        return self.axes & frozenset(node.op.named_axes(node.attrs))

    def _mentions(self, size: Size) -> bool:
        return isinstance(size, SizeExpr) and bool(symbols(size) & self.names)

    def _follow(self, node: Node) -> None:
        """Note the keys of which a softmax leaves nothing beyond the true length."""
        if node.op.name == "softmax":
            self.patterns[node.output] = self._unseen(node.inputs[0])
        elif node.op.name in ("mul", "cast"):
            known = (self.patterns[v] for v in node.inputs if v in self.patterns)
            self.patterns[node.output] = next(known, frozenset())

    def _is_right(self, node: Node, attrs: Mapping[str, Any]) -> bool:
        """Whether a node's results up to the true length are those of a run without padding."""
        bound, name = self._bound(node), node.op.name
        if not bound or name in _ANYWHERE:
            return not node.regions or not self.axes & {a for v in node.inputs for a in v.axes}
        match name:
            case "attention":
                return bool(node.inputs[3:]) and bound <= self._unseen(node.inputs[3])
            case "softmax":
                return bound <= self.patterns[node.output]
            case "contract":
                return any(bound <= self.patterns.get(v, frozenset()) for v in node.inputs)
            case "gather":  # clipped or filled it would ask where the axis ends
                return bool(attrs["mode"] == "promise")
            case "index":  # the first position is always there
                return bool(attrs["at"] == 0)
            case "slice":
                return attrs["axis"] not in self.axes and not self._mentions(attrs["start"])
        return name in _BACKWARD and not attrs["reverse"]

    def _unseen(self, mask: Value) -> frozenset[str]:
        """The axes of which a mask hides what is beyond the true length from what is not."""
        causal = {key for _, key in orders(self.graph.index.producer, mask)}
        return frozenset(
            a for a in self.axes if a in mask.axes and (a in causal or self._is_blank(mask, a))
        )

    def _is_blank(self, value: Value, axis: str) -> bool:
        """Whether a value is false or zero, as a float low, beyond the true length of an axis."""
        node, is_float = self.graph.index.producer.get(value), value.type.dtype.is_float
        if node is None:
            given = any(port.value is value for port in self.graph.inputs)
            return given and not is_float and axis in value.axes
        match node.op.name:
            case "rename":
                back = {new: old for old, new in node.attrs["axes"]}
                return self._is_blank(node.inputs[0], back.get(axis, axis))
            case "cast" | "broadcast":
                (x,) = node.inputs
                same = is_float is x.type.dtype.is_float
                return same and axis in x.axes and self._is_blank(x, axis)
            case "ne":
                zero = number(self.graph.index.producer, node.inputs[1]) == 0
                return zero and self._is_blank(node.inputs[0], axis)
            case "and":
                return any(self._is_blank(part, axis) for part in node.inputs)
            case "add" if is_float:
                return any(self._is_blank(part, axis) for part in node.inputs)
            case "select":
                condition, _, other = node.inputs
                low = is_nothing(self.graph.index.producer, other)
                return low and self._is_blank(condition, axis)
        return False

    def _at(self, x: Term, attrs: Mapping[str, Any]) -> Term:
        """A position that counts from the true end."""
        return ops.gather(x, self._term(attrs["at"]), axes=(attrs["axis"],), mode="promise")

    def _term(self, size: Size) -> Term:
        """A size of the true inputs, as a scalar."""
        builder = CURRENT.get()
        assert builder is not None

        def leaf(name: str) -> Term:
            if name in self.lengths:
                return Term(self.lengths[name], builder)
            return ops.size(value=symbol(name))

        words = {"//": ops.floor_div, "%": ops.mod, "min": ops.minimum, "max": ops.maximum}
        found: Term = fold(size, leaf, words)
        return found
