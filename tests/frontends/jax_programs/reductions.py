"""Contraction, reduction, running totals and order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from tests.frontends.jax_programs.program import Table, normal, whole

X, Y, W = normal(3, 4), normal(4, seed=1), normal(4, 5, seed=2)
CUBE, BLOCK = normal(2, 3, 4), normal(2, 4, 5, seed=3)
INTS, BOOLS = whole(3, 4), normal(3, 4) > 0
BYTES = whole(3, 4, low=0, high=255, dtype=np.uint8)
SMALL = whole(3, 4, low=-5, high=5, dtype=np.int8)
TIES = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [-1, -5, -5, 4]], np.float32)
NANS = np.array([[1, np.nan, 3, np.nan], [np.inf, -np.inf, 2, 2], [0.0, -0.0, 0.0, -0.0]], "f4")
NONE = np.zeros((0, 4), np.float32)
BF16 = X.astype(ml_dtypes.bfloat16)


def _dot(contracting: Any, batch: Any = ((), ()), **options: Any) -> Callable[..., Any]:
    return lambda a, b: lax.dot_general(a, b, (contracting, batch), **options)


def _reduce(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    return {
        "all": (lambda x: function(x), CUBE),
        "first": (lambda x: function(x, 0), CUBE),
        "two": (lambda x: function(x, (0, 2)), CUBE),
        "keeping dimensions": (lambda x: function(x, -1, keepdims=True), CUBE),
        "a unit": (lambda x: function(x[:1], 0), X),
        "of an expansion": (lambda y: function(jnp.broadcast_to(y, (2, 3, 4)), (0, 1)), Y),
        "integers": (lambda n: function(n, 1), INTS),
        "brain floats": (lambda x: function(x, 1), BF16),
        "doubles": (lambda x: function(x, 1), CUBE.astype(np.float64)),
        "not a number": (lambda x: function(x, 1), NANS),
    }


def _running(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    return {
        "first": (lambda x: function(x, axis=0), X),
        "last": (lambda x: function(x, axis=1), X),
        "reverse": (lambda x: function(x, axis=1, reverse=True), X),
        "a unit": (lambda x: function(x[:1], axis=0), X),
        "of an expansion": (lambda y: function(jnp.broadcast_to(y, (3, 4)), axis=0), Y),
        "in a batch": (jax.vmap(lambda x: function(x, axis=0)), CUBE),
        "not a number": (lambda x: function(x, axis=1), NANS),
    }


def _arg(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    return {
        "first": (lambda x: function(x, 0, jnp.int32), X),
        "ties": (lambda x: function(x, 1, jnp.int32), TIES),
        "not a number": (lambda x: function(x, 1, jnp.int32), NANS),
        "small indices": (lambda x: function(x, 1, jnp.uint8), X),
        "long indices": (lambda x: function(x, 1, jnp.int64), X.astype(np.float64)),
        "integers": (lambda n: function(n, 1, jnp.int32), INTS),
        "bools": (lambda b: function(b, 1, jnp.int32), BOOLS),
        "a unit": (lambda x: function(x[:1], 0, jnp.int32), X),
        "of an expansion": (lambda y: function(jnp.broadcast_to(y, (3, 4)), 0, jnp.int32), Y),
        "brain floats": (lambda x: function(x, 1, jnp.int32), BF16),
    }


REDUCTIONS: Table = {
    "dot_general": {
        "matrices": (_dot(((1,), (0,))), X, W),
        "vectors": (lambda y: jnp.dot(y, y), Y),
        "matrix and vector": (lambda x, y: x @ y, X, Y),
        "outer": (_dot(((), ())), X, Y),
        "batches": (_dot(((2,), (1,)), ((0,), (0,))), CUBE, BLOCK),
        "batches inside": (
            lambda a, b: lax.dot_general(a, b, (((0,), (2,)), ((1, 2), (0, 1)))),
            normal(3, 2, 4),
            normal(2, 4, 3),
        ),
        "two contracted": (_dot(((0, 2), (0, 1))), CUBE, BLOCK),
        "two contracted, crossed": (_dot(((2, 0), (1, 0))), CUBE, BLOCK),
        "with itself": (lambda x: x @ x.T, X),
        "with a unit": (lambda x, w: x[:1, :1] @ w[:1], X, W),
        "over an expansion": (lambda y: jnp.ones((2, 4)) @ y, Y),
        "empty sum": (lambda x: x.T @ x, NONE),
        "integers": (_dot(((1,), (1,))), INTS, INTS),
        "bools": (lambda b: jnp.dot(b, b.T), BOOLS),
        "bytes to integers": (_dot(((1,), (1,)), preferred_element_type=jnp.int32), SMALL, SMALL),
        "brain floats": (lambda x: x @ x.T, BF16),
        "brain floats to floats": (
            _dot(((1,), (1,)), preferred_element_type=jnp.float32),
            BF16,
            BF16,
        ),
        "doubles": (_dot(((1,), (0,))), X.astype(np.float64), W.astype(np.float64)),
        "floats to doubles": (
            lambda x, w: lax.dot(
                x.astype("f4"), w.astype("f4"), preferred_element_type=jnp.float64
            ),
            X.astype(np.float64),
            W.astype(np.float64),
        ),
        "highest precision": (_dot(((1,), (0,)), precision=lax.Precision.HIGHEST), X, W),
        "einsum": (lambda a, b: jnp.einsum("bij,bjk->kib", a, b), CUBE, BLOCK),
        "einsum, sums": (lambda a, b: jnp.einsum("bij,bjk->b", a, b), CUBE, BLOCK),
        "einsum, diagonal": (lambda x: jnp.einsum("ii->i", x[:, :3]), X),
        "einsum, three": (
            lambda a, b, w: jnp.einsum("bij,bjk,lk->il", a, b, w),
            CUBE,
            BLOCK,
            normal(6, 5),
        ),
    },
    "reduce_sum": {
        **_reduce(jnp.sum),
        "empty": (lambda x: x.sum(0), NONE),
        "bools": (lambda b: b.sum(1), BOOLS),
        "bytes that wrap": (lambda n: jnp.sum(n, 1, dtype=jnp.uint8), BYTES),
    },
    "reduce_prod": {**_reduce(jnp.prod), "empty": (lambda x: x.prod(0), NONE)},
    "reduce_max": {
        **_reduce(jnp.max),
        "words": (lambda n: n.max(1), BYTES),
        "floor": (lambda x: jnp.max(x, 1, initial=0.5), X),
    },
    "reduce_min": {**_reduce(jnp.min), "words": (lambda n: n.min(1), BYTES)},
    "reduce_or": {
        "bools": (lambda b: b.any(1), BOOLS),
        "all": (jnp.any, BOOLS),
        "floats": (lambda x: jnp.any(x, 0), NANS),
        "integers": (lambda n: lax.reduce_or_p.bind(n, axes=(1,)), INTS),
    },
    "reduce_and": {
        "bools": (lambda b: b.all(1), BOOLS),
        "all": (jnp.all, BOOLS),
        "integers": (lambda n: lax.reduce_and_p.bind(n, axes=(1,)), INTS),
    },
    "reduce_xor": {
        "bools": (lambda b: lax.reduce_xor_p.bind(b, axes=(1,)), BOOLS),
        "integers": (lambda n: lax.reduce_xor_p.bind(n, axes=(0, 1)), INTS),
    },
    "reduce": {
        "own function": (
            lambda x: lax.reduce(x, np.float32(1), lambda a, b: a * b + a + b, (1,)),
            X,
        ),
        "two arrays": (
            lambda x, n: lax.reduce(
                (x, n),
                (np.float32(-np.inf), np.int32(0)),
                lambda a, b: (jnp.maximum(a[0], b[0]), a[1] + b[1]),
                (0,),
            ),
            X,
            INTS,
        ),
        "two dimensions": (
            lambda x: lax.reduce(x, np.float32(0), lambda a, b: jnp.hypot(a, b), (0, 2)),
            CUBE,
        ),
    },
    "argmax": _arg(lax.argmax),
    "argmin": _arg(lax.argmin),
    "cumsum": {
        **_running(lax.cumsum),
        "integers": (lambda n: lax.cumsum(n, axis=1), INTS),
        "bytes that wrap": (lambda n: lax.cumsum(n, axis=1), BYTES),
        "bools": (lambda b: jnp.cumsum(b, 1), BOOLS),
        "brain floats": (lambda x: lax.cumsum(x, axis=1), BF16),
    },
    "cumprod": {**_running(lax.cumprod), "integers": (lambda n: lax.cumprod(n, axis=1), INTS)},
    "cummax": {
        **_running(lax.cummax),
        "integers": (lambda n: lax.cummax(n, axis=1), INTS),
        "words": (lambda n: lax.cummax(n, axis=1), BYTES),
    },
    "cummin": {**_running(lax.cummin), "integers": (lambda n: lax.cummin(n, axis=1), INTS)},
    "cumlogsumexp": _running(lax.cumlogsumexp),
    "sort": {
        "last": (lambda x: lax.sort(x), X),
        "first": (lambda x: lax.sort(x, dimension=0), X),
        "not a number": (lambda x: lax.sort(x), NANS),
        "integers": (lambda n: lax.sort(n), INTS),
        "bools": (lambda b: jnp.sort(b), BOOLS),
        "words": (lambda n: lax.sort(n), BYTES),
        "with a passenger": (lambda x, n: lax.sort((x, n), num_keys=1), TIES, INTS),
        "two keys": (lambda a, b: lax.sort((a, b, a * b), num_keys=2), TIES, X),
        "two keys of a column": (
            lambda n, x: lax.sort((n, x, -x), dimension=0, num_keys=2),
            np.array([2, 0, 1, 2], np.int32),
            Y,
        ),
        "arguments": (lambda x: jnp.argsort(x, 1), TIES),
        "descending": (lambda x: jnp.sort(x, descending=True), TIES),
        "descending arguments": (lambda x: jnp.argsort(x, descending=True), TIES),
        "a unit": (lambda x: lax.sort(x[:1], dimension=0), X),
        "lexsort": (lambda a, b: jnp.lexsort((a, b)), TIES, X),
        "median": (lambda x: jnp.median(x, axis=1), X),
        "quantile": (lambda x: jnp.quantile(x, jnp.array([0.1, 0.5]), axis=1), X),
        "unique": (lambda n: jnp.unique(n, size=5, fill_value=99), INTS),
        "brain floats": (lambda x: lax.sort(x), BF16),
        "signed zeros keep their order": (lambda x, n: lax.sort((x, n), num_keys=1), NANS, INTS),
    },
    "top_k": {
        "last": (lambda x: lax.top_k(x, 2), X),
        "ties": (lambda x: lax.top_k(x, 3), TIES),
        "all": (lambda x: lax.top_k(x, 4), X),
        "integers": (lambda n: lax.top_k(n, 2), INTS),
        "another dimension": (lambda x: lax.top_k(x, 2, axis=0), X),
        "not a number": (lambda x: lax.top_k(x[:2], 2), NANS),
        "a zero above another": (lambda x: lax.top_k(x[2:], 2), NANS),
        "zero": (lambda x: lax.top_k(x, 0), X),
        "brain floats": (lambda x: lax.top_k(x, 2), BF16),
    },
    "approx_top_k": {
        "greatest": (lambda x: lax.approx_max_k(x, 2), X),
        "least": (lambda x: lax.approx_min_k(x, 2), X),
    },
    "ragged_dot_general": {
        "groups of rows": (
            lambda a, b: lax.ragged_dot(a, b, jnp.array([2, 0, 1], jnp.int32)),
            X,
            normal(3, 4, 5),
        ),
        "computed groups": (lax.ragged_dot, X, normal(3, 4, 5), np.array([1, 2, 0], np.int32)),
    },
}
