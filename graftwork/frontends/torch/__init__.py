"""The PyTorch frontend: modules, exported programs and fx graphs as graphs in raw named form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from attrs import evolve

from graftwork.frontends.torch.export import adopt, trace
from graftwork.frontends.torch.failures import SpecialisedError
from graftwork.frontends.torch.lengths import Sample, rolled
from graftwork.frontends.torch.program import translate
from graftwork.frontends.torch.rules import find_rule
from graftwork.ir.errors import ConversionError, GraftworkError, InputError
from graftwork.ir.graph import Graph


def convert(
    model: torch.nn.Module | torch.export.ExportedProgram | Callable[..., Any],
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    axes: Mapping[str | int, str] | None = None,
    training: bool = False,
    key: str = "key",
) -> Graph:
    """A model as a graph in raw named form.

    Every operator is translated over fresh axes, with an explicit rename wherever two meet;
    nothing is unified, named or simplified yet. The model itself is left as it was.

    Args:
        model: a module (also an fx.GraphModule) or a function of tensors, traced on the samples;
            or an exported program.
        args: sample inputs; none for an exported program.
        kwargs: sample inputs by name.
        axes: argument name, position or dotted path -> its axes, `"batch seq"`. A named axis is
            dynamic unless its size is fixed (`"batch=1 seq"`); all others keep the sample's size.
        training: convert as in training mode.
        key: the name of the input that random numbers are drawn from, a key of two u32; there is
            none where nothing is drawn.

    Raises:
        InputError: if the samples do not fit the model, or `axes` names an unknown argument.
        AxisError: if `axes` does not fit the samples.
        ConversionError: if the model cannot be traced, with the line of its code.
        UnsupportedOpError: if an operator has no translation.
    """
    if isinstance(model, torch.export.ExportedProgram):
        if args or kwargs:
            raise InputError("an exported program has its inputs already; pass no samples")
        return translate(evolve(adopt(model, axes or {}, find_rule), key=key))
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise InputError(
            "TorchScript is compiled already, and holds no Python to trace; convert the module or "
            "function that it was made of"
        )
    if inspect.isroutine(model) or isinstance(model, partial):
        model = _module_of(model)
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"from_torch takes a torch.nn.Module or a torch.export.ExportedProgram, "
            f"not {type(model).__name__}"
        )
    try:
        exported = trace(model, args, kwargs or {}, axes or {}, training, find_rule)
        return translate(evolve(exported, key=key))
    except SpecialisedError as error:
        if len(error.axes) != 1 or training:
            raise
        arguments = dict(inspect.signature(model.forward).bind(*args, **(kwargs or {})).arguments)
        sample = Sample(model, arguments, axes or {}, error.axes[0])
        try:
            return rolled(sample, find_rule)
        except GraftworkError as reason:
            raise ConversionError(
                f"{error}. If that is for a loop along {error.axes[0]!r}, it cannot be made one of "
                f"any length: {reason}"
            ) from error


def _module_of(function: Callable[..., Any]) -> torch.nn.Module:
    """A module without parameters that computes a function."""
    module = torch.nn.Module()
    try:
        inspect.signature(function)
        module.forward = function
    except ValueError:  # it is written in C, and names no arguments
        module.forward = lambda *inputs, **options: function(*inputs, **options)
    return module
