"""Taking out ops that change nothing: `x * 1`, casts there and back, slices of everything.

All are exact to the bit. So `x + 0.0` stays, which makes 0.0 of -0.0, and `x * 0.0`, which keeps
NaN.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from attrs import frozen

from graftwork.ir.attributes import Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import Rule, Rules, Sight, simplify
from graftwork.passes.cleanup.views import RENAMES


def scalar(sight: Sight, value: Value) -> Literal | None:
    """The number that a value is everywhere, if it is a constant or broadcast from one."""
    maker = sight.maker(value)
    if maker is not None and maker.op.name == "broadcast":
        maker = sight.maker(maker.inputs[0])
    if maker is None or maker.op.name != "constant" or maker.attrs["axes"]:
        return None
    literal: Literal = maker.attrs["value"]
    return literal


def spread(sight: Sight, value: Value, node: Node) -> Value:
    """A value over all axes of the output of a node."""
    missing = tuple(a for a in node.output.axes if a not in value.type.axis_set)
    return sight.make("broadcast", value, axes=missing) if missing else value


def _is(sight: Sight, value: Value, number: float) -> bool:
    """Whether a value is this number everywhere, bit for bit: -0.0 is not 0.0."""
    literal = scalar(sight, value)
    return literal is not None and literal == Literal.of(number, literal.dtype)


def neutral(right: float, *, commutes: bool = False, zero: bool = False) -> Rule:
    """x op e = x; for a zero, the one of floats whose sign x keeps."""

    def rule(sight: Sight, node: Node) -> Value | None:
        a, b = node.inputs
        number = -0.0 if zero and a.type.dtype.is_float else right
        if _is(sight, b, number):
            return spread(sight, a, node)
        if commutes and _is(sight, a, number):
            return spread(sight, b, node)
        return None

    return rule


def no_limit(edge: float) -> Rule:
    """The greater of x and the least float is x, NaN too."""
    known = neutral(edge, commutes=True)

    def rule(sight: Sight, node: Node) -> Value | None:
        return known(sight, node) if node.output.type.dtype.is_float else None

    return rule


def logic(absorbing: bool) -> Rule:
    """Bools: x and True = x, x and False = False; x or False = x, x or True = True."""

    def rule(sight: Sight, node: Node) -> Value | None:
        a, b = node.inputs
        if a is b:
            return a
        if a.type.dtype is not DType.boolean:
            return None
        for known, other in ((a, b), (b, a)):
            literal = scalar(sight, known)
            if literal is not None:
                kept = known if literal.item() is absorbing else other
                return spread(sight, kept, node)
        return None

    return rule


def same_operands(sight: Sight, node: Node) -> Value | None:
    """op(x, x) = x."""
    return node.inputs[0] if node.inputs[0] is node.inputs[1] else None


def known_choice(sight: Sight, node: Node) -> Value | None:
    """select of a known predicate, between a value and itself, or between true and false."""
    pred, on_true, on_false = node.inputs
    if on_true is on_false:
        return spread(sight, on_true, node)
    if node.output.type.dtype is DType.boolean and _is(sight, on_true, True):
        return spread(sight, pred, node) if _is(sight, on_false, False) else None
    literal = scalar(sight, pred)
    if literal is None:
        return None
    return spread(sight, on_true if literal.item() else on_false, node)


def twice(sight: Sight, node: Node) -> Value | None:
    """An op that is its own inverse."""
    inner = sight.maker(node.inputs[0], node.op.name)
    return inner.inputs[0] if inner is not None and inner.attrs == node.attrs else None


def plain_cast(sight: Sight, node: Node) -> Value | None:
    """A cast to the dtype that is there, and a cast of a cast that lost nothing."""
    (x,) = node.inputs
    if x.type.dtype is node.output.type.dtype:
        return x
    inner = sight.maker(x, "cast")
    if inner is None or not _holds(x.type.dtype, inner.inputs[0].type.dtype):
        return None
    return sight.make("cast", inner.inputs[0], dtype=node.attrs["dtype"])


# How many bits of precision a float has, and whether its range holds that of another.
_PRECISION = {DType.f16: 11, DType.bf16: 8, DType.f32: 24, DType.f64: 53}
_WIDER = {
    (DType.f32, DType.f16), (DType.f32, DType.bf16), (DType.f64, DType.f16),
    (DType.f64, DType.bf16), (DType.f64, DType.f32),
}  # fmt: skip


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of one dtype is a value of the other."""
    if wide is narrow or narrow is DType.boolean:
        return True
    if wide.is_float:
        if narrow.is_float:
            return (wide, narrow) in _WIDER
        return _PRECISION[wide] >= narrow.bits and wide is not DType.f16
    if narrow.is_float or wide is DType.boolean:
        return False
    signed = (_is_signed(wide), _is_signed(narrow))
    return signed[0] >= signed[1] and wide.bits >= narrow.bits + (signed[0] > signed[1])


def _is_signed(dtype: DType) -> bool:
    return dtype.numpy.kind == "i"


def nothing_over(sight: Sight, node: Node) -> Value | None:
    """Summing, flipping and the like over no axes."""
    attrs: dict[str, Any] = node.attrs.as_dict()
    return None if attrs.get("over", attrs.get("axes")) else node.inputs[0]


def _renamed(sight: Sight, node: Node, axis: str) -> Value:
    return sight.make("rename", node.inputs[0], axes={axis: node.attrs["into"]})


def whole_slice(sight: Sight, node: Node) -> Value | None:
    """A slice of everything is another name."""
    attrs = node.attrs
    whole = (
        attrs["start"] == 0 and attrs["step"] == 1 and attrs["stop"] == sight.size(attrs["axis"])
    )
    return _renamed(sight, node, attrs["axis"]) if whole else None


def no_padding(sight: Sight, node: Node) -> Value | None:
    """Padding by nothing is another name."""
    attrs, (x, value) = node.attrs, node.inputs
    empty = attrs["low"] == 0 and attrs["high"] == 0 and attrs["interior"] == 0
    axis, there = attrs["axis"], x.type.axis_set
    fits = axis in there and value.type.axis_set <= there - {axis}
    return _renamed(sight, node, axis) if empty and fits else None


def lone_concat(sight: Sight, node: Node) -> Value | None:
    """One array alone is joined to nothing."""
    axis = node.attrs["axes"][0]
    alone = len(node.inputs) == 1 and axis in node.inputs[0].type.axis_set
    return _renamed(sight, node, axis) if alone else None


def open_mask(sight: Sight, node: Node) -> Value | None:
    """Attention by a mask that is true everywhere needs none."""
    *arrays, last = node.inputs
    known = len(arrays) == 3 and last.type.dtype is DType.boolean and _is(sight, last, True)
    scored = arrays[0].type.axis_set | arrays[1].type.axis_set
    if not known or not last.type.axis_set <= scored:
        return None
    return sight.make("attention", *arrays, **node.attrs.as_dict())


IDENTITIES: Rules = {
    **RENAMES,
    "mul": (neutral(1, commutes=True),),
    "add": (neutral(0, commutes=True, zero=True),),
    "sub": (neutral(0),),
    "div": (neutral(1),),
    "pow": (neutral(1),),
    "and": (logic(absorbing=False),),
    "or": (logic(absorbing=True),),
    "maximum": (same_operands, no_limit(-math.inf)),
    "minimum": (same_operands, no_limit(math.inf)),
    "select": (known_choice,),
    "not": (twice,),
    "neg": (twice,),
    "flip": (nothing_over, twice),
    "sum": (nothing_over,),
    "max": (nothing_over,),
    "min": (nothing_over,),
    "cast": (plain_cast,),
    "slice": (whole_slice,),
    "pad": (no_padding,),
    "concat": (lone_concat,),
    "attention": (open_mask,),
}


@frozen
class DropIdentities(Pass):
    """Take out ops that give back what they take."""

    promise: ClassVar[str] = "bitwise"

    def __call__(self, graph: Graph) -> Graph:
        return simplify(graph, "DropIdentities", IDENTITIES)
