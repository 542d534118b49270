"""All rules by the name of JAX's primitive.

A rule takes the translator, the equation and its operands in positional form; a structural one
reads its operands itself.
"""

from __future__ import annotations

from typing import Any

from graftwork.frontends.jax.rules import (
    calls,
    control,
    elementwise,
    indexing,
    random,
    reduce,
    shape,
    windows,
)
from graftwork.frontends.jax.rules.definitions import DEFINITIONS as DEFINITIONS
from graftwork.frontends.jax.rules.refused import REFUSED as REFUSED

RULES: dict[str, Any] = {
    **elementwise.RULES,
    **shape.RULES,
    **reduce.RULES,
    **indexing.RULES,
    **windows.RULES,
    **random.RULES,
    **control.RULES,
}
STRUCTURAL: dict[str, Any] = {
    **calls.STRUCTURAL,
    **elementwise.STRUCTURAL,
    **reduce.STRUCTURAL,
    **indexing.STRUCTURAL,
    **control.STRUCTURAL,
}
