"""Primitives that make, move, cut and join dimensions."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.frontends.jax_programs.program import Table, normal, whole

X, Y, SQUARE = normal(3, 4), normal(4, seed=1), normal(3, 3)
CUBE, LONG, UNIT = normal(2, 3, 4), normal(10), normal(1, 4, 1)
INTS, BOOLS = whole(3, 4), normal(3, 4) > 0
NONE = np.zeros((0, 4), np.float32)

SHAPES: Table = {
    "transpose": {
        "all": (lambda x: x.T, CUBE),
        "some": (lambda x: x.transpose(2, 0, 1), CUBE),
        "added to itself": (lambda x: x + x.T, SQUARE),
        "integers": (lambda n: n.T, INTS),
        "empty": (lambda x: x.T, NONE),
    },
    "squeeze": {
        "all": (lambda x: lax.squeeze(x, (0, 2)), UNIT),
        "one": (lambda x: lax.squeeze(x, (0,)), UNIT),
        "made by a slice": (lambda x: x[:, :1].squeeze(1), X),
    },
    "broadcast_in_dim": {
        "new dimensions": (lambda y: lax.broadcast(y, (2, 3)), Y),
        "between": (lambda x: lax.broadcast_in_dim(x, (3, 2, 4), (0, 2)), X),
        "of size one": (lambda x: jnp.broadcast_to(x[:1], (3, 4)) * x, X),
        "of a scalar": (lambda x: jnp.full((2, 3), x.sum()), X),
        "to units": (lambda x: x[:, None, :, None], X),
        "to nothing": (lambda y: lax.broadcast(y, (0,)), Y),
        "an output alone": (lambda y: jnp.broadcast_to(y, (3, 4)), Y),
        "literal": (lambda x: jnp.ones((3, 4)) + x, X),
    },
    "reshape": {
        "merge": (lambda x: x.reshape(6, 4), CUBE),
        "flat": (lambda x: x.reshape(-1), CUBE),
        "split": (lambda y: y.reshape(2, 2), Y),
        "regroup": (lambda x: (x.reshape(3, 8), x.reshape(8, 3), x.reshape(2, 3, 2, 2)), CUBE),
        "no common factors": (lambda x: (x.reshape(9, 4), x.reshape(4, 9)), normal(6, 6)),
        "units": (lambda x: x.reshape(1, 6, 1, 4, 1), CUBE),
        "units away": (lambda x: x.reshape(4), UNIT),
        "to a scalar": (lambda x: x[:1, :1].reshape(()), X),
        "after a transpose": (lambda x: x.T.reshape(3, 8), CUBE),
        "of an expansion": (lambda y: jnp.broadcast_to(y[:, None], (4, 5)).reshape(2, 10), Y),
        "empty": (lambda x: x.reshape(2, 0, 2), NONE),
        "order of dimensions": (lambda x: lax.reshape(x, (12, 2), (2, 0, 1)), CUBE),
    },
    "slice": {
        "range": (lambda x: x[1:, 1:3], X),
        "strides": (lambda x: lax.slice(x, (0, 1), (3, 4), (2, 2)), X),
        "one position": (lambda x: (x[1], x[:, 2:3], x[-1, -1]), X),
        "nothing": (lambda x: (x[:0], x[2:2, 1:]), X),
        "everything": (lambda x: x[:], X),
        "of an expansion": (lambda y: jnp.broadcast_to(y, (5, 4))[1:3, 1:], Y),
        "of a unit": (lambda x: (x[:, 1:3], x[:0]), UNIT),
        "integers": (lambda n: n[::2, 1::2], INTS),
    },
    "split": {
        "even": (lambda x: jnp.split(x, 2, axis=1), X),
        "uneven": (lambda x: jnp.split(x, [1, 3], axis=1), X),
        "into one": (lambda x: lax.split(x, (3,), axis=0), X),
        "with an empty part": (lambda x: lax.split(x, (0, 3), axis=0), X),
    },
    "concatenate": {
        "two": (lambda x, y: jnp.concatenate([x, y[None]], 0), X, Y),
        "one array twice": (lambda x: jnp.concatenate([x, x], 1), X),
        "transposes": (lambda x: jnp.concatenate([x, x.T], 1), SQUARE),
        "units": (lambda x: jnp.concatenate([x[:1], x[1:2], x[2:]], 0), X),
        "expansions": (lambda x: jnp.concatenate([x, jnp.zeros((2, 4))], 0), X),
        "empty": (lambda x: jnp.concatenate([x[:0], x], 0), X),
        "bools": (lambda b: jnp.concatenate([b, ~b], 1), BOOLS),
    },
    "stack": {
        "first": (lambda y: jnp.stack([y, y * 2, y * 3]), Y),
        "last": (lambda y: jnp.stack([y, y * 2], -1), Y),
        "scalars": (lambda y: jnp.stack([y[0], y[1]]), Y),
        "one": (lambda y: jnp.stack([y]), Y),
    },
    "unstack": {
        "first": (lambda x: jnp.unstack(x), X),
        "last": (lambda x: jnp.unstack(x, axis=1), X),
    },
    "tile": {
        "each": (lambda x: jnp.tile(x, (2, 3)), X),
        "new dimensions": (lambda x: jnp.tile(x, (2, 1, 2)), X),
        "a unit": (lambda x: jnp.tile(x[:1], (3, 1)), X),
        "none": (lambda x: lax.tile(x, (1, 2)), X),
        "zero times": (lambda x: lax.tile(x, (0, 1)), X),
    },
    "rev": {
        "one": (lambda x: lax.rev(x, (1,)), X),
        "all": (lambda x: lax.rev(x, (0, 1)), X),
        "a unit": (lambda x: lax.rev(x, (0, 1)), UNIT),
        "of an expansion": (lambda y: lax.rev(jnp.broadcast_to(y, (3, 4)), (0, 1)), Y),
        "bools": (lambda b: lax.rev(b, (0,)), BOOLS),
    },
    "pad": {
        "edges": (lambda x: lax.pad(x, 7.0, [(1, 2, 0), (0, 1, 0)]), X),
        "between": (lambda x: lax.pad(x, 7.0, [(0, 0, 2), (1, 0, 1)]), X),
        "negative": (lambda x: lax.pad(x, 7.0, [(-1, 0, 0), (0, -2, 0)]), X),
        "negative and between": (lambda x: lax.pad(x, 7.0, [(-1, 2, 1), (1, -2, 2)]), X),
        "a unit": (lambda x: lax.pad(x[:1], 7.0, [(2, 1, 0), (0, 0, 3)]), X),
        "by a computed value": (lambda x: lax.pad(x, x.max(), [(1, 1, 0), (0, 0, 0)]), X),
        "empty": (lambda x: lax.pad(x, 1.0, [(1, 1, 0), (0, 0, 0)]), NONE),
        "to nothing": (lambda x: lax.pad(x, 1.0, [(-2, -1, 0), (0, 0, 0)]), X),
        "integers": (lambda n: lax.pad(n, -1, [(1, 0, 0), (0, 1, 0)]), INTS),
        "bools": (lambda b: lax.pad(b, True, [(1, 0, 0), (0, 1, 1)]), BOOLS),
        "edge mode": (lambda x: jnp.pad(x, 2, mode="edge"), X),
        "reflect mode": (lambda x: jnp.pad(x, 2, mode="reflect"), X),
        "wrap mode": (lambda x: jnp.pad(x, 1, mode="wrap"), X),
    },
    "iota": {
        "one dimension": (lambda y: lax.iota(jnp.float32, 4) + y, Y),
        "along the second": (lambda x: lax.broadcasted_iota(jnp.int32, (3, 4), 1) + x, X),
        "bytes": (lambda n: lax.iota(jnp.uint8, 4) + n.astype(jnp.uint8), INTS),
        "an output alone": (lambda x: lax.broadcasted_iota(jnp.int32, (3, 4), 0), X),
        "a unit": (lambda x: lax.broadcasted_iota(jnp.float32, (1, 4), 0) + x, X),
        "triangle": (lambda x: jnp.tril(x, -1), X),
        "eye": (lambda x: jnp.eye(3) @ x, X),
    },
    "empty": {"of a jitted zeros": (lambda x: lax.empty((3, 4), jnp.float32) * 0 == 0, X)},
}
