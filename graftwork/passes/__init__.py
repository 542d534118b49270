"""Passes: rewrites from graph to graph, as data."""

from graftwork.passes.base import Pass as Pass
from graftwork.passes.collect import Collect as Collect
from graftwork.passes.interventions import Ablate as Ablate
from graftwork.passes.interventions import Map as Map
from graftwork.passes.interventions import Noise as Noise
from graftwork.passes.interventions import Scale as Scale
from graftwork.passes.interventions import Steer as Steer
from graftwork.passes.linearize import Linearize as Linearize
from graftwork.passes.lora import LoRA as LoRA
from graftwork.passes.patch import Patch as Patch
