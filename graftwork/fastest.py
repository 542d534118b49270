"""Which backend runs a graph fastest on this machine: measured, not assumed.

What sweeps spend their time on is matrix products, so the largest one tells. It runs alone, with
its own weights, on each backend that is installed and that takes any size without compiling for
it; XLA, which compiles for each, is not among them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from attrs import field, frozen

from graftwork import backends
from graftwork.backends import Program
from graftwork.ir.digest import digest
from graftwork.ir.errors import DeviceError, UnsupportedOpError
from graftwork.ir.graph import Graph, Node, Port
from graftwork.ir.sites import Sites
from graftwork.ir.size_values import evaluate
from graftwork.passes.sweeps.cost import cost

_PRODUCTS = frozenset({"contract", "linear", "conv"})
_FLOPS = 1e9  # so much arithmetic takes some tens of milliseconds
_TURNS = 9
_MARGIN = 0.9  # torch starts at once and ONNX Runtime after seconds, which it must make up for


@frozen
class Engine:
    """A backend and its options, as `gw.compile` takes them."""

    backend: str
    options: Mapping[str, Any] = field(factory=dict)


CANDIDATES = {"torch": Engine("torch", {"mode": "eager"}), "onnxruntime": Engine("onnx")}
"""The module that each needs -> what is tried, quickest to load first."""

_known: dict[tuple[str, str | None], Engine] = {}


def fastest(graph: Graph, symbols: Mapping[str, int], device: str | None = None) -> Engine:
    """The backend on which the graph's largest matrix product is fastest.

    It is measured once for each such product in a process.

    Args:
        symbols: size symbol -> about how large it will be.

    Raises:
        UnsupportedOpError: if neither torch nor ONNX Runtime is installed.
        DeviceError: if none of them has the device.
    """
    present = _present()
    product = largest_product(graph, symbols)
    if len(present) == 1 or product is None:
        return present[0]
    key = digest(product), device
    if key not in _known:
        _known[key] = _measured(product, present, device)
    return _known[key]


def soonest() -> Engine:
    """The one that starts soonest, for what runs once.

    Raises:
        UnsupportedOpError: if neither torch nor ONNX Runtime is installed.
    """
    return _present()[0]


def _present() -> Sequence[Engine]:
    present = [engine for module, engine in CANDIDATES.items() if find_spec(module) is not None]
    if not present:
        raise UnsupportedOpError("install torch or onnxruntime, or choose another backend=")
    return present


def _measured(graph: Graph, engines: Sequence[Engine], device: str | None) -> Engine:
    """The first engine, unless a later one beats it by some margin.

    Each is held to the first within a turn, and the middle of the turns counts: other work on the
    machine slows one or the other, now and then by half.
    """
    runs, refused = [], None
    for engine in engines:
        try:
            program = backends.compile(graph, engine.backend, device, **engine.options)
            runs.append((engine, program))
        except DeviceError as error:
            refused = error
    if not runs and refused is not None:
        raise refused
    given = {port.name: _sample(graph, port) for port in graph.inputs}
    turns = [[_seconds(program, given) for _, program in runs] for _ in range(1 + _TURNS)]
    ratios = [[own / turn[0] for own in turn] for turn in turns[1:]]  # the first turn warms up
    typical = [median(own) for own in zip(*ratios, strict=True)]
    enough = min(typical) / _MARGIN
    return next(e for (e, _), found in zip(runs, typical, strict=True) if found <= enough)


def _seconds(program: Program, given: Mapping[str, Any]) -> float:
    start = time.perf_counter()
    for array in program(**given).values():
        np.asarray(array)
    return time.perf_counter() - start


def _sample(graph: Graph, port: Port) -> Any:
    shape = [evaluate(graph.axes[axis], {}) for axis in port.value.axes]
    dtype = port.value.type.dtype
    if not dtype.is_float:
        return np.ones(shape, dtype.numpy)
    return np.random.default_rng(0).standard_normal(shape).astype(dtype.numpy)


def largest_product(graph: Graph, symbols: Mapping[str, int]) -> Graph | None:
    """The matrix product with the most arithmetic, as a graph of its own; None if there is none.

    The longest of its free axes are halved until one run is short.
    """
    extents = {axis: evaluate(size, symbols) for axis, size in graph.axes.items()}
    products = [_alone(graph, node, extents) for node in graph.nodes if node.op.name in _PRODUCTS]
    largest = max(products, key=_flops, default=None)
    while largest is not None and _flops(largest) > _FLOPS:
        longest = max(
            (axis for axis in largest.axes if not isinstance(graph.axes[axis], int)),
            key=extents.__getitem__,
            default=None,
        )
        if longest is None or extents[longest] == 1:
            break
        extents[longest] = (extents[longest] + 1) // 2
        largest = _alone(graph, largest.nodes[0], extents)
    return largest


def _flops(graph: Graph) -> int:
    return cost(graph, {}).flops


def _alone(graph: Graph, node: Node, extents: Mapping[str, int]) -> Graph:
    """A node at sizes that are known."""
    parameters = tuple(p for p in graph.parameters if p.value in node.inputs)
    held = {p.value for p in parameters}
    given = [value for value in dict.fromkeys(node.inputs) if value not in held]
    axes = dict.fromkeys(a for value in (*node.inputs, *node.outputs) for a in value.axes)
    return graph.evolve(
        inputs=tuple(Port(f"x{i}", value, value.axes) for i, value in enumerate(given)),
        parameters=parameters,
        nodes=(node,),
        outputs=tuple(Port(f"y{i}", v, v.axes) for i, v in enumerate(node.outputs)),
        axes={axis: extents[axis] for axis in axes},
        sites=Sites(),
        guards=(),
    )
