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
from graftwork.ir.errors import InputError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.trainable.equality import HIDDEN, ROTATION, WIDTH, accuracy, graph, pairs
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


def test_rotations_stay_orthogonal_to_single_precision() -> None:
    edited = graph().apply(p.RotatedPatch(HIDDEN, "source", WIDTH // 2), p.Train("subspace.**"))
    start = np.asarray(edited.params[NAME])
    trained = np.asarray(with_jax(edited, 300)[NAME])
    assert trained.dtype == np.float32
    assert np.abs(trained - start).max() > 0.1
    whole = graph().apply(
        p.RotatedPatch(HIDDEN, "source", WIDTH), p.Learned({NAME: trained}), p.Collect(HIDDEN)
    )
    inputs, _ = pairs(5, 16)
    for backend in ("numpy", "jax"):
        q = _matrix(trained, backend)
        assert q.dtype == np.float32
        np.testing.assert_allclose(q @ q.T, np.eye(WIDTH), atol=1e-6)
        out = gw.compile(whole, backend)(**inputs)
        source = gw.compile(graph().apply(p.Collect(HIDDEN)), "numpy")(x=inputs["source"]["x"])
        np.testing.assert_allclose(np.asarray(out[HIDDEN]), np.asarray(source[HIDDEN]), atol=5e-6)


def _matrix(reflections: Any, backend: str) -> Any:
    """Q in single precision, as a graph computes it."""
    from graftwork.ir.build import Builder
    from graftwork.ir.graph import Graph, Port
    from graftwork.ir.types import Typing
    from graftwork.passes.trainable.rotations import columns

    builder = Builder(Typing({"reflection": WIDTH, "width": WIDTH}))
    v = builder.input("f32", "reflection width", "v")
    with builder:
        q = columns(v, range(WIDTH))
    built = Graph(
        (Port("v", v.value, v.axes),), (), tuple(builder.nodes),
        (Port("q", q.value, ("width", "span")),), builder.typing.table,
    )  # fmt: skip
    return np.asarray(gw.compile(built, backend)(v=np.asarray(reflections))["q"])


def test_boundaries_and_masks_learn_while_the_temperature_falls() -> None:
    cold = np.float32(0.05)

    def falling(done: float) -> Any:
        return np.float32(5 * (0.05 / 5) ** done)

    for patch in (
        p.BoundlessPatch(HIDDEN, "source", "temperature"),
        p.MaskPatch(HIDDEN, "source", "temperature", rotated=True),
    ):
        edited = graph().apply(patch, p.Train("subspace.**"))
        assert len(edited.trainable) == 2
        state = with_jax(edited, 400, temperature=falling)
        trained = edited.apply(p.learned(edited, state))
        assert accuracy(trained, temperature=cold) > 0.97


def test_only_what_is_chosen_has_gradients_and_changes() -> None:
    edited = graph().apply(
        p.LowRankPatch(HIDDEN, "source", 1), p.Train("subspace.**", "back.weight")
    )
    module = gw.to_torch(edited)
    chosen = {name for name, _ in module.named_parameters()}
    assert chosen == set(edited.trainable) == {NAME, "back.weight"}
    before = {name: np.array(array) for name, array in graph().params.items()}
    after = with_torch(edited, 5)
    assert set(after) == set(edited.params)
    for name, array in before.items():
        assert np.array_equal(array, after[name]) == (name != "back.weight"), name
    assert set(edited.apply(p.Train("**")).trainable) == set(edited.params)
    with pytest.raises(SelectionError, match=r"subspce.*subspace"):
        edited.apply(p.Train("subspce.turned.reflections"))


def test_model_and_intervention_train_together() -> None:
    """Interchange intervention training (Geiger et al. 2022): a variable is put where we say."""
    fresh = np.random.default_rng(3).standard_normal((WIDTH, WIDTH)).astype(np.float32) / 2
    start = graph().apply(p.Learned({"turned.weight": fresh}))
    patch = p.PCAPatch(HIDDEN, "source", np.eye(WIDTH, dtype=np.float32)[:1])
    edited = start.apply(patch, p.Train("turned.*", "back.*", "differ.*", "head.*"))
    assert accuracy(edited) < 0.9
    trained = edited.apply(p.learned(edited, with_torch(edited, 500)))
    assert accuracy(trained) > 0.97
    np.testing.assert_array_equal(trained.params["apart.weight"], edited.params["apart.weight"])


def test_a_steering_vector_learns() -> None:
    steer = p.Steer(HIDDEN, np.zeros(WIDTH, np.float32))
    edited = graph().apply(steer, p.Train("steer.**"))
    module = gw.to_torch(edited)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for step in range(150):
        x = torch.tensor(pairs(step, 64)[0]["x"])
        flipped = ((x[:, 0] != x[:, 1]) == (x[:, 2] == x[:, 3])).float()
        loss = torch.nn.functional.mse_loss(module(x=x)["logit"] / 10, flipped - 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (name,) = edited.trainable
    vector = module.state_dict()[name]
    assert vector.abs().max() > 0.1
    x = pairs(7, 32)[0]["x"]
    learned = graph().apply(p.Steer(HIDDEN, vector))
    found = gw.compile(edited.apply(p.learned(edited, module.state_dict())), "jax")(x=x)
    wanted = gw.compile(learned, "jax")(x=x)
    np.testing.assert_array_equal(np.asarray(found["logit"]), np.asarray(wanted["logit"]))


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch", "onnx"])
def test_loss_and_gradients_are_a_step_of_training_everywhere(backend: str) -> None:
    """A graph whose parameters are inputs learns what the torch module learns."""
    edited = graph().apply(p.Steer(HIDDEN, np.full(WIDTH, 0.1, np.float32)), p.Train("steer.**"))
    (name,) = edited.trainable
    whole = edited.apply(
        p.AsInputs("steer.**"),
        p.Measure(lambda out: (out["logit"] * out["logit"]).mean("batch"), "loss"),
        p.Gradient("loss", [name]),
        p.Keep("loss", f"gradient.{name}"),
    )
    assert name not in {q.name for q in whole.parameters}
    step = gw.compile(whole, backend)
    module = gw.to_torch(edited)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    vector = np.array(edited.params[name])
    for number in range(4):
        x = pairs(number, 16)[0]["x"]
        out = step(x=x, **{name: vector})
        loss = module(x=torch.tensor(x))["logit"].square().mean()
        np.testing.assert_allclose(float(np.asarray(out["loss"])), loss.item(), rtol=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vector = vector - np.float32(1e-3) * np.asarray(out[f"gradient.{name}"])
        np.testing.assert_allclose(vector, module.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_parameters_that_are_inputs_are_asked_for() -> None:
    edited = graph().apply(p.AsInputs("back.*"))
    x = pairs(0, 5)[0]["x"]
    given = {n: graph().params[n] for n in graph().params if n.startswith("back.")}
    plain = gw.compile(graph(), "numpy")(x=x)["logit"]
    again = gw.compile(edited, "numpy")(x=x, **given)["logit"]
    np.testing.assert_array_equal(np.asarray(again), np.asarray(plain))
    with pytest.raises(InputError, match=r"missing input 'back\.weight'"):
        gw.compile(edited, "numpy")(x=x)
    with pytest.raises(SelectionError, match=r"no parameter matches 'bakc\.weight'.*back\.weight"):
        graph().apply(p.AsInputs("bakc.weight"))


def test_learned_values_are_copies_of_the_right_shape() -> None:
    edited = graph().apply(p.LowRankPatch(HIDDEN, "source", 1))
    tensor = torch.ones(1, WIDTH, requires_grad=True)
    values = p.Learned({NAME: tensor})
    tensor.data.zero_()
    np.testing.assert_array_equal(values.values[NAME], np.ones((1, WIDTH)))
    assert values == p.Learned({NAME: jnp.ones((1, WIDTH))})
    assert values != p.Learned({NAME: np.zeros((1, WIDTH))})
    wide = edited.apply(p.Learned({NAME: np.ones((1, WIDTH))}))
    assert wide.params[NAME].dtype == np.float32
    for broken, error, words in (
        ({NAME: np.ones((2, WIDTH), np.float32)}, InputError, "shape"),
        ({NAME: np.ones((1, WIDTH), np.int64)}, InputError, "int64"),
        ({"subspace.turned.reflection": np.ones(3)}, SelectionError, "did you mean"),
    ):
        with pytest.raises(error, match=words):
            edited.apply(p.Learned(broken))
    with pytest.raises(InputError, match="learns"):
        p.learned(edited, {"other": np.ones(3)})
