"""From a graph to something that runs: the lowering pipeline, then a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftwork.backends import Program
from graftwork.backends.cache import Cache
from graftwork.ir.graph import Graph, given_graph


def compile(
    graph: Graph,
    backend: str = "jax",
    device: str | None = None,
    *,
    buckets: Mapping[str, Sequence[int]] | None = None,
    cache: Cache = None,
    **options: Any,
) -> Program:
    """Compile a graph: `run = gw.compile(graph, backend="onnx"); out = run(input_ids=ids)`.

    Args:
        backend: "numpy" (the reference), "jax", "torch" (TorchInductor) or "onnx".
        device: "cpu", "cuda", "tpu"; None takes the best that is present.
        buckets: dynamic size -> sizes that inputs are padded to at their end, `{"seq": (64, 128)}`,
            so that a backend that compiles for each shape, as JAX does, compiles for these alone.
            Results are cut to the true sizes, and come as numpy arrays.
        cache: where JAX and TorchInductor keep what they compiled, for other processes: a folder,
            or True for the user's own cache; None for `$GRAFTWORK_CACHE` where that is set, else
            they do what they do anyway.
        options: of the backend, such as `shard={"heads": "model"}` for JAX.

    Raises:
        InputError: if this is no graph, but a model that was not converted.
        UnsupportedOpError: for an unknown backend, or an op that it cannot lower; names the op,
            where it came from and what to do.
        StorageError: if nothing can be kept in `cache`.
        RewriteError: with `buckets`, if padding could reach a result; names the op that sees it.
    """
    from graftwork import backends

    if buckets is not None:
        from graftwork.buckets import bucketed
        from graftwork.passes.padding import padded

        narrow = _lowered(padded(given_graph(graph), buckets))
        program = backends.compile(narrow, backend, device, cache=cache, **options)
        return bucketed(graph, program, buckets)
    return backends.compile(_lowered(graph), backend, device, cache=cache, **options)


def to_torch(graph: Graph) -> Any:
    """A `torch.nn.Module` with real parameters: trainable, with a state_dict."""
    from graftwork.backends.torch import to_torch

    return to_torch(_lowered(graph))


def to_jax(graph: Graph) -> tuple[Any, Mapping[str, Any]]:
    """A pure function `fn(params, **inputs)` and its parameters, a pytree of JAX arrays."""
    from graftwork.backends.jax import to_jax

    return to_jax(_lowered(graph))


def export_onnx(graph: Graph, path: str | Path) -> None:
    """Write a checked ONNX model with dynamic axes; external data beyond 2 GB.

    Raises:
        UnsupportedOpError: for an op that ONNX cannot express.
        StorageError: if the path cannot be written; what stood there stays whole.
    """
    from graftwork.backends.onnx import export

    export(_lowered(graph), path)


def _lowered(graph: Graph) -> Graph:
    from graftwork.passes.lowering import lowered

    return lowered(given_graph(graph))
