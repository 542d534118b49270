"""What a backend gives against what the numpy reference gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graftwork.backends import compile
from graftwork.ir.graph import Graph
from tests.backends.build import Sample
from tests.backends.dynamic import Dynamic

EPSILON = {"f64": 1e-12, "f32": 2e-6, "f16": 2e-3, "bf16": 1.6e-2}


def reference(sample: Sample) -> dict[str, Any]:
    return compile(sample.graph, "numpy")(**sample.inputs)


def at_sizes(case: Dynamic, graph: Graph, symbols: Mapping[str, int]) -> Sample:
    """A graph of symbolic sizes at some; those that round to f32 inside may differ by as much."""
    rounded = case.name in ("conv", "layer_norm")
    return Sample(case.name, graph, case.arrays(symbols), 5e6 if rounded else 1.0)


def assert_same(found: Mapping[str, Any], wanted: Mapping[str, Any], sample: Sample) -> None:
    """Equal dtypes, axes and numbers: integers exactly, floats to the rounding of their width."""
    assert set(found) == set(wanted)
    for port in sample.graph.outputs:
        got, expected = found[port.name], wanted[port.name]
        assert tuple(got.shape) == expected.shape, f"{sample.name}.{port.name}"
        a, b = np.asarray(got), np.asarray(expected)
        assert a.dtype == b.dtype, f"{sample.name}.{port.name}"
        dtype = port.value.type.dtype
        if not dtype.is_float:
            np.testing.assert_array_equal(a, b, f"{sample.name}.{port.name}")
        else:
            near = EPSILON[dtype.value] * sample.tolerance
            np.testing.assert_allclose(
                a.astype(np.float64), b.astype(np.float64), near, near, err_msg=sample.name
            )
