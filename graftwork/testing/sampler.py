"""The `Draw` of the harness: operands from a graph that grows, or from fresh inputs.

An operand is made to fit rather than rejected: it is cast, its axes renamed or broadcast. Where
an op refuses nevertheless, everything since its beginning is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from attrs import define, field

from graftwork.ir.build import Builder, Term
from graftwork.ir.draw import INTS
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, GraftworkError
from graftwork.ir.graph import Region, Value
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, SizeExpr, exact_div, symbols
from graftwork.ir.types import Type
from graftwork.testing.choices import Choices

T = TypeVar("T")
U = TypeVar("U")
Range = tuple[float, float]
Source = Callable[[DType, tuple[str, ...], Choices], Term]

_TYPICAL = 3  # what a size symbol counts for where things are kept small
_MOST_ELEMENTS = 300
_MOST_AXES = 5
_WORDS = ("i", "j", "k", "seq", "a b", "naïve", 'say "hi"', "graph", "0", "%x", "</script>", "as")


@define(eq=False)
class Scope:
    """One level of a graph that grows.

    Attributes:
        builder: where nodes go.
        source: makes a value out of nothing.
        pool: the values that later operands may be.
        least: size -> what it must be at least, for the guards of the graph.
        hints: where inputs should lie for ops to be smooth.
        fresh: operands are new more often than not.
        only: if not empty, the dtypes that operands should have.
        depth: how many regions this level lies in.
    """

    builder: Builder
    source: Source
    pool: list[Term] = field(factory=list)
    least: dict[SizeExpr, int] = field(factory=dict)
    hints: dict[Value, Range] = field(factory=dict)
    fresh: bool = False
    only: frozenset[DType] = frozenset()
    depth: int = 0


class Sampler:
    """Draws for one op at a level."""

    def __init__(self, scope: Scope, choices: Choices, ops: Sequence[Op] = ()) -> None:
        self.scope = scope
        self.choices = choices
        self.ops = ops
        self._reserved: set[str] = set()

    # --- choices --------------------------------------------------------------------------------

    def pick(self, *options: T) -> T:
        allowed = tuple(x for x in options if isinstance(x, DType) and x in self.scope.only)
        return self.choices.pick(*(allowed or options))

    def number(self, low: int, high: int) -> int:
        return low + self.choices.below(high - low + 1)

    # --- axes -----------------------------------------------------------------------------------

    def new(self) -> str:
        stem = self.choices.pick(*_WORDS)
        table = self.scope.builder.typing.table
        count, name = 1, stem
        while name in table or name in self._reserved:
            count += 1
            name = f"{stem}_{count}"
        self._reserved.add(name)
        return name

    def make(self, size: Size) -> str:
        axis = self.new()
        self.scope.builder.typing.make(axis, size)
        return axis

    def size(self, axis: str) -> Size:
        return self.scope.builder.typing.size(axis)

    def other_axis(self, *xs: Term) -> str:
        table = self.scope.builder.typing.table
        taken = {axis for x in xs for axis in x.axes}
        found = [a for a, size in table.items() if a not in taken and typical(size) <= 8]
        return self.choices.pick(*found) if found else self.make(2)

    def axis(self, x: Term, *, least: int = 0, multiple: int = 1, but: Collection[str] = ()) -> str:
        fitting = self._fitting(x.axes, least, multiple, but)
        if not fitting:
            raise AxisError(f"{x!r} has no such axis")
        axis = self.choices.pick(*fitting)
        size = self.size(axis)
        if isinstance(size, SizeExpr):
            self.scope.least[size] = max(least, self.scope.least.get(size, 0))
        return axis

    def _fitting(
        self, axes: Collection[str], least: int, multiple: int, but: Collection[str]
    ) -> list[str]:
        def fits(axis: str) -> bool:
            size = self.size(axis)
            whole = exact_div(size, multiple) is not None
            return whole and (isinstance(size, SizeExpr) or size >= least)

        return [axis for axis in axes if axis not in but and fits(axis)]

    # --- operands -------------------------------------------------------------------------------

    def operand(
        self,
        dtypes: Sequence[DType],
        *,
        axes: Sequence[str] = (),
        binds: int = 0,
        least: int = 0,
        multiple: int = 1,
        avoid: Sequence[str] = (),
        within: Range | None = None,
    ) -> Term:
        allowed = [d for d in dtypes if d in self.scope.only] or dtypes
        needed = list(axes)
        free = tuple(a for a in self.scope.builder.typing.table if a not in (*avoid, *axes))
        for _ in range(binds):
            needed.append(self._bindable(free, needed, least, multiple))
        x = self._known(allowed)
        if x is None:
            extra = (self.choices.pick(None, *free) for _ in range(self.choices.below(3)))
            wanted = dict.fromkeys((*(a for a in extra if a is not None), *needed))
            x = self.scope.source(self.choices.pick(*allowed), tuple(wanted), self.choices)
            if within is not None:
                self.scope.hints[x.value] = within
            self.scope.pool.append(x)
            return x
        if x.dtype not in allowed:
            x = _cast(x, self.choices.pick(*allowed))
        x = narrowed(x, _MOST_AXES - len(needed), keep=needed)
        clash = [a for a in x.axes if a in avoid]
        x = x.rename(**{a: self.new() for a in clash})
        missing = binds - len(self._fitting(x.axes, least, multiple, axes))
        bound = [a for a in needed[len(axes) :] if a not in x.axes][: max(missing, 0)]
        return x.broadcast(*axes, *bound)

    def _bindable(self, free: Sequence[str], but: Sequence[str], least: int, multiple: int) -> str:
        found = [a for a in self._fitting(free, least, multiple, but) if typical(self.size(a)) < 9]
        if found:
            return self.choices.pick(*found)
        return self.make(-(-max(least, 2) // multiple) * multiple)

    def _known(self, dtypes: Collection[DType]) -> Term | None:
        """A value that is there already, the newest first, if the choice is to take one."""
        pool = [x for x in self.scope.pool if x.dtype in dtypes]
        if not pool or self.choices.below(4) == 3:
            pool = self.scope.pool
        if not pool or (self.scope.fresh and self.choices.below(4) < 3):
            return None
        place = self.choices.below(len(pool) + (0 if self.scope.depth else 1))
        return pool[-1 - place] if place < len(pool) else None

    def positions(self, axis: str, *, axes: Sequence[str] = (), avoid: Sequence[str] = ()) -> Term:
        x = self.operand(INTS, axes=axes, avoid=avoid)
        with self.scope.builder:
            return REGISTRY["mod"](x, REGISTRY["size"](value=self.size(axis), dtype=x.dtype))

    # --- whole ops ------------------------------------------------------------------------------

    def region(self, inputs: Sequence[Type], outputs: Sequence[Type | None]) -> Region:
        builder = Builder(self.scope.builder.typing)
        entries = [Term(Value(of), builder) for of in inputs]
        scope = Scope(
            builder, _constant(builder), list(entries), self.scope.least, only=self.scope.only,
            depth=self.scope.depth + 1,
        )  # fmt: skip
        inner = [op for op in self.ops if not op.regions or scope.depth < 2]
        for _ in range(self.choices.below(3) if inner else 0):
            grow(scope, self.choices.pick(*inner), self.choices, self.ops)
        ends = []
        for of in outputs:
            known = scope.pool or [scope.source(DType.f32, (), self.choices)]
            end = known[-1 - self.choices.below(len(known))]
            ends.append(end if of is None else conformed(end, of))
        values = tuple(x.value for x in entries), tuple(x.value for x in ends)
        return Region(values[0], tuple(builder.nodes), values[1])


def _constant(builder: Builder) -> Source:
    """Values inside regions come from numbers."""

    def source(dtype: DType, axes: tuple[str, ...], choices: Choices) -> Term:
        number: int = choices.pick(1, 0, 2)
        value = bool(number) if dtype is DType.boolean else number
        return builder.constant(value, dtype).broadcast(*axes)

    return source


def narrowed(x: Term, most: int, keep: Collection[str] = ()) -> Term:
    """x with at most so many axes besides those kept: the extremum over the others."""
    others = [a for a in x.axes if a not in keep]
    gone = others[max(most, 0) :]
    if not gone:
        return x
    return REGISTRY["any" if x.dtype is DType.boolean else "max"](x, over=gone)


def conformed(x: Term, of: Type) -> Term:
    """x made to have a type."""
    kept = narrowed(x, 0, keep=of.axes)
    return _cast(kept, of.dtype).broadcast(*of.axes)


def _cast(x: Term, dtype: DType) -> Term:
    """x as another dtype; only what integers can hold goes into them, since the rest differs."""
    if x.dtype.is_float and dtype.is_int:
        x = REGISTRY["select"](x > 0.0, REGISTRY["minimum"](x, 100.0), 0.0)
    return x.cast(dtype)


def typical(size: Size) -> int:
    """The size where every symbol is `_TYPICAL`."""
    return evaluate(size, dict.fromkeys(symbols(size), _TYPICAL))


def grow(scope: Scope, op: Op, choices: Choices, ops: Sequence[Op] = ()) -> tuple[Term, ...] | None:
    """Add a sample of an op to a level; None, and nothing has changed, if the op refuses."""
    assert op.sample is not None, f"{op!r} has no sampler: define it with sample="
    draw = op.sample

    def build() -> tuple[Term, ...]:
        call = draw(Sampler(scope, choices, ops))
        return scope.builder.emit(op, call.operands, call.attrs, call.regions)

    return attempt(scope, build)


def attempt(scope: Scope, build: Callable[[], tuple[Term, ...]]) -> tuple[Term, ...] | None:
    """Add nodes to a level; None, and nothing has changed, if an op refuses or all grows large."""
    builder, typing = scope.builder, scope.builder.typing
    nodes, table, pool = len(builder.nodes), dict(typing.table), len(scope.pool)
    least, unproven = dict(scope.least), len(typing.unproven)
    try:
        with builder:
            outputs = build()
        if len(typing.unproven) == unproven and all(map(_small, outputs)):
            scope.pool.extend(outputs)
            return outputs
    except GraftworkError:
        pass
    del builder.nodes[nodes:], scope.pool[pool:], typing.unproven[unproven:]
    _restore(typing.table, table)
    _restore(scope.least, least)
    typing.memo.clear()
    return None


def _restore(changed: dict[T, U], old: Mapping[T, U]) -> None:
    changed.clear()
    changed.update(old)


def _small(x: Term) -> bool:
    elements = 1
    for axis in x.axes:
        elements *= max(typical(x.size(axis)), 1)
    return elements <= _MOST_ELEMENTS and len(x.axes) <= _MOST_AXES + 1
