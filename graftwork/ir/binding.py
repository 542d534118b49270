"""The boundary of a run: which arrays were given, and what size every symbol takes.

Everything that can be wrong with the inputs of a run is found here, before anything runs, and
said in the caller's words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from graftwork.ir.errors import InputError, nearest
from graftwork.ir.graph import Graph, Port
from graftwork.ir.size_equations import solve
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, symbols


@frozen
class Binding:
    """Inputs of one run, checked.

    Attributes:
        arrays: port name -> array, in the order of the graph's inputs.
        symbols: size symbol -> extent.
    """

    arrays: Mapping[str, Any]
    symbols: Mapping[str, int]


def flatten(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings and sequences as dotted names: `clean={"input_ids": x}`."""
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(hasattr(item, "shape") for item in value):
            yield from flatten({str(i): v for i, v in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def bind(graph: Graph, inputs: Mapping[str, Any]) -> Binding:
    """Check the inputs of a run and read the sizes off their shapes.

    Raises:
        InputError: for a missing or unknown input, fractions where whole numbers are wanted, a
            wrong number of dimensions, or two sizes that disagree; the message names the input,
            the axis and both sizes.
    """
    given = dict(flatten(inputs))
    names = [port.name for port in graph.inputs]
    for name in given:
        if name not in names and not _is_spare(name, names):
            raise InputError(f"there is no input {name!r}{nearest(name, names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"missing input {', '.join(map(repr, missing))}; the graph takes {names}")
    shapes = [(port, _shape(port, given[port.name])) for port in graph.inputs]
    known = _solve(graph, shapes)
    for port, shape in shapes:
        _check_dtype(port, given[port.name])
        _check(graph, port, shape, known)
    _check_guards(graph, known)
    return Binding({name: given[name] for name in names}, known)


def _is_spare(name: str, names: list[str]) -> bool:
    """An input of the model, given to a source run that does not need to read it."""
    run, _, word = name.partition(".")
    return word in names and any(known.startswith(f"{run}.") for known in names)


def _shape(port: Port, array: Any) -> tuple[int, ...]:
    shape = getattr(array, "shape", None)
    if shape is None:
        raise InputError(f"input {port.name!r} is {type(array).__name__}, not an array")
    if len(shape) != len(port.layout):
        wanted = ", ".join(axis or "1" for axis in port.layout)
        raise InputError(
            f"input {port.name!r} has shape {tuple(shape)}, but it takes dimensions ({wanted})"
        )
    return tuple(map(int, shape))


def _check_dtype(port: Port, array: Any) -> None:
    wanted, held = port.value.type.dtype, str(array.dtype).removeprefix("torch.")
    if "float" in held and not wanted.is_float:
        raise InputError(
            f"input {port.name!r} holds {held}, which would be cut to whole numbers: it takes "
            f"{wanted.value}; convert it where it is made"
        )


def _solve(graph: Graph, shapes: list[tuple[Port, tuple[int, ...]]]) -> dict[str, int]:
    """Extents of all symbols; plain ones first, then what follows from sums and products."""
    equations = [
        (graph.axes[axis], extent)
        for port, shape in shapes
        for axis, extent in zip(port.layout, shape, strict=True)
        if axis is not None and not isinstance(graph.axes[axis], int)
    ]
    known: dict[str, int] = {}
    while True:
        before = len(known)
        for size, extent in equations:
            unknown = symbols(size) - known.keys()
            if len(unknown) == 1:
                (name,) = unknown
                found = solve(size, name, extent, known)
                if found is not None:
                    known[name] = found
        if len(known) == before:
            break
    unbound = {name for size, _ in equations for name in symbols(size)} - known.keys()
    if unbound:
        raise InputError(f"the shapes of the inputs do not determine {sorted(unbound)}")
    return known


def _check(graph: Graph, port: Port, shape: tuple[int, ...], known: Mapping[str, int]) -> None:
    for axis, extent in zip(port.layout, shape, strict=True):
        size: Size = 1 if axis is None else graph.axes[axis]
        wanted = size if isinstance(size, int) else evaluate(size, known)
        if extent != wanted:
            name = "a unit dimension" if axis is None else f"axis {axis!r}"
            elsewhere = "" if isinstance(size, int) else f" (= {size}, from the other inputs)"
            raise InputError(
                f"input {port.name!r}: {name} has size {wanted}{elsewhere}, but was given {extent}"
            )


def _check_guards(graph: Graph, known: Mapping[str, int]) -> None:
    for guard in graph.guards:
        if not symbols(guard.size) <= known.keys():
            continue
        value = evaluate(guard.size, known)
        low = guard.low is not None and value < guard.low
        high = guard.high is not None and value > guard.high
        if low or high:
            reason = f" ({guard.reason})" if guard.reason else ""
            bounds = f"between {guard.low} and {guard.high}"
            if guard.high is None:
                bounds = f"at least {guard.low}"
            raise InputError(f"{guard.size} = {value} must be {bounds}{reason}")
