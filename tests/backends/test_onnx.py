"""The ONNX backend against the numpy reference, and the files that it writes."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from graftwork.backends import Laid, compile, engine
from graftwork.backends.onnx import export
from graftwork.backends.onnx.emit import Emitter
from graftwork.backends.onnx.fused import fuse_transposed
from graftwork.backends.onnx.model import model_of
from graftwork.backends.onnx.session import _Weights
from graftwork.ir import ops
from graftwork.ir.attributes import FLOAT, Spec
from graftwork.ir.build import Builder
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DeviceError, InputError, StorageError, UnsupportedOpError
from graftwork.ir.graph import Graph, Port
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from tests.backends.build import F32, Sample, graph_of, normal, sample
from tests.backends.dynamic import DYNAMIC, SYMBOLS, Dynamic
from tests.backends.samples import SAMPLES

_PRECISION = {2: 2e-3, 4: 1e-5, 8: 1e-12}
_BF16 = 2e-2


def agree(found: Any, wanted: Any, scale: float = 1.0) -> None:
    """Equal names, axes, dtypes and numbers; floats to the precision of their dtype."""
    assert list(found) == list(wanted)
    for name, reference in wanted.items():
        result = found[name]
        assert result.axes == reference.axes
        assert result.dtype == reference.dtype
        a, b = np.asarray(result.array), np.asarray(reference.array)
        assert a.shape == b.shape
        if a.dtype.kind not in "fV":
            np.testing.assert_array_equal(a, b)
            continue
        bound = scale * (_BF16 if a.dtype == ml_dtypes.bfloat16 else _PRECISION[a.dtype.itemsize])
        a, b = a.astype(np.float64), b.astype(np.float64)
        np.testing.assert_allclose(a, b, rtol=bound, atol=bound)


# --- every op -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: case.name)
def test_every_op_means_what_numpy_says(case: Sample) -> None:
    wanted = compile(case.graph, "numpy")(**case.inputs)
    agree(compile(case.graph, "onnx")(**case.inputs), wanted, case.tolerance)


HALVES: dict[str, Any] = {
    "arithmetic": lambda x, y: ops.exp(x) * y / 3.0 - ops.tanh(y) + ops.sign(x) ** 2.0,
    "linear": lambda x, y: ops.linear(x, y, over="c"),
    "softmax": lambda x, y: ops.softmax(x + y, axis="c"),
    "order": lambda x, y: ops.sort.emit(x, y, axis="c", descending=True),
    "max": lambda x, y: (x.max("c"), ops.argmax(y, axis="c"), ops.maximum(x, y)),
    "layer_norm": lambda x, y: ops.layer_norm(x, over="c", eps=1e-5) + y,
    "rms_norm": lambda x, y: ops.rms_norm(
        x, y.mean("a"), over="c", eps=1e-5, in_f32=True, weight_after_cast=True
    ),
    "gelu": lambda x, y: ops.gelu(x) + ops.gelu(y, approximate="tanh") + ops.silu(x),
    "select": lambda x, y: ops.select(x > y, x, y[{"a": 0}]).sum("a").broadcast("a"),
    "pad": lambda x, y: ops.pad(x, 1.0, axis="c", low=2, into="z"),
    "cumulative": lambda x, y: (ops.cumsum(x, axis="c"), ops.cumlogsumexp(y, axis="c")),
    "special": lambda x, y: ops.erf_inv(ops.tanh(x)) + ops.lgamma(ops.abs(y) + 1.0) + ops.expm1(x),
    "casts": lambda x, y: (x.cast("i32"), x.cast("f64"), (y > 0.0).cast(x.dtype)),
    "scatter": lambda x, y: ops.scatter(
        x, y.rename(a="s"), ops.iota(axis="s") * 0, axes=("a",), over="s", combine="add"
    ),
}


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["f16", "bf16"])
@pytest.mark.parametrize("name", HALVES)
def test_sixteen_bit_floats_round_as_numpy_does(name: str, dtype: Any) -> None:
    x, y = normal(3, 4).astype(dtype), normal(3, 4, seed=1).astype(dtype)
    case = sample(name, HALVES[name], x=("a c", x), y=("a c", y))
    wanted = compile(case.graph, "numpy")(**case.inputs)
    agree(compile(case.graph, "onnx")(**case.inputs), wanted)


@pytest.mark.parametrize("case", DYNAMIC, ids=lambda case: case.name)
def test_one_session_runs_at_every_size(case: Dynamic) -> None:
    graph = case.graph()
    reference, run = compile(graph, "numpy"), compile(graph, "onnx")
    for seed, symbols in enumerate(SYMBOLS):
        inputs = case.arrays(symbols, seed)
        agree(run(**inputs), reference(**inputs), 1e7 if case.name in ("conv", "layer_norm") else 9)


FORMULAS = [
    "expm1", "log1p", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
    "erf", "erfc", "erf_inv", "lgamma", "digamma",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_what_the_runtime_lacks_in_f64_is_exact(name: str) -> None:
    """Over the whole range, at both ends, and close to where formulas change."""
    small = np.geomspace(1e-300, 0.5, 200)
    ends = np.concatenate([small, 1 - np.geomspace(1e-16, 0.5, 100), np.linspace(0, 1, 101)])
    wide = np.concatenate([ends, np.linspace(1, 30, 500), [0.0, np.nan, np.inf]])
    if name not in ("tan", "digamma", "lgamma"):
        wide = np.concatenate([wide, np.geomspace(30, 1e300, 100)])
    poles = name in ("digamma", "lgamma")  # near which the reference itself is not exact
    x = np.concatenate([wide, [-7.3, -2.5, -0.5, -0.1] if poles else -wide])
    if name == "tan":  # near its poles the last bit of x decides
        x = x[np.isfinite(x)]
        x = x[np.abs(np.cos(x)) > 1e-3]
    graph = graph_of(lambda x: {"y": ops.__getattr__(name)(x)}, {"x": ("a", x)})
    found, wanted = (compile(graph, b)(x=x)["y"].array for b in ("onnx", "numpy"))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


# --- files --------------------------------------------------------------------------------------


def model() -> Graph:
    """A linear layer with a weight, a dynamic batch and a unit dimension."""
    return graph_of(
        lambda x, w: {"y": ops.tanh(ops.linear(x, w, over="c"))},
        {"x": ("a 1 c", normal(2, 1, 4).astype(np.float32))},
        {"w": ("o c", normal(300, 4).astype(np.float32))},
        {"a": "n"},
    )


def test_a_file_names_inputs_outputs_and_dynamic_dimensions(tmp_path: Path) -> None:
    export(model(), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph

    def dims(value: Any) -> list[Any]:
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert {value.name: dims(value) for value in graph.input} == {"x": ["n", 1, 4]}
    assert {value.name: dims(value) for value in graph.output} == {"y": ["n", 300]}
    assert "w" in [value.name for value in graph.initializer]


@pytest.mark.parametrize("external", [False, True])
def test_a_file_runs_by_itself_at_other_sizes(tmp_path: Path, external: bool) -> None:
    path = tmp_path / "model.onnx"
    export(model(), path, external=external)
    assert sorted(file.name for file in tmp_path.iterdir()) == (
        ["model.onnx", "model.onnx.data"] if external else ["model.onnx"]
    )
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = normal(5, 1, 4).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, compile(model(), "numpy")(x=x)["y"].array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", DYNAMIC, ids=lambda case: case.name)
def test_every_file_passes_the_checker(tmp_path: Path, case: Dynamic) -> None:
    export(case.graph(), tmp_path / "model.onnx")


def test_nodes_say_where_they_came_from(tmp_path: Path) -> None:
    graph = model()
    origin = Origin("encoder.mlp", "model.py:12", "aten.tanh")
    nodes = tuple(_from(node, origin) for node in graph.nodes)
    export(graph.evolve(nodes=nodes), tmp_path / "model.onnx")
    (tanh,) = (n for n in onnx.load(tmp_path / "model.onnx").graph.node if n.op_type == "Tanh")
    assert tanh.name == "encoder.mlp/Tanh"
    assert tanh.doc_string == str(origin)


def _from(node: Any, origin: Origin) -> Any:
    import attrs

    return attrs.evolve(node, origin=origin)


def test_inputs_and_outputs_may_share_names_and_be_hostile(tmp_path: Path) -> None:
    x = normal(3)
    graph = graph_of(lambda **t: {'a"/\n': t['a"/\n'], "b": t['a"/\n']}, {'a"/\n': ("s", x)})
    results = compile(graph, "onnx")(**{'a"/\n': x})
    np.testing.assert_array_equal(results['a"/\n'].array, x)
    np.testing.assert_array_equal(results["b"].array, x)
    export(graph, tmp_path / "model.onnx")


def test_a_failed_write_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("onnx_ir.save", full)
    with pytest.raises(StorageError, match=r"model\.onnx.*no space left"):
        export(model(), path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("bad", ["missing/model.onnx", "."])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, bad: str) -> None:
    with pytest.raises(StorageError, match="cannot write the model"):
        export(model(), tmp_path / bad)


# --- sessions -----------------------------------------------------------------------------------


def test_a_session_reads_weights_where_they_lie() -> None:
    weights = _Weights()
    array = normal(64, 64)
    weights.tensor("w", array)
    assert np.shares_memory(weights.arrays["w"], array)


def test_a_session_multiplies_by_transposed_weights_as_they_lie(tmp_path: Path) -> None:
    inputs = {"x": ("n c", normal(3, 4, dtype=F32))}
    weights = {"w": ("d c", normal(5, 4, dtype=F32))}
    graph = graph_of(lambda x, w: ops.linear(x, w, over="c") * w.sum("c"), inputs, weights)
    model = model_of(graph, _Weights().tensor)
    fuse_transposed(model)
    kinds = [node.op_type for node in model.graph]
    assert "FusedMatMul" in kinds
    assert "Transpose" not in kinds
    agree(compile(graph, "onnx")(x=inputs["x"][1]), compile(graph, "numpy")(x=inputs["x"][1]))
    export(graph, tmp_path / "model.onnx")
    assert all(node.domain == "" for node in onnx.load(tmp_path / "model.onnx").graph.node)


def test_a_session_keeps_the_weights_that_it_reads() -> None:
    weight = normal(64, 64)
    held = weakref.ref(weight)
    graph = graph_of(lambda x, w: x + w, {"x": ("a b", weight * 2)}, {"w": ("a b", weight)})
    session = compile(graph, "onnx").native
    del graph, weight
    gc.collect()
    assert held() is not None
    del session
    gc.collect()
    assert held() is None


def test_bfloat16_goes_in_and_out() -> None:
    x = normal(2, 3).astype(ml_dtypes.bfloat16)
    graph = graph_of(lambda x: {"y": x * 2.0}, {"x": ("a b", x)})
    y = compile(graph, "onnx")(x=x)["y"].array
    assert y.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(y, x + x)


def test_inputs_of_torch_and_of_any_layout_are_taken() -> None:
    torch = pytest.importorskip("torch")
    x = normal(4, 3).astype(np.float32)
    graph = graph_of(lambda x: {"y": ops.cumsum(x, axis="a")}, {"x": ("a b", x[:, :2])})
    run = compile(graph, "onnx")
    wanted = np.cumsum(x[:, ::-2], axis=0)
    np.testing.assert_allclose(run(x=x[:, ::-2])["y"].array, wanted, rtol=1e-6)
    tensor = torch.from_numpy(x[:, ::-2].copy()).requires_grad_()
    np.testing.assert_allclose(run(x=tensor)["y"].array, wanted, rtol=1e-6)
    rounded = tensor.detach().bfloat16()
    np.testing.assert_allclose(run(x=rounded.float())["y"].array, wanted, rtol=1e-2)


def test_a_device_that_is_absent_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"no device 'tpu'.*CPUExecutionProvider"):
        compile(model(), "onnx", "tpu")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        with pytest.raises(DeviceError, match=r"no device 'cuda'.*graftwork\[gpu\]"):
            compile(model(), "onnx", "cuda")


def test_what_fails_while_running_is_our_error() -> None:
    x, i = normal(3), np.array([7])
    inputs = {"x": ("v", x), "i": ("s", i)}
    graph = graph_of(lambda x, i: ops.gather(x, i + i, axes=("v",)), inputs)
    with pytest.raises(InputError, match="ONNX Runtime could not run"):
        compile(graph, "onnx")(x=x, i=i)


# --- refusals -----------------------------------------------------------------------------------


ALIEN = Op(
    "alien", "x", "An op of somebody else.", attrs=(Spec("scale", FLOAT, 1.0),),
    infer=lambda typing, x, scale: x,
)  # fmt: skip


def alien_graph() -> Graph:
    builder = Builder(origin=Origin("decoder.3", "mine.py:7"))
    builder.typing.make("a", 3)
    x = builder.input(DType.f32, "a", "x")
    y = ALIEN(x)
    given, made = Port("x", x.value, ("a",)), Port("y", y.value, ("a",))
    return Graph((given,), (), tuple(builder.nodes), (made,), dict(builder.typing.table))


def test_an_op_without_a_lowering_is_refused_by_name_and_origin() -> None:
    with pytest.raises(UnsupportedOpError, match=r"alien.*decoder\.3.*mine\.py:7"):
        compile(alien_graph(), "onnx")


def test_a_lowering_that_the_runtime_refuses_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def lower(target: Any, node: Any, operands: Any) -> Laid:
        return Laid(target.emit.op("Alien", operands[0].array), operands[0].axes)

    monkeypatch.setitem(engine._REGISTERED, ("onnx", ALIEN), lower)
    with pytest.raises(UnsupportedOpError, match=r"ONNX Runtime refuses the model.*Alien"):
        compile(alien_graph(), "onnx")


def test_a_dtype_without_a_kernel_is_refused_by_name_and_origin() -> None:
    emit = Emitter()
    emit.word, emit.origin = "gelu", Origin("decoder.3", "mine.py:7")
    x = emit.value("x", DType.f64, [3])
    with pytest.raises(UnsupportedOpError, match=r"no kernel for Gelu on f64.*gelu.*mine\.py:7"):
        emit.op("Gelu", x)


# --- what is written ----------------------------------------------------------------------------


def kinds(graph: Graph, path: Path) -> dict[str, int]:
    """How often each kind of node is written."""
    export(graph, path)
    found = [node.op_type for node in onnx.load(path).graph.node]
    return {kind: found.count(kind) for kind in found}


def test_a_linear_layer_is_a_product_and_a_sum(tmp_path: Path) -> None:
    graph = graph_of(
        lambda x, w, b: {"y": ops.linear(x, w, b, over="c")},
        {"x": ("a s c", normal(2, 3, 4))},
        {"w": ("c o", normal(4, 5)), "b": ("o", normal(5))},
        {"a": "n", "s": "m"},
    )
    assert kinds(graph, tmp_path / "model.onnx") == {"MatMul": 1, "Add": 1}


def test_attention_moves_each_operand_once(tmp_path: Path) -> None:
    def attend(q: Any, k: Any, v: Any, mask: Any) -> Any:
        q, k, v = (x.split("e", h=2, d=4) for x in (q, k, v))
        k, v = (x.rename(s="t") for x in (k, v))
        return {"z": ops.attention(q, k, v, mask, over="d", key="t").merge("h", "d", into="e")}

    x = normal(2, 3, 8)
    inputs = {"q": ("a s e", x), "k": ("a s e", x), "v": ("a s e", x)}
    masked = inputs | {"mask": ("s t", np.ones((3, 3), np.bool_))}
    graph = graph_of(attend, masked, sizes={"a": "n", "s": "m", "t": "m"})
    found = kinds(graph, tmp_path / "model.onnx")
    assert found == {"Reshape": 4, "Transpose": 4, "MatMul": 2, "Where": 1, "Softmax": 1}


def test_views_that_several_nodes_take_are_written_once(tmp_path: Path) -> None:
    graph = graph_of(
        lambda x, y: {"u": x + y, "v": x * y},
        {"x": ("a b", normal(2, 3)), "y": ("a", normal(2))},
    )
    assert kinds(graph, tmp_path / "model.onnx")["Unsqueeze"] == 1
