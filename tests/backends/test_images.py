"""Images: what comes from convolutions goes back to convolutions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as onnx
import pytest
import torch
import torch.nn.functional as F

import graftwork as gw
from graftwork.backends.onnx.model import model_of

IMAGE = """graph {
  axes { batch: batch, channels: 4, height: %s, width: 2, made: 5 }
  input x: f32{%s}
  input mean: f32{channels}
  input var: f32{channels}
  input gain: f32{channels}
  input matrix: f32{made, channels}
  %%n = batch_norm(%%x, %%mean, %%var, %%gain) eps=0.001 : f32{%s}
  %%y = contract(%%n, %%matrix) over={channels} : f32{batch, height, width, made}
  output y = %%y
}"""
GRIDS = [("3", 3, 0), ("3", 3, 1), ("3", 3, 3), ("height", 3, 2), ("height", 0, 2)]
SECOND, LAST = "batch, channels, height, width", "batch, height, width, channels"


def _graph(layout: str, height: str = "3") -> gw.Graph:
    return gw.parse(IMAGE % (height, layout, layout))


def _kinds(graph: gw.Graph) -> Counter[str]:
    def tensor(name: str, array: np.ndarray) -> onnx.Tensor:
        return onnx.Tensor(array, name=name)

    return Counter(node.op_type for node in model_of(graph, tensor).graph)


def _calls(graph: gw.Graph) -> Counter[object]:
    module = gw.to_torch(graph)
    graphs = (m.graph for m in module.modules() if isinstance(m, torch.fx.GraphModule))
    return Counter(node.target for each in graphs for node in each.nodes)


@pytest.mark.parametrize("backend", ["onnx", "torch", "jax"])
@pytest.mark.parametrize("layout", [SECOND, LAST])
@pytest.mark.parametrize(("size", "height", "batch"), GRIDS)
def test_an_image_is_normed_and_contracted_as_in_the_reference(
    backend: str, layout: str, size: str, height: int, batch: int
) -> None:
    random = np.random.default_rng(0)
    sizes = {"batch": batch, "channels": 4, "height": height, "width": 2}
    given = {
        "x": random.standard_normal([sizes[axis] for axis in layout.split(", ")], np.float32),
        "mean": random.standard_normal(4, np.float32),
        "var": random.random(4, np.float32),
        "gain": random.standard_normal(4, np.float32),
        "matrix": random.standard_normal((5, 4), np.float32),
    }
    options = {"mode": "eager"} if backend == "torch" else {}
    graph = _graph(layout, size)
    ours = gw.compile(graph, backend, **options)(**given)["y"]
    theirs = gw.compile(graph, "numpy")(**given)["y"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_only_channels_that_lie_second_take_the_kernels_of_images() -> None:
    second, last = _kinds(_graph(SECOND)), _kinds(_graph(LAST))
    assert (second["BatchNormalization"], second["Conv"], second["MatMul"]) == (1, 1, 0)
    assert (last["BatchNormalization"], last["Conv"], last["MatMul"]) == (0, 0, 1)


def test_torch_convolves_a_grid_that_cannot_be_empty() -> None:
    known, open_ended = _calls(_graph(SECOND)), _calls(_graph(SECOND, "height"))
    assert (known[F.conv2d], known[F.linear]) == (1, 0)
    assert (open_ended[F.conv2d], open_ended[F.linear]) == (0, 1)
