"""The reference interpreter: every op by its numpy definition, one node after another.

It is the oracle that all backends are held to. It re-checks at concrete sizes what type rules
could not decide on symbolic ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, GraftworkError, InputError
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.infer import expand
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size
from graftwork.ir.store import as_numpy
from graftwork.ir.types import AxisTable, Typing


class At:
    """Concrete sizes, as the numpy references of ops ask for them.

    Attributes:
        table: the sizes of axes.
        symbols: what size symbols are.
        typing: the table as a context for opening composites, which remembers those it opened.
    """

    def __init__(
        self, table: AxisTable, symbols: Mapping[str, int], typing: Typing | None = None
    ) -> None:
        self.table = table
        self.symbols = dict(symbols)
        self.typing = typing or Typing(table)

    def size(self, axis: str) -> int:
        return self.value(self.table[axis])

    def value(self, size: Size) -> int:
        return size if isinstance(size, int) else evaluate(size, self.symbols)

    def run(self, region: Region, arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
        """Evaluate a region on concrete arrays."""
        env = dict(zip(region.inputs, arrays, strict=True))
        for node in region.nodes:
            env |= zip(node.outputs, self.node(node, env), strict=True)
        return tuple(env[value] for value in region.outputs)

    def node(self, node: Node, env: Mapping[Value, NamedArray]) -> tuple[NamedArray, ...]:
        """Evaluate one node.

        Raises:
            GraftworkError: of the op, with the origin of the node added.
        """
        arrays = [env[value] for value in node.inputs]
        try:
            results = self.apply(node, arrays)
            for value, array in zip(node.outputs, results, strict=True):
                self._check(value, array)
        except GraftworkError as error:
            raise type(error)(f"{error} (in {node.op.name} from {node.origin})") from error
        return results

    def inside(self, typing: Typing) -> Self:
        """The same in the body of a composite, which has axes of its own."""
        inner = copy(self)
        inner.table, inner.typing = typing.table, typing
        return inner

    def apply(self, node: Node, arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
        """What the op of a node gives on arrays."""
        op, attrs = node.op, node.attrs.as_dict()
        if op.evaluate is None:
            body = expand(self.typing, op, node.attrs, [value.type for value in node.inputs])
            return self.inside(body.typing).run(body.region, arrays)
        if node.regions:
            attrs["regions"] = node.regions
        result = op.evaluate(self, *arrays, **attrs)
        return (result,) if isinstance(result, NamedArray) else tuple(result)

    def _check(self, value: Value, array: NamedArray) -> None:
        """The array has just the axes and extents that its type and the table promise."""
        if set(array.axes) != value.type.axis_set or array.dtype != value.type.dtype.numpy:
            raise AxisError(f"the reference gave {array.dtype}{array.axes} for {value!r}")
        for axis, extent in array.sizes.items():
            if extent != self.size(axis):
                raise AxisError(
                    f"axis {axis!r} has size {self.table[axis]} = {self.size(axis)}, "
                    f"but here it is {extent}"
                )


def run(
    graph: Graph, inputs: Mapping[str, NamedArray], symbols: Mapping[str, int]
) -> dict[str, NamedArray]:
    """Evaluate a graph on arrays that are named and checked already; outputs by name.

    Raises:
        InputError: if a parameter's array does not have the shape that the graph says.
    """
    at = At(graph.axes, symbols, graph.typing)
    arrays = [inputs[port.name].squeeze() for port in graph.inputs]
    for parameter in graph.parameters:
        array = as_numpy(graph.store[parameter.name])
        if array.ndim != len(parameter.layout):
            raise InputError(
                f"parameter {parameter.name!r} has shape {array.shape}, not {parameter.layout}"
            )
        arrays.append(NamedArray(array, parameter.layout).squeeze())
    with np.errstate(all="ignore"):
        results = at.run(graph.region, arrays)
    return {
        port.name: laid_out(array, port.layout)
        for port, array in zip(graph.outputs, results, strict=True)
    }


def laid_out(array: NamedArray, layout: tuple[str | None, ...]) -> NamedArray:
    """The array with its dimensions in the positional form of a port."""
    ordered = array.order(*(axis for axis in layout if axis is not None)).array
    key = tuple(None if axis is None else slice(None) for axis in layout)
    return NamedArray(ordered[key], layout)
