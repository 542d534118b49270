"""Calls of modules: a path of the source model, where `f@1` is the second call of `f`.

A module that is called several times has a number at its word in the path, from 0 and within the
call around it; one that is called once has none. A path without numbers means all calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from graftwork.ir.errors import SelectionError
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph

_NUMBER = re.compile(r"@(\d+)(?=\.|$)")


def module_of(call: str) -> str:
    """The module that a call is of: its path without numbers."""
    return _NUMBER.sub("", call)


def is_within(inner: str, outer: str) -> bool:
    """Whether a call is another one, or happens in it."""
    return inner == outer or inner.startswith(f"{outer}.")


def calls(graph: Graph) -> list[str]:
    """All calls of modules, outer ones too, in order."""
    seen: dict[str, None] = {}
    for node in graph.nodes:
        path = node.origin.module
        while path and path not in seen:
            seen[path] = None
            path = path.rpartition(".")[0]
    return list(seen)


def modules(graph: Graph) -> list[str]:
    """All module paths of the source model, outer ones too, in order of first use."""
    return list(dict.fromkeys(map(module_of, calls(graph))))


def calls_of(glob: str, known: Iterable[str]) -> list[str]:
    """The calls among those known that a glob over module paths means.

    A number counts the calls that the words up to it mean: `f@1` the second of `f`, `f@1.g@0` the
    first of `g` in there, `f.g@2` the third of `g` in all.

    Raises:
        SelectionError: if the modules that a number stands at have not so many calls.
    """
    found = list(known)
    for number in _NUMBER.finditer(glob):
        outer = _called(glob[: number.start()], found, int(number[1]))
        found = [call for call in found if any(is_within(call, other) for other in outer)]
    paths = set(matching(module_of(glob), map(module_of, found)))
    return [call for call in found if module_of(call) in paths]


def _called(glob: str, known: Iterable[str], number: int) -> list[str]:
    """Of each module that a glob means, the call of a number."""
    by_module: dict[str, list[str]] = {}
    for call in known:
        by_module.setdefault(module_of(call), []).append(call)
    meant = [by_module[path] for path in matching(module_of(glob), by_module)]
    found = [each[number] for each in meant if number < len(each)]
    if meant and not found:
        most = max(meant, key=len)
        raise SelectionError(
            f"{glob!r} has no call {number}, counted from 0; there are: {', '.join(most)}"
        )
    return found
