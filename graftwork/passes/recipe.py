"""Recipes: lists of passes as data, saved as JSON beside a safetensors file.

Nothing is pickled: a function inside a pass is saved as the graph that it builds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import GraftworkError, StorageError, nearest
from graftwork.ir.folders import replaced, write_bytes
from graftwork.ir.graph import Graph
from graftwork.ir.selector import Selector
from graftwork.ir.store import Store, as_numpy
from graftwork.ir.text import parse
from graftwork.passes.base import Pass
from graftwork.passes.positions import RECORDS
from graftwork.passes.trace import TRACE, trace_anywhere

FORMAT = 1
RECIPE, TENSORS = "recipe.json", "tensors.safetensors"


def save_recipe(passes: Sequence[Pass], path: str | Path) -> None:
    """Write a recipe as a folder of `recipe.json` and `tensors.safetensors`.

    Raises:
        StorageError: if a pass holds something that cannot be saved, or the path cannot be
            written; what stood there stays whole.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray[Any, Any]] = {}
    steps = [_encode_pass(step, f"{i}", tensors) for i, step in enumerate(passes)]
    document = json.dumps({"format": FORMAT, "passes": steps}, indent=2)
    with replaced(path, (RECIPE, TENSORS)) as folder:
        write_bytes(folder / RECIPE, document.encode())
        save_file(tensors, folder / TENSORS)


def load_recipe(path: str | Path) -> list[Pass]:
    """Read a recipe back.

    Raises:
        StorageError: if files are missing or damaged, or a pass is unknown here.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(path)
    try:
        document = json.loads((folder / RECIPE).read_text())
        tensors = load_file(folder / TENSORS)
        if document["format"] != FORMAT:
            raise StorageError(f"{str(path)!r} has format {document['format']}, not {FORMAT}")
        return [_decode_pass(step, tensors) for step in document["passes"]]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StorageError(f"{str(path)!r} is not a whole recipe: {error!r}") from error


def _encode_pass(step: Pass, where: str, tensors: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(step, Pass) or not attrs.has(type(step)):
        raise StorageError(f"{step!r} is not a Pass, so a recipe cannot hold it")
    arguments = {}
    for field in attrs.fields(cast("Any", type(step))):
        value = getattr(step, field.name)
        if callable(value) and not isinstance(value, Pass):
            count = 1 if getattr(step, "source", None) is None else 2
            site = getattr(step, "site", f"{getattr(step, 'span', '')}.in")
            trace = field.metadata.get(TRACE) or partial(trace_anywhere, site=site, count=count)
            value = trace(value)
        arguments[field.name] = _encode(value, f"{where}.{field.name}", tensors)
    return {"pass": type(step).name(), "arguments": arguments}


def _encode(value: Any, where: str, tensors: dict[str, Any]) -> Any:
    """JSON for a value; what JSON has no word for is an object with one tagged key."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, Selector):
        return {"selector": attrs.asdict(value)}
    if isinstance(value, Graph):
        arrays = {name: np.asarray(as_numpy(a)) for name, a in value.params.items()}
        return {"graph": str(value), "params": _encode(arrays, f"{where}.params", tensors)}
    if type(value) in RECORDS.values():
        parts = {a.name: getattr(value, a.name) for a in attrs.fields(type(value))}
        return {"at": type(value).__name__, "parts": _encode(parts, where, tensors)["map"]}
    if isinstance(value, Pass):
        return {"nested": _encode_pass(value, where, tensors)}
    if isinstance(value, Mapping):
        return {"map": {k: _encode(v, f"{where}.{k}", tensors) for k, v in value.items()}}
    if isinstance(value, list | tuple):
        return [_encode(v, f"{where}.{i}", tensors) for i, v in enumerate(value)]
    if hasattr(value, "__array__"):
        tensors[where] = np.asarray(value, order="C")
        axes = value.axes if isinstance(value, NamedArray) else None
        return {"tensor": where, "axes": axes}
    raise StorageError(f"a recipe cannot hold {type(value).__name__} ({where})")


def _decode_pass(step: Mapping[str, Any], tensors: Mapping[str, Any]) -> Pass:
    known = {cls.name(): cls for cls in _subclasses(cast("Any", Pass))}
    if step["pass"] not in known:
        raise StorageError(f"no pass {step['pass']!r} here{nearest(step['pass'], known)}")
    cls = known[step["pass"]]
    arguments = {k: _decode(v, tensors) for k, v in step["arguments"].items()}
    made = cls.__new__(cls)
    initialise = getattr(made, "__attrs_init__", None) or made.__init__  # type: ignore[misc]
    initialise(**arguments)
    return made


def _subclasses(cls: type[Pass]) -> list[type[Pass]]:
    direct = cls.__subclasses__()
    return direct + [deeper for one in direct for deeper in _subclasses(one)]


def _decode(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v, tensors) for v in value)
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float.fromhex(value["float"])
    if "slice" in value:
        return slice(*value["slice"])
    if "selector" in value:
        return Selector(**value["selector"])
    if "graph" in value:
        return _parsed(value["graph"]).evolve(store=Store().over(_decode(value["params"], tensors)))
    if "at" in value:
        return RECORDS[value["at"]](**_decode({"map": value["parts"]}, tensors))
    if "nested" in value:
        return _decode_pass(value["nested"], tensors)
    if "map" in value:
        return {k: _decode(v, tensors) for k, v in value["map"].items()}
    array = tensors[value["tensor"]]
    return array if value["axes"] is None else NamedArray(array, tuple(value["axes"]))


def _parsed(text: str) -> Graph:
    try:
        return parse(text)
    except GraftworkError as error:
        raise StorageError(f"the recipe holds a damaged graph: {error}") from error
