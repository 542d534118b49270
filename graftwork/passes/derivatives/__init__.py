"""Derivatives in the graph: expansions and gradients as graphs like any other."""

from graftwork.passes.derivatives.linearize import Linearize as Linearize
