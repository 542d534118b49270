"""Affine maps and rotations."""

from __future__ import annotations

from collections.abc import Callable

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.pattern import Variables
from graftwork.ir.sizes import symbol
from graftwork.passes.rules import Found, Rule


def _affine(p: Variables) -> Term:
    product = ops.contract(p.value("x", "k"), p.value("weight", "out k"), over="k")
    return product + p.value("bias", "out")


def _is_affine(found: Found) -> bool:
    """The weight meets x in the contracted axis alone, and the bias lies along its other axes."""
    x, weight, bias = (set(term.axes) for term in _operands(found))
    return x & weight == {found.axis("k")} and bias <= weight and not bias & x


def _operands(found: Found) -> tuple[Term, Term, Term]:
    """x, the weight and the bias: the weight, on either side of the product, has its axes."""
    x, weight, bias = found["x"], found["weight"], found["bias"]
    return (x, weight, bias) if set(bias.axes) <= set(weight.axes) else (weight, x, bias)


def _build_affine(found: Found) -> Term:
    return ops.linear(*_operands(found), over=found.axis("k"))


def _rotary(first: str, second: str) -> Callable[[Variables], Term]:
    """x cos + (-x2, x1) sin, whose halves have one name or two."""

    def write(p: Variables) -> Term:
        half = symbol("half")
        p.axis("d", 2 * half)
        for name in {first, second}:
            p.axis(name, half)
        x, cos, sin = p.value("x", "d"), p.value("cos", "d"), p.value("sin", "d")
        x1 = ops.slice_(x, axis="d", start=0, stop=half, into=first)
        x2 = ops.slice_(x, axis="d", start=half, stop=2 * half, into=second)
        return x * cos + ops.concat(-x2, x1, axes=(second, first), into="d") * sin

    return write


def _build_rotary(found: Found) -> Term:
    return ops.rotary(found["x"], found["cos"], found["sin"], axis=found.axis("d"))


LINEAR: tuple[Rule, ...] = (Rule("linear", _affine, _build_affine, _is_affine),)
ROTARY: tuple[Rule, ...] = (
    Rule("rotary", _rotary("half", "half"), _build_rotary),
    Rule("rotary", _rotary("left", "right"), _build_rotary),
)
