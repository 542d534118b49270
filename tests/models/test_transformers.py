"""Whole journeys of real architectures: converted, named, sited, run everywhere, edited."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from zoo import CASES, FAMILIES, axes, build, inputs, tolerance

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.digest import equal
from graftwork.ir.verify import verify

TRACED = (2, 7)
OTHERS = ((3, 11), (1, 1))
each_case = pytest.mark.parametrize(("name", "attention"), CASES)
pytestmark = pytest.mark.xdist_group("models")


@cache
def converted(name: str, attention: str) -> tuple[Any, gw.Graph]:
    model = build(name, attention)
    return model, gw.from_torch(model, kwargs=given_to(name, attention, TRACED), axes=axes(name))


def given_to(name: str, attention: str, sizes: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Inputs in the dtype of the model."""
    exact = FAMILIES[name].is_exact(attention)
    return inputs(name, sizes, torch.float64 if exact else torch.float32)


def logits(program: gw.Program, given: Any) -> np.ndarray:
    return np.asarray(program(**given)["logits"])


@each_case
def test_every_backend_agrees_with_the_model_at_other_sizes(name: str, attention: str) -> None:
    model, graph = converted(name, attention)
    verify(graph)
    module = gw.to_torch(graph)
    programs = {b: gw.compile(graph, backend=b) for b in ("numpy", "jax", "onnx")}
    close = tolerance(name, attention)
    for sizes in OTHERS:
        given = given_to(name, attention, sizes)
        with torch.no_grad():
            expected = model(**given).logits.numpy()
            ours = module(**given)["logits"].numpy()
        np.testing.assert_allclose(ours, expected, rtol=close, atol=close)
        for backend, program in programs.items():
            np.testing.assert_allclose(
                logits(program, given), expected, rtol=close, atol=close, err_msg=backend
            )


@each_case
def test_only_renames_that_mean_something_are_left(name: str, attention: str) -> None:
    _, graph = converted(name, attention)
    renames = Counter(
        pair for node in graph.nodes if node.op.name == "rename" for pair in node.attrs["axes"]
    )
    assert renames == FAMILIES[name].renames


@each_case
def test_axes_have_the_names_that_people_use(name: str, attention: str) -> None:
    _, graph = converted(name, attention)
    wanted = {"batch", "seq", "kv_seq", "heads", "head_dim", "embed", "mlp"}
    wanted.add("classes" if name == "vit" else "vocab")
    assert wanted <= set(graph.axes)
    assert not [axis for axis in graph.axes if axis.startswith("_")]


@each_case
def test_every_block_has_its_sites(name: str, attention: str) -> None:
    _, graph = converted(name, attention)
    assert not graph.sites.unrecognised
    words = [f"resid_{word}" for word in ("pre", "mid", "post")]
    words += [f"attn.{word}" for word in ("q", "k", "v", "scores", "pattern", "z", "out")]
    words += [f"mlp.{word}" for word in ("pre", "post", "out")]
    parallel = name == "gpt_neox"  # attention and MLP are added at once
    for stack in FAMILIES[name].stacks:
        for block in range(2):
            for word in words:
                if word == "resid_mid" and parallel:
                    continue
                assert f"{stack}blocks.{block}.{word}" in graph.sites
        site = graph.sites[f"{stack}blocks.0.attn.pattern"]
        assert set(site.roles) == {"batch", "heads", "seq", "kv_seq"}
        assert {"seq", "kv_heads", "head_dim"} <= set(graph.sites[f"{stack}blocks.0.attn.k"].roles)


@each_case
def test_text_and_folders_bring_the_graph_back(name: str, attention: str, tmp_path: Any) -> None:
    _, graph = converted(name, attention)
    assert equal(gw.parse(str(graph)), graph)
    gw.save(graph, tmp_path / "model")
    again = gw.load(tmp_path / "model")
    given = given_to(name, attention, (2, 5))
    np.testing.assert_array_equal(
        logits(gw.compile(again, "numpy"), given), logits(gw.compile(graph, "numpy"), given)
    )


@each_case
def test_interventions_at_every_kind_of_site(name: str, attention: str) -> None:
    _, graph = converted(name, attention)
    given = given_to(name, attention, (2, 5))
    base = logits(gw.compile(graph, "numpy"), given)
    stack = FAMILIES[name].stacks[-1]
    block = f"{stack}blocks.1"
    unchanged = graph.apply(p.Patch(f"{block}.attn.pattern", source="same"))
    np.testing.assert_allclose(
        logits(gw.compile(unchanged, "jax"), {**given, "same": given}), base, rtol=1e-5, atol=1e-5
    )
    for word in ("resid_pre", "attn.z", "attn.pattern", "attn.v", "mlp.post"):
        edited = graph.apply(p.Scale(f"{block}.{word}", 0.5))
        assert np.abs(logits(gw.compile(edited, "numpy"), given) - base).max() > 1e-6, word
        attentions = [node.op.name for node in edited.nodes].count("attention")
        whole = [node.op.name for node in graph.nodes].count("attention")
        assert attentions == whole - (word == "attn.pattern")


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_inductor_agrees_with_the_model(name: str) -> None:
    model, graph = converted(name, "sdpa")
    given = inputs(name, (3, 11))
    with torch.no_grad():
        expected = model(**given).logits.numpy()
    found = logits(gw.compile(graph, backend="torch"), given)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_one_recipe_gives_the_same_numbers_on_eager_and_fused_attention() -> None:
    recipe = [
        p.Ablate("blocks.0.attn.z", where={"heads": 1}),
        p.Scale("blocks.1.attn.pattern", 0.5, where={"kv_seq": 0}),
        p.Collect("blocks.*.resid_post", "blocks.*.attn.scores"),
    ]
    given = {name: array.numpy() for name, array in inputs("gpt2", (2, 6)).items()}
    given["attention_mask"] = np.ones_like(given["attention_mask"])
    eager, fused = (
        gw.compile(converted("gpt2", how)[1].apply(*recipe), "numpy")(**given)
        for how in ("eager", "sdpa")
    )
    assert list(eager) == list(fused)
    for name, array in eager.items():
        other = fused[name].order(*(a for a in array.axes if a is not None))
        finite = np.isfinite(other.array) & (np.asarray(array) > -1e30)
        np.testing.assert_allclose(
            np.asarray(array)[finite], other.array[finite], rtol=1e-9, atol=1e-9, err_msg=name
        )


def test_the_users_model_is_not_touched() -> None:
    model = build("gpt2", "sdpa")
    model.train()
    calls: list[int] = []
    model.transformer.h[0].register_forward_hook(lambda *_: calls.append(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    graph = gw.from_torch(model, kwargs=inputs("gpt2", TRACED), axes=axes("gpt2"))
    gw.to_torch(graph)(**inputs("gpt2", TRACED))["logits"].sum().backward()
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    calls.clear()
    model(**inputs("gpt2", TRACED))
    assert calls == [1]


def test_parameters_are_shared_with_the_model() -> None:
    model, graph = converted("gpt2", "sdpa")
    for parameter in graph.parameters:
        tensor = dict(model.named_parameters()).get(parameter.name)
        if tensor is not None:
            assert np.shares_memory(
                np.asarray(graph.params[parameter.name]), tensor.detach().numpy()
            )
    tied = next(q for q in graph.parameters if q.aliases)
    assert {tied.name, *tied.aliases} == {"transformer.wte.weight", "lm_head.weight"}
