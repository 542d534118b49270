"""What `from_jax` takes, what it calls things, and what it refuses."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graftwork.backends.reference import compile
from graftwork.ir.errors import AxisError, ConversionError, InputError, UnsupportedOpError
from graftwork.ir.verify import verify
from tests.frontends.jax_support import check, from_jax, normal

X = normal(2, 3, dtype=np.float32)
TABLE = jnp.asarray(normal(10, 3, seed=4, dtype=np.float32))


class Pair(NamedTuple):
    left: Any
    right: Any


def test_parameters_have_dotted_names_and_are_not_copied() -> None:
    params = {"layers": [{"w": X.T.copy()}, {"w": X[:, :2].T.copy()}], "scale": np.float32(2)}
    graph = from_jax(lambda p, x: x @ p["layers"][0]["w"] * p["scale"], X, params=params)
    assert list(graph.params) == ["layers.0.w", "scale"]  # what is not used is left out
    assert graph.params["layers.0.w"] is params["layers"][0]["w"]


def test_a_parameter_that_occurs_twice_is_one_with_two_names() -> None:
    table = jnp.asarray(X)
    graph = check(
        lambda p, x: x @ p["embed"].T @ p["unembed"],
        X,
        params={"embed": table, "unembed": table},
        tolerance=1e-5,
    )
    (parameter,) = graph.parameters
    assert (parameter.name, parameter.aliases) == ("embed", ("unembed",))


def test_arguments_are_named_by_the_signature_and_paths_in_them() -> None:
    def model(batch: Any, pair: Pair, *more: Any) -> Any:
        return Pair(batch["ids"] + pair.left, [pair.right + more[0]])

    graph = from_jax(
        model,
        {"ids": X},
        Pair(X, X),
        X,
        axes={"batch": "batch seq", "pair.left": "batch seq", 2: "_ _"},
    )
    assert [port.name for port in graph.inputs] == [
        "batch.ids",
        "pair.left",
        "pair.right",
        "more_0",
    ]
    assert graph.inputs[0].layout == graph.inputs[1].layout == ("batch", "seq")
    assert [port.name for port in graph.outputs] == ["left", "right.0"]
    result = compile(graph)(batch={"ids": X}, pair={"left": X, "right": X}, more_0=X)
    np.testing.assert_allclose(result["right.0"], X + X)


def test_python_values_are_part_of_the_program() -> None:
    def model(x: Any, times: int, negate: bool, nothing: None) -> Any:
        return -x * times if negate else x

    graph = from_jax(model, X, 3, True, None)
    assert [port.name for port in graph.inputs] == ["x"]
    np.testing.assert_allclose(compile(graph)(x=X)["output"], -X * 3)


def test_shapes_alone_are_samples_enough() -> None:
    graph = from_jax(jnp.sin, jax.ShapeDtypeStruct((2, 3), jnp.float32), axes={0: "batch _"})
    np.testing.assert_allclose(compile(graph)(x=X[:1])["output"], np.sin(X[:1]), rtol=1e-6)


def test_arrays_that_a_function_closes_over_are_parameters_by_their_names() -> None:
    weights = {"w": jnp.asarray(X.T), "b": X[:, 0].copy()}

    def inner(x: Any, bias: Any) -> Any:
        return x @ weights["w"] + bias + TABLE[0, 0]

    graph = check(functools.partial(inner, bias=weights["b"]), X, tolerance=1e-5)
    assert sorted(graph.params) == ["TABLE", "weights.b", "weights.w"]
    assert graph.params["TABLE"] is TABLE


def test_small_constants_are_in_the_program_and_large_ones_in_the_store() -> None:
    graph = check(
        lambda x: x + np.arange(3.0, dtype="f") + np.ones((50, 1, 3), "f"), X, tolerance=1e-6
    )
    (parameter,) = graph.parameters
    assert (parameter.name, parameter.trainable) == ("constant", False)


def test_a_named_axis_is_dynamic_and_a_fixed_one_is_not() -> None:
    graph = check(
        lambda x, y: (x + y[:, None], x.reshape(-1), x.shape[1] * 2),
        normal(1, 4, dtype=np.float32),
        normal(1, dtype=np.float32),
        axes={"x": "batch=1 seq", "y": "batch"},
        tolerance=1e-6,
        others=[(normal(1, 1, dtype=np.float32), normal(1, dtype=np.float32))],
    )
    assert graph.axes["batch"] == 1
    assert graph.symbols == ("seq",)
    assert graph.outputs[0].layout == ("batch", "seq")


def test_a_unit_dimension_has_no_axis() -> None:
    graph = check(lambda x: x * 2, X[:1], tolerance=1e-6)
    assert graph.inputs[0].layout[0] is None
    assert graph.outputs[0].layout[0] is None


def test_equal_sizes_are_no_evidence() -> None:
    square = normal(3, 3, dtype=np.float32)
    graph = from_jax(lambda x, w: x @ w, square, square, axes={0: "batch features=3"})
    assert len(set(graph.inputs[1].layout) | set(graph.inputs[0].layout)) == 4


def test_sizes_are_computed_not_recorded() -> None:
    def model(x: Any) -> Any:
        n = x.shape[0]
        return x.sum(0) / n, x[-1], x[n // 2 :], jnp.arange(n) - n, x[::2], x.reshape(n * 3)

    xs = [(normal(n, 3, dtype=np.float32),) for n in (1, 2, 7, 8)]
    graph = check(model, *xs[2], axes={0: "seq _"}, others=xs, tolerance=1e-6)
    last = [n for n in graph.nodes if n.op.name == "index" and str(n.attrs["at"]) == "seq - 1"]
    assert len(last) == 1  # one position, not a read at a computed place


def test_a_table_bounds_the_axis_that_it_is_cut_to() -> None:
    xs = [(normal(n, 3, dtype=np.float32),) for n in (4, 1, 10)]
    graph = check(
        lambda x: x + TABLE[: x.shape[0]], *xs[0], axes={0: "seq _"}, others=xs, tolerance=1e-6
    )
    with pytest.raises(InputError, match="seq"):
        compile(graph)(x=normal(11, 3, dtype=np.float32))


def test_code_that_compares_sizes_is_followed_as_the_sample_goes() -> None:
    def model(x: Any) -> Any:
        return x[1:] - x[:-1] if x.shape[0] > 2 else x

    xs = [(normal(n, 3, dtype=np.float32),) for n in (5, 3)]
    graph = check(model, *xs[0], axes={0: "seq _"}, others=xs, tolerance=1e-6)
    with pytest.raises(InputError, match="assumed when the model was traced"):
        compile(graph)(x=normal(2, 3, dtype=np.float32))
    check(model, normal(1, 3), axes={0: "seq _"}, others=[(normal(2, 3),)], tolerance=1e-6)


def test_types_are_those_of_the_callers_program() -> None:
    narrow = from_jax(lambda x: x * 2, np.ones(3))  # as JAX would run it: without 64-bit types
    assert narrow.inputs[0].value.type.dtype.value == "f32"
    with jax.enable_x64(True):
        array = jnp.ones(3)
    wide = from_jax(lambda x: x * 2, array)
    assert wide.outputs[0].value.type.dtype.value == "f64"
    assert not jax.config.jax_enable_x64


def test_brain_floats_stay_what_they_are() -> None:
    x = jnp.asarray(X, jnp.bfloat16)
    check(lambda x: jax.nn.softmax(x * 2) @ x.T, x, tolerance=1e-2)


def test_outputs_that_are_inputs_parameters_or_nothing_new() -> None:
    graph = from_jax(lambda p, x: {"x": x, "w": p, "one": 1.0, "twice": x}, X, params=TABLE)
    verify(graph)
    result = compile(graph)(x=X)
    np.testing.assert_array_equal(result["w"], TABLE)
    assert float(np.asarray(result["one"])) == 1.0


def test_origins_say_module_line_and_primitive() -> None:
    @jax.jit
    def helper(x: Any) -> Any:
        return jnp.sin(x)

    def model(x: Any) -> Any:
        with jax.named_scope("encoder"), jax.named_scope("layer"):
            return helper(x)

    (node,) = from_jax(model, X).nodes
    assert node.origin.module == "encoder.layer.helper"
    assert node.origin.op == "sin"
    line = helper.__wrapped__.__code__.co_firstlineno + 2
    assert node.origin.source == f"{__file__}:{line}"


HELD = [np.eye(9, dtype=np.float32), np.ones((9, 9), np.float32)]


def test_arrays_that_are_parameters_and_held_too_are_one() -> None:
    def model(params: Any, x: Any) -> Any:
        return jax.jit(lambda x: x @ HELD[0] @ HELD[1] @ params["a"] @ params["b"])(x)

    params = dict(zip("ab", HELD, strict=True))
    graph = from_jax(model, np.ones((2, 9), np.float32), params=params)
    assert [(p.name, p.aliases) for p in graph.parameters] == [("a", ()), ("b", ())]


def test_what_layers_ask_for_again_is_translated_once() -> None:
    def layer(x: Any) -> Any:
        mask = jnp.tril(jnp.ones((x.shape[0], x.shape[0]), bool))
        return jnp.where(mask @ x > 0, x * 2.0, -0.0)

    graph = from_jax(lambda x: layer(layer(layer(x))), X)
    counts = Counter(node.op.name for node in graph.nodes)
    assert counts["ge"] == 1  # the mask
    assert counts["select"] == 4  # one makes the mask
    assert counts["constant"] == len({n.attrs for n in graph.nodes if n.op.name == "constant"})
    check(lambda x: layer(layer(layer(x))), normal(*X.shape))


def test_equations_that_differ_in_a_bit_are_two() -> None:
    check(lambda x: jnp.stack([x * 0.0, x * -0.0, 1 / (x * 0.0), 1 / (x * -0.0)]), normal(3))


@jax.tree_util.register_pytree_node_class
class Affine:
    """A module of nobody's framework: a pytree that can be called."""

    def __init__(self, weight: Any, bias: Any) -> None:
        self.weight, self.bias = weight, bias

    def tree_flatten_with_keys(self) -> Any:
        keys = jax.tree_util.GetAttrKey
        return ((keys("weight"), self.weight), (keys("bias"), self.bias)), None

    def tree_flatten(self) -> Any:
        return (self.weight, self.bias), None

    @classmethod
    def tree_unflatten(cls, _: Any, children: Any) -> Affine:
        return cls(*children)

    def __call__(self, x: Any) -> Any:
        return x @ self.weight + self.bias


def test_any_pytree_that_can_be_called_is_a_module() -> None:
    graph = check(Affine(X.T.copy(), X[:, 0].copy()), X, tolerance=1e-5)
    assert len(graph.parameters) == 2


REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a decision in Python": (
        lambda x: x if x.sum() > 0 else -x,
        {},
        ConversionError,
        r"lax\.cond.*",
    ),
    "a loop in Python": (
        lambda x: list(range(int(x[0, 0]))),
        {},
        ConversionError,
        r"test_jax_convert\.py",
    ),
    "numpy on a value": (lambda x: np.sin(x), {}, ConversionError, "jax.numpy"),
    "a literal size": (
        lambda x: x + jnp.ones((2, 2)),
        {"axes": {0: "batch seq"}},
        ConversionError,
        r"batch=2",
    ),
    "a failing model": (lambda x: x @ jnp.ones((3, 3)), {}, ConversionError, r"does not run.*"),
    "linear algebra": (jnp.linalg.eigvalsh, {}, UnsupportedOpError, "eigh"),
    "a Fourier transform": (jnp.fft.fft, {}, Exception, "fft|complex"),
    "a callback": (
        lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct((2, 2), "f"), x),
        {},
        UnsupportedOpError,
        "Python",
    ),
    "a rare primitive": (
        lambda x: jax.lax.zeta(x + 2, x),
        {},
        UnsupportedOpError,
        "zeta.*test_jax_convert",
    ),
    "too many words": (jnp.sin, {"axes": {0: "batch seq embed"}}, AxisError, "3 words"),
    "an unknown argument": (jnp.sin, {"axes": {"y": "batch seq"}}, InputError, "'y'"),
    "an axis of two sizes": (
        lambda x, y: (x, y),
        {"axes": {0: "n m", 1: "n m"}, "extra": X},
        AxisError,
        "size",
    ),
    "parameters of 64 bits": (
        lambda p, x: x @ p["w"],
        {"params": {"w": np.ones((2, 2))}},
        ConversionError,
        "'w' is float64.*float32.*jax_enable_x64",
    ),
    "parameters twice": (Affine(X.T, X[:, 0]), {"params": {}}, ConversionError, "params"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_what_the_caller_wrote(name: str) -> None:
    model, options, error, message = REFUSED[name]
    options = dict(options)
    extra = [options.pop("extra")] if "extra" in options else []
    with pytest.raises(error, match=message):
        from_jax(model, normal(2, 2, dtype=np.float32), *extra, **options)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConversionError, match="function or a module"):
        from_jax({"w": X}, X)


def test_a_linen_module_without_variables_is_refused() -> None:
    linen = pytest.importorskip("flax.linen")
    with pytest.raises(ConversionError, match="params=variables"):
        from_jax(linen.Dense(3), X)


@pytest.fixture(autouse=True)
def no_global_change() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before
