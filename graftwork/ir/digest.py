"""Structural equality of graphs: what they say, whichever objects and names they say it with.

Values count by where they are defined, attributes by their bit-exact typed keys. The names of
values are hints and do not count; those of ports, parameters, axes and sites do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from graftwork.ir.graph import Graph, Node, Parameter, Port, Region, Value
from graftwork.ir.levels import defined, levels
from graftwork.ir.sites import Place
from graftwork.ir.types import Type

Key = tuple[object, ...]


def equal(a: Graph, b: Graph, *, origins: bool = False) -> bool:
    """Whether two graphs are the same but for the identity and names of their values.

    The arrays of parameters are not compared. With `origins`, nodes must also come from the same
    places.
    """
    return a is b or structural_key(a, origins=origins) == structural_key(b, origins=origins)


def digest(graph: Graph, *, origins: bool = False) -> str:
    """A hash of the structure that is the same in every process, as 64 hexadecimal digits."""
    return hashlib.sha256(repr(structural_key(graph, origins=origins)).encode()).hexdigest()


def structural_key(graph: Graph, *, origins: bool = False) -> Key:
    """A hashable key that is equal for graphs that say the same."""
    return (
        _region_key(graph.region, origins),
        tuple(map(_port_key, graph.inputs)),
        tuple((*_port_key(p), p.aliases, p.trainable) for p in graph.parameters),
        tuple(map(_port_key, graph.outputs)),
        tuple(sorted(graph.axes.items(), key=lambda item: item[0])),
        _sites_key(graph),
        tuple((guard.size, guard.low, guard.high, guard.reason) for guard in graph.guards),
    )


def region_key(region: Region) -> Key:
    """The same for one region: equal regions compute the same from equal inputs."""
    return _region_key(region, origins=False)


def said(node: Node) -> Key:
    """The same for nodes that apply one op with equal attributes to values of equal types."""
    types = tuple(value.type for value in (*node.inputs, *node.outputs))
    return (node.op.name, node.attrs.key, types, tuple(map(region_key, node.regions)))


def _region_key(region: Region, origins: bool) -> Key:
    numbers: dict[Value, int] = {}
    inputs = tuple(_define(value, numbers) for value in region.inputs)
    nodes = tuple(_node_key(node, numbers, origins) for node in region.nodes)
    return (inputs, nodes, tuple(numbers.get(value) for value in region.outputs))


def _node_key(node: Node, numbers: dict[Value, int], origins: bool) -> Key:
    return (
        node.op,
        node.attrs.key,
        tuple(numbers.get(value) for value in node.inputs),
        tuple(_define(value, numbers) for value in node.outputs),
        tuple(_region_key(region, origins) for region in node.regions),
        node.origin if origins else None,
    )


def _define(value: Value, numbers: dict[Value, int]) -> Key:
    numbers[value] = len(numbers)
    return _type_key(value.type)


def _type_key(of: Type) -> Key:
    return (of.dtype, of.axes)


def _port_key(port: Port | Parameter) -> Key:
    return (port.name, port.layout)


def _sites_key(graph: Graph) -> Key:
    sites, spans = graph.sites, graph.sites.spans
    places = [site.place for site in sites.values()]
    places += [end for span in spans.values() for end in (span.start, span.end)]
    wanted = {place.value for place in places}
    addresses: dict[Value, Key] = {}
    for path, level in levels(graph) if wanted else ():
        for number, value in enumerate(defined(level)):
            if value in wanted:
                addresses.setdefault(value, (path, number))

    def key(place: Place) -> Key:
        return (addresses.get(place.value), place.inner, place.steps)

    return (
        tuple((name, key(sites[name].place), _sorted(sites[name].roles)) for name in sorted(sites)),
        tuple((name, key(spans[name].start), key(spans[name].end)) for name in sorted(spans)),
        _sorted(sites.unrecognised),
    )


def _sorted(mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(mapping.items()))
