"""Networks in plain torch.nn: what people build without a library of models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from tests.zoo.families import Family, Input, ids, numbers

IMAGE: Mapping[str, Input] = {"x": numbers("batch channels=3 height=16 width=16")}
TIME: Mapping[str, Input] = {"x": numbers("batch steps features=8")}


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Named(nn.Module):
    """A sequence of layers whose argument is called x."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def cnn() -> nn.Module:
    return Named(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, groups=4, padding=1), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(256, 10), nn.LogSoftmax(-1),
    )  # fmt: skip


def convnext() -> nn.Module:
    """A depthwise convolution, then a pointwise MLP; no attention."""
    block = Residual(
        nn.Conv2d(8, 8, 7, padding=3, groups=8), Permuted(0, 2, 3, 1), nn.LayerNorm(8),
        nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8), Permuted(0, 3, 1, 2),
    )  # fmt: skip
    return Named(nn.Conv2d(3, 8, 4, 4), block, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                 nn.Linear(8, 5))  # fmt: skip


def autoencoder() -> nn.Module:
    return Named(
        nn.Conv2d(3, 8, 3, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(8, 4, 3, 2, 1), nn.Tanh(),
        nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ELU(), nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Sigmoid(),
    )  # fmt: skip


def mlp() -> nn.Module:
    return Named(nn.Linear(8, 16), nn.SELU(), nn.LayerNorm(16), nn.Linear(16, 4), nn.Softmax(-1))


class Permuted(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.dims)


def mixer() -> nn.Module:
    """Mixes over patches, then over channels."""
    tokens = Residual(nn.LayerNorm(8), Permuted(0, 2, 1), nn.Linear(16, 24), nn.GELU(),
                      nn.Linear(24, 16), Permuted(0, 2, 1))  # fmt: skip
    channels = Residual(nn.LayerNorm(8), nn.Linear(8, 24), nn.GELU(), nn.Linear(24, 8))
    return Named(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), Permuted(0, 2, 1), tokens, channels)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = F.silu(self.norm(self.down(x)))
        middle = F.relu(self.middle(F.max_pool2d(skip, 2)))
        grown = F.interpolate(middle, scale_factor=2.0, mode="bilinear")
        return self.up(torch.cat([skip, grown], 1))


class Recurrent(nn.Module):
    """The outputs of a recurrence, and a reading of the last."""

    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.cells = kind(8, 6, batch_first=True, **options)  # type: ignore[arg-type]
        self.head = nn.Linear(12 if options.get("bidirectional") else 6, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states, _ = self.cells(x)
        return states, self.head(states[:, -1])


class Attending(nn.Module):
    """One attention layer between two sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, q: torch.Tensor, kv: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.attention(q, kv, kv)


class Encoder(nn.Module):
    def __init__(self, first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Transformer(16, 4, 2, 2, 24, batch_first=True)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(y.shape[1])
        return self.model(x, y, tgt_mask=mask, tgt_is_causal=True)


class Guessing(Pair):
    """Leaves it to torch to look whether its mask is causal."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.model(x, y, tgt_mask=torch.ones(y.shape[1], y.shape[1]).tril() == 0)


class Cells(nn.Module):
    """Cells called in a loop over a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(8, 6), nn.GRUCell(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = g = torch.zeros(x.shape[0], 6)
        for step in range(x.shape[1]):
            h, c = self.lstm(x[:, step], (h, c))
            g = self.gru(h, g)
        return g


class Messages(nn.Module):
    """A graph network: messages along edges, added up at nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
        source, target = edge
        h = F.relu(self.first(x))
        summed = torch.zeros_like(h).index_add(0, target, h[source])
        degree = torch.zeros(x.shape[0]).index_add(0, target, torch.ones(edge.shape[1]))
        return self.second(summed / degree.clamp(min=1).unsqueeze(-1))


class Diffusion(nn.Module):
    """A residual block of a diffusion model, told the time by a sinusoid."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.GroupNorm(4, 8) for _ in range(2))
        self.time = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        angles = t[:, None] * torch.exp(-torch.arange(8) / 2.0)
        told = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        h = self.first(F.silu(self.norms[0](x))) + told[:, :, None, None]
        return x + self.second(F.silu(self.norms[1](h)))


class Rotated(nn.Module):
    """Rotary positions as complex numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        angles = torch.outer(torch.arange(x.shape[1]), 1.0 / 100 ** (torch.arange(4) / 4))
        turned = half * torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(turned).flatten(-2)


class Squeeze(nn.Module):
    """Squeeze and excitation, with weights normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
        self.down, self.up = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardswish(self.conv(x))
        gate = F.hardsigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode="mean")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bag(x)


class Cached(nn.Module):
    """One step of causal attention: what is past comes in, what is known goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = (t.unflatten(-1, (4, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        mask = torch.ones(q.shape[2], keys.shape[2], dtype=torch.bool).tril(
            keys.shape[2] - q.shape[2]
        )
        z = F.scaled_dot_product_attention(q, keys, values, mask)
        return self.out(z.transpose(1, 2).flatten(2)), keys, values


class Choice(nn.Module):
    """torch.cond on what the data are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, torch.sin, lambda y: y * 2, (x,))


class HalfWide(nn.Module):
    """A network that runs in 16 bits under autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.second(F.relu(self.first(x))).float()


class Written(nn.Module):
    """Writes into views of its tensors."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, 0] = 1.0
        y[:, 1:3].mul_(2.0)
        y.view(y.shape[0], 2, 4)[:, 1] += x[:, :4]
        y.diagonal().fill_(0.5)
        y[y > 1.5] = -1.0
        return y.t().contiguous().add_(1.0)


class WindowCache(nn.Module):
    """Attention that writes its keys and values into a cache, at a place that is given."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, at: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = (t.unflatten(-1, (4, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        keys, values = keys.index_copy(2, at, k), values.index_copy(2, at, v)
        seen = torch.arange(keys.shape[2]) <= at[:, None]
        z = F.scaled_dot_product_attention(q, keys, values, seen)
        return z.transpose(1, 2).flatten(2), keys, values


class Normed(nn.Module):
    """Weights that are computed: normalised by their length, or by their greatest stretch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.weight_norm(nn.Linear(8, 16))
        self.second = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x)))


class Doubling(nn.Module):
    """torch.while_loop until a sum is large enough, and a count of the steps."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        def small(x: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
            return x.abs().sum() < 100.0

        def double(x: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x * 2.0, count + 1

        return torch.while_loop(small, double, (x, torch.zeros((), dtype=torch.int64)))


class Algebra(nn.Module):
    """Products in all notations."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gram = torch.einsum("bij,bkj->bik", x, x)
        stretched = torch.einsum("bij,bki,bk->bj", x, gram, x[..., 0])
        outer = torch.einsum("bi,bj->bij", stretched, stretched)
        norms = torch.linalg.vector_norm(x, dim=-1), torch.linalg.matrix_norm(gram)
        crossed = torch.linalg.cross(x[..., :3], x[..., 1:4])
        return outer, *norms, crossed, torch.diagonal(gram, dim1=1, dim2=2), torch.trace(gram[0])


class Variational(nn.Module):
    """An autoencoder that draws its code from a normal distribution in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 12), nn.Linear(6, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encode(x).chunk(2, dim=-1)
        code = mean
        if self.training:
            code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(code), mean, log_variance


PAST = numbers("batch heads=4 past head_dim=4")
NETWORKS: Mapping[str, Family] = {
    "mlp": Family(mlp, {"x": numbers("batch features=8")}, blocks=0),
    "cnn": Family(cnn, IMAGE, blocks=0),
    "convnext-like": Family(convnext, IMAGE, blocks=1),
    "autoencoder": Family(autoencoder, IMAGE, blocks=0),
    "mixer": Family(mixer, IMAGE, blocks=1),
    "unet": Family(UNet, IMAGE, blocks=0),
    "diffusion-block": Family(
        Diffusion, {"x": numbers("batch channels=8 height=8 width=8"), "t": numbers("batch")},
        blocks=1,
    ),
    "squeeze-excite": Family(Squeeze, IMAGE, blocks=0),
    "lstm": Family(partial(Recurrent, nn.LSTM, num_layers=2), TIME, blocks=0),
    "bilstm": Family(partial(Recurrent, nn.LSTM, bidirectional=True), TIME, blocks=0),
    "gru": Family(partial(Recurrent, nn.GRU), TIME, blocks=0),
    "rnn": Family(partial(Recurrent, nn.RNN), TIME, blocks=0),
    "cells": Family(Cells, TIME, blocks=0),
    "graph-network": Family(
        Messages,
        {"x": numbers("nodes features=8"), "edge": Input("ends=2 edges", ids("", 7).draw)},
        blocks=0,
    ),
    "attention": Family(
        Attending, {"q": numbers("batch seq width=16"), "kv": numbers("batch steps width=16")},
        blocks=0,
    ),
    "encoder": Family(partial(Encoder, True), {"x": numbers("batch seq width=16")}),
    "encoder-postnorm": Family(partial(Encoder, False), {"x": numbers("batch seq width=16")}),
    "transformer": Family(
        Pair, {"x": numbers("batch seq width=16"), "y": numbers("batch decoder_seq width=16")},
        blocks=4,
    ),
    "transformer-guessing": Family(
        Guessing, {"x": numbers("batch seq width=16"), "y": numbers("batch decoder_seq width=16")},
        refused="tgt_is_causal=",
    ),
    "cached-attention": Family(
        Cached, {"x": numbers("batch seq width=16"), "keys": PAST, "values": PAST}, blocks=0
    ),
    "autocast": Family(HalfWide, {"x": numbers("batch features=8")}, blocks=0, tolerance=2e-2),
    "written-views": Family(Written, {"x": numbers("batch=6 features=8")}, blocks=0),
    "written-cache": Family(
        WindowCache,
        {
            "x": numbers("batch steps=2 width=16"),
            "keys": numbers("batch heads=4 past head_dim=4"),
            "values": numbers("batch heads=4 past head_dim=4"),
            "at": Input("steps=2", lambda shape, _: torch.arange(1, 3)),
        },
        blocks=0,
    ),
    "computed-weights": Family(Normed, {"x": numbers("batch features=8")}, blocks=0),
    "while-loop": Family(Doubling, {"x": numbers("batch features=8")}, blocks=0),
    "algebra": Family(Algebra, {"x": numbers("batch rows=5 columns=6")}, blocks=0),
    "vae": Family(Variational, {"x": numbers("batch features=8")}, blocks=0),
    "rotary-complex": Family(Rotated, TIME, blocks=0),
    "embedding-bag": Family(Bag, {"x": ids("batch words=5", 50)}, blocks=0),
    "cond": Family(Choice, {"x": numbers("batch features=8")}, blocks=0),
}  # fmt: skip
