"""Composite ops: what the field calls one thing, with a body of smaller ops.

They print as one line, a backend may have a fused kernel for them, and they open into their body
where a rewrite addresses one of their interior sites.
"""

from __future__ import annotations

from graftwork.ir.ops.composites import (
    activations,
    attention,
    conversion,
    linear,
    loss,
    norms,
    statistics,
    updates,
    windows,
)

MODULES = (
    statistics, activations, conversion, linear, norms, attention, windows, updates, loss,
)  # fmt: skip
