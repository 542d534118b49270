"""Knowing what positions are: `iota`, shifted, sliced, joined and gathered, is arithmetic.

Models compute masks from positions in roundabout ways: they number tokens, compare neighbours,
gather numbers at numbers. All of it is a sum of multiples of positions, so it is worked out once,
here: what is a plain number or a plain `iota` becomes that, and comparisons that always turn out
the same are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

from attrs import field, frozen

from graftwork.ir.attributes import Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node, Value
from graftwork.ir.sizes import Size, bounds
from graftwork.passes.cleanup.identities import spread
from graftwork.passes.cleanup.simplify import Rules, Sight

_DEPTH = 24  # how far back a value is followed
_EXACT = (DType.i64, DType.i32)


@frozen
class Affine:
    """An integer as a sum of multiples of positions along axes, and an offset."""

    steps: Mapping[str, int] = field(factory=dict)
    offset: Size = 0

    def __add__(self, other: Affine) -> Affine:
        axes = (*self.steps, *(a for a in other.steps if a not in self.steps))
        sums = {a: self.steps.get(a, 0) + other.steps.get(a, 0) for a in axes}
        return Affine({a: step for a, step in sums.items() if step}, self.offset + other.offset)

    def times(self, factor: int) -> Affine:
        if not factor:
            return Affine()
        steps = {axis: step * factor for axis, step in self.steps.items()}
        return Affine(steps, self.offset * factor)

    def at(self, places: Mapping[str, Affine]) -> Affine:
        """The number where axes are at positions that are such numbers themselves."""
        rest = Affine({a: step for a, step in self.steps.items() if a not in places}, self.offset)
        moved = (place.times(self.steps.get(axis, 0)) for axis, place in places.items())
        return reduce(Affine.__add__, moved, rest)


def affine(sight: Sight, value: Value, depth: int = _DEPTH) -> Affine | None:
    """What an integer value is, if it is a sum of positions."""
    node = sight.maker(value)
    return None if node is None else _made_by(sight, node, depth)


def _made_by(sight: Sight, node: Node, depth: int = _DEPTH) -> Affine | None:
    word, attrs = node.op.name, node.attrs
    if not depth or node.outputs[0].type.dtype not in _EXACT:
        return None
    if word == "constant":
        return None if attrs["axes"] else Affine({}, int(attrs["value"].item()))
    if word == "iota":
        return Affine({attrs["axis"]: 1})
    if word == "size":
        return Affine({}, attrs["value"])
    if word not in _OF:
        return None
    parts = [affine(sight, x, depth - 1) for x in node.inputs]
    known = [part for part in parts if part is not None]
    return _OF[word](sight, node, *known) if len(known) == len(parts) else None


def _product(sight: Sight, node: Node, a: Affine, b: Affine) -> Affine | None:
    for x, factor in ((a, b), (b, a)):
        if not factor.steps and isinstance(factor.offset, int):
            return x.times(factor.offset)
    return None


def _renamed(sight: Sight, node: Node, x: Affine) -> Affine:
    names = dict(node.attrs["axes"])
    return Affine({names.get(axis, axis): step for axis, step in x.steps.items()}, x.offset)


def _slice(sight: Sight, node: Node, x: Affine) -> Affine:
    attrs = node.attrs
    return x.at({attrs["axis"]: Affine({attrs["into"]: attrs["step"]}, attrs["start"])})


def _gathered(sight: Sight, node: Node, x: Affine, *ids: Affine) -> Affine | None:
    if node.attrs["mode"] != "promise":
        return None
    return x.at(dict(zip(node.attrs["axes"], ids, strict=True)))


def _running(sight: Sight, node: Node, x: Affine) -> Affine | None:
    """Running sums of a number are its multiples."""
    if x.steps or node.attrs["reverse"] or not isinstance(x.offset, int):
        return None
    return Affine({node.attrs["axis"]: 1}, 1).times(x.offset)


def _joined(sight: Sight, node: Node, *parts: Affine) -> Affine | None:
    """Parts that continue one another."""
    into, start = node.attrs["into"], 0 * sight.size(node.attrs["into"])
    whole: list[tuple[Affine, Size]] = []
    steps: set[int] = set()
    for x, part, axis in zip(node.inputs, parts, node.attrs["axes"], strict=True):
        long = axis in x.type.axis_set
        steps |= {part.steps.get(axis, 0)} if long else set()
        whole.append((part.at({axis: Affine()}) if long else part, start))
        start = start + (sight.size(axis) if long else 1)
    if len(steps) != 1:
        return None
    (step,) = steps
    lines = [part + Affine({into: step}, -step * at) for part, at in whole]
    return lines[0] if all(line == lines[0] for line in lines) else None


_OF: Mapping[str, Callable[..., Affine | None]] = {
    "broadcast": lambda sight, node, x: x,
    "cast": lambda sight, node, x: x,
    "rename": _renamed,
    "add": lambda sight, node, a, b: a + b,
    "sub": lambda sight, node, a, b: a + b.times(-1),
    "neg": lambda sight, node, x: x.times(-1),
    "mul": _product,
    "slice": _slice,
    "index": lambda sight, node, x: x.at({node.attrs["axis"]: Affine({}, node.attrs["at"])}),
    "gather": _gathered,
    "concat": _joined,
    "cumsum": _running,
}


def plain_positions(sight: Sight, node: Node) -> Value | None:
    """What is a number or an iota everywhere is just that."""
    found = _made_by(sight, node)
    if found is None:
        return None
    dtype = node.output.type.dtype
    if not found.steps:
        return spread(sight, _number(sight, found.offset, dtype), node)
    if found.offset != 0 or list(found.steps.values()) != [1]:
        return None
    (axis,) = found.steps
    return spread(sight, sight.make("iota", axis=axis, dtype=dtype), node)


def _number(sight: Sight, size: Size, dtype: DType) -> Value:
    if isinstance(size, int):
        return sight.make("constant", value=Literal.of(size, dtype))
    return sight.make("size", value=size, dtype=dtype)


# comparison -> whether it holds of a difference within (low, high), or None if it depends
_HOLDS: Mapping[str, Callable[[int | None, int | None], bool | None]] = {
    "lt": lambda low, high: _first(high is not None and high < 0, low is not None and low >= 0),
    "le": lambda low, high: _first(high is not None and high <= 0, low is not None and low > 0),
    "gt": lambda low, high: _first(low is not None and low > 0, high is not None and high <= 0),
    "ge": lambda low, high: _first(low is not None and low >= 0, high is not None and high < 0),
    "eq": lambda low, high: _first(low == high == 0, _nonzero(low, high)),
    "ne": lambda low, high: _first(_nonzero(low, high), low == high == 0),
}


def _first(holds: bool, fails: bool) -> bool | None:
    return True if holds else False if fails else None


def _nonzero(low: int | None, high: int | None) -> bool:
    return (low is not None and low > 0) or (high is not None and high < 0)


def settled_comparison(sight: Sight, node: Node) -> Value | None:
    """A comparison of positions that holds everywhere, or nowhere."""
    a, b = (affine(sight, x) for x in node.inputs)
    if a is None or b is None:
        return None
    difference = a + b.times(-1)
    low, high = difference.offset, difference.offset
    for axis, step in difference.steps.items():
        reach = (sight.size(axis) - 1) * step
        low, high = (low + reach, high) if step < 0 else (low, high + reach)
    verdict = _HOLDS[node.op.name](bounds(low)[0], bounds(high)[1])
    if verdict is None:
        return None
    return spread(sight, sight.make("constant", value=Literal.of(verdict)), node)


def gather_along(sight: Sight, node: Node) -> Value | None:
    """Gathering at every position in turn is another name for the axis."""
    x, *ids = node.inputs
    for axis, index in zip(node.attrs["axes"], ids, strict=True):
        maker = sight.maker(index, "iota")
        along = axis if maker is None else maker.attrs["axis"]
        taken = along != axis and along in x.type.axis_set
        if maker is None or taken or sight.size(along) != sight.size(axis):
            continue
        found = x if along == axis else sight.make("rename", x, axes={axis: along})
        rest = [(a, i) for a, i in zip(node.attrs["axes"], ids, strict=True) if a != axis]
        if not rest:
            return found
        attrs = node.attrs.as_dict() | {"axes": tuple(a for a, _ in rest)}
        return sight.make("gather", found, *(i for _, i in rest), **attrs)
    return None


def gather_of_broadcast(sight: Sight, node: Node) -> Value | None:
    """Of equal rows any is the row."""
    x, *ids = node.inputs
    inner = sight.maker(x, "broadcast")
    spread_axes = frozenset(inner.attrs["axes"]) if inner is not None else frozenset[str]()
    if inner is None or node.attrs["mode"] == "fill" or spread_axes.isdisjoint(node.attrs["axes"]):
        return None
    kept = [(a, i) for a, i in zip(node.attrs["axes"], ids, strict=True) if a not in spread_axes]
    rest = tuple(axis for axis in inner.attrs["axes"] if axis not in node.attrs["axes"])
    result = sight.make("broadcast", inner.inputs[0], axes=rest) if rest else inner.inputs[0]
    if kept:
        attrs = node.attrs.as_dict() | {"axes": tuple(axis for axis, _ in kept)}
        result = sight.make("gather", result, *(i for _, i in kept), **attrs)
    return spread(sight, result, node)


POSITIONS: Rules = {
    **{word: (plain_positions,) for word in _OF if word != "broadcast"},
    **dict.fromkeys(_HOLDS, (settled_comparison,)),
    "gather": (gather_of_broadcast, gather_along, plain_positions),
}
