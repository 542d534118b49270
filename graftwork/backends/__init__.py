"""Backends: one table of lowerings each, from the ops of the IR to a framework.

`compile(graph, backend)` loads a backend's framework when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from graftwork.backends.cache import Cache, folder, made
from graftwork.backends.engine import Laid, Target, register_lowering
from graftwork.backends.program import Program
from graftwork.ir.errors import UnsupportedOpError, nearest
from graftwork.ir.graph import Graph

__all__ = ["Laid", "Program", "Target", "compile", "register_lowering"]

_MODULES = {
    "numpy": "graftwork.backends.reference",
    "jax": "graftwork.backends.jax",
    "torch": "graftwork.backends.torch",
    "onnx": "graftwork.backends.onnx",
}


_KEEPING = ("jax", "torch")  # those whose compilers can keep what they compiled


def compile(
    graph: Graph,
    backend: str = "jax",
    device: str | None = None,
    *,
    cache: Cache = None,
    **options: Any,
) -> Program:
    """Compile a graph for a backend and a device ("cpu", "cuda", "tpu"; None: the best present).

    Args:
        cache: where compiled programs are kept; see `graftwork.backends.cache.folder`.

    Raises:
        UnsupportedOpError: for an unknown backend, or an op that it cannot lower.
        StorageError: if nothing can be kept there.
    """
    if backend not in _MODULES:
        raise UnsupportedOpError(f"no backend {backend!r}{nearest(str(backend), _MODULES)}")
    module = importlib.import_module(_MODULES[backend])
    kept = folder(cache)
    if kept is not None and backend in _KEEPING:
        options["cache"] = made(kept / backend)
    program: Program = module.compile(graph, device, **options)
    return program
