"""Weights, buffers and constants of a traced program, sharing memory with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import torch
from attrs import frozen

from graftwork.frontends.torch.origins import without_prefix
from graftwork.ir.store import Lazy


@frozen(eq=False)
class Weight:
    """One tensor of the model, however many names it has.

    Attributes:
        names: its names in the model, the first first.
        placeholders: its names in the traced program.
        tensor: the tensor itself.
        trainable: whether it is a parameter, not a buffer or constant.
        constant: whether the program made it a constant without a name in the model.
    """

    names: tuple[str, ...]
    placeholders: tuple[str, ...]
    tensor: torch.Tensor
    trainable: bool
    constant: bool


def weights(program: torch.export.ExportedProgram, prefix: str) -> list[Weight]:
    """The program's weights, each once: tied ones are recognised by the memory that they share."""
    kinds = torch.export.graph_signature.InputKind
    held: Mapping[str, Any] = {**program.constants, **program.state_dict}
    groups: dict[object, list[Any]] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind in (kinds.PARAMETER, kinds.BUFFER, kinds.CONSTANT_TENSOR):
            groups.setdefault(_memory(held[spec.target]), []).append(spec)
    return [
        Weight(
            tuple(dict.fromkeys(without_prefix(spec.target, prefix) for spec in specs)),
            tuple(spec.arg.name for spec in specs),
            held[specs[0].target],
            specs[0].kind is kinds.PARAMETER,
            specs[0].kind is kinds.CONSTANT_TENSOR,
        )
        for specs in groups.values()
    ]


def _memory(tensor: torch.Tensor) -> object:
    """A key that two tensors share if they are the same numbers in the same memory."""
    if tensor.numel() == 0 or tensor.device.type == "meta":
        return id(tensor)
    layout = (tuple(tensor.shape), tensor.stride(), tensor.dtype, str(tensor.device))
    return (tensor.data_ptr(), *layout)


def as_stored(tensor: torch.Tensor) -> np.ndarray[Any, Any] | Lazy:
    """A numpy view of the tensor's memory; a tensor on another device is fetched when needed.

    The parts of complex numbers are a last dimension.
    """
    found = tensor.detach()
    if found.is_complex():
        found = torch.view_as_real(found.resolve_conj())
    return _view(found) if found.device.type == "cpu" else Lazy(lambda: _view(found.cpu()))


def _view(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    if tensor.dtype is torch.bfloat16:  # numpy has no such type of its own
        bits: np.ndarray[Any, Any] = tensor.view(torch.uint16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: np.ndarray[Any, Any] = tensor.numpy()
    return array
