"""Hugging Face models by folder or name: the class from the config, samples from its main input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from graftwork.frontends.torch import convert
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Graph


@frozen
class Samples:
    """Inputs to trace a model with, and the axes that they name."""

    arrays: dict[str, torch.Tensor]
    axes: dict[str | int, str]


def load_pretrained(path: str | Path, **options: Any) -> Graph:
    """Load a model in inference mode and convert it to a raw graph.

    `options` go to transformers' `from_pretrained` (`dtype=`, `gguf_file=`, `revision=` ...).

    Raises:
        OSError: if there is no such model.
        ConversionError: if transformers has no class for it, or its inputs are not known here.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(str(path), **_config_options(options))
    names = getattr(config, "architectures", None) or []
    cls: Any = next((getattr(transformers, n) for n in names if hasattr(transformers, n)), None)
    if cls is None and "gguf_file" in options:  # which does not say; all of them write text
        cls = transformers.AutoModelForCausalLM
    if cls is None:
        raise ConversionError(
            f"transformers has no class for {names or config.model_type!r} of {str(path)!r}; load "
            "the model yourself and give it to from_torch"
        )
    model = cls.from_pretrained(str(path), **options).eval()
    samples = samples_for(model)
    return convert(model, kwargs=samples.arrays, axes=samples.axes)


def _config_options(options: dict[str, Any]) -> dict[str, Any]:
    shared = ("gguf_file", "revision", "token", "cache_dir", "local_files_only", "subfolder")
    return {name: options[name] for name in shared if name in options}


def samples_for(model: Any) -> Samples:
    """Samples of the inputs of a Hugging Face model, two of everything that is dynamic.

    Raises:
        ConversionError: for a main input other than token ids, pixels and features.
    """
    config, main = model.config, model.main_input_name
    dtype = next(model.parameters()).dtype
    if main == "input_ids":
        ids = torch.arange(14).reshape(2, 7) % config.get_text_config().vocab_size
        arrays = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        axes: dict[str | int, str] = dict.fromkeys(arrays, "batch seq")
        if getattr(config, "is_encoder_decoder", False):
            arrays["decoder_input_ids"] = ids[:, :5].clone()
            axes["decoder_input_ids"] = "batch decoder_seq"
        return Samples(arrays, axes)
    if main == "pixel_values":
        size = config.image_size
        height, width = (size, size) if isinstance(size, int) else size
        pixels = torch.zeros(2, config.num_channels, height, width, dtype=dtype)
        words = f"batch channels={config.num_channels} height={height} width={width}"
        return Samples({main: pixels}, {main: words})
    raise ConversionError(
        f"{type(model).__name__} takes {main!r}; give the model and a sample of that to from_torch"
    )
