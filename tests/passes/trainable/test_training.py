"""Interventions are trained by the frameworks' own optimisers, and put back into recipes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.trainable.equality import HIDDEN, ROTATION, accuracy, graph, pairs
from tests.passes.trainable.test_subspaces import rotation

NAME = f"subspace.{HIDDEN}.reflections"


def with_torch(edited: gw.Graph, steps: int) -> dict[str, Any]:
    """The state of the module after steps of Adam on interchanges."""
    module = gw.to_torch(edited)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for step in range(steps):
        inputs, wanted = pairs(step, 64)
        given = {
            "x": torch.tensor(inputs["x"]),
            "source": {"x": torch.tensor(inputs["source"]["x"])},
        }
        logit = module(**given)["logit"]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logit, torch.tensor(wanted).float()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(module.state_dict())


def with_jax(edited: gw.Graph, steps: int, **more: Any) -> dict[str, Any]:
    """The parameters of the JAX function after steps of Adam on interchanges."""
    function, params = gw.to_jax(edited)
    optimizer = optax.adam(0.02)

    def loss(trained: Any, x: Any, source: Any, wanted: Any, extra: Any) -> Any:
        logit = function({**params, **trained}, {"x": x, "source.x": source, **extra})["logit"]
        return optax.sigmoid_binary_cross_entropy(logit, wanted.astype(jnp.float32)).mean()

    @jax.jit
    def update(trained: Any, state: Any, *batch: Any) -> Any:
        changes, state = optimizer.update(jax.grad(loss)(trained, *batch), state)
        return optax.apply_updates(trained, changes), state

    trained = {name: params[name] for name in edited.trainable}
    state = optimizer.init(trained)
    for step in range(steps):
        inputs, wanted = pairs(step, 64)
        extra = {name: value(step / steps) for name, value in more.items()}
        trained, state = update(trained, state, inputs["x"], inputs["source"]["x"], wanted, extra)
    return dict(trained)


@pytest.mark.parametrize(
    ("patch", "train"),
    [
        (p.RotatedPatch(HIDDEN, "source", 1, key=1), with_jax),
        (p.LowRankPatch(HIDDEN, "source", 1), with_torch),
    ],
)
def test_das_finds_a_known_causal_variable(patch: Any, train: Any, tmp_path: Any) -> None:
    edited = graph().apply(patch, p.Train("subspace.**"))
    assert edited.trainable == (NAME,)
    assert accuracy(edited) < 0.9
    found = p.learned(edited, train(edited, 400))
    assert list(found.values) == [NAME]
    save_recipe([patch, found], tmp_path / "recipe")
    again = graph().apply(*load_recipe(tmp_path / "recipe"))
    assert accuracy(again) > 0.97
    r = rotation(np.asarray(again.params[NAME], np.float64))[:, 0]
    assert abs(r @ ROTATION[0]) > 0.99
