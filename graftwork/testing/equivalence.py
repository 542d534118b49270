"""Whether two computations mean the same.

Bit by bit, by a reference that rounds the same in any layout; or to a tolerance, which is not a
number but what the graph deserves: the spread of its results when everything is computed in
float64, and when every rounding is nudged. An element that no nudge moves must come out the same
everywhere; one that a nudge throws about, as behind a `floor` at a whole number, may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.graph import Graph
from graftwork.testing.evaluators import (
    Perturbed,
    Steady,
    coarsest,
    evaluated,
    is_float,
    widened,
    widened_inputs,
)
from graftwork.testing.running import Refusal, run_on
from graftwork.testing.values import KINDS, inputs_at, limits, symbol_sizes

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]
Ports = Mapping[str, Array]

_ULPS = 64  # what good formulas of special functions are off by
_RUNS = 3


@frozen(eq=False)
class Expected:
    """What a graph gives on inputs, and how sure that is.

    Attributes:
        outputs: what the reference gives.
        runs: the same in float64, and with roundings nudged.
    """

    outputs: Ports
    runs: tuple[Ports, ...]

    @staticmethod
    def of(graph: Graph, inputs: Inputs, *, constants: float = 0.0) -> Expected:
        """Evaluate a graph a few times; `constants` is how far off its numbers may be."""
        nudged = [
            evaluated(
                graph, inputs, Perturbed,
                rng=np.random.default_rng(run), flush=run == 0, constants=constants,
            )
            for run in range(_RUNS)
        ]  # fmt: skip
        wide = evaluated(widened(graph), widened_inputs(inputs))
        return Expected(evaluated(graph, inputs), (wide, *nudged))

    def check(self, found: Ports, whose: str, *, rounding: float = 0.0) -> None:
        """Compare what somebody else gives, whose own numbers may be rounded by so much.

        Raises:
            AssertionError: names the output, and shows the elements that differ.
        """
        assert list(found) == list(self.outputs), f"{whose} gives outputs {list(found)}"
        for name, array in found.items():
            base = self.outputs[name]
            same = array.dtype == base.dtype and array.shape == base.shape
            form = f"{array.dtype}{array.shape}, not {base.dtype}{base.shape}"
            assert same, f"{whose}: output {name!r} is {form}"
            wrong = _wrong(array, base, [run[name] for run in self.runs], rounding)
            if wrong.any():
                first = _first(wrong)
                spread = [run[name][first].item() for run in self.runs]
                raise AssertionError(
                    f"{whose}: output {name!r} has {array[first]!r} at {first}, where the "
                    f"reference has {base[first]!r} (in float64, and nudged: {spread}); "
                    f"{wrong.sum()} of {wrong.size} elements differ"
                )


def _first(wrong: Array) -> tuple[int, ...]:
    return tuple(int(place[0]) for place in np.nonzero(wrong)) if wrong.ndim else ()


def _wrong(found: Array, base: Array, runs: Sequence[Array], rounding: float) -> Array:
    """Where an array is not what the runs agree on."""
    if not is_float(base):
        settled = np.all([run == base for run in runs], axis=0)
        return np.asarray(settled & (found != base))
    every = np.stack([np.asarray(x, np.float64) for x in (base, *runs)])
    wide = found.astype(np.float64)
    edge = limits(base.dtype)
    with np.errstate(all="ignore"):
        absent = np.isnan(every)
        low, high = every.min(axis=0), every.max(axis=0)
        size = np.maximum(np.abs(low), np.abs(high))
        relative = _ULPS * edge.eps + 4 * rounding
        slack = 4 * (high - low) + relative * size + edge.smallest_normal
        near = (wide >= low - slack) & (wide <= high + slack)
        settled = np.isfinite(low) & np.isfinite(high) & ~absent.any(axis=0)
        endless = (low == high) & np.isinf(low)
        overflows = size + slack >= edge.max
    return np.asarray(
        (absent.all(axis=0) & ~np.isnan(wide))
        | (endless & (wide != low))
        | (settled & ~near & ~(overflows & np.isinf(wide)))
    )


def assert_same_bits(expected: Ports, found: Ports, whose: str) -> None:
    """Compare bit by bit, but for the bits of NaNs.

    Raises:
        AssertionError: names the output, and shows the first elements that differ.
    """
    assert list(found) == list(expected), f"{whose} gives outputs {list(found)}"
    for name, base in expected.items():
        array = found[name]
        same = array.dtype == base.dtype and array.shape == base.shape
        form = f"{array.dtype}{array.shape}, not {base.dtype}{base.shape}"
        assert same, f"{whose}: output {name!r} is {form}"
        wrong = array != base
        if is_float(base):
            wrong = (wrong & ~(np.isnan(array) & np.isnan(base))) | (
                np.signbit(array) != np.signbit(base)
            ) & (array == 0)
        if wrong.any():
            first = _first(np.asarray(wrong))
            message = f"{whose}: output {name!r} has {array[first]!r} at {first}"
            raise AssertionError(f"{message}, not {base[first]!r}")


def typical_inputs(
    graph: Graph, count: int = 2, kinds: Sequence[int] = KINDS
) -> Iterator[dict[str, Array]]:
    """A few inputs, each of another size and kind; other graphs begin with other kinds."""
    first = len(graph.nodes)
    for seed in range(first, first + count):
        kind = kinds[seed % len(kinds)]
        wanted = {name: (seed + 1 + i) % 4 for i, name in enumerate(graph.symbols)}
        data = {port.name: (kind, 10 * seed + i) for i, port in enumerate(graph.inputs)}
        yield inputs_at(graph, symbol_sizes(graph, wanted), data)


def assert_equivalent(
    a: Graph,
    b: Graph,
    *,
    backends: Sequence[str] = (),
    promise: str = "tolerance",
    inputs: Inputs | None = None,
    kinds: Sequence[int] = KINDS,
) -> None:
    """Two graphs give the same on the same inputs.

    Args:
        a: what is right.
        b: what is to be judged.
        backends: "jax", "torch", "onnx": b must give the same there too, or be refused.
        promise: "bitwise", or "tolerance": b may be off by as much as other roundings may move a,
            both in their own dtypes and in float64, and has NaN where a has.
        inputs: what to run on; None for some of every kind.
        kinds: of those; see `inputs_for`.

    Raises:
        AssertionError: shows where they differ, and both graphs.
    """
    for given in [inputs] if inputs is not None else typical_inputs(a, kinds=kinds):
        try:
            _compare(a, b, given, promise)
            expected = Expected.of(a, given) if backends else None
            for backend in backends:
                found = run_on(backend, b, given)
                if expected is not None and not isinstance(found, Refusal):
                    expected.check(found, backend)
        except AssertionError as error:
            raise AssertionError(f"{error}\n\non {told(given)}\n\n{a}\n{b}") from error


def _compare(a: Graph, b: Graph, inputs: Inputs, promise: str) -> None:
    if promise == "bitwise":
        steady = evaluated(a, inputs, Steady)
        assert_same_bits(steady, evaluated(b, inputs, Steady), "the new graph")
        return
    Expected.of(a, inputs).check(evaluated(b, inputs), "the new graph")
    rounding = max(coarsest(a), coarsest(b))
    if not rounding:
        return
    wide = widened_inputs(inputs)
    exact = Expected.of(widened(a), wide, constants=rounding)
    exact.check(evaluated(widened(b), wide), "the new graph in float64", rounding=rounding)


def told(inputs: Inputs) -> str:
    """Inputs for messages."""
    parts = (
        f"{name}={array.tolist()} ({array.dtype}{list(array.shape)})"
        for name, array in inputs.items()
    )
    return ", ".join(parts)
