"""Models whose loops torch.export unrolls: traced at two lengths, rolled, and checked at others.

What the two traces have in common is a conjecture about all lengths. It is accepted only if the
graph gives what the model gives at lengths that it was not made from.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import torch
from attrs import frozen
from torch.export.graph_signature import OutputKind
from torch.utils import _pytree as pytree

from graftwork.frontends.torch.export import Exported, argument_paths, as_found, trace, traceable
from graftwork.frontends.torch.generalize import Lengths, generalized
from graftwork.frontends.torch.parameters import as_stored
from graftwork.frontends.torch.program import output_names, translate
from graftwork.frontends.torch.unrolled import find_loops, forget_copies, operators
from graftwork.ir.array import NamedArray
from graftwork.ir.axis_spec import AxisWord, match_axes
from graftwork.ir.binding import bind
from graftwork.ir.errors import ConversionError
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph, Guard
from graftwork.ir.sizes import symbol
from graftwork.ir.verify import verify

TRACED = (5, 7)
TRIED = (3, 20)  # no less, and one that is much longer


@frozen(eq=False)
class Sample:
    """A model, and arguments for it that can be made of any length along one axis."""

    model: torch.nn.Module
    arguments: Mapping[str, Any]
    axes: Mapping[str | int, str]
    name: str

    @property
    def length(self) -> int:
        """The sample's own length."""
        paths, words = self._read()
        dims = ((path, dim) for path, each in words.items() for dim, word in enumerate(each)
                if word.name == self.name)  # fmt: skip
        path, dim = next(dims)
        return int(paths[path].shape[dim])

    def _read(self) -> tuple[dict[str, Any], dict[str, tuple[AxisWord, ...]]]:
        """The arguments by path, and what the caller said of their axes."""
        paths = argument_paths(dict(self.arguments), inspect.signature(self.model.forward))
        shapes = {p: tuple(x.shape) for p, x in paths.items() if isinstance(x, torch.Tensor)}
        return paths, match_axes(self.axes, shapes, list(self.arguments))

    def at(self, length: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of that length: those of the sample, cut or repeated."""
        paths, words = self._read()
        leaves = []
        for path, leaf in paths.items():
            for dim, word in enumerate(words.get(path, ())):
                if word.name == self.name:
                    places = torch.arange(length, device=leaf.device) % leaf.shape[dim]
                    leaf = leaf.detach().index_select(dim, places)
            leaves.append(leaf)
        spec = pytree.tree_structure(dict(self.arguments))
        signature = inspect.signature(self.model.forward)
        bound = inspect.BoundArguments(signature, pytree.tree_unflatten(leaves, spec))
        return bound.args, bound.kwargs

    def traced(self, length: int, knows: Callable[[str], object]) -> Exported:
        """The model traced at one length."""
        args, kwargs = self.at(length)
        fixed = rf"\b{self.name}\b(?!=)"
        axes = {k: re.sub(fixed, f"{self.name}={length}", text) for k, text in self.axes.items()}
        return trace(self.model, args, kwargs, axes, False, knows)

    def results(self, length: int, exported: Exported) -> dict[str, np.ndarray[Any, Any]]:
        """What the model itself gives at one length, and what it makes of what it changes."""
        args, kwargs = self.at(length)
        specs = exported.program.graph_signature.output_specs
        changed = [spec.target for spec in specs if spec.kind is not OutputKind.USER_OUTPUT]
        model = copy.deepcopy(self.model) if changed else self.model
        with torch.no_grad(), as_found(model, False):
            leaves = pytree.tree_leaves(traceable(model(*args, **kwargs)))
        names = output_names(exported.program.call_spec.out_spec)
        found = dict(zip(names, leaves, strict=True))
        state = model.state_dict(prefix=f"{exported.prefix}.", keep_vars=True)
        found |= {name: state.get(name) for name in changed if name is not None}
        return {k: _array(x) for k, x in found.items() if isinstance(x, torch.Tensor)}

    def inputs(self, length: int) -> dict[str, np.ndarray[Any, Any]]:
        """The arguments of one length that are tensors, by path."""
        signature = inspect.signature(self.model.forward)
        args, kwargs = self.at(length)
        paths = argument_paths(dict(signature.bind(*args, **kwargs).arguments), signature)
        tensors = {path: x for path, x in paths.items() if isinstance(x, torch.Tensor)}
        return {path: _array(x) for path, x in tensors.items()}


def rolled(sample: Sample, knows: Callable[[str], object]) -> Graph:
    """The graph of a model whose loops run along the sample's axis, at every length of it.

    Raises:
        ConversionError: if what the model does is not the same at every length, as far as tried.
    """
    short, long = (sample.traced(length, knows) for length in TRACED)
    for exported in (short, long):
        forget_copies(exported.program)
    nodes = [operators(exported.program) for exported in (short, long)]
    loops = find_loops(nodes[0], nodes[1], TRACED[1] - TRACED[0])
    if loops is None:
        raise ConversionError(
            "what it does at two lengths differs by more than the steps of loops that read one "
            "position a step, or what the step before gave"
        )
    if not loops[0]:
        raise ConversionError("there is no loop along it")
    graphs = [translate(e, found) for e, found in zip((short, long), loops, strict=True)]
    graph = generalized(graphs[0], graphs[1], Lengths(sample.name, *TRACED))
    verify(graph)
    for length in dict.fromkeys((*TRIED, sample.length)):
        trouble = difference(graph, sample, length, short)
        if trouble:
            raise ConversionError(
                f"its steps at two lengths do not tell those at others: {trouble}"
            )
    least = TRIED[0]
    while least > 1 and not difference(graph, sample, least - 1, short):
        least -= 1
    if least == 1:
        return graph
    guard = Guard(symbol(sample.name), least, None, "the model's loop is another where it is less")
    return graph.evolve(guards=(*graph.guards, guard))


def difference(graph: Graph, sample: Sample, length: int, exported: Exported) -> str:
    """Where the graph does not give what the model gives at one length; empty if it does."""
    inputs = sample.inputs(length)
    try:
        given = {port.name: inputs[port.name] for port in graph.inputs}
        binding = bind(graph, given)
        arrays = {port.name: NamedArray(given[port.name], port.layout) for port in graph.inputs}
        found = run(graph, arrays, binding.symbols)
        wanted = sample.results(length, exported)
    except Exception as error:
        return f"at {length}, {type(error).__name__}: {error}"
    for name, array in found.items():
        if name not in wanted or not _close(array.array, wanted[name]):
            return f"at {length}, {name!r} is not what the model gives"
    return ""


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(as_stored(tensor.cpu()))


def _close(got: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> bool:
    """Equal but for rounding."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return False
    if got.dtype.kind in "biu":
        return np.array_equal(got, wanted)
    eps = float(ml_dtypes.finfo(got.dtype).eps)  # type: ignore[no-untyped-call]
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
    return np.allclose(a, b, rtol=0.0, atol=4096 * eps * (scale or 1.0), equal_nan=True)
