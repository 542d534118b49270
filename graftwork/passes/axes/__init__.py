"""Passes over the axes of a graph: which of them are one, and what they are called."""

from graftwork.passes.axes.groups import ShareGroups
from graftwork.passes.axes.naming import Name
from graftwork.passes.axes.unify import Unify
from graftwork.passes.axes.unmerge import Unmerge

__all__ = ["Name", "ShareGroups", "Unify", "Unmerge"]
