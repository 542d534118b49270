"""From JAX to graphs: jaxprs, one rule a primitive."""

from graftwork.frontends.jax.program import convert

__all__ = ["convert"]
