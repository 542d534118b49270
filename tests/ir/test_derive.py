"""Derivatives against central differences, and transposes against <J t, c> = <t, J^T c>."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder, Term
from graftwork.ir.derive import jvp_region, linearize, push, transpose, vjp
from graftwork.ir.derive_parts import materialized
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError, UnsupportedOpError
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Port, Region, Value, walk
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from tests.ir.derive_cases import ALL, CONTROL, SIZES, SYMBOLS, Case, extent
from tests.ir.small import named, ordered, region_of, run_region

EXAMPLES = settings(max_examples=3)
seeds = st.integers(0, 2**32 - 1)


def sample(operand: Any, rng: np.random.Generator) -> NamedArray:
    """The operand itself, or random numbers in its range."""
    if isinstance(operand, NamedArray):
        return operand
    axes, least, most = operand
    shape = [extent(axis) for axis in axes.split()]
    return named(rng.uniform(least, most, shape), axes)


def direction(x: NamedArray, rng: np.random.Generator) -> NamedArray:
    return NamedArray(rng.normal(size=x.shape), x.axes)


@frozen
class Point:
    """A case at random arrays."""

    typing: Typing
    region: Region
    arrays: list[NamedArray]
    active: list[int]

    def run(self, region: Region, arrays: list[NamedArray]) -> tuple[NamedArray, ...]:
        return run_region(region, self.typing, arrays, SYMBOLS)


def at_random(one: Case, rng: np.random.Generator) -> Point:
    typing = Typing(SIZES)
    arrays = [sample(operand, rng) for operand in one.operands]
    named_arrays = {f"x{i}": array for i, array in enumerate(arrays)}
    region = region_of(one.function, typing, named_arrays)
    active = [i for i, operand in enumerate(one.operands) if isinstance(operand, tuple)]
    return Point(typing, region, arrays, active)


def moved(point: Point, tangents: list[NamedArray], step: float) -> list[NamedArray]:
    arrays = list(point.arrays)
    for i, tangent in zip(point.active, tangents, strict=True):
        arrays[i] = NamedArray(arrays[i].array + step * tangent.array, arrays[i].axes)
    return arrays


def floats(arrays: tuple[NamedArray, ...]) -> list[NamedArray]:
    return [x for x in arrays if x.dtype.kind == "f"]


def close(a: NamedArray, b: NamedArray, tolerance: float) -> None:
    axes = " ".join(map(str, b.axes))
    scale = max(1.0, float(np.abs(b.array).max(initial=0.0)))
    np.testing.assert_allclose(ordered(a, axes), b.array, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ALL)
@EXAMPLES
@given(seed=seeds)
def test_jvp_is_the_central_difference(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = at_random(ALL[name], rng)
    tangents = [direction(point.arrays[i], rng) for i in point.active]
    derived = jvp_region(point.typing, point.region, point.active)
    results = floats(point.run(derived, [*point.arrays, *tangents]))
    outputs, rates = results[: len(results) // 2], results[len(results) // 2 :]
    step = 1e-6
    above, below = (
        floats(point.run(point.region, moved(point, tangents, sign * step))) for sign in (1, -1)
    )
    plain = floats(point.run(point.region, point.arrays))
    for i, rate in enumerate(rates):
        assert set(rate.axes) == set(plain[i].axes)
        close(outputs[i], plain[i], 1e-12)
        axes = " ".join(map(str, plain[i].axes))
        difference = (ordered(above[i], axes) - ordered(below[i], axes)) / (2 * step)
        close(rate, named(difference, axes), 1e-6)


def inner(a: NamedArray, b: NamedArray) -> float:
    axes = " ".join(map(str, a.axes))
    return float((a.array * ordered(b, axes)).sum())


def backward(point: Point, extra: tuple[str, ...]) -> Region:
    """A region from the inputs and the cotangents to the cotangents of the active inputs."""
    builder = Builder(point.typing)
    primals = [Term(Value(v.type), builder) for v in point.region.inputs]
    outputs, linear = linearize(builder, point.region, primals, point.active)
    moving = [i for i, x in enumerate(outputs) if x.dtype.is_float]
    cotangents = {
        i: Term(Value(outputs[i].type.with_axes((*extra, *outputs[i].axes))), builder)
        for i in moving
    }
    found = transpose(builder, linear, [cotangents.get(i) for i in range(len(outputs))])
    zero = builder.constant(0.0, "f64")
    ends = [
        (zero if ct is None else ct).broadcast(*primals[i].axes)
        for i, ct in zip(point.active, found, strict=True)
    ]
    entries = (*primals, *cotangents.values())
    values = tuple(x.value for x in entries), tuple(x.value for x in ends)
    return Region(values[0], tuple(builder.nodes), values[1])


def forward(point: Point, extra: tuple[str, ...]) -> Region:
    """A region from the inputs and tangents of the active ones to the tangents of the outputs."""
    builder = Builder(point.typing)
    primals = [Term(Value(v.type), builder) for v in point.region.inputs]
    seeds = {
        i: Term(Value(primals[i].type.with_axes((*extra, *primals[i].axes))), builder)
        for i in point.active
    }
    outputs, rates = push(
        builder, point.region, primals, [seeds.get(i) for i in range(len(primals))]
    )
    ends = [
        materialized(rate, output).value
        for output, rate in zip(outputs, rates, strict=True)
        if output.dtype.is_float
    ]
    entries = tuple(x.value for x in (*primals, *seeds.values()))
    return Region(entries, tuple(builder.nodes), tuple(ends))


BOTH_WAYS = [name for name, one in ALL.items() if not one.forward_only]


@pytest.mark.parametrize("name", BOTH_WAYS)
@EXAMPLES
@given(seed=seeds)
def test_transpose_obeys_the_inner_product_identity(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = at_random(ALL[name], rng)
    tangents = [direction(point.arrays[i], rng) for i in point.active]
    derived = jvp_region(point.typing, point.region, point.active)
    count = len(point.region.outputs)
    rates = point.run(derived, [*point.arrays, *tangents])[count:]
    reverse = backward(point, ())
    cotangents = [direction(rate, rng) for rate in rates]
    cotangents = [
        NamedArray(ordered(ct, " ".join(v.axes)), v.axes)
        for ct, v in zip(cotangents, reverse.inputs[len(point.arrays) :], strict=True)
    ]
    found = point.run(reverse, [*point.arrays, *cotangents])
    forward = sum(inner(rate, ct) for rate, ct in zip(rates, cotangents, strict=True))
    back = sum(inner(t, ct) for t, ct in zip(tangents, found, strict=True))
    scale = 1 + sum(inner(x, x) for x in (*rates, *cotangents))
    assert abs(forward - back) <= 1e-9 * scale
    for i, ct in zip(point.active, found, strict=True):
        assert set(ct.axes) == set(point.arrays[i].axes)


@pytest.mark.parametrize(
    ("name", "derived"),
    [(name, forward) for name in ALL] + [(name, backward) for name in BOTH_WAYS],
)
def test_directions_may_have_an_axis_of_their_own(name: str, derived: Any) -> None:
    """Two tangents or cotangents at once give what each gives alone."""
    rng = np.random.default_rng(0)
    point = at_random(ALL[name], rng)
    point.typing.make("worlds", 2)
    single = derived(point, ())
    both = derived(point, ("worlds",))
    sizes = At(point.typing.table, SYMBOLS)
    cotangents = [
        NamedArray(rng.normal(size=[sizes.size(a) for a in v.axes]), v.axes)
        for v in both.inputs[len(point.arrays) :]
    ]
    stacked = point.run(both, [*point.arrays, *cotangents])
    for world in range(2):
        alone = point.run(single, [*point.arrays, *(ct[{"worlds": world}] for ct in cotangents)])
        for one, many in zip(alone, stacked, strict=True):
            close(many[{"worlds": world}] if "worlds" in many.axes else many, one, 1e-12)


INTEGER = "argmax argmin any all not and or xor shift_left shift_right shift_right_logical"
COMPARE = "eq ne lt le gt ge is_finite is_nan bitcast one_hot floor_div saturate"
RANDOM = "threefry2x32 random_bits random_uniform random_normal random_split random_fold_in"
NOTHING = "constant iota size random_seed stop_gradient"
UNKNOWN = "digamma"


def test_every_op_with_a_derivative_is_tested() -> None:
    rng = np.random.default_rng(0)
    used = {n.op.name for one in ALL.values() for n in walk(at_random(one, rng).region.nodes)}
    exempt = set(f"{INTEGER} {COMPARE} {RANDOM} {NOTHING} {UNKNOWN}".split())
    known = {x.name for part in ops._MODULES for x in vars(part).values() if isinstance(x, Op)}
    assert known - used - exempt == set()


@pytest.mark.parametrize("name", ALL)
def test_derivatives_are_well_formed_graphs(name: str) -> None:
    point = at_random(ALL[name], np.random.default_rng(0))
    derived = [jvp_region(point.typing, point.region, point.active)]
    if name in BOTH_WAYS:
        derived.append(backward(point, ()))
    for region in derived:
        inputs, outputs = (
            tuple(Port(f"{word}{i}", v, v.axes) for i, v in enumerate(values))
            for word, values in (("in", region.inputs), ("out", region.outputs))
        )
        verify(Graph(inputs, (), region.nodes, outputs, point.typing.table))


# --- particular points and refusals -------------------------------------------------------------


def rate_at(function: Callable[..., Any], x: Any, dx: Any, dtype: str = "f64") -> Any:
    """The tangent of a function of one array over the axis `a`."""
    typing = Typing({"a": len(x), "one": 1})
    kind = DType(dtype).numpy
    arrays = [named(np.asarray(value).astype(kind), "a") for value in (x, dx)]
    region = region_of(function, typing, {"x": arrays[0]})
    rate = run_region(jvp_region(typing, region, [0]), typing, arrays, {})[1]
    assert rate.dtype == kind
    return rate.array.astype(np.float64)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (ops.relu, [0.0], [0.0]),
        (lambda x: ops.clip(x, low=0, high=1), [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
        (ops.softplus, [0.0, 800.0], [0.5, 1.0]),
        (lambda x: ops.maximum(x, x), [1.0], [1.0]),
        (lambda x: ops.pow(x, 2.0), [0.0, -1.0], [0.0, -2.0]),
        (lambda x: ops.pow(x, 0.0), [0.0], [0.0]),
        (lambda x: x.max("a"), [1.0, 3.0, 3.0], 1.0),
        (lambda x: ops.prod(x, over="a"), [0.0, 2.0, 3.0], 6.0),
        (lambda x: ops.prod(x, over="a"), [0.0, 0.0, 3.0], 0.0),
        (lambda x: ops.cumprod(x, axis="a"), [2.0, 0.0, 3.0], [1.0, 2.0, 6.0]),
        (lambda x: ops.cumlogsumexp(x, axis="a"), [0.0, 1000.0], [1.0, 1.0]),
        (lambda x: ops.logsumexp(x, over="a"), [-np.inf, 0.0], 1.0),
        (lambda x: ops.softmax(x, axis="a"), [-np.inf, 0.0], [0.0, 0.0]),
        (lambda x: ops.stop_gradient(x) * x, [3.0], [3.0]),
        (lambda x: x.max("a"), [], 0.0),
        (lambda x: ops.cummax(x, axis="a"), [np.nan, 1.0], [1.0, 1.0]),
    ],
)
def test_slopes_at_kinks_and_edges(function: Any, x: Any, expected: Any) -> None:
    np.testing.assert_allclose(rate_at(function, x, np.ones(len(x))), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32"])
@pytest.mark.parametrize("name", ["gelu", "softplus", "mish", "hard_swish", "log_sigmoid"])
def test_derivatives_keep_narrow_dtypes(name: str, dtype: str) -> None:
    x = [-1.5, -0.25, 0.5, 2.0]
    function = ops.__getattr__(name)
    tolerance = {"f16": 5e-3, "bf16": 4e-2, "f32": 1e-6}[dtype]
    exact = rate_at(function, x, np.ones(4))
    np.testing.assert_allclose(rate_at(function, x, np.ones(4), dtype), exact, atol=tolerance)


@pytest.mark.parametrize("name", ["softmax", "scan", "cond_True", "attention_zero", "conv"])
def test_second_derivatives_are_symmetric(name: str) -> None:
    """u' H v = v' H u, where H is the derivative of a gradient."""
    rng = np.random.default_rng(1)
    point = at_random(ALL[name], rng)
    reverse = backward(point, ())
    weights = [
        NamedArray(
            rng.normal(size=[At(point.typing.table, SYMBOLS).size(a) for a in v.axes]), v.axes
        )
        for v in reverse.inputs[len(point.arrays) :]
    ]
    twice = jvp_region(point.typing, reverse, point.active)
    u, v = ([direction(point.arrays[i], rng) for i in point.active] for _ in range(2))

    def hessian_times(tangents: list[NamedArray]) -> list[NamedArray]:
        results = point.run(twice, [*point.arrays, *weights, *tangents])
        return list(results[len(point.active) :])

    left = sum(inner(a, b) for a, b in zip(u, hessian_times(v), strict=True))
    right = sum(inner(a, b) for a, b in zip(v, hessian_times(u), strict=True))
    assert abs(left) > 1e-3
    assert abs(left - right) <= 1e-9 * abs(left)


def test_linear_part_is_apart_from_the_primal_part() -> None:
    """No node of the primal part reads a tangent, and outputs without one are None."""
    typing = Typing(SIZES)
    region = region_of(
        lambda x, y: (ops.sin(x) * y, ops.exp(y), ops.floor(x)), typing,
        {"x": named(np.ones(3), "a"), "y": named(np.ones(3), "a")},
    )  # fmt: skip
    builder = Builder(typing)
    primals = [Term(Value(v.type), builder) for v in region.inputs]
    _, linear = linearize(builder, region, primals, [0])
    known = {x.value for x in primals}
    for node in builder.nodes:
        assert known.issuperset(node.inputs)
        known.update(node.outputs)
    assert [value is None for value in linear.outputs] == [False, True, True]
    assert {node.op.name for node in linear.nodes} == {"mul"}


def test_vjp_gives_outputs_and_a_function_of_cotangents() -> None:
    typing = Typing(SIZES)
    arrays = {"x": named(np.array([0.1, 0.2, 0.3]), "a")}
    region = region_of(lambda x: ops.sin(x).sum("a"), typing, arrays)
    builder = Builder(typing)
    (primal,) = (Term(v, builder) for v in region.inputs)
    (output,), pullback = vjp(builder, region, [primal], [0])
    (gradient,) = pullback([output * 0.0 + 1.0])
    assert gradient is not None
    whole = Region((primal.value,), tuple(builder.nodes), (gradient.value,))
    (found,) = run_region(whole, typing, list(arrays.values()), {})
    np.testing.assert_allclose(found.array, np.cos(arrays["x"].array))


def test_derivatives_carry_the_origin_of_their_node() -> None:
    typing = Typing(SIZES)
    builder = Builder(typing, Origin("model.act", "model.py:7", "aten.sin"))
    x = builder.input("f64", "a")
    y = ops.gelu(ops.sin(x))
    region = Region((x.value,), tuple(builder.nodes), (y.value,))
    assert {n.origin.module for n in jvp_region(typing, region, [0]).nodes} == {"model.act"}


def test_an_op_without_a_rule_is_named_with_its_origin() -> None:
    typing = Typing(SIZES)
    builder = Builder(typing, Origin("model.act", "model.py:7", "aten.digamma"))
    x = builder.input("f64", "a")
    y = ops.digamma(x)
    region = Region((x.value,), tuple(builder.nodes), (y.value,))
    with pytest.raises(UnsupportedOpError, match=r"digamma.*model\.act.*model\.py:7"):
        jvp_region(typing, region, [0])


def test_a_rule_that_refuses_is_named_with_its_origin() -> None:
    typing = Typing(SIZES)
    builder = Builder(typing, Origin("model.pool"))
    x, at = builder.input("f64", "n"), builder.input("i64", "a")
    y = ops.scatter(x, x.sum("n"), at, axes=("n",), over="a", combine="mul")
    region = Region((x.value, at.value), tuple(builder.nodes), (y.value,))
    with pytest.raises(UnsupportedOpError, match=r"combine='mul'.*model\.pool"):
        jvp_region(typing, region, [0])


def test_bodies_avoid_axes_that_came_after_they_were_first_opened() -> None:
    typing = Typing({"a": 4})
    arrays = {"x": named(np.ones(4), "a")}
    region = region_of(lambda x: ops.rotary(x, x, x, axis="a"), typing, arrays)
    first = jvp_region(typing, region, [0])
    (made,) = (axis for axis in typing.table if axis.startswith("pair"))
    fresh = Typing({"a": 4})
    fresh.memo = typing.memo
    fresh.make(made, 7)
    second = jvp_region(fresh, region, [0])
    both = [run_region(r, t, [arrays["x"]] * 2, {}) for r, t in ((first, typing), (second, fresh))]
    np.testing.assert_array_equal(both[0][1].array, both[1][1].array)


def test_a_while_loop_goes_forward_only() -> None:
    point = at_random(CONTROL["while"], np.random.default_rng(0))
    with pytest.raises(UnsupportedOpError, match=r"while loop.*use a scan"):
        backward(point, ())


def test_integers_have_no_tangent() -> None:
    typing = Typing(SIZES)
    region = region_of(lambda x: x + 1, typing, {"x": named(np.arange(3), "a")})
    with pytest.raises(DTypeError, match="not a float"):
        jvp_region(typing, region, [0])


def test_long_chains_do_not_recurse() -> None:
    def chain(x: Term) -> Term:
        for _ in range(3000):
            x = ops.sin(x)
        return x

    typing = Typing(SIZES)
    region = region_of(chain, typing, {"x": named(np.ones(3), "a")})
    builder = Builder(typing)
    primal = Term(region.inputs[0], builder)
    _, pullback = vjp(builder, region, [primal], [0])
    assert pullback([primal])[0] is not None
