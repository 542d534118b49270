"""From a graph to a torch module, run as it is or compiled by TorchInductor."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from graftwork.backends.cache import environment
from graftwork.backends.program import Program
from graftwork.backends.torch.arrays import as_torch
from graftwork.backends.torch.module import GraphModule
from graftwork.ir.binding import Binding
from graftwork.ir.errors import DeviceError, InputError
from graftwork.ir.graph import Graph

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_OUT_OF_RANGE = "index out of bounds"  # what a compiled program says; one that is not, IndexError


def to_torch(graph: Graph) -> nn.Module:
    """A trainable module that takes inputs by name and returns a dict of tensors by name.

    Float parameters that the graph calls trainable require gradients and are copies, so that
    training leaves the source model alone; everything else is a buffer that shares memory with the
    graph's store. The names in `state_dict` are the parameter names.
    """
    return GraphModule(graph)


def compile(
    graph: Graph,
    device: str | None = None,
    mode: Literal["inductor", "eager"] = "inductor",
    cache: Path | None = None,
) -> Program:
    """A program without gradients, compiled by TorchInductor.

    It is compiled for the sizes of its first run, and for all sizes when others come. Conditions
    and loops that depend on data run in Python, around compiled pieces.

    Args:
        graph: what to compile.
        device: "cpu", "cuda" or another that torch knows; None for the best present.
        mode: "eager" runs the same module without compiling it.
        cache: a folder in which compiled code is kept, instead of Inductor's own.

    Raises:
        DeviceError: if there is no such device.

    A run raises InputError where it computes a position at which nothing is.
    """
    place = _device(device)
    module = GraphModule(graph, train=False).to(place)
    # Not the module's own `forward`: all modules share that, and torch compiles one function anew
    # only so often before it gives up on it without a word.
    function: Any = torch.compile(module.function) if mode == "inductor" else module.function
    parameters = module.held()
    names = [port.name for port in graph.outputs]

    def kept() -> AbstractContextManager[None]:
        return nullcontext() if cache is None else environment(_FOLDER, str(cache))

    def execute(binding: Binding) -> dict[str, Any]:
        inputs = [as_torch(binding.arrays[port.name], place) for port in graph.inputs]
        try:
            with torch.no_grad(), kept():
                found = function(*inputs, *parameters)
        except (IndexError, RuntimeError) as error:
            if not isinstance(error, IndexError) and _OUT_OF_RANGE not in str(error):
                raise
            raise InputError(f"an index is out of range of what it is to find: {error}") from error
        return dict(zip(names, found, strict=True))

    return Program(graph, "torch", execute, module)


def _device(name: str | None) -> torch.device:
    best = torch.accelerator.current_accelerator(check_available=True)
    if name is None:
        return best or torch.device("cpu")
    present = {"cpu"} if best is None else {"cpu", best.type}
    wanted = {"gpu": "cuda"}.get(name, name)
    if wanted.partition(":")[0] not in present:
        raise DeviceError(f"torch sees no device {name!r} here, only {', '.join(sorted(present))}")
    return torch.device(wanted)
