"""Passes that make a graph smaller and leave its meaning alone."""

from graftwork.passes.cleanup.cleanup import Cleanup
from graftwork.passes.cleanup.common import ShareCommon
from graftwork.passes.cleanup.dead import DropDead
from graftwork.passes.cleanup.fold import Fold
from graftwork.passes.cleanup.identities import DropIdentities
from graftwork.passes.cleanup.narrow import NarrowEarly
from graftwork.passes.cleanup.views import CancelViews

__all__ = [
    "CancelViews",
    "Cleanup",
    "DropDead",
    "DropIdentities",
    "Fold",
    "NarrowEarly",
    "ShareCommon",
]
