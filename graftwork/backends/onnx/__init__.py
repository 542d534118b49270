"""The ONNX backend: a graph as an ONNX model, and as a program that ONNX Runtime executes."""

from __future__ import annotations

from graftwork.backends.onnx.export import export
from graftwork.backends.onnx.session import compile

__all__ = ["compile", "export"]
