"""Where parameters live: a mapping from names to arrays that is never copied.

The arrays are whatever the source framework holds: numpy arrays, torch tensors, JAX arrays,
memory-mapped files. Graphs share one store; a rewrite that adds or changes a parameter layers a
small mapping over it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from attrs import frozen


@frozen
class Lazy:
    """An array that is made when it is first needed, every time anew."""

    make: Callable[[], Any]


@frozen(eq=False, repr=False)
class Store(Mapping[str, Any]):
    """An immutable layered mapping from parameter names to arrays."""

    layers: tuple[Mapping[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        found = self.held(name)
        return found.make() if isinstance(found, Lazy) else found

    def held(self, name: str) -> Any:
        """The array, or what makes it: what tells whether two stores hold the same."""
        for layer in self.layers:
            if name in layer:
                return layer[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in layer for layer in self.layers)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for layer in self.layers for name in layer))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Store({len(self)} arrays)"

    def over(self, arrays: Mapping[str, Any]) -> Store:
        """A store that has `arrays` too, and shows them first."""
        return Store((dict(arrays), *self.layers)) if arrays else self


EMPTY_STORE = Store()


def as_numpy(array: Any) -> np.ndarray[Any, Any]:
    """A numpy view of any framework's array; copies only where memory cannot be shared."""
    if isinstance(array, np.ndarray):
        return array
    if str(getattr(array, "dtype", "")) == "torch.bfloat16":  # which torch cannot hand over itself
        torch: Any = sys.modules["torch"]
        bits: np.ndarray[Any, Any] = array.detach().cpu().contiguous().view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    return np.asarray(array)
