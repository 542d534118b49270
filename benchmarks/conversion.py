"""What converting costs: time beside the framework's own tracing, and memory beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import graftwork as gw
from benchmarks import jax_llama, native, report, timing

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

ROUNDS = 3
HALF = report.Target(0.5)
TRACED = report.Target(1.5)  # conversion with its tracing, beside tracing alone
TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}
AT_LEAST = 500e6  # bytes of weights


def figures() -> list[report.Figure]:
    times = (*timing.isolated(_gpt2), *timing.isolated(_depth), *timing.isolated(_jax))
    return [*times, *_memory()]


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


def _gpt2() -> list[report.Figure]:
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
        report.side_by_side("our share of it", measured, "once exported", "torch.export", HALF),
    ]


def _depth() -> list[report.Figure]:
    """A deep model of tiny widths, beside torch.export and beside a quarter of its depth."""
    deep, shallow = (_llama(num_hidden_layers=n, **TINY) for n in (32, 8))
    programs = {"32 layers": _export(deep), "8 layers": _export(shallow)}
    measured = timing.compare(
        {name: partial(gw.from_torch, program) for name, program in programs.items()}
        | {"torch.export": lambda: _export(deep)},
        ROUNDS,
    )
    return [
        report.side_by_side(
            "our share of 32 layers of Llama", measured, "32 layers", "torch.export", HALF
        ),
        report.side_by_side("32 layers beside 8", measured, "32 layers", "8 layers"),
    ]


def _jax() -> list[report.Figure]:
    """Models by hand, each traced anew, with a free batch, beside JAX's own trace of the same."""
    small = _beside_tracing("gw.from_jax", *native.jax_function(native.gpt2()))
    deep, shallow = (jax_llama.function_and_weights(layers=n) for n in (32, 8))
    llama = _beside_tracing("32 layers", *deep, {"8 layers": _conversion(*shallow)})
    return [
        report.side_by_side("convert GPT-2 in JAX", small, "gw.from_jax", "make_jaxpr", TRACED),
        report.side_by_side("32 layers of Llama in JAX", llama, "32 layers", "make_jaxpr", TRACED),
        report.side_by_side("32 layers beside 8 in JAX", llama, "32 layers", "8 layers"),
    ]


def _beside_tracing(
    name: str,
    function: Callable[..., Any],
    weights: Any,
    others: Mapping[str, Callable[[], None]] | None = None,
) -> timing.Comparison:
    import jax

    batch = jax.export.symbolic_shape("batch")
    ids = jax.ShapeDtypeStruct((*batch, 128), jax.numpy.int32)

    def traced() -> None:
        jax.clear_caches()
        jax.make_jaxpr(function)(weights, ids)

    candidates = {name: _conversion(function, weights), "make_jaxpr": traced}
    return timing.compare({**candidates, **(others or {})}, ROUNDS)


def _conversion(function: Callable[..., Any], weights: Any) -> Callable[[], None]:
    import jax

    ids = native.token_ids(2, 128, vocab=512)

    def converted() -> None:
        jax.clear_caches()
        gw.from_jax(function, ids, params=weights, axes={0: "batch seq=128"})

    return converted


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
