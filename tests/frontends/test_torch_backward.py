"""Training graphs: a model traced with its gradients agrees with autograd on every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.utils import _pytree as pytree

import graftwork as gw
from graftwork.testing.running import Refusal, run_on
from tests.frontends.op_database.judge import BACKENDS

LINE, IMAGE, VOLUME, WORDS = (2, 3, 11), (2, 3, 12, 12), (1, 2, 6, 6, 6), (2, 5, 8)
HEADS = ((2, 4, 5, 4), (2, 4, 5, 4), (2, 4, 5, 4))


class Scaled(nn.Module):
    """A function of tensors, each times a parameter."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return self.function(*(x * self.weight for x in xs))


def line(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv1d(3, 2, 1), *layers)


def image(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers)


def volume(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv3d(2, 2, 1), *layers)


def attention(**options: Any) -> nn.Module:
    return Scaled(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, **options))


def grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    few = k[:, :2], v[:, :2]
    return functional.scaled_dot_product_attention(q, *few, is_causal=True, enable_gqa=True)


CASES: dict[str, tuple[Callable[[], nn.Module], Sequence[tuple[int, ...]]]] = {
    "conv1d": (lambda: line(nn.Conv1d(2, 4, 3, dilation=2, padding=2), nn.Tanh()), [LINE]),
    "conv2d": (lambda: image(nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=2)), [IMAGE]),
    "depthwise": (lambda: image(nn.Conv2d(4, 8, 3, groups=4, stride=2, padding=1)), [IMAGE]),
    "conv3d": (lambda: volume(nn.Conv3d(2, 4, 3, stride=2, bias=False)), [VOLUME]),
    "transposed": (
        lambda: image(nn.ConvTranspose2d(4, 2, 3, padding=1, stride=2, output_padding=1)),
        [IMAGE],
    ),
    "max_pool1d": (lambda: line(nn.MaxPool1d(2)), [LINE]),
    "max_pool2d": (lambda: image(nn.MaxPool2d(3, stride=2, padding=1)), [IMAGE]),
    "max_pool3d": (lambda: volume(nn.MaxPool3d(2)), [VOLUME]),
    "adaptive_max_pool2d": (lambda: image(nn.AdaptiveMaxPool2d(5)), [IMAGE]),
    "avg_pool2d": (lambda: image(nn.AvgPool2d(2, stride=1, padding=1)), [IMAGE]),
    "avg_pool2d_inside": (
        lambda: image(nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)),
        [IMAGE],
    ),
    "avg_pool3d": (lambda: volume(nn.AvgPool3d(2)), [VOLUME]),
    "adaptive_avg_pool2d": (lambda: image(nn.AdaptiveAvgPool2d(4)), [IMAGE]),
    "adaptive_avg_pool2d_whole": (lambda: image(nn.AdaptiveAvgPool2d(1)), [IMAGE]),
    "group_norm": (lambda: image(nn.GroupNorm(2, 4)), [IMAGE]),
    "batch_norm": (lambda: image(nn.BatchNorm2d(4, track_running_stats=False)), [IMAGE]),
    "nearest1d": (lambda: line(nn.Upsample(scale_factor=1.7)), [LINE]),
    "nearest2d": (lambda: image(nn.Upsample(size=(7, 23))), [IMAGE]),
    "nearest2d_whole": (lambda: image(nn.Upsample(scale_factor=2)), [IMAGE]),
    "nearest2d_exact": (lambda: image(nn.Upsample(size=(7, 23), mode="nearest-exact")), [IMAGE]),
    "linear1d": (lambda: line(nn.Upsample(scale_factor=1.7, mode="linear")), [LINE]),
    "bilinear2d": (lambda: image(nn.Upsample(size=(7, 23), mode="bilinear")), [IMAGE]),
    "bilinear2d_corners": (
        lambda: image(nn.Upsample(size=(7, 23), mode="bilinear", align_corners=True)),
        [IMAGE],
    ),
    "bicubic2d": (lambda: image(nn.Upsample(size=(7, 23), mode="bicubic")), [IMAGE]),
    "trilinear3d": (lambda: volume(nn.Upsample(scale_factor=2, mode="trilinear")), [VOLUME]),
    "reflection": (lambda: image(nn.ReflectionPad2d((1, 0, 2, 3))), [IMAGE]),
    "replication1d": (lambda: line(nn.ReplicationPad1d(2)), [LINE]),
    "replication2d": (lambda: image(nn.ReplicationPad2d(2)), [IMAGE]),
    "replication3d": (lambda: volume(nn.ReplicationPad3d(2)), [VOLUME]),
    "shrink": (lambda: image(nn.Softshrink(0.2), nn.Hardshrink(0.3)), [IMAGE]),
    "activations": (lambda: image(nn.SiLU(), nn.Mish(), nn.GELU(), nn.GLU(1)), [IMAGE]),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        [WORDS],
    ),
    "causal": (lambda: attention(is_causal=True), HEADS),
    "masked": (lambda: attention(attn_mask=torch.ones(5, 5).tril(-1).bool()), HEADS),
    "biased": (lambda: attention(attn_mask=torch.eye(5).double(), scale=0.3), HEADS),
    "grouped": (lambda: Scaled(grouped), HEADS),
    "lstm": (lambda: nn.Sequential(nn.LSTM(8, 4), First()), [WORDS]),
}


class First(nn.Module):
    def forward(self, xs: tuple[torch.Tensor, Any]) -> torch.Tensor:
        return xs[0]


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_autograd(name: str) -> None:
    build, shapes = CASES[name]
    torch.manual_seed(0)
    model = build().double()
    given = (dict(model.named_parameters()), *(torch.randn(s).double() for s in shapes))

    def step(params: dict[str, torch.Tensor], *xs: torch.Tensor) -> list[torch.Tensor]:
        loss = torch.func.functional_call(model, params, xs).square().mean()
        return [loss, *torch.autograd.grad(loss, list(params.values()))]

    graph = gw.from_torch(make_fx(step)(*given), *given)
    arrays = [x.detach().numpy() for x in pytree.tree_leaves(given)]
    inputs = dict(zip((port.name for port in graph.inputs), arrays, strict=True))
    expected = [x.detach().numpy() for x in step(*given)]
    for backend in BACKENDS:
        found = run_on(backend, graph, inputs)
        assert not isinstance(found, Refusal), found.message
        for port, wanted in zip(graph.outputs, expected, strict=True):
            close = {"rtol": 1e-9, "atol": 1e-12, "err_msg": f"{port.name} on {backend}"}
            np.testing.assert_allclose(found[port.name], wanted, **close)


def test_what_no_gradient_is_asked_of_has_none() -> None:
    convolution = torch.ops.aten.convolution.default
    x, w = torch.randn(2, 3, 6).double(), torch.randn(4, 3, 3).double().requires_grad_()

    def step(x: torch.Tensor, w: torch.Tensor) -> Sequence[torch.Tensor]:
        y = convolution(x, w, None, [2], [1], [1], False, [0], 1)
        return torch.autograd.grad(y.sum(), [w])

    traced = make_fx(step)(x, w)
    (call,) = traced.graph.find_nodes(
        op="call_function", target=torch.ops.aten.convolution_backward.default
    )
    assert call.args[-1] == [False, True, False]
    graph = gw.from_torch(traced, x, w)
    found = run_on("numpy", graph, {"x_1": x.numpy(), "w_1": w.detach().numpy()})
    assert not isinstance(found, Refusal)
    (gradient,) = found.values()
    np.testing.assert_allclose(gradient, step(x, w)[0].numpy(), rtol=1e-12)
