"""Everything that this frontend takes from inside of JAX, which moves between versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np
from attrs import frozen
from jax._src import source_info_util
from jax._src.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from jax._src.export.shape_poly import _DimExpr as DimExpr
from jax._src.interpreters.partial_eval import dce_jaxpr
from jax._src.lax.slicing import GatherScatterMode

__all__ = [
    "ClosedJaxpr",
    "DimExpr",
    "GatherScatterMode",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "Var",
    "concrete",
    "dim_terms",
    "frames",
    "is_key",
    "key_words",
    "live",
    "scalar_kind",
    "scopes",
    "trace",
    "wide_types",
]


def trace(function: Callable[..., Any], args: Sequence[Any]) -> tuple[ClosedJaxpr, Any]:
    """The jaxpr of a function, and the structure of its result."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    return closed, shape


def live(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr without equations that no output needs; it takes the same inputs."""
    lean, _ = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), instantiate=True)
    return lean


def wide_types(needed: bool) -> AbstractContextManager[Any]:
    """A scope in which 64-bit types exist."""
    return jax.enable_x64(True) if needed else nullcontext()


def is_key(dtype: Any) -> bool:
    """Whether arrays of this dtype are random keys."""
    return bool(jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key))


def scalar_kind(aval: Any) -> str:
    """numpy's letter for the dtype of a scalar: "b", "i", "u", "f"; "-" for anything else."""
    if is_key(aval.dtype) or aval.shape:
        return "-"
    return np.dtype(aval.dtype).kind


def key_words(keys: Any) -> Any:
    """Keys as unsigned integers, with one more dimension."""
    return jax.random.key_data(keys)


@frozen
class Frame:
    """One line of a Python program."""

    file: str
    line: int


def frames(equation: JaxprEqn) -> Iterator[Frame]:
    """The lines that made an equation, innermost first, without those of JAX."""
    traceback = equation.source_info.traceback
    for frame in source_info_util.user_frames(traceback):
        yield Frame(frame.file_name, frame.start_line)


def scopes(equation: JaxprEqn) -> list[str]:
    """The named scopes around an equation, outermost first, without transformations."""
    stack = equation.source_info.name_stack.stack
    return [entry.name for entry in stack if isinstance(entry, source_info_util.Scope)]


def dim_terms(size: DimExpr) -> Iterator[tuple[int, list[tuple[str, Sequence[Any], int]]]]:
    """A symbolic size as a sum: coefficients and factors.

    A factor is the name of a variable or operation, its operands and its exponent.
    """
    for term, coefficient in size._sorted_terms:
        yield (
            int(coefficient),
            [(f.var or f.operation or "", f.operands, int(power)) for f, power in term._factors],
        )


def concrete(array: Any) -> np.ndarray[Any, Any]:
    """A constant of a jaxpr as a plain numpy array."""
    return np.asarray(array).view(np.ndarray)
