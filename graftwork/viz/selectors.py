"""For every node of a graph, the shortest Python expression that finds it.

A canonical site has its own word. Else `graph.select(module=..., op=...)` finds what leaves a
module, `.nth(k)` says which of several, and a predicate finds what stays inside. The counting is
that of `graftwork.ir.select`, done for all nodes in one walk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from attrs import frozen

from graftwork.ir.calls import modules as modules_of
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.infer import expand
from graftwork.ir.select import seen_parameters
from graftwork.ir.types import Typing

LONGEST = 400


class Way(IntEnum):
    """How a node is found."""

    ADDRESS = 0  # graph.nodes[3]
    LEAVING = 1  # graph.select(module=..., op=...)
    INSIDE = 2  # graph.select(op=...).where(lambda f: f.module == ...)


Part = tuple[Node, int]
"""A composite, and the number of a node in its body."""
Key = tuple[str, str]
"""A module and an op."""
Finding = tuple[Way, int]
"""How to find a node: the way, and which of several it is; -1 if it is the only one."""


NOWHERE = Way.ADDRESS, -1
_ONLY = tuple([(way, -1) for way in Way])  # most nodes are the only ones


@frozen(eq=False)
class Findings:
    """How the nodes of the top level are found, and those in the bodies of composites.

    Attributes:
        drafts: the way to each, what it is sought by, and which of those that are found it is.
        counts: for each way, by its number, how many are found.
    """

    drafts: Mapping[Node | Part | None, tuple[Way, Key, int]]
    counts: Sequence[Mapping[Key, int]]

    def of(self, sought: Node | Part | None) -> Finding:
        """How one of them is found."""
        draft = self.drafts.get(sought)
        if draft is None:
            return NOWHERE
        way, key, nth = draft
        return (way, nth) if self.counts[way][key] > 1 else _ONLY[way]


def findings(graph: Graph) -> Findings:
    """How each node is found."""
    leaving: dict[Key, int] = defaultdict(int)
    inside: dict[Key, int] = defaultdict(int)
    drafts: dict[Node | Part | None, tuple[Way, Key, int]] = {}
    typing, around = Typing(graph.axes), _Around()
    seen, outside = seen_parameters(graph, graph.parameters), _outside(graph, around)
    for node in graph.nodes:
        module, op = node.origin.module, node.op.name
        if "/" in module:
            continue
        own, draft = (module, op), None
        for value in node.outputs:
            if value in outside and value not in seen:
                if draft is None and _plain(module):
                    draft = Way.LEAVING, own, leaving[own]
                for outer in around[module][outside[value] :]:
                    leaving[outer, op] += 1
        if draft is not None:
            drafts[node] = draft
        elif len(module) <= LONGEST:
            drafts[node] = Way.INSIDE, own, inside[own]
        inside[own] += len(node.outputs)
        for part, name in _parts_of(node, typing) if node.op.body is not None else ():
            key = module, name
            if len(module) <= LONGEST:
                drafts[part] = Way.INSIDE, key, inside[key]
            inside[key] += 1
    return Findings(drafts, ({}, leaving, inside))


class _Around(dict[str, tuple[str, ...]]):
    """A module -> itself with those around it, the outermost first."""

    def __missing__(self, module: str) -> tuple[str, ...]:
        missing, outer = [], module
        while outer and outer not in self:
            missing.append(outer)
            outer = outer.rpartition(".")[0]
        found = self.get(outer, ())
        for inner in reversed(missing):
            self[inner] = found = (*found, inner)
        return found


def _outside(graph: Graph, around: _Around) -> dict[Value, int]:
    """Of values that leave modules, how many around their makers hold all of their readers, too.

    A value leaves those further inside.
    """
    makers = {value: around[node.origin.module] for node in graph.nodes for value in node.outputs}
    found: dict[Value, int] = {}
    for node in graph.nodes:
        readers = around[node.origin.module]
        for value in node.inputs:
            modules = makers.get(value, readers)
            if modules is readers:
                continue
            shared = min(len(modules), len(readers))
            while shared and modules[shared - 1] != readers[shared - 1]:
                shared -= 1
            if shared < len(modules):
                found[value] = min(shared, found.get(value, shared))
    found.update((port.value, 0) for port in graph.outputs if makers.get(port.value))
    return found


@lru_cache(maxsize=10_000)
def _plain(module: str) -> bool:
    """Whether `module=` means just this module: no glob, and nothing that is too long to read."""
    return bool(module) and len(module) <= LONGEST and "*" not in module and "{" not in module


def _parts_of(node: Node, typing: Typing) -> Iterator[tuple[Part, str]]:
    """What else a search for ops finds at a composite: the parts of its body, and their ops."""
    body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
    for i, inner in enumerate(body.region.nodes):
        if inner.op.name != node.op.name:
            yield (node, i), inner.op.name


def site_expression(path: str, paths_of_modules: frozenset[str]) -> str:
    """`graph.select("blocks.3.attn.z")`."""
    word = "site=" if path in paths_of_modules else ""
    return f"graph.select({word}{path!r})"


def module_paths(graph: Graph) -> frozenset[str]:
    """All module paths, which a site's path may be confused with."""
    return frozenset(modules_of(graph))
