"""A small decoder in plain torch, float64, in several shapes; each site can be edited by name.

`forward(ids, edit)` calls `edit(site, activation)` at every place that graphs name, so brute-force
interventions are ordinary functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from attrs import frozen
from torch import nn

import graftwork as gw

LAYERS, HEADS, WIDTH, EMBED, HIDDEN, VOCAB, CONTEXT = 3, 4, 4, 12, 20, 17, 16
Edit = Callable[[str, torch.Tensor], torch.Tensor]


@frozen
class Shape:
    """GPT-2 is the default; Llama is rms, rotary, gated, with groups; GPT-J is parallel."""

    rms: bool = False
    rotary: bool = False
    gated: bool = False
    parallel: bool = False
    kv_heads: int = HEADS
    bias: bool = True


SHAPES = {
    "gpt2": Shape(),
    "llama": Shape(rms=True, rotary=True, gated=True, kv_heads=2, bias=False),
    "gptj": Shape(rotary=True, parallel=True),
}


def unedited(_: str, x: torch.Tensor) -> torch.Tensor:
    return x


def turned(x: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of (batch, seq, heads, width)."""
    rate = 10000.0 ** (-torch.arange(0, WIDTH, 2, dtype=x.dtype) / WIDTH)
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.cat([rate, rate])
    first, second = x.chunk(2, dim=-1)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return x * cos + torch.cat([-second, first], -1) * sin


class Block(nn.Module):
    def __init__(self, shape: Shape, path: str) -> None:
        super().__init__()
        self.shape, self.path = shape, path
        norm = nn.RMSNorm if shape.rms else nn.LayerNorm
        self.ln_1, self.ln_2 = (norm(EMBED) for _ in range(2))
        self.q_proj = nn.Linear(EMBED, HEADS * WIDTH, bias=shape.bias)
        self.k_proj, self.v_proj = (
            nn.Linear(EMBED, shape.kv_heads * WIDTH, bias=shape.bias) for _ in range(2)
        )
        self.o_proj = nn.Linear(HEADS * WIDTH, EMBED, bias=shape.bias)
        self.up = nn.Linear(EMBED, HIDDEN, bias=shape.bias)
        self.down = nn.Linear(HIDDEN, EMBED, bias=shape.bias)
        if shape.gated:
            self.gate = nn.Linear(EMBED, HIDDEN, bias=shape.bias)

    def attend(self, x: torch.Tensor, edit: Edit) -> torch.Tensor:
        batch, seq, _ = x.shape
        site = f"{self.path}.attn"

        def heads(name: str, projection: nn.Linear, count: int) -> torch.Tensor:
            made = edit(f"{site}.{name}_read", x)  # may have become (batch, seq, heads, embed)
            if made.dim() == 4:
                weight = projection.weight.view(count, WIDTH, EMBED)
                bias = 0 if projection.bias is None else projection.bias.view(count, WIDTH)
                out = torch.einsum("bshe,hwe->bshw", made, weight) + bias
            else:
                out = projection(made).view(batch, seq, count, WIDTH)
            return edit(f"{site}.{name}", out)

        q = heads("q", self.q_proj, HEADS)
        k = heads("k", self.k_proj, self.shape.kv_heads)
        v = heads("v", self.v_proj, self.shape.kv_heads)
        if self.shape.rotary:
            q, k = turned(q), turned(k)
        repeat = HEADS // self.shape.kv_heads
        k, v = (y.repeat_interleave(repeat, 2).transpose(1, 2) for y in (k, v))
        causal = torch.ones(seq, seq, dtype=torch.bool).tril()
        z = nn.functional.scaled_dot_product_attention(q.transpose(1, 2), k, v, causal)
        z = edit(f"{site}.z", z.transpose(1, 2))
        return edit(f"{site}.out", self.o_proj(z.reshape(batch, seq, HEADS * WIDTH)))

    def mlp(self, x: torch.Tensor, edit: Edit) -> torch.Tensor:
        act = nn.functional.silu if self.shape.gated else nn.functional.gelu
        hidden = act(self.gate(x)) * self.up(x) if self.shape.gated else act(self.up(x))
        return edit(f"{self.path}.mlp.out", self.down(edit(f"{self.path}.mlp.post", hidden)))

    def forward(self, x: torch.Tensor, edit: Edit = unedited) -> torch.Tensor:
        x = edit(f"{self.path}.resid_pre", x)

        def read(word: str, norm: nn.Module, stream: torch.Tensor) -> torch.Tensor:
            return norm(edit(f"{self.path}.{word}", stream))

        def attention(stream: torch.Tensor) -> torch.Tensor:
            def inner(name: str, y: torch.Tensor) -> torch.Tensor:
                if not name.endswith("_read"):
                    return edit(name, y)
                own = edit(name, stream)  # this reader's own copy of the stream
                return y if own is stream else self.ln_1(own)

            return self.attend(self.ln_1(stream), inner)

        if self.shape.parallel:
            return edit(
                f"{self.path}.resid_post",
                x + attention(x) + self.mlp(read("mlp.read", self.ln_2, x), edit),
            )
        x = edit(f"{self.path}.resid_mid", x + attention(x))
        made = self.mlp(read("mlp.read", self.ln_2, x), edit)
        return edit(f"{self.path}.resid_post", x + made)


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(VOCAB, EMBED)
        if not shape.rotary:
            self.wpe = nn.Embedding(CONTEXT, EMBED)
        self.h = nn.ModuleList(Block(shape, f"blocks.{i}") for i in range(LAYERS))
        self.ln_f = nn.RMSNorm(EMBED) if shape.rms else nn.LayerNorm(EMBED)
        self.lm_head = nn.Linear(EMBED, VOCAB, bias=False)

    def forward(self, input_ids: torch.Tensor, edit: Edit = unedited) -> dict[str, torch.Tensor]:
        x = edit("embed", self.wte(input_ids))
        if not self.shape.rotary:
            x = x + edit("pos_embed", self.wpe(torch.arange(input_ids.shape[1])))
        for block in self.h:
            x = block(x, edit)
        x = self.ln_f(edit("final_norm.read", x))
        return {"logits": edit("logits", self.lm_head(x))}


@cache
def build(name: str) -> tuple[Decoder, gw.Graph]:
    """A decoder with weights and norms that are not trivial, and its graph."""
    torch.manual_seed(len(name))
    model = Decoder(SHAPES[name]).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    graph = gw.from_torch(model, tokens(0), axes={"input_ids": "batch seq"})
    return model, graph


def tokens(seed: int, batch: int = 2, seq: int = 5) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, seq), generator=torch.Generator().manual_seed(seed))


def cached(model: Decoder, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """All activations of a run by site."""
    kept: dict[str, torch.Tensor] = {}

    def keep(name: str, x: torch.Tensor) -> torch.Tensor:
        kept[name] = x
        return x

    with torch.no_grad():
        model(ids, keep)
    return kept


def replacing(values: dict[str, Any]) -> Edit:
    """An edit that puts values, or what functions give, in the place of activations."""

    def edit(name: str, x: torch.Tensor) -> torch.Tensor:
        new = values.get(name)
        return x if new is None else new(x) if callable(new) else new

    return edit
