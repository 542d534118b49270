"""Contraction, reduction, running totals and order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import JaxprEqn
from graftwork.frontends.jax.rules.definitions import DEFINITIONS
from graftwork.frontends.jax.translate import Results, Translator
from graftwork.ir import ops
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.positional import Label, Positional, aligned, carrying, matched

Reduction = Callable[[Translator, JaxprEqn, Positional], Positional]


def _labels(contracted: Sequence[int], batch: Sequence[int], side: str,
            rank: int) -> list[Label]:  # fmt: skip
    """What each dimension of one operand of a product meets: a pair, or only itself."""
    pairs: dict[int, Label] = {place: ("over", n) for n, place in enumerate(contracted)}
    pairs |= {place: ("batch", n) for n, place in enumerate(batch)}
    return [pairs.get(place, (side, place)) for place in range(rank)]


def _lead(x: Positional, contracted: Sequence[int]) -> tuple[bool, int]:
    """Which operand of a product keeps its axes where both have one and a rename must tell apart.

    One that has the contracted size twice (scores, whose queries and keys are the same positions)
    cannot give up both; otherwise the one of more axes (queries in groups, before their keys).
    """
    sizes = [x.size(i) for i in range(x.rank)]
    kept = [size for i, size in enumerate(sizes) if i not in contracted and size != 1]
    return any(sizes[i] in kept for i in contracted), len(kept)


def _dot_general(tr: Translator, equation: JaxprEqn, a: Positional, b: Positional) -> Positional:
    contracting, batch = equation.params["dimension_numbers"]
    preferred = equation.params["preferred_element_type"]
    dtype = a.dtype if preferred is None else dtype_of(preferred)
    sides = ("left", "right")
    labels = [_labels(contracting[n], batch[n], sides[n], x.rank) for n, x in enumerate((a, b))]
    operands = [(a, labels[0]), (b, labels[1])]
    if _lead(b, contracting[1]) > _lead(a, contracting[0]):
        (b, a), chosen = matched(*reversed(operands))
    else:
        (a, b), chosen = matched(*operands)
    over = [chosen["over", n] for n in range(len(contracting[0]))]
    axes = tuple(axis for axis in over if axis is not None)
    summed = DType.i32 if dtype is DType.boolean else dtype  # of bools, whether any pair holds
    terms = (x.term.cast(summed).broadcast(*axes) for x in (a, b))
    pairs: list[Label] = [("batch", n) for n in range(len(batch[0]))]
    free = [label for group in labels for label in group if label[0] in sides]  # type: ignore[index]
    dims = tuple(chosen[label] for label in (*pairs, *free))
    return Positional(ops.contract(*terms, over=axes).cast(dtype), dims)


def _reduction(numbers: str, bools: str | None = None) -> Reduction:
    def rule(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
        op = REGISTRY[bools if bools and x.dtype is DType.boolean else numbers]
        places = {int(place) for place in equation.params["axes"]}
        return reduced(op, x, places)

    return rule


def _bits(bools: str) -> Any:
    """Of bools an op of their own; of integers, bit by bit."""

    def rule(tr: Translator, equation: JaxprEqn) -> Results:
        x = tr.read(equation.invars[0])
        if x.dtype is not DType.boolean:
            return tr.define(equation, DEFINITIONS[equation.primitive.name])
        return reduced(REGISTRY[bools], x, {int(place) for place in equation.params["axes"]})

    return rule


def reduced(op: Op, x: Positional, places: set[int]) -> Positional:
    """The array without some of its dimensions, all of which the reduction counts."""
    over = [axis for place in sorted(places) if (axis := x.dims[place]) is not None]
    term = op(x.term.broadcast(*over), over=over) if over else x.term
    return Positional(term, tuple(axis for i, axis in enumerate(x.dims) if i not in places))


def _arg(name: str) -> Reduction:
    def rule(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
        (place,) = equation.params["axes"]
        dtype = dtype_of(equation.params["index_dtype"])
        dims = (*x.dims[:place], *x.dims[place + 1 :])
        if x.dims[place] is None:
            return Positional(tr.constant(0, dtype), dims)
        full = carrying(x, place)
        term = full.term.cast(DType.i32) if x.dtype is DType.boolean else full.term
        return Positional(REGISTRY[name](term, axis=full.dims[place], dtype=dtype), dims)

    return rule


def _cumulative(name: str) -> Reduction:
    def rule(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
        place = int(equation.params["axis"])
        if x.dims[place] is None:
            return x
        full = carrying(x, place)
        reverse = bool(equation.params["reverse"])
        term = REGISTRY[name](full.term, axis=full.dims[place], reverse=reverse)
        return Positional(term, full.dims)

    return rule


def _sort(tr: Translator, equation: JaxprEqn, *xs: Positional) -> list[Positional]:
    terms, dims = aligned(*xs)
    axis = dims[int(equation.params["dimension"])]
    if axis is None:
        return list(xs)
    keys = int(equation.params["num_keys"])
    found = ops.sort.emit(*(term.broadcast(axis) for term in terms), axis=axis, keys=keys)
    return [Positional(term, dims) for term in found]


def _top_k(tr: Translator, equation: JaxprEqn, x: Positional) -> list[Positional]:
    place, k = int(equation.params.get("axis", x.rank - 1)), tr.size(equation.params["k"])
    full, into = carrying(x, place), tr.fresh(k)
    values, indices = ops.top_k.emit(full.term, axis=full.dims[place], k=k, into=into)
    dtype = dtype_of(_jax.aval(equation.outvars[1]).dtype)
    dims = full.with_dim(place, into).dims
    return [Positional(values, dims), Positional(indices.cast(dtype), dims)]


RULES: dict[str, Any] = {
    "dot_general": _dot_general,
    "reduce_sum": _reduction("sum"),
    "reduce_prod": _reduction("prod"),
    "reduce_max": _reduction("max", "any"),
    "reduce_min": _reduction("min", "all"),
    "argmax": _arg("argmax"),
    "argmin": _arg("argmin"),
    **{
        name: _cumulative(name)
        for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
    },
    "sort": _sort,
    "top_k": _top_k,
}
STRUCTURAL: dict[str, Any] = {"reduce_or": _bits("any"), "reduce_and": _bits("all")}
