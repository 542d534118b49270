"""Reads and writes at computed positions, in every mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import GatherDimensionNumbers, ScatterDimensionNumbers

from tests.frontends.jax_programs.program import Table, normal, whole

X, Y, CUBE = normal(3, 4), normal(4, seed=1), normal(2, 3, 4)
ROWS = np.array([2, 0, 1, 2], np.int32)
OUTSIDE = np.array([0, 5, -9, 2, -1], np.int32)
CORNERS = np.array([[0, 1], [2, 3], [1, -1], [1, 1]], np.int32)
INTS, BOOLS, WORDS = whole(3, 4), X > 0, whole(3, 4, low=0, high=9, dtype=np.uint32)
MODES = ("clip", "fill", "promise_in_bounds")
INSIDE = np.array([[0, 1], [1, 2], [1, 0]], np.int32)
_WINDOWS = GatherDimensionNumbers((1, 2), (), (0, 1))
_COLLAPSED = GatherDimensionNumbers((1,), (0,), (0, 1))
_BATCHED = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
_INTO = ScatterDimensionNumbers((1, 2), (), (0, 1))
_COLLAPSED_INTO = ScatterDimensionNumbers((1,), (0,), (0, 1))
_BATCHED_INTO = ScatterDimensionNumbers((), (1,), (1,), (0,), (0,))


def _reads() -> Iterator[tuple[str, tuple[Any, ...]]]:
    for mode in MODES:
        starts = INSIDE if mode == "promise_in_bounds" else CORNERS
        rows = ROWS % 3 if mode == "promise_in_bounds" else OUTSIDE
        yield f"rows, {mode}", (lambda x, i, m=mode: x.at[i].get(mode=m), X, rows)
        yield f"columns, {mode}", (lambda x, i, m=mode: x.at[:, i].get(mode=m), X, rows)
        yield f"elements, {mode}", (lambda x, i, m=mode: x.at[i, i].get(mode=m), X, rows)
        yield (
            f"windows, {mode}",
            (lambda x, i, m=mode: lax.gather(x, i, _WINDOWS, (2, 2), mode=m), X, starts),
        )
        yield (
            f"windows without a dimension, {mode}",
            (lambda x, i, m=mode: lax.gather(x, i, _COLLAPSED, (1, 2), mode=m), X, starts),
        )
        yield (
            f"in batches, {mode}",
            (
                lambda x, i, m=mode: lax.gather(x, i[:, None], _BATCHED, (1, 1), mode=m),
                X,
                rows[:3],
            ),
        )
        yield (
            f"mapped over both, {mode}",
            (jax.vmap(lambda x, i, m=mode: x.at[i].get(mode=m)), CUBE, np.stack([rows, rows])),
        )
        yield (
            f"mapped over the table, {mode}",
            (jax.vmap(lambda x, i, m=mode: x.at[i].get(mode=m), (0, None)), CUBE, rows),
        )
        yield (
            f"windows in batches, {mode}",
            (
                jax.vmap(lambda x, i, m=mode: lax.gather(x, i, _WINDOWS, (1, 2), mode=m)),
                CUBE,
                np.stack([starts, starts]),
            ),
        )


def _writes(name: str, write: Callable[..., Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    scatter: Callable[..., Any] = getattr(lax, name)
    unique = np.array([2, 0], np.int32)
    repeated = unique if name == "scatter" else ROWS
    for mode in MODES:
        inside = mode == "promise_in_bounds"
        rows = repeated if inside else np.array([0, 7, -5], np.int32)
        starts = np.array([[0, 0], [1, 2]] if inside else [[0, 0], [1, 2], [2, 3]], np.int32)
        if mode == "clip":
            starts = starts[:2] - np.array([[1, 0], [0, 0]], np.int32)
            rows = rows[:2]
        n = len(rows)
        yield (
            f"rows, {mode}",
            (lambda x, i, m=mode, n=n: write(x.at[i])(Y[:n, None] * 2, mode=m), X, rows),
        )
        yield f"columns, {mode}", (lambda x, i, m=mode: write(x.at[:, i])(0.5, mode=m), X, rows)
        yield (
            f"windows, {mode}",
            (
                lambda x, i, u, m=mode: scatter(x, i, u, _INTO, mode=m),
                X, starts, normal(len(starts), 2, 2, seed=5),
            ),
        )  # fmt: skip
        yield (
            f"windows without a dimension, {mode}",
            (
                lambda x, i, u, m=mode: scatter(x, i, u, _COLLAPSED_INTO, mode=m),
                X, starts, normal(len(starts), 2, seed=5),
            ),
        )  # fmt: skip
        yield (
            f"in batches, {mode}",
            (
                lambda x, i, m=mode: scatter(x, i[:, None], Y[:3], _BATCHED_INTO, mode=m),
                X, np.array([1, 3, 0] if inside else [1, 9, -4], np.int32),
            ),
        )  # fmt: skip
        yield (
            f"mapped over both, {mode}",
            (
                jax.vmap(lambda x, i, m=mode: write(x.at[i])(1.5, mode=m)),
                CUBE,
                np.stack([rows] * 2),
            ),
        )
    yield "integers", (lambda x, i: write(x.at[i])(3), INTS, unique)
    yield "a scalar", (lambda x: write(x.at[1, 2])(3.0), X)
    yield "a row", (lambda x: write(x.at[1])(x[0]), X)
    yield "everything", (lambda x: write(x.at[:])(5.0), X)
    yield "a stride", (lambda x: write(x.at[1:, ::2])(0.25), X)
    yield "negative positions", (lambda x: write(x.at[-1, -2])(3.0), X)
    yield "nothing", (lambda x: write(x.at[jnp.zeros((0,), jnp.int32)])(3.0), X)


INDEXING: Table = {
    "gather": {
        **dict(_reads()),
        "fill with a number": (lambda x, i: x.at[i].get(mode="fill", fill_value=7.0), X, OUTSIDE),
        "fill integers": (lambda n, i: n.at[i].get(mode="fill"), INTS, OUTSIDE),
        "fill words": (lambda n, i: n.at[i].get(mode="fill"), WORDS, OUTSIDE),
        "fill bools": (lambda b, i: b.at[i].get(mode="fill"), BOOLS, OUTSIDE),
        "negative positions": (lambda x, i: x[-i], X, ROWS),
        "rows of rows": (lambda x, i: x[i[:, None] % 3, i[None]], X, ROWS),
        "one element": (lambda x, i: x[i[0], i[1]], X, ROWS),
        "a last element": (lambda x: x[-1, -2], X),
        "by bytes": (lambda x, i: x[i.astype(jnp.uint8)], X, ROWS),
        "by long integers": (lambda x, i: x[i], X.astype(np.float64), ROWS.astype(np.int64)),
        "take": (lambda x, i: jnp.take(x, i, axis=1), X, ROWS),
        "take_along_axis": (lambda x, n: jnp.take_along_axis(x, jnp.abs(n) % 4, 1), X, INTS),
        "of an expansion": (lambda y, i: jnp.broadcast_to(y, (5, 4))[i], Y, ROWS),
        "of a mask": (lambda x: x[np.array([True, False, True])], X),
        "nothing": (lambda x: x[jnp.zeros((0,), jnp.int32)], X),
        "choose": (lambda n, x, y: jnp.choose(jnp.abs(n) % 2, [x, x + y], mode="clip"), INTS, X, Y),
    },
    "scatter": dict(_writes("scatter", lambda at: at.set)),
    "scatter-add": {
        **dict(_writes("scatter_add", lambda at: at.add)),
        "gradient of an embedding": (
            jax.grad(lambda x, i: (x[i] ** 2).sum()),
            X,
            ROWS,
        ),
        "segment sum": (lambda x, i: jax.ops.segment_sum(x, i, 4), Y, ROWS),
        "bincount": (lambda i: jnp.bincount(i, length=4), ROWS),
        "histogram": (lambda x: jnp.histogram(x, 5, (-2.0, 2.0))[0], X),
    },
    "scatter-mul": dict(_writes("scatter_mul", lambda at: at.multiply)),
    "scatter-min": dict(_writes("scatter_min", lambda at: at.min)),
    "scatter-max": dict(_writes("scatter_max", lambda at: at.max)),
    "scatter-sub": {
        "rows": (
            lambda x, i: lax.scatter_sub(
                x, i[:, None], jnp.ones((4, 4)), ScatterDimensionNumbers((1,), (0,), (0,))
            ),
            X,
            ROWS,
        ),
    },
    "dynamic_slice": {
        "computed": (lambda x, i: lax.dynamic_slice(x, (i[0], i[1]), (2, 3)), X, ROWS),
        "beyond the end": (lambda x: lax.dynamic_slice(x, (9, 9), (2, 3)), X),
        "beyond the end, computed": (
            lambda x, i: lax.dynamic_slice(x, (i[1], i[1]), (2, 3)),
            X,
            OUTSIDE,
        ),
        "before the start": (lambda x: lax.dynamic_slice(x, (0, -3), (1, 2)), X),
        "one position": (lambda x, i: lax.dynamic_index_in_dim(x, i[2], keepdims=False), X, ROWS),
        "negative one": (lambda x, i: lax.dynamic_index_in_dim(x, -i[0], 1), X, ROWS),
        "everything": (lambda x, i: lax.dynamic_slice(x, (i[0], i[1]), (3, 4)), X, ROWS),
        "words": (
            lambda x, i: lax.dynamic_slice(x, (i[0].astype("u4"), i[1].astype("u4")), (2, 3)),
            X,
            ROWS,
        ),
        "mapped over starts": (
            jax.vmap(lambda x, i: lax.dynamic_slice(x, (i,), (2,)), (None, 0)),
            Y,
            OUTSIDE,
        ),
        "mapped over both": (jax.vmap(lambda x, i: lax.dynamic_slice(x, (i,), (2,))), X, ROWS[:3]),
    },
    "dynamic_update_slice": {
        "computed": (
            lambda x, i: lax.dynamic_update_slice(x, x[:2, :3] * 2, (i[0], i[1])),
            X,
            ROWS,
        ),
        "beyond the end": (lambda x: lax.dynamic_update_slice(x, x[:1] * 2, (9, 0)), X),
        "beyond the end, computed": (
            lambda x, i: lax.dynamic_update_slice(x, x[:2, :2] * 2, (i[1], i[2])),
            X,
            OUTSIDE,
        ),
        "everything": (lambda x, i: lax.dynamic_update_slice(x, x * 2, (i[0], 0)), X, ROWS),
        "one element": (
            lambda x, i: lax.dynamic_update_slice(x, jnp.zeros((1, 1)), (i[0], i[1])),
            X,
            ROWS,
        ),
        "a row": (lambda x, i: lax.dynamic_update_index_in_dim(x, jnp.ones(4), i[0], 0), X, ROWS),
        "of an expansion": (
            lambda y, i: lax.dynamic_update_slice(jnp.zeros((3, 4)), y[None], (i[0], 0)),
            Y,
            ROWS,
        ),
        "mapped over starts": (
            jax.vmap(lambda x, i: lax.dynamic_update_slice(x, jnp.ones(2), (i,)), (None, 0)),
            Y,
            OUTSIDE,
        ),
        "integers": (lambda n, i: lax.dynamic_update_slice(n, n[:1], (i[0], 0)), INTS, ROWS),
    },
}
