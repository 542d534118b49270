"""Runs of one graph side by side, along the axis `worlds`, and paths between them rewired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError, nearest
from graftwork.ir.graph import Graph, Port, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, WORLDS, Site, Where, chosen, edit_sites, summary
from graftwork.passes.positions import fixed


@frozen(init=False)
class Worlds(Pass):
    """Let inputs of the graph have an axis `worlds` in front, and with them all that reads them.

    A run then takes one array for each world, stacked. Values that depend on no such input are
    computed once. An edit whose NamedArray has the axis `worlds` makes worlds too.

    Attributes:
        inputs: names of inputs.
        size: how many worlds there are; any number, the same for all inputs, if None.
    """

    inputs: tuple[str, ...]
    size: int | None

    def __init__(self, *inputs: str, size: int | None = None) -> None:
        self.__attrs_init__(tuple(inputs), size)

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Worlds")
        size = symbol(WORLDS) if self.size is None else self.size
        if rewriter.typing.table.setdefault(WORLDS, size) != size:
            raise InputError(f"the graph has {graph.axes[WORLDS]} worlds already, not {size}")
        for name in self.inputs:
            known = [port.name for port in rewriter.inputs]
            if name not in known:
                raise InputError(f"there is no input {name!r}{nearest(name, known)}")
            port = rewriter.inputs[known.index(name)]
            if WORLDS in port.value.axes:
                raise InputError(f"the input {name!r} has worlds already")
            new = Value(Type(port.value.type.dtype, (WORLDS, *port.value.axes)), name)
            rewriter.inputs[known.index(name)] = Port(name, new, (WORLDS, *port.layout))
            rewriter.substitute(port.value, new)
        return rewriter.finish()


@frozen
class Rewire(Pass):
    """Let each world take a weighted sum of the activations of all: out[d] = sum_s W[d, s] x[s].

    Attributes:
        site: where; it must have the axis.
        weights: W, (to, from); or a NamedArray with the axes `worlds` (to), `sources` (from), and
            any others of the site. `taking` writes one in words.
        where: positions by axis; everywhere if None.
        axis: along which the worlds lie.
        count: how many sites there must be.
    """

    site: Site
    weights: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    where: Where | None = None
    axis: str = WORLDS
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        return edit_sites(graph, "Rewire", self.site, self._edit, self.count)

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        axis = found.axis(self.axis)
        typing = rewriter.typing
        sources = typing.fresh("sources")
        typing.table[sources] = typing.size(axis)
        weights = self.weights
        axes: tuple[str, ...] = (axis, sources)
        if isinstance(weights, NamedArray):
            weights = weights.squeeze()
            words = {"sources": sources}
            axes = tuple(words.get(str(a)) or found.axis(str(a)) for a in weights.axes)
        data = np.asarray(weights).astype(x.dtype.numpy)
        value = fixed(rewriter, found, f"rewire.{found.name}", data, axes)
        if not {axis, sources} <= value.type.axis_set:
            raise InputError(f"{found.name}: weights have the axes {self.axis!r} and 'sources'")
        moved = ops.contract(Term(value, x.builder), x.rename(**{axis: sources}), over=sources)
        return chosen(found, self.where, moved, x)


def taking(
    worlds: Sequence[str], sources: Mapping[str, str | Mapping[str, float] | None]
) -> np.ndarray[Any, Any]:
    """Weights for `Rewire` in words: `taking(("clean", "cut"), {"cut": "clean"})`.

    Args:
        worlds: what they are called, in their order.
        sources: world -> the world that it takes, or several with their weights, or None for
            zero. Worlds that are not mentioned keep their own.

    Raises:
        InputError: for a world that is not one of them.
    """
    place = {world: i for i, world in enumerate(worlds)}
    weights = np.eye(len(worlds))
    for world, taken in sources.items():
        parts = {taken: 1.0} if isinstance(taken, str) else taken or {}
        for word in (world, *parts):
            if word not in place:
                raise InputError(f"there is no world {word!r}{nearest(word, place)}")
        weights[place[world]] = 0.0
        for word, weight in parts.items():
            weights[place[world], place[word]] += weight
    return weights
