"""Random keys and numbers: equal keys give equal numbers on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import threefry_2x32

from tests.frontends.jax_programs.program import Table, normal

WORDS = np.array([3, 5], np.uint32)
SEED = np.array(42, np.int32)


def _keyed(draw: Callable[[Any], Any]) -> tuple[Any, ...]:
    """A function of a key, as a function of the words of the key."""
    return (lambda words: draw(jax.random.wrap_key_data(words)), WORDS)


RANDOM: Table = {
    "random_bits": {
        "words": _keyed(lambda key: jax.random.bits(key, (2, 3))),
        "bytes": _keyed(lambda key: jax.random.bits(key, (5,), "uint8")),
        "short words": _keyed(lambda key: jax.random.bits(key, (5,), "uint16")),
        "a scalar": _keyed(lambda key: jax.random.bits(key)),
        "three dimensions": _keyed(lambda key: jax.random.bits(key, (2, 1, 3))),
        "uniform": _keyed(lambda key: jax.random.uniform(key, (3, 2), minval=-1.0, maxval=2.0)),
        "normal": _keyed(lambda key: jax.random.normal(key, (5,))),
        "truncated normal": _keyed(lambda key: jax.random.truncated_normal(key, -1.0, 1.0, (5,))),
        "bernoulli": _keyed(lambda key: jax.random.bernoulli(key, 0.3, (9,))),
        "categorical": _keyed(lambda key: jax.random.categorical(key, jnp.zeros((3, 4)))),
        "gumbel": _keyed(lambda key: jax.random.gumbel(key, (4,))),
        "exponential": _keyed(lambda key: jax.random.exponential(key, (4,))),
        "laplace": _keyed(lambda key: jax.random.laplace(key, (4,))),
        "randint": _keyed(lambda key: jax.random.randint(key, (4,), 0, 10)),
        "permutation": _keyed(lambda key: jax.random.permutation(key, 6)),
        "choice": _keyed(lambda key: jax.random.choice(key, 7, (3,), replace=False)),
        "half floats": _keyed(lambda key: jax.random.uniform(key, (4,), "float16")),
        "brain floats": _keyed(lambda key: jax.random.normal(key, (4,), "bfloat16")),
        "dropout": (
            lambda words, x: jnp.where(
                jax.random.bernoulli(jax.random.wrap_key_data(words), 0.8, x.shape), x / 0.8, 0.0
            ),
            WORDS,
            normal(3, 4),
        ),
        "a map over keys": _keyed(
            lambda key: jax.vmap(lambda k: jax.random.uniform(k, (2,)))(jax.random.split(key, 3))
        ),
    },
    "random_split": {
        "three": _keyed(lambda key: jax.random.key_data(jax.random.split(key, 3))),
        "a grid": _keyed(lambda key: jax.random.key_data(jax.random.split(key, (2, 1)))),
        "taken apart": _keyed(
            lambda key: [jax.random.normal(k, (2,)) for k in jax.random.split(key)]
        ),
        "in a loop": _keyed(
            lambda key: lax.scan(
                lambda k, _: (jax.random.split(k)[0], jax.random.uniform(k)), key, None, length=3
            )[1]
        ),
    },
    "random_fold_in": {
        "a number": _keyed(lambda key: jax.random.key_data(jax.random.fold_in(key, 7))),
        "an array": _keyed(
            lambda key: jax.vmap(lambda i: jax.random.bits(jax.random.fold_in(key, i)))(
                jnp.arange(3)
            )
        ),
    },
    "random_seed": {
        "a literal": (lambda x: x + jax.random.uniform(jax.random.key(42), (4,)), normal(4)),
        "an argument": (lambda s: jax.random.key_data(jax.random.key(s)), SEED),
        "a negative one": (lambda s: jax.random.key_data(jax.random.key(-s)), SEED),
    },
    "random_wrap": {"words": _keyed(lambda key: jax.random.uniform(key))},
    "random_unwrap": {"words": _keyed(jax.random.key_data)},
    "random_clone": {"words": _keyed(lambda key: jax.random.bits(jax.random.clone(key)))},
    "random_gamma": {
        "gamma": _keyed(lambda key: jax.random.gamma(key, 2.5, (3,))),
        "less than one": _keyed(lambda key: jax.random.gamma(key, 0.5, (3,))),
        "beta": _keyed(lambda key: jax.random.beta(key, 2.0, 3.0, (3,))),
        "dirichlet": _keyed(lambda key: jax.random.dirichlet(key, jnp.ones(3))),
    },
    "threefry2x32": {
        "raw keys": (
            lambda words: threefry_2x32(words, jnp.arange(4, dtype=jnp.uint32)),
            WORDS,
        ),
    },
    "rng_bit_generator": {
        "default algorithm": (
            lambda words: lax.rng_bit_generator(jnp.concatenate([words, words]), (4,))[1],
            WORDS,
        ),
        "a kind of key": (
            lambda x: x + jax.random.uniform(jax.random.key(0, impl="rbg"), (4,)),
            normal(4),
        ),
    },
    "rng_uniform": {"floats": (lambda x: lax.rng_uniform(x[0], x[0] + 1, (3,)), normal(4))},
}
