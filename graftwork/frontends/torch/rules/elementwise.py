"""Operators that work element by element, with torch's broadcasting and type promotion."""

from __future__ import annotations

import math
from collections.abc import Callable

from graftwork.frontends.torch.dtypes import Operand, common_dtype, float_dtype, lifted
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.positional import Positional, aligned


def pointwise(
    call: Call, build: Callable[..., Term], *operands: Operand, dtype: DType
) -> Positional:
    """`build` applied to operands that are cast to `dtype` and broadcast by position."""
    terms, dims = aligned(*(lifted(call.builder, x, dtype) for x in operands))
    return Positional(build(*terms), dims)


# --- one operand --------------------------------------------------------------------------------

# torch's name -> ours, of functions that turn integers into floats
_FLOAT_FUNCTIONS = {
    "exp": "exp",
    "expm1": "expm1",
    "log": "log",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "rsqrt": "rsqrt",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "asin",
    "acos": "acos",
    "atan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "asinh": "asinh",
    "acosh": "acosh",
    "atanh": "atanh",
    "sigmoid": "logistic",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erf_inv",
    "lgamma": "lgamma",
    "digamma": "digamma",
}
# functions that keep the element type
_FUNCTIONS = {"neg": "neg", "abs": "abs", "sign": "sign", "sgn": "sign", "bitwise_not": "not"}
_OF_BOOLS = ("abs", "sign", "sgn")  # those that leave bools as they are
_ROUNDINGS = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "fix": "trunc"}


def word(call: Call) -> str:
    """The operator's bare name: `add` of `aten.add.Tensor`."""
    return call.op.split(".")[1]


@rule(*(f"aten.{name}" for name in _FLOAT_FUNCTIONS))
def float_function(call: Call, self: Positional) -> Positional:
    """A function from numbers to floats."""
    op = REGISTRY[_FLOAT_FUNCTIONS[word(call)]]
    return pointwise(call, op, self, dtype=float_dtype(self.dtype))


@rule(*(f"aten.{name}" for name in _FUNCTIONS))
def function(call: Call, self: Positional) -> Positional:
    """A function that keeps the element type."""
    if self.dtype is DType.boolean and word(call) in _OF_BOOLS:
        return self
    return pointwise(call, REGISTRY[_FUNCTIONS[word(call)]], self, dtype=self.dtype)


@rule(*(f"aten.{name}" for name in _ROUNDINGS))
def rounding(call: Call, self: Positional) -> Positional:
    """Rounding, which leaves integers as they are."""
    op = REGISTRY[_ROUNDINGS[word(call)]]
    return pointwise(call, op, self, dtype=self.dtype) if self.dtype.is_float else self


@rule("aten.log2", "aten.log10")
def logarithm(call: Call, self: Positional) -> Positional:
    """Logarithms to another base."""
    scale = 1 / math.log(2 if "log2" in call.op else 10)
    return pointwise(call, lambda x: ops.log(x) * scale, self, dtype=float_dtype(self.dtype))


@rule("aten.exp2")
def exp2(call: Call, self: Positional) -> Positional:
    """2 to the power x."""
    return pointwise(call, lambda x: ops.exp(x * math.log(2)), self, dtype=float_dtype(self.dtype))


@rule("aten.round")
def round_(call: Call, self: Positional, decimals: int = 0) -> Positional:
    """Rounding, halves to even."""
    if not self.dtype.is_float:
        return self
    scale = 10.0**decimals
    return pointwise(
        call,
        lambda x: ops.round(x) if decimals == 0 else ops.round(x * scale) / scale,
        self,
        dtype=self.dtype,
    )


@rule("aten.frac")
def frac(call: Call, self: Positional) -> Positional:
    """What is behind the decimal point."""
    return pointwise(call, lambda x: x - ops.trunc(x), self, dtype=self.dtype)


@rule("aten.reciprocal")
def reciprocal(call: Call, self: Positional) -> Positional:
    """One over x."""
    return pointwise(call, lambda x: ops.div(1.0, x), self, dtype=float_dtype(self.dtype))


@rule("aten.square")
def square(call: Call, self: Positional) -> Positional:
    """x times x."""
    return pointwise(call, ops.mul, self, self, dtype=call.dtype)


@rule("aten.logical_not")
def logical_not(call: Call, self: Positional) -> Positional:
    """Whether x is zero."""
    return pointwise(call, ops.not_, as_bool(self), dtype=DType.boolean)


def as_bool(x: Positional) -> Positional:
    """Whether x is not zero."""
    return Positional(x.term.cast(DType.boolean), x.dims)


@rule("aten.isnan", "aten.isinf", "aten.isfinite")
def is_kind(call: Call, self: Positional) -> Positional:
    """Questions about floats, which integers answer too."""
    if not self.dtype.is_float:
        return Positional(call.builder.constant("finite" in call.op), self.dims)
    build: dict[str, Callable[[Term], Term]] = {
        "isnan": ops.is_nan,
        "isfinite": ops.is_finite,
        "isinf": lambda x: ops.eq(ops.abs(x), math.inf),
    }
    return pointwise(call, build[word(call)], self, dtype=self.dtype)


def _is_below_zero(x: Term) -> Term:
    """Whether a number has a minus sign, as negative zero has."""
    below = ops.lt(x, 0)
    return below | (ops.eq(x, 0) & ops.lt(ops.div(1.0, x), 0)) if x.dtype.is_float else below


@rule("aten.signbit")
def signbit(call: Call, self: Positional) -> Positional:
    """Whether a number has a minus sign."""
    if self.dtype is DType.boolean:
        return Positional(call.builder.constant(False), self.dims)
    return pointwise(call, _is_below_zero, self, dtype=self.dtype)


@rule("aten.copysign")
def copysign(call: Call, self: Operand, other: Operand) -> Positional:
    """The size of one number with the sign of another."""

    def build(x: Term, y: Term) -> Term:
        size = ops.abs(x)
        return ops.select(_is_below_zero(y), -size, size)

    return pointwise(call, build, self, other, dtype=float_dtype(common_dtype(self, other)))


@rule("aten.angle")
def angle(call: Call, self: Positional) -> Positional:
    """The angle in the plane of complex numbers: pi of negative ones, else 0."""

    def build(x: Term) -> Term:
        return ops.select(ops.lt(x, 0), math.pi, ops.select(ops.is_nan(x), x, x * 0))

    return pointwise(call, build, self, dtype=float_dtype(self.dtype))


@rule("aten._to_copy", "aten.to", "aten.type_as", "prims.convert_element_type")
def to_copy(call: Call, self: Positional, *_: object, **__: object) -> Positional:
    """A cast, where the element type changes."""
    return Positional(self.term.cast(call.dtype), self.dims)


# --- two operands -------------------------------------------------------------------------------

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_BITWISE = {
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
    "bitwise_left_shift": "shift_left",
    "bitwise_right_shift": "shift_right",
    "__and__": "and",
    "__lshift__": "shift_left",
    "__rshift__": "shift_right",
    "__or__": "or",
    "__xor__": "xor",
}
_LOGICAL = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor"}
# name of the operator -> our op, and the one that does the same for bools
_ARITHMETIC = {
    "add": ("add", "or"),
    "sub": ("sub", "xor"),
    "mul": ("mul", "and"),
    "maximum": ("maximum", "or"),
    "minimum": ("minimum", "and"),
    "remainder": ("mod", "xor"),
    "fmod": ("rem", "xor"),
}


def operation(word: str, dtype: DType) -> Op:
    """The op of an arithmetic operator on numbers, or on bools."""
    number, boolean = _ARITHMETIC[word]
    return REGISTRY[boolean if dtype is DType.boolean else number]


def scaled(call: Call, x: Operand, factor: float, dtype: DType) -> Operand:
    """An operand times a number."""
    return x if factor == 1 else pointwise(call, operation("mul", dtype), x, factor, dtype=dtype)


@rule(*(f"aten.{name}" for name in _ARITHMETIC))
def arithmetic(call: Call, self: Operand, other: Operand, alpha: float = 1) -> Positional:
    """Arithmetic between numbers; `alpha` scales the second operand."""
    dtype = common_dtype(self, other)
    if type(other) is int and other == 0 and dtype.is_int and word(call) in ("add", "sub"):
        return lifted(call.builder, self, dtype)
    other = scaled(call, other, alpha, dtype)
    return pointwise(call, operation(word(call), dtype), self, other, dtype=dtype)


@rule("aten.max.other", "aten.min.other")
def extreme(call: Call, self: Operand, other: Operand) -> Positional:
    """The other names of `maximum` and `minimum`."""
    dtype = common_dtype(self, other)
    return pointwise(call, operation(f"{word(call)}imum", dtype), self, other, dtype=dtype)


@rule("aten.rsub")
def reverse_sub(call: Call, self: Operand, other: Operand, alpha: float = 1) -> Positional:
    """`other - self`."""
    dtype = common_dtype(self, other)
    return pointwise(call, ops.sub, other, scaled(call, self, alpha, dtype), dtype=dtype)


@rule("aten.div", "aten.true_divide", "aten.divide")
def divide(
    call: Call, self: Operand, other: Operand, rounding_mode: str | None = None
) -> Positional:
    """Division: true, floored, or truncated toward zero."""
    dtype = common_dtype(self, other)
    if rounding_mode is None:
        return pointwise(call, ops.div, self, other, dtype=float_dtype(dtype))
    if rounding_mode == "floor":
        return pointwise(call, ops.floor_div, self, other, dtype=dtype)
    quotient = pointwise(call, ops.div, self, other, dtype=dtype)
    return rounding_to_zero(quotient)


def rounding_to_zero(x: Positional) -> Positional:
    """Whole numbers, toward zero."""
    return Positional(ops.trunc(x.term), x.dims) if x.dtype.is_float else x


@rule("aten.floor_divide")
def floor_divide(call: Call, self: Operand, other: Operand) -> Positional:
    """Division rounded down."""
    return divide(call, self, other, rounding_mode="floor")


@rule("aten.pow")
def power(call: Call, self: Operand, exponent: Operand) -> Positional:
    """One operand to the power of another."""
    dtype = common_dtype(self, exponent)
    exact = dtype.is_int and not (isinstance(exponent, int) and exponent >= 0)
    return pointwise(call, _whole_power if exact else ops.pow, self, exponent, dtype=dtype)


def _whole_power(x: Term, exponent: Term) -> Term:
    """The power of an integer: 0 where it would be a fraction, as torch has it."""
    sign = ops.select(ops.eq(exponent & 1, 1), -1, exponent * 0 + 1)
    unit = ops.select(ops.eq(x, 1), 1, ops.select(ops.eq(x, -1), sign, x * 0))
    return ops.select(ops.lt(exponent, 0), unit, ops.pow(x, ops.maximum(exponent, 0)))


@rule("aten.atan2")
def atan2(call: Call, self: Operand, other: Operand) -> Positional:
    """The angle of the point (other, self)."""
    dtype = float_dtype(common_dtype(self, other))
    return pointwise(call, ops.atan2, self, other, dtype=dtype)


@rule(*(f"aten.{name}" for name in _COMPARISONS))
def compare(call: Call, self: Operand, other: Operand) -> Positional:
    """A comparison."""
    return pointwise(call, REGISTRY[word(call)], self, other, dtype=common_dtype(self, other))


@rule(*(f"aten.{name}" for name in _BITWISE))
def bitwise(call: Call, self: Operand, other: Operand) -> Positional:
    """An operation on bits, or on bools."""
    op = REGISTRY[_BITWISE[word(call)]]
    return pointwise(call, op, self, other, dtype=common_dtype(self, other))


@rule(*(f"aten.{name}" for name in _LOGICAL))
def logical(call: Call, self: Positional, other: Positional) -> Positional:
    """An operation on whether numbers are not zero."""
    op = REGISTRY[_LOGICAL[word(call)]]
    return pointwise(call, op, as_bool(self), as_bool(other), dtype=DType.boolean)


@rule("aten.fmax", "aten.fmin")
def ignoring_nan(call: Call, self: Operand, other: Operand) -> Positional:
    """The greater or lesser operand, the other one where one is NaN."""
    dtype = common_dtype(self, other)
    op = ops.maximum if "fmax" in call.op else ops.minimum

    def build(a: Term, b: Term) -> Term:
        return ops.select(ops.is_nan(a), b, ops.select(ops.is_nan(b), a, op(a, b)))

    return pointwise(call, build if dtype.is_float else op, self, other, dtype=dtype)


# --- choices and limits -------------------------------------------------------------------------


@rule("aten.where")
def where(call: Call, condition: Positional, self: Operand, other: Operand) -> Positional:
    """One of two values, by a condition."""
    dtype = common_dtype(self, other)
    taken, rest = (lifted(call.builder, x, dtype) for x in (self, other))
    terms, dims = aligned(as_bool(condition), taken, rest)
    return Positional(ops.select(*terms), dims)


@rule("aten.masked_fill")
def masked_fill(call: Call, self: Positional, mask: Positional, value: Operand) -> Positional:
    """A value where the mask is set."""
    return where(call, mask, lifted(call.builder, value, self.dtype), self)


@rule("aten.clamp", "aten.hardtanh", "aten.clip")
def clamp(
    call: Call,
    self: Positional,
    min: Operand | None = None,
    max: Operand | None = None,
    *,
    min_val: float | None = None,
    max_val: float | None = None,
) -> Positional:
    """Values moved into an interval."""
    low = min_val if min is None else min
    high = max_val if max is None else max
    if "hardtanh" in call.op:
        low, high = -1.0 if low is None else low, 1.0 if high is None else high
    limits = [x for x in (low, high) if x is not None]
    dtype = self.dtype if "hardtanh" in call.op else common_dtype(self, *limits)
    if low is not None:
        self = pointwise(call, operation("maximum", dtype), self, low, dtype=dtype)
    if high is not None:
        self = pointwise(call, operation("minimum", dtype), self, high, dtype=dtype)
    return self


@rule("aten.clamp_min", "aten.clamp_max")
def clamp_one(call: Call, self: Positional, limit: Operand) -> Positional:
    """Values moved to one side of a limit."""
    dtype = common_dtype(self, limit)
    op = operation("maximum" if "clamp_min" in call.op else "minimum", dtype)
    return pointwise(call, op, self, limit, dtype=dtype)
