"""Random numbers against those of JAX."""

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.sizes import symbol
from tests.ir.small import evaluate, named, ordered

SIZES = {"key": 2, "batch": 2, "row": 3, "column": 5, "none": 0, "long": symbol("long")}
SHAPE = (3, 5)
seeds = st.integers(-(2**63), 2**63 - 1)


def key_of(seed: int) -> Any:
    with jax.enable_x64(True):
        return jax.random.key(seed)


def words(key: Any) -> np.ndarray[Any, Any]:
    return np.asarray(jax.random.key_data(key))


def draw(name: str, key: Any, axes: str = "row column", **attrs: Any) -> np.ndarray[Any, Any]:
    def function(keys: Term) -> Term:
        return ops.__getattr__(name)(keys, axes=axes.split(), key="key", **attrs)

    (found,) = evaluate(function, SIZES, {"long": 4}, k=named(words(key), "key"))
    return ordered(found, axes)


@pytest.mark.parametrize("dtype", ["u8", "u16", "u32", "u64"])
@settings(max_examples=10)
@given(seed=seeds)
def test_bits_are_those_of_jax(dtype: str, seed: int) -> None:
    key = key_of(seed)
    with jax.enable_x64(True):
        expected = np.asarray(jax.random.bits(key, SHAPE, f"uint{dtype[1:]}"))
    np.testing.assert_array_equal(draw("random_bits", key, dtype=dtype), expected)


@pytest.mark.parametrize("axes", ["", "row", "none", "column batch row", "long row"])
def test_bits_count_positions_in_row_major_order(axes: str) -> None:
    key = key_of(3)
    shape = [4 if axis == "long" else SIZES[axis] for axis in axes.split()]
    expected = np.asarray(jax.random.bits(key, shape, "uint32"))
    np.testing.assert_array_equal(draw("random_bits", key, axes), expected)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
@settings(max_examples=10)
@given(seed=seeds, low=st.floats(-3, 0), width=st.floats(0.5, 4))
def test_uniform_floats_are_those_of_jax(dtype: str, seed: int, low: float, width: float) -> None:
    """Up to one rounding of the product and the sum, which JAX may fuse."""
    key, high = key_of(seed), low + width
    name = {"bf16": "bfloat16"}.get(dtype, f"float{dtype[1:]}")
    with jax.enable_x64(True):
        expected = np.asarray(jax.random.uniform(key, SHAPE, name, low, high))
    found = draw("random_uniform", key, dtype=dtype, low=low, high=high)
    assert found.dtype == expected.dtype
    step = {"f16": 2.0**-10, "bf16": 2.0**-7, "f32": 2.0**-23, "f64": 2.0**-52}[dtype]
    np.testing.assert_allclose(
        found.astype(np.float64), expected.astype(np.float64), rtol=0, atol=4 * step
    )


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
def test_unit_uniform_floats_are_bit_for_bit_those_of_jax(dtype: str) -> None:
    key = key_of(11)
    name = {"bf16": "bfloat16"}.get(dtype, f"float{dtype[1:]}")
    with jax.enable_x64(True):
        expected = np.asarray(jax.random.uniform(key, SHAPE, name))
    np.testing.assert_array_equal(draw("random_uniform", key, dtype=dtype), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [("f32", 2e-6), ("f64", 1e-13)])
@settings(max_examples=10)
@given(seed=seeds)
def test_normal_floats_are_those_of_jax(dtype: str, tolerance: float, seed: int) -> None:
    key = key_of(seed)
    with jax.enable_x64(True):
        expected = np.asarray(jax.random.normal(key, SHAPE, f"float{dtype[1:]}"))
    found = draw("random_normal", key, dtype=dtype)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=10)
@given(seed=seeds, data=st.integers(0, 2**32 - 1))
def test_keys_are_those_of_jax(seed: int, data: int) -> None:
    key = key_of(seed)
    (made,) = evaluate(lambda s: ops.random_seed(s, key="key"), SIZES, s=named(np.array(seed)))
    np.testing.assert_array_equal(made.array, words(key))
    (children,) = evaluate(
        lambda k: ops.random_split(k, axes=("row", "batch"), key="key"),
        SIZES,
        k=named(words(key), "key"),
    )
    np.testing.assert_array_equal(
        ordered(children, "row batch key"), words(jax.random.split(key, (3, 2)))
    )
    (folded,) = evaluate(
        lambda k, d: ops.random_fold_in(k, d, key="key"), SIZES,
        k=named(words(key), "key"), d=named(np.array(data)),
    )  # fmt: skip
    np.testing.assert_array_equal(folded.array, words(jax.random.fold_in(key, np.uint32(data))))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4))
def test_the_hash_is_that_of_jax(numbers: list[int]) -> None:
    from jax.extend.random import threefry_2x32

    k0, k1, x0, x1 = (np.uint32(n) for n in numbers)
    expected = np.asarray(threefry_2x32(np.stack([k0, k1]), np.stack([x0, x1])))
    given = {f"x{i}": named(np.uint32(n)) for i, n in enumerate(numbers)}
    for hashed in (ops.threefry2x32.emit, ops.threefry2x32.body):  # the reference, and its body
        found = evaluate(hashed, {}, **given)
        np.testing.assert_array_equal([x.array for x in found], expected)


def test_a_batch_of_keys_draws_as_each_alone() -> None:
    keys = [key_of(1), key_of(2)]
    stacked = NamedArray(np.stack([words(key) for key in keys]), ("batch", "key"))
    (found,) = evaluate(
        lambda k: ops.random_bits(k, axes=("row", "column"), key="key"), SIZES, k=stacked
    )
    for i, key in enumerate(keys):
        np.testing.assert_array_equal(
            ordered(found, "batch row column")[i], draw("random_bits", key)
        )


@pytest.mark.parametrize(
    ("attrs", "array", "error", "message"),
    [
        ({"axes": ("row",), "dtype": "i32"}, np.zeros(2, np.uint32), DTypeError, "unsigned"),
        ({"axes": ("row",)}, np.zeros(2, np.int32), DTypeError, "key is u32"),
        ({"axes": ("missing",)}, np.zeros(2, np.uint32), AxisError, "missing"),
    ],
)
def test_what_is_no_key_or_no_draw_is_refused(
    attrs: Any, array: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(lambda k: ops.random_bits(k, key="key", **attrs), SIZES, k=named(array, "key"))


def test_a_key_has_two_words() -> None:
    with pytest.raises(AxisError, match="size 3"):
        evaluate(
            lambda k: ops.random_bits(k, axes=(), key="row"), SIZES,
            k=named(np.zeros(3, np.uint32), "row"),
        )  # fmt: skip
