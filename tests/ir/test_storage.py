import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from graftwork.ir import folders, storage
from graftwork.ir.digest import equal
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import StorageError, VerificationError
from graftwork.ir.graph import Graph, Parameter, Value
from graftwork.ir.storage import GRAPH, MANIFEST, PARAMS, load, save
from graftwork.ir.store import EMPTY_STORE, Lazy, Store
from graftwork.ir.tensors import read_tensors, write_tensors
from graftwork.ir.types import Type
from tests.ir.example import example

FILES = {GRAPH, PARAMS, MANIFEST}


def holding(arrays: dict[str, Any]) -> Graph:
    """A graph that has these parameters and nothing else."""
    axes: dict[str, int] = {}
    parameters = []
    for i, (name, array) in enumerate(arrays.items()):
        shape = {f"a{i}_{j}": extent for j, extent in enumerate(np.shape(array))}
        axes |= shape
        value = Value(Type(dtype_of(array.dtype), tuple(shape)))
        parameters.append(Parameter(name, value, tuple(shape)))
    return Graph((), tuple(parameters), (), (), axes, Store((arrays,)))


def assert_same_bits(a: Any, b: Any) -> None:
    assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_a_saved_graph_loads_as_it_was(tmp_path: Path) -> None:
    save(example(), tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert equal(loaded, example(), origins=True)
    for name, array in example().store.items():
        assert_same_bits(loaded.store[name], array)
    assert {entry.name for entry in (tmp_path / "model").iterdir()} == FILES
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_every_dtype_keeps_its_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for dtype in DType:
        raw = rng.integers(0, 256, 6 * dtype.numpy.itemsize, np.uint8)
        raw = raw & 1 if dtype is DType.boolean else raw
        arrays[dtype.value] = raw.view(dtype.numpy).reshape(3, 2)
    save(holding(arrays), tmp_path / "model")
    loaded = load(tmp_path / "model")
    for name, array in arrays.items():
        assert_same_bits(loaded.store[name], array)


def test_arrays_of_any_memory_layout_are_saved(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {
        "turned": base.T,
        "strided": base[::2, ::3],
        "backward": base[::-1],
        "repeated": np.broadcast_to(base[0], (3, 6)),
        "big endian": base.astype(">f4"),
        "scalar": np.array(2.5, ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), np.int8),
    }
    save(holding(arrays), tmp_path / "model")
    for name, array in load(tmp_path / "model").store.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_arrays_are_memory_mapped_and_read_only(tmp_path: Path) -> None:
    save(example(), tmp_path / "model")
    array = load(tmp_path / "model").store["wte.weight"]
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_lazy_arrays_are_made_one_at_a_time(tmp_path: Path) -> None:
    graph = holding({"a": np.ones(3), "b": np.zeros(2)})
    lazy = {name: Lazy(lambda array=array: array) for name, array in graph.store.items()}  # type: ignore[misc]
    save(graph.evolve(store=Store((lazy,))), tmp_path / "model")
    assert load(tmp_path / "model").store["a"].tolist() == [1, 1, 1]


def test_other_tools_read_the_arrays(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "b.c": np.ones((2, 2), np.float16), "d": np.array(True)}
    save(holding(arrays), tmp_path / "model")
    read = safetensors.numpy.load_file(tmp_path / "model" / PARAMS)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_same_bits(read[name], array)


def test_the_arrays_of_other_tools_are_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "b": np.ones((2, 2), np.float16)}
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file(arrays, path, metadata={"format": "np"})
    read = read_tensors(path)
    for name, array in arrays.items():
        assert_same_bits(read[name], array)


@given(names=st.lists(st.text(st.characters(), max_size=5), unique=True, max_size=4))
def test_hostile_names_are_saved(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    arrays = {name: np.array(i) for i, name in enumerate([*names, "__metadata__", '"x"'])}
    folder = tmp_path_factory.getbasetemp() / "hostile"
    save(holding(arrays), folder)
    assert {name: int(array) for name, array in load(folder).store.items()} == {
        name: int(array) for name, array in arrays.items()
    }


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    save(example(), tmp_path / "model")
    assert set(read_tensors(tmp_path / "model" / PARAMS)) == {"wte.weight", "bias"}


def test_only_what_the_graph_uses_is_saved(tmp_path: Path) -> None:
    graph = example()
    save(graph.evolve(store=graph.store.over({"other": np.zeros(9)})), tmp_path / "model")
    assert set(load(tmp_path / "model").store) == {"wte.weight", "bias"}


# Replacing an older save


def test_a_graph_may_be_saved_over_the_files_that_it_maps(tmp_path: Path) -> None:
    save(example(), tmp_path / "model")
    loaded = load(tmp_path / "model")
    save(loaded.evolve(guards=()), tmp_path / "model")
    assert_same_bits(loaded.store["wte.weight"], example().store["wte.weight"])
    assert load(tmp_path / "model").guards == ()
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_link_to_a_save_stays_a_link(tmp_path: Path) -> None:
    save(example(), tmp_path / "model")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    save(example().evolve(guards=()), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "model").guards == ()


def _no_space(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("module", "step"),
    [(storage, "write_tensors"), (storage, "write_bytes"), (folders, "_put_in_place")],
)
def test_an_old_save_stays_whole_when_a_new_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    save(example(), tmp_path / "model")
    monkeypatch.setattr(module, step, _no_space)
    with pytest.raises(StorageError, match=r"cannot save to .*model: No space left on device"):
        save(example().evolve(guards=()), tmp_path / "model")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    assert equal(load(tmp_path / "model"), example())


def test_an_old_save_comes_back_when_the_last_rename_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(example(), tmp_path / "model")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        return (
            _no_space()
            if target.name == "model" and "old" not in self.name
            else rename(self, target)
        )

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(StorageError, match="No space left"):
        save(example().evolve(guards=()), tmp_path / "model")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    assert equal(load(tmp_path / "model"), example())


def test_foreign_files_are_not_destroyed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"it also holds notes\.txt"):
        save(example(), tmp_path)
    with pytest.raises(StorageError, match="it is a file"):
        save(example(), tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot save to .*nowhere/model: No such file"):
        save(example(), tmp_path / "nowhere" / "model")


def test_what_cannot_be_loaded_again_is_not_saved(tmp_path: Path) -> None:
    graph = example()
    with pytest.raises(StorageError, match=r"no array for 'wte\.weight'"):
        save(graph.evolve(store=EMPTY_STORE), tmp_path / "model")
    short = graph.store.over({"bias": np.zeros(3, "f")})
    with pytest.raises(StorageError, match=r"'bias' is f32\[4\], but its array is float32\[3\]"):
        save(graph.evolve(store=short), tmp_path / "model")
    odd = graph.store.over({"bias": np.zeros(4, "c8")})
    with pytest.raises(StorageError, match="array of 'bias' is unreadable: no dtype 'complex64'"):
        save(graph.evolve(store=odd), tmp_path / "model")
    with pytest.raises(VerificationError):
        save(graph.evolve(nodes=graph.nodes[1:]), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# Damage


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(data)

    return damage


def _manifest(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


def _link(folder: Path) -> None:
    shutil.move(folder / PARAMS, folder.parent / "secret")
    (folder / PARAMS).symlink_to(folder.parent / "secret")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / GRAPH).unlink(), r"graph\.txt is missing"),
        (lambda f: (f / PARAMS).unlink(), r"params\.safetensors is missing"),
        (lambda f: (f / MANIFEST).unlink(), "holds no saved graph"),
        (lambda f: shutil.rmtree(f), "holds no saved graph"),
        (lambda f: os.truncate(f / PARAMS, 99), r"params\.safetensors is truncated: it has 99"),
        (lambda f: os.truncate(f / GRAPH, 99), r"graph\.txt is truncated"),
        (lambda f: os.truncate(f / MANIFEST, 99), r"manifest\.json is damaged"),
        (lambda f: (f / GRAPH).open("a").write("#"), r"graph\.txt is longer than saved"),
        (_flip(GRAPH, 30), r"graph\.txt was changed since"),
        (_flip(PARAMS, -1), r"params\.safetensors was changed since"),
        (_flip(PARAMS, 12), r"params\.safetensors was changed since"),
        (_manifest(lambda m: m.update(version=2)), "is of another format .*version 2"),
        (_manifest(lambda m: m.update(format="x")), "is of another format"),
        (_manifest(lambda m: m["files"].pop(GRAPH)), "names .*not graph.txt and"),
        (
            _manifest(lambda m: m["files"].update({"../secret": m["files"][GRAPH]})),
            "names .*secret",
        ),
        (_manifest(lambda m: m["files"][GRAPH].pop("bytes")), r"manifest\.json is damaged"),
        (_manifest(lambda m: m["files"][GRAPH].update(bytes="1")), r"manifest\.json is damaged"),
        (lambda f: (f / MANIFEST).write_text("[" * 100_000), r"manifest\.json is damaged"),
        (_link, r"params\.safetensors leads out of the folder"),
    ],
)
def test_a_damaged_save_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    save(example(), tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(StorageError, match=complaint):
        load(tmp_path / "model")


def _resigned(folder: Path, name: str) -> None:
    """Let the manifest agree with a changed file, as an attacker would."""
    data = (folder / name).read_bytes()
    fields = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _manifest(lambda m: m["files"].update({name: fields}))(folder)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"wte.weight": np.ones((7, 4), "f")}, "the graph and the file differ in bias"),
        ({"wte.weight": np.ones((7, 4), "f"), "bias": np.ones((2, 2), "f")}, "'bias' is f32"),
        ({"wte.weight": np.ones((7, 4), "f"), "bias": np.ones(4)}, "array is float64"),
    ],
)
def test_arrays_that_do_not_fit_the_graph_are_refused(
    tmp_path: Path, arrays: dict[str, Any], complaint: str
) -> None:
    folder = tmp_path / "model"
    save(example(), folder)
    (folder / PARAMS).unlink()
    write_tensors(folder / PARAMS, arrays)
    _resigned(folder, PARAMS)
    with pytest.raises(StorageError, match=complaint):
        load(folder)


def test_text_that_is_no_graph_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save(example(), folder)
    text = (folder / GRAPH).read_text()
    (folder / GRAPH).write_text(text.replace("= embedding", "= embeding"))
    _resigned(folder, GRAPH)
    with pytest.raises(StorageError, match=r"graph\.txt: line 9, column 8: no op named 'embeding'"):
        load(folder)
    (folder / GRAPH).write_bytes(b"\xff")
    _resigned(folder, GRAPH)
    with pytest.raises(StorageError, match="can't decode"):
        load(folder)


@given(data=st.data())
def test_no_damage_to_a_header_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.unlink(missing_ok=True)
    write_tensors(path, {"a": np.arange(3), "b": np.ones((2, 2), np.float16)})
    raw = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(raw[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    with suppress(StorageError):
        arrays = read_tensors(path)
        assert sum(array.nbytes for array in arrays.values()) == len(raw) - header
