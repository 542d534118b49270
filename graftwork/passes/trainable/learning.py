"""What learns, and what was learned: marks on parameters, and their values as a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import cmp_using, evolve, field, frozen

from graftwork.ir.errors import InputError, SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.store import as_numpy
from graftwork.passes.base import Pass


@frozen(init=False)
class Train(Pass):
    """Let exactly these parameters learn, of the interventions and of the model, and fix the rest.

    Without it everything learns that the source model and the passes call trainable. `gw.to_torch`
    makes parameters of those that learn and buffers of the others; `graph.trainable` has their
    names, for gradients of the JAX function. A steering vector that learns is
    `Steer(site, zeros), Train("steer.**")`.

    Attributes:
        parameters: globs over parameter names, tied ones by any of their names.
    """

    promise = "bitwise"
    idempotent = True

    parameters: tuple[str, ...]

    def __init__(self, *parameters: str) -> None:
        self.__attrs_init__(tuple(parameters))

    def __call__(self, graph: Graph) -> Graph:
        floats = [p for p in graph.parameters if p.value.type.dtype.is_float]
        learning = {p.name for p in _matching(floats, self.parameters, "float parameter")}
        marked = [evolve(p, trainable=p.name in learning) for p in graph.parameters]
        return graph.evolve(parameters=tuple(marked))


@frozen(init=False)
class AsInputs(Pass):
    """Let these parameters be inputs, under their own names, given anew at every run.

    One compiled program then serves many adapters; and with `Gradient` it is a step of training on
    every backend, ONNX Runtime too.

    Attributes:
        parameters: globs over parameter names, tied ones by any of their names.

    Raises:
        SelectionError: if a glob names no parameter.
        InputError: if an input has the name of a parameter already.
    """

    parameters: tuple[str, ...]

    def __init__(self, *parameters: str) -> None:
        self.__attrs_init__(tuple(parameters))

    def __call__(self, graph: Graph) -> Graph:
        chosen = _matching(graph.parameters, self.parameters, "parameter")
        given = {p.name: Port(p.name, p.value, p.layout) for p in chosen}
        for port in graph.inputs:
            if port.name in given:
                raise InputError(f"there is an input {port.name!r} already")
        left = tuple(p for p in graph.parameters if p.name not in given)
        return graph.evolve(inputs=(*graph.inputs, *given.values()), parameters=left)


def _matching(
    parameters: Sequence[Parameter], globs: Sequence[str], kind: str
) -> tuple[Parameter, ...]:
    """The parameters that globs name, in their own order.

    Raises:
        SelectionError: if a glob names none.
    """
    names = [name for p in parameters for name in (p.name, *p.aliases)]
    meant: set[str] = set()
    for glob in globs:
        found = matching(glob, names)
        if not found:
            raise SelectionError(f"no {kind} matches {glob!r}{nearest(glob, names)}")
        meant.update(found)
    return tuple(p for p in parameters if not meant.isdisjoint((p.name, *p.aliases)))


def _copied(values: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of any framework as numpy arrays of their own, which later training leaves alone."""
    plain = {name: getattr(x, "detach", lambda x=x: x)() for name, x in values.items()}
    return {name: np.array(as_numpy(x)) for name, x in plain.items()}


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@frozen
class Learned(Pass):
    """Put these arrays in the place of parameters, by name: what training found, in a recipe.

    Attributes:
        values: parameter name -> array of any framework, of the shape of the parameter.
    """

    idempotent = True

    values: Mapping[str, Any] = field(
        converter=_copied, eq=cmp_using(eq=_same), hash=False, repr=lambda v: repr(list(v))
    )

    def __call__(self, graph: Graph) -> Graph:
        known = {name: p for p in graph.parameters for name in (p.name, *p.aliases)}
        arrays = {}
        for name, array in self.values.items():
            if name not in known:
                raise SelectionError(f"no parameter is called {name!r}{nearest(name, known)}")
            arrays[known[name].name] = _fitting(graph, known[name], array)
        return graph.evolve(store=graph.store.over(arrays))


def _fitting(graph: Graph, parameter: Parameter, array: Any) -> Any:
    """An array in the dtype of its parameter.

    Raises:
        InputError: if its shape is another one, or only one of the two is of floats.
    """
    shape = tuple(1 if axis is None else graph.axes[axis] for axis in parameter.layout)
    dtype = parameter.value.type.dtype
    same = array.dtype == dtype.numpy
    floats = dtype.is_float and np.issubdtype(array.astype(np.float64).dtype, np.floating)
    if array.shape != shape or not (same or (floats and array.dtype.kind in "fV")):
        raise InputError(
            f"{parameter.name} is {dtype.value} of shape {shape}, but the array given is "
            f"{array.dtype} of shape {array.shape}"
        )
    return array.astype(dtype.numpy)


def learned(graph: Graph, values: Mapping[str, Any]) -> Learned:
    """The values of those parameters of a graph that learn, as a pass.

    Args:
        graph: with the parameters.
        values: the `state_dict()` of the trained module, or the parameters of the JAX function.

    Raises:
        InputError: if it has none of them.
    """
    found = {name: values[name] for name in graph.trainable if name in values}
    if not found:
        raise InputError(f"none of {list(values)} is a parameter of the graph that learns")
    return Learned(found)
