"""The same graph on inputs whose dimensions lie in another order, which must change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from graftwork.ir.graph import Port
from tests.backends.build import Array, Sample

Shuffle = Callable[[Sequence[int]], Sequence[int]]


def relaid(sample: Sample, shuffle: Shuffle) -> Sample:
    """The sample with the dimensions of every input permuted."""
    ports: list[Port] = []
    arrays: dict[str, Array] = {}
    for port in sample.graph.inputs:
        places = list(shuffle(range(len(port.layout))))
        ports.append(evolve(port, layout=tuple(port.layout[i] for i in places)))
        arrays[port.name] = sample.inputs[port.name].transpose(places).copy()
    return evolve(sample, graph=sample.graph.evolve(inputs=tuple(ports)), inputs=arrays)


def backward(places: Sequence[int]) -> Sequence[int]:
    return places[::-1]
