"""Complex numbers: real arrays whose real and imaginary parts lie along an axis of two.

That axis rides along unseen by position, so whatever only moves numbers about, or is linear with
real factors, does to complex numbers what it does to real ones. A product is bilinear, and any
bilinear operator has one rule: `f(x, y) = f(x, re y) + f(i x, im y)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils import _pytree as pytree

from graftwork.frontends.torch.dtypes import Operand, lifted
from graftwork.frontends.torch.rules import contraction, elementwise, views
from graftwork.frontends.torch.rules.registry import Call, Rule, complex_rule, find_real_rule
from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Term
from graftwork.ir.positional import Positional, aligned, carrying, renamed

Number = Operand | complex

# What does to both parts what it does to real numbers.
_ON_EACH_PART = """
    alias clone contiguous detach detach_ lift_fresh lift_fresh_copy positive neg
    resolve_conj resolve_neg
    view reshape _unsafe_view flatten unflatten permute transpose swapaxes t numpy_T mT
    unsqueeze squeeze expand broadcast_to expand_as repeat tile broadcast_tensors copy
    select slice split_with_sizes split chunk unbind diagonal unfold
    cat concat stack flip index index_select gather index_put slice_scatter select_scatter
    zeros zeros_like new_zeros empty empty_like new_empty ones ones_like new_ones
    sum mean cumsum
"""


def _rule_of(call: Call) -> Rule:
    """The rule of the same operator on real numbers."""
    rule = find_real_rule(call.op)
    assert rule is not None
    return rule


# --- parts --------------------------------------------------------------------------------------


def is_complex(call: Call, x: object) -> bool:
    """Whether an operand has an imaginary part."""
    return isinstance(x, complex) or (
        isinstance(x, Positional) and call.parts in x.term.type.axis_set
    )


def part(call: Call, x: Positional, number: int) -> Positional:
    """The real (0) or imaginary (1) part of complex numbers."""
    return Positional(ops.index(x.term, axis=call.parts, at=number), x.dims)


def of_parts(call: Call, real: Term, imaginary: Term) -> Term:
    """Complex numbers of their parts."""
    return ops.concat(real, imaginary, axes=[call.parts] * 2, into=call.parts)


def as_complex(call: Call, x: Number) -> Positional:
    """An operand as complex numbers in the element type of the call's result."""
    if isinstance(x, complex):
        pair = Literal.of([x.real, x.imag], call.dtype)
        return Positional(call.builder.constant(pair, axes=(call.parts,)))
    x = lifted(call.builder, x, call.dtype)
    return x if is_complex(call, x) else Positional(_with_zero(call, x.term), x.dims)


def _with_zero(call: Call, real: Term) -> Term:
    return of_parts(call, real, call.builder.constant(0, real.dtype))


def turned(call: Call, x: Positional) -> Positional:
    """i times x."""
    real, imaginary = part(call, x, 0).term, part(call, x, 1).term
    return Positional(of_parts(call, -imaginary, real), x.dims)


def conjugated(call: Call, x: Positional) -> Positional:
    """The complex conjugate."""
    signs = call.builder.constant(Literal.of([1, -1], x.dtype), axes=(call.parts,))
    return Positional(x.term * signs, x.dims)


@complex_rule("aten.complex")
def complex_(call: Call, real: Positional, imag: Positional) -> Positional:
    """Complex numbers of their parts."""
    terms, dims = aligned(real, imag)
    return Positional(of_parts(call, *terms), dims)


@complex_rule("aten.polar")
def polar(call: Call, abs: Positional, angle: Positional) -> Positional:
    """Complex numbers of their lengths and angles."""
    (length, turn), dims = aligned(abs, angle)
    return Positional(of_parts(call, length * ops.cos(turn), length * ops.sin(turn)), dims)


@complex_rule("aten.view_as_complex")
def view_as_complex(call: Call, self: Positional) -> Positional:
    """The last dimension hidden."""
    x = carrying(self, self.rank - 1)
    return Positional(renamed(x.term, {str(x.dims[-1]): call.parts}), x.dims[:-1])


@complex_rule("aten.view_as_real", "aten._view_as_real_copy", "aten.view_as_real_copy")
def view_as_real(call: Call, self: Positional) -> Positional:
    """The parts as a last dimension."""
    shown = call.fresh(2)
    return Positional(renamed(self.term, {call.parts: shown}), (*self.dims, shown))


@complex_rule("aten.real", "aten.imag")
def real_or_imaginary(call: Call, self: Positional) -> Positional:
    """One part."""
    return part(call, self, int("imag" in call.op))


@complex_rule("aten._conj", "aten._conj_physical", "aten.conj", "aten.conj_physical")
def conj(call: Call, self: Positional) -> Positional:
    """The complex conjugate."""
    return conjugated(call, self)


@complex_rule("aten.abs", "aten.angle")
def length_or_angle(call: Call, self: Positional) -> Positional:
    """The length or the angle in the plane of complex numbers."""
    real, imaginary = part(call, self, 0).term, part(call, self, 1).term
    if "angle" in call.op:
        return Positional(ops.atan2(imaginary, real), self.dims)
    return Positional(ops.sqrt(real * real + imaginary * imaginary), self.dims)


@complex_rule("aten._to_copy", "aten.to")
def to_copy(call: Call, self: Positional, *_: object, **__: object) -> Positional:
    """A cast; one to real numbers drops the imaginary parts."""
    if not call.complexes[0]:
        return Positional(part(call, self, 0).term.cast(call.dtype), self.dims)
    return as_complex(call, self)


@complex_rule(*(f"aten.{name}" for name in _ON_EACH_PART.split()))
def on_each_part(call: Call, *args: Any, **kwargs: Any) -> Any:
    """An operator that treats both parts alike."""

    def completed(x: Any) -> Any:
        floats = isinstance(x, Positional) and x.dtype.is_float
        return as_complex(call, x) if floats else x

    args, kwargs = pytree.tree_map(completed, (args, kwargs))
    return pytree.tree_map(completed, _rule_of(call)(call, *args, **kwargs))


# --- arithmetic ---------------------------------------------------------------------------------


@complex_rule("aten.add", "aten.sub", "aten.rsub")
def add(call: Call, self: Number, other: Number, alpha: float = 1) -> Positional:
    """Sums and differences; `alpha` scales the second operand."""
    result: Positional = _rule_of(call)(
        call, as_complex(call, self), as_complex(call, other), alpha
    )
    return result


@complex_rule("aten.mul")
def mul(call: Call, self: Number, other: Number) -> Positional:
    """A product: one number turned and stretched by another."""
    if is_complex(call, self) and is_complex(call, other):
        (x, y), dims = aligned(as_complex(call, self), as_complex(call, other))
        return Positional(ops.rotary(x, *_parts(call, y), axis=call.parts), dims)
    a, b = (as_complex(call, z) if isinstance(z, complex) else z for z in (self, other))
    return elementwise.pointwise(call, ops.mul, a, b, dtype=call.dtype)


def _parts(call: Call, x: Term) -> tuple[Term, Term]:
    return x[{call.parts: 0}], x[{call.parts: 1}]


@complex_rule("aten.square")
def square(call: Call, self: Positional) -> Positional:
    """x times x."""
    return mul(call, self, self)


@complex_rule("aten.div", "aten.true_divide", "aten.divide")
def div(call: Call, self: Number, other: Number) -> Positional:
    """A quotient: the product with the conjugate, over the square of the length."""
    dividend = as_complex(call, self)
    if not (isinstance(other, complex) or is_complex(call, other)):
        return elementwise.pointwise(call, ops.div, dividend, other, dtype=call.dtype)
    divisor = as_complex(call, other)
    product = mul(call, dividend, conjugated(call, divisor))
    real, imaginary = _parts(call, divisor.term)
    square = Positional(real * real + imaginary * imaginary, divisor.dims)
    return elementwise.pointwise(call, ops.div, product, square, dtype=call.dtype)


@complex_rule("aten.reciprocal")
def reciprocal(call: Call, self: Positional) -> Positional:
    """One over x."""
    return div(call, 1.0, self)


@complex_rule("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot", "aten.outer")
def product(call: Call, self: Positional, other: Positional) -> Positional:
    """Products of matrices and vectors."""
    return bilinear(call, _rule_of(call), self, other)


@complex_rule("aten.linear")
def linear(
    call: Call, input: Positional, weight: Positional, bias: Positional | None = None
) -> Positional:
    """x @ weight.T + bias."""
    found = bilinear(call, contraction.linear, input, weight)
    if bias is None:
        return found
    return elementwise.pointwise(call, ops.add, found, as_complex(call, bias), dtype=call.dtype)


@complex_rule("aten.einsum")
def einsum(call: Call, equation: str, tensors: Sequence[Positional], **_: object) -> Positional:
    """Einstein's summation of two tensors."""
    if len(tensors) != 2:
        raise call.refuse("of complex tensors it takes two; write it as several")

    def of_real(call: Call, x: Positional, y: Positional) -> Positional:
        return contraction.einsum(call, equation, (x, y))

    return bilinear(call, of_real, *tensors)


def bilinear(call: Call, rule: Rule, x: Positional, y: Positional) -> Positional:
    """What is linear in both operands, by its rule for real numbers."""
    x, y = (lifted(call.builder, z, call.dtype) for z in (x, y))
    if not (is_complex(call, x) and is_complex(call, y)):
        result: Positional = rule(call, x, y)
        return result
    straight, across = (
        rule(call, x, part(call, y, 0)),
        rule(call, turned(call, x), part(call, y, 1)),
    )
    return elementwise.pointwise(call, ops.add, straight, across, dtype=call.dtype)


# --- choices and fills --------------------------------------------------------------------------


@complex_rule("aten.where")
def where(call: Call, condition: Positional, self: Number, other: Number) -> Positional:
    """One of two values, by a condition."""
    return elementwise.where(call, condition, as_complex(call, self), as_complex(call, other))


@complex_rule("aten.masked_fill")
def masked_fill(call: Call, self: Positional, mask: Positional, value: Number) -> Positional:
    """A value where the mask is set."""
    return where(call, mask, value, self)


@complex_rule("aten.full", "aten.full_like", "aten.new_full", "aten.fill")
def full(call: Call, *args: Any, **_: object) -> Positional:
    """One value everywhere."""
    value = as_complex(call, args[2 if "new_full" in call.op else 1])
    return Positional(value.term, call.fresh_dims(call.shape))


@complex_rule("aten.constant_pad_nd")
def constant_pad(call: Call, self: Positional, pad: Sequence[int], value: Number = 0) -> Positional:
    """A border of zeros; a negative border cuts."""
    if value != 0:
        raise call.refuse("complex numbers are padded with zeros only")
    return views.constant_pad(call, self, pad)


@complex_rule("aten.scalar_tensor")
def scalar_tensor(call: Call, s: Number, **_: object) -> Positional:
    """A number as a tensor."""
    return as_complex(call, s)


complex_rule("aten._assert_tensor_metadata")(views.nothing)
