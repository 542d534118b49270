"""Convolution, and reduction of sliding windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from tests.frontends.jax_programs.program import Table, normal, whole

IMAGE, LINE, SOLID = normal(2, 3, 7, 8), normal(2, 4, 9), normal(1, 2, 4, 5, 4)
KERNEL, TAPS = normal(4, 3, 2, 3, seed=1), normal(6, 4, 3, seed=1)
ONES = (1, 1)


def _conv(strides: Any, padding: Any, **options: Any) -> Callable[..., Any]:
    return lambda x, w: lax.conv_general_dilated(x, w, strides, padding, **options)


def _squared(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: (function(*xs) ** 2).sum()


def _window(init: Any, combine: Any, size: Any, stride: Any, padding: Any, **options: Any) -> Any:
    return lambda x: lax.reduce_window(x, init, combine, size, stride, padding, **options)


def _pooling(init: Any, combine: Any) -> dict[str, tuple[Any, ...]]:
    two, three = (1, 1, 2, 2), (1, 1, 3, 2)
    return {
        "apart": (_window(init, combine, two, two, "VALID"), IMAGE),
        "overlapping": (_window(init, combine, three, (1, 1, 1, 1), "VALID"), IMAGE),
        "same": (_window(init, combine, three, two, "SAME"), IMAGE),
        "own padding": (
            _window(init, combine, two, two, [(0, 0), (0, 0), (1, 0), (0, 1)]),
            IMAGE,
        ),
        "dilated windows": (
            _window(init, combine, three, two, "VALID", window_dilation=(1, 1, 2, 3)),
            IMAGE,
        ),
        "dilated base": (
            _window(init, combine, three, two, "VALID", base_dilation=(1, 1, 2, 1)),
            IMAGE,
        ),
        "both dilated": (
            _window(
                init,
                combine,
                three,
                (1, 1, 1, 2),
                [(0, 0), (0, 0), (2, 1), (0, 1)],
                base_dilation=(1, 1, 2, 1),
                window_dilation=(1, 1, 1, 2),
            ),
            IMAGE,
        ),
        "channels": (_window(init, combine, (1, 2, 1, 1), (1, 1, 1, 1), "VALID"), IMAGE),
        "one dimension": (_window(init, combine, (1, 1, 3), (1, 1, 2), "VALID"), LINE),
        "three dimensions": (
            _window(init, combine, (1, 1, 2, 2, 2), (1, 1, 1, 2, 2), "VALID"),
            SOLID,
        ),
        "in a batch": (jax.vmap(_window(init, combine, (1, 2), (1, 2), "VALID")), LINE),
    }


WINDOWS: Table = {
    "conv_general_dilated": {
        "valid": (_conv(ONES, "VALID"), IMAGE, KERNEL),
        "same": (_conv(ONES, "SAME"), IMAGE, KERNEL),
        "same, strides": (_conv((2, 3), "SAME"), IMAGE, KERNEL),
        "own padding": (_conv(ONES, [(2, 1), (0, 3)]), IMAGE, KERNEL),
        "negative padding": (_conv(ONES, [(-1, 0), (2, -2)]), IMAGE, KERNEL),
        "dilated kernel": (_conv(ONES, "VALID", rhs_dilation=(2, 3)), IMAGE, KERNEL),
        "dilated input": (_conv(ONES, [(1, 1), (2, 2)], lhs_dilation=(2, 3)), IMAGE, KERNEL),
        "all at once": (
            _conv((2, 1), [(2, 1), (-1, 3)], lhs_dilation=(2, 1), rhs_dilation=(1, 2)),
            IMAGE,
            KERNEL,
        ),
        "channels last": (
            _conv(ONES, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
            np.moveaxis(IMAGE, 1, 3),
            normal(2, 2, 3, 4),
        ),
        "odd layouts": (
            _conv(ONES, "SAME", dimension_numbers=("HNWC", "OHIW", "CNWH")),
            np.transpose(IMAGE, (2, 0, 3, 1)),
            normal(4, 2, 3, 2),
        ),
        "groups": (_conv(ONES, "SAME", feature_group_count=3), IMAGE, normal(6, 1, 2, 2)),
        "groups of the batch": (
            _conv(ONES, "SAME", batch_group_count=2),
            IMAGE,
            normal(4, 3, 2, 2),
        ),
        "depthwise": (_conv(ONES, "SAME", feature_group_count=3), IMAGE, normal(3, 1, 3, 3)),
        "one channel": (_conv(ONES, "VALID"), IMAGE[:1, :1], KERNEL[:, :1]),
        "one dimension": (_conv((2,), "SAME"), LINE, TAPS),
        "causal": (_conv((1,), [(2, 0)]), LINE, TAPS),
        "three dimensions": (_conv((1, 1, 2), "VALID"), SOLID, normal(3, 2, 2, 2, 2)),
        "no dimensions": (_conv((), ()), normal(3, 4), normal(5, 4)),
        "transposed": (
            lambda x, w: lax.conv_transpose(
                x, w, (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")
            ),
            IMAGE,
            KERNEL,
        ),
        "gradient to the input": (jax.grad(_squared(_conv((2, 1), "SAME"))), IMAGE, KERNEL),
        "gradient to the kernel": (jax.grad(_squared(_conv((2, 1), "SAME")), 1), IMAGE, KERNEL),
        "gradient of dilations": (
            jax.grad(
                _squared(_conv(ONES, [(1, 1), (2, 2)], lhs_dilation=(2, 1), rhs_dilation=(1, 2))),
                (0, 1),
            ),
            IMAGE,
            KERNEL,
        ),
        "gradient of groups": (
            jax.grad(_squared(_conv(ONES, "SAME", feature_group_count=3)), (0, 1)),
            IMAGE,
            normal(6, 1, 2, 2),
        ),
        "mapped over kernels": (
            jax.vmap(_conv(ONES, "SAME"), (None, 0)),
            IMAGE,
            normal(2, 4, 3, 2, 3),
        ),
        "mapped over both": (jax.vmap(_conv((1,), "SAME")), normal(2, 1, 4, 9), normal(2, 6, 4, 3)),
        "brain floats": (
            _conv(ONES, "SAME"),
            IMAGE.astype(ml_dtypes.bfloat16),
            KERNEL.astype(ml_dtypes.bfloat16),
        ),
        "doubles": (_conv(ONES, "SAME"), IMAGE.astype(np.float64), KERNEL.astype(np.float64)),
        "integers": (_conv(ONES, "SAME"), whole(2, 3, 7, 8), whole(4, 3, 2, 3)),
        "wide sums": (
            _conv(ONES, "SAME", preferred_element_type=jnp.float32),
            IMAGE.astype(ml_dtypes.bfloat16),
            KERNEL.astype(ml_dtypes.bfloat16),
        ),
    },
    "reduce_window_max": {
        **_pooling(-jnp.inf, lax.max),
        "integers": (
            _window(np.int32(-(2**31)), lax.max, (2, 2), (1, 1), "SAME"),
            whole(5, 6),
        ),
    },
    "reduce_window_min": _pooling(jnp.inf, lax.min),
    "reduce_window_sum": {
        **_pooling(0.0, lax.add),
        "integers": (_window(np.int32(0), lax.add, (2, 2), (1, 1), "SAME"), whole(5, 6)),
        "average": (
            lambda x: (
                lax.reduce_window(x, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "SAME")
                / lax.reduce_window(
                    jnp.ones_like(x), 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "SAME"
                )
            ),
            IMAGE,
        ),
    },
    "reduce_window": {
        "products": (_window(1.0, lax.mul, (1, 1, 2, 2), (1, 1, 2, 2), "SAME"), IMAGE),
        "own function": (
            _window(np.float32(0), lambda a, b: jnp.hypot(a, b), (1, 1, 3), (1, 1, 2), "SAME"),
            LINE,
        ),
        "a start that counts": (
            _window(np.float32(1), lax.add, (1, 1, 2), (1, 1, 2), "SAME"),
            LINE,
        ),
        "two arrays": (
            lambda x, n: lax.reduce_window(
                (x, n),
                (np.float32(-np.inf), np.int32(0)),
                lambda a, b: (jnp.maximum(a[0], b[0]), a[1] + b[1]),
                (2, 2),
                (1, 1),
                "VALID",
            ),
            normal(5, 6),
            whole(5, 6),
        ),
    },
    "select_and_scatter_add": {
        "gradient of max": (
            jax.grad(_squared(_window(-jnp.inf, lax.max, (1, 1, 3, 2), (1, 1, 2, 2), "SAME"))),
            IMAGE,
        ),
        "gradient of min": (
            jax.grad(_squared(_window(jnp.inf, lax.min, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"))),
            IMAGE,
        ),
        "ties": (
            jax.grad(_squared(_window(-jnp.inf, lax.max, (2, 2), (1, 1), "VALID"))),
            np.ones((4, 5), np.float32),
        ),
        "own padding": (
            jax.grad(_squared(_window(-jnp.inf, lax.max, (1, 3), (1, 2), [(0, 0), (2, 1)]))),
            normal(3, 9),
        ),
    },
    "select_and_gather_add": {
        "tangent of max": (
            lambda x, t: jax.jvp(
                _window(-jnp.inf, lax.max, (1, 1, 3, 2), (1, 1, 2, 2), "SAME"), (x,), (t,)
            )[1],
            IMAGE,
            normal(2, 3, 7, 8, seed=4),
        ),
        "tangent of min": (
            lambda x, t: jax.jvp(
                _window(jnp.inf, lax.min, (1, 1, 2, 2), (1, 1, 2, 1), "VALID"), (x,), (t,)
            )[1],
            IMAGE,
            normal(2, 3, 7, 8, seed=4),
        ),
    },
}
