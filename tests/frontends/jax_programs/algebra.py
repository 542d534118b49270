"""Linear algebra and complex numbers, of which graphs have only a little."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.frontends.jax_programs.program import Table, normal

X, SQUARE = normal(3, 4), normal(4, 4)
POSITIVE = SQUARE @ SQUARE.T + 4 * np.eye(4, dtype="f4")

LINEAR_ALGEBRA: Table = {
    "cholesky": {
        "lower": (jnp.linalg.cholesky, POSITIVE),
        "in a batch": (jnp.linalg.cholesky, np.stack([POSITIVE, POSITIVE * 2])),
        "not positive": (jnp.linalg.cholesky, -POSITIVE),
        "gradient": (jax.grad(lambda a: jnp.linalg.cholesky(a).sum()), POSITIVE),
    },
    "triangular_solve": {
        f"{side}, {half}, {turned}, {unit}": (
            partial(
                lax.linalg.triangular_solve,
                left_side=side == "left",
                lower=half == "lower",
                transpose_a=turned == "turned",
                unit_diagonal=unit == "ones",
            ),
            POSITIVE,
            SQUARE,
        )
        for side in ("left", "right")
        for half in ("lower", "upper")
        for turned in ("as it is", "turned")
        for unit in ("ones", "any")
    },
    "lu": {
        "pivots": (lax.linalg.lu, SQUARE),
        "determinant": (jnp.linalg.det, SQUARE),
        "inverse": (jnp.linalg.inv, SQUARE),
    },
    "lu_pivots_to_permutation": {
        "four": (lambda n: lax.linalg.lu_pivots_to_permutation(n, 4), np.array([2, 2, 3, 3], "i4")),
    },
    "qr": {"reduced": (lambda a: jnp.linalg.qr(a)[1], SQUARE)},
    "eigh": {"values": (jnp.linalg.eigvalsh, POSITIVE)},
    "svd": {"values": (lambda a: jnp.linalg.svd(a, compute_uv=False), SQUARE)},
    "eig": {"values": (lambda a: jnp.abs(jnp.linalg.eigvals(a)), SQUARE)},
    "schur": {"real": (lambda a: jax.scipy.linalg.schur(a)[0], SQUARE)},
    "tridiagonal_solve": {
        "floats": (lambda x: lax.linalg.tridiagonal_solve(x[0], x[1] + 4, x[2], SQUARE), X),
    },
}
COMPLEX: Table = {
    "fft": {"real": (lambda x: jnp.fft.rfft(x).real, X)},
    "complex": {"magnitude": (lambda x: jnp.abs(lax.complex(x, x)), X)},
}
