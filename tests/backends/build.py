"""Small graphs of one expression, with inputs: what the lists of samples are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.graph import Graph, Parameter, Port, Region, Value
from graftwork.ir.size_text import parse_size
from graftwork.ir.sizes import Size
from graftwork.ir.store import Store
from graftwork.ir.types import Type

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Sample:
    """A graph and inputs to run it on; `tolerance` scales what floats are allowed to differ by."""

    name: str
    graph: Graph
    inputs: Mapping[str, Array]
    tolerance: float = 1.0


def graph_of(
    build: Callable[..., Any],
    inputs: Mapping[str, tuple[str, Array]],
    parameters: Mapping[str, tuple[str, Array]] | None = None,
    sizes: Mapping[str, str] | None = None,
) -> Graph:
    """A graph of one expression: `build` takes a term for each input and parameter, by name.

    An input is `(axes, array)`; `1` among the axes is a unit dimension. An axis has the extent of
    the array, or the size that `sizes` gives it as text.
    """
    parameters = parameters or {}
    builder = Builder()
    for layout, array in (*inputs.values(), *parameters.values()):
        for axis, extent in zip(layout.split(), array.shape, strict=True):
            if axis != "1":
                size: Size = parse_size(sizes[axis]) if axis in (sizes or {}) else extent
                builder.typing.make(axis, size)
    terms = {
        name: builder.input(dtype_of(array.dtype), _named(layout), name)
        for name, (layout, array) in (*inputs.items(), *parameters.items())
    }
    with builder:
        result = build(**terms)
    if isinstance(result, Term):
        result = {"out": result}
    elif not isinstance(result, Mapping):
        result = {f"out{i}": term for i, term in enumerate(result)}
    return Graph(
        tuple(Port(name, terms[name].value, _layout(inputs[name][0])) for name in inputs),
        tuple(
            Parameter(name, terms[name].value, _layout(parameters[name][0])) for name in parameters
        ),
        tuple(builder.nodes),
        tuple(Port(name, term.value, term.axes) for name, term in result.items()),
        dict(builder.typing.table),
        Store(({name: array for name, (_, array) in parameters.items()},)),
    )


def _layout(axes: str) -> tuple[str | None, ...]:
    return tuple(None if axis == "1" else axis for axis in axes.split())


def _named(axes: str) -> tuple[str, ...]:
    return tuple(axis for axis in axes.split() if axis != "1")


def region(
    like: Term, inputs: Sequence[tuple[DType | str, str]], build: Callable[..., Any]
) -> Region:
    """A closed region over the axis table of the graph in which `like` is being built."""
    builder = Builder(like.builder.typing)
    values = tuple(Value(Type(dtype_of(dtype), tuple(axes.split()))) for dtype, axes in inputs)
    with builder:
        result = build(*(Term(value, builder) for value in values))
    terms = (result,) if isinstance(result, Term) else tuple(result)
    return Region(values, tuple(builder.nodes), tuple(term.value for term in terms))


def control(
    op: Any, operands: Sequence[Term], regions: Sequence[Region], **attrs: Any
) -> tuple[Term, ...]:
    """Build a control-flow node."""
    return operands[0].builder.emit(op, operands, attrs, regions)


def sample(
    name: str,
    build: Callable[..., Any],
    parameters: Mapping[str, tuple[str, Array]] | None = None,
    sizes: Mapping[str, str] | None = None,
    tolerance: float = 1.0,
    **inputs: tuple[str, Array],
) -> Sample:
    graph = graph_of(build, inputs, parameters, sizes)
    arrays = {name: array for name, (_, array) in inputs.items()}
    return Sample(name, graph, arrays, tolerance)


F64, F32, I64, I32, BOOL = np.float64, np.float32, np.int64, np.int32, np.bool_
FLOATS = (F64, F32)
INTS = (np.int8, np.int16, I32, I64, np.uint8, np.uint16, np.uint32, np.uint64)


def normal(*shape: int, dtype: Any = F64, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


def whole(*shape: int, low: int = 0, high: int = 5, dtype: Any = I64, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).integers(low, high, size=shape).astype(dtype)


def bools(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).integers(0, 2, size=shape).astype(np.bool_)


def edge_floats(dtype: Any = F64) -> Array:
    values = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0, 3.7, -3.7, np.inf, -np.inf, np.nan]
    return np.array(values, dtype)


def edge_ints(dtype: Any) -> Array:
    info = np.iinfo(dtype)
    values = [0, 1, 2, 3, 7, 8, info.max, info.max - 1, info.min, info.min + 1, info.max // 2]
    return np.array(values, dtype)
