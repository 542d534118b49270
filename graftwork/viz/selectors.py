"""For every node of a graph, the shortest Python expression that finds it.

A canonical site has its own word. Else `graph.select(module=..., op=...)` finds what leaves a
module, `.nth(k)` says which of several, and a predicate finds what stays inside. The counting is
that of `graftwork.ir.select`, done for all nodes in one walk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from attrs import frozen

from graftwork.ir.calls import modules
from graftwork.ir.graph import Graph, Node
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


def findings(graph: Graph) -> dict[Node | Part, Finding]:
    """How each node of the top level is found, and each node of the bodies of composites."""
    borders = _borders(graph)
    leaving: Counter[tuple[str, str]] = Counter()
    inside: Counter[tuple[str, str]] = Counter()
    first: dict[Node | Part, tuple[Way, int, tuple[str, str]]] = {}
    typing = Typing(graph.axes)
    for node in graph.nodes:
        module, op = node.origin.module, node.op.name
        if "/" in module:
            continue
        words = module.split(".") if module else []
        for outside in borders[node]:
            for end in range(outside + 1, len(words) + 1):
                key = (".".join(words[:end]), op)
                if end == len(words) and node not in first and _plain(module):
                    first[node] = (Way.LEAVING, leaving[key], key)
                leaving[key] += 1
        for part, name in _ops_of(node, typing):
            key = (module, name)
            if part not in first and len(module) <= LONGEST:
                first[part] = (Way.INSIDE, inside[key], key)
            inside[key] += 1
    counts = {Way.LEAVING: leaving, Way.INSIDE: inside}
    return {
        node: Finding(way, nth if counts[way][key] > 1 else -1)
        for node, (way, nth, key) in first.items()
    }


def _plain(module: str) -> bool:
    """Whether `module=` means just this module: no glob, and nothing that is too long to read."""
    return bool(module) and len(module) <= LONGEST and not set(module) & set("*{")


def _borders(graph: Graph) -> Mapping[Node, Sequence[int]]:
    """For each node and output that is read, how many words of its module all readers share.

    A value leaves every module around its maker that has more words than that.
    """
    index = graph.index
    seen = seen_parameters(graph, graph.parameters)
    found: dict[Node, list[int]] = {}
    for node in graph.nodes:
        here = node.origin.module
        found[node] = []
        for value in (v for v in node.outputs if v not in seen):
            readers = index.users_of(value)
            if value in index.outputs:
                found[node].append(0)
            elif readers:
                found[node].append(min(_shared(here, r.origin.module) for r in readers))
    return found


@lru_cache(maxsize=100_000)
def _shared(a: str, b: str) -> int:
    """How many leading words two module paths share."""
    if a == b:
        return a.count(".") + 1 if a else 0
    count = 0
    for left, right in zip(a.split("."), b.split("."), strict=False):
        if left != right:
            break
        count += 1
    return count if a and b else 0


def _ops_of(node: Node, typing: Typing) -> Iterator[tuple[Node | Part, str]]:
    """What a search for ops finds at a node, and by which: itself, or the parts of its body."""
    yield from [(node, node.op.name)] * len(node.outputs)
    if node.op.body is not None:
        body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
        own = node.op.name
        parts = enumerate(body.region.nodes)
        yield from (((node, i), inner.op.name) for i, inner in parts if inner.op.name != own)


def site_expression(path: str, paths_of_modules: frozenset[str]) -> str:
    """`graph.select("blocks.3.attn.z")`."""
    word = "site=" if path in paths_of_modules else ""
    return f"graph.select({word}{path!r})"


def module_paths(graph: Graph) -> frozenset[str]:
    """All module paths, which a site's path may be confused with."""
    return frozenset(modules(graph))
