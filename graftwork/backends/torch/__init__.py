"""The torch backend: a module with real parameters, compiled by TorchInductor."""

from __future__ import annotations

from graftwork.backends.torch.compile import compile, to_torch

__all__ = ["compile", "to_torch"]
