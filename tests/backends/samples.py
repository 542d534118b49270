"""Sample graphs that every backend is held to: each op of the IR on awkward, hand-made inputs.

`SAMPLES` is a list of small named graphs with inputs; the numpy reference says what they mean.
"""

from __future__ import annotations

from tests.backends import (
    samples_axes,
    samples_composites,
    samples_control,
    samples_elementwise,
    samples_indexing,
)
from tests.backends.build import Sample, graph_of

__all__ = ["SAMPLES", "Sample", "graph_of"]

SAMPLES: list[Sample] = [
    *samples_elementwise.SAMPLES,
    *samples_axes.SAMPLES,
    *samples_indexing.SAMPLES,
    *samples_control.SAMPLES,
    *samples_composites.SAMPLES,
]
