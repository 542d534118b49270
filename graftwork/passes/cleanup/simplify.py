"""The driver of local simplifications: one walk, rules by op, each on operands already simple.

A rule looks at a node and at those that make its operands, and gives the value that the node's
output always equals, or None. What it makes on the way is simplified in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.infer import infer
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sizes import Size
from graftwork.ir.types import Typing
from graftwork.passes.cleanup.sweep import sited, sweep

Rule: TypeAlias = "Callable[[Sight, Node], Value | None]"
Rules: TypeAlias = Mapping[str, Sequence[Rule]]  # op name -> rules, in the order of trial
ANY = "*"  # rules that every op is tried with, after its own


def together(*several: Rules) -> Rules:
    """All rules of several sets, tried in the order of the sets."""
    names = dict.fromkeys(name for rules in several for name in rules)
    return {name: tuple(r for rules in several for r in rules.get(name, ())) for name in names}


def simplify(graph: Graph, by: str, rules: Rules) -> Graph:
    """Apply rules everywhere, for the pass `by`.

    Two sites stay two values, since an edit may tell them apart.
    """
    kept = sited(graph)
    typing = Typing(graph.axes)
    rules = {name: (*rules.get(name, ()), *rules.get(ANY, ())) for name in REGISTRY}
    new = sweep(graph, lambda region: Sight(typing, region, rules, by, kept).walk())
    return new if len(typing.table) == len(graph.axes) else new.evolve(axes=typing.table)


class Sight:
    """What a rule sees: the level as it has been rewritten so far."""

    def __init__(
        self, typing: Typing, region: Region, rules: Rules, by: str, kept: frozenset[Value]
    ) -> None:
        self.typing = typing
        self._region = region
        self._rules = rules
        self._by = by
        self._kept = kept
        self._nodes: list[Node] = []
        self._makers: dict[Value, Node] = {}
        self._aliases: dict[Value, Value] = {}
        self._origin: Origin = UNKNOWN

    def maker(self, value: Value, op: str | None = None) -> Node | None:
        """The node that defines a value at this level, if it is of this op."""
        node = self._makers.get(value)
        return None if node is None or (op is not None and node.op.name != op) else node

    def alone(self, value: Value) -> bool:
        """Whether one node alone reads a value of the level that is simplified, and no site is."""
        return self._region.index.reads[value] == 1 and value not in self._kept

    def size(self, axis: str) -> Size:
        return self.typing.size(axis)

    def make(self, op: str, *operands: Value, **attrs: Any) -> Value:
        """The value of an op that has one output, as simple as the rules can make it."""
        found = REGISTRY[op]
        legal = found.attributes(attrs)
        types = infer(self.typing, found, legal, [value.type for value in operands])
        origin = self._origin.through(self._by)
        node = Node(found, operands, (Value(types[0]),), legal, (), origin)
        return self._simplified(node) or self._append(node).output

    def walk(self) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        """The level simplified."""
        aliases, rules = self._aliases, self._rules
        for node in self._region.nodes:
            if aliases:
                inputs = tuple([aliases.get(value, value) for value in node.inputs])
                if inputs != node.inputs:
                    node = Node(
                        node.op, inputs, node.outputs, node.attrs, node.regions, node.origin
                    )
            if not rules[node.op.name] or not self._replaced(node):
                self._append(node)
        return self._nodes, aliases

    def _append(self, node: Node) -> Node:
        self._nodes.append(node)
        for value in node.outputs:
            self._makers[value] = node
        return node

    def _simplified(self, node: Node) -> Value | None:
        for rule in self._rules[node.op.name]:
            value = rule(self, node)
            if value is not None:
                if not value.type.same(node.output.type):
                    raise RewriteError(f"{self._by}: {value!r} in the place of {node.output!r}")
                return value
        return None

    def _replaced(self, node: Node) -> bool:
        """Let another value stand for the output of a node, if a rule knows one."""
        self._origin = node.origin
        before = len(self._nodes)
        new = self._simplified(node)
        if new is None:
            return False
        old = node.output
        made = len(self._nodes) > before and self._nodes[-1].outputs == (new,)
        if made:  # it goes by the old identity
            last = self._nodes.pop()
            del self._makers[new]
            self._append(Node(last.op, last.inputs, (old,), last.attrs, last.regions, last.origin))
        elif old in self._kept:
            return False
        else:
            self._aliases[old] = new
        return True
