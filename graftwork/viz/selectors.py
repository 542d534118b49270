"""For every node of a graph, the shortest Python expression that finds it.

A canonical site has its own word. Else `graph.select(module=..., op=...)` finds what leaves a
module, `.nth(k)` says which of several, and a predicate finds what stays inside. The counting is
that of `graftwork.ir.select`, done for all nodes in one walk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate

from attrs import frozen

from graftwork.ir.calls import modules as modules_of
from graftwork.ir.graph import Graph, Index, Node, Value
from graftwork.ir.infer import expand
from graftwork.ir.select import seen_parameters
from graftwork.ir.types import Typing

LONGEST = 400


class Way(IntEnum):
    """How a node is found."""

    ADDRESS = 0  # graph.nodes[3]
    LEAVING = 1  # graph.select(module=..., op=...)
    INSIDE = 2  # graph.select(op=...).where(lambda f: f.module == ...)


@frozen
class Finding:
    """How to find a node: the way, and which of several it is; -1 if it is the only one."""

    way: Way
    nth: int = -1


NOWHERE = Finding(Way.ADDRESS)


Part = tuple[Node, int]
"""A composite, and the number of a node in its body."""
Key = tuple[str, str]
"""A module and an op."""


def findings(graph: Graph) -> dict[Node | Part | None, Finding]:
    """How each node of the top level is found, and each node of the bodies of composites."""
    leaving: dict[Key, int] = defaultdict(int)
    inside: dict[Key, int] = defaultdict(int)
    drafts: dict[Node | Part | None, tuple[Way, Key, int]] = {}
    typing = Typing(graph.axes)
    seen, index = seen_parameters(graph, graph.parameters), graph.index
    for node in graph.nodes:
        module, op = node.origin.module, node.op.name
        if "/" in module:
            continue
        around, own = _around(module), (module, op)
        for value in node.outputs:
            outside = len(around) if value in seen else _outside(module, value, index)
            if outside < len(around):
                if node not in drafts and _plain(module):
                    drafts[node] = Way.LEAVING, own, leaving[own]
                for outer in around[outside:]:
                    leaving[outer, op] += 1
        if node not in drafts and len(module) <= LONGEST:
            drafts[node] = Way.INSIDE, own, inside[own]
        inside[own] += len(node.outputs)
        for part, name in _parts_of(node, typing) if node.op.body is not None else ():
            key = module, name
            if len(module) <= LONGEST:
                drafts[part] = Way.INSIDE, key, inside[key]
            inside[key] += 1
    counts = {Way.LEAVING: leaving, Way.INSIDE: inside}
    return {
        found: _finding(way, nth if counts[way][key] > 1 else -1)
        for found, (way, key, nth) in drafts.items()
    }


_finding = lru_cache(maxsize=10_000)(Finding)  # most nodes are the only ones


@lru_cache(maxsize=10_000)
def _around(module: str) -> tuple[str, ...]:
    """A module with those around it, the outermost first."""
    ends = accumulate(module.split("."), lambda end, word: end + 1 + len(word), initial=-1)
    return tuple([module[:end] for end in ends if end >= 0]) if module else ()


@lru_cache(maxsize=10_000)
def _plain(module: str) -> bool:
    """Whether `module=` means just this module: no glob, and nothing that is too long to read."""
    return bool(module) and len(module) <= LONGEST and "*" not in module and "{" not in module


def _outside(module: str, value: Value, index: Index) -> int:
    """How many of the modules around the maker of a value hold all of its readers, too.

    A value leaves those further inside.
    """
    if value in index.outputs:
        return 0
    around = _around(module)
    shared = len(around)
    for reader in index.users_of(value):
        other = reader.origin.module
        if other != module:
            also = _around(other)
            shared = min(shared, len(also))
            while shared and around[shared - 1] != also[shared - 1]:
                shared -= 1
    return shared


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
