"""A graph as a torch module with real parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

from graftwork.backends.engine import lower_graph, readings
from graftwork.backends.torch.arrays import CARRIER, STORED, as_torch
from graftwork.backends.torch.table import TABLE
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir.binding import bind, flatten
from graftwork.ir.graph import Graph, Parameter, Port


class GraphModule(nn.Module):
    """A graph as a module: inputs by name in, a dict of tensors by name out.

    `state_dict` has the graph's parameter names, dots and all. A module for training owns copies
    of what it trains, so that the source model and other graphs of the same store stay as they
    are; everything else shares memory with the store.

    Attributes:
        function: the computation, without parameters, as an fx module of tensors in order.
    """

    def __init__(self, graph: Graph, *, train: bool = True) -> None:
        super().__init__()
        self.function = lower(graph)
        self._signature = graph.evolve(nodes=(), parameters=())
        self._outputs = tuple(port.name for port in graph.outputs)
        self._paths = tuple(
            _attach(self, parameter, graph.store[parameter.name], train)
            for parameter in graph.parameters
        )

    def forward(
        self, named: Mapping[str, Any] | None = None, /, **inputs: Any
    ) -> dict[str, torch.Tensor]:
        """Run on tensors by name; nested mappings stand for dotted names.

        Args:
            named: inputs whose names torch has uses of its own for, such as `self`.
            inputs: all others.

        Raises:
            InputError: if the inputs are not those that the graph takes.
        """
        inputs |= named or {}
        if torch.compiler.is_compiling():
            given: Mapping[str, Any] = dict(flatten(inputs))
        else:
            given = bind(self._signature, inputs).arrays
        arrays = [given[port.name] for port in self._signature.inputs]
        found = self.function(*arrays, *self.held())
        return dict(zip(self._outputs, found, strict=True))

    def held(self) -> tuple[torch.Tensor, ...]:
        """The parameters, in the order in which the function takes them."""
        return tuple(_follow(self, path) for path in self._paths)


def _attach(root: nn.Module, parameter: Parameter, array: Any, train: bool) -> tuple[str, ...]:
    """Put a parameter where its dotted name says, and return the attributes that lead there."""
    *outer, last = parameter.name.split(".")
    module, path = root, []
    for word in outer:
        while not isinstance(module._modules.get(word), _Scope):
            if _free(module, word):
                module.add_module(word, _Scope())
            else:
                word += "_"
        module = module._modules[word]  # type: ignore[assignment]
        path.append(word)
    while not _free(module, last):
        last += "_"
    tensor = as_torch(array)
    if parameter.value.type.dtype.is_float and parameter.trainable:
        owned = tensor.clone() if train else tensor
        module.register_parameter(last, nn.Parameter(owned, requires_grad=train))
    else:
        module.register_buffer(last, tensor)
    return (*path, last)


class _Scope(nn.Module):
    """Holds the parameters whose names share a prefix."""


def _free(module: nn.Module, word: str) -> bool:
    """Whether a name may be given to a part: no part and nothing else of a module has it."""
    return bool(word) and not hasattr(module, word)


def _follow(module: Any, path: tuple[str, ...]) -> Any:
    for word in path:
        module = getattr(module, word)
    return module


def lower(graph: Graph) -> fx.GraphModule:
    """The computation of a graph as an fx module.

    It takes tensors in the order of inputs, then parameters, and returns a tuple of outputs.
    """
    target = TorchTarget(TABLE, graph.axes)
    raw = {port.name: target.argument(_identifier(port.name)) for port in graph.inputs}
    params = {p.name: target.argument(_identifier(p.name)) for p in graph.parameters}
    for reading in readings(graph):
        size = raw[reading.port].size(reading.place)
        if reading.offset != 0:
            size = size - target.value(reading.offset)
        if reading.slope != 1:
            size = size // target.value(reading.slope)
        target.symbols[reading.symbol] = size
    inputs = {port.name: _carried(raw[port.name], port) for port in graph.inputs}
    held = {
        p.name: _carried(params[p.name], p) if _is_held(p) else params[p.name]
        for p in graph.parameters
    }
    results = lower_graph(target, graph, inputs, held)
    target.graph.output(
        tuple(_stored(target, results[port.name], port).node for port in graph.outputs)
    )
    return target.module()


def _identifier(word: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in word)
    return "self_" if plain == "self" else plain


def _carried(array: Any, port: Port | Parameter) -> Any:
    """An argument in the dtype that computes it, whatever dtype it was given in."""
    return array.to(CARRIER[port.value.type.dtype])


def _is_held(port: Port | Parameter) -> bool:
    """Whether the stored dtype is not the one that computes it."""
    dtype = port.value.type.dtype
    return CARRIER[dtype] is not STORED[dtype]


def _stored(target: TorchTarget, array: Any, port: Port) -> Any:
    """A result in its own dtype."""
    return array.to(STORED[port.value.type.dtype]) if _is_held(port) else array
