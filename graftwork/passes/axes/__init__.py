"""Passes over the axes of a graph: which of them are one, and what they are called."""

from graftwork.passes.axes.unify import Unify

__all__ = ["Unify"]
