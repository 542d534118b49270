"""Analyses: what is read from a model, as new outputs of its graph or from its parameters."""

from graftwork.passes.analyses.decompose import Decompose as Decompose
from graftwork.passes.analyses.decompose import LogitAttribution as LogitAttribution
from graftwork.passes.analyses.lens import LogitLens as LogitLens
from graftwork.passes.analyses.lens import TunedLens as TunedLens
