"""Interventions: reading activations, and putting others in their place."""

from graftwork.passes.interventions.activations import Ablate as Ablate
from graftwork.passes.interventions.activations import Map as Map
from graftwork.passes.interventions.activations import Noise as Noise
from graftwork.passes.interventions.activations import Scale as Scale
from graftwork.passes.interventions.activations import Steer as Steer
from graftwork.passes.interventions.attention import KnockOutEdges as KnockOutEdges
from graftwork.passes.interventions.attention import KnockOutHeads as KnockOutHeads
from graftwork.passes.interventions.autoencoder import Splice as Splice
from graftwork.passes.interventions.collect import Collect as Collect
from graftwork.passes.interventions.freeze import Freeze as Freeze
from graftwork.passes.interventions.freeze import FreezeNorms as FreezeNorms
from graftwork.passes.interventions.outputs import Keep as Keep
from graftwork.passes.interventions.outputs import Measure as Measure
from graftwork.passes.interventions.parameters import RankOne as RankOne
from graftwork.passes.interventions.patch import Patch as Patch
from graftwork.passes.interventions.runs import In as In
from graftwork.passes.interventions.stretches import Replace as Replace
from graftwork.passes.interventions.stretches import Skip as Skip
from graftwork.passes.interventions.worlds import Rewire as Rewire
from graftwork.passes.interventions.worlds import Worlds as Worlds
from graftwork.passes.interventions.worlds import taking as taking
