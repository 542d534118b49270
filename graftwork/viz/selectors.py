"""For every node of a graph, the shortest Python expression that finds it.

A canonical site has its own word. Else `graph.select(module=..., op=...)` finds what leaves a
module, `.nth(k)` says which of several, and a predicate finds what stays inside. The counting is
that of `graftwork.ir.select`, done for all nodes in one walk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
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


def findings(graph: Graph) -> dict[Node | Part, Finding]:
    """How each node of the top level is found, and each node of the bodies of composites."""
    leaving: dict[Key, int] = defaultdict(int)
    inside: dict[Key, int] = defaultdict(int)
    first: dict[Node | Part, Finding] = {}
    parts: dict[Part, Key] = {}
    typing = Typing(graph.axes)
    seen = seen_parameters(graph, graph.parameters)
    for node in graph.nodes:
        module, op = node.origin.module, node.op.name
        if "/" in module:
            continue
        around, own = _around(module), (module, op)
        for outside in _borders(graph.index, node, seen):
            if outside < len(around) and node not in first and _plain(module):
                first[node] = _finding(Way.LEAVING, leaving[own])
            for outer in around[outside:]:
                leaving[outer, op] += 1
        if node not in first and len(module) <= LONGEST:
            first[node] = _finding(Way.INSIDE, inside[own])
        inside[own] += len(node.outputs)
        for part, name in _parts_of(node, typing) if node.op.body is not None else ():
            key = parts[part] = (module, name)
            if len(module) <= LONGEST:
                first[part] = _finding(Way.INSIDE, inside[key])
            inside[key] += 1
    counts = {Way.LEAVING: leaving, Way.INSIDE: inside}
    for found, finding in first.items():
        key = parts[found] if isinstance(found, tuple) else (found.origin.module, found.op.name)
        if counts[finding.way][key] == 1:
            first[found] = _finding(finding.way, -1)
    return first


_finding = lru_cache(maxsize=10_000)(Finding)  # most nodes are the only ones


@lru_cache(maxsize=10_000)
def _around(module: str) -> tuple[str, ...]:
    """A module with those around it, the outermost first."""
    return tuple(accumulate(module.split("."), "{}.{}".format)) if module else ()


@lru_cache(maxsize=10_000)
def _plain(module: str) -> bool:
    """Whether `module=` means just this module: no glob, and nothing that is too long to read."""
    return bool(module) and len(module) <= LONGEST and not set(module) & set("*{")


def _borders(index: Index, node: Node, seen: Collection[Value]) -> Iterator[int]:
    """For each output that is read, how many words of the node's module all readers share.

    A value leaves every module around its maker that has more words than that.
    """
    here = node.origin.module
    around = _around(here)
    for value in node.outputs:
        if value in seen:
            continue
        if value in index.outputs:
            yield 0
        elif readers := index.users_of(value):
            modules = [reader.origin.module for reader in readers]
            yield min([len(around) if m == here else _shared(around, _around(m)) for m in modules])


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many of the outermost modules are the same."""
    count = 0
    while count < min(len(a), len(b)) and a[count] == b[count]:
        count += 1
    return count


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
