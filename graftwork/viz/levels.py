"""What goes into a picture: a graph or a region, in all the versions that have it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from attrs import frozen

from graftwork.ir.graph import Graph, Parameter, Port, Region, Value
from graftwork.ir.infer import Expansion
from graftwork.ir.types import Typing
from graftwork.viz.cells import Cell

Entry = tuple[str, Sequence[Value | None]]
"""An input or output of a level: its name, and its value in each version."""


@frozen(eq=False)
class Level:
    """A graph or a region on its way into the picture, in all versions that have it."""

    root: Cell
    address: str
    regions: Sequence[Region]
    inputs: Sequence[Entry]
    outputs: Sequence[Entry]
    typings: Sequence[Typing]
    body: Expansion | None = None

    @property
    def module(self) -> str:
        return self.root.origin.module


def top_level(root: Cell, versions: Sequence[Graph]) -> Level:
    """Whole graphs."""
    return Level(
        root,
        "graph.",
        [graph.region for graph in versions],
        by_name([graph.inputs for graph in versions]),
        by_name([graph.outputs for graph in versions]),
        [Typing(graph.axes) for graph in versions],
    )


def by_name(versions: Sequence[Sequence[Port | Parameter]]) -> list[Entry]:
    """Ports of equal name are the same one, whichever objects they are."""
    values = [{port.name: port.value for port in ports} for ports in versions]
    names = dict.fromkeys(name for known in reversed(values) for name in known)
    return [(name, [known.get(name) for known in values]) for name in names]


def by_place(versions: Sequence[Sequence[Value]]) -> list[Entry]:
    """What stands at the same place is the same one."""
    places = enumerate(zip_longest(*versions))
    return [(latest(values).name or str(i), values) for i, values in places]


def latest(values: Sequence[Value | None]) -> Value:
    """The value in the last version that has it."""
    return values[-1] or next(value for value in reversed(values) if value is not None)


NOTHING = Region((), (), ())
"""A region that a version lacks."""
