"""Random numbers that are the same on every backend: Threefry-2x32 in counter mode.

A key is a u32 array with an axis of size 2. A draw hashes the row-major position of each element
with the key, so the order of the drawn axes is an attribute and equal keys give equal numbers.
The algorithm is that of Salmon et al. 2011; bits and floats are those of JAX with
`jax_threefry_partitionable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned, union
from graftwork.ir.attributes import AXIS, AXIS_SEQ, DTYPE, FLOAT, Spec
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, INTS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.dtypes import bitcast
from graftwork.ir.ops.elementwise import (
    erf_inv,
    maximum,
    shift_left,
    shift_right_logical,
)
from graftwork.ir.sizes import Size
from graftwork.ir.types import (
    Type,
    Typing,
    require_axes,
    require_new,
    require_same_dtype,
    zipped,
)

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def _threefry(rotated: Callable[[Any, int], Any], k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """Five groups of four rounds, each followed by a part of the key; on terms, or on arrays."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = x0 + k0, x1 + k1
    for group in range(5):
        for by in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = rotated(x1, by) ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + (group + 1)
    return x0, x1


def _rotated(x: Term, by: int) -> Term:
    return shift_left(x, by) | shift_right_logical(x, 32 - by)


def _evaluate_threefry(at: object, *words: NamedArray) -> list[NamedArray]:
    axes = union(*words)
    hashed = _threefry(lambda x, by: x << by | x >> 32 - by, *aligned(axes, *words))
    return [NamedArray(np.asarray(word), axes) for word in hashed]


def _infer_threefry(typing: Typing, *types: Type) -> tuple[Type, Type]:
    if require_same_dtype(*types) is not DType.u32:
        raise DTypeError(f"keys and counters are u32, not {types[0].dtype.value}")
    result = Type(DType.u32, zipped(*types))
    return result, result


def _sample_threefry(draw: Draw) -> Call:
    return Call([draw.operand((DType.u32,)) for _ in range(4)])


threefry2x32 = define(
    "threefry2x32",
    "k0 k1 x0 x1",
    "Two words hashed with a key of two words.",
    infer=_infer_threefry,
    evaluate=_evaluate_threefry,
    body=partial(_threefry, _rotated),
    traits={"elementwise", "random"},
    sample=_sample_threefry,
)


def _hashed(key: Term, axis: str, axes: tuple[str, ...]) -> tuple[Term, Term]:
    """Two random words for every position of the axes."""
    typing = key.builder.typing
    with key.builder:
        position = key.builder.constant(0, DType.i64)
        stride: Size = 1
        for name in reversed(axes):
            position = position + REGISTRY["iota"](axis=name) * REGISTRY["size"](value=stride)
            stride = stride * typing.size(name)
    high = REGISTRY["shift_right"](position, 32).cast(DType.u32)
    low = (position & 0xFFFFFFFF).cast(DType.u32)
    return _words(threefry2x32.emit(*_halves(key, axis), high, low))


def _halves(key: Term, axis: str) -> tuple[Term, Term]:
    return key[{axis: 0}], key[{axis: 1}]


def _words(terms: tuple[Term, ...]) -> tuple[Term, Term]:
    first, second = terms
    return first, second


def _joined(words: tuple[Term, Term], axis: str) -> Term:
    """Two words as a key."""
    return REGISTRY["concat"](*words, axes=(axis, axis), into=axis)


_KEY = Spec("key", AXIS)
_DRAW = (Spec("axes", AXIS_SEQ), _KEY)
_RANDOM = frozenset({"random"})


def _infer_draw(
    typing: Typing, keys: Type, *, axes: tuple[str, ...], key: str, dtype: DType, **_: Any
) -> Type:
    """Every position of the axes for every key."""
    free = _without_words(typing, keys, key)
    require_new(axes, free)
    for name in axes:
        typing.size(name)
    return Type(dtype, (*free.axes, *axes))


def _without_words(typing: Typing, keys: Type, key: str) -> Type:
    if keys.dtype is not DType.u32:
        raise DTypeError(f"a key is u32, not {keys.dtype.value}")
    require_axes(keys, (key,), "the key")
    typing.make(key, 2)
    return keys.without((key,))


def _random_bits(keys: Term, *, axes: tuple[str, ...], key: str, dtype: DType) -> Term:
    if not dtype.is_unsigned:
        raise DTypeError(f"random bits are unsigned, not {dtype.value}")
    high, low = _hashed(keys, key, axes)
    if dtype is DType.u64:
        return shift_left(high.cast(dtype), 32) | low.cast(dtype)
    return (high ^ low).cast(dtype)


def _sample_draw(dtypes: Sequence[DType], draw: Draw) -> Call:
    key = draw.make(2)
    keys = draw.operand((DType.u32,), axes=(key,))
    axes = tuple(dict.fromkeys(draw.other_axis(keys) for _ in range(draw.pick(1, 2, 0))))
    dtype = {"dtype": draw.pick(*dtypes)} if dtypes else {}
    return Call((keys,), {"axes": axes, "key": key, **dtype})


random_bits = define(
    "random_bits",
    "keys",
    "Uniform bits for every position of the axes, in row-major order.",
    attrs=(*_DRAW, Spec("dtype", DTYPE, DType.u32)),
    infer=_infer_draw,
    body=_random_bits,
    sample=partial(_sample_draw, (DType.u32, DType.u64, DType.u16, DType.u8)),
    traits=_RANDOM,
)


def _fraction_bits(dtype: DType) -> int:
    return {DType.bf16: 7, DType.f16: 10, DType.f32: 23, DType.f64: 52}[dtype]


def _random_uniform(
    keys: Term, *, axes: tuple[str, ...], key: str, dtype: DType, low: float, high: float
) -> Term:
    """Random fraction bits under the exponent of 1, less 1."""
    if not dtype.is_float:
        raise DTypeError(f"uniform numbers are floats, not {dtype.value}")
    word = DType(f"u{dtype.bits}")
    fraction = _fraction_bits(dtype)
    drawn = DType.u8 if fraction < 8 else word
    bits = random_bits(keys, axes=axes, key=key, dtype=drawn).cast(word)
    one = np.ones((), dtype.numpy).view(word.numpy).item()
    mantissa = shift_right_logical(bits, drawn.bits - fraction) | one
    bottom, top = (np.asarray(edge).astype(dtype.numpy) for edge in (low, high))
    unit = bitcast(mantissa, dtype=dtype) - 1.0
    return maximum(unit * float(top - bottom) + float(bottom), float(bottom))


random_uniform = define(
    "random_uniform",
    "keys",
    "Uniform floats from low to below high.",
    attrs=(
        *_DRAW,
        Spec("dtype", DTYPE, DType.f32),
        Spec("low", FLOAT, 0.0),
        Spec("high", FLOAT, 1.0),
    ),
    infer=_infer_draw,
    body=_random_uniform,
    sample=partial(_sample_draw, FLOATS),
    traits=_RANDOM,
)


def _random_normal(keys: Term, *, axes: tuple[str, ...], key: str, dtype: DType) -> Term:
    one = np.ones((), dtype.numpy)
    low = float(np.nextafter(-one, np.zeros_like(one)))
    uniform = random_uniform(keys, axes=axes, key=key, dtype=dtype, low=low, high=1.0)
    return erf_inv(uniform) * math.sqrt(2)


random_normal = define(
    "random_normal",
    "keys",
    "Floats of the standard normal distribution: the inverse distribution function of uniforms.",
    attrs=(*_DRAW, Spec("dtype", DTYPE, DType.f32)),
    infer=_infer_draw,
    body=_random_normal,
    sample=partial(_sample_draw, FLOATS),
    traits=_RANDOM,
)


def _infer_split(typing: Typing, keys: Type, *, axes: tuple[str, ...], key: str) -> Type:
    drawn = _infer_draw(typing, keys, axes=axes, key=key, dtype=DType.u32)
    return drawn.with_axes((*drawn.axes, key))


random_split = define(
    "random_split",
    "keys",
    "A new key for every position of the axes, in row-major order.",
    attrs=_DRAW,
    infer=_infer_split,
    body=lambda keys, axes, key: _joined(_hashed(keys, key, axes), key),
    sample=partial(_sample_draw, ()),
    traits=_RANDOM,
)


def _random_seed(seed: Term, *, key: str) -> Term:
    wide = seed.dtype.bits == 64
    high = shift_right_logical(seed, 32).cast(DType.u32) if wide else seed.cast(DType.u32) * 0
    return _joined((high, seed.cast(DType.u32)), key)


random_seed = define(
    "random_seed",
    "seed",
    "The key that an integer stands for: its high and low words.",
    attrs=(_KEY,),
    body=_random_seed,
    sample=lambda draw: Call((draw.operand(INTS),), {"key": draw.new()}),
)


def _random_fold_in(keys: Term, data: Term, *, key: str) -> Term:
    seed = random_seed(data.cast(DType.u32), key=key)
    return _joined(_words(threefry2x32.emit(*_halves(keys, key), *_halves(seed, key))), key)


def _sample_fold_in(draw: Draw) -> Call:
    key = draw.make(2)
    keys = draw.operand((DType.u32,), axes=(key,))
    return Call((keys, draw.operand(INTS, avoid=(key,))), {"key": key})


random_fold_in = define(
    "random_fold_in",
    "keys data",
    "The key of a key and an integer, whose low word counts.",
    attrs=(_KEY,),
    body=_random_fold_in,
    sample=_sample_fold_in,
    traits=_RANDOM,
)
