"""Layers rolled into scans: the same numbers, the same sites, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

import graftwork as gw
from graftwork import passes as p
from graftwork.ir import ops
from graftwork.ir.errors import SelectionError
from tests.backends.build import graph_of, normal
from tests.models.zoo import COMMON, axes, inputs

DEPTH = 4


def converted(kind: str) -> tuple[gw.Graph, dict[str, Any]]:
    """A deep narrow model in f64, and inputs of it."""
    torch.manual_seed(0)
    model: Any
    if kind == "gpt2":
        config = transformers.GPT2Config(n_layer=DEPTH, n_head=4, n_embd=32, vocab_size=99)
        model = transformers.GPT2LMHeadModel(config)
    elif kind == "t5":
        small = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "vocab_size": 99}
        config = transformers.T5Config(num_layers=DEPTH, decoder_start_token_id=0, **small)
        model = transformers.T5ForConditionalGeneration(config)
    else:
        config = transformers.BertConfig(**COMMON | {"num_hidden_layers": DEPTH})
        model = transformers.BertForMaskedLM(config)
    given = inputs(kind, (2, 6))
    graph = gw.from_torch(model.eval().double(), kwargs=given, axes=axes(kind))
    return graph, given


@pytest.fixture(scope="module", params=["gpt2", "bert", "t5"])
def model(request: pytest.FixtureRequest) -> tuple[gw.Graph, dict[str, Any]]:
    return converted(request.param)


def same(
    a: gw.Graph, b: gw.Graph, given: dict[str, Any], backend: str = "numpy", **options: Any
) -> None:
    expected = gw.compile(a, "numpy")(**given)
    found = gw.compile(b, backend, **options)(**given)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        actual = np.asarray(found[name].order(*array.axes))
        # A scale is a literal of 32 bits in some models, which backends fold in other orders.
        np.testing.assert_allclose(actual, np.asarray(array), rtol=1e-5, atol=1e-6)


def scans(graph: gw.Graph) -> list[int]:
    """The lengths of the scans."""
    lengths = [graph.axes[n.attrs["axis"]] for n in graph.nodes if n.op.name == "scan"]
    return [length for length in lengths if isinstance(length, int)]


def test_layers_are_steps_of_one_scan(model: tuple[gw.Graph, dict[str, Any]]) -> None:
    graph, given = model
    rolled = graph.apply(p.Roll())
    assert sum(scans(rolled)) >= DEPTH - 1
    assert len(rolled.nodes) < len(graph.nodes) / 2
    same(graph, rolled, given)
    same(graph, rolled.apply(p.Unroll()), given)


@pytest.mark.parametrize(
    ("backend", "options"), [("jax", {}), ("torch", {"mode": "eager"}), ("onnx", {})]
)
def test_backends_run_the_scan(backend: str, options: dict[str, Any]) -> None:
    graph, given = converted("gpt2")
    same(graph, graph.apply(p.Roll()), given, backend, **options)


def test_sites_stay_each_at_its_step(model: tuple[gw.Graph, dict[str, Any]]) -> None:
    graph, given = model
    rolled = graph.apply(p.Roll())
    assert list(rolled.sites) == list(graph.sites)
    taken = [path for path in graph.sites if path not in {port.name for port in graph.outputs}]
    same(graph.apply(p.Collect(*taken)), rolled.apply(p.Collect(*taken)), given)
    (edited,) = [path for path in taken if path.endswith(f"{DEPTH - 1}.attn.z")][:1]
    edit = p.Ablate(edited, where={"heads": 1})
    same(graph.apply(edit), rolled.apply(edit), given)


def test_what_is_read_of_each_layer_stays_an_output() -> None:
    graph, given = converted("gpt2")
    collected = graph.apply(p.Collect("blocks.*.resid_post", "blocks.*.attn.pattern"))
    rolled = collected.apply(p.Roll())
    assert scans(rolled) == [DEPTH]
    same(collected, rolled, given)


def test_an_edited_layer_is_none_of_them() -> None:
    graph, given = converted("gpt2")
    edited = graph.apply(p.Scale("blocks.0.mlp.post", 0.5))
    rolled = edited.apply(p.Roll())
    assert scans(rolled) == [DEPTH - 1]
    same(edited, rolled, given)


def test_weights_are_stacked_when_they_are_taken() -> None:
    graph, _ = converted("gpt2")
    rolled = graph.apply(p.Roll())
    name = f"transformer.h.0-{DEPTH - 1}.mlp.c_fc.weight"
    one = [np.asarray(graph.params[f"transformer.h.{i}.mlp.c_fc.weight"]) for i in range(DEPTH)]
    np.testing.assert_array_equal(rolled.params[name], np.stack(one))
    assert rolled.params[name] is not rolled.params[name]  # nothing keeps the copy
    assert all(".h.0." not in parameter.name for parameter in rolled.parameters)


def test_where_nothing_repeats_it_says_so() -> None:
    graph = gw.from_torch(torch.nn.Linear(8, 4), torch.zeros(3, 8), axes={0: "batch features=8"})
    with pytest.raises(SelectionError, match="nothing to roll"):
        graph.apply(p.Roll())


def test_heads_that_stand_side_by_side_are_no_layers() -> None:
    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = torch.nn.ModuleList(torch.nn.Linear(8, 4) for _ in range(3))

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [torch.relu(each(x)) for each in self.maps]

    graph = gw.from_torch(Heads(), torch.zeros(3, 8), axes={0: "batch features=8"})
    with pytest.raises(SelectionError, match="nothing to roll"):
        graph.apply(p.Roll())


def test_weights_that_alternate_and_those_that_nothing_reads_keep_their_names() -> None:
    x, first, second = normal(3, 8), normal(8, 8, seed=1), normal(8, 8, seed=2)

    def layers(x: Any, first: Any, second: Any, spare: Any) -> Any:
        for weight in [first, second] * 4 + [first]:
            x = x + ops.tanh(ops.linear(x, weight, over="c").rename(d="c"))
        return x, first * 2.0

    weights = {"first": ("d c", first), "second": ("d c", second), "spare": ("c", x[0])}
    graph = graph_of(layers, {"x": ("n c", x)}, weights)
    rolled = graph.apply(p.Roll())
    assert scans(rolled) == [9]
    names = [parameter.name for parameter in rolled.parameters]
    assert names == ["first", "spare", "first_2"]  # the second is read by no one any more
    same(graph, rolled, {"x": x})
