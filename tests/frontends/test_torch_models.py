"""Raw graphs of Hugging Face models with tiny random weights, in float64, against the models.

What is here is what `tests/models` does not have: sliding windows, ALiBi, no mask, convolutions.
Each is traced with one batch and sequence length and run with others, at size 1, and with padding.
Models whose own code casts to float32 (rotary tables, RMS norms) are held to 1e-5, others to 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from tests.frontends.torch_support import check, integers, numbers

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

Make = Callable[[str], torch.nn.Module]
SIZES = [{"batch": 2, "seq": 6}, {"batch": 3, "seq": 9}, {"batch": 1, "seq": 1}]
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


def model(name: str, attention: str, **options: Any) -> torch.nn.Module:
    """A model of random weights from the names of its configuration and class."""
    torch.manual_seed(0)
    config, _, head = name.partition("/")
    settings = getattr(transformers, f"{config}Config")(**options, attn_implementation=attention)
    found: torch.nn.Module = getattr(transformers, f"{config}{head}")(settings)
    return found.double()


GROUPED = {**SMALL, **TOKENS, "num_key_value_heads": 2}
DECODERS: dict[str, tuple[dict[str, Any], float]] = {
    "GPT2/LMHeadModel": (
        {"vocab_size": 61, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 4, **TOKENS},
        1e-9,
    ),
    "Gemma2/ForCausalLM": (
        {**GROUPED, "head_dim": 6, "sliding_window": 3, "query_pre_attn_scalar": 6},
        1e-5,
    ),
    "Mistral/ForCausalLM": ({**GROUPED, "sliding_window": 3}, 1e-5),
    "Bloom/ForCausalLM": (
        {"vocab_size": 61, "hidden_size": 16, "n_layer": 2, "n_head": 4, **TOKENS},
        1e-5,
    ),
}


def padded(sizes: Mapping[str, int]) -> dict[str, Any]:
    """Token ids and a mask that pads the start of the first row."""
    batch, seq = sizes["batch"], sizes["seq"]
    mask = torch.ones(batch, seq, dtype=torch.int64)
    mask[0, : seq // 3] = 0
    return {"input_ids": integers(batch, seq, low=3, high=61), "attention_mask": mask}


def without_cache(name: str, attention: str) -> tuple[torch.nn.Module, float]:
    options, tolerance = DECODERS[name]
    return model(name, attention, **options, use_cache=False), tolerance


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("Gemma2/ForCausalLM", "eager"),
        ("Mistral/ForCausalLM", "sdpa"),
        ("Bloom/ForCausalLM", "eager"),
    ],
)
def test_decoder(name: str, attention: str) -> None:
    found, tolerance = without_cache(name, attention)
    # The mask is not spoken of: it is only read at positions of the batch and the sequence.
    check(found, padded, {"input_ids": "batch seq"}, SIZES, tolerance)


def test_decoder_without_a_mask() -> None:
    found, tolerance = without_cache("GPT2/LMHeadModel", "sdpa")
    make = lambda sizes: {"input_ids": padded(sizes)["input_ids"]}  # noqa: E731
    check(found, make, {"input_ids": "batch seq"}, SIZES, tolerance)


def test_residual_network() -> None:
    found = model(
        "ResNet/ForImageClassification", "eager", embedding_size=8, hidden_sizes=[8, 16],
        depths=[1, 1], num_labels=3, layer_type="basic",
    )  # fmt: skip
    make = lambda sizes: {"pixel_values": numbers(sizes["batch"], 3, 16, 16)}  # noqa: E731
    check(found, make, {"pixel_values": "batch _ _ _"}, SIZES)
