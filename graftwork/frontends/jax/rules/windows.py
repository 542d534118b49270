"""Convolution, and reduction of sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import JaxprEqn
from graftwork.frontends.jax.reshape import reshape
from graftwork.frontends.jax.rules.shape import padded
from graftwork.frontends.jax.translate import Translator
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Label, Positional, carrying, matched, without_axis
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, symbols

# --- convolution --------------------------------------------------------------------------------


def _conv(tr: Translator, equation: JaxprEqn, x: Positional, weight: Positional) -> Positional:
    p = equation.params
    numbers = p["dimension_numbers"]
    preferred = p["preferred_element_type"]
    dtype = x.dtype if preferred is None else dtype_of(preferred)
    x = _ordered(Positional(x.term.cast(dtype), x.dims), numbers.lhs_spec)
    weight = _ordered(Positional(weight.term.cast(dtype), weight.dims), numbers.rhs_spec)
    features, batches = int(p["feature_group_count"]), int(p["batch_group_count"])
    x = _grouped(_grouped(x, 1, features), 0, batches)
    weight = _grouped(weight, 0, features * batches)
    shape = result_shape(tr, equation)
    out = _convolved(tr, p, x, weight, [shape[place] for place in numbers.out_spec[2:]])
    batch, group, feature, *spatial = (out.size(i) for i in range(out.rank))
    merged = reshape(out, (batch, group * feature, *spatial))
    dims: list[str | None] = [None] * merged.rank
    for place, axis in zip(numbers.out_spec, merged.dims, strict=True):
        dims[place] = axis
    return Positional(merged.term, tuple(dims))


def _ordered(x: Positional, spec: Sequence[int]) -> Positional:
    return Positional(x.term, tuple(x.dims[i] for i in spec))


def _grouped(x: Positional, place: int, groups: int) -> Positional:
    """A dimension as groups and what is in each."""
    sizes = [x.size(i) for i in range(x.rank)]
    part = sizes[place] // groups
    return reshape(x, (*sizes[:place], groups, part, *sizes[place + 1 :]))


def _convolved(
    tr: Translator, p: Any, x: Positional, weight: Positional, sizes: Sequence[Size]
) -> Positional:
    """The product of (batch groups, batch, feature groups, in, ...) and (groups, out, in, ...).

    Gives (batch, group, out, ...); only one of the two counts of groups is not 1.
    """
    rank = weight.rank - 3
    by_batch = p["batch_group_count"] != 1
    group, other = (0, 2) if by_batch else (2, 0)
    x = without_axis(x, other)
    spatial = range(rank)
    labels_x: list[Label] = ["", "batch", "", "in", *(("space", i) for i in spatial)]
    labels_x[group], labels_x[other] = "group", "none"
    labels_w: list[Label] = ["group", "out", "in", *(("kernel", i) for i in spatial)]
    (x, weight), chosen = matched((x, labels_x), (weight, labels_w))
    x = carrying(x, *(4 + i for i in spatial))
    weight = carrying(weight, *(3 + i for i in spatial))
    over = [axis for axis in (chosen["in"],) if axis is not None]
    x, edges, spread = _margins(tr, p, x, 4)
    into = [tr.fresh(size) for size in sizes]
    term = ops.conv(
        x.term.broadcast(*over),
        weight.term.broadcast(*over),
        axes=x.dims[4:],
        kernel=weight.dims[3:],
        into=into,
        over=over,
        stride=_ints(p["window_strides"]),
        dilation=_ints(p["rhs_dilation"]),
        base_dilation=spread,
        low=[low for low, _ in edges],
        high=[high for _, high in edges],
    )
    return Positional(term, (chosen["batch"], chosen["group"], chosen["out"], *into))


def _margins(
    tr: Translator, p: Any, x: Positional, first: int
) -> tuple[Positional, list[tuple[int, int]], tuple[int, ...]]:
    """The padding and dilation of spatial dimensions, which begin at `first`, as numbers.

    Padding that depends on a dynamic axis is done beforehand.
    """
    edges = [tr.size.shape(pair) for pair in p["padding"]]
    spread = _ints(p["lhs_dilation"])
    if not any(symbols(edge) for pair in edges for edge in pair):
        return x, [(evaluate(low, {}), evaluate(high, {})) for low, high in edges], spread
    zero = tr.constant(0, x.dtype)
    for i, (low, high) in enumerate(edges):
        place = first + i
        x = carrying(padded(tr, x, zero, place, low, high, spread[i] - 1), place)
    return x, [(0, 0)] * len(edges), (1,) * len(edges)


def result_shape(tr: Translator, equation: JaxprEqn) -> tuple[Size, ...]:
    """The shape that JAX gives the result of an equation."""
    return tr.size.shape(_jax.aval(equation.outvars[0]).shape)


def _ints(numbers: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)


# --- pooling ------------------------------------------------------------------------------------


def _windows(
    tr: Translator, x: Positional, p: Any, fill: Any, sizes: Sequence[Size]
) -> tuple[Positional, list[str]]:
    """The windows of an array, so many in each dimension, and the axes along them."""
    value = tr.constant(fill, x.dtype)
    dilations = p.get("base_dilation", (1,) * x.rank), p.get("window_dilation", (1,) * x.rank)
    kernels: list[str] = []
    for place, (low, high) in enumerate(p["padding"]):
        kernel, stride = tr.size(p["window_dimensions"][place]), int(p["window_strides"][place])
        base, dilation = (int(d[place]) for d in dilations)
        edges = (tr.size(low), tr.size(high))
        if (kernel, stride, base, edges) == (1, 1, 1, (0, 0)):
            continue
        x = carrying(padded(tr, x, value, place, *edges, interior=base - 1), place)
        into, inner = tr.fresh(sizes[place]), tr.fresh(kernel)
        attrs = {"into": into, "kernel": inner, "size": kernel}
        term = ops.window(x.term, axis=x.dims[place], stride=stride, dilation=dilation, **attrs)
        x = Positional(term, x.with_dim(place, into).dims)
        kernels.append(inner)
    return x, kernels


def _identity(word: str, dtype: DType) -> Any:
    """What does not change a reduction."""
    if word in ("sum", "prod"):
        return 0 if word == "sum" else 1
    if dtype.is_float:
        return -np.inf if word == "max" else np.inf
    if dtype is DType.boolean:
        return word == "min"
    limits = np.iinfo(dtype.numpy)
    return limits.min if word == "max" else limits.max


def _reduce_window(word: str) -> Any:
    def rule(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
        sizes = result_shape(tr, equation)
        windows, kernels = _windows(tr, x, equation.params, _identity(word, x.dtype), sizes)
        return Positional(REGISTRY[word](windows.term, over=kernels), windows.dims)

    return rule


def _select_and_scatter_add(
    tr: Translator, equation: JaxprEqn, source: Positional, x: Positional
) -> Positional:
    """Each element of the source added where its window of x has its extreme: pooling backward."""
    p = equation.params
    greatest = p["select_prim"].name == "ge"
    x = carrying(x, *range(x.rank))
    sizes = [source.size(i) for i in range(source.rank)]
    fill = _identity("max" if greatest else "min", x.dtype)
    windows, kernels = _windows(tr, x, p, fill, sizes)
    line = tr.fresh(_product(tr, kernels))
    merged = windows.term.merge(*kernels, into=line)
    hit = (ops.argmax if greatest else ops.argmin)(merged, axis=line)
    (source, found), _ = matched(
        (source, list(range(x.rank))), (Positional(hit, windows.dims), list(range(x.rank)))
    )
    positions = _positions(tr, p, found)
    zero = tr.constant(0, source.dtype).broadcast(*x.axes)
    over = [axis for axis in found.dims if axis is not None]
    term = ops.scatter(
        zero, source.term.broadcast(*over), *positions, axes=x.dims, over=over, combine="add",
        mode="drop",
    )  # fmt: skip
    return Positional(term, x.dims)


def _product(tr: Translator, axes: Sequence[str]) -> Size:
    total: Size = 1
    for axis in axes:
        total = total * tr.builder.typing.size(axis)
    return total


def _positions(tr: Translator, p: Any, found: Positional) -> list[Term]:
    """Where in the array each window has the element of a given number."""
    rest = found.term
    offsets: list[Term | None] = []
    sizes = [tr.size(size) for size in p["window_dimensions"]]
    for place in reversed(range(found.rank)):
        size = tr.number(sizes[place], rest.dtype)
        offsets.insert(0, rest % size if sizes[place] != 1 else None)
        rest = ops.floor_div(rest, size) if sizes[place] != 1 else rest
    positions = []
    for place, offset in enumerate(offsets):
        axis, low = found.dims[place], p["padding"][place][0]
        start = tr.constant(0, rest.dtype) if axis is None else ops.iota(axis=axis)
        start = start * int(p["window_strides"][place]) - tr.number(tr.size(low), rest.dtype)
        positions.append(start if offset is None else start + offset)
    return positions


def _max_pool(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    """Pooling as one op, where only the array itself and numbers are involved."""
    p = equation.params
    edges = [tr.size.shape(pair) for pair in p["padding"]]
    known = not any(symbols(edge) for pair in edges for edge in pair)
    if not known or not x.dtype.is_float or set(p["base_dilation"]) != {1}:
        result: Positional = _reduce_window("max")(tr, equation, x)
        return result
    names = ("window_dimensions", "window_strides", "window_dilation")
    size, stride, dilation = (_ints(p[name]) for name in names)
    moving = [i for i in range(x.rank) if (size[i], stride[i], edges[i]) != (1, 1, (0, 0))]
    x = carrying(x, *moving)
    shape = result_shape(tr, equation)
    into = {i: tr.fresh(shape[i]) for i in moving}
    term = ops.max_pool(
        x.term,
        axes=[x.dims[i] for i in moving],
        into=list(into.values()),
        size=[size[i] for i in moving],
        stride=[stride[i] for i in moving],
        dilation=[dilation[i] for i in moving],
        low=[evaluate(edges[i][0], {}) for i in moving],
        high=[evaluate(edges[i][1], {}) for i in moving],
    )
    return Positional(term, tuple(into.get(i, axis) for i, axis in enumerate(x.dims)))


RULES: dict[str, Any] = {
    "conv_general_dilated": _conv,
    "reduce_window_max": _max_pool,
    "reduce_window_min": _reduce_window("min"),
    "reduce_window_sum": _reduce_window("sum"),
    "reduce_window_mul": _reduce_window("prod"),
    "select_and_scatter_add": _select_and_scatter_add,
}
