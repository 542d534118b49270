"""Which axes of a graph may become one axis, and which have.

Axes are merged as a register allocator coalesces registers. Two axes that some value carries
together can never be one; nor can two that an op tells apart, so that it would be ill-typed or
give other axes if they had one name. Both kinds of knowledge are kept per pair of classes and
follow the classes as they merge, the smaller into the greater, so that the whole takes nearly
linear time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations

from graftwork.ir.axis_spec import is_unnamed
from graftwork.ir.errors import GraftworkError
from graftwork.ir.graph import Graph, Node, walk
from graftwork.ir.infer import expand, infer
from graftwork.ir.types import Type, Typing


class AxisClasses:
    """A partition of a graph's axes, coarsened by `unite`.

    Attributes:
        fixed: axes that keep their names, so that no two of them are united.
    """

    def __init__(self, graph: Graph, fixed: Iterable[str] | None = None) -> None:
        named = (axis for axis in graph.axes if not is_unnamed(axis))
        self.fixed = set(named if fixed is None else fixed)
        self._typing = Typing(graph.axes)
        self._order = {axis: i for i, axis in enumerate(graph.axes)}
        self._parent = {axis: axis for axis in graph.axes}
        self._name = {axis: axis for axis in graph.axes}
        self._apart: defaultdict[str, set[str]] = defaultdict(set)
        self._met: defaultdict[str, dict[str, list[Node]]] = defaultdict(dict)
        self._types: set[Type] = set()
        self._calls: set[object] = set()
        self._verdicts: dict[object, bool] = {}
        for value in graph.region.inputs:
            self._see(value.type)
        for node in graph.walk():
            self._meet(node)

    # --- what is known from the start -------------------------------------------------------

    def _see(self, type: Type) -> None:
        """The axes of a value are apart."""
        if type not in self._types:
            self._types.add(type)
            for axis in type.axes:
                self._apart[axis].update(type.axis_set - {axis})

    def _meet(self, node: Node) -> None:
        """Remember the node with the pairs of axes that meet nowhere but in its attributes."""
        types = [value.type for value in (*node.inputs, *node.outputs)]
        if not node.regions:  # nodes that say the same of the same axes need one witness
            call = (node.op, node.attrs, *types)
            if call in self._calls:
                return
            self._calls.add(call)
        for type in types:
            self._see(type)
        if node.regions:
            self._bind(node, types)
            return
        bound = tuple(node.op.named_axes(node.attrs)) if node.attrs.items else ()
        if bound or len(types) > 1:
            touched = frozenset(bound).union(*(type.axis_set for type in types))
            if not any(touched <= type.axis_set for type in types):
                self._remember(node, touched)

    def _remember(self, node: Node, touched: frozenset[str]) -> None:
        for a, b in combinations(touched, 2):
            if b not in self._apart[a]:
                nodes = self._met[a].get(b)
                if nodes is None:
                    nodes = self._met[a][b] = self._met[b][a] = []
                nodes.append(node)

    def _bind(self, node: Node, types: list[Type]) -> None:
        """The axis that control flow runs along is apart from all that its bodies carry."""
        for region in node.regions:
            for value in region.inputs:
                self._see(value.type)
        inner = (v.type for r in node.regions for n in walk(r.nodes) for v in n.outputs)
        inputs = (v.type for r in node.regions for v in r.inputs)
        touched = frozenset().union(*(type.axis_set for type in (*types, *inner, *inputs)))
        for axis in node.op.named_axes(node.attrs):
            for other in touched - {axis}:
                self._separate(axis, other)

    # --- classes ----------------------------------------------------------------------------

    def find(self, axis: str) -> str:
        """The representative of an axis' class."""
        root = axis
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[axis] != root:
            self._parent[axis], axis = root, self._parent[axis]
        return root

    def names(self) -> dict[str, str]:
        """Axis -> the name of its class: a fixed one if it has one, else its first."""
        return {axis: self._name[self.find(axis)] for axis in self._parent}

    def unite(self, a: str, b: str) -> bool:
        """Make two axes one, if nothing tells them apart; whether they are one now."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return True
        if b in self._apart[a] or self._typing.table[a] != self._typing.table[b]:
            return False
        both = (self._name[a], self._name[b])
        if self.fixed.issuperset(both):
            return False
        if not all(self._natural(node, a, b) for node in self._met[a].get(b, ())):
            self._separate(a, b)
            return False
        if len(self._apart[a]) + len(self._met[a]) < len(self._apart[b]) + len(self._met[b]):
            a, b = b, a
        self._name[a] = min(both, key=lambda name: (name not in self.fixed, self._order[name]))
        self._absorb(a, b)
        return True

    def _separate(self, a: str, b: str) -> None:
        self._apart[a].add(b)
        self._apart[b].add(a)

    def _absorb(self, a: str, b: str) -> None:
        """Everything known of `b` is known of `a`."""
        self._parent[b] = a
        for other in self._apart.pop(b, ()):
            self._apart[other].discard(b)
            self._separate(a, other)
        for other, nodes in self._met.pop(b, {}).items():
            del self._met[other][b]
            if other in self._met[a]:
                self._met[a][other].extend(nodes)
            elif other != a:
                self._met[a][other] = self._met[other][a] = nodes

    # --- whether an op tells two axes apart -------------------------------------------------

    def _natural(self, node: Node, a: str, b: str) -> bool:
        """Whether the op means the same if `a` and `b` are one; equal layers ask once."""
        form = self._form(node, a, b)
        known = self._verdicts.get(form)
        if known is None:
            known = self._verdicts[form] = self._means_the_same(node, a, b)
        return known

    def _form(self, node: Node, a: str, b: str) -> object:
        """The node up to the names of its axes, and which of them are to be one."""
        number: dict[str, str] = {}

        def to(axis: str) -> str:
            return number.setdefault(self.find(axis), str(len(number)))

        values = (*node.inputs, *node.outputs)
        types = tuple([(v.type.dtype, *map(to, v.type.axes)) for v in values])
        attrs = node.op.rename_axes(node.attrs, to)
        merged = (to(a), to(b))
        sizes = tuple([self._typing.table[axis] for axis in number])
        return node.op, len(node.inputs), types, attrs, merged, sizes

    def _means_the_same(self, node: Node, a: str, b: str) -> bool:
        """Whether the op gives the same axes if `a` and `b` are one, and its body too."""

        def to(axis: str) -> str:
            root = self.find(axis)
            return a if root == b else root

        ought = [_renamed(value.type, to) for value in node.outputs]
        try:
            given = self._infer(node, to)
            same = all(x.same(y) for x, y in zip(given, ought, strict=True))
            return same and (
                node.op.body is None or self._ranks(node, to) == self._ranks(node, self.find)
            )
        except GraftworkError:
            return False

    def _infer(self, node: Node, to: Callable[[str], str]) -> tuple[Type, ...]:
        types = [_renamed(value.type, to) for value in node.inputs]
        return infer(self._typing, node.op, node.op.rename_axes(node.attrs, to), types)

    def _ranks(self, node: Node, to: Callable[[str], str]) -> list[tuple[str, int]]:
        """The ops in a composite's body and how many axes each gives."""
        types = [_renamed(value.type, to) for value in node.inputs]
        body = expand(self._typing, node.op, node.op.rename_axes(node.attrs, to), types)
        return [(n.op.name, len(v.axes)) for n in body.region.nodes for v in n.outputs]


def _renamed(type: Type, to: Callable[[str], str]) -> Type:
    return type.with_axes(map(to, type.axes))
