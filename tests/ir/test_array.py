"""Arithmetic of named arrays: axes are zipped by name, whatever the order and the framework."""

from __future__ import annotations

import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import AxisError
from tests.passes.interventions.decoder import IDS, ONES, torch_graph

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4, 2))
frameworks = pytest.mark.parametrize("of", [np.asarray, jnp.asarray, torch.tensor])


@frameworks
def test_axes_are_zipped_by_name(of: Any) -> None:
    a, b = gw.NamedArray(of(A), ("x", "y")), gw.NamedArray(of(B), ("y", "z", "x"))
    wide = A.T[:, None, :]
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, operator.lt):
        for found, wanted in (
            (function(a, b), function(wide, B)),
            (function(b, a), function(B, wide)),
        ):
            assert type(found.array) is type(a.array)
            np.testing.assert_allclose(np.asarray(found.order("y", "z", "x")), wanted, rtol=1e-5)
    assert (a + b).axes == (b + a).axes == ("y", "z", "x")


@frameworks
def test_numbers_unit_dimensions_and_reductions(of: Any) -> None:
    a = gw.NamedArray(of(A), ("x", "y"))
    flat = gw.NamedArray(of(A[:, None]), ("x", None, "y"))
    for found, wanted in (
        (2 - a, 2 - A), (a / 2, A / 2), (1 / a, 1 / A), (-a, -A), (abs(a), abs(A)),
        (2 * a + 1, 2 * A + 1), (a >= 0, A >= 0), (flat - a, 0 * A), (a <= a, A <= A),
        (a.sum("y"), A.sum(1)), (a.mean("x"), A.mean(0)), (a.max("y"), A.max(1)),
        (a.min("x", "y"), A.min()), (flat.sum("x"), A.sum(0)[None]), (a > np.float64(0), A > 0),
    ):  # fmt: skip
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5)
    assert float(a.max("x", "y")) == pytest.approx(A.max(), rel=1e-6)
    assert a.mean("y").axes == ("x",)


def test_numpy_is_given_the_array_itself_or_a_copy_as_it_asks() -> None:
    named = gw.NamedArray(A.copy(), ("x", "y"))
    assert np.asarray(named) is named.array
    assert np.asarray(named, np.float16).dtype == np.float16
    copy = np.array(named)
    copy[:] = 0
    np.testing.assert_array_equal(named.array, A)


def test_what_does_not_fit_is_refused_by_name() -> None:
    a = gw.NamedArray(A, ("x", "y"))
    with pytest.raises(AxisError, match="axis 'y' has size 3 here and 2 there"):
        a + gw.NamedArray(A, ("y", "z"))
    with pytest.raises(AxisError, match="no axis 'z'"):
        a.sum("z")
    with pytest.raises(TypeError, match="has no names"):
        a + A  # type: ignore[operator]


def test_a_metric_means_the_same_in_a_graph_and_on_what_a_run_gives() -> None:
    def metric(out: Any) -> Any:
        last = out["logits"][{"seq": -1}]
        return (last[{"vocab": 3}] - last[{"vocab": 1}]) * 2 + abs_(last.mean("vocab"))

    def abs_(x: Any) -> Any:
        return x * x

    graph = torch_graph()
    inputs = {"input_ids": IDS, "attention_mask": ONES}
    found = metric(gw.compile(graph, "numpy")(**inputs))
    assert found.axes == ("batch",)
    seen = graph.apply(p.Gradient(metric, "embed"))
    slope = np.asarray(gw.compile(seen, "numpy")(**inputs)["gradient.embed"])
    step = RNG.standard_normal(slope.shape[-1]) * 1e-5
    moved = graph.apply(p.Steer("embed", step))
    change = metric(gw.compile(moved, "numpy")(**inputs)) - found
    np.testing.assert_allclose(np.asarray(change), (slope * step).sum((1, 2)), rtol=1e-3, atol=1e-9)
