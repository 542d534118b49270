"""Gradients and products in graphs against torch's autodiff on the same model, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import DTypeError, InputError, SelectionError, UnreachableEditError
from tests.passes.decoder import SHAPES, VOCAB, build, replacing, tokens

IDS = tokens(0)
RNG = np.random.default_rng(0)
SITES = (
    "embed",
    "blocks.0.attn.q",
    "blocks.1.attn.k",
    "blocks.1.attn.v",
    "blocks.1.attn.z",
    "blocks.1.resid_post",
    "blocks.2.mlp.post",
    "blocks.2.mlp.out",
    "logits",
)
MATH = partial(sdpa_kernel, SDPBackend.MATH)  # torch's fused attention has no second derivatives
each_shape = pytest.mark.parametrize("name", SHAPES)


def contrast(out: Mapping[str, Any]) -> Any:
    """A metric that reads two logits of the last position, and bends."""
    logits = out["logits"]
    return logits[{"seq": -1, "vocab": 3}] * logits[{"seq": -1, "vocab": 5}]


def loss(out: Mapping[str, Any]) -> Any:
    """Cross-entropy of every token, which the inputs themselves are the labels of."""
    return gw.ops.cross_entropy(out["logits"], out["input_ids"], axis="vocab").sum("seq")


def torch_contrast(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, -1, 3] * logits[:, -1, 5]


def torch_loss(logits: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits.mT, IDS, reduction="none").sum(-1)


METRICS = {"contrast": (contrast, torch_contrast), "loss": (loss, torch_loss)}


def gradients(name: str, metric: Any, sites: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """By autograd: the gradient of zeros that are added at sites."""
    model, _ = build(name)
    added: dict[str, torch.Tensor] = {}

    def adding(site: str) -> Any:
        def add(x: torch.Tensor) -> torch.Tensor:
            added[site] = torch.zeros_like(x, requires_grad=True)
            return x + added[site]

        return add

    logits = model(IDS, replacing({site: adding(site) for site in sites}))["logits"]
    found = torch.autograd.grad(metric(logits).sum(), list(added.values()))
    return dict(zip(added, found, strict=True))


def close(a: Any, b: Any) -> None:
    b = b.detach() if isinstance(b, torch.Tensor) else b
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-11)


@each_shape
@pytest.mark.parametrize("metric", METRICS)
def test_gradients_at_sites_are_those_of_autograd(name: str, metric: str) -> None:
    ours, theirs = METRICS[metric]
    graph = build(name)[1].apply(p.Gradient(of=ours, at=SITES))
    out = gw.compile(graph, "numpy")(input_ids=IDS)
    for site, expected in gradients(name, theirs, SITES).items():
        close(out[f"gradient.{site}"], expected)


@each_shape
def test_gradients_of_parameters_and_of_what_modules_give(name: str) -> None:
    model, graph = build(name)
    names = ["h.1.o_proj.weight", "h.0.ln_1.weight", "lm_head.weight", "wte.weight"]
    model.zero_grad()
    torch_loss(model(IDS)["logits"]).sum().backward()
    new = graph.apply(p.Gradient(of=loss, at=(*names, "h.1.up")))
    out = gw.compile(new, "numpy")(input_ids=IDS)
    for word in names:
        close(out[f"gradient.{word}"], model.get_parameter(word).grad)
    assert out["gradient.h.1.up"].sizes == {"batch": 2, "seq": 5, "mlp": 20}


def test_gradients_inside_attention_agree_with_differences() -> None:
    graph, step = build("gpt2")[1], 1e-5
    out = gw.compile(graph.apply(p.Gradient(of=loss, at="blocks.1.attn.pattern")), "numpy")
    slope = np.asarray(out(input_ids=IDS)["gradient.blocks.1.attn.pattern"])

    def moved(scale: float) -> float:
        steered = graph.apply(p.Steer("blocks.1.attn.pattern", np.ones(5), scale=scale))
        logits = gw.compile(steered, "numpy")(input_ids=IDS)["logits"]
        return float(torch_loss(torch.as_tensor(np.asarray(logits))).sum())

    np.testing.assert_allclose(slope.sum(), (moved(step) - moved(-step)) / (2 * step), rtol=1e-7)


def test_a_gradient_of_a_gradient_is_a_second_derivative() -> None:
    model, graph = build("gpt2")
    site = "blocks.2.mlp.post"

    def once(out: Mapping[str, Any]) -> Any:
        return out[f"gradient.{site}"][{"mlp": 2}].sum("seq")

    twice = graph.apply(
        p.Gradient(of=contrast, at=site), p.Gradient(of=once, at="blocks.2.mlp.out")
    )
    found = gw.compile(twice, "numpy")(input_ids=IDS)["gradient.blocks.2.mlp.out"]
    kept: dict[str, torch.Tensor] = {}

    def keep(word: str, x: torch.Tensor) -> torch.Tensor:
        kept[word] = x if x.requires_grad else x.requires_grad_()
        return kept[word]

    with MATH():
        metric = torch_contrast(model(IDS, keep)["logits"]).sum()
    (slope,) = torch.autograd.grad(metric, kept[site], create_graph=True)
    (expected,) = torch.autograd.grad(slope[..., 2].sum(), kept["blocks.2.mlp.out"])
    close(found, expected)


@each_shape
def test_products_are_those_of_torch(name: str) -> None:
    model, graph = build(name)
    start, end = "blocks.0.mlp.out", "blocks.2.resid_post"
    base: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        model(IDS, lambda word, x: base.setdefault(word, x))

    def behind(x: torch.Tensor) -> torch.Tensor:
        kept: dict[str, torch.Tensor] = {}
        with MATH():
            model(IDS, lambda word, y: kept.setdefault(word, x if word == start else y))
        return kept[end]

    t, c = (torch.as_tensor(RNG.normal(size=base[start].shape)) for _ in range(2))
    new = graph.apply(p.JVP(of=end, at=start, input="t"), p.VJP(of=end, at=start, input="c"))
    out = gw.compile(new, "numpy")(input_ids=IDS, t=t, c=c)
    _, forward = torch.func.jvp(behind, (base[start],), (t,))
    _, pull = torch.func.vjp(behind, base[start])
    close(out[f"jvp.{end}"], forward)
    close(out[f"vjp.{start}"], pull(c)[0])


def test_products_along_given_arrays_and_between_runs() -> None:
    graph = build("llama")[1]
    vector = RNG.normal(size=12)
    given = graph.apply(
        p.JVP(of="logits", at="embed", direction=vector),
        p.VJP(of="logits", at="embed", cotangent=np.eye(VOCAB)[3]),
    )
    out = gw.compile(given, "numpy")(input_ids=IDS)
    slope = np.asarray(out["vjp.embed"]) @ vector
    np.testing.assert_allclose(slope.sum(), np.asarray(out["jvp.logits"])[..., 3].sum(), rtol=1e-10)
    ones = gw.compile(graph.apply(p.VJP(of="logits", at="embed")), "numpy")(input_ids=IDS)
    line = graph.apply(p.JVP(of="logits", at="embed", source="other"))
    run = gw.compile(line, "numpy")(input_ids=IDS, other={"input_ids": tokens(1)})
    weights = build("llama")[0].wte.weight.detach()
    change = (weights[tokens(1)] - weights[IDS]).numpy()
    np.testing.assert_allclose(
        (np.asarray(ones["vjp.embed"]) * change).sum(),
        np.asarray(run["jvp.logits"]).sum(),
        rtol=1e-10,
    )


def test_every_backend_runs_gradients_and_a_file_holds_them(tmp_path: Any) -> None:
    new = build("llama")[1].apply(
        p.Gradient(of=loss, at=("embed", "blocks.1.attn.z")),
        p.JVP(of="logits", at="embed", direction=np.ones(12)),
    )
    expected = gw.compile(new, "numpy")(input_ids=IDS)
    runs = {backend: gw.compile(new, backend)(input_ids=IDS) for backend in ("jax", "onnx")}
    runs["torch"] = gw.to_torch(new)(input_ids=IDS)
    gw.export_onnx(new, tmp_path / "gradients.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "gradients.onnx")
    words = [port.name for port in session.get_outputs()]
    found = session.run(words, {"input_ids": IDS.numpy()})
    runs["file"] = dict(zip(words, found, strict=True))
    for backend, out in runs.items():
        for word in expected:
            value = out[word].detach() if backend == "torch" else out[word]
            np.testing.assert_allclose(
                np.asarray(value),
                np.asarray(expected[word]),
                rtol=1e-8,
                atol=1e-10,
                err_msg=f"{backend} {word}",
            )


def test_recipes_hold_metrics_as_graphs(tmp_path: Any) -> None:
    graph = build("gptj")[1]
    steps = [p.Gradient(of=loss, at="blocks.1.attn.z"), p.Gradient(of=contrast, at="embed")]
    gw.save_recipe(steps, tmp_path / "recipe")
    loaded = gw.load_recipe(tmp_path / "recipe")
    ours, saved = (gw.compile(graph.apply(*r), "numpy")(input_ids=IDS) for r in (steps, loaded))
    for word in ("gradient.blocks.1.attn.z", "gradient.embed"):
        close(saved[word], ours[word])
    with pytest.raises(gw.GraftworkError, match="'strange' is no canonical site"):
        gw.save_recipe([p.Gradient(of=lambda o: o["strange"], at="embed")], tmp_path / "no")


def test_what_has_no_gradient_is_refused_by_name() -> None:
    graph = build("gpt2")[1]
    first = p.Gradient(
        of=lambda o: o["blocks.0.resid_mid"].sum("seq", "embed"), at="blocks.1.mlp.out"
    )
    with pytest.raises(UnreachableEditError, match=r"does not depend on blocks\.1\.mlp\.out"):
        graph.apply(first)
    with pytest.raises(DTypeError, match="is not a float"):
        graph.apply(p.Gradient(of=loss, at="input_ids"))
    with pytest.raises(SelectionError, match=r"nothing in the graph matches 'blocks\.9\.mlp'"):
        graph.apply(p.Gradient(of=loss, at="blocks.9.mlp"))
    with pytest.raises(SelectionError, match="no output, site or input 'logit'"):
        graph.apply(p.Gradient(of=lambda o: o["logit"], at="embed"))
    with pytest.raises(InputError, match="takes just one of"):
        graph.apply(p.JVP(of="logits", at="embed"))
    again = p.Gradient(of=loss, at="embed")
    with pytest.raises(InputError, match=r"has an output 'gradient\.embed' already"):
        graph.apply(again, again)
