"""The JAX backend: one pure function of parameters and inputs, jitted once for each shape.

64-bit values stay 64-bit: programs are traced and run under a local x64 scope, with explicit
dtypes, and the configuration of the caller is left alone.
"""

from __future__ import annotations

from graftwork.backends.jax.compile import compile, to_jax

__all__ = ["compile", "to_jax"]
