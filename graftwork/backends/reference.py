"""The numpy backend: the reference interpreter of the IR. Slow is fine, wrong is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graftwork.backends.program import Program
from graftwork.ir.array import NamedArray
from graftwork.ir.binding import Binding
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph


def compile(graph: Graph, device: str | None = None) -> Program:
    """A program that evaluates every op by its numpy definition."""

    def execute(binding: Binding) -> Mapping[str, Any]:
        inputs = {
            port.name: NamedArray(
                np.asarray(binding.arrays[port.name]).astype(port.value.type.dtype.numpy),
                port.layout,
            )
            for port in graph.inputs
        }
        outputs = run(graph, inputs, binding.symbols)
        return {name: array.array for name, array in outputs.items()}

    return Program(graph, "numpy", execute)
