"""What converting costs: time beside torch.export's, and memory beside the model's own weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import graftwork as gw
from benchmarks import native, report, timing

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

ROUNDS = 3
AT_LEAST = 500e6  # bytes of weights


def figures() -> list[report.Figure]:
    return [*timing.isolated(_times), *_memory()]


def convert(model: nn.Module) -> gw.Graph:
    """Any Hugging Face decoder, with free batch and seq."""
    return gw.from_torch(model, kwargs=_sample(), axes={"input_ids": "batch seq"})


def _export(model: nn.Module) -> ExportedProgram:
    """The same by torch alone."""
    import torch

    free = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        return torch.export.export(
            model, (), _sample(), dynamic_shapes={"input_ids": {0: free, 1: free}}
        )


def _sample() -> dict[str, Any]:
    import torch

    return {"input_ids": torch.from_numpy(native.token_ids(2, 128, vocab=512))}


def _times() -> list[report.Figure]:
    model = native.gpt2()
    exported = _export(model)
    measured = timing.compare(
        {
            "gw.from_torch": lambda: convert(model),
            "once exported": lambda: gw.from_torch(exported),
            "torch.export": lambda: _export(model),
        },
        ROUNDS,
    )
    return [
        report.side_by_side("convert GPT-2 small", measured, "gw.from_torch", "torch.export"),
        report.side_by_side("our share of it", measured, "once exported", "torch.export"),
    ]


def _memory() -> list[report.Figure]:
    weights, ours = timing.isolated(_added_by, convert)
    _, theirs = timing.isolated(_added_by, _export)
    beside = f"weights: {report.megabytes(weights)}"

    def line(name: str, added: int, target: report.Target | None = None) -> report.Figure:
        ratio = timing.spread([added / weights])
        return report.Figure(name, report.megabytes(added), beside, ratio, ratio.median, target)

    return [
        line("memory, peak while converting Llama 135M", ours.peak, report.Target(0.15)),
        line("memory, kept by the graph", ours.kept),
        line("memory, peak of torch.export alone", theirs.peak),
    ]


def _added_by(work: Callable[[nn.Module], object]) -> tuple[int, timing.Memory]:
    """Bytes of weights, and memory that ``work`` adds to a process that holds them.

    A small model goes first: it loads code, which is no part of what one more model costs.
    """
    work(_llama(num_hidden_layers=1, vocab_size=512))
    model = _llama()
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert weights >= AT_LEAST
    _, added = timing.memory_of(lambda: work(model))
    return weights, added


def _llama(**config: Any) -> nn.Module:
    """The shape of SmolLM2-135M, with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
        "use_cache": False,
    }
    torch.manual_seed(0)
    model: nn.Module = LlamaForCausalLM(LlamaConfig(**(shape | config)))
    return model.requires_grad_(False).train(False)
