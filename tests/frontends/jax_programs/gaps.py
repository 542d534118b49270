"""What is known not to pass, and the words in which it is refused or how it differs.

Everything else passes on every backend; a gap that closes must leave this list.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.frontends.jax_programs.program import Program

_ZEROS = "differs: Arrays are not equal"  # ONNX Runtime's Where adds its sides: -0 becomes 0
_UNTRANSLATED = (
    "bessel_i1e", "call_exported", "complex", "eig", "eigh", "fft", "io_callback", "polygamma",
    "pure_callback", "qr", "rng_bit_generator", "rng_uniform", "schur", "svd", "zeta",
)  # fmt: skip

REFUSED: Mapping[str, str] = {name: f"refused: {name} " for name in _UNTRANSLATED}
GAPS: Mapping[str, Mapping[str, str]] = {
    "rng_bit_generator: a kind of key": dict.fromkeys(
        ("numpy", "jax", "torch", "onnx"), "refused: random keys of kind 'rbg'"
    ),
    "top_k: a zero above another": dict.fromkeys(
        ("numpy", "torch", "onnx"), "differs: Arrays are not equal"
    ),
    **{
        f"{name}: edges": {"onnx": _ZEROS}
        for name in ("expm1", "log1p", "cbrt", "sign", "atan2", "reduce_precision")
    },
    "reduce_precision: edges of few bits": {"onnx": _ZEROS},
}


def expected(program: Program, backend: str) -> str | None:
    """How the outcome of a program begins where it does not pass."""
    known = GAPS.get(program.name)
    if known is not None:
        return known.get(backend)
    return REFUSED.get(program.primitive)
