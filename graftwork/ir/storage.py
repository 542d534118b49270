"""Saving a graph to a folder and reading it back: text, arrays, and a manifest with their hashes.

Nothing in such a folder is code. It is written beside its place, read back, and only then renamed,
so an older save stays whole until there is a better one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen
from attrs.validators import instance_of

from graftwork.ir.dtypes import dtype_of
from graftwork.ir.errors import DTypeError, StorageError, TextError
from graftwork.ir.folders import replaced, write_bytes
from graftwork.ir.graph import Graph, Parameter, given_graph
from graftwork.ir.store import Lazy, Store, as_numpy
from graftwork.ir.tensors import METADATA, read_tensors, write_tensors
from graftwork.ir.text import parse, print_graph
from graftwork.ir.text.spelling import quote
from graftwork.ir.types import AxisTable
from graftwork.ir.verify import verify

GRAPH, PARAMS, MANIFEST = "graph.txt", "params.safetensors", "manifest.json"
_FORMAT, _VERSION = "graftwork graph", 1


@frozen
class _File:
    """What the manifest says of a file."""

    bytes: int = field(validator=instance_of(int))
    sha256: str = field(validator=instance_of(str))


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Save a graph and its arrays as the folder `path`, in the place of an older save.

    Raises:
        StorageError: if the folder cannot be written or holds something else, or if an array is
            missing or does not fit its parameter; what was there before is untouched.
        VerificationError: if the graph is ill-formed.
        InputError: if this is no graph.
    """
    verify(given_graph(graph))
    with replaced(path, (GRAPH, PARAMS, MANIFEST)) as folder:
        _write(graph, folder)
        load(folder, hash_arrays=False)


def load(path: str | os.PathLike[str], *, hash_arrays: bool = True) -> Graph:
    """The graph saved in the folder `path`; its arrays are read-only memory maps.

    Args:
        path: the folder.
        hash_arrays: also check the hash of the arrays, which reads all of them once.

    Raises:
        StorageError: if there is no saved graph, or one that is truncated or was changed since;
            names the file and the reason.
    """
    folder = Path(path).resolve()
    try:
        files = _read_manifest(folder)
        for name, file in files.items():
            _check_file(folder / name, file, hashed=hash_arrays or name != PARAMS)
        text = (folder / GRAPH).read_bytes().decode()
        arrays = read_tensors(folder / PARAMS)
    except (OSError, UnicodeDecodeError) as error:
        where = getattr(error, "filename", None) or folder
        raise StorageError(f"{where}: {getattr(error, 'strerror', None) or error}") from error
    try:
        graph = parse(text)
    except TextError as error:
        raise StorageError(f"{folder / GRAPH}: {error}") from error
    return graph.evolve(store=_store(graph, arrays, folder / PARAMS))


# Writing


def _write(graph: Graph, folder: Path) -> None:
    text = print_graph(graph).encode()
    write_bytes(folder / GRAPH, text)
    lazy = {_key(p.name): Lazy(partial(_array, graph, p)) for p in graph.parameters}
    sha256 = write_tensors(folder / PARAMS, Store((lazy,)))
    files = {
        GRAPH: _File(len(text), hashlib.sha256(text).hexdigest()),
        PARAMS: _File((folder / PARAMS).stat().st_size, sha256),
    }
    manifest = {
        "format": _FORMAT,
        "version": _VERSION,
        "files": {name: asdict(file) for name, file in files.items()},
    }
    write_bytes(folder / MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")


def _array(graph: Graph, parameter: Parameter) -> Any:
    try:
        array = as_numpy(graph.store[parameter.name])
        dtype_of(array.dtype)
    except KeyError:
        raise StorageError(f"the graph has no array for {parameter.name!r}") from None
    except (DTypeError, RuntimeError, TypeError, ValueError) as error:
        raise StorageError(f"the array of {parameter.name!r} is unreadable: {error}") from error
    return array


def _key(name: str) -> str:
    """What the file calls a parameter: its name, in quotes if the format has no place for it."""
    odd = name == METADATA or name.startswith('"') or not name.isprintable()
    return quote(name) if odd else name


# Reading


def _read_manifest(folder: Path) -> Mapping[str, _File]:
    path = folder / MANIFEST
    if not path.exists():
        raise StorageError(f"{folder} holds no saved graph (it has no {MANIFEST})")
    try:
        manifest = json.loads(path.read_bytes())
        if (manifest["format"], manifest["version"]) != (_FORMAT, _VERSION):
            found = f"{manifest['format']!r}, version {manifest['version']!r}"
            raise StorageError(f"{path} is of another format ({found})")
        files = {name: _File(**fields) for name, fields in manifest["files"].items()}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged") from error
    if files.keys() != {GRAPH, PARAMS}:
        raise StorageError(f"{path} names {sorted(files)}, not {GRAPH} and {PARAMS}")
    return files


def _check_file(path: Path, file: _File, *, hashed: bool) -> None:
    """Refuse a file that is not the one that was saved, or not in the folder."""
    if not path.is_file():
        raise StorageError(f"{path} is missing")
    if path.resolve() != path:
        raise StorageError(f"{path} leads out of the folder")
    size = path.stat().st_size
    if size != file.bytes:
        what = "truncated" if size < file.bytes else "longer than saved"
        raise StorageError(f"{path} is {what}: it has {size} bytes, not {file.bytes}")
    if hashed:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != file.sha256:
            raise StorageError(f"{path} was changed since it was saved: its hash differs")


def _store(graph: Graph, arrays: Mapping[str, Any], path: Path) -> Store:
    """The arrays under the names of the graph's parameters, each of its dtype and shape."""
    keys = {_key(p.name): p for p in graph.parameters}
    if keys.keys() != arrays.keys():
        differing = sorted(keys.keys() ^ arrays.keys())
        raise StorageError(f"{path}: the graph and the file differ in {', '.join(differing[:3])}")
    for key, parameter in keys.items():
        _require_fit(parameter, arrays[key], graph.axes, path)
    return Store(({p.name: arrays[key] for key, p in keys.items()},))


def _require_fit(parameter: Parameter, array: Any, axes: AxisTable, path: Path) -> None:
    sizes = [1 if axis is None else axes[axis] for axis in parameter.layout]
    fits = dtype_of(array.dtype) is parameter.value.type.dtype and len(sizes) == array.ndim
    if not fits or any(
        size != extent
        for size, extent in zip(sizes, array.shape, strict=True)
        if isinstance(size, int)
    ):
        wanted = f"{parameter.value.type.dtype.value}[{', '.join(map(str, sizes))}]"
        found = f"{array.dtype.name}{list(array.shape)}"
        raise StorageError(f"{path}: {parameter.name!r} is {wanted}, but its array is {found}")
