"""ONNX: a whole graph as a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as onnx
from onnx.helper import find_min_ir_version_for, make_opsetid

from graftwork.backends.engine import lower_graph
from graftwork.backends.onnx.emit import Emitter
from graftwork.backends.onnx.extents import Extents
from graftwork.backends.onnx.kernels import ELEMENT
from graftwork.backends.onnx.table import TABLE
from graftwork.backends.onnx.target import OnnxTarget
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.store import as_numpy

Tensor = Callable[[str, np.ndarray[Any, Any]], onnx.TensorProtocol]


def model_of(graph: Graph, tensor: Tensor) -> onnx.Model:
    """The ONNX model that a graph is; `tensor` says how it holds a parameter's array.

    Raises:
        UnsupportedOpError: for an op or dtype that ONNX Runtime cannot compute.
        InputError: if a parameter's array is not what the graph says.
    """
    emit = Emitter()
    inputs = {port.name: emit.value(port.name, *_form(graph, port)) for port in graph.inputs}
    names = {port.name: emit.name(port.name) for port in graph.outputs}
    parameters = {p.name: _initializer(emit, graph, p, tensor) for p in graph.parameters}
    extents = Extents(emit, graph, inputs)
    target = OnnxTarget(TABLE, graph.axes, emit, extents)
    results = lower_graph(target, graph, inputs, parameters)
    outputs: list[onnx.Value] = []
    for port in graph.outputs:
        output = emit.own(results[port.name], outputs)
        dtype, dims = _form(graph, port)
        output.name, output.shape = names[port.name], onnx.Shape(dims)
        output.type = onnx.TensorType(ELEMENT[dtype])
        outputs.append(output)
    body = onnx.Graph(
        list(inputs.values()),
        outputs,
        nodes=[*emit.prelude, *emit.nodes],
        initializers=[value for value in emit.initializers if value.uses()],
        opset_imports={"": emit.opset},
        name="graftwork",
    )
    version = find_min_ir_version_for([make_opsetid("", emit.opset)])
    return onnx.Model(body, ir_version=version, producer_name="graftwork")


def _form(graph: Graph, port: Port | Parameter) -> tuple[Any, list[int | str]]:
    """Dtype and dimensions of a port; those that vary are named by their sizes."""
    sizes = [1 if axis is None else graph.axes[axis] for axis in port.layout]
    return port.value.type.dtype, [s if isinstance(s, int) else str(s) for s in sizes]


def _initializer(emit: Emitter, graph: Graph, parameter: Parameter, tensor: Tensor) -> onnx.Value:
    """A parameter's array; along a dynamic axis it has the extent that the graph guards."""
    array = as_numpy(graph.store[parameter.name])
    dtype, dims = _form(graph, parameter)
    fits = [d if isinstance(d, int) else n for d, n in zip(dims, array.shape, strict=False)]
    if len(dims) != array.ndim or list(array.shape) != fits or array.dtype != dtype.numpy:
        raise InputError(
            f"parameter {parameter.name!r} is {array.dtype}{array.shape}, not {dtype.value}{dims}"
        )
    return emit.initializer(parameter.name, tensor(parameter.name, array))
