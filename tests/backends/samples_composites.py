"""Sample graphs of composites: where a backend has a fused kernel, and where the kernel ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir import ops
from graftwork.ir.build import Term
from tests.backends.build import F32, F64, I32, I64, Array, Sample, bools, normal, sample, whole


def _activations() -> list[Sample]:
    x = np.array([-30.0, -3.5, -3.0, -1.0, -0.2, 0.0, 0.2, 1.0, 3.0, 3.5, 30.0])
    cases: dict[str, dict[str, Any]] = {
        "relu": {}, "gelu": {}, "quick_gelu": {}, "silu": {}, "log_sigmoid": {}, "mish": {},
        "leaky_relu": {"slope": 0.2}, "elu": {"alpha": 0.5}, "selu": {}, "hard_sigmoid": {},
        "hard_swish": {}, "clip": {"low": -1.0, "high": 2.0}, "softplus": {},
    }  # fmt: skip
    found = []
    for dtype in (F64, F32, np.float16):
        for name, attrs in cases.items():
            found.append(sample(
                f"{name}-{np.dtype(dtype)}",
                lambda x, n=name, a=attrs: ops.__getattr__(n)(x, **a),
                x=("a b", x.astype(dtype)[None]), tolerance=10))  # fmt: skip
    return [
        *found,
        sample("gelu-tanh", lambda x: ops.gelu(x, approximate="tanh"), x=("a", x)),
        sample("softplus-steep", lambda x: ops.softplus(x, beta=2.0, threshold=4.0), x=("a", x)),
        *(
            sample(
                f"saturate-{name}",
                lambda x, n=name: ops.saturate(x, dtype=n),
                x=("a", np.array([np.nan, -np.inf, np.inf, -1e30, 1e30, -2.5, 2.5, 300.0], F32)),
            )
            for name in ("i8", "u8", "i32", "i64")
        ),
        sample("relu-int", lambda x: ops.relu(x), x=("a", whole(5, low=-3))),
        sample("logaddexp", lambda a, b: ops.logaddexp(a, b), a=("a", x), b=("b", x * 2)),
        sample("glu", lambda x: ops.glu(x, axis="e", into="h"), x=("s e", normal(3, 6))),
    ]


def _statistics() -> list[Sample]:
    x = normal(2, 5, 3)
    dead = np.where(bools(2, 5, 3), -np.inf, x)
    dead[0] = -np.inf
    found = []
    for name in ("mean", "var", "logsumexp"):
        found += [
            sample(
                f"{name}-{len(over)}",
                lambda x, n=name, o=over: ops.__getattr__(n)(x, over=o),
                x=("b s e", x),
            )
            for over in ((), ("s",), ("b", "e"))
        ]
        found.append(sample(f"{name}-empty", lambda x, n=name: ops.__getattr__(n)(x, over="s"),
                            x=("b s e", x[:, :0])))  # fmt: skip
    for name in ("softmax", "log_softmax"):
        for title, array in (("plain", x), ("dead", dead), ("f32", x.astype(F32))):
            found.append(sample(f"{name}-{title}", lambda x, n=name: ops.__getattr__(n)(
                x, axis="s"), x=("b s e", array)))  # fmt: skip
    return [
        *found,
        sample("var-correction", lambda x: ops.var(x, over="s", correction=1.0), x=("b s e", x)),
        sample("var-one", lambda x: ops.var(x, over="s", correction=1.0), x=("b s e", x[:, :1])),
        sample("logsumexp-dead", lambda x: ops.logsumexp(x, over="s"), x=("b s e", dead)),
        sample("mean-dynamic", lambda x: ops.mean(x, over="s"), x=("b s e", x), sizes={"s": "n"}),
        sample("mean-f16", lambda x: ops.mean(x, over="s"), x=("b s e", x.astype(np.float16))),
    ]


def _affine() -> list[Sample]:
    x, w, bias = normal(2, 5, 4), normal(3, 4), normal(3)
    ids = whole(2, 5)

    def linear(x: Term, w: Term, b: Term | None = None, over: str = "e") -> Term:
        rest = () if b is None else (b,)
        return ops.linear(x, w, *rest, over=over.split())

    heads = normal(2, 5, 3, 4)
    return [
        sample("linear", linear, x=("b s e", x), w=("o e", w), b=("o", bias)),
        sample("linear-bare", linear, x=("b s e", x), w=("o e", w)),
        sample("linear-conv1d", linear, x=("b s e", x), w=("e o", w.T.copy()), b=("o", bias)),
        sample("linear-two", lambda x, w, b: linear(x, w, b, "h d"), x=("b s h d", heads),
               w=("o h d", normal(6, 3, 4)), b=("o", normal(6))),
        sample("linear-two-apart", lambda x, w, b: linear(x, w, b, "h d"), x=("h b s d",
               heads.transpose(2, 0, 1, 3).copy()), w=("h d o", normal(3, 4, 6)),
               b=("o", normal(6))),
        sample("linear-middle", lambda x, w, b: linear(x, w, b, "h d"), x=("b s h d", heads),
               w=("h o d", normal(3, 6, 4)), b=("o", normal(6))),
        sample("linear-split", linear, x=("b s e", x), w=("h d e", normal(2, 3, 4)),
               b=("h d", normal(2, 3))),
        sample("linear-worlds", linear, x=("b s e", x), w=("w o e", normal(2, 3, 4)),
               b=("w o", normal(2, 3))),
        sample("linear-shared", linear, x=("b s e", x), w=("s o e", normal(5, 3, 4)),
               b=("o", bias)),
        sample("linear-bias-worlds", linear, x=("b s e", x), w=("o e", w),
               b=("w o", normal(2, 3))),
        sample("linear-int", linear, x=("b s e", whole(2, 5, 4)), w=("o e", whole(3, 4)),
               b=("o", whole(3))),
        sample("embedding", lambda t, i: ops.embedding(t, i, axis="v"), t=("v e", normal(5, 3)),
               i=("b s", ids)),
        sample("embedding-i32", lambda t, i: ops.embedding(t, i, axis="v"),
               t=("v e", normal(5, 3)), i=("b s", ids.astype(I32))),
        sample("embedding-other", lambda t, i: ops.embedding(t, i, axis="v"),
               t=("e v", normal(3, 5)), i=("b e", whole(2, 3))),
        sample("one_hot", lambda i: ops.one_hot(i, axis="c", size=4, dtype="f64"),
               i=("b s", ids)),
        sample("cross_entropy", lambda x, y: ops.cross_entropy(x, y, axis="e", ignore=3),
               x=("b s e", x), y=("b s", whole(2, 5, high=4))),
    ]  # fmt: skip


def _rotaries() -> list[Sample]:
    made = []
    for width in (4, 0):
        x, angle = normal(2, 5, width), normal(5, width)
        made += [
            sample(f"rotary-{style}-{width}",
                   lambda x, c, s, k=style: ops.rotary(x, c, s, axis="d", style=k),
                   x=("b s d", x), c=("s d", np.cos(angle)), s=("s d", np.sin(angle)))
            for style in ("half", "interleaved")
        ]  # fmt: skip
    return made


def _norms() -> list[Sample]:
    x, w, bias = normal(2, 5, 4), normal(4), normal(4, seed=1)
    image, gain, shift = normal(2, 6, 3, 4), normal(6), normal(6, seed=1)
    spread = np.abs(normal(6)) + 0.5

    def layer_norm(x: Term, *rest: Term, over: Any = "e", **attrs: Any) -> Term:
        return ops.layer_norm(x, *rest, over=over, eps=1e-5, **attrs)

    def rms_norm(x: Term, *rest: Term, **attrs: Any) -> Term:
        return ops.rms_norm(x, *rest, over="e", eps=1e-5, **attrs)

    def group_norm(x: Term, *rest: Term, over: Any = ("h", "w")) -> Term:
        return ops.group_norm(x, *rest, axis="c", groups=3, over=over, eps=1e-5)

    half = x.astype(np.float16)
    found = [
        sample("layer_norm", lambda x, w, b: layer_norm(x, w, b), x=("b s e", x), w=("e", w),
               b=("e", bias)),
        sample("layer_norm-f32", lambda x, w, b: layer_norm(x, w, b), x=("b s e", x.astype(F32)),
               w=("e", w.astype(F32)), b=("e", bias.astype(F32)), tolerance=4),
        sample("layer_norm-f16", lambda x, w, b: layer_norm(x, w, b, in_f32=True),
               x=("b s e", half), w=("e", w.astype(np.float16)),
               b=("e", bias.astype(np.float16)), tolerance=4),
        sample("layer_norm-bare", lambda x: layer_norm(x), x=("b s e", x)),
        sample("layer_norm-weight", lambda x, w: layer_norm(x, w), x=("b s e", x), w=("e", w)),
        sample("layer_norm-first", lambda x, w: layer_norm(x, w), x=("e b s", normal(4, 2, 5)),
               w=("e", w)),
        sample("layer_norm-two", lambda x, w: layer_norm(x, w, over=("s", "e")), x=("b s e", x),
               w=("e s", normal(4, 5))),
        sample("layer_norm-worlds", lambda x, w: layer_norm(x, w), x=("b s e", x),
               w=("v e", normal(3, 4))),
        sample("rms_norm", lambda x, w: rms_norm(x, w), x=("b s e", x), w=("e", w)),
        sample("rms_norm-bare", lambda x: rms_norm(x), x=("b s e", x)),
        sample("rms_norm-offset", lambda x, w: rms_norm(x, w, offset=1.0), x=("b s e", x),
               w=("e", w)),
        sample("batch_norm", lambda x, m, v, w, b: ops.batch_norm(x, m, v, w, b, eps=1e-5),
               x=("b c h w", image), m=("c", gain), v=("c", spread), w=("c", shift),
               b=("c", gain)),
        sample("batch_norm-last", lambda x, m, v: ops.batch_norm(x, m, v, eps=1e-5),
               x=("b h w c", image.transpose(0, 2, 3, 1).copy()), m=("c", gain),
               v=("c", spread)),
        sample("batch_norm-one", lambda x, m, v: ops.batch_norm(x, m, v, eps=1e-5), x=("c", shift),
               m=("c", gain), v=("c", spread)),
        sample("group_norm", lambda x, w, b: group_norm(x, w, b), x=("b c h w", image),
               w=("c", gain), b=("c", shift)),
        sample("group_norm-bare", lambda x: group_norm(x), x=("b c h w", image)),
        sample("group_norm-apart", lambda x, w: group_norm(x, w, over="h"), x=("b c h w", image),
               w=("c", gain)),
    ]  # fmt: skip
    found += [
        sample(
            f"rms_norm-f16-{early}",
            lambda x, w, e=early: rms_norm(x, w, in_f32=True, weight_after_cast=e),
            x=("b s e", half),
            w=("e", w.astype(np.float16)),
            tolerance=4,
        )
        for early in (False, True)
    ]
    return found


def _attend(q: Term, k: Term, v: Term, *mask: Term, **attrs: Any) -> Term:
    return ops.attention(q, k, v, *mask, over="d", key="t", **({"scale": 0.5} | attrs))


def _attentions() -> list[Sample]:
    q, k, v = normal(2, 5, 3, 4), normal(2, 6, 3, 4), normal(2, 6, 3, 4, seed=1)
    plain = {"q": ("b s h d", q), "k": ("b t h d", k), "v": ("b t h e", v)}
    causal = np.tril(np.ones((5, 6), np.bool_), 1)
    dead = causal.copy()
    dead[2] = False
    added = np.where(dead, normal(5, 6), -np.inf)

    def masked(mask: Array, axes: str = "s t", **attrs: Any) -> dict[str, Any]:
        return {
            "build": lambda q, k, v, m: _attend(q, k, v, m, **attrs),
            "m": (axes, mask),
            **plain,
        }

    cases: dict[str, dict[str, Any]] = {
        "plain": {"build": _attend, **plain},
        "softcap": {"build": lambda q, k, v: _attend(q, k, v, softcap=2.0), **plain},
        "causal": masked(causal),
        "float": masked(np.where(causal, normal(5, 6), -np.inf)),
        "mask-batch": masked(np.stack([causal, dead | causal]), "b s t"),
        "mask-heads": masked(normal(3, 5, 6), "h s t"),
        "mask-keys": masked(bools(2, 6) | (np.arange(6) == 0), "b t"),
        "mask-rows": masked(normal(5), "s"),
        "heads-first": {
            "build": _attend, "q": ("b h s d", q.transpose(0, 2, 1, 3).copy()),
            "k": ("b h t d", k.transpose(0, 2, 1, 3).copy()),
            "v": ("b h t e", v.transpose(0, 2, 1, 3).copy()),
        },
        "one-head": {"build": _attend, "q": ("s d", q[0, :, 0]), "k": ("t d", k[0, :, 0]),
                     "v": ("t e", v[0, :, 0])},
        "one-row": {"build": _attend, "q": ("h d", q[0, 0]), "k": ("t h d", k[0]),
                    "v": ("t h e", v[0])},
        "grouped": {"build": lambda q, k, v, m: _attend(q, k, v, m, masked_rows="zero"),
                    "q": ("b s h g d", normal(2, 5, 3, 2, 4)), "m": ("s t", dead),
                    **{word: plain[word] for word in "kv"}},
        "worlds-q": {"build": _attend, **plain, "q": ("w b s h d", normal(2, 2, 5, 3, 4))},
        "worlds-k": {"build": _attend, **plain, "k": ("w b t h d", normal(2, 2, 6, 3, 4))},
        "worlds-v": {"build": _attend, **plain, "v": ("w b t h e", normal(2, 2, 6, 3, 4))},
        "values-same-name": {"build": _attend, **plain, "v": ("b t h d", v)},
        "values-shared": {"build": _attend, **plain, "v": ("t e", v[0, :, 0])},
        "values-two": {"build": _attend, **plain, "v": ("b t h e f", normal(2, 6, 3, 2, 2))},
        "values-none": {"build": _attend, **plain, "v": ("b t h", v[..., 0])},
        "f32": {"build": _attend, **{w: (a, x.astype(F32)) for w, (a, x) in plain.items()}},
        "f16": {"build": lambda q, k, v: _attend(q, k, v, in_f32=True), "tolerance": 4,
                **{w: (a, x.astype(np.float16)) for w, (a, x) in plain.items()}},
    }  # fmt: skip
    for rows in ("zero", "mean", "nan"):
        cases[f"dead-{rows}"] = masked(dead, masked_rows=rows)
        cases[f"dead-added-{rows}"] = masked(added, masked_rows=rows)
    return [sample(f"attention-{name}", **case) for name, case in cases.items()]


def _convolutions() -> list[Sample]:
    def conv(title: str, x: Any, w: Any, **attrs: Any) -> Sample:
        spatial = [a for a in "hwd" if a in x[0].split()]
        n = len(spatial)
        given = {
            "axes": spatial, "kernel": [f"k{a}" for a in spatial],
            "into": [f"o{a}" for a in spatial], "over": "c", "stride": [1] * n,
            "dilation": [1] * n, "base_dilation": [1] * n, "low": [0] * n, "high": [0] * n,
        }  # fmt: skip
        return sample(f"conv-{title}", lambda x, w: ops.conv(x, w, **{**given, **attrs}), x=x, w=w)

    image, taps = ("b c h w", normal(2, 4, 7, 6)), ("o c kh kw", normal(3, 4, 3, 2))
    line, line_taps = ("b c h", normal(2, 4, 9)), ("o c kh", normal(3, 4, 3))
    up = {"base_dilation": [2, 3], "low": [1, 1], "high": [2, 1]}
    return [
        conv("plain", image, taps),
        conv("f32", (image[0], image[1].astype(F32)), (taps[0], taps[1].astype(F32))),
        conv("strided", image, taps, stride=[2, 3], low=[1, 1], high=[1, 1]),
        conv("dilated", image, taps, dilation=[2, 3], low=[1, 0], high=[1, 0]),
        conv("lopsided", image, taps, low=[2, 0], high=[0, 3]),
        conv("cut", image, taps, low=[-1, 0], high=[0, -2]),
        conv("transposed", image, taps, **up),
        conv("transposed-cut", image, taps, base_dilation=[2, 2], low=[-1, 0], high=[3, 0]),
        conv("transposed-strided", image, taps, **up, stride=[2, 1]),
        conv("last", ("b h w c", normal(2, 7, 6, 4)), ("kh kw c o", normal(3, 2, 4, 3))),
        conv("line", line, line_taps, low=[2], high=[0]),
        conv("cube", ("b c h w d", normal(1, 2, 4, 3, 5)), ("o c kh kw kd",
             normal(3, 2, 2, 2, 2))),
        conv("groups", ("b g c h w", normal(2, 2, 3, 5, 5)), ("g o c kh kw",
             normal(2, 4, 3, 2, 2))),
        conv("groups-transposed", ("b g c h", normal(2, 2, 3, 5)), ("g o c kh",
             normal(2, 4, 3, 2)), base_dilation=[2], low=[1], high=[1]),
        conv("depthwise", ("b g h w", normal(2, 3, 5, 5)), ("g kh kw", normal(3, 2, 2)), over=()),
        conv("no-batch", ("c h w", normal(4, 5, 5)), ("o c kh kw", normal(3, 4, 2, 2))),
        conv("batches", ("v b c h", normal(2, 3, 4, 6)), line_taps),
        conv("no-output", line, ("c kh", normal(4, 3))),
        conv("two-inputs", ("b a c h", normal(2, 3, 4, 6)), ("o c a kh", normal(5, 4, 3, 3)),
             over=("a", "c")),
        conv("int", (line[0], whole(2, 4, 9)), (line_taps[0], whole(3, 4, 3))),
    ]  # fmt: skip


def _pools() -> list[Sample]:
    image = normal(2, 3, 7, 6)
    found = []
    cases: dict[str, dict[str, Any]] = {
        "plain": {"size": [2, 3], "stride": [2, 3]},
        "overlap": {"size": [3, 3], "stride": [1, 2], "low": [1, 1], "high": [1, 1]},
        "lopsided": {"size": [3, 2], "stride": [2, 2], "low": [0, 1], "high": [1, 1]},
        "wide": {"size": [3, 3], "stride": [2, 2], "low": [2, 2], "high": [2, 2]},
        "dilated": {"size": [3, 2], "stride": [1, 1], "dilation": [2, 3]},
        "cut": {"size": [2, 2], "stride": [2, 2], "low": [-1, 0], "high": [0, -1]},
    }
    base = {"axes": ["h", "w"], "into": ["oh", "ow"], "dilation": [1, 1], "low": [0, 0],
            "high": [0, 0]}  # fmt: skip
    for title, attrs in cases.items():
        given = {**base, **attrs}
        found.append(sample(f"max_pool-{title}", lambda x, a=given: ops.max_pool(x, **a),
                            x=("b c h w", image)))  # fmt: skip
        if title == "wide":  # windows that lie in the padding altogether have no mean
            continue
        found += [
            sample(
                f"avg_pool-{title}-{'-'.join(extra)}",
                lambda x, a={**given, **extra}: ops.avg_pool(x, **a),
                x=("b c h w", image),
            )
            for extra in ({}, {"count_padding": True}, {"divisor": 5})
        ]
    holes = np.where(bools(2, 3, 7, 6), np.nan, image)
    infinite = np.where(bools(2, 3, 7, 6), np.inf, np.where(bools(2, 3, 7, 6), -np.inf, image))
    plain = {**base, **cases["plain"]}
    return [
        *found,
        sample("max_pool-nan", lambda x: ops.max_pool(x, **plain), x=("b c h w", holes)),
        sample("max_pool-infinite", lambda x: ops.max_pool(x, **plain), x=("b c h w", infinite)),
        sample("max_pool-int", lambda x: ops.max_pool(x, **plain), x=("b c h w",
               whole(2, 3, 7, 6))),
        sample("max_pool-last", lambda x: ops.max_pool(x, **plain), x=("h w c", image[0].T.copy()
               .transpose(1, 0, 2).copy())),
    ]  # fmt: skip


def _updates() -> list[Sample]:
    x, new = normal(2, 6), normal(2, 2)
    found = []
    for start in (0, 3, 9, -4):
        at = np.array(start)
        found += [
            sample(f"dynamic_slice-{start}",
                   lambda x, s: ops.dynamic_slice(x, s, axis="t", size=2, into="u"),
                   x=("b t", x), s=("", at)),
            sample(f"dynamic_update_slice-{start}",
                   lambda x, u, s: ops.dynamic_update_slice(x, u, s, axis="t", update_axis="u"),
                   x=("b t", x), u=("b u", new), s=("", at)),
        ]  # fmt: skip
    return found


def _randoms() -> list[Sample]:
    key = np.array([7, 2**32 - 1], np.uint32)
    draw = {"axes": ("a", "b"), "key": "k"}
    x = ("a b", normal(3, 4))
    return [
        *(
            sample(f"random_bits-{dtype}", lambda x, k, d=dtype: (x, ops.random_bits(
                k, **draw, dtype=d)), x=x, k=("k", key))
            for dtype in ("u8", "u16", "u32", "u64")
        ),
        sample("random_uniform", lambda x, k: x + ops.random_uniform(k, **draw, dtype="f64"),
               x=x, k=("k", key)),
        sample("random_uniform-f16", lambda x, k: (x, ops.random_uniform(k, **draw, dtype="f16")),
               x=x, k=("k", key)),
        sample("random_normal", lambda x, k: (x, ops.random_normal(k, **draw, dtype="f32")), x=x,
               k=("k", key), tolerance=4),
        sample("random_split", lambda x, k: (x, ops.random_split(k, axes="a", key="k")), x=x,
               k=("k", key)),
        sample("random_seed", lambda x, s, k: (k, x, ops.random_seed(s, key="k")), x=x,
               s=("a", np.array([1, -1, 2**40], I64)), k=("k", key)),
        sample("random_fold_in", lambda k, s: ops.random_fold_in(k, s, key="k"), k=("k", key),
               s=("a", np.array([1, -1, 2**40], I64))),
    ]  # fmt: skip


SAMPLES: list[Sample] = [
    *_activations(),
    *_statistics(),
    *_affine(),
    *_rotaries(),
    *_norms(),
    *_attentions(),
    *_convolutions(),
    *_pools(),
    *_updates(),
    *_randoms(),
]
