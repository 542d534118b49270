"""Bad input of every kind gets an error of ours, in the user's words, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import (
    AxisError,
    ConversionError,
    InputError,
    PassError,
    RewriteError,
    SelectionError,
    StorageError,
    UnreachableEditError,
    UnsupportedOpError,
)


class Mlp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(4, 8)
        self.down = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        hidden = torch.nn.functional.gelu(self.up(x))
        return self.down(hidden if bias is None else hidden + bias)


class Branching(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


class Special(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.airy_ai(self.inner(x))


X = torch.randn(3, 4)


@pytest.fixture(scope="module")
def graph() -> gw.Graph:
    return gw.from_torch(Mlp(), X, axes={"x": "batch features=4"})


@pytest.mark.parametrize(
    ("axes", "error", "words"),
    [
        ({"x": "batch"}, (AxisError, InputError), "x"),
        ({"x": "batch fea-tures"}, (AxisError, InputError), "fea-tures"),
        ({"y": "batch features=4"}, (AxisError, InputError), "y"),
        ({"x": "batch batch"}, (AxisError, InputError), "batch"),
    ],
)
def test_wrong_axes(axes: dict[str, str], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        gw.from_torch(Mlp(), X, axes=axes)


def test_data_dependent_control_flow_names_the_line() -> None:
    with pytest.raises(ConversionError, match=r"test_bad_input\.py"):
        gw.from_torch(Branching(), X, axes={"x": "batch features=4"})


def test_an_unsupported_op_names_itself_and_its_module() -> None:
    with pytest.raises(
        UnsupportedOpError, match=r"airy.*test_bad_input\.py|test_bad_input\.py.*airy"
    ):
        gw.from_torch(Special(), X)


def test_an_axis_of_one_size_names_that_size_and_no_line_of_others() -> None:
    told = r"one size of axis 'features'.*'features=4'\) or trace with other samples\. Torch says"
    with pytest.raises(ConversionError, match=told):
        gw.from_torch(torch.nn.Linear(4, 4), torch.zeros(2, 4), axes={0: "batch features"})


def test_random_draws_that_no_key_stands_for_are_refused() -> None:
    class Shuffled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, torch.randperm(x.shape[1])]

    with pytest.raises(UnsupportedOpError, match=r"random, .*; pass .* as an input"):
        gw.from_torch(Shuffled(), X)


def test_a_random_key_needs_a_name_of_its_own() -> None:
    class Keyed(torch.nn.Module):
        def forward(self, key: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.dropout(key)

    with pytest.raises(InputError, match=r"an input 'key'.* key="):
        gw.from_torch(Keyed(), X, training=True)
    assert "seed" in gw.from_torch(Keyed(), X, training=True, key="seed").region.inputs[1].name


def test_jax_programs_get_the_same_care() -> None:
    import jax.numpy as jnp

    with pytest.raises(ConversionError, match=r"test_bad_input\.py"):
        gw.from_jax(lambda x: x if x.sum() > 0 else -x, np.ones(3, np.float32))
    with pytest.raises(UnsupportedOpError, match=r"complex64.*test_bad_input\.py"):
        gw.from_jax(lambda x: jnp.fft.fft(x).real, np.ones(4, np.float32))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "missing input 'x'"),
        ({"x": np.ones((3, 4), np.float32), "y": 1}, "no input 'y'"),
        ({"x": np.ones((3, 5), np.float32)}, "'features' has size 4.*given 5"),
        ({"x": np.ones((3, 4, 1), np.float32)}, r"dimensions \(batch, features\)"),
        ({"x": "text"}, "str, not an array"),
    ],
)
def test_inputs_that_do_not_fit(graph: gw.Graph, given: dict[str, Any], words: str) -> None:
    for backend in ("numpy", "jax", "onnx"):
        with pytest.raises(InputError, match=words):
            gw.compile(graph, backend=backend)(**given)


def test_fractions_are_no_positions() -> None:
    table = torch.nn.Embedding(4, 3)
    graph = gw.from_torch(table, torch.tensor([1, 2]), axes={0: "seq"})
    for backend in ("numpy", "jax", "torch", "onnx"):
        run = gw.compile(graph, backend=backend)
        with pytest.raises(InputError, match=r"holds float32.* takes i64"):
            run(input=torch.tensor([1.0, 2.5]))
        run(input=np.array([1, 2], np.int32))


def test_positions_that_are_not_there() -> None:
    class Words(torch.nn.Embedding):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return super().forward(ids.reshape(-1))

    graph = gw.from_torch(Words(4, 3), torch.tensor([[1, 2]]), axes={0: "batch seq"})
    for backend in ("numpy", "jax", "torch", "onnx"):
        run = gw.compile(graph, backend=backend)
        for wrong in (4, -1, -5):
            with pytest.raises(InputError, match="out of range"):
                run(ids=np.array([[0, wrong, 3]]))
        run(ids=np.array([[0, 3, 3]]))


def test_more_positions_than_a_model_has() -> None:
    class Placed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = torch.nn.Embedding(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.places(torch.arange(x.shape[1]))

    graph = gw.from_torch(Placed(), torch.zeros(2, 3, 3), axes={0: "batch seq features=3"})
    for backend in ("numpy", "jax", "torch", "onnx"):
        run = gw.compile(graph, backend=backend)
        with pytest.raises(InputError, match=r"'seq' has size 5.* out of range of the 4"):
            run(x=np.zeros((2, 5, 3), np.float32))
        run(x=np.zeros((2, 4, 3), np.float32))


def test_unknown_backends_devices_and_sites(graph: gw.Graph) -> None:
    with pytest.raises(UnsupportedOpError, match="did you mean 'jax'"):
        gw.compile(graph, backend="jxa")
    for backend in ("jax", "torch", "onnx"):
        with pytest.raises(gw.GraftworkError, match="cuda"):
            gw.compile(graph, backend=backend, device="cuda")
    with pytest.raises(SelectionError, match="'up'"):
        graph.apply(p.Scale("upp", 2.0))


@pytest.mark.parametrize(
    "use",
    [
        gw.compile,
        gw.to_jax,
        gw.to_torch,
        gw.viz.graph,
        lambda model: gw.compile(model, buckets={"batch": (4,)}),
        lambda model: gw.export_onnx(model, "never"),
        lambda model: gw.export_model_explorer(model, "never"),
        lambda model: gw.save(model, "never"),
        lambda model: gw.Sweep(model, p.Scale("up", 2.0), metric=lambda out: out["output"]),
    ],
)
def test_a_model_that_was_not_converted(use: Callable[[Any], object]) -> None:
    with pytest.raises(InputError, match=r"takes a graph, not Mlp; gw\.from_torch"):
        use(Mlp())


def test_torchscript_has_nothing_to_trace() -> None:
    for compiled in (torch.jit.trace(Mlp(), X), torch.jit.script(Special())):
        with pytest.raises(InputError, match="the module or function that it was made of"):
            gw.from_torch(compiled, X)


def test_what_is_no_place_no_pass_no_module_and_no_position(graph: gw.Graph) -> None:
    for site in (None, 3, ["up", "down"]):
        with pytest.raises(SelectionError, match="a name or a glob"):
            graph.apply(p.Scale(site, 2.0))  # type: ignore[arg-type]
    with pytest.raises(PassError, match="a function from a graph to a graph"):
        graph.apply("Cleanup")  # type: ignore[arg-type]
    with pytest.raises(SelectionError, match="no module 'upp'; did you mean 'up'"):
        graph.text("upp")
    with pytest.raises(AxisError, match=r"by axis, .* not 3"):
        graph.apply(p.Scale("up", 2.0, where=3))  # type: ignore[arg-type]
    with pytest.raises(AxisError, match=r"by axis, .* not \(0, -1\)"):
        gw.compile(graph, "numpy")(x=X)["output"][0, -1]  # type: ignore[index]
    with pytest.raises(AxisError, match=r"by axis, .* not 0"):
        graph.apply(p.Map("up", lambda up: up[0]))  # type: ignore[index]


def test_a_term_has_no_truth_to_branch_on(graph: gw.Graph) -> None:
    for condition in (lambda up: up > 0, lambda up: up == 0, lambda up: up != 0):
        with pytest.raises(RewriteError, match=r"ops\.select.* \(in pass Map"):
            graph.apply(p.Map("up", lambda up, holds=condition: up if holds(up) else -up))


def test_errors_of_python_in_a_pass_are_placed_too(graph: gw.Graph) -> None:
    with pytest.raises(PassError, match=r"'two' \(in pass Scale.*'two'.*, after Cleanup\(\)"):
        graph.apply(p.Cleanup(), p.Scale("up", "two"))  # type: ignore[arg-type]
    with pytest.raises(PassError, match=r"AttributeError: .*'norm'.*in pass Map") as caught:
        graph.apply(p.Map("up", lambda up: up.norm()))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_inputs_are_given_by_name(graph: gw.Graph) -> None:
    with pytest.raises(InputError, match=r"program\(x=\.\.\.\)"):
        gw.compile(graph, "numpy")(X)


def test_an_edit_that_no_output_sees(graph: gw.Graph) -> None:
    early = graph.apply(p.Collect("up"))
    blind = early.evolve(outputs=early.outputs[1:])
    with pytest.raises(UnreachableEditError, match="do nothing"):
        blind.apply(p.Scale("down", 2.0))


def test_truncated_and_tampered_folders(graph: gw.Graph, tmp_path: Path) -> None:
    for name, damage in (
        ("graph.txt", lambda data: data[: len(data) // 2]),
        ("graph.txt", lambda data: data.replace(b"gelu", b"relu")),
        ("params.safetensors", lambda data: data[:-8]),
        ("params.safetensors", lambda data: data[:-4] + b"\x00\x00\x80?"),
        ("manifest.json", lambda data: b"{"),
    ):
        gw.save(graph, tmp_path / "model")
        file = tmp_path / "model" / name
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(StorageError, match="model"):
            gw.load(tmp_path / "model")
    with pytest.raises(StorageError, match="nowhere"):
        gw.load(tmp_path / "nowhere")


def test_paths_that_cannot_be_written_keep_what_was_there(graph: gw.Graph, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for write in (
        lambda: gw.save(graph, file / "model"),
        lambda: gw.save(graph, file),
        lambda: gw.export_onnx(graph, file / "model.onnx"),
        lambda: graph.to_html(file / "graph.html"),
        lambda: gw.save_recipe([p.Scale("down", 2.0)], file / "recipe"),
    ):
        with pytest.raises(StorageError, match="file"):
            write()
    assert file.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_no_such_pretrained_model(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="empty"):
        gw.from_pretrained(tmp_path / "empty", local_files_only=True)


def test_a_pretrained_folder_is_converted(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=17, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path / "gpt2")
    graph = gw.from_pretrained(tmp_path / "gpt2")
    ids = torch.randint(0, 17, (3, 5))
    out = gw.compile(graph, "numpy")(input_ids=ids, attention_mask=torch.ones_like(ids))
    with torch.no_grad():
        expected = model(ids).logits.numpy()
    np.testing.assert_allclose(np.asarray(out["logits"]), expected, rtol=1e-4, atol=1e-5)
    longer = gw.generate(graph, ids[:, :3], max_new_tokens=2)
    theirs = model.generate(ids[:, :3], max_new_tokens=2, do_sample=False)
    np.testing.assert_array_equal(longer, theirs.numpy())
    for no_ids in (ids[0], ids * 0.5):
        with pytest.raises(InputError, match=r"integers, \(batch, seq\)"):
            gw.generate(graph, no_ids, max_new_tokens=2)
