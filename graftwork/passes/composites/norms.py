"""Norms that models write by hand: first the division, then weight, bias and casts join it."""

from __future__ import annotations

from collections.abc import Callable

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.pattern import Variables
from graftwork.passes.rules import Found, Rule

Unary = Callable[[Term], Term]
Binary = Callable[[Term, Term], Term]
Write = Callable[[Variables], Term]


_SQUARES: tuple[Unary, ...] = (lambda x: x * x, lambda x: x**2.0)
_QUOTIENTS: tuple[Binary, ...] = (
    lambda x, variance: x * ops.rsqrt(variance),
    lambda x, variance: x / ops.sqrt(variance),
    lambda x, variance: x * variance**-0.5,
)


# What cannot be negative but for rounding; relu where that was recovered first.
_CLAMPS: tuple[Unary, ...] = (lambda x: ops.maximum(x, 0.0), lambda x: ops.relu(x))


def _fast_variance(square: Unary, clamp: Unary) -> Binary:
    """The mean of the squares less the square of the mean."""
    return lambda x, mean: clamp(square(x).mean("k") - square(mean))


_VARIANCES: tuple[Binary, ...] = (
    lambda x, mean: ops.var(x, over="k"),
    *(_fast_variance(square, clamp) for square in _SQUARES for clamp in _CLAMPS),
)


def _eps(p: Variables) -> Term:
    return p.number("eps", 1e-5)


# --- the division -------------------------------------------------------------------------------


def _rms_core(square: Unary, quotient: Binary) -> Write:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        return quotient(x, square(x).mean("k") + _eps(p))

    return write


def _rms_weighted_scale(square: Unary) -> Write:
    """The weight joins the scale before x does."""

    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        return x * (ops.rsqrt(square(x).mean("k") + _eps(p)) * p.value("weight", "k"))

    return write


def _clamped_mean(square: Unary, clamp: Unary) -> Write:
    return lambda p: clamp(square(p.value("x", "k")).mean("k"))


def _mean_of(square: Unary) -> Callable[[Found], Term]:
    return lambda found: square(found["x"]).mean(found.axis("k"))


def _build_rms(found: Found) -> Term:
    return ops.rms_norm(found["x"], over=found.axis("k"), eps=found.number("eps"))


def _layer_core(variance: Binary, quotient: Binary) -> Write:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        mean = x.mean("k")
        return quotient(x - mean, variance(x, mean) + _eps(p))

    return write


def _layer_core_centered(square: Unary, quotient: Binary) -> Write:
    """The centered value is made once."""

    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        centered = x - x.mean("k")
        return quotient(centered, square(centered).mean("k") + _eps(p))

    return write


def _weighted_scale(variance: Binary) -> Write:
    """The weight joins the scale before x does."""

    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        mean = x.mean("k")
        return (x - mean) * (ops.rsqrt(variance(x, mean) + _eps(p)) * p.value("weight", "k"))

    return write


def _build_layer(found: Found) -> Term:
    return ops.layer_norm(found["x"], over=found.axis("k"), eps=found.number("eps"))


def _build_weighted(found: Found) -> Term:
    over, eps = found.axis("k"), found.number("eps")
    return ops.layer_norm(found["x"], found["weight"], over=over, eps=eps)


# --- what joins it ------------------------------------------------------------------------------


def _alone(*names: str) -> Callable[[Found], bool]:
    """Whether these have no axis but the one that is normalized: they are weights."""
    return lambda found: all(found[name].axes == (found.axis("k"),) for name in names)


def _normed(p: Variables, op: str, dtype: str = "f64", **attrs: bool) -> Term:
    norm = getattr(ops, op)
    term: Term = norm(p.value("x", "k", dtype), over="k", eps=p.attribute("eps", 1e-5), **attrs)
    return term


def _plus_one(weight: Term) -> Term:
    return 1.0 + weight


def _rms_times(gain: Unary) -> Write:
    return lambda p: _normed(p, "rms_norm") * gain(p.value("weight", "k"))


def _rms_weighted(offset: float) -> Callable[[Found], Term]:
    def build(found: Found) -> Term:
        over, eps = found.axis("k"), found.number("eps")
        return ops.rms_norm(found["x"], found["weight"], over=over, eps=eps, offset=offset)

    return build


def _narrow_rms(p: Variables) -> Term:
    """Statistics in 32 bits, rounded before any weight."""
    wide = p.value("x", "k", "bf16").cast("f32")
    return ops.rms_norm(wide, over="k", eps=p.attribute("eps", 1e-5)).cast("bf16")


def _build_narrow_rms(found: Found) -> Term:
    over, eps = found.axis("k"), found.number("eps")
    return ops.rms_norm(found["x"], over=over, eps=eps, in_f32=True)


def _narrow_rms_times(p: Variables) -> Term:
    return _normed(p, "rms_norm", "bf16", in_f32=True) * p.value("weight", "k", "bf16")


def _build_narrow_rms_times(found: Found) -> Term:
    return ops.rms_norm(
        found["x"], found["weight"], over=found.axis("k"), eps=found.number("eps"),
        in_f32=True, weight_after_cast=True,
    )  # fmt: skip


def _narrow_rms_weighted(offset: float) -> Rule:
    """Weight and all in 32 bits, rounded at the end."""

    def write(p: Variables) -> Term:
        wide, weight = (p.value(name, "k", "bf16").cast("f32") for name in ("x", "weight"))
        eps = p.attribute("eps", 1e-5)
        return ops.rms_norm(wide, weight, over="k", eps=eps, offset=offset).cast("bf16")

    def build(found: Found) -> Term:
        return ops.rms_norm(
            found["x"], found["weight"], over=found.axis("k"), eps=found.number("eps"),
            offset=offset, in_f32=True,
        )  # fmt: skip

    return Rule("rms_norm", write, build)


def _layer_times(p: Variables) -> Term:
    return _normed(p, "layer_norm") * p.value("weight", "k")


def _layer_plus(p: Variables) -> Term:
    x, weight = p.value("x", "k"), p.value("weight", "k")
    normed = ops.layer_norm(x, weight, over="k", eps=p.attribute("eps", 1e-5))
    return normed + p.value("bias", "k")


def _build_layer_plus(found: Found) -> Term:
    return ops.layer_norm(
        found["x"], found["weight"], found["bias"],
        over=found.axis("k"), eps=found.number("eps"),
    )  # fmt: skip


NORMS: tuple[Rule, ...] = (
    *(
        Rule("layer_norm", _layer_core_centered(square, quotient), _build_layer)
        for square in _SQUARES
        for quotient in _QUOTIENTS
    ),
    *(
        Rule("layer_norm", _layer_core(variance, quotient), _build_layer)
        for variance in _VARIANCES
        for quotient in _QUOTIENTS
    ),
    *(
        Rule("layer_norm", _weighted_scale(variance), _build_weighted, _alone("weight"))
        for variance in _VARIANCES
    ),
    *(
        Rule("rms_norm", _rms_core(square, quotient), _build_rms)
        for square in _SQUARES
        for quotient in _QUOTIENTS
    ),
    *(
        Rule("rms_norm", _rms_weighted_scale(square), _rms_weighted(0.0), _alone("weight"))
        for square in _SQUARES
    ),
    *(
        Rule("mean", _clamped_mean(square, clamp), _mean_of(square))
        for square in _SQUARES
        for clamp in _CLAMPS
    ),
    Rule("rms_norm", _rms_times(_plus_one), _rms_weighted(1.0)),
    Rule("rms_norm", _rms_times(lambda weight: weight), _rms_weighted(0.0), _alone("weight")),
    Rule("rms_norm", _narrow_rms, _build_narrow_rms),
    Rule("rms_norm", _narrow_rms_times, _build_narrow_rms_times, _alone("weight")),
    _narrow_rms_weighted(0.0),
    _narrow_rms_weighted(1.0),
    Rule("layer_norm", _layer_times, _build_weighted, _alone("weight")),
    Rule("layer_norm", _layer_plus, _build_layer_plus, _alone("bias")),
)
