"""Random keys and bits: Threefry on unsigned words.

A key array holds its two words along an axis that rides along unseen by position, so that keys are
sliced, stacked and mapped over like any other elements.
"""

from __future__ import annotations

from typing import Any

from graftwork.frontends.jax._jax import JaxprEqn
from graftwork.frontends.jax.rules.elementwise import same
from graftwork.frontends.jax.translate import Translator
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.positional import Positional, aligned, carrying, renamed


def _require_threefry(tr: Translator, implementation: Any) -> None:
    if implementation.name != "threefry2x32":
        raise UnsupportedOpError(
            f"random keys of kind {implementation.name!r} are not supported (from "
            f"{tr.builder.origin}); use the default, threefry2x32"
        )


def _seed(tr: Translator, equation: JaxprEqn, seed: Positional) -> Positional:
    _require_threefry(tr, equation.params["impl"])
    return Positional(ops.random_seed(seed.term, key=tr.key), seed.dims)


def _wrap(tr: Translator, equation: JaxprEqn, words: Positional) -> Positional:
    _require_threefry(tr, equation.params["impl"])
    full = carrying(words, words.rank - 1)
    return Positional(renamed(full.term, {str(full.dims[-1]): tr.key}), full.dims[:-1])


def _unwrap(tr: Translator, equation: JaxprEqn, keys: Positional) -> Positional:
    words = tr.fresh(2)
    return Positional(renamed(keys.term, {tr.key: words}), (*keys.dims, words))


def _bits(tr: Translator, equation: JaxprEqn, keys: Positional) -> Positional:
    dtype = DType(f"u{int(equation.params['bit_width'])}")
    drawn = _drawn(tr, equation)
    term = ops.random_bits(keys.term, axes=_axes(drawn), key=tr.key, dtype=dtype)
    return Positional(term, (*keys.dims, *drawn))


def _split(tr: Translator, equation: JaxprEqn, keys: Positional) -> Positional:
    drawn = _drawn(tr, equation)
    term = ops.random_split(keys.term, axes=_axes(drawn), key=tr.key)
    return Positional(term, (*keys.dims, *drawn))


def _drawn(tr: Translator, equation: JaxprEqn) -> tuple[str | None, ...]:
    """New dimensions for what is drawn from each key."""
    shape = tr.size.shape(equation.params["shape"])
    return tuple(None if extent == 1 else tr.fresh(extent) for extent in shape)


def _axes(dims: tuple[str | None, ...]) -> list[str]:
    return [axis for axis in dims if axis is not None]


def _fold_in(tr: Translator, equation: JaxprEqn, keys: Positional, data: Positional) -> Positional:
    (key, number), dims = aligned(keys, data)
    return Positional(ops.random_fold_in(key, number, key=tr.key), dims)


def _threefry(tr: Translator, equation: JaxprEqn, *words: Positional) -> list[Positional]:
    terms, dims = aligned(*words)
    return [Positional(term, dims) for term in ops.threefry2x32.emit(*terms)]


RULES: dict[str, Any] = {
    "random_seed": _seed,
    "random_wrap": _wrap,
    "random_unwrap": _unwrap,
    "random_bits": _bits,
    "random_split": _split,
    "random_fold_in": _fold_in,
    "random_clone": same,
    "threefry2x32": _threefry,
}
