"""Layers of torch.nn against torch: attention, norms, convolution, pooling, recurrence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.frontends.torch_support import check, numbers

T = torch.Tensor
SIZES = [{"batch": 2, "seq": 5}, {"batch": 3, "seq": 4}, {"batch": 1, "seq": 1}]


def heads(sizes: Mapping[str, int]) -> dict[str, T]:
    batch, seq = sizes["batch"], sizes["seq"]
    mask = numbers(batch, seq, seq) > 0
    mask[:, 0] = False
    return {
        "q": numbers(batch, 4, seq, 6),
        "k": numbers(batch, 2, seq, 6, seed=1),
        "v": numbers(batch, 2, seq, 3, seed=2),
        "mask": mask,
    }


HEAD_AXES: dict[str | int, str] = {
    "q": "batch _ seq _",
    "k": "batch _ seq _",
    "v": "batch _ seq _",
    "mask": "batch seq kv",
}


def attention(q: T, k: T, v: T, mask: T) -> dict[str, T]:
    sdpa = F.scaled_dot_product_attention
    bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -math.inf)
    return {
        "plain": sdpa(q[:, :2], k, v),
        "causal": sdpa(q[:, :2], k, v, is_causal=True),
        "bool": sdpa(q[:, :2], k, v, mask[:, None]),
        "float": sdpa(q[:, :2], k, v, bias[:, None], scale=0.3),
        "grouped": sdpa(q, k, v, enable_gqa=True),
        "grouped_mask": sdpa(q, k, v, mask[:, None], enable_gqa=True),
        "one_key_head": sdpa(q, k[:, :1], v[:, :1], enable_gqa=True, is_causal=True),
        "shared_key_head": sdpa(q, k[:, :1].expand(-1, 4, -1, -1), v[:, :1].expand(-1, 4, -1, -1)),
        "three_dims": sdpa(q[:, 0], k[:, 0], v[:, 0], mask),
        "last_query": sdpa(q[:, :2, -1:], k, v),
        "first_key": sdpa(q[:, :2], k[:, :, :1], v[:, :, :1], is_causal=True),
    }


def test_attention() -> None:
    check(attention, heads, HEAD_AXES, SIZES)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({
            "layer": nn.LayerNorm(6),
            "layer2": nn.LayerNorm((8, 6)),
            "plain": nn.LayerNorm(6, elementwise_affine=False),
            "no_bias": nn.LayerNorm(6, bias=False),
            "rms": nn.RMSNorm(6),
            "rms_eps": nn.RMSNorm(6, eps=1e-3, elementwise_affine=False),
        })  # fmt: skip
        self.channels = nn.ModuleDict({
            "batch": nn.BatchNorm1d(8),
            "batch_plain": nn.BatchNorm1d(8, affine=False),
            "group": nn.GroupNorm(4, 8),
            "group_plain": nn.GroupNorm(2, 8, affine=False),
            "instance": nn.InstanceNorm1d(8),
            "group_unit": nn.GroupNorm(1, 8),
        })  # fmt: skip
        for number, tensor in enumerate([*self.parameters(), *self.buffers()]):
            if tensor.is_floating_point():
                tensor.data = numbers(*tensor.shape, seed=number).abs() + 0.1

    def forward(self, x: T) -> dict[str, T]:
        found = {name: layer(x) for name, layer in self.layers.items()}
        found |= {name: layer(x) for name, layer in self.channels.items()}
        return found | {"rows": self.channels["batch"](x[:, :, 0])}


def test_norms() -> None:
    make = lambda sizes: {"x": numbers(sizes["batch"], 8, 6)}  # noqa: E731
    check(Norms(), make, {"x": "batch channels=8 _"}, SIZES)


CONVOLUTIONS: dict[str, nn.Module] = {
    "plain": nn.Conv2d(4, 6, 3),
    "strided": nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2)),
    "grouped": nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding="same"),
    "depth1": nn.Conv2d(4, 4, 3, groups=4),
    "pointwise": nn.Conv2d(4, 6, 1),
    "pointwise_strided": nn.Conv2d(4, 6, 1, stride=2),
    "transposed": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    "transposed_grouped": nn.ConvTranspose2d(4, 6, 2, groups=2, dilation=2),
    "transposed_cut": nn.ConvTranspose2d(4, 6, 2, padding=2),
    "max": nn.MaxPool2d(2),
    "max_padded": nn.MaxPool2d(3, stride=2, padding=1),
    "max_dilated": nn.MaxPool2d(2, stride=1, dilation=2),
    "avg": nn.AvgPool2d(2),
    "avg_padded": nn.AvgPool2d(3, stride=2, padding=1),
    "avg_excluding": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "adaptive": nn.AdaptiveAvgPool2d(1),
    "nearest": nn.Upsample(scale_factor=2),
    "reflect": nn.ReflectionPad2d(1),
    "replicate": nn.ReplicationPad2d((1, 0, 2, 1)),
}


class Named(nn.Module):
    """Several layers applied to one input."""

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers).double()

    def forward(self, x: T) -> dict[str, Any]:
        return {name: layer(x) for name, layer in self.layers.items()}


def test_windows_over_dynamic_space() -> None:
    def make(sizes: Mapping[str, int]) -> dict[str, T]:
        return {"x": numbers(sizes["batch"], 4, sizes["height"], sizes["width"])}

    sizes = [{"batch": 2, "height": 8, "width": 9}, {"batch": 1, "height": 11, "width": 7}]
    check(Named(CONVOLUTIONS), make, {"x": "batch channels=4 height width"}, sizes)


def test_windows_over_fixed_space() -> None:
    layers: dict[str, nn.Module] = {
        "ceil": nn.MaxPool2d(2, ceil_mode=True),
        "adaptive": nn.AdaptiveAvgPool2d((1, 3)),
        "whole": nn.Conv2d(4, 6, (5, 9)),
        "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
        "bicubic": nn.Upsample(size=(4, 4), mode="bicubic"),
        "nearest": nn.Upsample(size=(7, 4)),
        "nearest_scaled": nn.Upsample(scale_factor=1.5),
    }
    make = lambda sizes: {"x": numbers(sizes["batch"], 4, 5, 9)}  # noqa: E731
    check(Named(layers), make, {"x": "batch _ _ _"}, SIZES)


def test_windows_of_one_and_three_dimensions() -> None:
    line: dict[str, nn.Module] = {
        "conv": nn.Conv1d(4, 6, 3, padding=1),
        "causal": nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(4, 4, 3, groups=4)),
        "max": nn.MaxPool1d(2),
        "avg": nn.AvgPool1d(2),
    }
    make = lambda sizes: {"x": numbers(sizes["batch"], 4, sizes["seq"] + 3)}  # noqa: E731
    check(Named(line), make, {"x": "batch _ time"}, SIZES)
    cube: dict[str, nn.Module] = {"conv": nn.Conv3d(2, 3, 2), "max": nn.MaxPool3d(2)}
    make = lambda sizes: {"x": numbers(sizes["batch"], 2, 4, 4, 5)}  # noqa: E731
    check(Named(cube), make, {"x": "batch _ _ _ _"}, SIZES)


RECURRENT: dict[str, nn.Module] = {
    "lstm": nn.LSTM(6, 5, batch_first=True),
    "lstm_deep": nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True),
    "gru": nn.GRU(6, 5, batch_first=True),
    "gru_both": nn.GRU(6, 5, bidirectional=True, bias=False, batch_first=True),
    "rnn": nn.RNN(6, 5, num_layers=2, batch_first=True),
    "rnn_relu": nn.RNN(6, 6, nonlinearity="relu", batch_first=True),
    "narrow": nn.LSTM(6, 1, batch_first=True),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrence_is_a_scan(name: str) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = RECURRENT[name].double()

        def forward(self, x: T) -> list[T]:
            output, state = self.layer(x)
            return [output, *(state if isinstance(state, tuple) else [state])]

    make = lambda sizes: {"x": numbers(sizes["batch"], sizes["seq"], 6)}  # noqa: E731
    graph = check(Flat(), make, {"x": "batch seq _"}, SIZES)
    assert any(node.op.name == "scan" for node in graph.nodes)


def test_recurrence_from_a_given_state_with_time_first() -> None:
    class Seeded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(6, 5).double()

        def forward(self, x: T, h: T, c: T) -> T:
            output: T = self.layer(x, (h, c))[0]
            return output

    def make(sizes: Mapping[str, int]) -> dict[str, T]:
        batch = sizes["batch"]
        state = {"h": numbers(1, batch, 5), "c": numbers(1, batch, 5, seed=1)}
        return {"x": numbers(sizes["seq"], batch, 6), **state}

    check(Seeded(), make, {"x": "seq batch _", "h": "1 batch _", "c": "1 batch _"}, SIZES)


def test_transformer() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).double()

    def make(sizes: Mapping[str, int]) -> dict[str, T]:
        batch, seq = sizes["batch"], sizes["seq"]
        return {"src": numbers(batch, seq, 8), "tgt": numbers(batch, seq + 2, 8)}

    check(model, make, {"src": "batch seq _", "tgt": "batch target _"}, SIZES)


def test_transformer_encoder_with_padding() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2).double()

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: T, padding: T) -> T:
            causal = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
            result: T = self.model(x, causal, src_key_padding_mask=padding, is_causal=True)
            return result

    def make(sizes: Mapping[str, int]) -> dict[str, T]:
        batch, seq = sizes["batch"], sizes["seq"]
        padding = torch.zeros(batch, seq, dtype=torch.bool)
        padding[:, seq - 1 :] = seq > 1
        return {"x": numbers(batch, seq, 8), "padding": padding}

    check(Masked(), make, {"x": "batch seq _", "padding": "batch seq"}, SIZES)
