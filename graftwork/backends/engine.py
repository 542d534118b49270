"""One walk over a graph for every backend.

A backend is a `Target`: how to move dimensions and spell sizes in its framework, and a table from
ops to lowerings. The walk keeps for each value the order in which its dimensions happen to lie
(`Laid`); a lowering chooses the order of what it makes, so that no transpose is made before
somebody needs one. A composite without a lowering opens into its body.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from graftwork.ir.dtypes import DType
from graftwork.ir.errors import GraftworkError, InputError, UnsupportedOpError
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.infer import expand
from graftwork.ir.op import Op
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, bounds, symbols
from graftwork.ir.types import AxisTable, Typing


@frozen(eq=False)
class Laid:
    """An array of a framework, and the axis of each of its dimensions."""

    array: Any
    axes: tuple[str, ...]


# A lowering takes the target of its own backend, which the type cannot say.
Lowering = Callable[[Any, Node, Sequence[Laid]], "Laid | Sequence[Laid]"]

_GRIDS = (4, 5)  # dimensions of images and volumes, with batch and channels
_REGISTERED: dict[tuple[str, Op], Lowering] = {}


def register_lowering(backend: str, op: Op, function: Lowering) -> None:
    """Say how a backend computes an op; this goes before the backend's own table.

    Args:
        backend: its name: "jax", "torch" or "onnx".
        op: any op, also one that you defined.
        function: `function(target, node, operands)` gives what the node defines, as `Laid`: an
            array of the framework and the axis of each of its dimensions.
    """
    _REGISTERED[backend, op] = function


class Target(ABC):
    """A framework that graphs lower to."""

    name: str
    table: Mapping[Op, Lowering]

    def __init__(self, axes: AxisTable) -> None:
        self.typing = Typing(axes)

    @abstractmethod
    def value(self, size: Size) -> Any:
        """A size as the framework spells it: an int, or something computed from shapes."""

    @abstractmethod
    def transpose(self, array: Any, order: Sequence[int]) -> Any:
        """Dimensions in another order."""

    @abstractmethod
    def expand_dims(self, array: Any, rank: int, places: Sequence[int]) -> Any:
        """An array of `rank` dimensions, with unit dimensions at `places`."""

    @abstractmethod
    def squeeze(self, array: Any, places: Sequence[int]) -> Any:
        """Without the unit dimensions at `places`."""

    def size(self, axis: str) -> Any:
        """The extent of an axis."""
        return self.value(self.typing.size(axis))

    def certain(self, axes: Iterable[str]) -> bool:
        """Whether no axis can be empty."""
        return all((bounds(self.typing.size(axis))[0] or 0) >= 1 for axis in axes)

    def lay(self, x: Laid, order: Iterable[str]) -> Any:
        """The array with its dimensions in this order, units for axes that it lacks."""
        wanted = tuple(order)
        if x.axes == wanted:
            return x.array
        present = tuple(axis for axis in wanted if axis in x.axes)
        array = x.array
        if present != x.axes:
            array = self.transpose(array, [x.axes.index(axis) for axis in present])
        if len(present) < len(wanted):
            places = [i for i, axis in enumerate(wanted) if axis not in x.axes]
            array = self.expand_dims(array, len(wanted), places)
        return array

    def lower(self, region: Region, operands: Sequence[Laid]) -> tuple[Laid, ...]:
        """Lower a region on laid-out operands."""
        env = dict(zip(region.inputs, operands, strict=True))
        for node in region.nodes:
            self.lower_node(node, env)
        return tuple(env[value] for value in region.outputs)

    def lower_node(self, node: Node, env: dict[Value, Laid]) -> None:
        """Lower one node and add its outputs to the environment.

        Raises:
            UnsupportedOpError: if the target has no lowering for a primitive.
        """
        operands = [env[value] for value in node.inputs]
        lowering = _REGISTERED.get((self.name, node.op)) or self.table.get(node.op)
        if lowering is not None:
            made = lowering(self, node, operands)
            results = (made,) if isinstance(made, Laid) else tuple(made)
        elif node.op.body is not None:
            results = self.open_body(node, operands)
        else:
            raise UnsupportedOpError(
                f"the {self.name} backend has no lowering for {node.op.name} (from {node.origin}); "
                f"register one with `register_lowering({self.name!r}, op, function)`"
            )
        env |= dict(zip(node.outputs, results, strict=True))

    def open_body(self, node: Node, operands: Sequence[Laid]) -> tuple[Laid, ...]:
        """Lower a composite by its body, also where a fused kernel does not fit."""
        types = [value.type for value in node.inputs]
        body = expand(self.typing, node.op, node.attrs, types)
        outer, self.typing = self.typing, body.typing
        try:
            return self.lower(body.region, operands)
        except GraftworkError as error:
            raise type(error)(f"{error} (in {node.op.name} from {node.origin})") from error
        finally:
            self.typing = outer


def boundary_axes(layout: Sequence[str | None]) -> tuple[str, ...]:
    """The axes of a port or parameter, without its unit dimensions."""
    return tuple(axis for axis in layout if axis is not None)


def widest(operands: Sequence[Laid], axes: Iterable[str]) -> tuple[str, ...]:
    """An order of `axes` in which the operand of most dimensions need not move.

    Of several such operands, one that lies as `axes` are given.
    """
    wanted = tuple(axes)

    def merit(x: Laid) -> tuple[int, bool]:
        return len(x.axes), x.axes == tuple(axis for axis in wanted if axis in x.axes)

    lead = max(operands, key=merit)
    missing = [axis for axis in wanted if axis not in lead.axes]
    return _interleave([axis for axis in lead.axes if axis in wanted], wanted, missing)


def _interleave(
    lead: Sequence[str], hint: Sequence[str], missing: Sequence[str]
) -> tuple[str, ...]:
    """Put each missing axis where the hint has it relative to the ones that lie already."""
    order = list(lead)
    for axis in missing:
        after = hint[hint.index(axis) + 1 :]
        place = next((order.index(a) for a in after if a in order), len(order))
        order.insert(place, axis)
    return tuple(order)


def adjacent(
    axes: Sequence[str], group: Sequence[str], into: str, hint: Sequence[str]
) -> tuple[tuple[str, ...], int]:
    """An order in which a group of axes lies as one run, and where the run starts.

    The order of `axes` if it is one; else the run goes where the hint has `into`.
    """
    place = axes.index(group[0]) if group else len(axes)
    if tuple(axes[place : place + len(group)]) == tuple(group):
        return tuple(axes), place
    kept = _interleave([axis for axis in axes if axis not in group], hint, [into])
    place = kept.index(into)
    return (*kept[:place], *group, *kept[place + 1 :]), place


def product_order(operands: Sequence[Laid], hint: Sequence[str]) -> Sequence[Laid]:
    """The two operands of a product in the order that puts the last axis of the hint last."""
    a, b = operands
    return (b, a) if hint and hint[-1] in a.axes and hint[-1] not in b.axes else (a, b)


def is_pointwise(target: Target, node: Node, x: Laid, weight: Laid) -> bool:
    """Whether a contraction is a convolution by windows of one, which frameworks do best as one.

    So it is if channels come second, and the grid of an image or volume behind them. Kernels are
    told the extents of the weight before they run, and take no grid that is empty.
    """
    over, axes = node.attrs["over"], x.axes
    if len(axes) not in _GRIDS or axes[1:2] != over or len(weight.axes) != 2:
        return False
    joined = over[0] in weight.axes and {*weight.axes}.isdisjoint((axes[0], *axes[2:]))
    static = all(isinstance(target.typing.size(axis), int) for axis in weight.axes)
    known = static and target.certain((*weight.axes, *axes[2:]))
    return joined and known and node.output.type.dtype is DType.f32


def pointwise_window(target: Target, x: Laid, weight: Laid) -> tuple[Any, tuple[str, ...]]:
    """The weight of such a convolution in positional form, and the axes of its result."""
    channels = x.axes[1]
    made = weight.axes[1 - weight.axes.index(channels)]
    matrix = target.lay(weight, (made, channels))
    window = target.expand_dims(matrix, len(x.axes), range(2, len(x.axes)))
    return window, (x.axes[0], made, *x.axes[2:])


@frozen
class Reading:
    """How to learn a size symbol: it is `(extent - offset) // slope` of an input's dimension."""

    symbol: str
    port: str
    place: int
    offset: Size
    slope: Size


def readings(graph: Graph) -> list[Reading]:
    """Where the symbols of a graph can be read off its inputs, plain ones first.

    Raises:
        InputError: if the shapes of the inputs do not determine a symbol.
    """
    dims = [
        (graph.axes[axis], port.name, place)
        for port in graph.inputs
        for place, axis in enumerate(port.layout)
        if axis is not None
    ]
    found: dict[str, Reading] = {}
    while True:
        before = len(found)
        for size, port, place in dims:
            unknown = symbols(size) - found.keys()
            if len(unknown) == 1:
                (name,) = unknown
                offset, once, twice = (substitute(size, {name: n}) for n in (0, 1, 2))
                slope = once - offset
                if slope != 0 and twice - once == slope:
                    found[name] = Reading(name, port, place, offset, slope)
        if len(found) == before:
            break
    unbound = {name for size, *_ in dims for name in symbols(size)} - found.keys()
    if unbound:
        raise InputError(f"the shapes of the inputs do not determine {sorted(unbound)}")
    return list(found.values())


def lower_graph(
    target: Target, graph: Graph, inputs: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Lower a whole graph on arrays in positional form; outputs in positional form, by name.

    The arrays of ports keep their unit dimensions, which are dropped and restored here.
    """
    operands = [
        *(_enter(target, inputs[p.name], p.layout) for p in graph.inputs),
        *(_enter(target, parameters[p.name], p.layout) for p in graph.parameters),
    ]
    results = target.lower(graph.region, operands)
    return {
        port.name: _leave(target, result, port.layout)
        for port, result in zip(graph.outputs, results, strict=True)
    }


def _enter(target: Target, array: Any, layout: Sequence[str | None]) -> Laid:
    units = [i for i, axis in enumerate(layout) if axis is None]
    return Laid(target.squeeze(array, units) if units else array, boundary_axes(layout))


def _leave(target: Target, x: Laid, layout: Sequence[str | None]) -> Any:
    array = target.lay(x, boundary_axes(layout))
    units = [i for i, axis in enumerate(layout) if axis is None]
    return target.expand_dims(array, len(layout), units) if units else array
