"""The backend of a sweep is the one that is measured to be the fastest."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import fastest as measured
from graftwork import passes as p
from graftwork.fastest import CANDIDATES, fastest, largest_product
from graftwork.ir.errors import DeviceError, UnsupportedOpError

TORCH, ONNX = CANDIDATES["torch"], CANDIDATES["onnxruntime"]


@pytest.fixture
def graph() -> gw.Graph:
    layers = torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 16)
    model = torch.nn.Sequential(*layers)
    return gw.from_torch(model, torch.zeros(3, 8), axes={0: "batch features=8"})


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_known", {})


def test_the_largest_product_runs_alone_with_its_weights(graph: gw.Graph) -> None:
    alone = largest_product(graph, {"batch": 5})
    assert alone is not None
    parameter = alone.parameters[0]
    assert parameter.name == "2.weight"
    assert set(alone.axes.values()) == {5, 64, 16}
    x = np.ones((5, 64), np.float32)
    weight, bias = (np.asarray(alone.params[name]) for name in ("2.weight", "2.bias"))
    found = gw.compile(alone, "numpy")(x0=x)["y0"]
    np.testing.assert_allclose(np.asarray(found), x @ weight.T + bias, rtol=1e-5)


def test_large_products_are_measured_at_smaller_sizes(graph: gw.Graph) -> None:
    alone = largest_product(graph, {"batch": 1 << 40})
    assert alone is not None
    assert 1 < min(alone.axes.values()) <= 64
    assert measured._FLOPS / 4 < measured._flops(alone) <= measured._FLOPS


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [({"torch": 1.0, "onnx": 0.5}, ONNX), ({"torch": 1.0, "onnx": 0.9}, TORCH)],
)
def test_the_fastest_is_taken_if_it_is_worth_it(
    graph: gw.Graph, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], expected: Any
) -> None:
    monkeypatch.setattr(measured, "_seconds", lambda run, given: seconds[run.backend])
    assert fastest(graph, {"batch": 4}) is expected
    monkeypatch.setattr(measured, "_seconds", None)  # nothing is measured twice
    assert fastest(graph, {"batch": 4}) is expected


def test_a_lucky_turn_does_not_tell(graph: gw.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = itertools.count()

    def seconds(run: gw.Program, given: Any) -> float:
        return 0.5 if run.backend == "onnx" else 0.4 if next(turns) % 4 == 1 else 1.0

    monkeypatch.setattr(measured, "_seconds", seconds)
    assert fastest(graph, {"batch": 4}) is ONNX


def test_what_is_not_installed_is_not_tried(
    graph: gw.Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "find_spec", lambda name: None if name == "torch" else name)
    assert fastest(graph, {"batch": 4}) is ONNX
    monkeypatch.setattr(measured, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedOpError, match="install torch or onnxruntime"):
        fastest(graph, {"batch": 4})


def test_a_device_that_nobody_has(graph: gw.Graph) -> None:
    with pytest.raises(DeviceError, match="nowhere"):
        fastest(graph, {"batch": 4}, "nowhere")


def test_a_graph_without_products_takes_the_first(graph: gw.Graph) -> None:
    relu = gw.from_torch(torch.nn.ReLU(), torch.zeros(3, 8), axes={0: "batch features=8"})
    assert fastest(relu, {"batch": 4}) is TORCH


def test_a_sweep_that_is_told_no_backend_gives_the_same_numbers(graph: gw.Graph) -> None:
    scaled = p.Scale("2", gw.each("factor", (0.0, 0.5, 2.0)))
    given = {graph.inputs[0].name: np.random.default_rng(0).normal(size=(4, 8)).astype("f")}

    effect = gw.Sweep(graph, scaled, metric=lambda out: out["output"]).run(**given)
    expected = gw.Sweep(graph, scaled, metric=lambda out: out["output"], backend="numpy").run(
        **given
    )
    np.testing.assert_allclose(np.asarray(effect), np.asarray(expected), rtol=1e-4, atol=1e-6)
