"""Source runs are of the model as it was, weights too, whatever passes before have made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graftwork import passes as p
from graftwork.ir.errors import InputError, RewriteError, SelectionError
from tests.passes.interventions.decoder import IDS, clean, logits, torch_graph

PATCH = p.Patch("blocks.1.resid_mid", {"seq": 2}, "clean")


@pytest.mark.parametrize(
    ("steps", "close"),
    [
        ((p.FoldNorms(),), 1e-12),
        ((p.FoldNorms(), p.FoldValueBiases(whole_rows=True)), 1e-12),
        ((p.FoldParameters(), p.Untie()), 1e-12),
        ((p.Cast("f32"),), 1e-4),
        ((p.CastWeights("f32"),), 1e-4),
        ((p.LoRA("blocks.0.mlp.out", 2, 0), p.MergeLoRA()), 1e-12),
    ],
)
def test_a_patch_behind_processed_weights_is_the_patch(steps: Any, close: float) -> None:
    wanted = logits(torch_graph().apply(PATCH), clean=clean())
    found = logits(torch_graph().apply(*steps, PATCH), clean=clean())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=close)
    assert np.abs(wanted - logits(torch_graph(), IDS)).max() > 0.01


def test_learned_weights_are_those_of_source_runs_too() -> None:
    graph = torch_graph()
    name = graph.parameters[0].name
    new = p.Learned({name: np.asarray(graph.params[name]) * 1.5})
    first, last = (logits(graph.apply(*s), clean=clean()) for s in ((new, PATCH), (PATCH, new)))
    np.testing.assert_array_equal(first, last)
    assert len(graph.apply(new, PATCH).parameters) == len(graph.parameters)


def test_a_run_of_another_shape_is_refused() -> None:
    pruned = p.PruneHeads("blocks.1.attn.z", [0])
    patch = p.Patch("blocks.1.attn.z", {"seq": 2}, "clean")
    with pytest.raises(SelectionError, match=r"has 2 along 'heads', but blocks.1.attn.z has 1"):
        torch_graph().apply(pruned, patch)
    assert torch_graph().apply(pruned).apply(patch) is not None


def test_what_a_pass_has_made_is_not_in_the_run_as_it_was() -> None:
    path = p.PathPatch("blocks.0.attn.z", "blocks.1.mlp.in", "clean", where={"heads": 0})
    with pytest.raises(SelectionError, match="apply FreezeNorms before"):
        torch_graph().apply(path, p.FreezeNorms())


def test_an_output_is_added_once() -> None:
    step = p.JVP("blocks.1.resid_post", "embed", np.ones(8))
    with pytest.raises((RewriteError, InputError), match=r"output '?jvp.blocks.1.resid_post'? "):
        torch_graph().apply(step, step)
