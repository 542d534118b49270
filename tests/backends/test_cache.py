"""Compiled programs that stay from one process to the next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import graftwork as gw
from graftwork.backends.cache import environment, folder
from graftwork.ir.errors import InputError, StorageError

TEXT = """graph {
  axes { seq: seq, embed: 4 }
  input x: f32{seq, embed}
  %h = tanh(%x) : f32{seq, embed}
  %y = softmax(%h) axis=embed : f32{seq, embed}
  output y = %y
}"""
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAFTWORK_CACHE", raising=False)


def _run(backend: str, cache: Path | None) -> None:
    run = gw.compile(gw.parse(TEXT), backend, cache=cache)
    scaled = np.exp(np.tanh(X))
    np.testing.assert_allclose(run(x=X)["y"], scaled / scaled.sum(-1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(run(x=X[:2])["y"], np.asarray(run(x=X)["y"])[:2], rtol=1e-6)


def _files(within: Path) -> set[Path]:
    return {path for path in within.rglob("*") if path.is_file()}


def test_a_folder_is_what_is_said_before_what_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert folder(None) is None
    assert folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder(True) == tmp_path / "graftwork"
    assert folder(None) is None
    monkeypatch.setenv("GRAFTWORK_CACHE", str(tmp_path / "set"))
    assert folder(None) == tmp_path / "set"
    assert folder("said") == Path.cwd() / "said"
    assert folder(False) is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folder(True) == Path.home() / ".cache" / "graftwork"


def test_a_variable_is_put_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE", "before")
    with environment("A_VARIABLE", "now"):
        assert os.environ["A_VARIABLE"] == "now"
    with pytest.raises(ZeroDivisionError), environment("A_VARIABLE", "now"):
        raise ZeroDivisionError
    assert os.environ["A_VARIABLE"] == "before"
    monkeypatch.delenv("A_VARIABLE")
    with environment("A_VARIABLE", "now"):
        pass
    assert "A_VARIABLE" not in os.environ


@pytest.fixture
def hits() -> Iterator[list[str]]:
    """What JAX has found in its cache."""
    import jax

    found: list[str] = []

    def note(event: str, **_: object) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    jax.monitoring.register_event_listener(note)
    yield found
    jax.monitoring.unregister_event_listener(note)


def test_jax_finds_what_it_compiled_for_an_equal_graph(tmp_path: Path, hits: list[str]) -> None:
    import jax

    mine = str(tmp_path / "mine")
    jax.config.update("jax_compilation_cache_dir", mine)
    try:
        _run("jax", tmp_path)
        kept = _files(tmp_path / "jax")
        assert kept
        assert not hits
        jax.clear_caches()
        _run("jax", tmp_path)
        assert len(hits) >= 2  # one program a shape
        assert _files(tmp_path / "jax") == kept
        assert jax.config.jax_compilation_cache_dir == mine
    finally:
        jax.config.update("jax_compilation_cache_dir", None)


def test_torch_finds_what_it_compiled_for_an_equal_graph(tmp_path: Path) -> None:
    import torch
    from torch._dynamo.utils import counters

    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    torch.compiler.reset()
    _run("torch", tmp_path)
    assert _files(tmp_path / "torch")
    torch.compiler.reset()
    counters.clear()
    _run("torch", tmp_path)
    assert (
        counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
    )
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == before


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_where_nothing_is_compiled_nothing_is_kept(backend: str, tmp_path: Path) -> None:
    _run(backend, tmp_path)
    assert not _files(tmp_path)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_place_where_nothing_can_be_kept_is_refused(backend: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(StorageError, match="cannot keep programs in"):
        gw.compile(gw.parse(TEXT), backend, cache=file)
    assert file.read_text() == "mine"
    with pytest.raises(InputError, match="cache= is a folder"):
        gw.compile(gw.parse(TEXT), backend, cache=7)  # type: ignore[arg-type]


def test_nothing_is_kept_unless_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _run("jax", None)
    assert not _files(tmp_path)
    monkeypatch.setenv("GRAFTWORK_CACHE", str(tmp_path / "set"))
    _run("jax", None)
    assert _files(tmp_path / "set" / "jax")
