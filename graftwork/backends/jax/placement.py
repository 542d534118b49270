"""Where arrays lie: on one device, or spread over a mesh of devices by axis name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from attrs import frozen
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from graftwork.backends.engine import Laid
from graftwork.ir.errors import AxisError, DeviceError, nearest
from graftwork.ir.graph import Graph


@frozen
class Placement:
    """A mesh of devices, and which of its axes each named axis is spread over.

    Attributes:
        device: the only device, where there is no mesh.
        axes: axis name -> mesh axis.
    """

    device: Any
    mesh: Mesh | None
    axes: Mapping[str, str]

    def of(self, layout: Sequence[str | None], shape: Sequence[int]) -> Any:
        """The device or sharding of an array with these dimensions."""
        if self.mesh is None:
            return self.device
        parts = self._parts(layout, shape)
        return NamedSharding(self.mesh, _spec(parts))

    def constrain(self, x: Laid) -> Laid:
        """The value with its sharded axes spread; the compiler decides about the others."""
        assert self.mesh is not None
        parts = self._parts(x.axes, x.array.shape)
        free = [PartitionSpec.UNCONSTRAINED if part is None else part for part in parts]
        spread: Any = jax.lax.with_sharding_constraint
        return Laid(spread(x.array, NamedSharding(self.mesh, _spec(free))), x.axes)

    def _parts(self, layout: Sequence[str | None], shape: Sequence[int]) -> list[str | None]:
        """The mesh axis of each dimension; each is used once, and only where it divides."""
        assert self.mesh is not None
        parts: list[str | None] = []
        for axis, extent in zip(layout, shape, strict=True):
            part = None if axis is None else self.axes.get(axis)
            fits = part is not None and part not in parts and extent % self.mesh.shape[part] == 0
            parts.append(part if fits else None)
        return parts


def _spec(parts: Sequence[Any]) -> PartitionSpec:
    make: Any = PartitionSpec
    spec: PartitionSpec = make(*parts)
    return spec


def placement(
    graph: Graph, device: str | jax.Device | None, shard: Mapping[str, str], mesh: Mesh | None
) -> Placement:
    """Resolve a device name, and roles or axis names to mesh axes.

    Raises:
        DeviceError: if there is no such device.
        AxisError: if the graph has no axis of such a role or name.
    """
    devices = _devices(device)
    if not shard:
        return Placement(devices[0], None, {})
    axes = {axis: part for word, part in shard.items() for axis in _axes_called(graph, word)}
    return Placement(devices[0], mesh or _mesh(devices, sorted(set(shard.values()))), axes)


def _devices(name: str | jax.Device | None) -> list[Any]:
    if isinstance(name, jax.Device):
        return [name]
    try:
        return jax.devices(name)
    except RuntimeError as error:
        present = sorted({device.platform for device in jax.devices()} | {"cpu"})
        raise DeviceError(f"JAX sees no device {name!r} here, only {', '.join(present)}") from error


def _axes_called(graph: Graph, word: str) -> set[str]:
    """The axes that play a role at some site, or else the one of that name."""
    played = {site.roles[word] for site in graph.sites.values() if word in site.roles}
    if not played and word not in graph.axes:
        raise AxisError(f"shard: no axis or role {word!r}{nearest(word, graph.axes)}")
    return played or {word}


def _mesh(devices: Sequence[Any], names: Sequence[str]) -> Mesh:
    """All devices, shared out evenly: each prime factor goes to the smallest mesh axis."""
    extents = dict.fromkeys(names, 1)
    for factor in _prime_factors(len(devices)):
        extents[min(extents, key=extents.__getitem__)] *= factor
    automatic = (AxisType.Auto,) * len(names)
    return jax.make_mesh(tuple(extents.values()), tuple(names), automatic, devices=devices)


def _prime_factors(number: int) -> list[int]:
    """In descending order."""
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return factors[::-1]
