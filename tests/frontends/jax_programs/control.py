"""Loops, branches, calls, and what jaxprs are made to call."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import io_callback

from tests.frontends.jax_programs.program import Table, normal, whole

X, Y, W = normal(3, 4), normal(4, seed=1), normal(4, 4, seed=1) * np.float32(0.4)
INTS, POSITIVE = whole(3, 4), np.abs(X) + np.float32(0.5)
FOUR = np.array(4, np.int32)


@jax.custom_jvp
def own_square(x: Any) -> Any:
    return x * x


own_square.defjvp(lambda primals, tangents: (primals[0] ** 2, 3 * tangents[0]))


@jax.custom_vjp
def own_double(x: Any) -> Any:
    return x * 2


own_double.defvjp(lambda x: (x * 2, None), lambda _, g: (5 * g,))


@jax.custom_batching.custom_vmap
def own_sine(x: Any) -> Any:
    return jnp.sin(x)


own_sine.def_vmap(lambda size, batched, x: (jnp.sin(x), True))


def rnn(w: Any, x: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(row + h @ w)
        return h, (h * 2, row.sum())

    return lax.scan(step, jnp.zeros(4), x)


def nested(w: Any, x: Any) -> Any:
    def outer(h: Any, row: Any) -> Any:
        def inner(g: Any, element: Any) -> Any:
            return g * 0.5 + element, g

        last, seen = lax.scan(inner, h.sum(), row)
        return lax.cond(last > 0, lambda: h + w[0], lambda: h - seen), last

    return lax.scan(outer, w[1], x, reverse=True)


def newton(x: Any) -> Any:
    def going(state: Any) -> Any:
        guess, count = state
        return (jnp.abs(guess * guess - x) > 1e-3).any() & (count < 50)

    return lax.while_loop(
        going, lambda s: (0.5 * (s[0] + x / s[0]), s[1] + 1), (jnp.ones_like(x), 0)
    )


def attention(x: Any) -> Any:
    scores = jnp.where(jnp.tril(jnp.ones((x.shape[0],) * 2, bool)), x @ x.T, -jnp.inf)
    return jax.nn.softmax(scores) @ x


def counted(x: Any) -> Any:
    """A mutable reference, as accumulators are written."""
    total = jax.new_ref(jnp.zeros(4))
    for row in range(3):
        total[...] += x[row]
    return total[...]


CONTROL: Table = {
    "scan": {
        "carry and rows": (rnn, W, X),
        "reverse": (lambda x: lax.scan(lambda c, r: (c * 0.5 + r, c), x[0], x, reverse=True), X),
        "no carry": (lambda x: lax.scan(lambda c, r: (c, r * 2), None, x, reverse=True)[1], X),
        "no rows": (lambda x: lax.scan(lambda c, _: (c * 0.5 + 1, c), x, None, length=3), X),
        "one step": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x[1:2]), X),
        "no steps": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x[:0]), X),
        "captures": (lambda w, x: lax.scan(lambda c, r: (c + (x @ w)[0], r @ x.T), x[0], x), W, X),
        "expanded carry": (
            lambda x: lax.scan(lambda c, r: (c + r.sum(), c), jnp.zeros((2, 4)), x),
            X,
        ),
        "a carry that is transposed": (
            lambda x: lax.scan(lambda c, r: (c.T + r[:3], c), jnp.zeros((3, 3)), x),
            X,
        ),
        "carries that change places": (
            lambda x: lax.scan(lambda c, r: ((c[1], c[0] + r), c[0]), (x[0], x[1]), x),
            X,
        ),
        "nested with branches": (nested, W, X),
        "unrolled": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x, unroll=2), X),
        "integers": (lambda n: lax.scan(lambda c, r: (c * 3 + r, c), n[0], n), INTS),
        "counting": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * 0.9 + i, x), X),
        "a cache": (
            lambda x: lax.scan(
                lambda c, i: (lax.dynamic_update_index_in_dim(c, jnp.sin(c[i]), i, 0), i),
                x,
                jnp.arange(3),
            ),
            X,
        ),
        "map": (lambda x: lax.map(lambda r: r / r.sum(), x), X),
        "in a batch": (jax.vmap(lambda x: lax.scan(lambda c, r: (c + r, c * r), x[0], x)), X),
        "gradient": (lambda w, x: jax.grad(lambda w: (rnn(w, x)[0] ** 2).sum())(w), W, X),
        "tangent": (lambda w, x: jax.jvp(lambda w: rnn(w, x)[0], (w,), (w * 0.1,)), W, X),
        "gradient of remat": (
            lambda w, x: jax.grad(
                lambda w: lax.scan(
                    jax.checkpoint(lambda h, r: (jnp.tanh(r + h @ w), None)), jnp.zeros(4), x
                )[0].sum()
            )(w),
            W,
            X,
        ),
    },
    "while": {
        "until close": (newton, POSITIVE),
        "in a batch": (jax.vmap(newton), POSITIVE),
        "to a computed end": (
            lambda x, n: lax.fori_loop(0, n, lambda i, c: c * 0.9 + i, x),
            X,
            FOUR,
        ),
        "never": (lambda x: lax.while_loop(lambda c: c.sum() > 1e9, lambda c: c + 1, x), X),
        "captures": (
            lambda x, w: lax.while_loop(
                lambda c: jnp.abs(c).max() > w[0, 0] ** 2 + 0.1, lambda c: c @ w * 0.5, x
            ),
            X,
            W,
        ),
        "ends that differ in a batch": (
            jax.vmap(lambda x, n: lax.fori_loop(0, n, lambda i, c: c * 0.9 + i, x)),
            X,
            np.array([0, 3, 1], np.int32),
        ),
        "nested": (
            lambda x: lax.while_loop(
                lambda c: c[0] < 2,
                lambda c: (c[0] + 1, lax.while_loop(lambda d: d.max() < 9, lambda d: d * 2, c[1])),
                (0, jnp.abs(x)),
            ),
            X,
        ),
        "tangent": (lambda x: jax.jvp(lambda y: newton(y)[0], (x,), (x,)), POSITIVE),
    },
    "cond": {
        "bool": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), X),
        "captures": (lambda x, w: lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x - w[0]), X, W),
        "expansions": (
            lambda x: lax.cond(x[0, 0] > 0, lambda: jnp.zeros((2, 3)), lambda: jnp.ones((2, 3))),
            X,
        ),
        "a transpose": (lambda w: lax.cond(w[0, 0] > 0, lambda: w.T, lambda: w), W),
        "in a batch": (jax.vmap(lambda r: lax.cond(r[0] > 0, jnp.sin, jnp.cos, r)), X),
        "switch": (
            lambda x, i: [
                lax.switch(i[k], [jnp.sin, jnp.cos, lambda a: a * 2, jnp.exp], x) for k in range(4)
            ],
            X,
            np.array([0, 2, 9, -4], np.int32),
        ),
        "known": (lambda x: lax.switch(1, [jnp.sin, jnp.cos], x), X),
        "gradient": (
            jax.grad(lambda x: lax.cond(x[0, 0] > 0, jnp.sin, lambda y: y * y, x).sum()),
            X,
        ),
        "switch in a batch": (
            jax.vmap(lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x)),
            X,
            np.array([0, 2, 1], np.int32),
        ),
    },
    "platform_index": {
        "by platform": (
            lambda x: lax.platform_dependent(x, cpu=lambda y: y * 2, default=lambda y: y + y),
            X,
        ),
    },
    "jit": {
        "nested": (jax.jit(lambda x: jax.jit(lambda y: jnp.sin(y) * 2)(x).sum(0)), X),
        "an array twice": (lambda w: jax.jit(lambda a, b: a + b.T)(w, w), W),
        "constants": (lambda x: jax.jit(lambda y: y + np.arange(4.0, dtype="f4"))(x), X),
        "static arguments": (
            lambda x: jax.jit(lambda y, n: y * n, static_argnums=1)(x, 3),
            X,
        ),
        "kept apart": (lambda x: jax.jit(jnp.sin, inline=False)(x), X),
    },
    "custom_jvp_call": {
        "forward": (own_square, X),
        "gradient": (jax.grad(lambda y: own_square(y).sum()), X),
        "relu and its gradient": (
            lambda x: (jax.nn.relu(x), jax.grad(lambda y: jax.nn.relu(y).sum())(x)),
            X,
        ),
        "logaddexp": (jnp.logaddexp, X, Y),
    },
    "custom_vjp_call": {
        "forward": (own_double, X),
        "gradient": (lambda x: (own_double(x), jax.grad(lambda y: own_double(y).sum())(x)), X),
    },
    "custom_vmap_call": {
        "forward": (own_sine, X),
    },
    "linear_call": {
        "forward": (
            lambda x: jax.custom_derivatives.linear_call(
                lambda r, y: y * r, lambda r, y: y * r, 2.0 * jnp.ones(4), x[0]
            ),
            X,
        ),
    },
    "remat2": {
        "forward": (lambda x: jax.checkpoint(attention)(x), X),
        "gradient": (jax.grad(lambda y: jax.checkpoint(attention)(y).sum()), X),
        "policy": (
            jax.grad(
                lambda y: jax.checkpoint(attention, policy=jax.checkpoint_policies.dots_saveable)(
                    y
                ).sum()
            ),
            X,
        ),
    },
    "composite": {
        "forward": (lambda x: lax.composite(lambda y: jnp.sin(y) * 2, "own.sin")(x), X),
    },
    "debug_callback": {
        "print": (lambda x: (jax.debug.callback(lambda v: None, x), jnp.sin(x))[1], X),
    },
    "debug_print": {
        "print": (lambda x: (jax.debug.print("{}", x.shape[0]), jnp.sin(x))[1], X),
    },
    "pure_callback": {
        "numpy": (lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3, 4), "f4"), x), X),
    },
    "io_callback": {
        "numpy": (lambda x: io_callback(np.sin, jax.ShapeDtypeStruct((3, 4), "f4"), x), X),
    },
    "new_ref": {"accumulated": (counted, X)},
    "custom_linear_solve": {
        "solve": (lambda w, y: jnp.linalg.solve(w + 3 * jnp.eye(4), y), W, Y),
    },
    "call_exported": {
        "forward": (
            lambda x: jax.export.export(jax.jit(jnp.sin))(jax.ShapeDtypeStruct((3, 4), "f4")).call(
                x
            ),
            X,
        ),
    },
}
