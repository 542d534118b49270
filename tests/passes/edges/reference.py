"""Edges by brute force: the stream of each reader taken apart and put together in torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from tests.passes.decoder import HEADS, LAYERS, WIDTH, Decoder, cached

Edge = tuple[str, str]
Values = Mapping[str, torch.Tensor]


def contributions(model: Decoder, site: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the activation at a site adds to the stream, by sender."""
    path, _, word = site.rpartition(".")
    if word in ("embed", "pos_embed"):
        return {site: x}
    if word == "out" and path.endswith("mlp"):
        return {site: x}
    if word != "z":
        return {}
    projection = model.h[int(path.split(".")[1])].o_proj
    found = {
        f"{path}.result.{h}": x[:, :, h] @ projection.weight[:, h * WIDTH : (h + 1) * WIDTH].T
        for h in range(HEADS)
    }
    if projection.bias is not None:
        found[f"{path}.bias"] = projection.bias
    return found


def all_contributions(model: Decoder, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for site, x in cached(model, ids).items():
        found |= contributions(model, site, x)
    return found


def receiver_of(read: str) -> tuple[str, int | None]:
    """The receiver at a read, and how many heads it has."""
    if read == "final_norm.read":
        return "final_norm", None
    path, _, word = read.rpartition(".")
    return (f"{path}.in", None) if word == "read" else (f"{path}.{word.removesuffix('_read')}", 1)


def patched(
    model: Decoder, ids: torch.Tensor, edges: Collection[Edge], instead: Values
) -> torch.Tensor:
    """The logits when each edge carries what `instead` says, all else as it comes."""
    now: dict[str, torch.Tensor] = {}

    def edit(site: str, x: torch.Tensor) -> torch.Tensor:
        now.update(contributions(model, site, x))
        if not site.endswith("read"):
            return x
        path, heads = receiver_of(site)

        def moved(receiver: str) -> torch.Tensor:
            changes = [instead[s] - now[s] for s, r in edges if r == receiver]
            return x + sum(changes) if changes else x

        if heads is None:
            return moved(path)
        count = HEADS if path.endswith("q") else model.shape.kv_heads
        return torch.stack([moved(f"{path}.{h}") for h in range(count)], 2)

    with torch.no_grad():
        return model(ids, edit)["logits"]


def possible(model: Decoder) -> list[Edge]:
    """All edges, from the order in which a model computes."""
    shape = model.shape
    sent = ["embed"] if shape.rotary else ["embed", "pos_embed"]
    found: list[Edge] = []
    for layer in range(LAYERS):
        attn, mlp = f"blocks.{layer}.attn", f"blocks.{layer}.mlp"
        counts = {"q": HEADS, "k": shape.kv_heads, "v": shape.kv_heads}
        reads = [f"{attn}.{word}.{h}" for word, n in counts.items() for h in range(n)]
        found += [(s, r) for r in reads for s in sent]
        made = [f"{attn}.result.{h}" for h in range(HEADS)] + ([f"{attn}.bias"] * shape.bias)
        heard = sent if shape.parallel else sent + made
        found += [(s, f"{mlp}.in") for s in heard]
        sent = [*sent, *made, f"{mlp}.out"]
    return [*found, *((s, "final_norm") for s in sent)]
