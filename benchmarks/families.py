"""One forward of five families of models beside the module in its own frameworks, batch 1 and 8.

The shapes are those of GPT-2 small, SmolLM2-135M, BERT-base, ViT-B/16 and ResNet-50; weights are
random, text is 64 tokens, images are 224 pixels square, all is float32. As in
`benchmarks.latency`, each pair has an interpreter of its own, and takes and gives NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

import graftwork as gw
from benchmarks import native, report, timing

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]
ROUNDS, BATCHES = 21, (1, 8)
EQUAL = report.Target(1.03)  # within the noise of such ratios


@frozen
class Family:
    """A shape of model: how to make it, and what it takes and gives.

    Attributes:
        config: class of the configuration in transformers, and what differs from its defaults.
        model: class of the model.
        axes: those of its only input, of which `batch` is free, and `seq` where there is one.
        sample: an input of so many rows.
    """

    config: tuple[str, Mapping[str, Any]]
    model: str
    argument: str
    output: str
    axes: str
    sample: Callable[[int], Array]

    def build(self, attention: str = "sdpa") -> nn.Module:
        """The model in inference mode, every parameter random."""
        import torch
        import transformers

        name, words = self.config
        torch.manual_seed(0)
        kept = {} if "ResNet" in name else {"attn_implementation": attention}
        config = getattr(transformers, name)(**words, **kept)
        model: nn.Module = getattr(transformers, self.model)(config)
        model.requires_grad_(False).train(False)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
        return model


def _tokens(vocab: int) -> Callable[[int], Array]:
    return lambda batch: native.token_ids(batch, 64, vocab)


def _images(batch: int) -> Array:
    return np.random.default_rng(0).standard_normal((batch, 3, 224, 224), np.float32)


_TEXT = ("input_ids", "logits", "batch seq")
_IMAGE = ("pixel_values", "logits", "batch channels=3 height=224 width=224")
FAMILIES: Mapping[str, Family] = {
    "GPT-2 small": Family(
        ("GPT2Config", {"use_cache": False, "bos_token_id": None, "eos_token_id": None}),
        "GPT2LMHeadModel",
        *_TEXT,
        _tokens(50257),
    ),
    "SmolLM2-135M": Family(
        (
            "LlamaConfig",
            {
                "vocab_size": 49152,
                "hidden_size": 576,
                "intermediate_size": 1536,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "tie_word_embeddings": True,
                "use_cache": False,
            },
        ),
        "LlamaForCausalLM",
        *_TEXT,
        _tokens(49152),
    ),
    "BERT-base": Family(
        ("BertConfig", {}),
        "BertModel",
        "input_ids",
        "last_hidden_state",
        "batch seq",
        _tokens(30522),
    ),
    "ViT-B": Family(("ViTConfig", {}), "ViTForImageClassification", *_IMAGE, _images),
    "ResNet-50": Family(("ResNetConfig", {}), "ResNetForImageClassification", *_IMAGE, _images),
}
NATIVE = {"torch": "torch.compile", "onnx": "torch.onnx.export in ONNX Runtime"}


def figures() -> list[report.Figure]:
    return [
        timing.isolated(figure, name, batch, backend)
        for batch in BATCHES
        for name in FAMILIES
        for backend in NATIVE
    ]


def figure(name: str, batch: int, backend: str) -> report.Figure:
    """Ours beside the framework's own way, both held to the module's result."""
    import torch

    family = FAMILIES[name]
    sample = family.sample(batch)
    model = family.build()
    graph = gw.from_torch(
        model,
        kwargs={family.argument: torch.from_numpy(family.sample(2))},
        axes={family.argument: family.axes},
    )
    run = gw.compile(graph, backend)
    theirs = _theirs(family, model, backend)
    candidates: dict[str, Callable[[], Array]] = {
        "graftwork": lambda: np.asarray(run(**{family.argument: sample})[family.output]),
        NATIVE[backend]: lambda: theirs(sample),
    }
    reference = _eager(family, model)(sample)
    for candidate in candidates.values():
        native.check(lambda _, made=candidate: made(), reference, sample)  # type: ignore[misc]
    measured = timing.compare(candidates, ROUNDS)
    return report.side_by_side(
        f"{name}, batch {batch}, {backend}", measured, "graftwork", NATIVE[backend], EQUAL
    )


def _theirs(family: Family, model: nn.Module, backend: str) -> Callable[[Array], Array]:
    import torch

    if backend == "torch":
        return _eager(family, torch.compile(model))
    axes = enumerate(family.axes.split())
    free = {i: axis for i, axis in axes if axis in ("batch", "seq")}
    signature = native.Signature(family.argument, family.sample(2), free, family.output)
    return native.onnx_runtime(family.build(attention="eager"), signature)


def _eager(family: Family, model: Callable[..., Any]) -> Callable[[Array], Array]:
    import torch

    def forward(sample: Array) -> Array:
        with torch.inference_mode():
            given = {family.argument: torch.from_numpy(sample)}
            made: Array = model(**given)[family.output].numpy()
        return made

    return forward
