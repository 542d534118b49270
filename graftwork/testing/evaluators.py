"""The numpy reference in three other ways, which tell what a result may depend on.

`Steady` rounds the same however its operands lie in memory, so that graphs of the same meaning
can be compared bit by bit. `Perturbed` is Monte Carlo arithmetic (Parker 1997): it nudges what
backends may round otherwise and scrambles what they may define otherwise, so that the spread of a
few runs tells how well-determined each element is. `widened` is the same graph in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import ml_dtypes
import numpy as np
from attrs import evolve

from graftwork.ir.array import NamedArray, aligned, union
from graftwork.ir.attributes import Literal
from graftwork.ir.binding import bind
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.evaluate import At, laid_out
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.store import Store, as_numpy
from graftwork.ir.types import AxisTable, Typing
from graftwork.testing.values import limits

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUDGE = 8  # units in the last place
_EXACT = _names(
    "neg abs sign floor ceil round trunc maximum minimum select cast bitcast stop_gradient "
    "constant iota size rename split merge broadcast index slice concat pad flip max min sort "
    "top_k cummax cummin gather window call cond while scan"
)
_SENSITIVE = _names(
    "contract sum prod cumsum cumprod cumlogsumexp scatter rem mod floor_div lgamma digamma"
)
_OVERFLOWING = _names("add sub mul sum contract")
_SIGNLESS = _names("maximum minimum max min cummax cummin sort top_k scatter")


def is_float(array: Array) -> bool:
    """Floats, of 16 bits too."""
    return bool(array.dtype == ml_dtypes.bfloat16 or array.dtype.kind == "f")


def evaluated(graph: Graph, inputs: Arrays, how: type[At] = At, **options: Any) -> dict[str, Array]:
    """The outputs of a graph in positional form, by one of the evaluators."""
    binding = bind(graph, inputs)
    at = how(graph.axes, binding.symbols, graph.typing, **options)
    given = [NamedArray(inputs[port.name], port.layout).squeeze() for port in graph.inputs]
    held = [NamedArray(as_numpy(graph.store[p.name]), p.layout).squeeze() for p in graph.parameters]
    with np.errstate(all="ignore"):
        results = at.run(graph.region, [*given, *held])
    return {
        port.name: np.asarray(laid_out(array, port.layout).array)
        for port, array in zip(graph.outputs, results, strict=True)
    }


# --- the same bits ------------------------------------------------------------------------------


class Steady(At):
    """Adds up in the order of magnitude, whatever the order of axes in memory."""

    def apply(self, node: Node, arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
        arrays = [NamedArray(np.asarray(x.array, order="C"), x.axes) for x in arrays]
        if node.op.name in ("contract", "sum", "prod") and is_float(arrays[0].array):
            return (_sorted_total(node, arrays),)
        return super().apply(node, arrays)


def _sorted_total(node: Node, arrays: Sequence[NamedArray]) -> NamedArray:
    over = node.attrs["over"]
    kept = tuple(a for a in union(*arrays) if a not in over)
    dtype = arrays[0].array.dtype
    wide = [x.astype(np.float32) if dtype.itemsize == 2 else x
            for x in aligned((*kept, *over), *arrays)]  # fmt: skip
    terms = math.prod(wide[1:], start=wide[0])
    count = math.prod(terms.shape[len(kept) :])
    flat = np.sort(np.reshape(terms, (*terms.shape[: len(kept)], count)), axis=-1)
    total = (np.prod if node.op.name == "prod" else np.sum)(flat, axis=-1)
    return NamedArray(np.asarray(total).astype(dtype), kept)


# --- other roundings ----------------------------------------------------------------------------


class Perturbed(At):
    """Rounds otherwise, and fills in what is undefined at random."""

    def __init__(
        self,
        table: AxisTable,
        symbols: Mapping[str, int],
        typing: Typing,
        *,
        rng: np.random.Generator,
        flush: bool = False,
        constants: float = 0.0,
    ) -> None:
        super().__init__(table, symbols, typing)
        self.rng = rng
        self.flush = flush
        self.constants = constants
        self.fused = False

    def inside(self, typing: Typing) -> Self:
        inner = super().inside(typing)
        inner.fused = True
        return inner

    def run(self, region: Region, arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
        return super().run(region, [self._on(self._flushed, x) for x in arrays])

    def apply(self, node: Node, arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
        name = node.op.name
        if node.op.evaluate is None or node.regions:
            return super().apply(node, arrays)
        fed = [self._on(self._nudged, x) for x in arrays] if name in _SENSITIVE else list(arrays)
        results = super().apply(node, fed)
        if name == "constant" and self.constants:
            return (self._on(self._inexact, results[0]),)
        if name in ("cast", "bitcast"):
            return (self._scrambled(name, arrays[0], results[0]),)
        if name in _SIGNLESS:
            results = tuple(self._on(self._signless, x) for x in results)
        if name not in _EXACT:
            results = tuple(self._on(self._nudged, x) for x in results)
        if self.fused and name in _OVERFLOWING and all(np.isfinite(x.array).all() for x in arrays):
            results = tuple(self._on(self._burst, x) for x in results)
        return tuple(self._on(self._flushed, x) for x in results)

    def _on(self, change: Any, x: NamedArray) -> NamedArray:
        array = np.asarray(x.array)
        return NamedArray(change(array), x.axes) if is_float(array) else x

    def _nudged(self, array: Array) -> Array:
        eps = limits(array.dtype).eps
        steps = self.rng.integers(-_NUDGE, _NUDGE + 1, array.shape)
        return self._signless(array * (1 + steps * eps).astype(array.dtype))

    def _burst(self, array: Array) -> Array:
        """Nothing for infinities: a fused kernel need not overflow where the body does."""
        lost = np.isinf(array) & (self.rng.integers(0, 2, array.shape) == 0)
        return np.where(lost, np.array(np.nan, array.dtype), array)

    def _inexact(self, array: Array) -> Array:
        """Numbers that narrower dtypes round are off by as much."""
        steps = self.rng.uniform(-self.constants, self.constants, array.shape)
        moved = (array * (1 + steps)).astype(array.dtype)
        return np.where(array * 1024 == np.rint(array * 1024), array, moved)

    def _signless(self, array: Array) -> Array:
        """Zeros of either sign."""
        signs = self.rng.integers(0, 2, array.shape) * 2.0 - 1
        return np.where(array == 0, (0.0 * signs).astype(array.dtype), array)

    def _flushed(self, array: Array) -> Array:
        if not self.flush:
            return array
        least = limits(array.dtype).smallest_normal
        return np.where(np.abs(array) < least, np.zeros_like(array), array)

    def _scrambled(self, name: str, x: NamedArray, result: NamedArray) -> NamedArray:
        """Integers for floats that have none, bits for NaNs: frameworks differ in both."""
        given, made = np.asarray(x.array), np.asarray(result.array)
        if not is_float(given) or made.dtype.kind not in "iu":
            return result
        if name == "bitcast":
            undefined = np.isnan(given)
        else:
            info = np.iinfo(made.dtype)
            undefined = ~((given > float(info.min) - 1) & (given < float(info.max) + 1))
            if info.bits == 64:
                undefined |= given >= float(info.max)
        noise = self.rng.integers(0, 100, made.shape).astype(made.dtype)
        return NamedArray(np.where(undefined, noise, made), result.axes)


# --- more bits ----------------------------------------------------------------------------------


def widened(graph: Graph) -> Graph:
    """The graph with float64 for every other float; bits and random draws stay as they were."""
    typing = Typing(graph.axes)
    region = _wide_region(typing, graph.region)
    count = len(graph.inputs)
    ports = zip(graph.inputs, region.inputs[:count], strict=True)
    parameters = zip(graph.parameters, region.inputs[count:], strict=True)
    outputs = zip(graph.outputs, region.outputs, strict=True)
    return graph.evolve(
        inputs=tuple(evolve(port, value=value) for port, value in ports),
        parameters=tuple(evolve(p, value=value) for p, value in parameters),
        nodes=region.nodes,
        outputs=tuple(evolve(port, value=value) for port, value in outputs),
        axes=typing.table,
        store=Store(({p.name: _wide(as_numpy(graph.store[p.name])) for p in graph.parameters},)),
        sites=type(graph.sites)(),
    )


def widened_inputs(inputs: Arrays) -> dict[str, Array]:
    """The same numbers, floats as float64."""
    return {name: _wide(array) for name, array in inputs.items()}


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if is_float(array) else array


def _wide_dtype(dtype: DType) -> DType:
    return DType.f64 if dtype.is_float else dtype


def _wide_region(typing: Typing, region: Region) -> Region:
    builder = Builder(typing)
    inputs = [Value(v.type.with_dtype(_wide_dtype(v.type.dtype)), v.name) for v in region.inputs]
    env = dict(zip(region.inputs, inputs, strict=True))
    for node in region.nodes:
        results = _wide_node(builder, node, [Term(env[value], builder) for value in node.inputs])
        env |= {old: new.value for old, new in zip(node.outputs, results, strict=True)}
    return Region(
        tuple(inputs), tuple(builder.nodes), tuple(env[value] for value in region.outputs)
    )


def _wide_node(builder: Builder, node: Node, operands: list[Term]) -> tuple[Term, ...]:
    attrs = node.attrs.as_dict()
    if node.op.name == "bitcast" or "random" in node.op.traits:
        narrow = [x.cast(v.type.dtype) for x, v in zip(operands, node.inputs, strict=True)]
        made = builder.emit(node.op, narrow, attrs)
        return tuple(x.cast(_wide_dtype(x.dtype)) for x in made)
    for name, value in attrs.items():
        if isinstance(value, DType):
            attrs[name] = _wide_dtype(value)
        elif isinstance(value, Literal) and value.dtype.is_float:
            attrs[name] = Literal.of(_wide(value.array), DType.f64)
    regions = [_wide_region(builder.typing, region) for region in node.regions]
    return builder.emit(node.op, operands, attrs, regions)


def coarsest(graph: Graph) -> float:
    """The distance from 1 to the next number in the narrowest float of a graph; 0 for float64."""
    values = [value for node in graph.walk() for value in (*node.inputs, *node.outputs)]
    found = {v.type.dtype for v in values if v.type.dtype.is_float} - {DType.f64}
    return max((limits(dtype.numpy).eps for dtype in found), default=0.0)
