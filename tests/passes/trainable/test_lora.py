"""LoRA is what peft computes, whatever its targets; merged, it is gone and the numbers stay."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, RewriteError, SelectionError
from graftwork.ir.selector import Selector
from tests.passes.weights.models import IDS, MASK, converted, in_jax

RNG = np.random.default_rng(4)
X = RNG.standard_normal((3, 6))


class Layers(torch.nn.Module):
    """Two linear maps, the first with what is added to its output, as peft does it."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(6, 8), torch.nn.Linear(8, 5, bias=False)

    def forward(self, x: Any) -> Any:
        return self.down(torch.tanh(self.up(x)))


@cache
def layers() -> tuple[Layers, gw.Graph]:
    torch.manual_seed(0)
    model = Layers().double()
    return model, gw.from_torch(model, torch.tensor(X), axes={"x": "batch embed=6"})


def out(graph: gw.Graph, backend: str = "numpy", **inputs: Any) -> Any:
    result = gw.compile(graph, backend)(**(inputs or {"x": X}))
    return np.asarray(result[graph.outputs[0].name])


def names(graph: gw.Graph) -> set[str]:
    return {q.name for q in graph.parameters}


def drawn(graph: gw.Graph, key: int = 0) -> gw.Graph:
    """The graph with adapters that are not zero."""
    rng = np.random.default_rng(key)
    zeros = [name for name in names(graph) if name.endswith(".lora_b")]
    shapes = {name: np.shape(graph.params[name]) for name in sorted(zeros)}
    return graph.apply(p.Learned({n: rng.standard_normal(s) / 4 for n, s in shapes.items()}))


def as_in_peft(graph: gw.Graph, alpha: float, x: Any = X) -> Any:
    """result = W x + b; result += lora_B(lora_A(x)) * lora_alpha / r, for every linear layer."""
    model, _ = layers()

    def layer(name: str, x: Any) -> Any:
        base = getattr(model, name)(torch.tensor(x)).detach().numpy()
        if f"{name}.lora_a" not in graph.params:
            return base
        a, b = (np.asarray(graph.params[f"{name}.lora_{word}"]) for word in "ab")
        return base + (x @ a.T) @ b.T * (alpha / len(a))

    return layer("down", np.tanh(layer("up", x)))


@pytest.mark.parametrize(
    ("target", "rank"),
    [
        ("up", 2),
        (("up", "down"), 3),
        (("down", "up"), (1, 4)),
        (Selector(parameter="down.weight"), 2),
        (Selector(op="linear"), 2),
        (("up", "*"), (4, 1)),
    ],
)
def test_adapters_add_what_those_of_peft_add(target: Any, rank: Any) -> None:
    _, graph = layers()
    adapted = graph.apply(p.LoRA(target, rank, key=0, alpha=16))
    np.testing.assert_array_equal(out(adapted), out(graph))
    learned = drawn(adapted)
    np.testing.assert_allclose(out(learned), as_in_peft(learned, 16), rtol=1e-12)
    assert np.abs(out(learned) - out(graph)).max() > 0.1


def test_each_target_has_its_rank() -> None:
    _, graph = layers()
    adapted = graph.apply(p.LoRA(("up", "**"), (4, 2), key=0, count=2))
    shapes = {n: np.shape(a) for n, a in adapted.params.items() if "lora" in n}
    assert shapes == {
        "up.lora_a": (4, 6), "up.lora_b": (8, 4), "down.lora_a": (2, 8), "down.lora_b": (5, 2)
    }  # fmt: skip


def test_dropout_is_of_the_input_and_by_a_key() -> None:
    _, graph = layers()
    adapted = drawn(graph.apply(p.LoRA("up", 2, key=0, alpha=4, dropout=0.25)))
    assert [port.name for port in adapted.inputs] == ["x", "key"]
    wide = np.tile(X, (400, 1))
    key = np.array([0, 7], np.uint32)
    seen = adapted.apply(p.Collect("up"))
    found = np.asarray(gw.compile(seen, "numpy")(x=wide, key=key)["up"])
    a, b = (np.asarray(adapted.params[f"up.lora_{word}"]) for word in "ab")
    base = layers()[0].up(torch.tensor(wide)).detach().numpy()
    low = np.linalg.lstsq(b, (found - base).T / 2, rcond=None)[0].T
    options = np.array(np.meshgrid(*[[0, 1 / 0.75]] * 6)).reshape(6, -1).T
    each = np.einsum("oe,be,re->bor", options, wide, a)
    distance = np.abs(each - low[:, None]).max(-1)
    assert distance.min(-1).max() < 1e-9
    kept = (options[distance.argmin(-1)] > 0).mean()
    assert abs(kept - 0.75) < 0.02
    again, other = (out(adapted, "numpy", x=wide, key=np.array([0, k], np.uint32)) for k in (7, 8))
    np.testing.assert_array_equal(again, out(adapted, "numpy", x=wide, key=key))
    assert np.abs(other - again).max() > 0.1
    np.testing.assert_allclose(out(adapted, "jax", x=wide, key=key), again, rtol=1e-9)


def test_two_adapters_of_one_key_drop_apart() -> None:
    _, graph = layers()
    double = graph.apply(*[p.LoRA("up", 2, key=0, dropout=0.5)] * 2)
    assert [port.name for port in double.inputs] == ["x", "key"]
    numbers = [n.inputs[1] for n in double.nodes if n.op.name == "random_fold_in"]
    values = [double.index.producer[v].attrs["value"].item() for v in numbers]
    assert sorted(values) == [0, 1]
    merged = drawn(double).apply(p.MergeLoRA())
    assert [port.name for port in merged.inputs] == ["x"]


@pytest.mark.parametrize("make", [lambda: converted("llama"), lambda: in_jax("gpt2")])
def test_a_site_means_the_map_that_makes_it(make: Any) -> None:
    graph = make()
    sites = ("blocks.*.attn.q", "blocks.0.mlp.pre", "blocks.*.attn.out")
    adapted = graph.apply(p.LoRA(sites, (2, 3, 4), key=1, count=5))
    new = [name for name in names(adapted) if name.endswith(".lora_a")]
    assert sorted(len(adapted.params[name]) for name in new) == [2, 2, 3, 4, 4]
    assert all(any(word in name for word in ("q", "gate", "c_fc", "out", "o_")) for name in new)


def test_one_part_of_a_fused_projection_is_refused_until_it_is_split() -> None:
    graph = converted("gpt2")
    with pytest.raises(SelectionError, match=r"blocks.0.attn.q.*SplitQKV"):
        graph.apply(p.LoRA("blocks.0.attn.q", 2, key=0))
    adapted = graph.apply(p.SplitQKV(), p.LoRA("blocks.0.attn.q", 2, key=0))
    assert len(names(adapted)) == len(names(graph.apply(p.SplitQKV()))) + 2


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_merged_adapters_are_gone_and_the_numbers_stay(family: str) -> None:
    graph = converted(family)
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    targets = ("blocks.*.attn.out", "blocks.1.mlp.out")
    recipe = [
        p.LoRA(targets, (2, 3), key=1, alpha=4),
        p.Steer("blocks.*.attn.out", np.ones(32)),
        p.LoRA("blocks.*.attn.out", 1, key=3),
    ]
    adapted = drawn(graph.apply(*recipe))
    merged = adapted.apply(p.MergeLoRA())
    assert names(merged) == names(graph.apply(recipe[1]))
    assert len(merged.nodes) == len(graph.apply(recipe[1]).nodes)
    assert dict(merged.sites) == dict(merged.sites)
    assert list(merged.sites) == list(adapted.sites)
    exact = adapted.outputs[0].value.type.dtype.value == "f64"
    wanted = out(adapted, **inputs)
    assert np.abs(wanted - out(graph, **inputs)).max() > 0.1
    np.testing.assert_allclose(out(merged, **inputs), wanted, atol=1e-12 if exact else 2e-5)
    with pytest.raises(RewriteError, match="nothing in the graph"):
        merged.apply(p.MergeLoRA())


def test_adapters_of_a_converted_model_merge_too() -> None:
    class Adapted(Layers):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Linear(6, 2, bias=False)
            self.b = torch.nn.Linear(2, 8, bias=False)
            self.dropped = torch.nn.Dropout(0.3)

        def forward(self, x: Any) -> Any:
            up = self.up(x) + self.b(self.a(self.dropped(x))) * 0.5
            return self.down(torch.tanh(up))

    model = Adapted().double().eval()
    x = torch.tensor(X)
    for training in (False, True):
        graph = gw.from_torch(model, x, axes={"x": "batch embed=6"}, training=training)
        merged = graph.apply(p.MergeLoRA())
        assert names(merged) == {"up.weight", "up.bias", "down.weight"}
        assert [port.name for port in merged.inputs] == ["x"]
        np.testing.assert_allclose(out(merged), model(x).detach().numpy(), rtol=1e-12)


def test_what_cannot_be_merged_is_named() -> None:
    _, graph = layers()

    class Bent(Layers):
        def __init__(self) -> None:
            super().__init__()
            self.lora_a = torch.nn.Linear(6, 2, bias=False)
            self.lora_b = torch.nn.Linear(2, 8, bias=False)

        def forward(self, x: Any) -> Any:
            up = torch.tanh(self.up(x)) + self.lora_b(self.lora_a(x))
            return self.down(up)

    bent = gw.from_torch(Bent().double(), torch.tensor(X), axes={"x": "batch embed=6"})
    with pytest.raises(RewriteError, match=r"'lora_a.weight' cannot be merged: it is not added"):
        bent.apply(p.MergeLoRA())
    with pytest.raises(RewriteError, match="nothing in the graph is a low-rank adapter"):
        graph.apply(p.MergeLoRA())
    tied = converted("gpt2").apply(p.LoRA("lm_head", 2, key=0))
    with pytest.raises(RewriteError, match=r"tied.*Untie"):
        tied.apply(p.MergeLoRA())
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    untied = drawn(tied).apply(p.Untie())
    np.testing.assert_allclose(
        out(untied.apply(p.MergeLoRA()), **inputs), out(untied, **inputs), atol=1e-12
    )


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (p.LoRA(("up", "down"), (1,), 0), InputError, "have no ranks"),
        (p.LoRA("up", 0, 0), InputError, "have no ranks"),
        (p.LoRA("up", 1, 0, dropout=1.0), InputError, "below 1, not 1.0"),
        (p.LoRA("up", 1, 0, dropout=0.1, dropout_key="x"), InputError, "'x' is .*no random key"),
        (p.LoRA("upp", 1, 0), SelectionError, "'up'"),
        (p.LoRA("**", 1, 0, count=3), SelectionError, "expected 3 linear maps"),
        (p.LoRA(Selector(op="tanh"), 1, 0), SelectionError, "is not what one linear map makes"),
    ],
)
def test_bad_adapters_say_what_is_wrong(broken: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        layers()[1].apply(broken)


def test_half_precision_weights_have_adapters_of_single_precision() -> None:
    model = torch.nn.Linear(6, 5).to(torch.bfloat16)
    x = torch.tensor(X, dtype=torch.bfloat16)
    graph = gw.from_torch(model, x, axes={"input": "batch embed=6"})
    adapted = drawn(graph.apply(p.LoRA(Selector(op="linear"), 2, key=0)))
    a, b = (next(np.asarray(v) for n, v in adapted.params.items() if n.endswith(w))
            for w in ("lora_a", "lora_b"))  # fmt: skip
    assert a.dtype == b.dtype == np.float32
    half = X.astype(ml_dtypes.bfloat16)
    update = (half.astype(np.float32) @ a.T @ b.T).astype(ml_dtypes.bfloat16)
    found, base = out(adapted, input=half), out(graph, input=half)
    np.testing.assert_array_equal(found, base + update)
    merged = adapted.apply(p.MergeLoRA())
    weight = next(v for n, v in merged.params.items() if n.endswith("weight"))
    whole = model.weight.detach().float().numpy() + b @ a
    assert names(merged) == names(graph)
    np.testing.assert_array_equal(np.asarray(weight), whole.astype(ml_dtypes.bfloat16))


def test_adapters_learn_in_both_frameworks_and_save(tmp_path: Any) -> None:
    _, graph = layers()
    wanted = np.tanh(X[:, :5])
    lora = p.LoRA(("up", "down"), (2, 2), key=0, alpha=4, dropout=0.1)
    edited = graph.apply(lora, p.Train("**.lora_*"))
    found = {"torch": _with_torch(edited, wanted), "jax": _with_jax(edited, wanted)}
    plain = p.LoRA(("up", "down"), (2, 2), key=0, alpha=4)
    start = np.square(out(graph) - wanted).mean()
    for name, values in found.items():
        recipe = [plain, p.learned(edited, values), p.MergeLoRA()]
        gw.save_recipe(recipe, tmp_path / name)
        again = gw.load_recipe(tmp_path / name)
        assert again == recipe
        merged = graph.apply(*again)
        assert names(merged) == names(graph)
        assert np.square(out(merged) - wanted).mean() < 0.5 * start


def _with_torch(edited: gw.Graph, wanted: Any) -> Any:
    module = gw.to_torch(edited)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for step in range(60):
        key = torch.tensor(np.array([0, step], np.uint32))
        loss = (module(x=torch.tensor(X), key=key)["output"] - torch.tensor(wanted)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.state_dict()


def _with_jax(edited: gw.Graph, wanted: Any) -> Any:
    with jax.enable_x64(True):
        function, params = gw.to_jax(edited)
        trained = {name: params[name] for name in edited.trainable}
        optimizer = optax.adam(0.02)
        state = optimizer.init(trained)

        def loss(trained: Any, key: Any) -> Any:
            found = function({**params, **trained}, {"x": X, "key": key})["output"]
            return jnp.square(found - wanted).mean()

        gradient = jax.jit(jax.grad(loss))
        for step in range(60):
            slopes = gradient(trained, np.array([0, step], np.uint32))
            changes, state = optimizer.update(slopes, state)
            trained = optax.apply_updates(trained, changes)
        return dict(trained)
