"""Composites against the functional references of PyTorch."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.sizes import symbol
from tests.ir.operands import agree, normal, one, rng, tensor
from tests.ir.small import evaluate, named, ordered

# --- activations and statistics -----------------------------------------------------------------

ELEMENTWISE: list[tuple[Any, Any]] = [
    (ops.relu, F.relu),
    (ops.gelu, F.gelu),
    (lambda x: ops.gelu(x, approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (ops.quick_gelu, lambda x: x * torch.sigmoid(1.702 * x)),
    (ops.silu, F.silu),
    (ops.softplus, lambda x: F.softplus(x, threshold=1e9)),
    (lambda x: ops.softplus(x, beta=2.0, threshold=3.0), lambda x: F.softplus(x, 2.0, 3.0)),
    (ops.log_sigmoid, F.logsigmoid),
    (ops.mish, F.mish),
    (lambda x: ops.leaky_relu(x, slope=0.2), lambda x: F.leaky_relu(x, 0.2)),
    (lambda x: ops.elu(x, alpha=1.5), lambda x: F.elu(x, 1.5)),
    (ops.selu, F.selu),
    (lambda x: ops.clip(x, low=-1, high=0.5), lambda x: F.hardtanh(x, -1, 0.5)),
    (ops.hard_sigmoid, F.hardsigmoid),
    (ops.hard_swish, F.hardswish),
]


@pytest.mark.parametrize(("function", "reference"), ELEMENTWISE)
@given(values=st.lists(st.floats(-50, 50), min_size=1, max_size=8))
def test_activations_are_those_of_pytorch(
    function: Any, reference: Any, values: list[float]
) -> None:
    x = named(np.array([*values, math.inf, math.nan, 0.0, -0.0]), "n")
    (found,) = evaluate(function, {"n": len(x.array)}, x=x)
    agree(found, "n", reference(tensor(x)))


STATISTICS: list[tuple[Any, Any]] = [
    (lambda x: x.mean("seq"), lambda x: x.mean(1)),
    (lambda x: ops.var(x, over="seq"), lambda x: x.var(1, correction=0)),
    (lambda x: ops.var(x, over="seq", correction=1), lambda x: x.var(1)),
    (lambda x: ops.logsumexp(x, over="seq"), lambda x: x.logsumexp(1)),
    (lambda x: ops.softmax(x, axis="seq"), lambda x: x.softmax(1).movedim(1, -1)),
    (lambda x: ops.log_softmax(x, axis="seq"), lambda x: x.log_softmax(1).movedim(1, -1)),
]


@pytest.mark.parametrize(("function", "reference"), STATISTICS)
@pytest.mark.parametrize("kind", ["usual", "large", "infinite", "all -inf"])
def test_statistics_are_those_of_pytorch(function: Any, reference: Any, kind: str) -> None:
    array = rng().normal(size=(2, 3, 4)) * (1e4 if kind == "large" else 1.0)
    if kind == "infinite":
        array[0, 1, 2] = -np.inf
    if kind == "all -inf":
        array[1, :, 2] = -np.inf
    x = named(array, "batch seq dim")
    found = one(function, x=x)
    axes = "batch dim seq" if "seq" in found.axes else "batch dim"
    agree(found, axes, reference(tensor(x)))


def test_means_of_nothing_and_of_symbolic_sizes() -> None:
    x = named([1.0, 2.0, 6.0], "s")
    (found,) = evaluate(lambda x: x.mean("s"), {"s": symbol("s")}, {"s": 3}, x=x)
    assert found.array == 3.0
    assert np.isnan(one(lambda x: x.mean("none"), x=normal("none")).array)
    assert one(lambda x: ops.logsumexp(x, over="none"), x=normal("none")).array == -np.inf


def test_half_precision_means_do_not_overflow() -> None:
    x = named(np.full(4000, 300.0, np.float16), "n")
    (found,) = evaluate(lambda x: x.mean("n"), {"n": 4000}, x=x)
    assert found.array == 300.0
    assert found.dtype == np.float16


def test_means_of_integers_are_refused() -> None:
    with pytest.raises(DTypeError, match="cast"):
        one(lambda x: x.mean("seq"), x=named(np.arange(3), "seq"))


@given(st.lists(st.tuples(st.floats(-800, 800), st.floats(-800, 800)), min_size=1, max_size=6))
def test_logaddexp_is_that_of_pytorch(pairs: list[tuple[float, float]]) -> None:
    pairs = [*pairs, (-math.inf, -math.inf), (math.inf, -math.inf), (math.nan, 0.0)]
    a, b = (named(np.array(column), "n") for column in zip(*pairs, strict=True))
    (found,) = evaluate(ops.logaddexp, {"n": len(pairs)}, a=a, b=b)
    agree(found, "n", torch.logaddexp(tensor(a), tensor(b)))


# --- linear, embedding, rotary, losses ----------------------------------------------------------


def test_linear_is_that_of_pytorch() -> None:
    x, w, b = normal("batch seq dim"), normal("embed dim", 1), normal("embed", 2)
    found = one(lambda x, w, b: ops.linear(x, w, b, over="dim"), x=x, w=w, b=b)
    agree(found, "batch seq embed", F.linear(tensor(x), tensor(w), tensor(b)))


def test_embedding_and_one_hot_are_those_of_pytorch() -> None:
    table, ids = normal("vocab dim"), named(np.array([[1, 6, 0], [2, 2, 5]]), "batch seq")
    found = one(lambda t, i: ops.embedding(t, i, axis="vocab"), t=table, i=ids)
    agree(found, "batch seq dim", F.embedding(tensor(ids), tensor(table)))
    hot = one(lambda i: ops.one_hot(i, axis="vocab", size=7, dtype="i64"), i=ids)
    agree(hot, "batch seq vocab", F.one_hot(tensor(ids), 7))


def rotate_half(x: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def rotate_pairs(x: torch.Tensor) -> torch.Tensor:
    return torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)


STYLES = [("half", rotate_half), ("interleaved", rotate_pairs)]


@pytest.mark.parametrize(("style", "rotate"), STYLES)
def test_rotary_turns_pairs(style: str, rotate: Any) -> None:
    x, cos, sin = normal("batch heads seq dim"), normal("seq dim", 1), normal("seq dim", 2)
    found = one(lambda x, c, s: ops.rotary(x, c, s, axis="dim", style=style), x=x, c=cos, s=sin)
    expected = tensor(x) * tensor(cos) + rotate(tensor(x)) * tensor(sin)
    agree(found, "batch heads seq dim", expected)


def test_rotary_refuses_an_odd_axis() -> None:
    x = normal("kv_seq")
    with pytest.raises(AxisError, match="kv_seq"):
        one(lambda x: ops.rotary(x, x, x, axis="kv_seq"), x=x)


def test_glu_is_that_of_pytorch() -> None:
    x = normal("batch embed")
    found = one(lambda x: ops.glu(x, axis="embed", into="half"), x=x)
    agree(found, "batch half", F.glu(tensor(x), -1))


@pytest.mark.parametrize("ignore", [None, -100, 2])
def test_cross_entropy_is_that_of_pytorch(ignore: int | None) -> None:
    logits = normal("batch seq vocab")
    labels = named(np.array([[1, 2, 0], [2, 6, -100 if ignore == -100 else 3]]), "batch seq")
    found = one(
        lambda x, y: ops.cross_entropy(x, y, axis="vocab", ignore=ignore), x=logits, y=labels
    )
    expected = F.cross_entropy(
        tensor(logits).movedim(-1, 1), tensor(labels), reduction="none",
        ignore_index=-1 if ignore is None else ignore,
    )  # fmt: skip
    agree(found, "batch seq", expected)


# --- norms --------------------------------------------------------------------------------------


def test_layer_norm_is_that_of_pytorch() -> None:
    x, w, b = normal("batch seq dim"), normal("dim", 1), normal("dim", 2)
    found = one(lambda x, w, b: ops.layer_norm(x, w, b, over="dim", eps=1e-5), x=x, w=w, b=b)
    agree(found, "batch seq dim", F.layer_norm(tensor(x), (4,), tensor(w), tensor(b), 1e-5))
    both = one(lambda x: ops.layer_norm(x, over=("seq", "dim"), eps=1e-3), x=x)
    agree(both, "batch seq dim", F.layer_norm(tensor(x), (3, 4), eps=1e-3))


def test_batch_norm_is_that_of_pytorch() -> None:
    x = normal("batch chan width")
    m, v, w, b = (normal("chan", seed) for seed in range(1, 5))
    v = named(v.array**2, "chan")
    found = one(lambda *xs: ops.batch_norm(*xs, eps=1e-5), x=x, m=m, v=v, w=w, b=b)
    expected = F.batch_norm(
        tensor(x), tensor(m), tensor(v), tensor(w), tensor(b), training=False, eps=1e-5
    )
    agree(found, "batch chan width", expected)


def test_group_norm_is_that_of_pytorch() -> None:
    x, w, b = normal("batch chan height width"), normal("chan", 1), normal("chan", 2)
    attrs = {"axis": "chan", "groups": 2, "over": ("height", "width"), "eps": 1e-5}
    found = one(lambda x, w, b: ops.group_norm(x, w, b, **attrs), x=x, w=w, b=b)
    expected = F.group_norm(tensor(x), 2, tensor(w), tensor(b), 1e-5)
    agree(found, "batch chan height width", expected)


def test_groups_must_divide_the_channels() -> None:
    attrs = {"axis": "chan", "groups": 3, "over": ("width",), "eps": 1e-5}
    with pytest.raises(AxisError, match="chan"):
        one(lambda x: ops.group_norm(x, **attrs), x=normal("batch chan width"))


def llama(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    return w * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def gemma(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
    return (normed * (1.0 + w.float())).type_as(x)


VARIANTS = [
    (llama, {"in_f32": True, "weight_after_cast": True}),
    (gemma, {"in_f32": True, "offset": 1.0}),
]


@pytest.mark.parametrize(("reference", "attrs"), VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rms_norm_of_llama_and_gemma(reference: Any, attrs: Any, dtype: torch.dtype) -> None:
    """In 16 bits equal but for the last bit, where the two round alike."""
    import ml_dtypes

    x, w = (normal(axes, seed).array * 3 for seed, axes in enumerate(("batch seq embed", "embed")))
    tx, tw = (torch.from_numpy(a).to(dtype) for a in (x, w))
    kind = {torch.float32: np.float32, torch.float16: np.float16}.get(dtype, ml_dtypes.bfloat16)
    found = one(
        lambda x, w: ops.rms_norm(x, w, over="embed", eps=1e-6, **attrs),
        x=named(tx.double().numpy().astype(kind), "batch seq embed"),
        w=named(tw.double().numpy().astype(kind), "embed"),
    )
    assert found.dtype == kind
    exact = reference(tx, tw).double()
    ulp = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
    agree(NamedArray(found.array.astype(np.float64), found.axes), "batch seq embed", exact, ulp)
    if dtype is not torch.float32:
        same = ordered(found, "batch seq embed").astype(np.float64) == exact.numpy()
        assert same.mean() > 0.9


# --- convolution and pooling --------------------------------------------------------------------

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=30)
@given(stride=PAIR, dilation=PAIR, padding=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_grouped_convolution_is_that_of_pytorch(
    stride: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, int]
) -> None:
    x, w = normal("batch groups chan height width"), normal("groups out chan kh kw", 1)
    attrs = {
        "axes": ("height", "width"), "kernel": ("kh", "kw"), "into": ("oh", "ow"), "over": "chan",
        "stride": stride, "dilation": dilation, "base_dilation": (1, 1), "low": padding,
        "high": padding,
    }  # fmt: skip
    found = one(lambda x, w: ops.conv(x, w, **attrs), x=x, w=w)
    expected = F.conv2d(
        tensor(x).flatten(1, 2), tensor(w).flatten(0, 1), None, stride, padding, dilation, 2
    )
    agree(found, "batch groups out oh ow", expected.unflatten(1, (2, 6)))


def test_transposed_convolution_dilates_its_input() -> None:
    x, w = normal("batch chan width"), normal("chan out kw", 1)
    attrs = {
        "axes": ("width",), "kernel": ("kw",), "into": ("ow",), "over": "chan", "stride": (1,),
        "dilation": (1,), "base_dilation": (3,), "low": (0,), "high": (1,),
    }  # fmt: skip
    found = one(lambda x, w: ops.conv(x, ops.flip(w, axes="kw"), **attrs), x=x, w=w)
    expected = F.conv_transpose1d(tensor(x), tensor(w), stride=3, padding=1, output_padding=1)
    agree(found, "batch out ow", expected)


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(2, 4), st.integers(2, 3)), stride=PAIR,
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)), counted=st.booleans(),
)  # fmt: skip
def test_pooling_is_that_of_pytorch(
    size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], counted: bool
) -> None:
    x = named(normal("batch height width").array - 5.0, "batch height width")
    attrs = {
        "axes": ("height", "width"), "into": ("oh", "ow"), "size": size, "stride": stride,
        "dilation": (1, 1), "low": padding, "high": padding,
    }  # fmt: skip
    found = one(lambda x: ops.max_pool(x, **attrs), x=x)
    agree(found, "batch oh ow", F.max_pool2d(tensor(x), size, stride, padding))
    mean = one(lambda x: ops.avg_pool(x, count_padding=counted, **attrs), x=x)
    expected = F.avg_pool2d(tensor(x), size, stride, padding, count_include_pad=counted)
    agree(mean, "batch oh ow", expected)
    total = one(lambda x: ops.avg_pool(x, divisor=3, **attrs), x=x)
    agree(total, "batch oh ow", F.avg_pool2d(tensor(x), size, stride, padding, divisor_override=3))


def test_integers_are_pooled_with_their_own_least_value() -> None:
    attrs = {
        "axes": ("seq",), "into": ("o",), "size": (2,), "stride": (1,), "dilation": (1,),
        "low": (1,), "high": (0,),
    }  # fmt: skip
    found = one(lambda x: ops.max_pool(x, **attrs), x=named(np.array([-7, -9, -3]), "seq"))
    np.testing.assert_array_equal(found.array, [-7, -7, -3])


def test_spatial_lists_of_unequal_length_are_refused() -> None:
    attrs = {
        "axes": ("seq",), "into": ("o",), "size": (2, 2), "stride": (1,), "dilation": (1,),
        "low": (1,), "high": (0,),
    }  # fmt: skip
    with pytest.raises(AxisError, match=r"size=\(2, 2\)"):
        one(lambda x: ops.max_pool(x, **attrs), x=normal("seq"))


# --- dynamic slices -----------------------------------------------------------------------------


@given(start=st.integers(-20, 20))
def test_dynamic_slices_are_clamped_as_those_of_jax(start: int) -> None:
    from jax import lax

    x, update, at = normal("batch embed"), normal("seq batch", 1), named(np.array(start))
    taken = one(lambda x, s: ops.dynamic_slice(x, s, axis="embed", size=3, into="k"), x=x, s=at)
    block = min(max(start, 0), 3)
    np.testing.assert_array_equal(ordered(taken, "batch k"), x.array[:, block : block + 3])
    written = one(
        lambda x, u, s: ops.dynamic_update_slice(x, u, s, axis="embed", update_axis="seq"),
        x=x, u=update, s=at,
    )  # fmt: skip
    expected = lax.dynamic_update_slice(x.array, update.array.T, (0, max(start, 0)))
    np.testing.assert_allclose(ordered(written, "batch embed"), expected, rtol=1e-6)
