"""Contraction, reduction, running totals and order along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned, union
from graftwork.ir.attributes import AXIS, AXIS_SET, BOOL, DTYPE, INT, SIZE, Spec
from graftwork.ir.draw import ANY, INTS, NUMBERS, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.graph import Region
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.families import (
    cumulative,
    in_float,
    is_float,
    is_number,
    reduction,
    require,
)
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size
from graftwork.ir.types import Type, Typing, require_axes, require_new, require_same_dtype

Array = np.ndarray[Any, Any]


def infer_contract(typing: Typing, a: Type, b: Type, *, over: tuple[str, ...]) -> Type:
    """Both operands without the axes that they are summed over."""
    dtype = require_same_dtype(a, b)
    require(is_number, dtype)
    require_axes(a, over, "the first operand")
    require_axes(b, over, "the second operand")
    left = a.without(over)
    return Type(dtype, (*left.axes, *(x for x in b.without(over).axes if x not in left.axis_set)))


def _evaluate_contract(
    at: object, a: NamedArray, b: NamedArray, *, over: tuple[str, ...]
) -> NamedArray:
    axes = union(a, b)
    number = {axis: i for i, axis in enumerate(axes)}
    kept = [axis for axis in axes if axis not in over]
    letters = [[number[str(x)] for x in operand.axes] for operand in (a, b)]

    def product(left: Array, right: Array) -> Any:
        out = [number[x] for x in kept]
        return np.einsum(left, letters[0], right, letters[1], out, optimize=True)

    return NamedArray(in_float(product, a.array, b.array), tuple(kept))


def sample_contract(draw: Draw) -> Call:
    """Two operands and the axes that both have and lose."""
    count = draw.pick(1, 0, 2)
    a = draw.operand(NUMBERS, binds=count)
    over = some(draw, a, count)
    return Call((a, draw.operand((a.dtype,), axes=over)), {"over": over})


contract = define(
    "contract",
    "a b",
    "The products of two arrays summed over the axes `over`: every matrix product and einsum.",
    attrs=(Spec("over", AXIS_SET),),
    infer=infer_contract,
    evaluate=_evaluate_contract,
    linear=(0, 1),
    multilinear=True,
    transpose=lambda cts, operands, position, typing, over: _transpose_contract(
        cts[0], operands[1 - position], operands[position].type, over
    ),
    sample=sample_contract,
)


def _transpose_contract(ct: Any, other: Any, target: Type, over: tuple[str, ...]) -> Any:
    """Sum over what only the other operand has; the contracted axes come back from it."""
    gone = [a for a in ct.axes if a in other.type.axis_set and a not in target.axis_set]
    return REGISTRY["contract"](ct, other, over=gone)


def _max_jvp(operands: Any, tangents: Any, outputs: Any, *, over: tuple[str, ...]) -> Any:
    """The tangents where the extremum is attained, averaged over ties."""
    (x,), (dx,), (y,) = operands, tangents, outputs
    hit = REGISTRY["eq"](x, y).cast(x.dtype)
    ties = REGISTRY["maximum"](hit.sum(*over), 1.0)
    return ((dx * hit).sum(*over) / ties,)


def _prod_jvp(operands: Any, tangents: Any, outputs: Any, *, over: tuple[str, ...]) -> Any:
    """For each element the product of all others: running products from both sides, exact at 0."""
    (x,), (dx,) = operands, tangents
    if not over:
        return (dx,)
    typing = x.builder.typing
    flat = typing.fresh("prod")
    line, dline = (t.merge(*over, into=flat) for t in (x, dx))
    before, after = (
        _previous(REGISTRY["cumprod"](line, axis=flat, reverse=reverse), flat, 1.0, reverse)
        for reverse in (False, True)
    )
    return ((dline * before * after).sum(flat),)


def _previous(x: Any, axis: str, first: float, reverse: bool) -> Any:
    """What each position of an axis has before it; `first` where there is nothing."""
    typing = x.builder.typing
    wide = typing.fresh(axis)
    low, high = (0, 1) if reverse else (1, 0)
    padded = REGISTRY["pad"](x, first, axis=axis, low=low, high=high, into=wide)
    stop = typing.size(axis) + high
    return REGISTRY["slice"](padded, axis=wide, start=high, stop=stop, into=axis)


def _recurrence(factor: Any, term: Any, axis: str, reverse: bool) -> Any:
    """y[i] = factor[i] y[i - 1] + term[i] along an axis, from zero."""
    from graftwork.ir.build import Builder

    inner = Builder(factor.builder.typing)
    free = dict.fromkeys(a for x in (factor, term) for a in x.axes if a != axis)
    before = inner.input(term.dtype, free)
    steps = [inner.input(x.dtype, [a for a in x.axes if a != axis]) for x in (factor, term)]
    after = steps[0] * before + steps[1]
    inputs = tuple(x.value for x in (before, *steps))
    body = Region(inputs, tuple(inner.nodes), (after.value, after.value))
    start = term.builder.constant(0.0, term.dtype).broadcast(*free)
    attrs = {"axis": axis, "carry": 1, "xs": 2, "reverse": reverse}
    return term.builder.emit(REGISTRY["scan"], [start, factor, term], attrs, (body,))[1]


def _sum_reference(a: Array, axis: tuple[int, ...]) -> Any:
    return a.sum(axis=axis, dtype=a.dtype)


def _extremum(function: Any) -> Any:
    """max and min; of nothing, the identity: the least or greatest value of the dtype."""

    def reference(a: Array, axis: tuple[int, ...]) -> Any:
        low = function is np.max
        if a.dtype.kind in "iu":
            info = np.iinfo(a.dtype)
            return function(a, axis=axis, initial=info.min if low else info.max)
        return function(a, axis=axis, initial=-np.inf if low else np.inf)

    return reference


sum = reduction(
    "sum", "The sum over axes.", _sum_reference, linear=(0,),
    transpose=lambda cts, operands, position, typing, over: cts[0].broadcast(*over),
)  # fmt: skip
prod = reduction(
    "prod", "The product over axes.", lambda a, axis: np.prod(a, axis=axis, dtype=a.dtype),
    jvp=_prod_jvp,
)  # fmt: skip
max = reduction("max", "The greatest over axes; NaN if any is.", _extremum(np.max), jvp=_max_jvp)
min = reduction("min", "The least over axes; NaN if any is.", _extremum(np.min), jvp=_max_jvp)


def _is_bool(dtype: DType) -> bool:
    return dtype is DType.boolean


any = reduction("any", "Whether any is true.", np.any, on=_is_bool)
all = reduction("all", "Whether all are true.", np.all, on=_is_bool)


def _infer_arg(typing: Typing, x: Type, *, axis: str, dtype: DType) -> Type:
    require_axes(x, (axis,))
    if decide(typing.size(axis), 0) is True:
        raise AxisError(f"axis {axis!r} is empty, so it has no extreme position")
    if not dtype.is_int:
        raise DTypeError(f"positions are integers, not {dtype.value}")
    return x.without((axis,)).with_dtype(dtype)


def _arg(name: str, doc: str, function: Any) -> Any:
    def evaluate(at: object, x: NamedArray, *, axis: str, dtype: DType) -> NamedArray:
        found = function(x.array, axis=x.position(axis)).astype(dtype.numpy)
        return NamedArray(found, tuple(a for a in x.axes if a != axis))

    def sample(draw: Draw) -> Call:
        x = draw.operand(ANY, binds=1, least=1)
        return Call((x,), {"axis": draw.axis(x, least=1), "dtype": draw.pick(*INTS)})

    return define(
        name, "x", doc, attrs=(Spec("axis", AXIS), Spec("dtype", DTYPE, DType.i64)),
        infer=_infer_arg, evaluate=evaluate, sample=sample,
        jvp=lambda operands, tangents, outputs, **attrs: (None,),
    )  # fmt: skip


def _with_nan(function: Any, worst: float) -> Any:
    """numpy's argmax does not see a NaN in bfloat16; widen, which is exact."""

    def reference(a: Array, axis: int) -> Array:
        wide = a.astype(np.float32) if a.dtype.itemsize == 2 and a.dtype.kind not in "iu" else a
        return np.asarray(function(wide, axis=axis))

    return reference


argmax = _arg("argmax", "The first position of the greatest; a NaN wins.", _with_nan(np.argmax, 0))
argmin = _arg("argmin", "The first position of the least; a NaN wins.", _with_nan(np.argmin, 0))

cumsum = cumulative(
    "cumsum", "Running sums.", lambda a, axis: np.cumsum(a, axis=axis, dtype=a.dtype), linear=(0,),
    transpose=lambda cts, operands, position, typing, axis, reverse: REGISTRY["cumsum"](
        cts[0], axis=axis, reverse=not reverse
    ),
)  # fmt: skip


def _cumprod_jvp(operands: Any, tangents: Any, outputs: Any, *, axis: str, reverse: bool) -> Any:
    """The product rule from step to step, which is exact at zeros."""
    (x,), (dx,), (y,) = operands, tangents, outputs
    return (_recurrence(x, dx * _previous(y, axis, 1.0, reverse), axis, reverse),)


cumprod = cumulative(
    "cumprod", "Running products.", lambda a, axis: np.cumprod(a, axis=axis, dtype=a.dtype),
    jvp=_cumprod_jvp,
)  # fmt: skip


def _running_jvp(operands: Any, tangents: Any, outputs: Any, *, axis: str, reverse: bool) -> Any:
    """The tangent at the last position where the running extremum was set."""
    (x,), (dx,), (y,) = operands, tangents, outputs
    position = REGISTRY["iota"](axis=axis)
    where = REGISTRY["eq"](x, y)
    size = x.size(axis)
    far = REGISTRY["size"](value=size) if reverse else x.builder.constant(-1, "i64")
    marked = REGISTRY["select"](where, position, far)
    runner = REGISTRY["cummin" if reverse else "cummax"](marked, axis=axis, reverse=reverse)
    return (REGISTRY["gather"](dx, runner, axes=(axis,), mode="clip"),)


cummax = cumulative("cummax", "Running maxima.", np.maximum.accumulate, jvp=_running_jvp)
cummin = cumulative("cummin", "Running minima.", np.minimum.accumulate, jvp=_running_jvp)


def _cumlogsumexp_jvp(
    operands: Any, tangents: Any, outputs: Any, *, axis: str, reverse: bool
) -> Any:
    """The mean of the tangents so far, weighed by exp(x): its weights shrink from step to step."""
    (x,), (dx,), (y,) = operands, tangents, outputs
    empty = REGISTRY["eq"](y, -np.inf)
    share, decay = (
        REGISTRY["select"](empty, 0.0, REGISTRY["exp"](part - y))
        for part in (x, _previous(y, axis, -np.inf, reverse))
    )
    return (_recurrence(decay, dx * share, axis, reverse),)


cumlogsumexp = cumulative(
    "cumlogsumexp", "Running log(sum(exp)).", np.logaddexp.accumulate, on=is_float,
    jvp=_cumlogsumexp_jvp,
)  # fmt: skip


def _infer_sort(
    typing: Typing, *xs: Type, axis: str, descending: bool, keys: int
) -> tuple[Type, ...]:
    if not 1 <= keys <= len(xs):
        raise AxisError(f"{keys} sort keys among {len(xs)} operands")
    for x in xs:
        require_axes(x, (axis,))
    shared = dict.fromkeys(a for x in xs for a in x.axes)
    return tuple(Type(x.dtype, tuple(shared)) for x in xs)


def _order(keys: list[Array], descending: bool) -> Array:
    """Stable positions along the last dimension, NaN last (first if descending)."""
    columns: list[Array] = []
    for key in keys:
        wide = key.astype(np.float32) if key.dtype.itemsize == 2 and key.dtype.kind == "V" else key
        ranks = np.unique(wide, return_inverse=True)[1].reshape(key.shape)
        columns.append(-ranks if descending else ranks)
    return np.lexsort(columns[::-1], axis=-1)


def _evaluate_sort(
    at: object, *xs: NamedArray, axis: str, descending: bool, keys: int
) -> tuple[NamedArray, ...]:
    axes = (*[a for a in union(*xs) if a != axis], axis)
    arrays = np.broadcast_arrays(*aligned(axes, *xs))
    order = _order(list(arrays[:keys]), descending)
    return tuple(NamedArray(np.take_along_axis(a, order, axis=-1), axes) for a in arrays)


def _sort_jvp(
    operands: Any, tangents: Any, outputs: Any, *, axis: str, descending: bool, keys: int
) -> Any:
    places = REGISTRY["iota"](axis=axis)
    attrs = {"axis": axis, "descending": descending, "keys": keys}
    order = REGISTRY["sort"].emit(*operands[:keys], places, **attrs)[-1]
    return tuple(
        None if dx is None else REGISTRY["gather"](dx.broadcast(axis), order, axes=(axis,))
        for dx in tangents
    )


def _sample_sort(draw: Draw) -> Call:
    first = draw.operand(ANY, binds=1)
    axis = draw.axis(first)
    xs = [first, *(draw.operand(ANY, axes=(axis,)) for _ in range(draw.number(0, 2)))]
    attrs = {"descending": draw.pick(False, True), "keys": draw.number(1, len(xs))}
    return Call(xs, {"axis": axis, **attrs})


sort = define(
    "sort",
    "*xs",
    "All operands reordered together so that the first `keys` ascend; stable, NaN greatest.",
    attrs=(Spec("axis", AXIS), Spec("descending", BOOL, False), Spec("keys", INT, 1)),
    infer=_infer_sort,
    evaluate=_evaluate_sort,
    jvp=_sort_jvp,
    sample=_sample_sort,
)


def _infer_top_k(typing: Typing, x: Type, *, axis: str, k: Size, into: str) -> tuple[Type, Type]:
    require_axes(x, (axis,))
    require_new((into,), x.without((axis,)))
    extent = typing.size(axis)
    if isinstance(k, int) and isinstance(extent, int) and k > extent:
        raise AxisError(f"the top {k} of axis {axis!r}, which has size {extent}")
    typing.make(into, k)
    kept = x.replacing(axis, (into,))
    return kept, kept.with_dtype(DType.i64)


def _evaluate_top_k(
    at: Any, x: NamedArray, *, axis: str, k: Size, into: str
) -> tuple[NamedArray, NamedArray]:
    last = x.order(*[a for a in x.axes if a is not None and a != axis], axis)
    order = _order([last.array], True)[..., : at.value(k)]
    axes = (*last.axes[:-1], into)
    values = np.take_along_axis(last.array, order, axis=-1)
    return NamedArray(values, axes), NamedArray(order.astype(np.int64), axes)


def _top_k_jvp(operands: Any, tangents: Any, outputs: Any, *, axis: str, **attrs: Any) -> Any:
    return (REGISTRY["gather"](tangents[0].broadcast(axis), outputs[1], axes=(axis,)), None)


def _sample_top_k(draw: Draw) -> Call:
    k = draw.number(0, 2)
    x = draw.operand(ANY, binds=1, least=k)
    return Call((x,), {"axis": draw.axis(x, least=k), "k": k, "into": draw.new()})


top_k = define(
    "top_k",
    "x",
    "The k greatest along an axis, greatest first, and their positions; stable.",
    attrs=(Spec("axis", AXIS), Spec("k", SIZE), Spec("into", AXIS)),
    infer=_infer_top_k,
    evaluate=_evaluate_top_k,
    jvp=_top_k_jvp,
    sample=_sample_top_k,
)
