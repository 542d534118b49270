"""Giving the axes of a whole graph other names: in types, attributes, layouts, sites, everywhere.

Several axes of one size may get one name; whether they can be one axis is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from attrs import evolve

from graftwork.ir.attributes import Attrs
from graftwork.ir.errors import AxisError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Region, Value
from graftwork.ir.op import Op
from graftwork.ir.sites import Place, Sites
from graftwork.ir.sizes import Size
from graftwork.ir.types import AxisTable, Type

P = TypeVar("P", Port, Parameter)


def rename_axes(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The same graph with its axes called otherwise; `names` maps old to new.

    Values that have none of these axes, and nodes that touch none, are shared.

    Raises:
        AxisError: if two axes of different sizes would have one name.
    """
    names = {old: new for old, new in names.items() if old != new and old in graph.axes}
    if not names:
        return graph
    renamer = _Renamer(names)
    top = renamer.region(graph.region)
    values = iter(top.inputs)
    return graph.evolve(
        inputs=tuple(renamer.port(port, next(values)) for port in graph.inputs),
        parameters=tuple(renamer.port(port, next(values)) for port in graph.parameters),
        nodes=top.nodes,
        outputs=tuple(
            renamer.port(port, value)
            for port, value in zip(graph.outputs, top.outputs, strict=True)
        ),
        axes=_renamed_table(graph.axes, names),
        sites=moved_sites(graph.sites, renamer.value, renamer.axis),
    )


def moved_sites(
    sites: Sites,
    value: Callable[[Value], Value | None],
    axis: Callable[[str], str] = lambda name: name,
) -> Sites:
    """The sites where their values went; those whose value has gone (None) go too."""
    if not sites.table and not sites.spans:
        return sites

    def place(old: Place) -> Place | None:
        new = value(old.value)
        return None if new is None else Place(new, old.inner, old.steps)

    return sites.moved(place, axis)


def _renamed_table(table: AxisTable, names: Mapping[str, str]) -> AxisTable:
    new: dict[str, Size] = {}
    for axis, size in table.items():
        name = names.get(axis, axis)
        if new.setdefault(name, size) != size:
            raise AxisError(f"axis {name!r} cannot have both sizes, {new[name]} and {size}")
    return new


class _Renamer:
    """One renaming, and what it has made of types, values, attributes and regions so far."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.types: dict[Type, Type] = {}
        self.values: dict[Value, Value] = {}
        self.attributes: dict[tuple[Op, Attrs], Attrs] = {}
        self.regions: dict[Region, Region] = {}

    def axis(self, name: str) -> str:
        return self.names.get(name, name)

    def value(self, old: Value) -> Value:
        known = self.values.get(old)
        if known is None:
            to = self.type(old.type)
            known = self.values[old] = old if to == old.type else Value(to, old.name)
        return known

    def type(self, old: Type) -> Type:
        known = self.types.get(old)
        if known is None:
            touched = any(axis in self.names for axis in old.axes)
            known = self.types[old] = old.renamed(self.names) if touched else old
        return known

    def node(self, old: Node) -> Node:
        values = self.values  # which knows them: they are defined before they are read
        inputs = tuple([values[value] for value in old.inputs])
        outputs = tuple([self.value(value) for value in old.outputs])
        attrs = self.attrs(old.op, old.attrs) if old.attrs.items else old.attrs
        regions = tuple([self.region(region) for region in old.regions])
        if (
            inputs == old.inputs
            and outputs == old.outputs
            and attrs == old.attrs
            and regions == old.regions
        ):
            return old
        return Node(old.op, inputs, outputs, attrs, regions, old.origin)

    def attrs(self, op: Op, old: Attrs) -> Attrs:
        key = (op, old)
        known = self.attributes.get(key)
        if known is None:
            known = self.attributes[key] = op.rename_axes(old, self.axis)
        return known

    def region(self, old: Region) -> Region:
        known = self.regions.get(old)
        if known is None:
            inputs = tuple(self.value(value) for value in old.inputs)
            nodes = tuple([self.node(node) for node in old.nodes])
            outputs = tuple([self.values[value] for value in old.outputs])
            same = inputs == old.inputs and outputs == old.outputs and nodes == old.nodes
            known = self.regions[old] = old if same else Region(inputs, nodes, outputs)
        return known

    def port(self, old: P, value: Value) -> P:
        if value is old.value:
            return old
        layout = tuple(None if axis is None else self.axis(axis) for axis in old.layout)
        return evolve(old, value=value, layout=layout)
