"""Arrays by position: a named-axis term, and which of its axes stands at which dimension.

This is where positions end. A transpose, a unit dimension or an expansion only change a
`Positional`; broadcasting and matching of dimensions by position become `rename` in `matched` and
nowhere else. Every array has axes of its own, so two that meet are renamed to one another; a later
pass finds out which of those renames mean nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.axis_spec import unnamed
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Region
from graftwork.ir.sizes import Size
from graftwork.ir.types import Typing

Dims = tuple[str | None, ...]
Label = Hashable


@frozen(eq=False)
class Positional:
    """An array in positional form.

    Attributes:
        term: the array; an axis of it that is not in `dims` rides along unseen by position.
        dims: the axis at each dimension. None is a unit dimension. An axis that the term lacks is
            an expanded dimension: it costs nothing until an op needs it.
    """

    term: Term
    dims: Dims = ()

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def dtype(self) -> DType:
        return self.term.dtype

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of all dimensions that are not unit."""
        return tuple([axis for axis in self.dims if axis is not None])

    @property
    def typing(self) -> Typing:
        return self.term.builder.typing

    def size(self, place: int) -> Size:
        axis = self.dims[place]
        return 1 if axis is None else self.typing.size(axis)

    def carries(self, place: int) -> bool:
        """Whether the term has the axis of this dimension."""
        return self.dims[place] in self.term.type.axis_set

    def with_dim(self, place: int, *axes: str | None) -> Positional:
        """The same term with other axes at one dimension."""
        return Positional(self.term, (*self.dims[:place], *axes, *self.dims[place + 1 :]))


def fresh(typing: Typing, size: Size) -> str:
    """A new axis that nobody has named."""
    number = len(typing.table)
    while unnamed(number) in typing.table:
        number += 1
    axis = unnamed(number)
    typing.make(axis, size)
    return axis


def renamed(term: Term, mapping: Mapping[str, str]) -> Term:
    """The term with those of its axes renamed that the mapping knows."""
    have = {a: b for a, b in mapping.items() if a != b and a in term.type.axis_set}
    return ops.rename(term, axes=have) if have else term


def relabelled(x: Positional, mapping: Mapping[str, str]) -> Positional:
    """The same array with other axes at its dimensions."""
    dims = tuple(axis if axis is None else mapping.get(axis, axis) for axis in x.dims)
    return Positional(renamed(x.term, mapping), dims)


def carrying(x: Positional, *places: int) -> Positional:
    """The same array with a term that has an axis at these dimensions."""
    for place in places:
        axis = x.dims[place]
        if axis is None:
            axis = fresh(x.typing, 1)
        x = Positional(x.term.broadcast(axis), x.with_dim(place, axis).dims)
    return x


def carrying_axes(x: Positional) -> Positional:
    """The same array with a term that has every axis of its dimensions."""
    return Positional(x.term.broadcast(*x.axes), x.dims)


def without_axis(x: Positional, place: int) -> Positional:
    """The same array with no axis at a dimension of extent 1."""
    axis = x.dims[place]
    if axis is None:
        return x
    term = ops.index(x.term, axis=axis, at=0) if x.carries(place) else x.term
    return Positional(term, x.with_dim(place, None).dims)


def matched(
    *operands: tuple[Positional, Sequence[Label]],
) -> tuple[list[Positional], dict[Label, str | None]]:
    """Operands renamed so that dimensions with one label have one axis, and no others share one.

    An axis that an operand really carries goes before one that is only expanded, and that of an
    earlier operand before that of a later one. Dimensions of one label have one extent, or are
    unit.

    Returns:
        The operands, and the axis of each label: None where all its dimensions are unit.
    """
    carried: dict[Label, list[str]] = {}
    expanded: dict[Label, list[str]] = {}
    for x, labels in operands:
        has = x.term.type.axis_set
        for axis, label in zip(x.dims, labels, strict=True):
            known = carried.setdefault(label, [])
            if axis is not None:
                known = known if axis in has else expanded.setdefault(label, [])
                known.append(axis)
    chosen: dict[Label, str | None] = {}
    used: set[str] = set()
    typing = operands[0][0].typing
    for label, axes in carried.items():
        axes += expanded.get(label, ())
        free = next((axis for axis in axes if axis not in used), None)
        if free is None and axes:
            free = fresh(typing, typing.size(axes[0]))
        chosen[label] = free
        if free is not None:
            used.add(free)
    return [_renamed_to(x, labels, chosen) for x, labels in operands], chosen


def _renamed_to(
    x: Positional, labels: Sequence[Label], chosen: Mapping[Label, str | None]
) -> Positional:
    dims = tuple(
        [None if old is None else chosen[w] for old, w in zip(x.dims, labels, strict=True)]
    )
    if dims == x.dims:
        return x
    mapping = {a: b for a, b in zip(x.dims, dims, strict=True) if a is not None and b is not None}
    return Positional(renamed(x.term, mapping), dims)


def from_right(x: Positional) -> list[Label]:
    """Labels of dimensions as broadcasting matches them: counted from the last."""
    return list(range(-x.rank, 0))


def aligned(*xs: Positional) -> tuple[list[Term], Dims]:
    """Operands broadcast against each other by position: their terms, and the result's axes."""
    rank = max([x.rank for x in xs])
    shapes = {x.dims for x in xs if x.axes}
    if len(shapes) <= 1:  # scalars apart, all have the same axes already
        dims = shapes.pop() if shapes else ()
        return [x.term for x in xs], (*(None,) * (rank - len(dims)), *dims)
    xs = tuple(_meeting(x, xs, rank) for x in xs)
    widest = sorted(range(len(xs)), key=lambda i: -len(xs[i].term.axes))
    found, chosen = matched(*[(xs[i], from_right(xs[i])) for i in widest])
    terms = [found[widest.index(i)].term for i in range(len(xs))]
    return terms, tuple([chosen[label] for label in range(-rank, 0)])


def _meeting(x: Positional, others: Sequence[Positional], rank: int) -> Positional:
    """The array without axes of size 1 where another one has a larger extent."""
    for place, axis in enumerate(x.dims):
        right = place - x.rank
        if axis is None or x.size(place) != 1:
            continue
        if any(y.rank >= -right and y.size(right) != 1 for y in others):
            x = without_axis(x, place)
    return x


# --- bodies of control flow ---------------------------------------------------------------------


def as_carried(result: Positional, carry: Positional) -> Term:
    """What a body gives, with just the axes of what the loop carries."""
    mapping: dict[str, str] = {}
    for place, axis in enumerate(carry.dims):
        if axis is None:
            result = without_axis(result, place)
        elif (old := result.dims[place]) is not None:
            mapping[old] = axis
    return renamed(result.term, mapping).broadcast(*carry.axes)


def closed(inputs: Sequence[Positional], outputs: Sequence[Term], builder: Builder) -> Region:
    """What was built from some inputs as a body."""
    return Region(
        tuple(x.term.value for x in inputs),
        tuple(builder.nodes),
        tuple(term.value for term in outputs),
    )
