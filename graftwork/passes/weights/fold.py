"""Turning expressions of parameters into parameters.

A pass that changes weights writes the change as nodes: `W * gain`, `W - mean(W)`, `slice(W)`.
Here what depends on parameters alone becomes a parameter, whose array is computed by the numpy
reference when it is first asked for. Nobody's arrays change, and weights that stay are shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Node, Parameter, Region, Value
from graftwork.ir.names import unused
from graftwork.ir.store import Lazy, as_numpy
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead
from graftwork.passes.cleanup.sweep import sited

Names = Mapping[Value, str]


@frozen
class FoldParameters(Pass):
    """Compute once what depends on parameters alone, as parameters of its own.

    A weight that is written as an expression of others (`gain + 1`, a normalised direction times
    a length) becomes one array, so the parts can no longer be trained apart. What nothing reads
    any more is left out.
    """

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return folded(graph)


@frozen(eq=False)
class Expression:
    """A value that depends on parameters alone.

    Attributes:
        nodes: what computes it, in order.
        roots: the parameters that it reads.
    """

    value: Value
    nodes: tuple[Node, ...]
    roots: tuple[Parameter, ...]

    def array(self, graph: Graph) -> np.ndarray[Any, Any]:
        """Its array, over the axes of the value, from those of the graph that it belongs to."""
        given = [NamedArray(as_numpy(graph.store[p.name]), p.layout).squeeze() for p in self.roots]
        region = Region(tuple(p.value for p in self.roots), self.nodes, (self.value,))
        with np.errstate(all="ignore"):
            (result,) = At(graph.axes, {}).run(region, given)
        return np.asarray(result.order(*self.value.axes).array)

    @property
    def name(self) -> str:
        """That of the root with the same axes; of a vector made of a matrix, its `bias`."""
        for root in self.roots:
            if root.value.type.axis_set == self.value.type.axis_set:
                return root.name
        widest = max(self.roots, key=lambda root: len(root.value.axes))
        if len(widest.value.axes) <= len(self.value.axes):
            return widest.name
        stem, dot, _ = widest.name.rpartition(".")
        return f"{stem}{dot}bias"


def folded(graph: Graph, by: str | None = None, names: Names | None = None) -> Graph:
    """The graph with parameters for what depends on parameters alone.

    Args:
        by: fold only what this pass has made.
        names: what to call some of them; the others are called after what they are made of.
    """
    makers = _makers(graph, by)
    wanted = [v for v in _read_elsewhere(graph, makers) if _computes(v, makers)]
    if not wanted:
        return graph
    expressions = [expression(graph, value, makers) for value in wanted]
    roots = {root.name for each in expressions for root in each.roots}
    gone = set(wanted)
    nodes = tuple(n for n in graph.nodes if gone.isdisjoint(n.outputs))
    left = DropDead()(graph.evolve(nodes=nodes, parameters=(*graph.parameters, *_bare(wanted))))
    read = {v for n in left.nodes for v in n.inputs} | {p.value for p in left.outputs}
    kept = [p for p in graph.parameters if p.value in read or p.name not in roots]
    added = _named(expressions, graph, {p.name for p in kept}, names or {})
    arrays = {p.name: Lazy(partial(e.array, graph)) for p, e in added}
    return left.evolve(
        parameters=_ordered(graph.parameters, kept, added),
        store=graph.store.over(arrays),
    )


def expression(
    graph: Graph, value: Value, makers: Mapping[Value, Node] | None = None
) -> Expression:
    """How a value is computed from parameters."""
    makers = _makers(graph, None) if makers is None else makers
    parameters = {p.value: p for p in graph.parameters}
    seen: set[Value] = {value}
    stack = [value]
    while stack:
        node = makers.get(stack.pop())
        fresh = [] if node is None else [v for v in node.inputs if v not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    nodes = {makers[v] for v in seen if v in makers}
    ordered = sorted(nodes, key=graph.index.position.__getitem__)
    return Expression(value, tuple(ordered), tuple(p for v, p in parameters.items() if v in seen))


def _makers(graph: Graph, by: str | None) -> dict[Value, Node]:
    """Value -> its node, for all that depends on parameters and constants alone."""
    known = {p.value for p in graph.parameters}
    makers: dict[Value, Node] = {}
    for node in graph.nodes:
        view = node.op.name == "rename"
        ours = by is None or view or node.origin.passes[-1:] == (by,)
        if not ours or node.regions or "random" in node.op.traits:
            continue
        fixed = all(isinstance(graph.axes[a], int) for v in node.outputs for a in v.axes)
        if fixed and all(v in known for v in node.inputs):
            known.update(node.outputs)
            makers |= dict.fromkeys(node.outputs, node)
    return makers


def _read_elsewhere(graph: Graph, makers: Mapping[Value, Node]) -> list[Value]:
    """Of those values the ones that anything else reads, that are outputs or sites."""
    inside = set(makers.values())
    read = {v for node in graph.nodes if node not in inside for v in node.inputs}
    read |= {port.value for port in graph.outputs} | sited(graph)
    return [v for v in makers if v in read]


def _computes(value: Value, makers: Mapping[Value, Node]) -> bool:
    """Whether a value reads a parameter and is more than another name for it."""
    computes, reads, stack = False, False, [value]
    while stack:
        node = makers.get(stack.pop())
        if node is None:
            reads = True
        else:
            computes |= node.op.name != "rename"
            stack.extend(node.inputs)
    return computes and reads


def _bare(values: Sequence[Value]) -> tuple[Parameter, ...]:
    return tuple(Parameter(f"\0{i}", v, v.axes) for i, v in enumerate(values))


def _named(
    expressions: Sequence[Expression], graph: Graph, taken: set[str], names: Names
) -> list[tuple[Parameter, Expression]]:
    """A parameter for each expression; one that takes the name of its root has its aliases too."""
    known = {p.name: p for p in graph.parameters}
    made = []
    for each in expressions:
        wish = names.get(each.value, each.name)
        name = unused(wish, taken)
        taken.add(name)
        root = known.get(name)
        trainable = any(p.trainable for p in each.roots)
        aliases = root.aliases if root is not None else ()
        made.append((Parameter(name, each.value, each.value.axes, aliases, trainable), each))
    return made


def _ordered(
    old: Sequence[Parameter],
    kept: Sequence[Parameter],
    added: Sequence[tuple[Parameter, Expression]],
) -> tuple[Parameter, ...]:
    """New parameters stand where the root that they are called after stood."""
    place = {p.name: i for i, p in enumerate(old)}

    def at(pair: tuple[Parameter, Expression]) -> int:
        parameter, each = pair
        return place.get(parameter.name, max(place[root.name] for root in each.roots))

    keyed = [(place[p.name], p) for p in kept] + [(at(pair), pair[0]) for pair in added]
    return tuple(p for _, p in sorted(keyed, key=lambda pair: pair[0]))
