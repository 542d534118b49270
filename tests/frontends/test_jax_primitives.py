"""Every primitive that the frontend translates, against JAX, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.frontends.jax_support import check, normal

X = normal(3, 4)
Y = normal(4, seed=1)
CUBE = normal(2, 3, 4)
POSITIVE = np.abs(normal(3, 4, seed=2)) + 0.1
UNIT = np.tanh(normal(3, 4, seed=3)) * 0.9
INTS = np.array([[5, -7, 3], [0, -2, 9]])
IMAGE = normal(2, 3, 7, 8)
ROWS = np.array([2, 0, 1, 2])
BOOLS = X > 0


@pytest.fixture(autouse=True)
def wide_types() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


UNARY = {
    "exp": X,
    "expm1": X,
    "log": POSITIVE,
    "log1p": POSITIVE,
    "sqrt": POSITIVE,
    "rsqrt": POSITIVE,
    "sin": X,
    "cos": X,
    "tan": X,
    "asin": UNIT,
    "acos": UNIT,
    "atan": X,
    "sinh": X,
    "cosh": X,
    "tanh": X,
    "asinh": X,
    "acosh": POSITIVE + 1,
    "atanh": UNIT,
    "logistic": X,
    "erf": X,
    "erfc": X,
    "erf_inv": UNIT,
    "lgamma": POSITIVE,
    "digamma": POSITIVE,
    "floor": X,
    "ceil": X,
    "neg": X,
    "sign": X,
    "abs": X,
    "is_finite": X,
    "square": X,
    "exp2": X,
    "cbrt": X,
    "stop_gradient": X,
    "bitwise_not": INTS,
}


@pytest.mark.parametrize("name", UNARY)
def test_elementwise_functions_of_one_array(name: str) -> None:
    check(getattr(lax, name), UNARY[name])


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    # arithmetic
    "broadcast": (lambda x, y: x + y - x * y / (1 + y), (X, Y)),
    "unit dimensions": (lambda x: x[:, None] * x[None] + x[:, :1, None], (X,)),
    "a unit dimension that repeats": (lambda x: x + x[:1], (X,)),
    "rem": (lambda x, y: lax.rem(x, lax.broadcast(y, (3,))), (X, Y)),
    "mod": (jnp.mod, (X, Y)),
    "floor_divide": (jnp.floor_divide, (X, Y)),
    "integer division": (lambda n: (n // 3, n % 3, lax.div(n, 2), lax.rem(n, 2)), (INTS,)),
    "integer powers": (lambda x: (x**2, x**3, x**-1, x**-2, x**7), (X,)),
    "pow": (lambda x, y: jnp.power(x, y), (POSITIVE, Y)),
    "pow of an integer exponent": (lambda x: lax.pow(x, jnp.int32(3)), (POSITIVE,)),
    "minimum and maximum": (lambda x, y: (jnp.maximum(x, y), jnp.minimum(x, 0.5)), (X, Y)),
    "logic": (lambda b: (b & ~b, b | b.T[:3, :3].all(), b ^ True), (BOOLS,)),
    "bits": (lambda n: (n & 6, n | 1, n ^ 3, n << 2, n >> 1), (INTS,)),
    "logical shift": (lambda n: lax.shift_right_logical(n, 3), (INTS,)),
    "comparisons": (lambda x, y: (x < y, x <= y, x > y, x >= y, x == x, x != y), (X, Y)),
    "clamp": (lambda x: (jnp.clip(x, -0.5, 0.5), lax.clamp(-0.1, x, 0.3)), (X,)),
    "select": (lambda x: jnp.where(x > 0, x, -jnp.inf), (X,)),
    "select by number": (lambda n: lax.select_n(n % 3, n, -n, n * n), (INTS,)),
    "round": (lambda x: (jnp.round(x * 2) / 2, lax.round(x * 2)), (np.round(X * 4) / 4,)),
    "casts": (
        lambda x: (x.astype(int), x.astype(bool), (x > 0).astype(float), x.astype("f4")),
        (X,),
    ),
    "bitcast": (lambda x: lax.bitcast_convert_type(x, jnp.int64), (X,)),
    "atan2": (jnp.arctan2, (X, Y)),
    "logaddexp": (jnp.logaddexp, (X, Y)),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 7), (X,)),
    "not a number": (lambda x: (jnp.where(x > 0, jnp.nan, x), jnp.isnan(x)), (X,)),
    "copy": (lambda x: (jnp.array(x, copy=True), lax.optimization_barrier(x)), (X,)),
    # shapes
    "transpose": (lambda x: x.transpose(2, 0, 1), (CUBE,)),
    "add of a transpose": (lambda x: x + x.T, (normal(3, 3),)),
    "reshapes": (
        lambda x: (
            x.reshape(6, 4),
            x.reshape(2, 12),
            x.reshape(24),
            x.reshape(3, 8),
            x.reshape(2, 3, 2, 2),
            x.reshape(1, 6, 1, 4),
            x.reshape(8, 3),
        ),
        (CUBE,),
    ),
    "reshape across dimensions": (lambda x: (x.reshape(9, 4), x.reshape(4, 9)), (normal(6, 6),)),
    "reshape of an expansion": (
        lambda y: jnp.broadcast_to(y[:, None], (4, 5)).reshape(2, 10),
        (Y,),
    ),
    "empty": (lambda x: (x[:0].reshape(4, 0), x[:0].sum(0), jnp.zeros((0, 2))), (X,)),
    "broadcast_to": (lambda y: jnp.broadcast_to(y, (2, 3, 4)), (Y,)),
    "sum of an expansion": (lambda y: jnp.broadcast_to(y, (2, 3, 4)).sum((0, 1)), (Y,)),
    "squeeze": (lambda x: (x[:, :1].squeeze(1), x[None].squeeze(0)), (X,)),
    "slices": (lambda x: (x[1:, ::2], x[:, 1:2], x[-1], x[..., 0, 1:3]), (CUBE[0],)),
    "concatenate": (lambda x, y: jnp.concatenate([x, y[None], x[:1] * 2], 0), (X, Y)),
    "concatenate of one array": (lambda x: jnp.concatenate([x, x.T], 1), (normal(3, 3),)),
    "stack": (lambda y: (jnp.stack([y, y * 2], 1), jnp.stack([y])), (Y,)),
    "unstack": (lambda x: jnp.unstack(x, axis=1), (X,)),
    "split": (lambda x: jnp.split(x, [1, 3], axis=1), (X,)),
    "tile": (
        lambda x: (jnp.tile(x, (2, 3)), jnp.tile(x, (2, 1, 2)), jnp.tile(x[:1], (3, 1))),
        (X,),
    ),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=1), (X,)),
    "flip": (lambda x: (x[::-1], jnp.flip(x)), (X,)),
    "roll": (lambda x: (jnp.roll(x, 1, 0), jnp.roll(x, 2)), (X,)),
    "pad": (
        lambda x: (
            jnp.pad(x, ((1, 2), (0, 1))),
            lax.pad(x, 7.0, [(-1, 2, 1), (1, -2, 0)]),
            lax.pad(x[:1], 7.0, [(2, 1, 0), (0, 0, 3)]),
            lax.pad(x, 1.0, [(-1, -1, 0), (0, 0, 0)]),
        ),
        (X,),
    ),
    "pad of edges": (lambda x: jnp.pad(x, 2, mode="edge"), (X,)),
    "iota": (lambda x: jnp.arange(4) + lax.broadcasted_iota(jnp.int32, (3, 4), 0) + x, (X,)),
    "tril": (lambda x: (jnp.tril(x), jnp.triu(x, 1), jnp.eye(3)), (X,)),
    "diagonal": (lambda x: (jnp.diagonal(x), jnp.diag(x[0])), (X,)),
    # contraction and reduction
    "matrix products": (lambda x, y: (x @ y, x @ x.T, jnp.outer(y, y), jnp.dot(y, y)), (X, Y)),
    "products in batches": (lambda x: (x @ x.mT, jnp.einsum("bij,bkj->kbi", x, x)), (CUBE,)),
    "einsum with units": (lambda x: jnp.einsum("bij,bij->i", x[:, :1], x[:, :1]), (CUBE,)),
    "product over an expansion": (lambda y: jnp.ones((2, 4)) @ y, (Y,)),
    "preferred type": (
        lambda x: lax.dot(x.astype("f4"), x.T.astype("f4"), preferred_element_type=jnp.float64),
        (X,),
    ),
    "reductions": (
        lambda x: (x.sum(), x.sum(0), x.prod(1), x.max((0, 2)), x.min(keepdims=True), x.mean(1)),
        (CUBE,),
    ),
    "truths": (lambda b: (b.any(), b.all(0), jnp.sum(b, 1), jnp.max(b), jnp.min(b, 1)), (BOOLS,)),
    "arg": (lambda x: (x.argmax(1), x.argmin(), x[:1].argmax(0), (x > 0).argmax(0)), (X,)),
    "running": (
        lambda x: (
            jnp.cumsum(x, 1),
            lax.cumsum(x, 0, reverse=True),
            jnp.cumprod(x, 0),
            lax.cummax(x, 1),
            lax.cummin(x, 1),
            lax.cumlogsumexp(x, 0),
            jnp.cumsum(x[:1], 0),
        ),
        (X,),
    ),
    "sort": (lambda x: (jnp.sort(x), jnp.argsort(x, 0), jnp.sort(x[:1], 0)), (X,)),
    "sort by two keys": (
        lambda n, x: lax.sort((n, x, -x), dimension=0, num_keys=2),
        (ROWS, normal(4, seed=9)),
    ),
    "median": (lambda x: jnp.median(x, axis=1), (X,)),
    "top_k": (lambda x: lax.top_k(x, 2), (X,)),
    "product of bools": (lambda b: jnp.dot(b, b.T), (BOOLS,)),
    "searchsorted": (
        lambda x: jnp.searchsorted(jnp.sort(x[:, 0]), jnp.array([0.0, -0.0, jnp.nan, -jnp.inf])),
        (X,),
    ),
    "total order": (
        lambda x: [
            compare(x[:, None], x[None])
            for compare in (lax.lt_to_p.bind, lax.le_to_p.bind, lax.eq_to_p.bind)
        ],
        (np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1.0, -1.0]),),
    ),
    "softmax": (lambda x: (jax.nn.softmax(x), jax.nn.log_softmax(x, 0), jax.nn.logsumexp(x)), (X,)),
    "variance": (lambda x: (x.var(0), x.std(1, ddof=1)), (X,)),
    "norm": (lambda x: jnp.linalg.norm(x, axis=1), (X,)),
    # indexing
    "rows": (lambda x: (x[ROWS % 3], jnp.take(x, ROWS, axis=1)), (X,)),
    "rows by an argument": (lambda x, i: x[i], (X, ROWS % 3)),
    "rows of rows": (lambda x, i: x[i[:, None], i[None]], (X, ROWS % 3)),
    "one element": (lambda x, i: x[i[0], i[1]], (X, ROWS % 3)),
    "negative positions": (lambda x, i: x[-i], (X, ROWS % 3)),
    "out of range": (
        lambda x, i: (
            x.at[i].get(mode="fill"),
            x.at[i].get(mode="clip"),
            x.at[i].get(mode="fill", fill_value=7.0),
        ),
        (X, np.array([0, 5, -9])),
    ),
    "out of range, integers": (lambda n, i: n.at[i].get(mode="fill"), (INTS, np.array([0, 5]))),
    "take_along_axis": (lambda x, i: jnp.take_along_axis(x, i, 1), (X, np.abs(INTS[:1].T % 4))),
    "windows": (
        lambda x, i: [
            lax.gather(x, i, lax.GatherDimensionNumbers((1,), (0,), (0, 1)), (1, 2), mode=mode)
            for mode in ("clip", "fill")
        ],
        (X, np.array([[0, 1], [2, 3], [1, -1]])),
    ),
    "gather in batches": (jax.vmap(lambda x, i: x[i]), (CUBE, np.array([[0, 2], [1, 1]]))),
    "gather of an expansion": (lambda y, i: jnp.broadcast_to(y, (5, 4))[i], (Y, ROWS)),
    "dynamic_slice": (
        lambda x, i: (
            lax.dynamic_slice(x, (i[0], i[1]), (2, 3)),
            lax.dynamic_slice(x, (9, 0), (2, 4)),
            lax.dynamic_index_in_dim(x, i[2]),
            lax.dynamic_slice(x, (0, -3), (1, 2)),
        ),
        (X, ROWS),
    ),
    "dynamic_update_slice": (
        lambda x, i: (
            lax.dynamic_update_slice(x, x[:2, :3] * 2, (i[0], i[1])),
            lax.dynamic_update_slice(x, x[:1] * 2, (9, 0)),
            lax.dynamic_update_slice(x, x * 2, (0, 0)),
            lax.dynamic_update_slice(x, jnp.zeros((1, 1)), (i[0], i[1])),
        ),
        (X, ROWS),
    ),
    "scatter": (
        lambda x, i: (
            x.at[i].set(1.0),
            x.at[1, 2].add(3.0),
            x.at[:, i].mul(2.0),
            x.at[0].set(x[1]),
            x.at[i].max(0.1),
            x.at[i, i].min(0.0),
            x.at[1:, ::2].set(0.0),
            x.at[:].set(5.0),
        ),
        (X, np.array([0, 2])),
    ),
    "scatter of repeated rows": (lambda x, i: x.at[i].add(x[i] * 2), (X, ROWS)),
    "scatter out of range": (
        lambda x, i: (
            x.at[i].add(1.0),
            x.at[i].set(1.0, mode="clip"),
            x.at[i].set(1.0, mode="drop"),
        ),
        (X, np.array([5])),
    ),
    "scatter of windows": (
        lambda x, i: [
            lax.scatter_add(
                x, i, jnp.ones((3, 2)), lax.ScatterDimensionNumbers((1,), (0,), (0, 1)), mode=mode
            )
            for mode in ("clip", "drop")
        ],
        (X, np.array([[0, 1], [2, 3], [1, 1]])),
    ),
    "scatter in batches": (
        jax.vmap(lambda x, i: x.at[i].set(0.0)),
        (CUBE, np.array([[0, 2], [1, 1]])),
    ),
    "one_hot": (lambda i: jax.nn.one_hot(i, 5), (ROWS,)),
    "bincount": (lambda i: jnp.bincount(i, length=4), (ROWS,)),
    # windows
    "convolution": (
        lambda x, w: (
            lax.conv(x, w, (1, 1), "SAME"),
            lax.conv(x, w, (2, 3), "VALID"),
            lax.conv_general_dilated(x, w, (1, 1), [(2, 1), (-1, 3)], (2, 1), (1, 2)),
        ),
        (IMAGE, normal(4, 3, 2, 3)),
    ),
    "convolution, channels last": (
        lambda x, w: lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (np.moveaxis(IMAGE, 1, 3), normal(2, 2, 3, 4)),
    ),
    "convolution in groups": (
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=3),
        (IMAGE, normal(6, 1, 2, 2)),
    ),
    "convolution in groups of the batch": (
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", batch_group_count=2),
        (IMAGE, normal(4, 3, 2, 2)),
    ),
    "convolution of one channel": (
        lambda x, w: lax.conv(x[:1, :1], w[:1, :1], (1, 1), "VALID"),
        (IMAGE, normal(4, 3, 2, 3)),
    ),
    "transposed convolution": (
        lambda x, w: lax.conv_transpose(
            x, w, (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")
        ),
        (IMAGE, normal(4, 3, 2, 3)),
    ),
    "gradient of a convolution": (
        lambda x, w: jax.grad(lambda x, w: (lax.conv(x, w, (2, 1), "SAME") ** 2).sum(), (0, 1))(
            x, w
        ),
        (IMAGE, normal(4, 3, 2, 3)),
    ),
    "pooling": (
        lambda x: (
            lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"),
            lax.reduce_window(x, 0.0, lax.add, (1, 1, 3, 2), (1, 1, 1, 2), "SAME"),
            lax.reduce_window(
                x,
                jnp.inf,
                lax.min,
                (1, 2, 3, 1),
                (1, 1, 2, 1),
                "SAME",
                window_dilation=(1, 1, 2, 1),
                base_dilation=(1, 1, 2, 1),
            ),
        ),
        (IMAGE,),
    ),
    "gradient of pooling": (
        jax.grad(
            lambda x: (
                lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 2), (1, 1, 2, 2), "SAME") ** 2
            ).sum()
        ),
        (IMAGE,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_programs_compute_what_jax_computes(name: str) -> None:
    function, args = CASES[name]
    check(function, *args)
