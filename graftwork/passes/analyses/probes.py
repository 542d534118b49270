"""Linear probes: what can be read off activations by one direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Probe:
    """A direction and a threshold: x . direction + bias.

    Attributes:
        direction: along `axis`; `Steer` adds it, `Basis` takes its unit vector.
        bias: what is added.
        logistic: whether the number is a log-odds, not an estimate.
    """

    direction: NamedArray
    bias: float
    logistic: bool = False

    @property
    def axis(self) -> str:
        (axis,) = self.direction.sizes
        return axis

    @property
    def unit(self) -> Array:
        """The direction as one orthonormal row, as `Basis` takes it."""
        row = np.asarray(self.direction)
        return np.asarray((row / np.linalg.norm(row))[None])

    def __call__(self, x: NamedArray) -> NamedArray:
        """The number that the probe reads at every position of the other axes."""
        kept = tuple(a for a in x.squeeze().axes if a is not None and a != self.axis)
        rows = np.asarray(x.order(*kept, self.axis)).astype(np.float64)
        return NamedArray(rows @ np.asarray(self.direction) + self.bias, kept)

    def accuracy(self, x: NamedArray, y: Any) -> float:
        """How often a logistic probe says what `y` says, on examples that it should not know."""
        if not self.logistic:
            raise InputError("a ridge probe estimates a number: use r2")
        said = np.asarray(self(x)) > 0
        return float((said == np.asarray(_target(x, y, self.axis)).astype(bool)).mean())

    def r2(self, x: NamedArray, y: Any) -> float:
        """The part of the variance of `y` that the probe explains; negative if it does harm."""
        wanted = _target(x, y, self.axis).astype(np.float64)
        missed = ((np.asarray(self(x)) - wanted) ** 2).sum()
        spread = ((wanted - wanted.mean()) ** 2).sum()
        if spread == 0:
            raise InputError("all targets are the same, so there is no variance to explain")
        return float(1 - missed / spread)


def ridge_probe(x: NamedArray, y: Any, *, axis: str = "embed", penalty: float = 1.0) -> Probe:
    """The direction w and bias b with the least |x w + b - y|^2 + penalty |w|^2.

    Args:
        x: activations; every position of its axes but `axis` is an example.
        y: a number for each of them, in the order of these axes (or named).
        axis: the axis of features.
        penalty: of the squared length of the direction; not of the bias.

    Raises:
        InputError: if numbers of examples differ, or the penalty is negative.
    """
    rows, wanted = _examples(x, y, axis, penalty)
    centre, level = rows.mean(0), wanted.mean()
    moved = rows - centre
    direction = _solved(moved.T @ moved, moved.T @ (wanted - level), penalty)
    return Probe(NamedArray(direction, (axis,)), float(level - centre @ direction))


def logistic_probe(
    x: NamedArray, y: Any, *, axis: str = "embed", penalty: float = 1.0, steps: int = 25
) -> Probe:
    """The direction and bias with the least logistic loss + penalty |w|^2 / 2, by Newton's method.

    Args:
        x: activations; every position of its axes but `axis` is an example.
        y: true or false for each of them.
        axis: the axis of features.
        penalty: of the squared length of the direction; positive, so that separable examples have
            an answer.
        steps: the most steps that are taken.

    Raises:
        InputError: if numbers of examples differ, or all are of one class, or the penalty is not
            positive.
    """
    rows, wanted = _examples(x, y, axis, penalty)
    if penalty <= 0 or not 0 < wanted.mean() < 1 or set(np.unique(wanted)) != {0.0, 1.0}:
        raise InputError("a logistic probe needs both classes, 0 and 1, and a positive penalty")
    wide = np.hstack([rows, np.ones((len(rows), 1))])
    weights = np.zeros(wide.shape[1])
    shrink = np.full(len(weights), penalty)
    shrink[-1] = 0
    loss = _loss(wide, wanted, weights, shrink)
    for _ in range(steps):
        odds = _logistic(wide @ weights)
        slope = wide.T @ (odds - wanted) + shrink * weights
        curve = (wide * (odds * (1 - odds))[:, None]).T @ wide + np.diag(shrink)
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        size = 1.0
        while (new := _loss(wide, wanted, weights - size * step, shrink)) > loss and size > 1e-8:
            size /= 2
        weights = weights - size * step
        if loss - new <= 1e-12 * max(1.0, abs(loss)):
            break
        loss = new
    return Probe(NamedArray(weights[:-1], (axis,)), float(weights[-1]), logistic=True)


def split_examples(count: int, *, key: int, test: float = 0.25) -> tuple[Array, Array]:
    """Positions of examples to fit a probe on, and of others to judge it by.

    Raises:
        InputError: if one of the two would be empty.
    """
    order = np.random.default_rng(key).permutation(count)
    held = round(count * test)
    if not 0 < held < count:
        raise InputError(f"{test} of {count} examples leaves nothing to fit on or to judge by")
    return np.sort(order[held:]), np.sort(order[:held])


def _examples(x: NamedArray, y: Any, axis: str, penalty: float) -> tuple[Array, Array]:
    if penalty < 0:
        raise InputError(f"a penalty of {penalty} is negative")
    kept = [a for a in x.squeeze().axes if a is not None and a != axis]
    rows = np.asarray(x.order(*kept, axis)).astype(np.float64)
    wanted = _target(x, y, axis).astype(np.float64)
    return rows.reshape(-1, rows.shape[-1]), wanted.reshape(-1)


def _target(x: NamedArray, y: Any, axis: str) -> Array:
    """What examples are labelled with, in the order of the axes of the activations."""
    sizes = {a: n for a, n in x.sizes.items() if a != axis}
    array = np.asarray(y.order(*sizes) if isinstance(y, NamedArray) else y)
    if array.shape != tuple(sizes.values()):
        raise InputError(f"labels of shape {array.shape} for examples of {sizes}")
    return array


def _solved(curve: Array, slope: Array, penalty: float) -> Array:
    """The least-squares answer, the shortest where there are several."""
    return np.linalg.lstsq(curve + penalty * np.eye(len(curve)), slope, rcond=None)[0]


def _logistic(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _loss(x: Array, y: Array, weights: Array, shrink: Array) -> float:
    said = x @ weights
    return float((np.logaddexp(0, said) - y * said).sum() + 0.5 * (shrink * weights**2).sum())
