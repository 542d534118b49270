"""Recurrent layers that keep a dynamic sequence axis while a model is traced.

Torch traces `nn.LSTM`, `nn.GRU` and `nn.RNN` by running every step, which fixes the length of the
sequence. While a model is traced here, the functions that those layers call are operators of our
own, which only know the shape of their results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

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


class KeepingRecurrence(TorchFunctionMode):
    """While active, recurrent layers are traced as single operators."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace a recurrent function over a padded sequence by our operator."""
        name = getattr(func, "__name__", "")
        if name in _SCHEMAS and len(args) == 9 and isinstance(args[3], bool):
            return _operator(name)(*args)
        return func(*args, **(kwargs or {}))
