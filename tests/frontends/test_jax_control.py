"""Control flow, nested functions, transformations and random numbers of JAX programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from graftwork.ir.graph import Graph
from tests.frontends.jax_programs.control import attention, nested, own_double, own_square, rnn
from tests.frontends.jax_support import check, from_jax, normal

X = normal(3, 4)
W = normal(4, 4, seed=1) * 0.4


@pytest.fixture(autouse=True)
def wide_types() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def kinds(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.walk()]


def newton(x: Any) -> Any:
    def going(state: Any) -> Any:
        guess, count = state
        return (jnp.abs(guess * guess - x) > 1e-12).any() & (count < 50)

    return lax.while_loop(
        going, lambda s: (0.5 * (s[0] + x / s[0]), s[1] + 1), (jnp.ones_like(x), 0)
    )


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "scan": (rnn, (W, X)),
    "reverse scan without carry": (
        lambda x: lax.scan(lambda c, r: (c, r * 2), None, x, reverse=True)[1],
        (X,),
    ),
    "scan without rows": (
        lambda x: lax.scan(lambda c, _: (c * 0.5 + 1, c), x, None, length=3),
        (X,),
    ),
    "scan of one step": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x[1:2]), (X,)),
    "scan of an expanded carry": (
        lambda x: lax.scan(lambda c, r: (c + r.sum(), c), jnp.zeros((2, 4)), x),
        (X,),
    ),
    "scan that permutes its carry": (
        lambda x: lax.scan(lambda c, r: (c.T + r[:3], c), jnp.zeros((3, 3)), x),
        (X,),
    ),
    "scan over a captured array": (
        lambda x: lax.scan(lambda c, r: (c + (x @ x.T)[0, 0], r @ x.T), 0.0, x),
        (X,),
    ),
    "nested scans and branches": (nested, (W, X)),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * 0.9 + i, x), (X,)),
    "a cache filled in a loop": (
        lambda x: lax.scan(
            lambda c, i: (lax.dynamic_update_index_in_dim(c, jnp.sin(c[i]), i, 0), i),
            x,
            jnp.arange(3),
        ),
        (X,),
    ),
    "fori_loop to a computed end": (
        lambda x, n: lax.fori_loop(0, n[0], lambda i, c: c * 0.9 + i, x),
        (X, np.array([4])),
    ),
    "while": (newton, (np.abs(X) + 0.5,)),
    "while in a batch": (jax.vmap(newton), (np.abs(X) + 0.5,)),
    "map": (lambda x: lax.map(lambda r: r / r.sum(), x), (X,)),
    "associative_scan": (lambda x: lax.associative_scan(jnp.add, x), (X,)),
    "cond": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), (X,)),
    "cond on expansions": (
        lambda x: lax.cond(x[0, 0] > 0, lambda: jnp.zeros((2, 3)), lambda: jnp.ones((2, 3))),
        (X,),
    ),
    "cond of a transpose": (lambda w: lax.cond(w[0, 0] > 0, lambda: w.T, lambda: w), (W,)),
    "cond in a batch": (jax.vmap(lambda r: lax.cond(r[0] > 0, jnp.sin, jnp.cos, r)), (X,)),
    "switch": (
        lambda x, i: [lax.switch(k, [jnp.sin, jnp.cos, lambda a: a * W[0], jnp.exp], x) for k in i],
        (X, np.array([0, 1, 2, 3, 9, -4])),
    ),
    "known switch": (lambda x: lax.switch(1, [jnp.sin, jnp.cos], x), (X,)),
    "nested jit": (jax.jit(lambda x: jax.jit(lambda y: jnp.sin(y) * 2)(x).sum(0)), (X,)),
    "jit that takes an array twice": (lambda w: jax.jit(lambda a, b: a + b.T)(w, w), (W,)),
    "custom_jvp": (lambda x: (own_square(x), jax.grad(lambda y: own_square(y).sum())(x)), (X,)),
    "custom_vjp": (lambda x: (own_double(x), jax.grad(lambda y: own_double(y).sum())(x)), (X,)),
    "checkpoint": (lambda x: jax.grad(lambda y: jax.checkpoint(attention)(y).sum())(x), (X,)),
    "vmap": (jax.vmap(attention), (normal(2, 3, 4),)),
    "vmap of inner axes": (
        jax.vmap(jax.vmap(jnp.dot, (1, None)), (0, 0), 1),
        (normal(2, 4, 3), X[:2]),
    ),
    "gradients": (lambda w, x: jax.grad(lambda w: (rnn(w, x)[0] ** 2).sum())(w), (W, X)),
    "gradient of attention": (jax.grad(lambda x: (attention(x) ** 2).sum()), (X,)),
    "jvp": (lambda x: jax.jvp(attention, (x,), (jnp.ones_like(x),)), (X,)),
    "jacobian": (jax.jacrev(lambda x: (x @ W).sum(1)), (X,)),
    "hessian": (jax.hessian(lambda x: (jnp.tanh(x @ W) ** 2).sum()), (X[0],)),
    "activations": (
        lambda x: [
            getattr(jax.nn, name)(x)
            for name in (
                "relu",
                "relu6",
                "silu",
                "gelu",
                "elu",
                "selu",
                "celu",
                "leaky_relu",
                "softplus",
                "log_sigmoid",
                "hard_silu",
                "hard_sigmoid",
                "hard_tanh",
                "mish",
                "squareplus",
                "glu",
            )
        ],
        (X,),
    ),
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), (X,)),
    "dot_product_attention": (  # in float32, whatever it is given
        lambda q: jax.nn.dot_product_attention(q, q, q, is_causal=True),
        (normal(2, 5, 3, 4),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_programs_compute_what_jax_computes(name: str) -> None:
    function, args = CASES[name]
    check(function, *args, tolerance=1e-6 if name == "dot_product_attention" else 1e-9)


def test_a_loop_is_one_node_with_a_body_and_a_named_axis() -> None:
    graph = check(rnn, W, X, axes={1: "time _"}, others=[(W, normal(7, 4)), (W, X[:1])])
    (scan,) = (node for node in graph.nodes if node.op.name == "scan")
    assert graph.axes[scan.attrs["axis"]] == graph.axes["time"]
    assert "tanh" in [node.op.name for node in scan.regions[0].nodes]


def test_a_branch_takes_the_bool_that_it_was_written_with() -> None:
    graph = check(*[CASES["cond"][0], *CASES["cond"][1]])
    (cond,) = (node for node in graph.nodes if node.op.name == "cond")
    assert graph.index.producer[cond.inputs[0]].op.name == "gt"
    assert [n.op.name for n in cond.regions[0].nodes] == ["sin"]


def test_a_branch_that_is_known_is_no_branch() -> None:
    assert "cond" not in kinds(check(*[CASES["known switch"][0], X]))


def test_activations_with_a_name_and_the_structure_of_it_are_one_op() -> None:
    graph = check(lambda x: jax.nn.silu(jax.nn.relu(x)), X)
    assert kinds(graph) == ["relu", "silu"]


def test_a_function_that_is_only_called_relu_stays_what_it_is() -> None:
    @jax.jit
    def relu(x: Any) -> Any:
        return jnp.maximum(x, 1.0)

    assert "relu" not in kinds(check(relu, X))


RANDOM: dict[str, Callable[[Any], Any]] = {
    "bits": lambda key: jax.random.bits(key, (2, 3)),
    "bits of other widths": lambda key: [
        jax.random.bits(key, (5,), dtype) for dtype in ("uint8", "uint16", "uint64")
    ],
    "uniform": lambda key: jax.random.uniform(key, (3, 1, 2), minval=-1.0),
    "normal": lambda key: jax.random.normal(key, (5,), "float32"),
    "split": lambda key: [jax.random.normal(k, (2,)) for k in jax.random.split(key, 3)],
    "keys themselves": lambda key: jax.random.split(key, (2, 1)),
    "fold_in": lambda key: jax.random.key_data(jax.random.fold_in(key, 7)),
    "bernoulli": lambda key: jax.random.bernoulli(key, 0.3, (9,)),
    "categorical": lambda key: jax.random.categorical(key, jnp.zeros((3, 4))),
    "permutation": lambda key: jax.random.permutation(key, 6),
    "randint": lambda key: jax.random.randint(key, (4,), 0, 10),
    "map over keys": lambda key: jax.vmap(lambda k: jax.random.uniform(k, (2,)))(
        jax.random.split(key, 3)
    ),
    "seed": lambda key: jax.random.uniform(jax.random.fold_in(jax.random.key(42), 1), (3,)),
    "keys in a loop": lambda key: lax.scan(
        lambda k, _: (jax.random.split(k)[0], jax.random.uniform(k)), key, None, length=3
    ),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_those_of_jax(name: str) -> None:
    key = jax.random.key(3)
    graph = check(
        lambda words: RANDOM[name](jax.random.wrap_key_data(words)),
        jax.random.key_data(key),
        tolerance=1e-6,
    )
    assert len(graph.inputs) == 1


def test_a_key_as_an_argument_is_two_words() -> None:
    from graftwork.backends.reference import compile

    graph = from_jax(lambda key: jax.random.uniform(key, (3,)), jax.random.key(0))
    key = jax.random.key(5)
    result = compile(graph)(key=jax.random.key_data(key))["output"]
    np.testing.assert_allclose(result, jax.random.uniform(key, (3,)), rtol=1e-12)
