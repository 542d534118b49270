"""Rotary positions in ONNX Runtime: its kernel, where both halves turn by the same angles."""

from __future__ import annotations

import numpy as np
import onnx_ir as onnx
import pytest

import graftwork as gw
from graftwork.backends.onnx.model import model_of

ROTARY = """graph {
  axes { batch: batch, seq: seq, heads: 3, groups: 2, dim: 8, half: 4 }
  input x: f32{%s}
  input angle: f32{%s, half}
  input other: f32{%s, half}
  %%both = concat(%%angle, %%other) axes=[half, half] into=dim : f32{%s, dim}
  %%cos = cos(%%both) : f32{%s, dim}
  %%sin = sin(%%both) : f32{%s, dim}
  %%y = rotary(%%x, %%cos, %%sin) axis=dim : f32{%s}
  output y = %%y
}"""
HEADS = "batch, seq, heads, groups, dim"


def _graph(layout: str, turning: str, *, alike: bool = True) -> gw.Graph:
    text = ROTARY % (layout, *[turning] * 5, layout)
    return gw.parse(text.replace("%angle, %other", "%angle, %angle") if alike else text)


def _kernels(graph: gw.Graph) -> int:
    kinds = [node.op_type for node in model_of(graph, lambda n, a: onnx.Tensor(a, name=n)).graph]
    return kinds.count("RotaryEmbedding")


@pytest.mark.parametrize(
    ("layout", "turning"),
    [
        *((layout, "batch, seq") for layout in (HEADS, "batch, seq, dim")),
        *((layout, "seq") for layout in (HEADS, "batch, seq, dim", "seq, heads, dim", "seq, dim")),
        ("batch, heads, groups, seq, dim", "seq"),
    ],
)
@pytest.mark.parametrize("extents", [(2, 5), (1, 1), (0, 5), (2, 0)])
def test_the_kernel_turns_as_the_reference_does(
    layout: str, turning: str, extents: tuple[int, int]
) -> None:
    graph = _graph(layout, turning)
    assert _kernels(graph) == 1
    sizes = {"batch": extents[0], "seq": extents[1], "heads": 3, "groups": 2, "dim": 8}
    random = np.random.default_rng(0)
    given = {
        "x": random.standard_normal([sizes[axis] for axis in layout.split(", ")], np.float32),
        "angle": random.random([*(sizes[axis] for axis in turning.split(", ")), 4], np.float32),
        "other": random.random([*(sizes[axis] for axis in turning.split(", ")), 4], np.float32),
    }
    ours, theirs = (gw.compile(graph, backend)(**given)["y"] for backend in ("onnx", "numpy"))
    assert ours.axes == theirs.axes
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("layout", "alike"), [(HEADS, False), ("dim, batch, seq", True)])
def test_other_angles_and_layouts_do_without_it(layout: str, alike: bool) -> None:
    graph = _graph(layout, "seq", alike=alike)
    assert _kernels(graph) == 0
    random = np.random.default_rng(1)
    sizes = {"batch": 2, "seq": 5, "heads": 3, "groups": 2, "dim": 8}
    given = {
        "x": random.standard_normal([sizes[axis] for axis in layout.split(", ")], np.float32),
        "angle": random.random((5, 4), np.float32),
        "other": random.random((5, 4), np.float32),
    }
    ours, theirs = (gw.compile(graph, backend)(**given)["y"] for backend in ("onnx", "numpy"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
