"""From a function and samples to a jaxpr in which named axes are symbolic dimensions."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import ClosedJaxpr
from graftwork.frontends.jax.models import Leaf
from graftwork.frontends.jax.sizes import SizeReader
from graftwork.ir.axis_spec import AxisWord
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Guard
from graftwork.ir.sizes import symbol

_PLAIN = re.compile(r"(?!(?:mod|floordiv|max|min|non_negative)\Z)[A-Za-z][A-Za-z0-9_]*")
_BOUNDS = (
    re.compile(r"min\((?P<bound>\d+), (?P<name>\w+)\)"),
    re.compile(r"min\((?P<name>\w+), (?P<bound>\d+)\)"),
    re.compile(r"'(?P<name>\w+)' <= '(?P<bound>\d+)'"),
    re.compile(r"'(?P<bound>\d+)' >= '(?P<name>\w+)'"),
)
_PACKAGE = str(Path(__file__).parents[2])


@frozen
class Traced:
    """A program and what it takes for granted.

    Attributes:
        jaxpr: without equations that no output needs.
        results: the tree of the result.
        size: reads the sizes of the jaxpr.
        guards: the conditions on sizes that the trace rests on.
    """

    jaxpr: ClosedJaxpr
    results: Any
    size: SizeReader
    guards: tuple[Guard, ...]


def trace(
    function: Callable[[Sequence[Any], Sequence[Any]], Any],
    parameters: Sequence[Leaf],
    arguments: Sequence[Leaf],
    words: Mapping[str, Sequence[AxisWord]],
) -> Traced:
    """Trace `function(parameters, arguments)`.

    Where the program cuts a table to a dynamic length (`table[:seq]`), it is traced for lengths
    up to that of the table, and a guard says so.

    Raises:
        ConversionError: if the program's Python code decides on values, rests on the sizes of the
            samples, or does not run at all.
    """
    extents = _dynamic_extents(arguments, words)
    names = {axis: _variable(axis, i) for i, axis in enumerate(extents)}
    size = SizeReader({variable: axis for axis, variable in names.items()})
    held = [_spec(leaf.value, leaf.shape) for leaf in parameters]
    bounds: dict[str, int] = {}
    wide = any(_is_wide(leaf.value) for leaf in (*parameters, *arguments))
    with _jax.wide_types(wide):
        while True:
            shapes = _shapes(arguments, words, names, bounds)
            specs = [_spec(leaf.value, s) for leaf, s in zip(arguments, shapes, strict=True)]
            try:
                closed, results = _jax.trace(function, (held, specs))
                break
            except Exception as error:
                if not _learn(str(error), size, extents, bounds):
                    samples = [_spec(leaf.value, leaf.shape) for leaf in arguments]
                    raise _explained(error, function, held, samples, extents) from error
    guards = tuple(
        Guard(symbol(axis), None, bound, "assumed when the model was traced")
        for axis, bound in bounds.items()
    )
    lean = closed.replace(jaxpr=_jax.live(closed.jaxpr))
    return Traced(lean, results, size, guards)


def _variable(axis: str, number: int) -> str:
    return axis if _PLAIN.fullmatch(axis) else f"d{number}_"


def _is_wide(array: Any) -> bool:
    """Whether an array could only be made where 64-bit types exist."""
    return isinstance(array, jax.Array) and not _jax.is_key(array.dtype) and (
        array.dtype.itemsize == 8
    )


def _spec(array: Any, shape: Sequence[Any]) -> jax.ShapeDtypeStruct:
    dtype = array.dtype
    if not _jax.is_key(dtype):
        dtype = jax.dtypes.canonicalize_dtype(dtype)
    return jax.ShapeDtypeStruct(tuple(shape), dtype)


def is_dynamic(word: AxisWord) -> bool:
    """Whether the axis may have another size in every run."""
    return word.name is not None and word.size is None


def _dynamic_extents(
    arguments: Sequence[Leaf], words: Mapping[str, Sequence[AxisWord]]
) -> dict[str, int]:
    """The dynamic axes, and their sizes in the samples."""
    return {
        str(word.name): extent
        for leaf in arguments
        for word, extent in zip(words.get(leaf.name, ()), leaf.shape, strict=False)
        if is_dynamic(word)
    }


def _shapes(
    arguments: Sequence[Leaf],
    words: Mapping[str, Sequence[AxisWord]],
    names: Mapping[str, str],
    bounds: Mapping[str, int],
) -> list[tuple[Any, ...]]:
    """The shapes of all arguments, in one scope of symbolic dimensions."""
    constraints = [f"{names[axis]} <= {bound}" for axis, bound in bounds.items()]
    made = jax.export.symbolic_shape(", ".join(names.values()), constraints=constraints)
    dims = dict(zip(names, made, strict=True))
    return [
        tuple(
            dims[str(word.name)] if is_dynamic(word) else extent
            for word, extent in zip(words[leaf.name], leaf.shape, strict=True)
        )
        if leaf.name in words
        else leaf.shape
        for leaf in arguments
    ]


def _learn(
    message: str, size: SizeReader, extents: Mapping[str, int], bounds: dict[str, int]
) -> bool:
    """Take an upper bound of an axis from what JAX could not decide; whether there is a new one."""
    for pattern in _BOUNDS:
        for match in pattern.finditer(message):
            axis, bound = size.axes.get(match["name"], ""), int(match["bound"])
            if axis in extents and extents[axis] <= bound < bounds.get(axis, bound + 1):
                bounds[axis] = bound
                return True
    return False


def _explained(
    error: Exception,
    function: Callable[..., Any],
    held: Sequence[Any],
    samples: Sequence[Any],
    extents: Mapping[str, int],
) -> ConversionError:
    where, reason = _where(error), str(error).split("\n")[0]
    if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        return ConversionError(
            f"the model's Python code needs the value of an array{where}, which a graph does not "
            f"have: {reason} Use jax.numpy and jax.lax there: jnp.where or lax.cond for `if`, "
            "lax.while_loop or lax.scan for loops, jnp for numpy"
        )
    try:
        _jax.trace(function, (held, samples))
    except Exception as other:
        return ConversionError(
            f"the model does not run on these arguments{_where(other)}: "
            f"{type(other).__name__}: {str(other).splitlines()[0] if str(other) else ''}"
        )
    axis, extent = next(iter(extents.items()))
    return ConversionError(
        f"the model's code rests on the sizes of the samples{where}, so that "
        f"{', '.join(map(repr, extents))} cannot be dynamic: {reason} Compute sizes from "
        f'x.shape, or fix an axis (`"{axis}={extent}"` in axes=)'
    )


def _where(error: Exception) -> str:
    """The innermost line of the user's own code that an error went through."""
    entries = traceback.extract_tb(error.__traceback__)
    own = [
        entry
        for entry in entries
        if "site-packages" not in entry.filename and not entry.filename.startswith(_PACKAGE)
    ]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
