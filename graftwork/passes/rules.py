"""Rewriting by rules: what a pattern finds is replaced by what its other side builds.

A rule is data: a left side (a pattern), pure conditions, and a right side that builds terms from
what the variables stand for. The left side prints, and is its own smallest test case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from operator import attrgetter
from typing import ClassVar, TypeAlias

from attrs import evolve, field, frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.edits import reading
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Region, Value, walk
from graftwork.ir.pattern import REACH, Match, Pattern, Variables, ops_near
from graftwork.ir.pipeline import reached, watched
from graftwork.ir.sizes import Size
from graftwork.ir.types import Typing
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.dead import DropDead, without_dead_nodes, without_unread
from graftwork.passes.cleanup.sweep import sited, sweep

_Roots: TypeAlias = Callable[[Region], Sequence[Node]]


@frozen(eq=False)
class Found:
    """What the variables of a rule stand for, ready to build with."""

    pattern: Pattern
    match: Match
    builder: Builder

    def __getitem__(self, name: str) -> Term:
        """A value variable."""
        return Term(self.match.bound[self.pattern.values[name]], self.builder)

    def number(self, name: str) -> float:
        return float(self.match.numbers[name])

    def axis(self, name: str) -> str:
        return self.match.axes[name]

    def size(self, name: str) -> Size:
        return self.builder.typing.size(self.axis(name))


@frozen
class Rule:
    """What is rewritten to what.

    Attributes:
        name: recorded in the origin of all that the rule makes.
        write: writes the left side over variables.
        build: builds the right side.
        when: a condition on the match, beyond its structure.
    """

    name: str
    write: Callable[[Variables], Term]
    build: Callable[[Found], Term]
    when: Callable[[Found], bool] = lambda found: True

    @cached_property
    def pattern(self) -> Pattern:
        """The left side."""
        return Pattern.of(self.write)

    def __str__(self) -> str:
        return f"rule {self.name}\n{self.pattern}"


@frozen
class Firing:
    """One application of a rule: where it was, and what it replaced."""

    rule: str
    root: Node
    replaced: tuple[Node, ...]


@frozen
class Rewrite(Pass):
    """Apply rules everywhere until none applies, `rounds` times at most.

    Values that are read elsewhere, and sites, are not swallowed: a rule that would need to does
    not apply.
    """

    promise: ClassVar[str] = "tolerance"

    rules: tuple[Rule, ...] = field(converter=tuple)
    rounds: int = 4

    def __call__(self, graph: Graph) -> Graph:
        new, fired = rewrite(graph, self.rules, self.rounds)
        return without_unread(new) if fired else graph


def rewrite(
    graph: Graph, rules: Sequence[Rule], rounds: int = 4
) -> tuple[Graph, tuple[Firing, ...]]:
    """The rewritten graph, and every application of a rule in order; parameters and axes stay.

    Raises:
        RewriteError: if a rule builds something of another type than it replaces.
    """
    by_root: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_root[rule.pattern.makers[rule.pattern.root].op.name].append(rule)
    depth = max([REACH, *[rule.pattern.depth for rule in rules]])
    fired: list[Firing] = []
    near: dict[Node, int] = {}
    roots: _Roots = attrgetter("nodes")
    for _ in range(rounds):
        new, found = _round(graph, by_root, roots, near)
        if not found:
            break
        new = without_dead_nodes(new)
        roots = partial(_behind, changed=_changed(graph, new), depth=depth)
        graph = new
        fired += found
    return graph, tuple(fired)


def _changed(before: Graph, after: Graph) -> Collection[Node]:
    """What lets a rule apply that did not: new nodes, and makers of what is read less."""
    old, new = set(walk(before.nodes)), set(walk(after.nodes))
    less = {value for node in old - new for value in node.inputs}
    less |= sited(before) - sited(after)
    return {n for n in new if n not in old or not less.isdisjoint(n.outputs)}


def _behind(level: Region, changed: Collection[Node], depth: int) -> Sequence[Node]:
    """The nodes at which a pattern of a depth may contain one that changed."""
    away: dict[Value, int] = {}
    found: list[Node] = []
    for node in level.nodes:
        if node in changed:
            steps = 0
        elif away.keys().isdisjoint(node.inputs):
            continue
        else:
            steps = min([away[value] for value in node.inputs if value in away]) + 1
        if steps <= depth:
            found.append(node)
            away |= dict.fromkeys(node.outputs, steps)
    return found


def _round(
    graph: Graph,
    rules: Mapping[str, Sequence[Rule]],
    roots: _Roots,
    near: dict[Node, int],
) -> tuple[Graph, Sequence[Firing]]:
    """Rules applied once at every level, and where.

    Args:
        roots: gives the nodes of a level at which a rule may apply.
        near: the ops near other nodes; learns those near the roots.
    """
    typing = Typing(graph.axes)
    kept = sited(graph)
    fired: list[Firing] = []
    rounds: list[_Round] = []

    def clean(region: Region) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        tried = roots(region)
        ops_near(tried, region.index.producer, near)
        rounds.append(_Round(typing, region, rules, kept, fired, near))
        return rounds[-1].run(tried)

    new = sweep(graph, clean).evolve(axes=typing.table)
    if watched():
        _tell(graph, typing, rounds, dict.fromkeys(firing.rule for firing in fired))
    return new, fired


def _tell(graph: Graph, typing: Typing, rounds: Sequence[_Round], rules: Collection[str]) -> None:
    """What a round did rule by rule; what its firings replace has nothing in common."""
    so_far: list[str] = []
    for rule in rules:
        so_far.append(rule)
        part = _part(graph, rounds, so_far).evolve(axes=typing.table)
        reached(rule, DropDead()(part))


def _part(graph: Graph, rounds: Iterable[_Round], rules: Collection[str]) -> Graph:
    """The graph after what these rules did in a round of every level."""
    each = iter(rounds)
    return sweep(graph, lambda region: next(each).result(region, rules))


class _Round:
    """One pass over one level, from its end, so that the widest match comes first."""

    def __init__(
        self,
        typing: Typing,
        region: Region,
        rules: Mapping[str, Sequence[Rule]],
        kept: frozenset[Value],
        fired: list[Firing],
        near: Mapping[Node, int],
    ) -> None:
        self.typing = typing
        self.region = region
        self.rules = rules
        self.kept = kept
        self.fired = fired
        self.index = region.index
        self.near = near
        self.plausible: dict[int, Sequence[Rule]] = {}
        self.used: set[Node] = set()
        self.made: dict[Node, Sequence[Node]] = {}
        self.by: dict[Node, str] = {}
        self.aliases: dict[Value, Value] = {}

    def run(self, roots: Sequence[Node]) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        """Apply rules at these nodes."""
        for node in reversed(roots):
            if node.op.name in self.rules and node not in self.used:
                for rule in self.plausible_at(node):
                    if self.apply(rule, node):
                        break
        return self.result(self.region, None)

    def result(
        self, region: Region, rules: Collection[str] | None
    ) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        """The level after what these rules did, or after all."""
        made = {
            root: nodes
            for root, nodes in self.made.items()
            if rules is None or self.by[root] in rules
        }
        if not made:
            return region.nodes, {}
        gone = {root.output for root in made}
        aliases = {old: new for old, new in self.aliases.items() if old in gone}
        nodes = [n for node in region.nodes for n in made.get(node, (node,))]
        if aliases:
            nodes = [reading(node, aliases) for node in nodes]
        return nodes, aliases

    def plausible_at(self, node: Node) -> Sequence[Rule]:
        """The rules of which all ops are there; nodes of equal layers ask the same."""
        near = self.near[node]
        known = self.plausible.get(near)
        if known is None:
            rules = self.rules[node.op.name]
            known = tuple(rule for rule in rules if rule.pattern.plausible(near))
            self.plausible[near] = known
        return known

    def apply(self, rule: Rule, root: Node) -> bool:
        match = rule.pattern.match(self.index, self.typing.table, root)
        if match is None:
            return False
        inside = self.inside(rule.pattern, match, root)
        found = Found(rule.pattern, match, Builder(self.typing, root.origin.through(rule.name)))
        if inside is None or not rule.when(found):
            return False
        with found.builder:
            result = rule.build(found)
        if not result.type.same(root.output.type):
            raise RewriteError(f"{rule.name}: {result.type!r} in the place of {root.output!r}")
        self.made[root] = self.define(root.output, result, found.builder.nodes)
        self.by[root] = rule.name
        self.used |= {root, *inside}
        self.fired.append(Firing(rule.name, root, (root, *inside)))
        return True

    def inside(self, pattern: Pattern, match: Match, root: Node) -> tuple[Node, ...] | None:
        """The nodes that the rule swallows, or None if something else needs one of them."""
        nodes = {
            self.index.producer[match.bound[ours]]
            for ours in pattern.makers
            if ours in match.bound and pattern.makers[ours].inputs
        }
        reads = Counter([value for node in nodes for value in node.inputs])
        for node in nodes - {root}:
            for value in node.outputs:
                if value in self.kept or self.index.reads[value] != reads[value]:
                    return None
        return None if nodes & self.used else tuple(nodes - {root})

    def define(self, old: Value, result: Term, nodes: Sequence[Node]) -> Sequence[Node]:
        """Let nodes define a value under its old identity."""
        for place, node in enumerate(nodes):
            if node.outputs == (result.value,):
                return [
                    *nodes[:place],
                    evolve(node, outputs=(old,)),
                    *(reading(later, {result.value: old}) for later in nodes[place + 1 :]),
                ]
        self.aliases[old] = result.value
        return nodes
