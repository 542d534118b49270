"""Everything that this frontend takes from inside of JAX, which moves between versions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from attrs import frozen
from jax._src import core, source_info_util
from jax._src.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, ShapedArray, Var
from jax._src.export.shape_poly import _DimExpr as DimExpr
from jax._src.interpreters import mlir
from jax._src.interpreters.partial_eval import dce_jaxpr
from jax._src.interpreters.pxla import _discharge_internal_refs
from jax._src.lax.slicing import GatherScatterMode

__all__ = [
    "Atom",
    "ClosedJaxpr",
    "DimExpr",
    "GatherScatterMode",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "Var",
    "aval",
    "concrete",
    "definition",
    "dim_terms",
    "frames",
    "function",
    "is_key",
    "key_words",
    "live",
    "opened",
    "scalar_kind",
    "scopes",
    "spec",
    "trace",
    "wide_types",
]


Atom: TypeAlias = Var | Literal


def trace(function: Callable[..., Any], args: Sequence[Any]) -> tuple[ClosedJaxpr, Any]:
    """The jaxpr of a function, and the structure of its result.

    References that the function makes for itself become arrays that are passed on.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    if any(isinstance(effect, core.InternalMutableArrayEffect) for effect in closed.effects):
        closed = _discharge_internal_refs(closed)
    return closed, shape


def function(jaxpr: ClosedJaxpr | Jaxpr, consts: Sequence[Any] = ()) -> Callable[..., Any]:
    """A jaxpr as a function that gives a list."""
    closed = jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, consts)
    return cast("Callable[..., Any]", core.jaxpr_as_fun(closed))


def definition(primitive: core.Primitive) -> Callable[..., Any] | None:
    """The function of JAX by which JAX defines a primitive, where there is one."""
    entry = mlir._lowerings.get(primitive)
    rule: Any = getattr(entry, "rule", None)
    if getattr(rule, "__qualname__", "") != "lower_fun.<locals>.f_lowered":
        return None
    return cast("Callable[..., Any]", inspect.getclosurevars(rule).nonlocals["fun"])


def opened(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A program that is one call of another, as that one: `jax.jit(f)` says what `f` does."""
    outer = closed.jaxpr
    call = outer.eqns[0] if len(outer.eqns) == 1 else None
    if call is None or call.primitive.name != "jit" or outer.outvars != call.outvars:
        return closed
    if scopes(call):  # which say of which module it is
        return closed
    if any(isinstance(x, Literal) for x in call.invars) or len({*call.invars}) < len(call.invars):
        return closed
    inner: ClosedJaxpr = call.params["jaxpr"]
    inside = dict(zip(call.invars, inner.jaxpr.invars, strict=True))
    jaxpr = inner.jaxpr.replace(
        invars=[inside.get(variable, variable) for variable in outer.invars],
        constvars=[
            *(inside.get(variable, variable) for variable in outer.constvars),
            *inner.jaxpr.constvars,
        ],
        debug_info=outer.debug_info,
    )
    return opened(ClosedJaxpr(jaxpr, [*closed.consts, *inner.consts]))


def live(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr without equations that no output needs; it takes the same inputs."""
    if _all_read(jaxpr, ()):  # as nearly always, and faster to see than to do
        return jaxpr
    lean, _ = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), instantiate=True)
    return lean


def _all_read(jaxpr: Jaxpr, given: Iterable[Var]) -> bool:
    """Whether something reads these and all that equations make, in inner jaxprs too."""
    equations = jaxpr.eqns
    # Literals cannot be hashed.
    read = set(map(id, chain(jaxpr.outvars, *[e.invars for e in equations])))
    made = set(map(id, chain(given, *[e.outvars for e in equations])))
    kinds = {e.primitive: e for e in equations}
    holding = {kind for kind, e in kinds.items() if any(core.jaxprs_in_params(e.params))}
    inside = {
        id(held): held
        for e in equations
        if e.primitive in holding
        for held in core.jaxprs_in_params(e.params)
    }
    return made <= read and all(_all_read(held, held.invars) for held in inside.values())


def wide_types(needed: bool) -> AbstractContextManager[Any]:
    """A scope in which 64-bit types exist."""
    return jax.enable_x64(True) if needed else nullcontext()


def is_key(dtype: Any) -> bool:
    """Whether arrays of this dtype are random keys."""
    return not isinstance(dtype, np.dtype) and bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))


def aval(atom: Atom) -> ShapedArray:
    """Shape and dtype of a variable or literal."""
    return cast("ShapedArray", atom.aval)


def scalar_kind(atom: Atom) -> str:
    """numpy's letter for the dtype of a scalar: "b", "i", "u", "f"; "-" for anything else."""
    if is_key(aval(atom).dtype) or aval(atom).shape:
        return "-"
    return str(np.dtype(aval(atom).dtype).kind)


def spec(shape: Sequence[Any], dtype: Any) -> jax.ShapeDtypeStruct:
    """A sample of a shape and dtype; the dtype is one that JAX has at present."""
    known = dtype if is_key(dtype) else jax.dtypes.canonicalize_dtype(dtype)
    return jax.ShapeDtypeStruct(tuple(shape), known)  # type: ignore[no-untyped-call]


def key_words(keys: Any) -> Any:
    """Keys as unsigned integers, with one more dimension."""
    return jax.random.key_data(keys)


@frozen
class Frame:
    """One line of a Python program."""

    file: str
    line: int


def frames(traceback: Any) -> Iterator[Frame]:
    """The lines that made an equation, innermost first, without those of JAX."""
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
