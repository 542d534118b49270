"""From JAX to graphs: jaxprs, one rule a primitive."""

from graftwork.frontends.jax.convert import from_jax

__all__ = ["from_jax"]
