"""Streams that change their width between stages, and such as begin by attending to another."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

import graftwork as gw

IMAGE = torch.zeros(2, 8, 8, 8)
AXES = {"x": "batch channels=8 height=8 width=8"}


class Stage(nn.Module):
    """A residual block; its shortcut is projected where the width changes."""

    def __init__(self, wide: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(wide, out, 3, stride, 1)
        self.second = nn.Conv2d(out, out, 3, 1, 1)
        self.norm = nn.BatchNorm2d(out)
        self.short = nn.Conv2d(wide, out, 1, stride) if wide != out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.second(F.relu(self.first(x)))) + self.short(x)


class Pyramid(nn.Module):
    """Two stages, and a sum of what they give: which is no step of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Stage(8, 8), Stage(8, 16, 2), Stage(16, 16)])
        self.near, self.far = nn.Conv2d(8, 4, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near = self.stages[0](x)
        far = self.stages[2](self.stages[1](near))
        return self.near(near) + F.interpolate(self.far(far), scale_factor=2.0)


def test_a_projected_shortcut_is_a_transition() -> None:
    graph = gw.from_torch(Pyramid().eval(), IMAGE, axes=AXES)
    sites, stages = graph.sites, ("stacks.0.blocks.0", "stacks.1.blocks.0", "stacks.1.blocks.1")
    assert [path for path in sites if path.endswith("mixer.out")] == [
        f"{stage}.mixer.out" for stage in stages
    ]
    wide, projected = (sites[f"{stage}.resid_pre"] for stage in stages[:2])
    assert set(wide.roles) == set(projected.roles) == {"batch", "height", "width", "embed"}
    assert graph.axes[projected.roles["embed"]] == 16
    reads = sites["stacks.1.blocks.0.mixer.in"]
    assert reads.place == sites["stacks.0.blocks.0.resid_post"].place
    assert reads.roles == wide.roles
    places = [sites[f"{stages[1]}.{word}"].place.value for word in ("resid_pre", "mixer.out")]
    made = graph.index.producer[sites[f"{stages[1]}.resid_post"].place.value]
    assert set(made.inputs) == set(places)


class Gate(nn.Module):
    """An MLP with a way around its nonlinearity, inside a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.skip = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(8, 16)
        self.mix, self.down = nn.Conv1d(8, 8, 3, padding=1), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mix(x.transpose(1, 2)).transpose(1, 2)
        y = self.norm(x)
        return x + self.down(F.gelu(self.up(y)) + self.skip(y))


def test_a_way_around_inside_a_branch_is_no_transition() -> None:
    model = nn.Sequential(Gate(), Gate()).eval()
    graph = gw.from_torch(model, torch.zeros(2, 5, 8), axes={"input": "batch seq features=8"})
    assert not graph.sites.unrecognised
    assert [path for path in graph.sites if path.endswith("resid_mid")] == [
        "blocks.0.resid_mid", "blocks.1.resid_mid",
    ]  # fmt: skip


class Latents(nn.Module):
    """Latents that attend to the inputs, and then to themselves; the last norm is of all."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(3, 8))
        self.reads = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layers = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.heads = nn.ModuleList(nn.Linear(8, 4) for _ in range(2))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        q = self.latents.expand(x.shape[0], -1, -1)
        h = q + self.reads(q, x, x, need_weights=False)[0]
        for norm, layer in zip(self.norms, self.layers, strict=False):
            n = norm(h)
            h = h + layer(n, n, n, need_weights=False)[0]
        return [head(self.norms[2](h)) for head in self.heads]


def test_latents_that_attend_to_the_inputs_begin_the_stream() -> None:
    graph = gw.from_torch(
        Latents().eval(), torch.zeros(2, 5, 8), axes={"x": "batch seq features=8"}
    )
    assert not graph.sites.unrecognised
    sites = graph.sites
    assert [path for path in sites if path.endswith(".z")] == [
        "blocks.0.cross_attn.z", "blocks.1.attn.z", "blocks.2.attn.z",
    ]  # fmt: skip
    k = sites["blocks.0.cross_attn.k"]
    assert set(k.roles) == {"batch", "seq", "kv_heads", "head_dim"}
    assert sites["blocks.0.cross_attn.pattern"].roles["kv_seq"] == k.roles["seq"]
    normed = graph.index.producer[sites["final_norm"].place.value]
    assert normed.inputs[0] == sites["blocks.2.resid_post"].place.value
