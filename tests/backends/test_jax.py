"""The JAX backend against the numpy reference, as a pure function, sharded, as it is emitted."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from jax import lax

import graftwork as gw
from graftwork.backends import Laid, compile, register_lowering
from graftwork.backends.jax import compile as compile_jax
from graftwork.backends.jax import to_jax
from graftwork.backends.jax.table import TABLE
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import (
    AxisError,
    DeviceError,
    InputError,
    RecompilationWarning,
    UnsupportedOpError,
)
from graftwork.ir.graph import Graph
from graftwork.ir.op import REGISTRY, Op
from tests.backends.build import Sample, graph_of, normal, sample, whole
from tests.backends.compare import assert_same, at_sizes, reference
from tests.backends.dynamic import DYNAMIC, SYMBOLS
from tests.backends.layouts import backward, relaid
from tests.backends.samples import SAMPLES

FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
CHUNK = 60


def run_together(cases: list[Sample]) -> dict[str, Any]:
    """Many graphs in one compilation, which is what takes the time."""
    functions = {case.name: to_jax(case.graph) for case in cases}
    params = {name: found[1] for name, found in functions.items()}

    def everything(params: Any, inputs: Any) -> Any:
        return {n: function(params[n], inputs[n]) for n, (function, _) in functions.items()}

    with jax.enable_x64(True):
        inputs = {case.name: dict(case.inputs) for case in cases}
        found: dict[str, Any] = jax.jit(everything, compiler_options=FAST)(params, inputs)
        return found


def chunks(cases: list[Sample]) -> list[list[Sample]]:
    return [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]


@pytest.mark.parametrize("cases", chunks(SAMPLES), ids=lambda cases: cases[0].name)
def test_every_op_means_what_numpy_says(cases: list[Sample]) -> None:
    found = run_together(cases)
    for case in cases:
        assert_same(found[case.name], reference(case), case)


WIDE = [case for case in SAMPLES if any(len(port.layout) > 1 for port in case.graph.inputs)]


@pytest.mark.parametrize("cases", chunks(WIDE[::2]), ids=lambda cases: cases[0].name)
def test_the_order_of_dimensions_means_nothing(cases: list[Sample]) -> None:
    moved = [relaid(case, backward) for case in cases]
    found = run_together(moved)
    for case in moved:
        assert_same(found[case.name], reference(case), case)


@pytest.mark.parametrize("symbols", SYMBOLS, ids=str)
def test_symbolic_sizes_are_read_off_shapes(symbols: dict[str, int]) -> None:
    cases = [at_sizes(case, case.graph(), symbols) for case in DYNAMIC]
    found = run_together(cases)
    for case in cases:
        assert_same(found[case.name], reference(case), case)


def test_every_primitive_has_a_lowering() -> None:
    assert {op.name for op in REGISTRY.values() if op.body is None} <= {op.name for op in TABLE}


def test_bfloat16_keeps_its_dtype() -> None:
    x, w = (normal(*shape).astype(ml_dtypes.bfloat16) for shape in ((3, 8), (4, 8)))
    case = sample(
        "bf16", lambda x, w: ops.softmax(ops.contract(x, w, over="e"), axis="o"),
        x=("s e", x), parameters={"w": ("o e", w)},
    )  # fmt: skip
    assert_same(compile(case.graph, "jax")(**case.inputs), reference(case), case)


# --- 64 bits ------------------------------------------------------------------------------------


def test_64_bits_stay_64_without_touching_the_callers_configuration() -> None:
    large = np.array([2**40, 2**40 + 3])
    case = sample("wide", lambda x, y: (x - 2**40, y * (1 + 1e-12)), x=("a", large),
                  y=("b", normal(3)))  # fmt: skip
    assert not jax.config.jax_enable_x64
    assert_same(compile(case.graph, "jax")(**case.inputs), reference(case), case)
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(1).dtype == jnp.float32


# --- as a pure function -------------------------------------------------------------------------


def classifier(x: Term, table: Term, w: Term) -> Term:
    hidden = ops.tanh(ops.gather(table, x, axes=("v",)))
    return ops.logsumexp(ops.contract(hidden, w, over="e"), over=("s", "o"))


IDS = whole(2, 3, high=5)
CLASSIFIER = graph_of(
    classifier,
    {"x": ("b s", IDS)},
    {
        "table": ("v e", normal(5, 4, dtype=np.float32)),
        "w": ("e o", normal(4, 3, dtype=np.float32)),
    },
)


def test_gradients_of_parameters() -> None:
    fn, params = to_jax(CLASSIFIER)

    @jax.jit
    def loss(params: Any) -> Any:
        return fn(params, x=IDS)["out"].sum()

    gradient = jax.jit(jax.grad(loss))(params)
    step = 1e-2
    for name in params:
        direction = jnp.asarray(normal(*params[name].shape, dtype=np.float32))
        ends = [loss({**params, name: params[name] + s * direction}) for s in (step, -step)]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((gradient[name] * direction).sum()) == pytest.approx(float(slope), rel=1e-2)


def test_the_function_takes_names_or_a_dict_and_can_be_mapped() -> None:
    fn, params = to_jax(CLASSIFIER)
    alone = fn(params, x=IDS)["out"]
    assert np.array_equal(alone, fn(params, {"x": IDS})["out"])
    many = jnp.stack([IDS, IDS[::-1]])
    mapped = jax.vmap(lambda ids: fn(params, x=ids)["out"])(many)
    np.testing.assert_allclose(mapped, np.stack([alone, alone[::-1]]), rtol=1e-6)
    with pytest.raises(InputError, match="no input 'ids'"):
        fn(params, ids=IDS)


def test_tensors_of_torch_are_taken_as_they_are() -> None:
    weight = torch.randn(4, 3).to(torch.bfloat16)
    graph = graph_of(
        lambda x, w: ops.contract(x, w, over="e"),
        {"x": ("e", normal(4).astype(ml_dtypes.bfloat16))},
        {"w": ("e o", normal(4, 3).astype(ml_dtypes.bfloat16))},
    )
    held = graph.evolve(store=graph.store.over({"w": torch.nn.Parameter(weight)}))
    x = torch.randn(4).to(torch.bfloat16)
    found = np.asarray(compile(held, "jax")(x=x)["out"]).astype(np.float32)
    np.testing.assert_allclose(found, (x @ weight).float().numpy(), rtol=2e-2, atol=2e-2)


# --- what is emitted ----------------------------------------------------------------------------


def primitives(graph: Graph, **inputs: Any) -> list[str]:
    fn, params = to_jax(graph)
    return [str(eqn.primitive) for eqn in jax.make_jaxpr(fn)(params, inputs).jaxpr.eqns]


def test_products_are_not_transposed() -> None:
    """Whatever the order of axes in memory, and one axis less or more."""
    x, w = normal(2, 3, 8), normal(2, 4, 8)
    for layout, array in (("h d e", w), ("e h d", w.transpose(2, 0, 1).copy())):
        for data, axes in ((x, "b s e"), (x.transpose(2, 0, 1).copy(), "e b s")):
            graph = graph_of(
                lambda x, w: ops.contract(x, w, over="e") * 2.0,
                {"x": (axes, data)},
                {"w": (layout, array)},
            )
            names = primitives(graph, x=data)
            assert "dot_general" in names
            assert "transpose" not in names


def test_a_convolution_takes_dimensions_as_they_lie() -> None:
    image, taps = normal(2, 7, 6, 4), normal(3, 2, 4, 5)
    spatial = {
        "axes": ("h", "w"), "kernel": ("kh", "kw"), "into": ("oh", "ow"), "over": "c",
        "stride": (1, 1), "dilation": (1, 1), "base_dilation": (1, 1), "low": (0, 0),
        "high": (0, 0),
    }  # fmt: skip
    graph = graph_of(
        lambda x, w: ops.conv(x, w, **spatial),
        {"x": ("b h w c", image)},
        {"w": ("kh kw c o", taps)},
    )
    names = primitives(graph, x=image)
    assert "conv_general_dilated" in names
    assert "transpose" not in names


# --- devices ------------------------------------------------------------------------------------


def test_a_missing_device_is_named() -> None:
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        compile_jax(CLASSIFIER, device="tpu")


def test_an_unknown_axis_to_shard_is_named() -> None:
    with pytest.raises(AxisError, match="no axis or role 'heds'"):
        compile_jax(CLASSIFIER, shard={"heds": "model"})


SHARDED = """
import jax, numpy as np
from graftwork.backends import compile
from graftwork.backends.jax import compile as compile_jax
from graftwork.ir import ops
from tests.backends.build import graph_of, normal

assert len(jax.devices()) == 4

def attend(x, q, o):
    heads = ops.contract(x, q, over="e").split("hd", h=2, d=4)
    return ops.contract(ops.softmax(heads, axis="s"), o, over=("h", "d"))

x = normal(4, 3, 8)
graph = graph_of(
    attend, {"x": ("b s e", x)},
    {"q": ("hd e", normal(8, 8)), "o": ("h d e2", normal(2, 4, 8))},
    {"b": "batch"},
)
program = compile_jax(graph, shard={"h": "model", "b": "data"})
wanted = np.asarray(compile(graph, "numpy")(x=x)["out"])
found = program(x=x)["out"]
np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-12, atol=1e-12)
assert len(found.array.sharding.device_set) == 4, found.array.sharding
text = program.native.lower(
    {n: np.asarray(graph.store[n], np.float32) for n in ("q", "o")}, {"x": x.astype(np.float32)}
).as_text()
assert "sharding_constraint" in text or "Sharding" in text, text
odd = program(x=x[:3])["out"]  # three do not divide by two, so they stay whole
np.testing.assert_allclose(np.asarray(odd), wanted[:3], rtol=1e-12, atol=1e-12)
"""


def test_axes_are_spread_over_a_mesh() -> None:
    """In a process of its own: the number of devices is fixed when JAX starts."""
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SHARDED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_unknown_ops_are_refused_by_name_until_they_are_registered() -> None:
    cube = Op(
        "cube", "x", "x cubed.", infer=lambda typing, x: x,
        evaluate=lambda at, x: type(x)(x.array**3, x.axes),
    )  # fmt: skip
    case = sample("cube", lambda x: cube(x), x=("a", normal(3)))
    with pytest.raises(UnsupportedOpError, match=r"jax backend has no lowering for cube"):
        compile(case.graph, "jax")(**case.inputs)
    register_lowering(
        "jax", cube, lambda target, node, xs: Laid(lax.integer_pow(xs[0].array, 3), xs[0].axes)
    )
    assert_same(compile(case.graph, "jax")(**case.inputs), reference(case), case)


def test_a_program_says_when_it_is_compiled_for_many_shapes() -> None:
    module = torch.nn.Linear(3, 2)
    graph = gw.from_torch(module, torch.zeros(2, 3), axes={0: "batch features=3"})
    run = gw.compile(graph, backend="jax")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for batch in (1, 2, 3, 4, 5, 6, 7, 3, 2):
            run(input=torch.zeros(batch, 3))
    with pytest.warns(RecompilationWarning, match="for 8 shapes .batch was 1, 2, 3, 4, 5, 6, 7, 8"):
        run(input=torch.zeros(8, 3))


def test_a_program_is_compiled_once_for_a_shape_and_not_within_a_transformation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = torch.nn.Linear(3, 2)
    graph = gw.from_torch(module, torch.zeros(2, 3), axes={0: "batch features=3"})
    run = gw.compile(graph, backend="jax")
    with jax.log_compiles():
        for batch in (2, 5, 2):
            run(input=jnp.zeros((batch, 3)))
        total = lambda x: run(input=x)["output"].array.sum()  # noqa: E731
        slope = jax.jit(jax.grad(total))(jnp.zeros((7, 3)))
    np.testing.assert_allclose(slope[0], module.weight.detach().numpy().sum(0), rtol=1e-6)
    names = [record.getMessage() for record in caplog.records]
    assert sum("Finished XLA compilation of jit(program)" in name for name in names) == 2
