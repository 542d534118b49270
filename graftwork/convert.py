"""From a model to a graph: a frontend, then the import pipeline that makes its graph readable.

The frontends give raw graphs over fresh axes. The pipeline unifies axes, recovers composites,
names what is left and finds the canonical sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.ir.elided import restored
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import collection_paused


def from_torch(
    model: Any,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    axes: Mapping[str | int, str] | None = None,
    training: bool = False,
    key: str = "key",
) -> Graph:
    """Convert a `torch.nn.Module`, `torch.export.ExportedProgram` or `torch.fx.GraphModule`.

    A function of tensors is converted too, for passes that take one.

    Args:
        args, kwargs: sample inputs, as the model takes them; an ExportedProgram needs none.
        axes: input name or position -> names of its dimensions, `{"input_ids": "batch seq"}`.
            A named axis is dynamic; `"batch=1 seq"` fixes one. Other dimensions are static.
        training: convert in training mode; the model itself is never changed.
        key: the name of the input that random numbers are drawn from (what dropout keeps, what
            `torch.randn` gives): a key of two u32, as `jax.random.key_data` gives it. Equal keys
            give equal numbers on every backend. Where nothing is drawn there is no such input.

    Raises:
        ConversionError: if the model cannot be exported; says which line of it prevents that.
        UnsupportedOpError: for an op that no rule knows.
        InputError, AxisError: for axes or samples that do not fit.
    """
    from graftwork.frontends.torch import convert
    from graftwork.passes.importing import imported

    return imported(convert(model, *args, kwargs=kwargs, axes=axes, training=training, key=key))


def from_jax(
    fn: Any,
    *args: Any,
    params: Any = None,
    axes: Mapping[str | int, str] | None = None,
    training: bool = False,
) -> Graph:
    """Convert a JAX function `fn(params, *args)`, or a callable model of a JAX library.

    Args:
        args: sample inputs; pytrees welcome.
        params: the pytree of trained arrays; arrays that `fn` closes over become parameters too.
        axes: position after `params`, argument name or dotted path -> names of dimensions.
        training: keep what modules do only in training, such as dropout.

    Raises:
        ConversionError: if the function cannot be traced with these dynamic axes.
        UnsupportedOpError: for a primitive that no rule knows.
        InputError, AxisError: for axes or samples that do not fit.
    """
    from graftwork.frontends.jax import read
    from graftwork.passes.importing import imported, simplified

    options = {"params": params, "axes": axes, "training": training, "simplify": simplified}
    with collection_paused():
        program = read(fn, *args, **options)
        short, elided = program.short()
        return restored(imported(short), elided) or imported(program.graph())


def from_pretrained(path: str | Path, **options: Any) -> Graph:
    """Convert a Hugging Face model by its folder or hub name, with batch and sequence dynamic.

    Text models take `input_ids` and `attention_mask`; encoder-decoders `decoder_input_ids` too;
    vision models `pixel_values`. `options` go to transformers' `from_pretrained`.

    Raises:
        ConversionError: if there is no such model, or it cannot be exported.
    """
    from graftwork.frontends.torch.pretrained import load_pretrained
    from graftwork.passes.importing import imported

    try:
        raw = load_pretrained(path, **options)
    except OSError as error:
        raise ConversionError(f"no model at {str(path)!r}: {error}") from error
    return imported(raw)
