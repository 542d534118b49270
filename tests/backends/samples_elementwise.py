"""Sample graphs of elementwise ops, at the edges of every element type."""

from __future__ import annotations

import numpy as np

from graftwork.ir import ops
from graftwork.ir.dtypes import dtype_of
from tests.backends.build import (
    BOOL,
    FLOATS,
    INTS,
    Array,
    Sample,
    bools,
    edge_floats,
    edge_ints,
    normal,
    sample,
    whole,
)

_DOMAIN = {  # where the function is real
    "log": (0.1, 3), "sqrt": (0, 3), "rsqrt": (0.1, 3), "asin": (-1, 1), "acos": (-1, 1),
    "acosh": (1, 4), "atanh": (-0.9, 0.9), "log1p": (-0.9, 3), "erf_inv": (-0.9, 0.9),
    "lgamma": (0.1, 4), "digamma": (0.1, 4),
}  # fmt: skip
UNARY = (
    *("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "logistic", "erf", "erfc", "erf_inv"),
    *("lgamma", "digamma"),
)


def _unary() -> list[Sample]:
    found = []
    for name in UNARY:
        low, high = _DOMAIN.get(name, (-3, 3))
        for dtype in FLOATS:
            x = np.linspace(low, high, 12, dtype=dtype).reshape(3, 4)
            title = f"{name}-{x.dtype}"
            found.append(sample(title, lambda x, n=name: ops.__getattr__(n)(x), x=("a b", x)))
    found += [
        sample(name, lambda x, n=name: ops.__getattr__(n)(x), x=("a", edge_floats()))
        for name in ("floor", "ceil", "round", "trunc", "sign", "neg", "abs", "is_finite", "is_nan")
    ]
    for name in ("neg", "abs", "sign", "not"):
        for dtype in INTS:
            x = edge_ints(dtype)
            title = f"{name}-{x.dtype}"
            found.append(sample(title, lambda x, n=name: ops.__getattr__(n)(x), x=("a", x)))
    found.append(sample("not-bool", lambda x: ops.not_(x), x=("a", bools(5))))
    found.append(sample("stop_gradient", lambda x: ops.stop_gradient(x), x=("a", normal(3))))
    return found


BINARY = ["add", "sub", "mul", "div", "floor_div", "rem", "mod", "pow", "maximum", "minimum"]
COMPARE = ["eq", "ne", "lt", "le", "gt", "ge"]
BITS = ["and", "or", "xor"]
SHIFTS = ["shift_left", "shift_right", "shift_right_logical"]


def _pairs(name: str, a: Array, b: Array) -> Sample:
    title = f"{name}-{a.dtype}"
    return sample(title, lambda a, b: ops.__getattr__(name)(a, b), a=("a", a), b=("b", b))


def _binary() -> list[Sample]:
    found = []
    for name in (*BINARY, *COMPARE, "atan2"):
        found.extend(_pairs(name, edge_floats(dtype), edge_floats(dtype)) for dtype in FLOATS)
    for dtype in INTS:
        x = edge_ints(dtype)
        bits = x.dtype.itemsize * 8
        found.extend(_pairs(name, x, x) for name in (*BINARY, *COMPARE, *BITS) if name != "pow")
        found.append(_pairs("pow", x, np.array([0, 1, 2, 3, 7], dtype)))
        amounts = np.array([0, 1, 3, bits - 1, bits, bits + 3], dtype)
        found.extend(_pairs(name, x, amounts) for name in SHIFTS)
    found.extend(_pairs(name, bools(4), bools(5)) for name in (*BITS, *COMPARE))
    return found


CASTS = (*FLOATS, np.float16, *INTS, BOOL)


def _casts() -> list[Sample]:
    found = []
    for source in CASTS:
        for target in CASTS:
            values = [0, 1, 2, 3.7, 100, 127] if source is not BOOL else [0, 1]
            negative = np.issubdtype(source, np.floating) and np.dtype(target).kind != "u"
            x = np.array([*values, -0.5, -3.7] if negative else values).astype(source)
            title = f"cast-{x.dtype}-{np.dtype(target)}"
            found.append(
                sample(title, lambda x, t=target: ops.cast(x, dtype=dtype_of(t)), x=("a", x))
            )
    for source, target in ((np.int64, np.uint64), (np.uint32, np.int32), (np.int16, np.int8),
                           (np.int64, np.uint32), (np.uint64, np.uint16)):  # fmt: skip
        x = edge_ints(source)
        title = f"wrap-{x.dtype}-{np.dtype(target)}"
        found.append(sample(title, lambda x, t=target: ops.cast(x, dtype=dtype_of(t)), x=("a", x)))
    for source, target in (("f32", "i32"), ("f64", "i64"), ("f32", "u32"), ("f16", "i16")):
        x = edge_floats(dtype_of(source).numpy)
        title = f"bitcast-{source}-{target}"
        found.append(sample(title, lambda x, t=target: ops.bitcast(x, dtype=t), x=("a", x)))
    x = edge_ints(np.uint32)
    found.append(sample("bitcast-u32-f32", lambda x: ops.bitcast(x, dtype="f32"), x=("a", x)))
    return found


def _zips() -> list[Sample]:
    a, b, p = normal(2, 3), normal(4, 3), bools(4)
    return [
        sample("select", lambda p, a, b: ops.select(p, a, b), p=("w", p), a=("u v", a),
               b=("w v", b)),
        sample("select-int", lambda p, a: ops.select(p, a, 3), p=("w", p), a=("u", whole(2))),
        sample("select-bool", lambda p, q: ops.select(p, q, p), p=("w", p), q=("u", bools(3))),
        sample("zip-orders", lambda a, b: a * b + a, a=("u v", a), b=("v u", b[:2].T.copy())),
        sample("zip-scalars", lambda a: (a * 0.5 + 1.0) ** 3.0, a=("u v", a)),
        sample("zip-empty", lambda a, b: a + b, a=("u v", a[:, :0]), b=("w", b[:, 0])),
    ]  # fmt: skip


SAMPLES: list[Sample] = [*_unary(), *_binary(), *_casts(), *_zips()]
