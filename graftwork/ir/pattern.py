"""Patterns as data: a small graph over variables, and where in a graph it is found.

A pattern is written with the same expressions as any graph, over *variables*: values, numbers,
axes and sizes. It matches through the polymorphism of ops: whatever other axes the values of a
graph have, ops map over them, so a pattern names only the axes that it binds.

    def silu(p):
        x = p.value("x")
        return x * ops.logistic(x)

The pattern is itself a graph, so it prints, and it is the smallest example of what it matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from graftwork.ir.attributes import AXIS_SET, DTYPE, FLOAT, SIZE, SIZES, Attrs, Kind, Literal
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph, Index, Node, Port, Value
from graftwork.ir.op import Op
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, symbol, symbols, variable
from graftwork.ir.types import AxisTable, Typing

# How a dtype of a pattern reads: f64 is any float, bf16 any float of 16 bits, i64 any integer.
_ANY: Mapping[DType, Callable[[DType], bool]] = {
    DType.f64: lambda dtype: dtype.is_float,
    DType.bf16: lambda dtype: dtype.is_float and dtype.bits == 16,
    DType.i64: lambda dtype: dtype.is_int,
}

REACH = 4  # how far before a node its surroundings are compared

_WIDTH = REACH + 1  # the bits of one op, one for each distance

_BITS: dict[Op, int] = {}  # op -> its bit at distance 0


class Variables:
    """The variables of a pattern that is being written.

    Attributes:
        values: the value variables by name.
        numbers: constants that stand for numbers, and the names of those.
        attributes: samples that stand for attributes, and the names of those.
    """

    def __init__(self) -> None:
        self.builder = Builder(Typing({}))
        self.values: dict[str, Value] = {}
        self.numbers: dict[Value, str] = {}
        self.attributes: dict[float, str] = {}

    def axis(self, name: str, size: Size | None = None) -> str:
        """An axis variable; its size is a variable of its own unless it is given."""
        self.builder.typing.make(name, symbol(name) if size is None else size)
        return name

    def value(self, name: str, axes: str = "", dtype: DType | str = DType.f64) -> Term:
        """A value variable over axis variables; other axes are free."""
        for axis in axes.split():
            if axis not in self.builder.typing.table:
                self.axis(axis)
        term = self.builder.input(dtype, axes, name)
        self.values[name] = term.value
        return term

    def number(self, name: str, sample: float, dtype: DType | str = DType.f64) -> Term:
        """A scalar constant of any value; `sample` stands for it in examples."""
        term = self.builder.constant(sample, dtype)
        self.numbers[term.value] = name
        return term

    def attribute(self, name: str, sample: float) -> float:
        """An attribute of any value, known in the pattern by its `sample`."""
        self.attributes[sample] = name
        return sample


@frozen(eq=False)
class Pattern:
    """A graph over variables with one output.

    Attributes:
        values: variables by name, the inputs of the pattern.
        numbers: constants that stand for any number, and the names of those numbers.
        attributes: samples that stand for any attribute, and the names of those numbers.
        nodes: the nodes of the pattern.
        root: the value that the pattern makes.
        axes: the axis variables with their sizes.
        near: the ops near its root; see `ops_near`.
        depth: how many steps before its root the pattern goes.
    """

    values: Mapping[str, Value]
    numbers: Mapping[Value, str]
    attributes: Mapping[float, str]
    nodes: tuple[Node, ...]
    root: Value
    axes: AxisTable
    makers: Mapping[Value, Node] = field(init=False)
    near: int = field(init=False)
    depth: int = field(init=False)

    @makers.default
    def _make_makers(self) -> Mapping[Value, Node]:
        return {value: node for node in self.nodes for value in node.outputs}

    @near.default
    def _make_near(self) -> int:
        return ops_near(self.nodes, self.makers, {})[self.makers[self.root]]

    @depth.default
    def _make_depth(self) -> int:
        depths: dict[Value, int] = {}
        for node in self.nodes:
            before = [depths[value] + 1 for value in node.inputs if value in depths]
            depths |= dict.fromkeys(node.outputs, max(before, default=0))
        return depths[self.root]

    @staticmethod
    def of(write: Callable[[Variables], Term]) -> Pattern:
        """The pattern that a function writes."""
        variables = Variables()
        with variables.builder:
            root = write(variables)
        builder = variables.builder
        return Pattern(
            variables.values,
            variables.numbers,
            variables.attributes,
            tuple(builder.nodes),
            root.value,
            dict(builder.typing.table),
        )

    def example(self) -> Graph:
        """The smallest graph that the pattern matches: itself, with size variables of 2."""
        sizes = dict.fromkeys({name for size in self.axes.values() for name in symbols(size)}, 2)
        return Graph(
            tuple(Port(name, value, value.axes) for name, value in self.values.items()),
            (),
            tuple(_sized(node, sizes) for node in self.nodes),
            (Port("result", self.root, self.root.axes),),
            {axis: substitute(size, sizes) for axis, size in self.axes.items()},
        )

    def __str__(self) -> str:
        return str(self.example())

    def match(self, index: Index, table: AxisTable, root: Node) -> Match | None:
        """How the pattern lies in a graph with its root at a node, if it does.

        Args:
            index: producers of the level that the node is at.
            table: the sizes of its axes.
        """
        return _Matcher(self, index, table).run(root)

    def plausible(self, near: int) -> bool:
        """Whether a node with these ops near it has all that are near the root."""
        return self.near & near == self.near


def ops_near(
    nodes: Sequence[Node], makers: Mapping[Value, Node], near: dict[Node, int]
) -> dict[Node, int]:
    """Node -> the ops that are 0, 1, ... `REACH` steps before it: a bit for each at each distance.

    A pattern lies at a node only if the ops near its root are as near to that node: so most rules
    need not be tried at most nodes.

    Args:
        near: knows the makers that are not among the nodes; learns all that are.
    """
    for op in {node.op: None for node in nodes}:
        _BITS.setdefault(op, 1 << len(_BITS) * _WIDTH)
    farther = sum(_BITS.values()) * ((1 << REACH) - 1)  # all that can be one step farther away
    for node in nodes:
        before = 0
        for value in node.inputs:
            if value in makers:
                before |= near[makers[value]]
        near[node] = _BITS[node.op] | (before & farther) << 1
    return near


@define
class Match:
    """What the parts of a pattern stand for.

    Attributes:
        bound: value of the pattern -> value of the graph.
        numbers: number variable -> number.
        axes: axis variable -> axis.
        dtypes: dtype of the pattern -> dtype.
        sizes: size variable -> size.
    """

    bound: dict[Value, Value] = Factory(dict)
    numbers: dict[str, float] = Factory(dict)
    axes: dict[str, str] = Factory(dict)
    dtypes: dict[DType, DType] = Factory(dict)
    sizes: dict[str, Size] = Factory(dict)

    def copy(self) -> Match:
        return Match(
            dict(self.bound),
            dict(self.numbers),
            dict(self.axes),
            dict(self.dtypes),
            dict(self.sizes),
        )


Pairs = list[tuple[Value, Value]]


class _Matcher:
    """One attempt to lay a pattern over a graph."""

    def __init__(self, pattern: Pattern, index: Index, table: AxisTable) -> None:
        self.pattern = pattern
        self.index = index
        self.table = table
        self.variables = frozenset(pattern.values.values())

    def run(self, root: Node) -> Match | None:
        return self.solve([(self.pattern.root, root.outputs[0])], Match(), [])

    def solve(self, todo: Pairs, match: Match, sizes: list[tuple[Size, Size]]) -> Match | None:
        """Pair what is still to be paired; where operands commute, in either order."""
        while todo:
            ours, theirs = todo.pop()
            known = match.bound.get(ours)
            if known is not None:
                if known is not theirs:
                    return None
                continue
            if not self.dtype(ours.type.dtype, theirs.type.dtype, match):
                return None
            match.bound[ours] = theirs
            if ours in self.variables:
                continue
            ways = self.operands(ours, theirs, match, sizes)
            if len(ways) != 1:
                tries = (self.solve([*todo, *way], match.copy(), [*sizes]) for way in ways)
                return next((found for found in tries if found is not None), None)
            todo += ways[0]
        return match if self.fits(match, sizes) else None

    def operands(
        self, ours: Value, theirs: Value, match: Match, sizes: list[tuple[Size, Size]]
    ) -> list[Pairs]:
        """The ways to pair the operands of two values' producers; none if they differ."""
        node, other = self.pattern.makers[ours], self.index.producer.get(theirs)
        if other is None or other.op is not node.op or other.regions:
            return []
        if node.op.name == "constant":
            return [[]] if self.constant(ours, node, other, match) else []
        same_place: bool = node.outputs.index(ours) == other.outputs.index(theirs)
        if not same_place or len(node.inputs) != len(other.inputs):
            return []
        if not self.attrs(node, other, match, sizes):
            return []
        pairs = list(zip(node.inputs, other.inputs, strict=True))
        ways = [pairs]
        if len(pairs) == 2 and ("commutative" in node.op.traits or node.op.name == "contract"):
            ways.append(list(zip(node.inputs, reversed(other.inputs), strict=True)))
        return [way for way in ways if all(self.plausible(a, b) for a, b in way)]

    def plausible(self, ours: Value, theirs: Value) -> bool:
        if ours in self.variables:
            return True
        other = self.index.producer.get(theirs)
        return other is not None and other.op is self.pattern.makers[ours].op

    def constant(self, ours: Value, node: Node, other: Node, match: Match) -> bool:
        """A number variable stands for any scalar, a constant for itself in the other dtype."""
        sample, found = node.attrs["value"], other.attrs["value"]
        name = self.pattern.numbers.get(ours)
        if name is None:
            axes = zip(node.attrs["axes"], other.attrs["axes"], strict=False)
            same: bool = sample.shape == found.shape
            return (
                same
                and Literal.of(sample.array, found.dtype) == found
                and all(self.axis(a, b, match) for a, b in axes)
            )
        if found.shape:
            return False
        return self.number(name, _shortest(found), match)

    def number(self, name: str, number: float, match: Match) -> bool:
        return match.numbers.setdefault(name, number) == number

    # Attributes

    def attrs(self, node: Node, other: Node, match: Match, sizes: list[tuple[Size, Size]]) -> bool:
        pairs = zip(node.op.attrs, node.attrs.items, other.attrs.items, strict=True)
        return all(
            self.attribute(spec.kind, ours, theirs, match, sizes)
            for spec, (_, ours), (_, theirs) in pairs
        )

    def attribute(
        self, kind: Kind, ours: Any, theirs: Any, match: Match, sizes: list[tuple[Size, Size]]
    ) -> bool:
        if kind is DTYPE:
            return self.dtype(ours, theirs, match)
        if kind is FLOAT and ours in self.pattern.attributes:
            return self.number(self.pattern.attributes[ours], theirs, match)
        if kind is SIZE or kind is SIZES:
            several = kind is SIZES
            if several and len(ours) != len(theirs):
                return False
            sizes += zip(ours, theirs, strict=True) if several else [(ours, theirs)]
            return True
        a, b = list(kind.axes(ours)), list(kind.axes(theirs))
        if kind is AXIS_SET:
            a.sort(key=lambda axis: axis not in match.axes)
            b.sort(key=lambda axis: axis not in match.axes.values())
        if not a and not b:
            return Attrs((("", ours),)) == Attrs((("", theirs),))
        return len(a) == len(b) and all(self.axis(x, y, match) for x, y in zip(a, b, strict=True))

    def axis(self, ours: str, theirs: str, match: Match) -> bool:
        """Two axis variables stand for two axes."""
        if ours not in match.axes and theirs not in match.axes.values():
            match.axes[ours] = theirs
        return match.axes.get(ours) == theirs

    def dtype(self, ours: DType, theirs: DType, match: Match) -> bool:
        if ours not in _ANY:
            return ours is theirs
        return _ANY[ours](theirs) and match.dtypes.setdefault(ours, theirs) is theirs

    # What can be judged only when all is paired

    def fits(self, match: Match, sizes: list[tuple[Size, Size]]) -> bool:
        """Values have those of the bound axes that the pattern says, and sizes agree."""
        for ours in self.variables:
            theirs = match.bound[ours].type.axis_set
            if any((a in ours.type.axis_set) != (b in theirs) for a, b in match.axes.items()):
                return False
        for a, b in match.axes.items():
            ours_size, size = self.pattern.axes[a], self.table[b]
            name = variable(ours_size)
            if name is None:
                sizes.append((ours_size, size))
            elif match.sizes.setdefault(name, size) != size:
                return False
        return all(substitute(a, match.sizes) == b for a, b in sizes)


def _sized(node: Node, sizes: Mapping[str, Size]) -> Node:
    """The node with numbers in the place of size variables."""
    attrs: dict[str, Any] = {}
    for spec, (name, value) in zip(node.op.attrs, node.attrs.items, strict=True):
        if spec.kind is SIZE:
            value = substitute(value, sizes)
        elif spec.kind is SIZES:
            value = tuple(substitute(size, sizes) for size in value)
        attrs[name] = value
    return evolve(node, attrs=node.op.attributes(attrs))


def _shortest(literal: Literal) -> float:
    """The shortest decimal number that the dtype rounds to this one: 1e-06, not 9.99999997e-07."""
    number = float(str(literal.array[()]))
    return number if Literal.of(number, literal.dtype) == literal else float(literal.item())
