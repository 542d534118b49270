"""What a measured program is: a function of arrays that has one primitive of JAX in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from attrs import frozen

Table = Mapping[str, Mapping[str, tuple[Any, ...]]]


@frozen(eq=False)
class Program:
    """One way to use a primitive.

    Attributes:
        primitive: the name that JAX gives it.
        label: what is special about this use.
        function: the program.
        args: sample arrays; 64-bit ones make it a program of the wide mode.
    """

    primitive: str
    label: str
    function: Callable[..., Any]
    args: tuple[Any, ...]

    @property
    def name(self) -> str:
        return f"{self.primitive}: {self.label}"

    @property
    def is_wide(self) -> bool:
        """Whether the program has 64-bit types."""
        return any(np.asarray(arg).dtype.itemsize == 8 for arg in self.args)

    @property
    def keeps_zeros(self) -> bool:
        """Whether the sign of a zero is part of the result."""
        return self.label.startswith("edges")


def programs(table: Table) -> Iterator[Program]:
    """The programs of a table: primitive -> label -> function and sample arrays."""
    for primitive, uses in table.items():
        for label, (function, *args) in uses.items():
            yield Program(primitive, label, function, tuple(args))


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Random numbers that do not depend on the order of programs."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def whole(
    *shape: int, low: int = -9, high: int = 10, dtype: Any = np.int32
) -> np.ndarray[Any, Any]:
    """Random integers."""
    return np.random.default_rng([7, *shape]).integers(low, high, shape).astype(dtype)
