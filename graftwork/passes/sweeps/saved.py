"""What a sweep has found so far, on disk: an interrupted one goes on where it stopped.

A folder holds a key, which tells one sweep from all others, and the results of each chunk, which
are written beside and renamed when they are whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import load_file, save_file

from graftwork.ir.digest import digest
from graftwork.ir.errors import StorageError
from graftwork.ir.folders import whole_file
from graftwork.ir.graph import Graph
from graftwork.ir.store import as_numpy

Array: TypeAlias = np.ndarray[Any, Any]

_KEY = "sweep.sha256"


def key_of(graph: Graph, inputs: Mapping[str, Array]) -> str:
    """A hash of all that results depend on: graph, weights, inputs; 64 hexadecimal digits."""
    found = hashlib.sha256(digest(graph).encode())
    arrays = {p.name: graph.store[p.name] for p in graph.parameters}
    for name, array in sorted({**arrays, **inputs}.items()):
        plain = np.ascontiguousarray(as_numpy(array))
        found.update(f"{name} {plain.dtype} {plain.shape}".encode())
        found.update(plain.view(np.uint8).data)
    return found.hexdigest()


def opened(folder: str | os.PathLike[str], key: str) -> Path:
    """The folder of a sweep, made if it is not there.

    Raises:
        StorageError: if it holds another sweep or other things, or cannot be written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        mark = path / _KEY
        if not mark.exists() and any(path.iterdir()):
            raise StorageError(f"{path} holds other things; resume= takes a folder of its own")
        if mark.exists() and mark.read_text() != key:
            raise StorageError(
                f"{path} holds another sweep, or this one on other inputs; choose another folder"
            )
        if not mark.exists():
            with whole_file(mark) as beside:
                beside.write_text(key)
    except OSError as error:
        raise StorageError(f"cannot resume in {path}: {error.strerror or error}") from error
    return path


def kept(folder: Path, number: int) -> Mapping[str, Array] | None:
    """The results of a chunk, if they are there."""
    path = folder / f"{number}.safetensors"
    return load_file(path) if path.exists() else None


def keep(folder: Path, number: int, results: Mapping[str, Array]) -> None:
    """Put the results of a chunk there.

    Raises:
        StorageError: if they cannot be written.
    """
    arrays = {name: np.ascontiguousarray(x) for name, x in results.items()}
    try:
        with whole_file(folder / f"{number}.safetensors") as beside:
            save_file(arrays, beside)
    except OSError as error:
        raise StorageError(f"cannot save results in {folder}: {error.strerror or error}") from error
