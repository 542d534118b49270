"""A soft prompt is what the model makes of longer embeddings, with masks and positions to match."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import GraftworkError, InputError, SelectionError
from graftwork.ir.selector import Selector
from tests.models import zoo
from tests.passes.weights.models import IDS, MASK, converted, in_jax

LENGTH = 3
PROMPT = np.random.default_rng(6).standard_normal((LENGTH, 32))
INPUTS = {"input_ids": IDS, "attention_mask": MASK}


def model(family: str) -> Any:
    """The model that `converted` converts."""
    made = zoo.build(family, zoo.FAMILIES[family].attention[0])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
    return made


def run(graph: gw.Graph, backend: str = "numpy", **inputs: Any) -> Any:
    options = {"mode": "eager"} if backend == "torch" else {}
    given = inputs or {port.name: {**INPUTS, "ids": IDS}[port.name] for port in graph.inputs}
    return np.asarray(gw.compile(graph, backend, **options)(**given)["logits"])


def longer(family: str) -> Any:
    """The model's own answer to embeddings and a mask with the prompt before them."""
    made = model(family)
    with torch.no_grad():
        tokens = made.get_input_embeddings()(torch.tensor(IDS))
        prompt = torch.tensor(PROMPT, dtype=tokens.dtype).expand(len(IDS), -1, -1)
        mask = torch.tensor(np.pad(MASK, ((0, 0), (LENGTH, 0)), constant_values=1))
        extra = {}
        if family == "t5":
            extra["decoder_input_ids"] = torch.tensor(IDS[:, :4])
        out = made(
            inputs_embeds=torch.cat([prompt, tokens], 1), attention_mask=mask, **extra
        ).logits
    return out.numpy() if family == "t5" else out.numpy()[:, LENGTH:]


WORDS = Selector(module="bert.embeddings.word_embeddings")


@pytest.mark.parametrize(
    ("family", "site"), [("gpt2", "embed"), ("llama", "embed"), ("bert", WORDS)]
)
def test_the_model_sees_the_prompt_before_the_tokens(family: str, site: Any) -> None:
    graph = converted(family)
    prompted = graph.apply(p.SoftPrompt(LENGTH, start=PROMPT, site=site))
    assert [port.layout for port in prompted.outputs] == [port.layout for port in graph.outputs]
    found, wanted = run(prompted), longer(family)
    exact = found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, atol=1e-10 if exact else 2e-5)
    assert np.abs(wanted - run(graph)).max() > 0.1
    assert set(prompted.sites) == set(graph.sites)
    assert gw.parse(str(prompted)) is not None
    for ids in (IDS[:1], IDS[:, :1], IDS[:, :2]):
        short = run(prompted, input_ids=ids, attention_mask=np.ones_like(ids))
        assert short.shape[:2] == ids.shape


def test_an_encoder_is_prompted_and_its_decoder_is_not() -> None:
    graph = converted("t5").apply(p.SoftPrompt(LENGTH, start=PROMPT, site="encoder.embed"))
    found = run(graph, **INPUTS, decoder_input_ids=IDS[:, :4])
    np.testing.assert_allclose(found, longer("t5"), atol=2e-5)


@pytest.mark.parametrize("backend", ["jax", "torch", "onnx"])
def test_a_model_from_jax_on_every_backend(backend: str) -> None:
    prompted = in_jax("llama").apply(p.SoftPrompt(LENGTH, start=PROMPT))
    np.testing.assert_allclose(run(prompted, backend), run(prompted), atol=2e-5)


def test_later_passes_see_all_positions_and_earlier_ones_stay() -> None:
    graph = converted("gpt2")
    soft = p.SoftPrompt(LENGTH, start=PROMPT)
    steer = p.Steer("blocks.0.resid_post", np.ones(32), where={"seq": LENGTH + 1})
    seen = graph.apply(soft, steer, p.Collect("blocks.*.attn.pattern", "embed"))
    out = gw.compile(seen, "numpy")(**INPUTS)
    assert sorted(out["blocks.1.attn.pattern"].shape) == [2, 4, 7 + LENGTH, 7 + LENGTH]
    np.testing.assert_array_equal(np.asarray(out["embed"])[:, :LENGTH], [PROMPT, PROMPT])
    change = np.abs(run(seen) - run(graph.apply(soft))).max((0, 2))
    assert (change[0], change[1] > 0) == (0, True)
    scale = p.Scale("blocks.1.mlp.out", 0.5)
    either, other = (run(graph.apply(*steps)) for steps in ((scale, soft), (soft, scale)))
    np.testing.assert_allclose(either, other)
    patch = p.Patch("blocks.0.resid_post", {"seq": 1}, "clean")
    twice = graph.apply(soft).apply(patch)
    clean = {"input_ids": IDS[::-1], "attention_mask": MASK}
    assert run(twice, **INPUTS, clean=clean).shape == (2, 7, 99)
    with pytest.raises(GraftworkError):
        graph.apply(soft, patch)


def test_it_learns_alone_and_is_saved(tmp_path: Any) -> None:
    graph = in_jax("llama")
    soft = p.SoftPrompt(2, key=1)
    edited = graph.apply(soft, p.Train("prompt.*"))
    assert edited.trainable == ("prompt.embed",)
    module = gw.to_torch(edited)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        logits = module(ids=torch.tensor(IDS))["logits"]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.full((14,), 5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01
    recipe = [soft, p.learned(edited, module.state_dict())]
    gw.save_recipe(recipe, tmp_path / "recipe")
    again = gw.load_recipe(tmp_path / "recipe")
    assert again == recipe
    with torch.no_grad():
        wanted = module(ids=torch.tensor(IDS))["logits"].numpy()
    np.testing.assert_allclose(run(graph.apply(*again), "jax"), wanted, atol=2e-5)


class Numbered(torch.nn.Module):
    def __init__(self, blind: bool) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.table = torch.nn.Embedding.from_pretrained(torch.tensor(rng.standard_normal((9, 4))))
        self.place = torch.nn.Parameter(torch.tensor(rng.standard_normal((20, 4))))
        self.head = torch.nn.Parameter(torch.tensor(rng.standard_normal((4, 9))))
        self.blind = blind

    def forward(self, ids: Any, positions: Any, mask: Any) -> Any:
        return self.rest(self.table(ids), ids, positions, mask)

    def rest(self, x: Any, ids: Any, positions: Any, mask: Any) -> Any:
        x = x + self.place[positions]
        real = mask if self.blind else mask & (ids != 0)
        weight = real.double()
        mean = torch.einsum("bs,bse->be", weight, x) / weight.sum(1, keepdim=True)
        return {"logits": (x + mean[:, None]) @ self.head}


@pytest.mark.parametrize("blind", [True, False])
def test_other_inputs_along_the_tokens_are_asked_for(blind: bool) -> None:
    made = Numbered(blind)
    ids = torch.tensor(IDS % 8)
    given = (ids, torch.arange(7).expand(2, -1).clone(), torch.tensor(MASK) != 0)
    words = ("ids", "positions", "mask")
    graph = gw.from_torch(made, *given, axes=dict.fromkeys(words, "batch seq"))
    site = Selector(op="embedding")
    start = np.arange(8.0).reshape(2, 4)
    fill: dict[str, Any] = {"positions": "count", "mask": 1} | ({} if blind else {"ids": 1})
    for missing in fill:
        some = {k: v for k, v in fill.items() if k != missing}
        with pytest.raises(InputError, match=f"reads the input '{missing}' .*beside.*fill="):
            graph.apply(p.SoftPrompt(2, start=start, site=site, fill=some))
    prompted = graph.apply(p.SoftPrompt(2, start=start, site=site, fill=fill))
    found = run(prompted, **dict(zip(words, map(np.asarray, given), strict=True)))
    x = torch.cat([torch.tensor(start).expand(2, -1, -1), made.table(ids)], 1)
    padded = [torch.nn.functional.pad(t.long(), (2, 0), value=1) for t in (ids, given[2])]
    wanted = made.rest(x, padded[0], torch.arange(9).expand(2, -1), padded[1] != 0)["logits"]
    np.testing.assert_allclose(found, wanted[:, 2:].detach().numpy(), rtol=1e-12)


def test_what_cannot_be_prompted_is_refused_with_a_reason() -> None:
    graph = converted("gpt2")
    for broken, error, words in (
        (p.SoftPrompt(2, start=np.ones((3, 32))), InputError, r"shape \(2, 32\), not \(3, 32\)"),
        (p.SoftPrompt(0), InputError, "a prompt of 0"),
        (p.SoftPrompt(2, fill={"attention_msk": 1}), InputError, "'attention_mask'"),
        (p.SoftPrompt(2, site="blocks.*.mlp.out"), SelectionError, "expected 1 places"),
    ):
        with pytest.raises(error, match=words):
            graph.apply(broken)
    with pytest.raises(SelectionError, match="one prompt only"):
        graph.apply(p.SoftPrompt(2), p.SoftPrompt(2))
    fixed = gw.from_torch(
        model("gpt2"), kwargs=zoo.inputs("gpt2", (2, 7)),
        axes={"input_ids": "batch seq=7", "attention_mask": "batch seq=7"},
    )  # fmt: skip
    with pytest.raises(SelectionError, match=r"has size 7 .*dynamic sequence"):
        fixed.apply(p.SoftPrompt(2))
