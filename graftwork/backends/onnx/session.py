"""Running a graph in ONNX Runtime, on the best device present, without copying arrays."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx_ir as onnx
import onnxruntime as ort

from graftwork.backends.onnx.fused import fuse_transposed
from graftwork.backends.onnx.kernels import ELEMENT
from graftwork.backends.onnx.model import model_of
from graftwork.backends.program import Program
from graftwork.ir.binding import Binding
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import DeviceError, InputError, UnsupportedOpError
from graftwork.ir.graph import Graph
from graftwork.ir.size_values import evaluate

Array = np.ndarray[Any, Any]

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_IN_MEMORY = "parameters"  # a file that is never opened: the session is given its arrays
_FATAL = 4  # what the runtime logs; failures come as exceptions
_SMALL = 1024  # bytes up to which an array lies in the model, where constants fold
# Nodes up to which buffers are planned to be shared. That keeps what comes next in the cache, but
# takes the square of the graph's size: seconds for some thousand nodes.
_PLANNED = 1500


class _Weights:
    """The parameters of a model, which a session reads where they lie."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def tensor(self, name: str, array: Array) -> onnx.TensorProtocol:
        element = ELEMENT[dtype_of(array.dtype)]
        if array.nbytes <= _SMALL:
            return onnx.Tensor(array, element, name=name)
        self.arrays[name] = np.require(array, requirements="C")
        shape = onnx.Shape(array.shape)
        return onnx.ExternalTensor(_IN_MEMORY, 0, array.nbytes, element, shape=shape, name=name)


def _value_of(array: Array, dtype: DType) -> ort.OrtValue:
    if dtype is DType.bf16:
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(
            array.view(np.uint16), int(ELEMENT[dtype])
        )
    return ort.OrtValue.ortvalue_from_numpy(array)


def compile(graph: Graph, device: str | None = None) -> Program:
    """A program that runs in ONNX Runtime ("cpu", "cuda"; None: CUDA where it is present).

    Raises:
        UnsupportedOpError: for an op or dtype that the runtime cannot compute.
        DeviceError: if the device is not there.
    """
    providers = _providers(device)
    weights = _Weights()
    model = model_of(graph, weights.tensor)
    fuse_transposed(model)
    held = {k: array for k, array in weights.arrays.items() if k in model.graph.initializers}
    doubles = any(v.type.dtype is DType.f64 for node in graph.walk() for v in node.outputs)
    planned = sum(1 for _ in model.graph.all_nodes()) <= _PLANNED
    parts = (onnx.to_proto(model).SerializeToString(), held, providers, doubles, planned)
    session = _session(ort.GraphOptimizationLevel.ORT_ENABLE_ALL, *parts)
    if device is not None and _PROVIDERS[device] not in session.get_providers():
        raise DeviceError(
            f"ONNX Runtime could not start {_PROVIDERS[device]} for device {device!r}; "
            f"it runs on {', '.join(session.get_providers())}"
        )

    @cache
    def unfused() -> ort.InferenceSession:
        """Without the fused kernels, some of which refuse empty arrays, or divide by their size."""
        return _session(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, *parts)

    sizes = set(graph.axes.values())

    def execute(binding: Binding) -> Mapping[str, Any]:
        empty = any(evaluate(size, binding.symbols) == 0 for size in sizes)
        return _run(unfused() if empty else session, graph, binding)

    return Program(graph, "onnx", execute, session)


def _session(
    level: ort.GraphOptimizationLevel,
    model: bytes,
    weights: Mapping[str, Array],
    providers: list[str],
    doubles: bool,
    planned: bool,
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.graph_optimization_level = level
    options.enable_mem_reuse = planned
    # It folds factors into products as 32-bit floats, also those of 64 bits.
    disabled = ["MatMulScaleFusion"] if doubles else []
    values = [_value_of(array, dtype_of(array.dtype)) for array in weights.values()]
    if values:
        options.add_external_initializers(list(weights), values)
    if providers == [_PROVIDERS["cpu"]]:  # what no kernel packs anew is read where it lies
        for name, value in zip(weights, values, strict=True):
            options.add_initializer(name, value)
    try:
        session = ort.InferenceSession(
            model, options, providers=providers, disabled_optimizers=disabled
        )
    except Exception as error:  # the runtime's exceptions have no base of their own
        raise UnsupportedOpError(f"ONNX Runtime refuses the model: {error}") from error
    # It reads their memory without holding it, to the end of the interpreter if it lives so long.
    weakref.finalize(session, values.clear).atexit = False
    return session


def _run(session: ort.InferenceSession, graph: Graph, binding: Binding) -> dict[str, Array]:
    """Run on the memory of the inputs; outputs are the runtime's, which it fills again when they
    are let go: to be given new memory for each run takes time.

    Raises:
        InputError: if a kernel fails, such as at a position that is out of range.
    """
    bound = session.io_binding()
    held = []
    for port, known in zip(graph.inputs, session.get_inputs(), strict=True):
        array = _given(binding.arrays[port.name], port.value.type.dtype)
        element = int(ELEMENT[port.value.type.dtype])
        bound.bind_input(known.name, "cpu", 0, element, array.shape, array.ctypes.data)
        held.append(array)
    for known in session.get_outputs():
        bound.bind_output(known.name, "cpu")
    try:
        session.run_with_iobinding(bound)
    except RuntimeError as error:
        raise InputError(f"ONNX Runtime could not run these inputs: {error}") from error
    made = zip(graph.outputs, bound.get_outputs(), strict=True)
    return {port.name: _taken(value, port.value.type.dtype) for port, value in made}


def _providers(device: str | None) -> list[str]:
    """Those to try, best first.

    Raises:
        DeviceError: if the installed runtime does not have the one for a device.
    """
    present = ort.get_available_providers()
    if device is None:
        return [name for name in _PROVIDERS.values() if name in present]
    if _PROVIDERS.get(device) not in present:
        raise DeviceError(
            f"ONNX Runtime has no device {device!r} here; it has {', '.join(present)}"
            + ("; install graftwork[gpu] for CUDA" if device == "cuda" else "")
        )
    return list(dict.fromkeys([_PROVIDERS[device], _PROVIDERS["cpu"]]))


def _given(given: Any, dtype: DType) -> Array:
    """An input as the runtime reads it: on the host, contiguous, of the dtype of its port."""
    if hasattr(given, "detach"):  # a torch tensor, whose bfloat16 numpy does not know
        given = given.detach().cpu()
        if dtype is DType.bf16:
            import torch

            given = given.to(torch.bfloat16).view(torch.uint16).numpy().view(dtype.numpy)
    return np.require(given, dtype.numpy, "C")


def _taken(value: ort.OrtValue, dtype: DType) -> Array:
    """An output as it lies; of bfloat16, which the runtime has no NumPy type for, a copy."""
    if dtype is not DType.bf16:
        array: Array = value.numpy()
        return array
    bits = (ctypes.c_uint16 * math.prod(value.shape())).from_address(value.data_ptr())
    return np.array(bits, np.uint16).view(dtype.numpy).reshape(value.shape())
