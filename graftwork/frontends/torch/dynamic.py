"""Functions that torch can only trace at one size, replaced while a model is traced.

Torch traces `nn.LSTM`, `nn.GRU` and `nn.RNN` by running every step, which fixes the length of the
sequence. While a model is traced here, the functions that those layers call are operators of our
own, which only know the shape of their results. A few other functions read sizes as numbers for no
need of theirs; they are replaced by equal ones that do not. Nor can torch trace that a module is
moved, even to where it already is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode

_PARAMETERS = (
    "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, "
    "bool bidirectional, bool batch_first"
)
_SCHEMAS = {
    "lstm": f"(Tensor input, Tensor[] hx, {_PARAMETERS}) -> (Tensor, Tensor, Tensor)",
    "gru": f"(Tensor input, Tensor hx, {_PARAMETERS}) -> (Tensor, Tensor)",
    "rnn_tanh": f"(Tensor input, Tensor hx, {_PARAMETERS}) -> (Tensor, Tensor)",
    "rnn_relu": f"(Tensor input, Tensor hx, {_PARAMETERS}) -> (Tensor, Tensor)",
}


def _shapes(
    input: torch.Tensor,
    hx: torch.Tensor | Sequence[torch.Tensor],
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, ...]:
    """Empty results of the right shapes."""
    states = [hx] if isinstance(hx, torch.Tensor) else list(hx)
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    output = input.new_empty((*input.shape[:-1], width))
    return (output, *(torch.empty_like(state) for state in states))


@cache
def _operator(name: str) -> Callable[..., Any]:
    """Our operator that stands for a function, registered when it is first used."""
    torch.library.define(f"graftwork::{name}", _SCHEMAS[name])
    torch.library.register_fake(f"graftwork::{name}", _shapes)
    operator: Callable[..., Any] = getattr(torch.ops.graftwork, name).default
    return operator


def _max_pool1d(
    input: torch.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> torch.Tensor:
    """Pooling of a line as that of an image of one row."""
    kernel, step, border, spread = (
        each[0] if isinstance(each, list | tuple) and each else each
        for each in (kernel_size, stride or kernel_size, padding, dilation)
    )
    rows = ((1, kernel), (1, step), (0, border), (1, spread))
    return torch.max_pool2d(input.unsqueeze(-2), *rows, ceil_mode).squeeze(-2)


def _adaptive_avg_pool1d(input: torch.Tensor, output_size: Any) -> torch.Tensor:
    """Pooling to one position as a mean, whose layout in memory does not matter."""
    (size,) = output_size if isinstance(output_size, list | tuple) else (output_size,)
    return input.mean(-1, keepdim=True) if size == 1 else torch.adaptive_avg_pool1d(input, size)


_EQUALS: dict[str, Callable[..., Any]] = {
    "adaptive_avg_pool1d": _adaptive_avg_pool1d,
    "max_pool1d": _max_pool1d,
}


class KeepingAxes(TorchFunctionMode):
    """While active, functions that would fix a dynamic axis are traced as ones that do not."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the replacement of a function, or else the function."""
        name = getattr(func, "__name__", "")
        if name in _SCHEMAS and len(args) == 9 and isinstance(args[3], bool):
            return _operator(name)(*args)
        if name in _EQUALS:
            return _EQUALS[name](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def keeping_modules() -> Iterator[None]:
    """While active, a module that is moved to the type and device that it has is left alone."""
    move = torch.nn.Module.to

    def moved(module: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
        return module if _is_there(module, *args, **kwargs) else move(module, *args, **kwargs)

    with mock.patch.object(torch.nn.Module, "to", moved):
        yield


def _is_there(module: torch.nn.Module, *args: Any, **kwargs: Any) -> bool:
    """Whether `module.to` of these arguments would change no tensor of the module."""
    wanted: tuple[Any, ...] = torch._C._nn._parse_to(*args, **kwargs)
    device, dtype, _, layout = wanted
    tensors = [*module.parameters(), *module.buffers()]
    return layout is None and all(
        device in (None, x.device) and (dtype in (None, x.dtype) or not x.is_floating_point())
        for x in tensors
    )
