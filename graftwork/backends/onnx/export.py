"""Writing a graph as an ONNX file."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir

from graftwork.backends.onnx.kernels import ELEMENT
from graftwork.backends.onnx.model import model_of
from graftwork.ir.dtypes import dtype_of
from graftwork.ir.errors import StorageError
from graftwork.ir.graph import Graph

_LIMIT = 2_000_000_000  # bytes of one protocol buffer, less room for the nodes


def _tensor(name: str, array: np.ndarray[Any, Any]) -> onnx_ir.TensorProtocol:
    """A view of a parameter; its bytes are read when the file is written."""
    return onnx_ir.Tensor(array, ELEMENT[dtype_of(array.dtype)], name=name)


def export(graph: Graph, path: str | os.PathLike[str], external: bool | None = None) -> None:
    """Write a graph as an ONNX model, checked; an old file stays whole until the new one is.

    Dynamic dimensions carry the names of sizes. With `external` the weights lie beside the model
    in `<name>.data`; by default they do where the model would pass 2 GB.

    Raises:
        UnsupportedOpError: for an op or dtype that ONNX Runtime cannot compute.
        StorageError: if the path cannot be written.
    """
    target = Path(path)
    model = model_of(graph, _tensor)
    arrays = [value.const_value for value in model.graph.initializers.values()]
    if external is None:
        external = sum(array.nbytes for array in arrays if array is not None) > _LIMIT
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a directory")
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"cannot write the model to {str(path)!r}: {error}") from error
    try:
        _write(model, beside / target.name, external)
        for file in sorted(beside.iterdir(), key=lambda file: file.name == target.name):
            os.replace(file, target.parent / file.name)
    except OSError as error:
        raise StorageError(f"cannot write the model to {str(path)!r}: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(model: onnx_ir.Model, file: Path, external: bool) -> None:
    data = f"{file.name}.data" if external else None
    onnx_ir.save(model, file, format="protobuf", external_data=data)
    onnx.checker.check_model(str(file), full_check=True)
