"""Passes: rewrites from graph to graph, as data."""

from graftwork.passes.axes import Name as Name
from graftwork.passes.axes import ShareGroups as ShareGroups
from graftwork.passes.axes import Unify as Unify
from graftwork.passes.axes import Unmerge as Unmerge
from graftwork.passes.base import Pass as Pass
from graftwork.passes.cleanup import CancelViews as CancelViews
from graftwork.passes.cleanup import Cleanup as Cleanup
from graftwork.passes.cleanup import DropDead as DropDead
from graftwork.passes.cleanup import DropIdentities as DropIdentities
from graftwork.passes.cleanup import Fold as Fold
from graftwork.passes.cleanup import NarrowEarly as NarrowEarly
from graftwork.passes.cleanup import ShareCommon as ShareCommon
from graftwork.passes.composites import Recover as Recover
from graftwork.passes.derivatives import Linearize as Linearize
from graftwork.passes.interventions import Ablate as Ablate
from graftwork.passes.interventions import Collect as Collect
from graftwork.passes.interventions import Map as Map
from graftwork.passes.interventions import Noise as Noise
from graftwork.passes.interventions import Patch as Patch
from graftwork.passes.interventions import Scale as Scale
from graftwork.passes.interventions import Steer as Steer
from graftwork.passes.rules import Rewrite as Rewrite
from graftwork.passes.rules import Rule as Rule
from graftwork.passes.trainable import LoRA as LoRA
