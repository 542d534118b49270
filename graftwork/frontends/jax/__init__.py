"""From JAX to graphs: jaxprs, one rule a primitive."""

from graftwork.frontends.jax.program import Program, read

__all__ = ["Program", "read"]
