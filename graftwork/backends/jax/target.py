"""JAX as a target: sizes are integers while a program is traced, arrays are tracers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jax import lax

from graftwork.backends.engine import Laid, Lowering, Target
from graftwork.ir.graph import Node, Value
from graftwork.ir.op import Op
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size
from graftwork.ir.types import AxisTable

Constrain = Callable[[Laid], Laid]


class JaxTarget(Target):
    """Lowers to `jax.lax` calls under a trace at one set of shapes.

    Attributes:
        table: op -> lowering.
        symbols: the extents that the shapes of this trace give.
        constrain: says how a value that has just got a sharded axis lies on the devices.
        sharded: the axes that are sharded.
    """

    name = "jax"

    def __init__(
        self,
        table: Mapping[Op, Lowering],
        axes: AxisTable,
        symbols: Mapping[str, int],
        constrain: Constrain | None = None,
        sharded: Iterable[str] = (),
    ) -> None:
        super().__init__(axes)
        self.table = table
        self.symbols = symbols
        self.constrain = constrain
        self.sharded = frozenset(sharded)

    def value(self, size: Size) -> int:
        return size if isinstance(size, int) else evaluate(size, self.symbols)

    def transpose(self, array: Any, order: Sequence[int]) -> Any:
        return lax.transpose(array, order)

    def expand_dims(self, array: Any, rank: int, places: Sequence[int]) -> Any:
        return lax.expand_dims(array, places)

    def squeeze(self, array: Any, places: Sequence[int]) -> Any:
        return lax.squeeze(array, places)

    def spread(self, x: Laid, order: Iterable[str]) -> Any:
        """The array with exactly these dimensions, repeated along the axes that it lacks."""
        wanted = tuple(order)
        present = tuple(axis for axis in wanted if axis in x.axes)
        array = self.lay(x, present)
        if len(present) == len(wanted):
            return array
        shape = [self.size(axis) for axis in wanted]
        return lax.broadcast_in_dim(array, shape, [wanted.index(axis) for axis in present])

    def grouped(self, x: Laid, groups: Sequence[Sequence[str]]) -> tuple[Any, list[int]]:
        """The array with one dimension for each group of axes, and where each group lies.

        The groups lie as their first axes do; an empty one is a unit dimension at the end.
        """
        firsts = [x.axes.index(group[0]) if group else len(x.axes) for group in groups]
        by_place = sorted(range(len(groups)), key=firsts.__getitem__)
        array = self.lay(x, [axis for i in by_place for axis in groups[i]])
        shape = [math.prod(self.size(axis) for axis in groups[i]) for i in by_place]
        return lax.reshape(array, shape), [by_place.index(i) for i in range(len(groups))]

    def ungrouped(self, array: Any, groups: Sequence[Sequence[str]], places: list[int]) -> Laid:
        """The inverse of `grouped`."""
        by_place = sorted(range(len(groups)), key=places.__getitem__)
        axes = tuple(axis for i in by_place for axis in groups[i])
        return Laid(lax.reshape(array, [self.size(axis) for axis in axes]), axes)

    def lower_node(self, node: Node, env: dict[Value, Laid]) -> None:
        super().lower_node(node, env)
        if self.constrain is None:
            return
        known = {axis for value in node.inputs for axis in value.axes}
        for value in node.outputs:
            if (value.type.axis_set & self.sharded) - known:
                env[value] = self.constrain(env[value])
