"""Every op with a derivative, at operands away from its kinks."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Region, Value
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Type, Typing
from tests.ir.small import named

SIZES = {
    "a": 3, "b": 2, "b2": 2, "n": 4, "m": 6, "none": 0, "one": 1, "kh": 3, "kw": 2, "h": 5, "w": 4,
    "s": symbol("s"), "t": symbol("t"), "two_s": symbol("s") * 2,
}  # fmt: skip
SYMBOLS = {"s": 3, "t": 4}


def extent(axis: str) -> int:
    size = SIZES[axis]
    return size if isinstance(size, int) else {"s": 3, "t": 4, "two_s": 6}[axis]


@frozen
class Case:
    """A function, and for each operand its axes and range, or fixed integers."""

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    forward_only: bool = False


def case(function: Callable[..., Any], *operands: Any, forward_only: bool = False) -> Case:
    return Case(function, operands, forward_only)


def wide(axes: str = "a") -> tuple[str, float, float]:
    return (axes, -2.0, 2.0)


def positive(axes: str = "a") -> tuple[str, float, float]:
    return (axes, 0.5, 2.0)


def inside(axes: str = "a") -> tuple[str, float, float]:
    return (axes, -0.8, 0.8)


def op(name: str, *operands: Any, **attrs: Any) -> Case:
    return case(lambda *xs: ops.__getattr__(name)(*xs, **attrs), *operands)


WIDE = "exp expm1 sin cos atan sinh cosh tanh asinh logistic erf erfc abs neg"
POSITIVE = "log log1p sqrt rsqrt lgamma"
INSIDE = "tan asin acos atanh erf_inv"
FLAT = "floor ceil round trunc sign"
ACTIVATIONS = (
    "relu gelu quick_gelu silu softplus log_sigmoid mish leaky_relu elu selu "
    "hard_sigmoid hard_swish"
)
PAIRS = (wide("a b"), wide("b n"))
CONV = {
    "axes": ("h", "w"), "kernel": ("kh", "kw"), "into": ("oh", "ow"), "over": ("a",),
    "stride": (2, 1), "dilation": (1, 2), "base_dilation": (1, 2), "low": (1, -1), "high": (0, 2),
}  # fmt: skip
POOL = {
    "axes": ("h", "w"), "into": ("oh", "ow"), "size": (3, 2), "stride": (2, 1),
    "dilation": (1, 1), "low": (1, 0), "high": (0, 1),
}  # fmt: skip
AT = named([2, 0, 2], "a")
ROW = named([[1, 0, 1], [0, 1, 1]], "b a")
MASK = named([[True, False, True, True]] * 2 + [[False] * 4], "a n")


def body(typing: Typing, types: list[Type], function: Callable[..., Any]) -> Region:
    builder = Builder(typing)
    terms = [Term(Value(x), builder) for x in types]
    with builder:
        result = function(*terms)
    results = [result] if isinstance(result, Term) else list(result)
    outputs = tuple(term.value for term in results)
    return Region(tuple(term.value for term in terms), tuple(builder.nodes), outputs)


def controlled(name: str, operands: list[Term], *functions: Any, **attrs: Any) -> tuple[Term, ...]:
    """A control-flow node whose regions are these functions of what they are fed."""
    builder = operands[0].builder
    types = [x.type for x in operands]
    if name == "cond":
        types = types[1:]
    if name == "scan":
        last = attrs["carry"] + attrs["xs"]
        types = [x.without((attrs["axis"],)) if i < last else x for i, x in enumerate(types)]
    regions = [body(builder.typing, types, function) for function in functions]
    return builder.emit(ops.__getattr__(name), operands, attrs, regions)


def recurrent(h: Term, x: Term, weight: Term, *, reverse: bool = False, axis: str = "n") -> Any:
    def step(h: Term, count: Term, x: Term, w: Term) -> Any:
        mixed = ops.contract(h, w, over="b").rename(b2="b")
        new = ops.tanh(mixed + x) * (count.cast("f64") + 1.0)
        return new, count + 1, new * h, count

    start = h.builder.constant(0, "i64")
    fed = [h, start, x, weight]
    return controlled("scan", fed, step, axis=axis, carry=2, xs=1, reverse=reverse)


def repeated(x: Term, w: Term) -> Any:
    def going(count: Term, x: Term, w: Term) -> Term:
        return count < 3

    start = x.builder.constant(0, "i64")

    def step(count: Term, x: Term, w: Term) -> Any:
        return count + 1, ops.sin(x) * w + x

    return controlled("while", [start, x, w], going, step, carry=2)[1]


def until_large(x: Term, w: Term) -> Any:
    """Each element stops by itself."""
    return controlled("while", [x, w], lambda x, w: x < 5.0, lambda x, w: x * x + w + 1.0, carry=1)[
        0
    ]


def nested(pred: Term, h: Term, x: Term, weight: Term) -> Any:
    def through(h: Term, x: Term, w: Term) -> Any:
        return recurrent(h, x, w)[2]

    return controlled("cond", [pred, h, x, weight], through, lambda h, x, w: x * h)


RNN = (wide("b"), wide("n a b"), wide("b b2"))
TWO = (lambda x, y: (ops.sin(x) * y, y), lambda x, y: (x, x * x))
CONTROL: dict[str, Case] = {
    "call": case(lambda x, y: controlled("call", [x, y], TWO[0]), *PAIRS),
    **{
        f"cond_{pred}": case(
            lambda p, x, y: controlled("cond", [p, x, y], *TWO), named(pred), *PAIRS
        )
        for pred in (True, False)
    },
    "cond_elementwise": case(
        lambda p, x, y: controlled(
            "cond", [p, x, y], lambda x, y: x.sum("b") * y.sum("b"), lambda x, y: y.max("b")
        ),
        MASK,
        *PAIRS,
    ),
    "scan": case(recurrent, *RNN),
    "scan_backward": case(lambda *xs: recurrent(*xs, reverse=True), *RNN),
    "scan_symbolic": case(
        lambda *xs: recurrent(*xs, axis="s"), wide("b"), wide("s b"), wide("b b2")
    ),
    "scan_nothing": case(
        lambda *xs: recurrent(*xs, axis="none"), wide("b"), wide("none b"), wide("b b2")
    ),
    "scan_narrow_start": case(recurrent, wide("b"), wide("n a b"), wide("b b2 m")),
    "nested": case(nested, named(True), wide("b"), wide("n b"), wide("b b2")),
    "while": case(repeated, *PAIRS, forward_only=True),
    "while_elementwise": case(until_large, positive("a"), positive("b"), forward_only=True),
}

CASES: dict[str, Case] = {
    **{name: op(name, wide("a b")) for name in f"{WIDE} {ACTIVATIONS}".split()},
    **{name: op(name, positive("a b")) for name in POSITIVE.split()},
    **{name: op(name, inside("a b")) for name in INSIDE.split()},
    **{name: op(name, inside("a b")) for name in FLAT.split()},
    "acosh": op("acosh", ("a b", 1.5, 3.0)),
    "gelu_tanh": op("gelu", wide("a b"), approximate="tanh"),
    "softplus_threshold": op("softplus", wide("a b"), beta=3.0, threshold=2.0),
    "clip": op("clip", wide("a b"), low=-0.7, high=0.9),
    "glu": op("glu", wide("b n"), axis="n", into="half"),
    **{name: op(name, *PAIRS) for name in ["add", "sub", "mul", "maximum", "minimum", "logaddexp"]},
    **{name: op(name, wide("a b"), positive("b n")) for name in ("div", "rem", "mod")},
    "atan2": op("atan2", wide("a b"), positive("b n")),
    "pow": op("pow", positive("a b"), wide("b n")),
    "square": case(lambda x: x * x, wide()),
    "select": case(lambda m, x, y: ops.select(m, x, y), MASK, wide("a"), wide("n")),
    "casts": case(lambda x: (x * 3).cast("f64"), wide("a")),
    "rename": op("rename", wide("a b"), axes={"a": "other"}),
    "split": op("split", wide("b m"), axis="m", into=("x", "y"), sizes=(2, 3)),
    "split_symbolic": op("split", wide("two_s"), axis="two_s", into=("x", "y"), sizes=(2, "s")),
    "merge": op("merge", wide("a b n"), axes=("n", "a"), into="na"),
    "merge_symbolic": op("merge", wide("s t"), axes=("t", "s"), into="ts"),
    "broadcast": op("broadcast", wide("a"), axes=("b", "n")),
    "index": op("index", wide("a n"), axis="n", at=2),
    "index_symbolic": case(lambda x: x[{"s": -1}], wide("a s")),
    "slice": op("slice", wide("m b"), axis="m", start=1, stop=6, step=2, into="some"),
    "slice_symbolic": case(lambda x: x[{"s": slice(1, None)}], wide("s b")),
    "slice_strided": case(lambda x: x[{"t": slice(1, None, 2)}], wide("t b")),
    "slice_empty": op("slice", wide("m b"), axis="m", start=4, stop=4, step=2, into="some"),
    "slice_whole": op("slice", wide("a"), axis="a", start=0, stop=3, into="a"),
    "concat": op("concat", wide("a"), wide("b n"), wide("b"), axes=("a", "n", "n"), into="all"),
    "concat_symbolic": op("concat", wide("s"), wide("t s"), axes=("s", "t"), into="all"),
    "pad": op("pad", wide("a n"), wide("b"), axis="n", low=2, high=1, interior=2, into="more"),
    "pad_by_itself": op("pad", wide("a n"), wide("n"), axis="n", low=2, high=1, into="more"),
    "pad_symbolic": op("pad", wide("s"), wide(""), axis="s", low="t", high=1, into="more"),
    "pad_new": op("pad", wide("a"), wide(""), axis="n", low=2, high=1, into="more"),
    "pad_empty": op("pad", wide("none"), wide(""), axis="none", low=1, high=1, into="more"),
    "flip": op("flip", wide("a n"), axes=("n",)),
    "contract": op("contract", wide("a b n"), wide("m n b"), over=("b",)),
    "contract_symbolic": op("contract", wide("a s"), wide("s b"), over=("s",)),
    "contract_nothing": op("contract", wide("a none"), wide("none b"), over=("none",)),
    "outer": op("contract", wide("a"), wide("b"), over=()),
    "sum": op("sum", wide("a b n"), over=("a", "n")),
    "prod": op("prod", wide("a b n"), over=("a", "n")),
    "prod_empty": op("prod", wide("b none"), over=("none",)),
    "max": op("max", wide("a b n"), over=("a", "n")),
    "min": op("min", wide("a b n"), over=("a", "n")),
    **{
        f"{name}_{word}": op(name, wide("b n"), axis="n", reverse=word == "backward")
        for name in ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"]
        for word in ("forward", "backward")
    },
    "sort": case(lambda x, y: ops.sort.emit(x, y, axis="n"), wide("a n"), wide("n b")),
    "top_k": case(lambda x: ops.top_k.emit(x, axis="n", k=2, into="k")[0], wide("a n")),
    "gather": op("gather", wide("n b"), ROW, axes=("n",)),
    "gather_own": op("gather", wide("a n"), AT, axes=("n",)),
    "gather_two": op("gather", wide("a b n"), AT, named([1, 0, 1], "a"), axes=("n", "b")),
    "gather_fill": op("gather", wide("b n"), named([9, -1, 2], "a"), axes=("n",), mode="fill"),
    "gather_clip": op("gather", wide("b n"), named([9, -1, 2], "a"), axes=("n",), mode="clip"),
    "scatter": op(
        "scatter", wide("n b"), wide("a b"), named([2, 0, 1], "a"), axes=("n",), over=("a",)
    ),
    "scatter_add": op(
        "scatter", wide("n b"), wide("b"), AT, axes=("n",), over=("a",), combine="add"
    ),
    "scatter_drop": op(
        "scatter",
        wide("n b"),
        wide("a"),
        named([2, 9, 1], "a"),
        axes=("n",),
        over=("a",),
        mode="drop",
    ),
    "window": op(
        "window", wide("m b"), axis="m", into="i", kernel="j", size=2, stride=2, dilation=2
    ),
    "mean": op("mean", wide("a b s"), over=("a", "s")),
    "var": op("var", wide("a b s"), over=("a", "s"), correction=1.0),
    "logsumexp": op("logsumexp", wide("a b n"), over=("a", "n")),
    "softmax": op("softmax", wide("a s"), axis="s"),
    "log_softmax": op("log_softmax", wide("a s"), axis="s"),
    "linear": op("linear", wide("b a"), wide("a n"), wide("n"), over=("a",)),
    "embedding": op("embedding", wide("n a"), named([3, 1], "b"), axis="n"),
    **{
        f"rotary_{style}": op("rotary", wide("b n"), wide("n"), wide("b n"), axis="n", style=style)
        for style in ("half", "interleaved")
    },
    "layer_norm": op("layer_norm", wide("b m"), wide("m"), wide("m"), over=("m",), eps=0.1),
    "rms_norm": op("rms_norm", wide("b m"), wide("m"), over=("m",), eps=0.1, offset=1.0),
    "batch_norm": op(
        "batch_norm", wide("b m"), wide("m"), positive("m"), wide("m"), wide("m"), eps=0.1
    ),
    "group_norm": op(
        "group_norm", wide("b m a"), wide("m"), wide("m"), axis="m", groups=2, over=("a",), eps=0.1
    ),
    **{
        f"attention_{rows}": op(
            "attention",
            wide("a b m"),
            wide("n m"),
            wide("n b m"),
            MASK,
            over="m",
            key="n",
            scale=0.5,
            softcap=2.0,
            masked_rows=rows,
        )
        for rows in ("zero", "mean")
    },
    "attention_bias": op(
        "attention", wide("a m"), wide("n m"), wide("n m"), wide("a n"), over="m", key="n"
    ),
    "conv": op("conv", wide("a h w"), wide("n a kh kw"), **CONV),
    "max_pool": op("max_pool", wide("b h w"), **POOL),
    "avg_pool": op("avg_pool", wide("b h w"), **POOL),
    "cross_entropy": op(
        "cross_entropy", wide("a n"), named([3, -100, 1], "a"), axis="n", ignore=-100
    ),
    "dynamic_slice": op("dynamic_slice", wide("a n"), named(3), axis="n", size=2, into="k"),
    "dynamic_update_slice": op(
        "dynamic_update_slice", wide("a n"), wide("b"), named(1), axis="n", update_axis="b"
    ),
}

ALL = CASES | CONTROL
