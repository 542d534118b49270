"""Images in ONNX Runtime: what comes from convolutions goes back to convolutions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as onnx
import pytest

import graftwork as gw
from graftwork.backends.onnx.model import model_of

IMAGE = """graph {
  axes { batch: batch, channels: 4, height: 3, width: 2, made: 5 }
  input x: f32{%s}
  input mean: f32{channels}
  input var: f32{channels}
  input gain: f32{channels}
  input matrix: f32{made, channels}
  %%n = batch_norm(%%x, %%mean, %%var, %%gain) eps=0.001 : f32{%s}
  %%y = contract(%%n, %%matrix) over={channels} : f32{batch, height, width, made}
  output y = %%y
}"""
SECOND, LAST = "batch, channels, height, width", "batch, height, width, channels"


def _graph(layout: str) -> gw.Graph:
    return gw.parse(IMAGE % (layout, layout))


def _kinds(graph: gw.Graph) -> Counter[str]:
    def tensor(name: str, array: np.ndarray) -> onnx.Tensor:
        return onnx.Tensor(array, name=name)

    return Counter(node.op_type for node in model_of(graph, tensor).graph)


@pytest.mark.parametrize("layout", [SECOND, LAST])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_an_image_is_normed_and_contracted_as_in_the_reference(layout: str, batch: int) -> None:
    random = np.random.default_rng(0)
    sizes = {"batch": batch, "channels": 4, "height": 3, "width": 2}
    given = {
        "x": random.standard_normal([sizes[axis] for axis in layout.split(", ")], np.float32),
        "mean": random.standard_normal(4, np.float32),
        "var": random.random(4, np.float32),
        "gain": random.standard_normal(4, np.float32),
        "matrix": random.standard_normal((5, 4), np.float32),
    }
    ours, theirs = (gw.compile(_graph(layout), b)(**given)["y"] for b in ("onnx", "numpy"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_only_channels_that_lie_second_take_the_kernels_of_images() -> None:
    second, last = _kinds(_graph(SECOND)), _kinds(_graph(LAST))
    assert (second["BatchNormalization"], second["Conv"], second["MatMul"]) == (1, 1, 0)
    assert (last["BatchNormalization"], last["Conv"], last["MatMul"]) == (0, 0, 1)
