"""From a function and samples to a jaxpr in which named axes are symbolic dimensions."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import ClosedJaxpr
from graftwork.frontends.jax.models import Leaf
from graftwork.frontends.jax.origins import PACKAGE
from graftwork.frontends.jax.sizes import SizeReader
from graftwork.ir.axis_spec import AxisWord
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Guard
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size, symbols

_PLAIN = re.compile(r"(?!(?:mod|floordiv|max|min|non_negative)\Z)[A-Za-z][A-Za-z0-9_]*")
_COMPARISON = re.compile(r"comparison '(?P<left>.+?)' (?P<sign>[<>]=?) '(?P<right>.+?)' is incon")
_CUT = re.compile(r"min\((?P<left>[^(),]+), (?P<right>[^(),]+)\)")


@frozen
class Assumption:
    """What the program's Python code takes for granted of sizes: `low <= size <= high`.

    Attributes:
        text: the same as JAX writes it.
        guard: the same as graphs write it.
    """

    text: str
    guard: Guard


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

    Where the program compares sizes (`if x.shape[0] > 1`), or cuts a table to a dynamic length
    (`table[:seq]`), it is traced for sizes that compare as those of the samples do, and a guard
    says so.

    Raises:
        ConversionError: if the program's Python code decides on values, rests on the sizes of the
            samples, or does not run at all; if a parameter has 64 bits, and JAX has not.
    """
    extents = _dynamic_extents(arguments, words)
    names = {axis: _variable(axis, i) for i, axis in enumerate(extents)}
    held = [_jax.spec(leaf.shape, leaf.value.dtype) for leaf in parameters]
    assumed: list[Assumption] = []
    wide = any(_is_wide(leaf.value) for leaf in (*parameters, *arguments))
    with _jax.wide_types(wide):
        _require_dtypes(parameters)
        while True:
            dims = _dimensions(names, assumed)
            size = SizeReader({variable: axis for axis, variable in names.items()})
            shapes = _shapes(arguments, words, dims)
            specs = [
                _jax.spec(s, leaf.value.dtype) for leaf, s in zip(arguments, shapes, strict=True)
            ]
            try:
                closed, results = _jax.trace(function, (held, specs))
                break
            except Exception as error:
                more = _assumption(str(error), dims, size, extents)
                if more is None or more in assumed:
                    samples = [_jax.spec(leaf.shape, leaf.value.dtype) for leaf in arguments]
                    raise _explained(error, function, held, samples, extents) from error
                assumed.append(more)
    closed = _jax.opened(closed)
    lean = ClosedJaxpr(_jax.live(closed.jaxpr), closed.consts)
    return Traced(lean, results, size, tuple(a.guard for a in assumed))


def _variable(axis: str, number: int) -> str:
    return axis if _PLAIN.fullmatch(axis) else f"d{number}_"


def _require_dtypes(parameters: Sequence[Leaf]) -> None:
    """JAX takes parameters as they are."""
    for leaf in parameters:
        given = leaf.value.dtype
        if not _jax.is_key(given) and (taken := jax.dtypes.canonicalize_dtype(given)) != given:
            raise ConversionError(
                f"parameter {leaf.name!r} is {given}, which JAX would take as {taken}; give it as "
                "that, or let JAX have 64 bits: jax.config.update('jax_enable_x64', True)"
            )


def _is_wide(array: Any) -> bool:
    """Whether an array could only be made where 64-bit types exist."""
    return (
        isinstance(array, jax.Array)
        and not _jax.is_key(array.dtype)
        and (array.dtype.itemsize == 8)
    )


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


def _dimensions(names: Mapping[str, str], assumed: Sequence[Assumption]) -> dict[str, Any]:
    """A symbolic dimension for every axis, all in one scope."""
    constraints = [assumption.text for assumption in assumed]
    made = jax.export.symbolic_shape(", ".join(names.values()), constraints=constraints)
    return dict(zip(names, made, strict=True))


def _shapes(
    arguments: Sequence[Leaf], words: Mapping[str, Sequence[AxisWord]], dims: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """The shapes of all arguments."""
    return [
        tuple(
            dims[str(word.name)] if is_dynamic(word) else extent
            for word, extent in zip(words[leaf.name], leaf.shape, strict=True)
        )
        if leaf.name in words
        else leaf.shape
        for leaf in arguments
    ]


def _assumption(
    message: str, dims: Mapping[str, Any], size: SizeReader, extents: Mapping[str, int]
) -> Assumption | None:
    """What JAX could not decide, decided as it is for the samples."""
    match = _COMPARISON.search(message) or _CUT.search(message)
    if not dims or match is None:
        return None
    scope = next(iter(dims.values())).scope
    found = match.groupdict()
    words = [found["left"], found["right"]]
    sides = [size(jax.export.symbolic_shape(text, scope=scope)[0]) for text in words]
    if "sign" not in found and _cut_short(sides, extents):
        words, sides = words[::-1], sides[::-1]
    sign, edge = _limit(found.get("sign", "<="), evaluate(sides[0] - sides[1], extents))
    low, high = (edge, None) if sign == ">=" else (None, edge)
    text = f"{words[0]} {sign} {words[1]} {'-' if edge < 0 else '+'} {abs(edge)}"
    return Assumption(text, _guard(sides, low, high))


def _guard(sides: Sequence[Size], low: int | None, high: int | None) -> Guard:
    """A guard on the difference of two sizes; on the first alone, where the second is a number."""
    first, second = sides
    shift = second if isinstance(second, int) else 0
    low, high = (None if edge is None else edge + shift for edge in (low, high))
    return Guard(first - second + shift, low, high, "assumed when the model was traced")


def _cut_short(sides: Sequence[Size], extents: Mapping[str, int]) -> bool:
    """Whether the second of two sizes is the lesser; of equals, the one that varies."""
    a, b = (evaluate(side, extents) for side in sides)
    return b < a or (a == b and not symbols(sides[0]))


def _limit(sign: str, difference: int) -> tuple[str, int]:
    """The limit of a difference that says how it compares with 0."""
    at_most = {"<=": 0, "<": -1, ">": 0, ">=": -1}[sign]
    return ("<=", at_most) if difference <= at_most else (">=", at_most + 1)


def _explained(
    error: Exception,
    function: Callable[..., Any],
    held: Sequence[Any],
    samples: Sequence[Any],
    extents: Mapping[str, int],
) -> ConversionError:
    where, reason = _where(error), str(error).split("\n")[0]
    if isinstance(
        error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError
    ):
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
        if "site-packages" not in entry.filename and not entry.filename.startswith(PACKAGE)
    ]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
