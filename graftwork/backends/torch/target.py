"""torch as a target: lowerings record calls on fx proxies, so that any size works.

Sizes are read off the shapes of inputs when the module runs. A sub-graph becomes a graph module
of its own, which takes the sizes that it needs as further arguments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import fx

from graftwork.backends.engine import Laid, Lowering, Target
from graftwork.backends.torch.arrays import CARRIER
from graftwork.ir.dtypes import DType
from graftwork.ir.op import Op
from graftwork.ir.size_values import fold
from graftwork.ir.sizes import Size, SizeExpr
from graftwork.ir.types import AxisTable

_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "//": operator.floordiv,
    "%": operator.mod,
    "min": lambda *sizes: reduce(torch.sym_min, sizes),
    "max": lambda *sizes: reduce(torch.sym_max, sizes),
}


class TorchTarget(Target):
    """Records one fx graph.

    Attributes:
        table: op -> lowering.
        symbols: the proxy of each size symbol.
        attributes: tensors and sub-modules that the graph holds, by name.
        literals: the Python number that a scalar is, where it is known.
    """

    name = "torch"

    def __init__(self, table: Mapping[Op, Lowering], axes: AxisTable) -> None:
        super().__init__(axes)
        self.table = table
        self.graph = fx.Graph()
        self.symbols: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}
        self.literals: dict[fx.Node, bool | int | float] = {}
        self._tracer = fx.proxy.GraphAppendingTracer(self.graph)
        self._sizes: dict[SizeExpr, Any] = {}
        self._device: Any = None

    # --- values ---------------------------------------------------------------------------------

    def argument(self, name: str, *, tensor: bool = True) -> Any:
        """A new argument of the module; the first tensor says on which device constants lie."""
        node = self.graph.placeholder(name)
        node.target = node.name  # which fx has made a unique identifier
        proxy = fx.Proxy(node, self._tracer)
        if tensor and self._device is None:
            self._device = proxy.device
        return proxy

    def attribute(self, hint: str, value: Any) -> Any:
        """A tensor or module that the graph holds."""
        name = f"{hint}_{len(self.attributes)}"
        self.attributes[name] = value
        return fx.Proxy(self.graph.create_node("get_attr", name), self._tracer)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Record a call of any function."""
        return self._tracer.create_proxy("call_function", function, args, kwargs)

    @property
    def device(self) -> Any:
        """Where new tensors lie."""
        return torch.device("cpu") if self._device is None else self._device

    def value(self, size: Size) -> Any:
        if isinstance(size, int):
            return size
        if size not in self._sizes:
            self._sizes[size] = fold(size, self.symbols.__getitem__, _ARITHMETIC)
        return self._sizes[size]

    def wrap(self, array: Any, dtype: DType) -> Any:
        """A result of integer arithmetic, reduced to the range that the carrier exceeds."""
        if dtype in (DType.u16, DType.u32):
            return torch.bitwise_and(array, 2**dtype.bits - 1)
        return array

    # --- dimensions -----------------------------------------------------------------------------

    def transpose(self, array: Any, order: Sequence[int]) -> Any:
        return array.permute(*order)

    def expand_dims(self, array: Any, rank: int, places: Sequence[int]) -> Any:
        for place in places:
            array = array.unsqueeze(place)
        return array

    def squeeze(self, array: Any, places: Sequence[int]) -> Any:
        return array.squeeze(tuple(places))

    def zip(self, x: Laid, order: Sequence[str]) -> Any:
        """The array, such that it broadcasts against others in this order."""
        first = next((i for i, axis in enumerate(order) if axis in x.axes), len(order))
        return self.lay(x, order[first:])

    def spread(self, x: Laid, order: Iterable[str]) -> Any:
        """The array with exactly these dimensions, repeated along the axes that it lacks."""
        wanted = tuple(order)
        array = self.lay(x, wanted)
        if len(x.axes) == len(wanted):
            return array
        return array.expand([-1 if axis in x.axes else self.size(axis) for axis in wanted])

    def grouped(self, x: Laid, groups: Sequence[Sequence[str]]) -> Any:
        """The array with one dimension for each group of axes, the first of a group the slowest.

        An empty group is a unit dimension; axes that the array lacks are repeated.
        """
        array = self.spread(x, [axis for group in groups for axis in group])
        for place, group in enumerate(groups):
            if not group:
                array = array.unsqueeze(place)
            elif len(group) > 1:
                array = array.flatten(place, place + len(group) - 1)
        return array

    def ungrouped(self, array: Any, groups: Sequence[Sequence[str]]) -> Laid:
        """The inverse of `grouped`."""
        for place in reversed(range(len(groups))):
            group = groups[place]
            if not group:
                array = array.squeeze(place)
            elif len(group) > 1:
                array = array.unflatten(place, [self.size(axis) for axis in group])
        return Laid(array, tuple(axis for group in groups for axis in group))

    # --- regions --------------------------------------------------------------------------------

    def submodule(
        self,
        hint: str,
        operands: Sequence[Laid],
        build: Callable[[TorchTarget, list[Laid]], Sequence[Any]],
    ) -> tuple[Any, tuple[Any, ...]]:
        """A module that this graph holds, and the sizes that it takes as its last arguments.

        Args:
            hint: what to call it.
            operands: what it will be called on; only their axes matter.
            build: gives the tensors that the module returns, from its target and arguments.
        """
        inner = TorchTarget(self.table, self.typing.table)
        given = [Laid(inner.argument(f"x{i}"), x.axes) for i, x in enumerate(operands)]
        sizes = {name: inner.argument(name, tensor=False) for name in self.symbols}
        inner.symbols = dict(sizes)
        inner.graph.output(tuple(proxy.node for proxy in build(inner, given)))
        inner.graph.eliminate_dead_code()
        used = []
        for name, proxy in sizes.items():
            if proxy.node.users:
                used.append(self.symbols[name])
            else:
                inner.graph.erase_node(proxy.node)
        return self.attribute(hint, inner.module()), tuple(used)

    def module(self) -> fx.GraphModule:
        """What was recorded, without dead code; constants stay out of its state."""
        self.graph.eliminate_dead_code()
        module = fx.GraphModule(self.attributes, self.graph, "Graftwork")
        for name, value in self.attributes.items():
            if isinstance(value, torch.Tensor) and hasattr(module, name):
                module.register_buffer(name, value, persistent=False)
        return module


def carrier(dtype: DType) -> torch.dtype:
    """The torch dtype that computes an element type."""
    return CARRIER[dtype]
