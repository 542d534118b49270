"""From a graph to a jitted program, or to a pure function and its parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
from jax import lax

from graftwork.backends.engine import lower_graph
from graftwork.backends.jax.arrays import as_jax
from graftwork.backends.jax.heap import trim
from graftwork.backends.jax.keeping import kept_in
from graftwork.backends.jax.placement import Placement, placement
from graftwork.backends.jax.table import TABLE
from graftwork.backends.jax.target import JaxTarget
from graftwork.backends.program import Program
from graftwork.ir.binding import Binding, bind
from graftwork.ir.errors import RecompilationWarning
from graftwork.ir.graph import Graph, Parameter, Port

Arrays = dict[str, Any]
_MANY = 8


def to_jax(graph: Graph) -> tuple[Callable[..., Arrays], Arrays]:
    """A pure function and its parameters.

    The function is called as `fn(params, **inputs)` with inputs by name, or `fn(params, inputs)`
    with a dict of them; it gives arrays by output name, and works under `jax.jit`, `jax.grad`,
    `jax.vmap` and the rest. Parameters are a dict from name to array.
    """
    everywhere = Placement(None, None, {})

    def function(params: Arrays, inputs: Mapping[str, Any] | None = None, **named: Any) -> Arrays:
        with jax.enable_x64(True):
            return _trace(graph, everywhere, params, {**(inputs or {}), **named})

    with jax.enable_x64(True):
        return function, {p.name: as_jax(graph.store[p.name], None) for p in graph.parameters}


def compile(
    graph: Graph,
    device: str | jax.Device | None = None,
    shard: Mapping[str, str] | None = None,
    mesh: jax.sharding.Mesh | None = None,
    cache: Path | None = None,
) -> Program:
    """A program jitted by XLA, once for each new shape of its inputs; see `RecompilationWarning`.

    Args:
        graph: what to compile.
        device: "cpu", "gpu" or "cuda", "tpu", or one of `jax.devices()`; None for the best present.
        shard: role or name of an axis -> axis of the device mesh. An axis whose extent the mesh
            does not divide stays whole.
        mesh: devices with named axes of type Auto; None for all devices of the platform, shared
            out evenly over the mesh axes that `shard` names.
        cache: a folder in which compiled programs are kept for other processes.

    Raises:
        DeviceError: if there is no such device.
        AxisError: if `shard` names an axis that the graph does not have.
    """
    where = placement(graph, device, shard or {}, mesh)

    def put(port: Port | Parameter, array: Any) -> Any:
        return as_jax(array, where.of(port.layout, array.shape))

    sizes: list[Mapping[str, int]] = []
    compiled: set[tuple[int, ...]] = set()

    @jax.jit
    def program(params: Arrays, inputs: Arrays) -> Arrays:
        sizes.append(bind(graph, inputs).symbols)
        _report(sizes)
        return _trace(graph, where, params, inputs)

    def execute(binding: Binding) -> Arrays:
        with jax.enable_x64(True):
            inputs = {port.name: put(port, binding.arrays[port.name]) for port in graph.inputs}
            shape = tuple(binding.symbols.values())
            if shape not in compiled and not _traced(inputs):
                with kept_in(cache) if cache else nullcontext():
                    program.lower(params, inputs).compile()
                trim()
                compiled.add(shape)
            return dict(program(params, inputs))

    with jax.enable_x64(True):
        params = {p.name: put(p, graph.store[p.name]) for p in graph.parameters}
    return Program(graph, "jax", execute, program)


def _traced(arrays: Arrays) -> bool:
    """Whether this is called within a transformation, which compiles what it makes of it."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays.values())


def _report(sizes: Sequence[Mapping[str, int]]) -> None:
    """Say so when a program is compiled for the 8th, 16th, 32nd shape, and which axes vary."""
    count = len(sizes)
    if count < _MANY or count & (count - 1):
        return
    taken = {axis: sorted({found[axis] for found in sizes}) for axis in sizes[0]}
    varying = {axis: values for axis, values in taken.items() if len(values) > 1}
    told = "; ".join(f"{axis} was {', '.join(map(str, v))}" for axis, v in varying.items())
    warnings.warn(
        f"XLA has compiled this program for {count} shapes ({told}); give gw.compile buckets= "
        "of few sizes, or compile it for torch or onnx, which take any",
        RecompilationWarning,
        stacklevel=2,
    )


def _trace(
    graph: Graph, where: Placement, params: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Arrays:
    """The body of every function made here: lower the graph at the shapes of the inputs."""
    binding = bind(graph, inputs)
    constrain = where.constrain if where.mesh else None
    target = JaxTarget(TABLE, graph.axes, binding.symbols, constrain, where.axes)
    arrays = {
        port.name: lax.convert_element_type(binding.arrays[port.name], port.value.type.dtype.numpy)
        for port in graph.inputs
    }
    return lower_graph(target, graph, arrays, params)
