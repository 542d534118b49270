"""Derivatives of every op, at samples that it draws of itself, in float64.

`tests/ir/test_derive.py` holds chosen cases at chosen points; here the op set chooses, so that
no op is forgotten: what has no derivative is listed.
"""

import zlib
from random import Random

import numpy as np
import pytest

from graftwork.ir.array import NamedArray
from graftwork.ir.binding import bind
from graftwork.ir.build import Builder, Term
from graftwork.ir.derive import jvp_region, vjp
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.types import Typing
from graftwork.testing.strategies import drawn_sample
from graftwork.testing.values import NORMAL, inputs_at, symbol_sizes

ONLY = (DType.f64, DType.i64, DType.boolean, DType.u32)
STEP = 1e-6
NO_DERIVATIVE = {"digamma"}
FORWARD_ONLY = {"while"}
NOT_THE_SLOPE = {"stop_gradient", "bitcast"}  # by definition
WITHOUT_SLOPES = {"scatter"}  # for the ways to combine that are not linear
Arrays = list[NamedArray]


class Point:
    """A sample at inputs where it is smooth, and what it is run with."""

    def __init__(self, name: str, seed: int) -> None:
        rng = Random(f"{name} {seed}")
        sample = drawn_sample(REGISTRY[name], [rng.randrange(256) for _ in range(40)], ONLY)
        graph: Graph = sample.graph
        sizes = symbol_sizes(graph, dict.fromkeys(graph.symbols, 3))
        kinds = {port.name: (NORMAL, rng.randrange(99)) for port in graph.inputs}
        inputs = inputs_at(graph, sizes, kinds, sample.within)
        self.symbols = bind(graph, inputs).symbols
        self.typing = Typing(graph.axes)
        self.region = graph.region
        self.arrays = [NamedArray(inputs[p.name], p.layout).squeeze() for p in graph.inputs]
        dtypes = [value.type.dtype for value in self.region.inputs]
        self.active = [i for i, dtype in enumerate(dtypes) if dtype is DType.f64]
        self.rng = np.random.default_rng(zlib.crc32(f"{name} {seed}".encode()))
        self.tangents = [self.random(self.arrays[i]) for i in self.active]

    def random(self, like: NamedArray) -> NamedArray:
        return NamedArray(self.rng.normal(size=like.shape), like.axes)

    def run(self, region: Region, arrays: Arrays) -> Arrays:
        with np.errstate(all="ignore"):
            return list(At(self.typing.table, self.symbols).run(region, arrays))

    def moved(self, step: float) -> Arrays:
        arrays = list(self.arrays)
        for i, tangent in zip(self.active, self.tangents, strict=True):
            arrays[i] = NamedArray(arrays[i].array + step * tangent.array, arrays[i].axes)
        return arrays

    def rates(self) -> Arrays:
        derived = jvp_region(self.typing, self.region, self.active)
        return self.run(derived, [*self.arrays, *self.tangents])[len(self.region.outputs) :]

    def floats(self, arrays: Arrays) -> Arrays:
        return [x for x in arrays if x.dtype.kind == "f"]


def ordered(array: NamedArray, like: NamedArray) -> np.ndarray:
    return np.asarray(array.order(*(a for a in like.axes if a is not None)).array)


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - NOT_THE_SLOPE))
@pytest.mark.parametrize("seed", range(3))
def test_forward_is_the_central_difference(name: str, seed: int) -> None:
    point = Point(name, seed)
    if not point.active:
        return
    try:
        rates = point.rates()
    except UnsupportedOpError:
        assert name in NO_DERIVATIVE | WITHOUT_SLOPES
        return
    assert name not in NO_DERIVATIVE
    above, below = (point.floats(point.run(point.region, point.moved(s))) for s in (STEP, -STEP))
    for rate, up, down in zip(rates, above, below, strict=True):
        slope = (ordered(up, rate) - ordered(down, rate)) / (2 * STEP)
        scale = 1 + np.abs(slope[np.isfinite(slope)]).max(initial=0.0)
        defined = np.isfinite(slope)
        np.testing.assert_allclose(rate.array[defined], slope[defined], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - FORWARD_ONLY))
@pytest.mark.parametrize("seed", range(3))
def test_backward_has_the_same_inner_products(name: str, seed: int) -> None:
    point = Point(name, seed)
    if not point.active:
        return
    builder = Builder(point.typing)
    primals = [Term(Value(v.type), builder) for v in point.region.inputs]
    try:
        rates = point.rates()
        outputs, pullback = vjp(builder, point.region, primals, point.active)
    except UnsupportedOpError:
        assert name in NO_DERIVATIVE | WITHOUT_SLOPES
        return
    moving = [x.dtype.is_float for x in outputs]
    seeds = [
        Term(Value(x.type), builder) if m else None for x, m in zip(outputs, moving, strict=True)
    ]
    with builder:
        found = pullback(seeds)
        zero = builder.constant(0.0, "f64")
        ends = [
            (zero if ct is None else ct).broadcast(*primals[i].axes)
            for i, ct in zip(point.active, found, strict=True)
        ]
    entries = (*primals, *(seed for seed in seeds if seed is not None))
    reverse = Region(
        tuple(x.value for x in entries), tuple(builder.nodes), tuple(x.value for x in ends)
    )
    cotangents = [point.random(rate) for rate in rates]
    fed = [
        NamedArray(ordered(ct, NamedArray(ct.array, v.axes)), v.axes)
        for ct, v in zip(cotangents, reverse.inputs[len(primals) :], strict=True)
    ]
    back = point.run(reverse, [*point.arrays, *fed])
    forward = sum(float((r.array * c.array).sum()) for r, c in zip(rates, cotangents, strict=True))
    backward = sum(
        float((t.array * ordered(b, t)).sum()) for t, b in zip(point.tangents, back, strict=True)
    )
    scale = 1 + sum(float((np.abs(r.array) * np.abs(c.array)).sum())
                    for r, c in zip(rates, cotangents, strict=True))  # fmt: skip
    # The mean of nothing has no slope; forward says so, backward has nothing to say it of. The
    # body of a loop may draw an arc cosine of 2, which has none either: not even zero goes back.
    still = [NamedArray(np.zeros_like(ct.array), ct.axes) for ct in fed]
    nowhere = bool(REGISTRY[name].regions) and any(
        np.isnan(b.array).any() for b in point.run(reverse, [*point.arrays, *still])
    )
    assert np.isnan(forward) or nowhere or abs(forward - backward) <= 1e-9 * scale
