"""The torch backend against the numpy reference, as a module, and compiled."""

from __future__ import annotations

import random
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graftwork.backends import Laid, compile, register_lowering
from graftwork.backends.torch import compile as compile_torch
from graftwork.backends.torch import to_torch
from graftwork.backends.torch.module import GraphModule
from graftwork.backends.torch.table import TABLE
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import DeviceError, InputError, UnsupportedOpError
from graftwork.ir.graph import Graph
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.store import Store
from tests.backends.build import Sample, graph_of, normal, sample, whole
from tests.backends.compare import assert_same, at_sizes, reference
from tests.backends.dynamic import DYNAMIC, SYMBOLS, Dynamic
from tests.backends.layouts import backward, relaid
from tests.backends.samples import SAMPLES


def eager(case: Sample) -> Any:
    return compile_torch(case.graph, mode="eager")(**case.inputs)


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: case.name)
def test_every_op_means_what_numpy_says(case: Sample) -> None:
    assert_same(eager(case), reference(case), case)


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: case.name)
def test_the_order_of_dimensions_means_nothing(case: Sample) -> None:
    moved = relaid(case, backward)
    assert_same(eager(moved), reference(moved), moved)


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_no_order_of_dimensions_means_anything(case: Sample, rng: random.Random) -> None:
    moved = relaid(case, lambda places: rng.sample(places, len(places)))
    assert_same(eager(moved), reference(moved), moved)


@pytest.mark.parametrize("case", DYNAMIC, ids=lambda case: case.name)
def test_one_module_runs_at_every_size(case: Dynamic) -> None:
    graph = case.graph()
    program = compile_torch(graph, mode="eager")
    for symbols in SYMBOLS:
        at = at_sizes(case, graph, symbols)
        assert_same(program(**at.inputs), reference(at), at)


def test_every_primitive_has_a_lowering() -> None:
    assert {op.name for op in REGISTRY.values() if op.body is None} <= {op.name for op in TABLE}


def test_the_samples_hold_every_op() -> None:
    used = {node.op.name for case in SAMPLES for node in case.graph.walk()}
    assert set(REGISTRY) - used <= {"threefry2x32"}  # which random bits are made of


def test_bfloat16_keeps_its_dtype() -> None:
    x = normal(3, 8).astype(ml_dtypes.bfloat16)
    w = normal(4, 8).astype(ml_dtypes.bfloat16)
    case = sample(
        "bf16", lambda x, w: ops.softmax(ops.contract(x, w, over="e"), axis="o"),
        x=("s e", x), parameters={"w": ("o e", w)},
    )  # fmt: skip
    program = compile_torch(case.graph, mode="eager")
    found = program(x=torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16))["out"].array
    wanted = np.asarray(reference(case)["out"]).astype(np.float32)
    assert found.dtype == torch.bfloat16
    np.testing.assert_allclose(found.float().numpy(), wanted, rtol=3e-2, atol=3e-2)


# --- as a module --------------------------------------------------------------------------------


def mlp(**arrays: Any) -> Graph:
    """Two layers; `block.1.weight` may be given as any kind of array."""

    def build(x: Term, **p: Term) -> Term:
        hidden = ops.gelu(ops.linear(x, p["block.0.weight"], p["block.0.bias"], over="e"))
        return ops.contract(hidden, p["block.1.weight"], over="h")

    parameters = {
        "block.0.weight": ("h e", normal(6, 4, dtype=np.float32)),
        "block.0.bias": ("h", normal(6, dtype=np.float32)),
        "block.1.weight": ("o h", normal(3, 6, dtype=np.float32)),
    }
    x = ("b e", normal(2, 4, dtype=np.float32))
    graph = graph_of(build, {"x": x}, parameters, {"b": "batch"})
    return graph.evolve(store=graph.store.over(arrays))


def test_parameters_keep_their_names_and_train() -> None:
    module = to_torch(mlp())
    assert list(module.state_dict()) == ["block.0.weight", "block.0.bias", "block.1.weight"]
    x, wanted = torch.randn(5, 4), torch.randn(5, 3)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    losses = []
    for _ in range(20):
        loss = (module(x=x)["out"] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_state_dicts_load_into_another_module() -> None:
    first, second = to_torch(mlp()), to_torch(mlp())
    changed = {name: value + 1 for name, value in first.state_dict().items()}
    second.load_state_dict(changed)
    x = torch.randn(2, 4)
    assert not torch.allclose(first(x=x)["out"], second(x=x)["out"])
    first.load_state_dict(changed)
    assert torch.equal(first(x=x)["out"], second(x=x)["out"])


def test_training_leaves_the_arrays_of_the_store_alone() -> None:
    tensor = torch.randn(3, 6)
    before = tensor.clone()
    module = to_torch(mlp(**{"block.1.weight": tensor}))
    weight = module.get_parameter("block.1.weight")
    assert torch.equal(weight, tensor)
    with torch.no_grad():
        weight += 1
    assert torch.equal(tensor, before)


def test_frozen_parameters_are_buffers() -> None:
    graph = mlp()
    first, *rest = graph.parameters
    frozen = graph.evolve(parameters=(type(first)(first.name, first.value, first.layout,
                                                  trainable=False), *rest))  # fmt: skip
    module = to_torch(frozen)
    assert "block.0.weight" in dict(module.named_buffers())
    assert set(module.state_dict()) == {"block.0.weight", "block.0.bias", "block.1.weight"}


def test_hostile_parameter_names_are_kept_apart() -> None:
    names = ["a", "a.b", "forward", "", "..", "train.forward", "function"]
    arrays = {name: ("e", normal(2, seed=i)) for i, name in enumerate(names)}

    def build(x: Term, **p: Term) -> Term:
        total = x
        for i, name in enumerate(names):
            total = total + p[name] * float(i + 1)
        return total

    case = sample("names", build, arrays, x=("e", normal(2)))
    module = to_torch(case.graph)
    with torch.no_grad():
        assert_same(module(x=torch.from_numpy(case.inputs["x"])), reference(case), case)
    assert len(module.state_dict()) == len(names)


def test_inputs_are_checked_in_the_callers_words() -> None:
    module = to_torch(mlp())
    with pytest.raises(InputError, match="no input 'y'"):
        module(x=torch.randn(2, 4), y=torch.randn(1))
    with pytest.raises(InputError, match="'e' has size 4"):
        module(x=torch.randn(2, 5))


def test_inputs_with_dots_come_nested_or_flat() -> None:
    case = sample("dots", lambda **terms: terms["clean.x"] + terms["x"],
                  **{"x": ("a", normal(3)), "clean.x": ("a", normal(3, seed=1))})  # fmt: skip
    tensors = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    nested = to_torch(case.graph)(x=tensors["x"], clean={"x": tensors["clean.x"]})
    assert_same(nested, reference(case), case)
    assert_same(to_torch(case.graph)(**tensors), reference(case), case)


def test_unsigned_words_come_in_and_go_out_as_such() -> None:
    words = np.array([1, 2**32 - 1], np.uint32)
    case = sample("words", lambda x: x + x, x=("a", words))
    found = to_torch(case.graph)(x=torch.from_numpy(words))["out"]
    assert found.dtype == torch.uint32
    assert found.tolist() == [2, 2**32 - 2]


def test_a_missing_device_is_named() -> None:
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        compile_torch(mlp(), device="tpu")


def test_unknown_ops_are_refused_by_name_until_they_are_registered() -> None:
    cube = Op(
        "cube", "x", "x cubed.", infer=lambda typing, x: x,
        evaluate=lambda at, x: type(x)(x.array**3, x.axes),
    )  # fmt: skip
    case = sample("cube", lambda x: cube(x), x=("a", normal(3)))
    with pytest.raises(UnsupportedOpError, match=r"torch backend has no lowering for cube"):
        compile(case.graph, "torch")
    register_lowering("torch", cube, lambda target, node, xs: Laid(xs[0].array ** 3, xs[0].axes))
    assert_same(eager(case), reference(case), case)


# --- what is emitted ----------------------------------------------------------------------------


def targets(graph: Graph) -> list[str]:
    module = GraphModule(graph, train=False)
    return [
        getattr(node.target, "__name__", str(node.target)) for node in module.function.graph.nodes
    ]


def attention_block(x: Term, **p: Term) -> Term:
    normed = ops.layer_norm(x, p["ln"], over="e", eps=1e-5)
    q, k, v = (ops.contract(normed, p[word], over="e") for word in "qkv")
    keys, values = k.rename(s="t"), v.rename(s="t")
    z = ops.attention(q, keys, values, over="d", key="t", scale=0.5)
    return x + ops.contract(z, p["o"], over=("h", "d"))


BLOCK = graph_of(
    attention_block,
    {"x": ("b s e", normal(2, 3, 8))},
    {
        "ln": ("e", normal(8)),
        **{word: ("h d e", normal(2, 4, 8, seed=i)) for i, word in enumerate("qkv")},
        "o": ("e h d", normal(8, 2, 4)),
    },
    {"b": "batch", "s": "seq", "t": "seq"},
)


def test_a_transformer_block_is_made_of_fused_kernels() -> None:
    names = targets(BLOCK)
    assert names.count("scaled_dot_product_attention") == 1
    assert names.count("layer_norm") == 1
    assert not {"softmax", "exp", "einsum"} & set(names)


def test_a_known_exponent_is_a_number() -> None:
    graph = graph_of(lambda x: x**3.0, {"x": ("a", normal(3))})
    module = GraphModule(graph, train=False)
    (power,) = (node for node in module.function.graph.nodes if node.target is torch.pow)
    assert power.args[1] == 3.0


@pytest.mark.parametrize("mode", ["eager", "inductor"])
def test_an_index_that_is_out_of_range_is_the_users(mode: Any) -> None:
    inputs = {"x": ("v e", normal(5, 3)), "i": ("s", np.array([1, 9]))}
    graph = graph_of(lambda x, i: ops.gather(x, i, axes=("v",)), inputs)
    program = compile(graph, "torch", mode=mode)
    with pytest.raises(InputError, match="out of range"):
        program(**{name: array for name, (_, array) in inputs.items()})


# --- TorchInductor ------------------------------------------------------------------------------

COMPILED = (
    *("linear", "layer_norm", "attention-grouped", "gather-fill", "conv-groups"),
    *("sort-two-keys", "scatter-max-float64", "scatter-into-broadcast"),
)
IN_PIECES = ("while-axes", "cond-true", "scan")  # Python runs what is compiled of them


class Together(torch.nn.Module):
    """Several modules as one, so that they are compiled at once."""

    def __init__(self, modules: dict[str, torch.nn.Module]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict(modules)

    def forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: part(**inputs[name]) for name, part in self.parts.items()}


@pytest.mark.parametrize("names", [COMPILED, IN_PIECES], ids=["whole", "in pieces"])
def test_torchinductor_gives_the_same(names: tuple[str, ...]) -> None:
    cases = {case.name: case for case in SAMPLES if case.name in names}
    assert set(cases) == set(names)
    together = Together({name: GraphModule(case.graph) for name, case in cases.items()})
    inputs = {
        name: {word: torch.from_numpy(array) for word, array in case.inputs.items()}
        for name, case in cases.items()
    }
    with torch.no_grad():
        found = torch.compile(together)(inputs)
    for name, case in cases.items():
        assert_same(found[name], reference(case), case)


def test_a_compiled_program_runs_at_other_sizes() -> None:
    program = compile(BLOCK, "torch")
    for batch, seq in ((2, 3), (1, 5), (3, 1)):
        inputs = {"x": normal(batch, seq, 8)}
        case = Sample(f"{batch}x{seq}", BLOCK, inputs)
        assert_same(program(**inputs), reference(case), case)


def test_a_recurrence_is_compiled_once_for_all_lengths() -> None:
    (case,) = (case for case in DYNAMIC if case.name == "scan")
    graph = case.graph()
    program = compile(graph, "torch")
    compiled = []
    for length in (5, 2, 13, 40):
        given = at_sizes(case, graph, {"n": 3, "m": length, "t": 1, "d": 1})
        assert_same(program(**given.inputs), reference(given), given)
        compiled.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert compiled[2:] == [compiled[1]] * 2


@pytest.mark.parametrize("strict", [False, True])
def test_a_module_with_a_recurrence_is_exported(strict: bool) -> None:
    (case,) = (case for case in SAMPLES if case.name == "scan")
    given = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    program = torch.export.export(to_torch(case.graph), (), given, strict=strict)
    assert_same(program.module()(**given), reference(case), case)


def test_integers_and_stores_of_any_framework() -> None:
    import jax.numpy as jnp

    graph = mlp(**{"block.1.weight": jnp.ones((3, 6), jnp.float32)})
    assert isinstance(graph.store, Store)
    x = normal(2, 4, dtype=np.float32)
    found = compile_torch(graph, mode="eager")(x=x)["out"]
    wanted = compile(graph, "numpy")(x=x)["out"]
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), 1e-5, 1e-5)
    with pytest.raises(InputError, match="not an array"):
        compile_torch(graph, mode="eager")(x=whole(2).tolist())
