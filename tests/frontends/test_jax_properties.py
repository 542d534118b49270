"""Rules with many cases, on cases drawn at random: reshapes, gathers, scatters, convolutions."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from graftwork.frontends.jax.reshape import reshape
from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Region
from graftwork.ir.positional import Positional, carrying_axes, fresh
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.types import Typing
from tests.frontends.jax_support import check, normal

FEW = settings(max_examples=30)


def grouped(draw: Any, factors: list[Any]) -> list[list[Any]]:
    """Consecutive factors as dimensions, with unit dimensions between them."""
    groups: list[list[Any]] = [[]]
    for factor in factors:
        if draw(st.booleans()):
            groups.append([])
        groups[-1].append(factor)
    for _ in range(draw(st.integers(0, 2))):
        groups.insert(draw(st.integers(0, len(groups))), [])
    return groups


def product(factors: list[Size]) -> Size:
    total: Size = 1
    for factor in factors:
        total = total * factor
    return total


@given(st.data(), st.lists(st.sampled_from([2, 3, 4, 6, "n", "m"]), min_size=1, max_size=5))
def test_reshapes_keep_elements_in_order(data: Any, words: list[Any]) -> None:
    extents = {"n": 5, "m": 2}
    factors = [symbol(word) if isinstance(word, str) else word for word in words]
    old, new = (grouped(data.draw, factors) for _ in range(2))
    builder = Builder(Typing({}))
    sizes = [product(group) for group in old]
    axes = [None if size == 1 else fresh(builder.typing, size) for size in sizes]
    carried = [a for a in axes if a is not None and data.draw(st.booleans())]
    x = Positional(builder.input("f64", carried), tuple(axes))
    result = carrying_axes(reshape(x, [product(group) for group in new]))

    at = At(builder.typing.table, extents)
    array = np.random.default_rng(0).standard_normal([at.size(a) for a in carried])
    region = Region((x.term.value,), tuple(builder.nodes), (result.term.value,))
    (out,) = at.run(region, [NamedArray(array, tuple(carried))])
    shape = [at.size(a) if a in carried else 1 for a in axes]
    full = np.broadcast_to(array.reshape(shape), [evaluate(s, extents) for s in sizes])
    wanted = full.reshape([evaluate(product(group), extents) for group in new])
    got = out.order(*result.axes).array.reshape(wanted.shape)
    np.testing.assert_array_equal(got, wanted)


def test_a_reshape_that_only_merges_is_one_merge() -> None:
    builder = Builder(Typing({"batch": symbol("batch"), "seq": symbol("seq"), "embed": 8}))
    x = Positional(builder.input("f32", "batch seq embed"), ("batch", "seq", "embed"))
    flat = reshape(x, (symbol("batch") * symbol("seq"), 8))
    assert [node.op for node in builder.nodes] == [ops.merge]
    back = reshape(flat, (symbol("batch"), symbol("seq"), 2, 4))
    assert [node.op for node in builder.nodes[1:]] == [ops.split, ops.split]
    assert back.rank == 4


@st.composite
def windows(draw: Any) -> dict[str, Any]:
    """An operand, and what is addressed in it."""
    rank = draw(st.integers(1, 3))
    shape = [draw(st.integers(1, 4)) for _ in range(rank)]
    mapped = draw(st.permutations(range(rank)))[: draw(st.integers(0, rank))]
    sizes = [draw(st.integers(1, n)) if i in mapped else n for i, n in enumerate(shape)]
    collapsed = [i for i in range(rank) if sizes[i] == 1 and draw(st.booleans())]
    batch = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 2)) if mapped else 0)]
    inside = rank - len(collapsed)
    places = sorted(draw(st.permutations(range(len(batch) + inside)))[:inside])
    promised = draw(st.booleans())
    mode = "promise_in_bounds" if promised else draw(st.sampled_from(["clip", "fill"]))
    starts = np.zeros((*batch, len(mapped)), np.int32)
    for k, place in enumerate(mapped):
        room = shape[place] - sizes[place]
        low, high = (0, room) if promised else (-2, room + 2)
        flat = [draw(st.integers(low, high)) for _ in range(math.prod(batch))]
        starts[..., k] = np.reshape(flat, batch)
    return {
        "shape": shape,
        "mapped": tuple(mapped),
        "sizes": sizes,
        "places": tuple(places),
        "collapsed": tuple(collapsed),
        "starts": starts,
        "mode": mode,
        "batch": batch,
    }


@FEW
@given(windows(), st.booleans())
def test_gathers_of_every_form(case: dict[str, Any], mapped: bool) -> None:
    numbers = lax.GatherDimensionNumbers(case["places"], case["collapsed"], case["mapped"])

    def read(x: Any, starts: Any) -> Any:
        return lax.gather(x, starts, numbers, case["sizes"], mode=case["mode"])

    x = normal(2, *case["shape"], dtype=np.float32)
    if mapped:
        check(jax.vmap(read), x, np.stack([case["starts"]] * 2))
    else:
        check(read, x[0], case["starts"])


@FEW
@given(windows(), st.sampled_from(["add", "max", "min", "mul"]), st.booleans())
def test_scatters_of_every_form(case: dict[str, Any], combine: str, mapped: bool) -> None:
    numbers = lax.ScatterDimensionNumbers(case["places"], case["collapsed"], case["mapped"])
    inside = iter([n for i, n in enumerate(case["sizes"]) if i not in case["collapsed"]])
    outside = iter(case["batch"])
    rank = len(case["places"]) + len(case["batch"])
    shape = [next(inside) if i in case["places"] else next(outside) for i in range(rank)]

    def write(x: Any, starts: Any, updates: Any) -> Any:
        scatter = getattr(lax, f"scatter_{combine}")
        return scatter(x, starts, updates, numbers, mode=case["mode"])

    x = normal(2, *case["shape"], dtype=np.float32)
    updates = normal(2, *shape, seed=1, dtype=np.float32)
    if mapped:
        check(jax.vmap(write, (0, None, 0)), x, case["starts"], updates, tolerance=1e-5)
    else:
        check(write, x[0], case["starts"], updates[0], tolerance=1e-5)


@FEW
@given(st.data())
def test_convolutions_of_every_form(data: Any) -> None:
    draw = data.draw
    rank, steps = draw(st.integers(1, 2)), st.integers(1, 2)
    features, batches = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 1)]))
    inside = draw(st.integers(1, 2))
    x = [batches * draw(st.integers(1, 2)), features * inside, *([6] * rank)]
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    w = [features * batches * draw(st.integers(1, 2)), inside, *kernel]
    specs = [tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3)]
    layouts = [np.argsort(spec) for spec in specs]
    options = {
        "window_strides": [draw(steps) for _ in range(rank)],
        "padding": [(draw(st.integers(-1, 2)), draw(st.integers(-1, 2))) for _ in range(rank)],
        "lhs_dilation": [draw(steps) for _ in range(rank)],
        "rhs_dilation": [draw(steps) for _ in range(rank)],
    }

    def convolve(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            w,
            **options,
            dimension_numbers=lax.ConvDimensionNumbers(*specs),
            feature_group_count=features,
            batch_group_count=batches,
        )

    arrays = (
        np.transpose(normal(*shape, seed=i, dtype=np.float32), layouts[i])
        for i, shape in enumerate((x, w))
    )
    check(convolve, *arrays, tolerance=1e-5)


@FEW
@given(st.data())
def test_pads_of_every_form(data: Any) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    edge = st.integers(-1, 2)
    config = [(data.draw(edge), data.draw(edge), data.draw(st.integers(0, 2))) for _ in shape]

    def pad(x: Any) -> Any:
        return lax.pad(x, jnp.float32(7), config)

    spread = [n + (n - 1) * c[2] + c[0] + c[1] for n, c in zip(shape, config, strict=True)]
    if min(spread) >= 0:
        check(pad, normal(*shape, dtype=np.float32))
