"""One picture of every kind, small, for what all of them must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from lm_graphs import IDS, VOCABULARY, small
from viz_graphs import decoder, doubled

import graftwork as gw
from graftwork import viz

WORDS = ["The", " cat", " sat", " on", " the", " mat"]


def numbers(*sizes: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=sizes).astype(np.float32)


def replay() -> viz.View:
    return viz.replay(decoder(3), doubled)


def overlaid() -> viz.View:
    return viz.graph(decoder(3), overlay={"blocks.*.attn.z": 0.5, "embed": -1.0}, reduce="mean")


def graph() -> viz.View:
    return viz.graph(decoder(3))


def difference() -> viz.View:
    before = decoder(3)
    return viz.graph(doubled(before, "blocks.1.mlp.post"), diff=before)


def heatmap() -> viz.View:
    return viz.heatmap(gw.NamedArray(numbers(4, 6), ("layer", "seq")), tokens={"seq": WORDS})


def array() -> viz.View:
    array = numbers(2, 60, 40)
    array[0, 3, 4], array[1, 5, 6], array[1, 7, 8] = np.nan, np.inf, 30
    return viz.array(gw.NamedArray(array, ("heads", "seq", "head_dim")))


def digits() -> viz.View:
    ids = np.arange(-5, 31).reshape(6, 6)
    return viz.array({"ids": gw.NamedArray(ids, ("batch", "seq"))})


def attention() -> viz.View:
    scores = np.exp(numbers(2, 3, 6, 6)) * np.tri(6)
    pattern = scores / scores.sum(-1, keepdims=True)
    return viz.attention(gw.NamedArray(pattern, ("layer", "heads", "seq", "kv_seq")), WORDS)


def tokens() -> viz.View:
    logits = gw.NamedArray(numbers(6, 40), ("seq", "vocab"))
    return viz.tokens((VOCABULARY, IDS), logits=logits)


def lens() -> viz.View:
    return viz.logit_lens(small(), IDS, VOCABULARY, backend="numpy")


def flow() -> viz.View:
    return viz.flow(small(), IDS, VOCABULARY, backend="numpy")


def card() -> viz.View:
    return viz.neuron(small(), 0, 3, VOCABULARY)


def page() -> viz.View:
    return viz.page([graph(), heatmap()])


MADE = (
    graph,
    replay,
    overlaid,
    difference,
    heatmap,
    array,
    digits,
    attention,
    tokens,
    lens,
    flow,
    card,
    page,
)
PICTURES: Mapping[str, Callable[[], viz.View]] = {made.__name__: made for made in MADE}
