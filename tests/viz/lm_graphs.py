"""A language model of two layers, its words and a prompt."""

import functools

import numpy as np
import torch
import transformers

import graftwork as gw

VOCABULARY = ["\n", " the", " cat", " sat", "<b>", "\u202e", *(f" w{i}" for i in range(34))]
IDS = [1, 2, 3, 0, 4, 5]


@functools.cache
def small() -> gw.Graph:
    """Two layers of two heads, random weights that are large enough to say something."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, vocab_size=40, n_positions=16, initializer_range=0.5,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 40, (2, 6))
    return gw.from_torch(model, ids, axes={"input_ids": "batch seq"})


def shares(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    weights = np.exp(np.asarray(logits, np.float64) - np.max(logits, -1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def marked(word: str) -> str:
    """A word as pages show it."""
    return word.replace("\n", "\\n").replace("\u202e", "\\u202e").replace(" ", "·")
