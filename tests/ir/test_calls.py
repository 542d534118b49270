"""Paths that mean one call of a module, or all: in selectors, recipes, text and adapters."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.calls import calls, calls_of, module_of, modules
from graftwork.ir.digest import equal
from graftwork.ir.errors import SelectionError

KNOWN = ["f", "g@0.h@0", "g@0.h@1", "g@0", "g@1.h@0", "g@1.h@1", "g@1", "x.f"]


@pytest.mark.parametrize(
    ("glob", "meant"),
    {
        "f": ["f"],
        "f@0": ["f"],
        "g": ["g@0", "g@1"],
        "g@1": ["g@1"],
        "g.h": ["g@0.h@0", "g@0.h@1", "g@1.h@0", "g@1.h@1"],
        "g.h@2": ["g@1.h@0"],
        "g@1.h": ["g@1.h@0", "g@1.h@1"],
        "g@1.h@0": ["g@1.h@0"],
        "g@1.*": ["g@1.h@0", "g@1.h@1"],
        "{f,g}@1": ["g@1"],
        "**.f@0": ["f", "x.f"],
        "none@3": [],
    }.items(),
)
def test_a_number_counts_the_calls_that_the_words_before_it_mean(
    glob: str, meant: list[str]
) -> None:
    assert calls_of(glob, KNOWN) == meant


@pytest.mark.parametrize("known", KNOWN)
def test_the_path_of_a_call_means_that_call(known: str) -> None:
    assert calls_of(known, KNOWN) == [known]
    assert known in calls_of(module_of(known), KNOWN)


@pytest.mark.parametrize(
    ("glob", "told"),
    [("g@2", "'g' has no call 2, .*: g@0, g@1"), ("g@1.h@2", "no call 2, .*: g@1.h@0, g@1.h@1")],
)
def test_a_call_that_there_is_not(glob: str, told: str) -> None:
    with pytest.raises(SelectionError, match=told):
        calls_of(glob, KNOWN)


class Inner(nn.Module):
    """Calls one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(torch.relu(self.layer(x))))


class Outer(nn.Module):
    """Calls a block twice, and a layer of it once more."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.last = Inner(), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.block.layer(self.block(self.block(x))))


@cache
def converted() -> tuple[Outer, gw.Graph, torch.Tensor]:
    torch.manual_seed(0)
    model, x = Outer().eval().double(), torch.randn(3, 4, dtype=torch.float64)
    return model, gw.from_torch(model, x, axes={"x": "batch features=4"}), x


def test_a_converted_model_numbers_its_calls() -> None:
    _, graph, _ = converted()
    assert modules(graph) == ["block.layer", "block", "last"]
    assert set(calls(graph)) == {
        "block@0", "block@0.layer@0", "block@0.layer@1",
        "block@1", "block@1.layer@0", "block@1.layer@1", "block.layer", "block", "last",
    }  # fmt: skip
    assert equal(gw.parse(str(graph)), graph, origins=True)


# What a call gives, scaled -> the number of that call, of the block or its layer, in the model.
EDITS = {"block@0": ("block", 0), "block@1": ("block", 1), "block@1.layer@0": ("block.layer", 2)}


@pytest.mark.parametrize("path", EDITS)
def test_an_edit_of_one_call_is_that_of_a_hook(path: str, tmp_path) -> None:
    model, graph, x = converted()
    gw.save_recipe([p.Scale(path, 3.0)], tmp_path / "recipe")
    edited = gw.parse(str(graph)).evolve(store=graph.store)
    out = gw.compile(edited.apply(*gw.load_recipe(tmp_path / "recipe")), "numpy")(x=x)["output"]
    module, number = EDITS[path]
    seen: list[int] = []

    def hook(_: nn.Module, __: object, given: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return given * 3.0 if len(seen) == number + 1 else given

    handle = model.get_submodule(module).register_forward_hook(hook)
    with torch.no_grad():
        expected = model(x)
    handle.remove()
    np.testing.assert_allclose(np.asarray(out), expected, rtol=1e-12, atol=1e-12)


def test_a_module_means_the_outputs_of_all_its_calls() -> None:
    _, graph, _ = converted()
    assert [found.name for found in graph.select("block.layer")] == [
        "block@0.layer@0", "block@0.layer@1", "block@1.layer@0", "block@1.layer@1", "block.layer",
    ]  # fmt: skip
    with pytest.raises(SelectionError, match=r"no call 5.*block@1\.layer@0"):
        graph.apply(p.Scale("block.layer@5", 2.0))


def test_one_call_is_linearized_and_adapted_alone() -> None:
    _, graph, x = converted()
    line = graph.apply(p.Linearize("block@1"), p.LoRA("block@0.layer@1", rank=2, key=0))
    before, after = (np.asarray(gw.compile(g, "numpy")(x=x)["output"]) for g in (graph, line))
    np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    added = [name for name in line.params if name not in graph.params]
    assert added == ["block@0.layer@1.lora_a", "block@0.layer@1.lora_b"]
    assert gw.to_torch(line)(x=x)["output"].shape == (3, 2)
