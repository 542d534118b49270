"""Sample graphs of ops that make, remove, contract, reduce and sort axes."""

from __future__ import annotations

import numpy as np

from graftwork.ir import ops
from tests.backends.build import F32, F64, I64, Array, Sample, bools, normal, sample, whole


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
        ("image", ("b c h w", normal(2, 4, 3, 5).astype(F32)), ("o c", w.astype(F32)), "c"),
        ("image-t", ("c o", w.T.astype(F32)), ("b c h w", normal(2, 4, 3, 5).astype(F32)), "c"),
        ("volume", ("b c h w d", normal(2, 4, 3, 5, 2).astype(F32)), ("o c", w.astype(F32)), "c"),
        ("no-channels", ("b c h w", normal(2, 0, 3, 5).astype(F32)),
         ("o c", normal(3, 0).astype(F32)), "c"),
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
        found += [
            sample(
                f"{name}-{i}{'r' * reverse}",
                lambda x, n=name, r=reverse: ops.__getattr__(n)(x, axis="b", reverse=r),
                x=("a b", array),
            )
            for i, array in enumerate(arrays)
            for reverse in (False, True)
        ]
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


SAMPLES: list[Sample] = [*_axes(), *_contractions(), *_reductions(), *_cumulatives(), *_orders()]
