"""Graphs with symbolic sizes, and inputs for them at any size: compiled once, run at many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.graph import Graph
from graftwork.ir.size_text import parse_size
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import symbol
from tests.backends.build import Array, control, graph_of, region

STATIC = {"c": 8, "embed": 4, "f": 6, "heads": 2, "dim": 3, "k": 3, "e": 5, "key": 2}
PLAIN = {"a": "n", "b": "m", "d": "d", "t": "t"}
SYMBOLS = [
    {"n": 2, "m": 3, "t": 4, "d": 2},
    {"n": 1, "m": 1, "t": 1, "d": 1},
    {"n": 0, "m": 2, "t": 2, "d": 3},
    {"n": 3, "m": 0, "t": 0, "d": 1},
    {"n": 1, "m": 2, "t": 0, "d": 0},
    {"n": 4, "m": 6, "t": 1, "d": 2},
]


@frozen(eq=False)
class Dynamic:
    """An expression of inputs whose axes have symbolic sizes.

    `inputs` are axes, or a dtype and axes; `sizes` are those of axes that are not in `STATIC`.
    """

    name: str
    build: Callable[..., Any]
    inputs: Mapping[str, str | tuple[str, str]]
    sizes: Mapping[str, str] = PLAIN

    def arrays(self, symbols: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
        """Inputs at these extents."""
        rng = np.random.default_rng(seed)
        found = {}
        for name, form in self.inputs.items():
            dtype, axes = ("f64", form) if isinstance(form, str) else form
            shape = [self._extent(axis, symbols) for axis in axes.split()]
            found[name] = _drawn(rng, dtype, shape)
        return found

    def graph(self) -> Graph:
        arrays = self.arrays(SYMBOLS[0])
        forms = {n: f if isinstance(f, str) else f[1] for n, f in self.inputs.items()}
        return graph_of(self.build, {n: (forms[n], arrays[n]) for n in arrays}, sizes=self.sizes)

    def _extent(self, axis: str, symbols: Mapping[str, int]) -> int:
        if axis in self.sizes:
            return evaluate(parse_size(self.sizes[axis]), symbols)
        return STATIC[axis]


def _drawn(rng: np.random.Generator, dtype: str, shape: list[int]) -> Array:
    if dtype == "i64":
        return rng.integers(-2, 6, size=shape)
    if dtype == "u32":
        return rng.integers(0, 2**32, size=shape, dtype=np.uint32)
    drawn = rng.normal(size=shape)
    return drawn > 0 if dtype == "bool" else drawn


def _cached_attention(
    x: Term, wq: Term, wk: Term, wv: Term, wo: Term, past_k: Term, past_v: Term, mask: Term
) -> Any:
    q, k, v = (ops.linear(x, w, over="embed").split("f", heads=2, dim=3) for w in (wq, wk, wv))
    k, v = (
        ops.concat(past, new.rename(b="fresh"), axes=("past", "fresh"), into="kv")
        for past, new in ((past_k, k), (past_v, v))
    )
    z = ops.attention(q, k, v, mask, over="dim", key="kv", scale=0.5, masked_rows="zero")
    return {"y": ops.linear(z.merge("heads", "dim", into="f"), wo, over="f"), "k": k, "v": v}


def _scan(x: Term, h: Term) -> Any:
    def step(h: Term, x: Term) -> Any:
        return ops.tanh(h * 0.5 + x), h.sum("c")

    body = region(x, [("f64", "a c"), ("f64", "a c")], step)
    return control(ops.scan, [h, x], [body], axis="b", carry=1, xs=1, reverse=True)


def _while(x: Term) -> Any:
    ports = [("f64", "a b c")]
    going = region(x, ports, lambda y: ops.lt(y.sum("c"), 100.0))
    body = region(x, ports, lambda y: y * 1.5 + 1.0)
    return control(ops.while_, [x], [going, body], carry=1)


def _conv(x: Term, w: Term) -> Term:
    return ops.conv(
        x.cast("f32"), w.cast("f32"), axes="s", kernel="k", into="o", over="c",
        stride=(2,), dilation=(1,), base_dilation=(1,), low=(1,), high=(1,),
    ).cast("f64")  # fmt: skip


def _pool(x: Term) -> Term:
    return ops.max_pool(
        x, axes="s", into="o", size=(3,), stride=(2,), dilation=(1,), low=(1,), high=(1,)
    )


def _counted(x: Term) -> Term:
    rows = ops.iota(axis="a", dtype="f64") * ops.size(value="m", dtype="f64")
    return x + ops.iota(axis="b", dtype="f64") + rows


def _whole(name: str, **attrs: Any) -> Dynamic:
    """One op on one array."""
    return Dynamic(name, lambda x: ops.__getattr__(name)(x, **attrs), {"x": "a b c"})


DYNAMIC = [
    *(_whole(name, over=("a", "b")) for name in ("sum", "prod", "max", "mean", "logsumexp")),
    *(_whole(name, axis="b") for name in ("cumsum", "cumprod", "cummax", "softmax", "sort")),
    _whole("var", over=("b", "c"), correction=1.0),
    _whole("log_softmax", axis="c"),
    _whole("flip", axes=("a", "b")),
    Dynamic(
        "cached-attention", _cached_attention,
        {"x": "a b embed", "wq": "f embed", "wk": "f embed", "wv": "f embed", "wo": "embed f",
         "past_k": "a past heads dim", "past_v": "a past heads dim", "mask": ("bool", "a b kv")},
        {"a": "n", "b": "m", "past": "t", "kv": "t + m"},
    ),
    Dynamic("merge", lambda x: x.merge("a", "b", into="z") * 2.0, {"x": "a b c"}),
    Dynamic("merge-apart", lambda x: x.merge("c", "b", "a", into="z"), {"x": "a b c"}),
    Dynamic("split", lambda x: x.split("c", h=2, g=4).merge("g", "a", into="z"), {"x": "a b c"}),
    Dynamic("split-symbol", lambda x: x.split("e", p=symbol("n"), q=3), {"x": "a e"},
            {"a": "m", "e": "3*n"}),
    Dynamic("read-off", lambda x: x[{"e": -1}].sum("p") + ops.size(value="n", dtype="f64"),
            {"x": "a e p"}, {"a": "m", "e": "3*n + 2", "p": "m + 1"}),
    Dynamic("layer_norm", lambda x, w: ops.layer_norm(
        x.cast("f32"), w.cast("f32"), over="c", eps=1e-5).cast("f64"), {"x": "a b c", "w": "c"}),
    Dynamic("conv", _conv, {"x": "a s c", "w": "k c e"}, {"a": "n", "s": "2*m + 3"}),
    Dynamic("max_pool", _pool, {"x": "a s c"}, {"a": "n", "s": "2*m + 3"}),
    Dynamic("window", lambda x: ops.window(x, axis="s", into="o", kernel="k", size=3),
            {"x": "a s c"}, {"a": "n", "s": "m + 3"}),
    Dynamic("gather-fill", lambda x, i: ops.gather(x, i, axes=("b",), mode="fill", fill=-1.0),
            {"x": "a b c", "i": ("i64", "a t")}),
    Dynamic("gather-clip", lambda x, i: ops.gather(x, i, axes=("b",), mode="clip"),
            {"x": "b c", "i": ("i64", "t")}),
    Dynamic("scatter", lambda x, u, i: ops.scatter(
        x, u, i, axes=("b",), over="t", combine="add", mode="drop"),
            {"x": "a b c", "u": "a t c", "i": ("i64", "a t")}),
    Dynamic("slice", lambda x: x[{"b": slice(1, -1)}], {"x": "a b c"}, {"a": "n", "b": "m + 2"}),
    Dynamic("pad", lambda x: ops.pad(
        x, 1.0, axis="b", low=1, high=symbol("n"), interior=1, into="z"), {"x": "a b c"}),
    Dynamic("concat", lambda x, y: ops.concat(x, y, axes=("b", "d"), into="z"),
            {"x": "a b c", "y": "d"}),
    Dynamic("broadcast", lambda x, y: ops.contract(x, y.broadcast("b"), over="b"),
            {"x": "a b c", "y": "c"}),
    Dynamic("contract-batch", lambda x, y: ops.contract(x, y, over="c"),
            {"x": "a b c", "y": "d c a"}),
    Dynamic("contract-many", lambda x, y: ops.contract(x, y, over=("b", "c")),
            {"x": "a b c", "y": "c d b a"}),
    Dynamic("iota", _counted, {"x": "a b c"}),
    Dynamic("argsort", lambda x: ops.sort.emit(x, ops.iota(axis="b"), axis="b"), {"x": "a b c"}),
    Dynamic("scan", _scan, {"x": "a b c", "h": "a c"}),
    Dynamic("while", _while, {"x": "a b c"}),
    Dynamic("random_bits", lambda key, x: {"x": x, "bits": ops.random_bits(
        key, axes=("a", "b"), key="key")}, {"key": ("u32", "key"), "x": "a b"}),
]  # fmt: skip
