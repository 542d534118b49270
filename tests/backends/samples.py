"""Sample graphs that every backend is held to: each op of the IR on awkward, hand-made inputs.

`SAMPLES` is a list of small named graphs with inputs; the numpy reference says what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.graph import Graph, Parameter, Port, Region, Value
from graftwork.ir.sizes import Size, parse_size
from graftwork.ir.store import Store
from graftwork.ir.types import Type

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Sample:
    """A graph and inputs to run it on; `tolerance` scales what floats are allowed to differ by."""

    name: str
    graph: Graph
    inputs: Mapping[str, Array]
    tolerance: float = 1.0


def graph_of(
    build: Callable[..., Any],
    inputs: Mapping[str, tuple[str, Array]],
    parameters: Mapping[str, tuple[str, Array]] | None = None,
    sizes: Mapping[str, str] | None = None,
) -> Graph:
    """A graph of one expression: `build` takes a term for each input and parameter, by name.

    An input is `(axes, array)`; `1` among the axes is a unit dimension. An axis has the extent of
    the array, or the size that `sizes` gives it as text.
    """
    parameters = parameters or {}
    builder = Builder()
    for layout, array in (*inputs.values(), *parameters.values()):
        for axis, extent in zip(layout.split(), array.shape, strict=True):
            if axis != "1":
                size: Size = parse_size(sizes[axis]) if axis in (sizes or {}) else extent
                builder.typing.make(axis, size)
    terms = {
        name: builder.input(dtype_of(array.dtype), _named(layout), name)
        for name, (layout, array) in (*inputs.items(), *parameters.items())
    }
    with builder:
        result = build(**terms)
    if isinstance(result, Term):
        result = {"out": result}
    elif not isinstance(result, Mapping):
        result = {f"out{i}": term for i, term in enumerate(result)}
    return Graph(
        tuple(Port(name, terms[name].value, _layout(inputs[name][0])) for name in inputs),
        tuple(
            Parameter(name, terms[name].value, _layout(parameters[name][0])) for name in parameters
        ),
        tuple(builder.nodes),
        tuple(Port(name, term.value, term.axes) for name, term in result.items()),
        dict(builder.typing.table),
        Store(({name: array for name, (_, array) in parameters.items()},)),
    )


def _layout(axes: str) -> tuple[str | None, ...]:
    return tuple(None if axis == "1" else axis for axis in axes.split())


def _named(axes: str) -> tuple[str, ...]:
    return tuple(axis for axis in axes.split() if axis != "1")


def region(
    like: Term, inputs: Sequence[tuple[DType | str, str]], build: Callable[..., Any]
) -> Region:
    """A closed region over the axis table of the graph in which `like` is being built."""
    builder = Builder(like.builder.typing)
    values = tuple(Value(Type(dtype_of(dtype), tuple(axes.split()))) for dtype, axes in inputs)
    with builder:
        result = build(*(Term(value, builder) for value in values))
    terms = (result,) if isinstance(result, Term) else tuple(result)
    return Region(values, tuple(builder.nodes), tuple(term.value for term in terms))


def control(
    op: Any, operands: Sequence[Term], regions: Sequence[Region], **attrs: Any
) -> tuple[Term, ...]:
    """Build a control-flow node."""
    return operands[0].builder.emit(op, operands, attrs, regions)


def sample(
    name: str,
    build: Callable[..., Any],
    parameters: Mapping[str, tuple[str, Array]] | None = None,
    sizes: Mapping[str, str] | None = None,
    tolerance: float = 1.0,
    **inputs: tuple[str, Array],
) -> Sample:
    graph = graph_of(build, inputs, parameters, sizes)
    arrays = {name: array for name, (_, array) in inputs.items()}
    return Sample(name, graph, arrays, tolerance)


# --- inputs -------------------------------------------------------------------------------------

F64, F32, I64, I32, BOOL = np.float64, np.float32, np.int64, np.int32, np.bool_
FLOATS = (F64, F32)
INTS = (np.int8, np.int16, I32, I64, np.uint8, np.uint16, np.uint32, np.uint64)


def normal(*shape: int, dtype: Any = F64, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


def whole(*shape: int, low: int = 0, high: int = 5, dtype: Any = I64, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).integers(low, high, size=shape).astype(dtype)


def bools(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).integers(0, 2, size=shape).astype(np.bool_)


def edge_floats(dtype: Any = F64) -> Array:
    values = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0, 3.7, -3.7, np.inf, -np.inf, np.nan]
    return np.array(values, dtype)


def edge_ints(dtype: Any) -> Array:
    info = np.iinfo(dtype)
    values = [0, 1, 2, 3, 7, 8, info.max, info.max - 1, info.min, info.min + 1, info.max // 2]
    return np.array(values, dtype)


# --- elementwise --------------------------------------------------------------------------------

_DOMAIN = {  # where the function is real
    "log": (0.1, 3), "sqrt": (0, 3), "rsqrt": (0.1, 3), "asin": (-1, 1), "acos": (-1, 1),
    "acosh": (1, 4), "atanh": (-0.9, 0.9), "log1p": (-0.9, 3), "erf_inv": (-0.9, 0.9),
    "lgamma": (0.1, 4), "digamma": (0.1, 4),
}  # fmt: skip
UNARY = ["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "logistic", "erf", "erfc", "erf_inv", "lgamma", "digamma"]


def _unary() -> list[Sample]:
    found = []
    for name in UNARY:
        low, high = _DOMAIN.get(name, (-3, 3))
        for dtype in FLOATS:
            x = np.linspace(low, high, 12, dtype=dtype).reshape(3, 4)
            title = f"{name}-{x.dtype}"
            found.append(sample(title, lambda x, n=name: ops.__getattr__(n)(x), x=("a b", x)))
    for name in ("floor", "ceil", "round", "trunc", "sign", "neg", "abs", "is_finite", "is_nan"):
        found.append(
            sample(name, lambda x, n=name: ops.__getattr__(n)(x), x=("a", edge_floats()))
        )
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
            negative = np.issubdtype(source, np.floating) and not np.dtype(target).kind == "u"
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


# --- axes ---------------------------------------------------------------------------------------


def _axes() -> list[Sample]:
    x, y = normal(2, 6, 3), normal(4, 3)
    ids = whole(2, 6)
    return [
        sample("constant", lambda x: ops.constant(value=y, axes=("t", "c")) + x, x=("a b c", x)),
        sample("constant-empty", lambda x: x * 1.0, x=("a b", normal(0, 3))),
        sample("iota", lambda x: x.cast("i64") + ops.iota(axis="b"), x=("a b c", x)),
        sample("iota-u8", lambda x: (x, ops.iota(axis="b", dtype="u8")), x=("a b c", x)),
        sample("iota-f32", lambda x: (x, ops.iota(axis="b", dtype="f32")), x=("a b c", x)),
        sample("size", lambda x: (x, ops.size(value="n // 4 + max(n, 3) % 5")), x=("a b c", x),
               sizes={"b": "n"}),
        sample("rename", lambda x: x.rename(b="z", c="y"), x=("a b c", x)),
        sample("split", lambda x: x.split("b", h=2, d=3), x=("a b c", x)),
        sample("split-merge", lambda x: x.split("b", h=2, d=3).merge("d", "c", "h", into="f"),
               x=("a b c", x)),
        sample("merge-apart", lambda x: x.merge("c", "a", into="f"), x=("a b c", x)),
        sample("merge-none", lambda x: ops.merge(x, axes=(), into="f"), x=("a b c", x)),
        sample("merge-empty", lambda x: x.merge("c", "a", into="f"), x=("a b c", x[:0])),
        sample("broadcast", lambda x, y: (x.sum("b"), y.broadcast("a", "b")), x=("a b c", x),
               y=("t c", y)),
        sample("broadcast-sum", lambda x, y: (y.broadcast("a").sum("a", "t"), x),
               x=("a b c", x), y=("t c", y)),
        sample("index", lambda x: x[{"b": -1, "c": 0}], x=("a b c", x), sizes={"b": "n"}),
        sample("slice", lambda x: x[{"b": slice(1, -1, 2)}], x=("a b c", x), sizes={"b": "n"}),
        sample("slice-none", lambda x: x[{"b": slice(4, 2)}], x=("a b c", x)),
        sample("concat", lambda x, y: ops.concat(x, y, axes=("b", "t"), into="z"),
               x=("a b c", x), y=("t c", y)),
        sample("concat-new", lambda x, y: ops.concat(x, y, axes=("new", "new"), into="new"),
               x=("a b c", x), y=("t c", y)),
        sample("concat-one", lambda y: ops.concat(y, axes=("t",), into="z"), y=("t c", y)),
        sample("concat-empty", lambda x, y: ops.concat(x, y, axes=("b", "t"), into="z"),
               x=("a b c", x[:, :0]), y=("t c", y)),
        sample("pad", lambda x: ops.pad(x, 1.5, axis="b", low=2, high=1, into="z"),
               x=("a b c", x)),
        sample("pad-interior", lambda x: ops.pad(x, 0.0, axis="b", low=1, interior=2, into="z"),
               x=("a b c", x), sizes={"b": "n"}),
        sample("pad-int", lambda x: ops.pad(x, -1, axis="a", high=3, into="z"), x=("a b", ids)),
        sample("pad-bool", lambda x: ops.pad(x, True, axis="a", high=3, into="z"),
               x=("a b", bools(2, 3))),
        sample("pad-new", lambda x: ops.pad(x, 0.0, axis="z", low=1, high=1, into="z"),
               x=("a b c", x)),
        sample("pad-array", lambda x, v: ops.pad(x, v, axis="b", low=1, high=1, into="z"),
               x=("a b c", x), v=("c v", normal(3, 2))),
        sample("flip", lambda x: ops.flip(x, axes=("a", "c")), x=("a b c", x)),
        sample("unit-dims", lambda x: {"out": x + 1.0}, x=("1 a 1 b", x[None, :, None, :, 0])),
        sample("parameters", lambda x, w: x * w, x=("a b c", x),
               parameters={"w": ("c 1", normal(3, 1))}),
        sample("no-nodes", lambda x: x, x=("a b c", x)),
    ]  # fmt: skip


# --- contraction, reduction, order --------------------------------------------------------------


def _contractions() -> list[Sample]:
    x, w = normal(2, 3, 4), normal(5, 4)
    q, k = normal(2, 3, 5, 4), normal(2, 3, 6, 4)
    cases: list[tuple[str, tuple[str, Array], tuple[str, Array], str]] = [
        ("linear", ("b s e", x), ("o e", w), "e"),
        ("linear-t", ("b s e", x), ("e o", w.T.copy()), "e"),
        ("scores", ("b h s d", q), ("b h t d", k), "d"),
        ("apart", ("b s h d", q), ("h b t d", normal(5, 2, 6, 4)), "d"),
        ("outer", ("a", normal(3)), ("b", normal(4)), ""),
        ("zip-only", ("a b", normal(3, 4)), ("b a", normal(4, 3)), ""),
        ("all", ("a b", normal(3, 4)), ("b a", normal(4, 3)), "a b"),
        ("dot", ("a", normal(3)), ("a", normal(3, seed=1)), "a"),
        ("empty", ("a b", normal(3, 0)), ("b c", normal(0, 2)), "b"),
        ("f32", ("b s e", x.astype(F32)), ("o e", w.astype(F32)), "e"),
        ("f16", ("b s e", x.astype(np.float16)), ("o e", w.astype(np.float16)), "e"),
        ("int", ("a b", whole(3, 4)), ("b c", whole(4, 2, low=-3)), "b"),
        ("int8", ("a b", whole(3, 4, high=90, dtype=np.int8)),
         ("b c", whole(4, 2, high=90, dtype=np.int8)), "b"),
        ("u32", ("a b", whole(3, 4, high=2**32, dtype=np.uint32)),
         ("b c", whole(4, 2, high=2**32, dtype=np.uint32)), "b"),
    ]  # fmt: skip
    return [
        sample(
            f"contract-{name}",
            lambda a, b, over=over: ops.contract(a, b, over=over.split()),
            a=a,
            b=b,
            tolerance=100 if a[1].dtype == np.float16 else 1,
        )
        for name, a, b, over in cases
    ]


def _reductions() -> list[Sample]:
    found = []
    x = normal(2, 3, 4)
    holes = np.where(bools(2, 3, 4), np.nan, x)
    for name in ("sum", "prod", "max", "min"):
        for dtype in (F64, F32, I64, np.int8, np.uint32):
            array = (x * 3).astype(dtype) if dtype is not np.uint32 else whole(2, 3, 4, dtype=dtype)
            title = f"{name}-{array.dtype}"
            found += [
                sample(title, lambda x, n=name: ops.__getattr__(n)(x, over=("a", "c")),
                       x=("a b c", array)),
                sample(f"{title}-empty", lambda x, n=name: ops.__getattr__(n)(x, over="b"),
                       x=("a b", array[0, :, :][:, :0].copy())),
            ]  # fmt: skip
        found += [
            sample(f"{name}-nan", lambda x, n=name: ops.__getattr__(n)(x, over="b"),
                   x=("a b c", holes)),
            sample(f"{name}-none", lambda x, n=name: ops.__getattr__(n)(x, over=()),
                   x=("a b c", x)),
        ]  # fmt: skip
    for name in ("any", "all"):
        for over in ((), ("b",), ("a", "b")):
            found.append(
                sample(f"{name}-{len(over)}", lambda x, n=name, o=over: ops.__getattr__(n)(
                    x, over=o), x=("a b", bools(3, 4)))
            )  # fmt: skip
        found.append(sample(f"{name}-empty", lambda x, n=name: ops.__getattr__(n)(x, over="b"),
                            x=("a b", bools(3, 0))))  # fmt: skip
    ties = whole(4, 5, high=3)
    for name in ("argmax", "argmin"):
        for title, array in (("ties", ties), ("nan", np.where(ties == 0, np.nan, ties)),
                             ("float", normal(4, 5)), ("u32", ties.astype(np.uint32))):  # fmt: skip
            found.append(sample(
                f"{name}-{title}", lambda x, n=name: ops.__getattr__(n)(x, axis="b", dtype="i32"),
                x=("a b", array)))  # fmt: skip
    return found


def _cumulatives() -> list[Sample]:
    found = []
    x = normal(3, 4)
    for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
        arrays: list[Array] = [x, x.astype(F32), x[:, :0].copy()]
        if name != "cumlogsumexp":
            arrays += [whole(3, 4, low=-3), whole(3, 4, high=200, dtype=np.uint8)]
            arrays += [whole(3, 4, high=2**32, dtype=np.uint32)]
            arrays.append(np.where(bools(3, 4), np.nan, x))
        for i, array in enumerate(arrays):
            for reverse in (False, True):
                found.append(sample(
                    f"{name}-{i}{'r' * reverse}",
                    lambda x, n=name, r=reverse: ops.__getattr__(n)(x, axis="b", reverse=r),
                    x=("a b", array)))  # fmt: skip
    return found


def _orders() -> list[Sample]:
    found = []
    ties = whole(3, 7, high=4)
    place = np.arange(7)
    arrays = {
        "int": ties, "float": normal(3, 7), "nan": np.where(ties == 0, np.nan, ties), "u32":
        ties.astype(np.uint32), "zeros": np.where(ties == 1, -0.0, np.where(ties == 2, 0.0, 1.0)),
        "f16": ties.astype(np.float16), "bool": ties > 1, "i8": (ties - 2).astype(np.int8),
    }  # fmt: skip
    for title, array in arrays.items():
        for descending in (False, True):
            word = f"{title}-{'down' if descending else 'up'}"
            found.append(sample(
                f"sort-{word}",
                lambda x, p, d=descending: ops.sort.emit(x, p, axis="b", descending=d),
                x=("a b", array), p=("b", place)))  # fmt: skip
        if title != "bool":
            found.append(sample(f"top_k-{title}", lambda x: ops.top_k.emit(
                x, axis="b", k=3, into="k"), x=("a b", array)))  # fmt: skip
    found.append(sample(
        "sort-two-keys",
        lambda x, y, p: ops.sort.emit(x, y, p, axis="b", keys=2, descending=True),
        x=("a b", ties), y=("b c", normal(7, 2)), p=("b", place)))  # fmt: skip
    found.append(sample("sort-empty", lambda x: ops.sort(x, axis="b"), x=("a b", normal(3, 0))))
    return found


# --- indexing -----------------------------------------------------------------------------------


def _gathers() -> list[Sample]:
    table, ids = normal(5, 3), whole(2, 4)
    wild = np.array([[0, -1, 4], [7, 2, -9]])
    wide = normal(2, 5, 3)
    return [
        sample("gather", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("b s", ids)),
        sample("gather-shared", lambda x, i: ops.gather(x, i, axes=("v",)), x=("b v e", wide),
               i=("b s", ids)),
        sample("gather-last", lambda x, i: ops.gather(x, i, axes=("v",)),
               x=("b e v", wide.transpose(0, 2, 1).copy()), i=("s b", ids.T.copy())),
        sample("gather-two", lambda x, i, j: ops.gather(x, i, j, axes=("v", "b")),
               x=("b v e", wide), i=("s", whole(4)), j=("t", whole(3, high=2))),
        sample("gather-same-name", lambda x, i: ops.gather(x, i, axes=("v",)),
               x=("b v", wide[:, :, 0]), i=("b v", whole(2, 5))),
        sample("gather-scalar", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("", np.array(3, I32))),
        sample("gather-none", lambda x: ops.gather(x, axes=()), x=("v e", table)),
        sample("gather-empty", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("s", np.zeros(0, I64))),
        sample("gather-clip", lambda x, i: ops.gather(x, i, axes=("v",), mode="clip"),
               x=("v e", table), i=("b s", wild)),
        sample("gather-fill", lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=-2.5),
               x=("v e", table), i=("b s", wild)),
        sample("gather-fill-shared",
               lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=float("nan")),
               x=("b v e", wide), i=("b s", wild)),
        sample("gather-fill-int", lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=9.0),
               x=("v", whole(5)), i=("b s", wild)),
        sample("gather-bool", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v", bools(5)),
               i=("b s", ids)),
        sample("gather-u8", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v", normal(5)),
               i=("b s", ids.astype(np.uint8))),
    ]  # fmt: skip


def _scatters() -> list[Sample]:
    x, ids = normal(5, 3), np.array([4, 0, 2])
    wild = np.array([1, -1, 9, 1])
    repeat = np.array([1, 1, 4, 1])
    found = [
        sample("scatter-set", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("s e", normal(3, 3)), i=("s", ids)),
        sample("scatter-shared", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("b v", normal(2, 5)), u=("b s", normal(2, 3)),
               i=("b s", np.array([[0, 1, 2], [4, 3, 0]]))),
        sample("scatter-free", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("w s", normal(2, 3)), i=("s", ids)),
        sample("scatter-point", lambda x, u, i: ops.scatter(x, u, i, axes=("v",)),
               x=("v e", x), u=("e", normal(3)), i=("", np.array(2))),
        sample("scatter-rows", lambda x, u, i: ops.scatter(x, u, i, axes=("v",)),
               x=("v", normal(5)), u=("b", normal(3)), i=("b", ids)),
        sample("scatter-two",
               lambda x, u, i, j: ops.scatter(x, u, i, j, axes=("e", "v"), over=("s", "t")),
               x=("v e", x), u=("", np.array(7.0)), i=("s", np.array([0, 2])), j=("t", ids)),
        sample("scatter-empty", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("s e", normal(0, 3)), i=("s", ids[:0])),
    ]  # fmt: skip
    for combine in ("add", "mul", "min", "max"):
        for dtype in (F64, I64, np.uint32):
            data = (x * 9).astype(dtype) if dtype is not np.uint32 else whole(5, 3, dtype=dtype)
            found.append(sample(
                f"scatter-{combine}-{data.dtype}",
                lambda x, u, i, c=combine: ops.scatter(
                    x, u, i, axes=("v",), over="s", combine=c),
                x=("v e", data), u=("s e", whole(4, 3, low=1).astype(dtype)),
                i=("s", repeat)))  # fmt: skip
    for combine in ("set", "add", "max"):
        for mode in ("drop", "clip"):
            where = wild if combine != "set" else np.array([1, -1, 9, 3])
            found.append(sample(
                f"scatter-{combine}-{mode}",
                lambda x, u, i, c=combine, m=mode: ops.scatter(
                    x, u, i, axes=("v",), over="s", combine=c, mode=m),
                x=("v e", x), u=("s e", normal(4, 3)), i=("s", where)))  # fmt: skip
    return found


def _windows() -> list[Sample]:
    x = normal(2, 9)
    return [
        sample(
            f"window-{size}-{stride}-{dilation}",
            lambda x, a=(size, stride, dilation): ops.window(
                x, axis="s", into="o", kernel="k", size=a[0], stride=a[1], dilation=a[2]
            ),
            x=("b s", x),
        )
        for size, stride, dilation in ((1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 4), (9, 1, 1))
    ]


# --- control flow -------------------------------------------------------------------------------


def _call(x: Term) -> Any:
    body = region(x, [("f64", "a b")], lambda y: (y * 2.0, y.sum("b")))
    return control(ops.call, [x], [body])


def _cond(p: Term, x: Term) -> Any:
    then = region(x, [("f64", "a b")], lambda y: (y * 2.0, y.sum("b")))
    other = region(x, [("f64", "a b")], lambda y: (ops.exp(y), y[{"b": 0}]))
    return control(ops.cond, [p, x], [then, other])


def _cond_wide(p: Term, x: Term) -> Any:
    """The branches give different axes."""
    then = region(x, [("f64", "a b")], lambda y: y.sum("a"))
    other = region(x, [("f64", "a b")], lambda y: y.sum("b"))
    return control(ops.cond, [p, x], [then, other])


def _while(n: Term, x: Term) -> Any:
    """Doubles x until it has done so n times; an element with its own n stops by itself."""
    zero = ops.constant(value=0)
    ports = [("i64", ""), ("f64", "a"), ("i64", " ".join(n.axes))]
    going = region(n, ports, lambda i, y, n: i < n)
    body = region(n, ports, lambda i, y, n: (i + 1, y * 2.0))
    return control(ops.while_, [zero, x, n], [going, body], carry=2)


def _while_wide(x: Term, y: Term) -> Any:
    """The carry gains an axis from a constant of the loop."""
    zero = ops.constant(value=0)
    ports = [("i64", ""), ("f64", "a"), ("f64", "b")]
    going = region(x, ports, lambda i, x, y: i < 3)
    body = region(x, ports, lambda i, x, y: (i + 1, x + y))
    return control(ops.while_, [zero, x, y], [going, body], carry=2)


def _scan(x: Term, h: Term, w: Term, reverse: bool = False) -> Any:
    def step(h: Term, x: Term, w: Term) -> Any:
        new = ops.tanh(ops.contract(h, w, over="e").rename(f="e") + x)
        return new, new.sum("e")

    body = region(x, [("f64", "e"), ("f64", "b e"), ("f64", "e f")], step)
    return control(ops.scan, [h, x, w], [body], axis="s", carry=1, xs=1, reverse=reverse)


def _scan_map(x: Term) -> Any:
    body = region(x, [("f64", "e")], lambda x: x * 2.0)
    return control(ops.scan, [x], [body], axis="s", carry=0, xs=1)


def _scan_count(x: Term) -> Any:
    """No scanned operand: only the length of the axis counts; two nested loops."""

    def outer(h: Term, x: Term) -> Any:
        inner = region(h, [("f64", "e"), ("f64", "e")], lambda a, b: a + b * 0.5)
        (new,) = control(ops.scan, [h, x], [inner], axis="t", carry=1, xs=0)
        return new

    body = region(x, [("f64", "e"), ("f64", "e")], outer)
    return control(ops.scan, [x.sum("s"), x], [body], axis="s", carry=1, xs=1)


def _controls() -> list[Sample]:
    x = normal(2, 3)
    seq, state, weight = normal(2, 5, 3), normal(3), normal(3, 3)
    found = [
        sample("call", _call, x=("a b", x)),
        sample("cond-true", _cond, p=("", np.array(True)), x=("a b", x)),
        sample("cond-false", _cond, p=("", np.array(False)), x=("a b", x)),
        sample("cond-axes", _cond, p=("b", bools(3)), x=("a b", x)),
        sample("cond-wide", _cond_wide, p=("", np.array(True)), x=("a b", normal(3, 2))),
        sample("while", _while, n=("", np.array(3)), x=("a", normal(4))),
        sample("while-none", _while, n=("", np.array(0)), x=("a", normal(4))),
        sample("while-axes", _while, n=("b", np.array([3, 0, 1])), x=("a", normal(4))),
        sample("while-wide", _while_wide, x=("a", normal(4)), y=("b", normal(3))),
    ]
    for reverse in (False, True):
        found.append(sample(
            f"scan{'-reverse' * reverse}",
            lambda x, h, w, r=reverse: _scan(x, h, w, r),
            x=("b s e", seq), h=("e", state), w=("e f", weight), sizes={"s": "seq", "b": "batch"},
        ))  # fmt: skip
    found += [
        sample("scan-empty", _scan, x=("b s e", seq[:, :0]), h=("e", state), w=("e f", weight)),
        sample("scan-map", _scan_map, x=("e s", normal(3, 4))),
        sample("scan-nested", lambda x, t: _scan_count(x), x=("e s", normal(3, 4)),
               t=("t", normal(2))),
    ]  # fmt: skip
    return found


SAMPLES: list[Sample] = [
    *_unary(),
    *_binary(),
    *_casts(),
    *_zips(),
    *_axes(),
    *_contractions(),
    *_reductions(),
    *_cumulatives(),
    *_orders(),
    *_gathers(),
    *_scatters(),
    *_windows(),
    *_controls(),
]
