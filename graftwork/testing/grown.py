"""Whole graphs from numbers: random ones over all ops, and the samples of one op.

A graph is written by a list of instructions, each a few numbers: sample an op on values that are
there, do again what was done before (with a twist), or write the pattern of a rewrite rule.
Sizes come from a short list with repeats, symbols, 0 and 1; names are as users' names may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve, field, frozen

from graftwork.ir import ops as _ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Value
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.origin import Origin
from graftwork.ir.sizes import Size, symbol, symbols
from graftwork.ir.store import Store
from graftwork.testing.choices import Choices
from graftwork.testing.sampler import Range, Sampler, Scope, attempt, grow
from graftwork.testing.values import KINDS, Array, array_of

Instruction = Sequence[int]
Motif = Callable[[Sampler], Term]

assert _ops.__name__  # the definitions have run
_N, _M = symbol("n"), symbol("m")
_SIZES: tuple[Size, ...] = (2, 3, _N, 1, 4, 0, _M, 3, _N * 2, _N + 1)
_AXES = ("a", "b", "batch", "one", "embed", "none", "kv seq", "ß", '"', "heads")
_PORTS = ("x", "self", "input ids", "clean.x", "graph", 'a"b', "class", "é", "0", "new\nline")
_MODULES = ("", "h.0.attn", "h.0.mlp", 'odd "name" # 1', "</script>")
_MOST_OUTPUTS = 4
_ECHO, WRITE_MOTIF = 5, 6  # what the first number of an instruction may say; else it samples an op


@frozen(eq=False)
class Sample:
    """An op on fresh operands, as a graph of that node and what its operands need.

    Attributes:
        node: the node of the op.
        within: input name -> where the op is smooth in it.
    """

    graph: Graph
    node: Node
    within: Mapping[str, Range] = field(factory=dict)


class _Entries:
    """Inputs and parameters of a graph that grows."""

    def __init__(self, builder: Builder, hostile: bool) -> None:
        self.builder = builder
        self.hostile = hostile
        self.ports: dict[Value, tuple[str | None, ...]] = {}
        self.arrays: dict[Value, Array] = {}

    def source(self, dtype: DType, axes: tuple[str, ...], choices: Choices) -> Term:
        table = self.builder.typing.table
        layout: tuple[str | None, ...] = axes
        if self.hostile:
            axes = axes[::-1] if choices.below(2) else axes
            layout = (None, *axes) if choices.below(4) == 3 else axes
        term = self.builder.input(dtype, axes, choices.pick(*_PORTS))
        fixed = [1 if a is None else table[a] for a in layout]
        shape = tuple(size for size in fixed if isinstance(size, int))
        if self.hostile and len(shape) == len(fixed) and choices.below(4) == 3:
            kind, seed = choices.pick(*KINDS), choices.below(256)
            self.arrays[term.value] = array_of(dtype, shape, kind, seed)
        self.ports[term.value] = layout
        return term

    def close(self, nodes: Sequence[Node], outputs: Sequence[Term], scope: Scope) -> Graph:
        """The graph, whose inputs are those that are used or say how large a symbol is."""
        used = {v for node in nodes for v in node.inputs} | {x.value for x in outputs}
        kept = [value for value in self.ports if value in used]
        wanted = self._sizes(scope)
        sizes = {wanted[a] for v in kept if v not in self.arrays for a in v.axes}
        names = sorted({name for size in wanted.values() for name in symbols(size)})
        for name in names:
            if not sizes.isdisjoint((symbol(name), symbol(name) * 2, symbol(name) + 1)):
                continue
            axis = next(a for a, size in wanted.items() if size == symbol(name))
            extent = self.builder.input(DType.f32, (axis,), f"size of {name}")
            self.ports[extent.value] = (axis,)
            kept.append(extent.value)
        return self._graph(kept, nodes, outputs, scope, wanted)

    def _sizes(self, scope: Scope) -> dict[str, Size]:
        """The axis table, where every symbol is the size of an axis."""
        table = dict(scope.builder.typing.table)
        for name in {n for size in table.values() for n in symbols(size)}:
            if symbol(name) not in table.values():
                table[f"size of {name}"] = symbol(name)
        scope.builder.typing.table.update(table)
        return table

    def _graph(
        self,
        kept: Sequence[Value],
        nodes: Sequence[Node],
        outputs: Sequence[Term],
        scope: Scope,
        table: Mapping[str, Size],
    ) -> Graph:
        names = dict(zip(kept, unique(value.name for value in kept), strict=True))
        store = {names[value]: array for value, array in self.arrays.items() if value in names}
        return Graph(
            tuple(Port(names[v], v, self.ports[v]) for v in kept if v not in self.arrays),
            tuple(Parameter(names[v], v, self.ports[v]) for v in kept if v in self.arrays),
            tuple(nodes),
            tuple(
                Port(name, x.value, x.axes)
                for name, x in zip(unique("out" for _ in outputs), outputs, strict=True)
            ),
            table,
            Store((store,)),
            guards=tuple(Guard(size, least, None) for size, least in scope.least.items() if least),
        )


def unique(names: Iterable[str]) -> list[str]:
    """The names, those seen before with a number."""
    found: dict[str, None] = {}
    for name in names:
        count, new = 1, name
        while new in found:
            count += 1
            new = f"{name}_{count}"
        found[new] = None
    return list(found)


def grown_graph(
    header: Sequence[int],
    instructions: Sequence[Instruction],
    ops: Sequence[Op] = (),
    motifs: Sequence[Motif] = (),
    dtypes: frozenset[DType] = frozenset(),
) -> Graph:
    """The graph that instructions write; every list of numbers writes one."""
    choices = Choices(header)
    builder = Builder()
    sizes = [choices.pick(*_SIZES[i:], *_SIZES[:i]) for i in range(2 + choices.below(4))]
    start = choices.below(len(_AXES))
    for i, size in enumerate(sizes):
        builder.typing.make(_AXES[(start + i) % len(_AXES)], size)
    entries = _Entries(builder, hostile=True)
    scope = Scope(builder, entries.source, only=dtypes)
    known = tuple(ops) or tuple(REGISTRY.values())
    for numbers in instructions:
        step = Choices(numbers)
        module = choices.pick(*_MODULES)
        builder.origin = Origin(module, module and f"{module}.py:{len(builder.nodes)}", "op")
        _follow(scope, step, known, motifs)
    outputs = _outputs(scope, entries, choices)
    return _with_names(entries.close(builder.nodes, outputs, scope), choices)


def _follow(scope: Scope, step: Choices, ops: Sequence[Op], motifs: Sequence[Motif]) -> None:
    kind = step.below(WRITE_MOTIF + 2 if motifs else WRITE_MOTIF)
    if kind == _ECHO and scope.builder.nodes:
        _echo(scope, step)
    elif kind >= WRITE_MOTIF:
        motif = step.pick(*motifs)
        attempt(scope, lambda: (motif(Sampler(scope, step, ops)),))
    else:
        grow(scope, step.pick(*ops), step, ops)


def _echo(scope: Scope, step: Choices) -> None:
    """Do again what a node did: just so, with operands swapped, or with another constant."""
    builder = scope.builder
    node = builder.nodes[-1 - step.below(len(builder.nodes))]
    inputs, attrs = node.inputs, node.attrs.as_dict()
    if step.below(2) and len(inputs) == 2 and "elementwise" in node.op.traits:
        inputs = inputs[::-1]
    value = attrs.get("value")
    if isinstance(value, Literal) and step.below(2):
        attrs["value"] = Literal.of(-value.array if value.dtype.is_float else value.array)
    if (spec := attrs.get("reverse")) is not None and step.below(2):
        attrs["reverse"] = not spec
    operands = [Term(value, builder) for value in inputs]
    scope.pool.extend(builder.emit(node.op, operands, attrs, node.regions))


def _outputs(scope: Scope, entries: _Entries, choices: Choices) -> list[Term]:
    """The last value, and some of the others."""
    pool = scope.pool or [entries.source(DType.f32, (), choices)]
    scope.pool = pool
    count = 1 + choices.below(_MOST_OUTPUTS)
    return [pool[-1], *(pool[-1 - choices.below(len(pool))] for _ in range(count - 1))]


def _with_names(graph: Graph, choices: Choices) -> Graph:
    """Some values have names, which may be those of others."""
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        for value in node.outputs:
            name = choices.pick("", *_PORTS[:4])
            if name:
                new[value] = Value(value.type, name)
    nodes = tuple(
        evolve(
            node,
            inputs=tuple(new.get(v, v) for v in node.inputs),
            outputs=tuple(new.get(v, v) for v in node.outputs),
        )
        for node in graph.nodes
    )
    outputs = tuple(evolve(p, value=new.get(p.value, p.value)) for p in graph.outputs)
    return graph.evolve(nodes=nodes, outputs=outputs)


_SAMPLE_SIZES: Mapping[str, Size] = {"a": 2, "b": 3, "c": 1, "n": _N, "d": 4, "e": 0}


def sample_of(
    op: Op, numbers: Sequence[int] = (), dtypes: frozenset[DType] = frozenset()
) -> Sample | None:
    """An op on operands that the numbers choose; None if it refuses them."""
    choices = Choices(numbers)
    builder = Builder()
    for axis, size in _SAMPLE_SIZES.items():
        builder.typing.make(axis, size)
    entries = _Entries(builder, hostile=False)
    scope = Scope(builder, entries.source, fresh=True, only=dtypes)
    inner = [known for known in REGISTRY.values() if "elementwise" in known.traits]
    found = grow(scope, op, choices, inner)
    if found is None:
        return None
    graph = entries.close(builder.nodes, found, scope)
    names = {port.value: port.name for port in graph.inputs}
    within = {names[value]: limits for value, limits in scope.hints.items() if value in names}
    return Sample(graph, builder.nodes[-1], within)
