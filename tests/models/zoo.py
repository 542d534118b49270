"""Tiny random models of real architectures, and inputs of any size for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers as hf
from attrs import frozen

COMMON: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
GROUPED: dict[str, Any] = {**COMMON, "num_key_value_heads": 2}
NARROW: dict[str, Any] = {**GROUPED, "head_dim": 8}
Sizes = tuple[int, int]  # batch, seq
EXACT, CLOSE = 1e-9, 1e-5


@frozen
class Family:
    """An architecture.

    Attributes:
        make: builds it, given `attn_implementation`.
        tolerance: 1e-9 where the model's own code computes all in float64. Where it casts to
            float32 itself, the model is in float32, and compared to 1e-5.
        renames: the renames that its graph keeps, and how often: keys and values of both layers
            from `seq` to `kv_seq`, the padding mask once, and square weights.
        stacks: prefixes of its stacks of blocks.
        attention: which implementations it has.
        eager_casts: its eager attention computes the softmax in float32.
    """

    make: Callable[..., Any]
    tolerance: float = EXACT
    renames: Mapping[tuple[str, str], int] = {("seq", "kv_seq"): 5}
    stacks: tuple[str, ...] = ("",)
    attention: tuple[str, ...] = ("sdpa", "eager")
    eager_casts: bool = False

    def is_exact(self, attention: str) -> bool:
        """Whether the model computes all in the dtype of its weights."""
        return self.tolerance == EXACT and not (self.eager_casts and attention == "eager")


def _gpt2(**options: Any) -> Any:
    config = hf.GPT2Config(
        n_layer=2, n_head=4, n_embd=32, vocab_size=99, n_positions=64, bos_token_id=0,
        eos_token_id=0, **options,
    )  # fmt: skip
    return hf.GPT2LMHeadModel(config)


def _opt(**options: Any) -> Any:
    config = hf.OPTConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
        max_position_embeddings=64, word_embed_proj_dim=32, **options,
    )  # fmt: skip
    return hf.OPTForCausalLM(config)


def _t5(**options: Any) -> Any:
    config = hf.T5Config(
        vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, **options
    )
    return hf.T5ForConditionalGeneration(config)


def _vit(**options: Any) -> Any:
    config = hf.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        image_size=32, patch_size=8, num_labels=5, **options,
    )  # fmt: skip
    return hf.ViTForImageClassification(config)


def _plain(model: str, config: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda **options: getattr(hf, model)(getattr(hf, config)(**settings, **options))


FAMILIES: Mapping[str, Family] = {
    "gpt2": Family(_gpt2),
    "gpt_neox": Family(_plain("GPTNeoXForCausalLM", "GPTNeoXConfig", COMMON), CLOSE),
    "llama": Family(_plain("LlamaForCausalLM", "LlamaConfig", GROUPED), CLOSE),
    "mistral": Family(_plain("MistralForCausalLM", "MistralConfig", GROUPED), CLOSE),
    "qwen2": Family(_plain("Qwen2ForCausalLM", "Qwen2Config", GROUPED), CLOSE),
    "qwen3": Family(_plain("Qwen3ForCausalLM", "Qwen3Config", NARROW), CLOSE),
    "gemma2": Family(
        _plain("Gemma2ForCausalLM", "Gemma2Config", {**NARROW, "query_pre_attn_scalar": 8}),
        CLOSE,
        attention=("eager",),
    ),
    "opt": Family(_opt, eager_casts=True),
    "bert": Family(
        _plain("BertForMaskedLM", "BertConfig", COMMON),
        renames={("seq", "kv_seq"): 5, ("embed", "embed_2"): 1},
    ),
    "t5": Family(
        _t5,
        CLOSE,
        renames={("seq", "kv_seq"): 5, ("decoder_seq", "kv_seq_2"): 4},
        stacks=("encoder.", "decoder."),
        attention=("eager",),
    ),
    "vit": Family(_vit, renames={("seq", "kv_seq"): 4}, eager_casts=True),
}
CASES = [(name, attention) for name, f in FAMILIES.items() for attention in f.attention]


def build(name: str, attention: str) -> Any:
    torch.manual_seed(0)
    family = FAMILIES[name]
    model = family.make(attn_implementation=attention).eval()
    model.config.use_cache = False  # else it is an output, once some test has registered caches
    return model.double() if family.is_exact(attention) else model


def tolerance(name: str, attention: str) -> float:
    return EXACT if FAMILIES[name].is_exact(attention) else CLOSE


def inputs(name: str, sizes: Sizes, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Inputs of a batch and a sequence length; the last tokens of the first row are padding."""
    batch, seq = sizes
    generator = torch.Generator().manual_seed(100 * batch + seq)
    if name == "vit":
        return {"pixel_values": torch.randn(batch, 3, 32, 32, generator=generator).to(dtype)}
    ids = torch.randint(0, 99, (batch, seq), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 1 + seq // 2 :] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    if name == "t5":
        given["decoder_input_ids"] = torch.randint(0, 99, (batch, seq + 2), generator=generator)
    return given


def axes(name: str) -> dict[str | int, str]:
    if name == "vit":
        return {"pixel_values": "batch channels=3 height=32 width=32"}
    words: dict[str | int, str] = dict.fromkeys(("input_ids", "attention_mask"), "batch seq")
    if name == "t5":
        words["decoder_input_ids"] = "batch decoder_seq"
    return words
