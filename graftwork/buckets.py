"""Programs that are compiled for few sizes, and run others padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graftwork.backends import Program
from graftwork.ir.binding import Binding
from graftwork.ir.graph import Graph
from graftwork.ir.sizes import symbol
from graftwork.ir.store import as_numpy
from graftwork.passes.padding import LENGTH

Buckets = Mapping[str, Sequence[int]]


def bucketed(graph: Graph, program: Program, buckets: Buckets) -> Program:
    """A program for the inputs of `graph` that runs `program`, compiled of `padded(graph)`.

    Args:
        buckets: size symbol -> the sizes that inputs are padded to; what exceeds all of them runs
            at its own size.
    """
    axes = {
        axis: name for name in buckets for axis, size in graph.axes.items() if size == symbol(name)
    }

    def execute(binding: Binding) -> Mapping[str, Any]:
        sizes = {name: _size(binding.symbols[name], buckets[name]) for name in buckets}
        arrays = {}
        for port in graph.inputs:
            array = as_numpy(binding.arrays[port.name])
            named = zip(port.layout, array.shape, strict=True)
            extra = [(0, sizes[axes[a]] - n if a in axes else 0) for a, n in named]
            arrays[port.name] = np.pad(array, extra)
        for name in buckets:
            arrays[f"{LENGTH}.{name}"] = np.asarray(binding.symbols[name], np.int64)
        found = program.execute(Binding(arrays, {**binding.symbols, **sizes}))
        return {
            port.name: as_numpy(found[port.name])[
                tuple(slice(binding.symbols[axes[a]] if a in axes else None) for a in port.layout)
            ]
            for port in graph.outputs
        }

    return Program(graph, program.backend, execute, program.native)


def _size(extent: int, buckets: Sequence[int]) -> int:
    """The least bucket that holds so much, or the extent itself."""
    return min((bucket for bucket in buckets if bucket >= extent), default=extent)
