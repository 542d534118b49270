"""What a graph gives: metrics as outputs, and fewer outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from graftwork.passes.lowering import lowered
from tests.models.zoo import axes, build, inputs


@pytest.fixture(scope="module")
def graph() -> gw.Graph:
    model = build("gpt2", "sdpa").double()
    return gw.from_torch(model, kwargs=inputs("gpt2", (2, 6)), axes=axes("gpt2"))


def test_a_metric_is_an_output(graph: gw.Graph, tmp_path: Path) -> None:
    recipe = [p.Measure(lambda out: out["logits"][{"seq": -1}], "last"), p.Keep("last")]
    gw.save_recipe(recipe, tmp_path / "recipe")
    given = inputs("gpt2", (2, 6))
    whole = gw.compile(graph, "numpy")(**given)["logits"].numpy()
    for passes in (recipe, gw.load_recipe(tmp_path / "recipe")):
        out = gw.compile(graph.apply(*passes), "numpy")(**given)
        assert list(out) == ["last"]
        expected = whole[{"seq": -1}]
        np.testing.assert_allclose(out["last"].order(*expected.axes).array, expected.array)


def test_what_is_not_kept_is_not_computed(graph: gw.Graph) -> None:
    kept = lowered(graph.apply(p.Collect("blocks.0.resid_mid"), p.Keep("blocks.**")))
    assert not any("blocks.1" in v.name or "h.1" in n.origin.module
                   for n in kept.nodes for v in n.outputs)  # fmt: skip


def test_few_indices_of_one_axis_are_computed_apart(graph: gw.Graph) -> None:
    """A difference of two logits needs two rows of the unembedding."""
    last = p.Measure(
        lambda out: out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 5}]
    )
    kept = lowered(graph.apply(last, p.Keep("metric")))
    made = [v for n in kept.nodes if n.op.name in ("linear", "contract") for v in n.outputs]
    assert made
    assert not any("vocab" in value.axes for value in made)
    given = inputs("gpt2", (2, 6))
    logits = gw.compile(graph, "numpy")(**given)["logits"].numpy()[{"seq": -1}]
    expected = logits[{"vocab": 3}].array - logits[{"vocab": 5}].array
    found = gw.compile(graph.apply(last), "numpy")(**given)["metric"]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9)


def test_unknown_and_taken_names(graph: gw.Graph) -> None:
    with pytest.raises(SelectionError, match="no output matches 'logit'; did you mean 'logits'"):
        graph.apply(p.Keep("logit"))
    with pytest.raises(InputError, match="already"):
        graph.apply(p.Measure("logits", "logits"))
