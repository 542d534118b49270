"""Derivatives in the graph: expansions and gradients as graphs like any other."""

from graftwork.passes.derivatives.attribution import AttributionPatching as AttributionPatching
from graftwork.passes.derivatives.attribution import IntegratedGradients as IntegratedGradients
from graftwork.passes.derivatives.gradient import Gradient as Gradient
from graftwork.passes.derivatives.gradient import GradientTimesInput as GradientTimesInput
from graftwork.passes.derivatives.linearize import Linearize as Linearize
from graftwork.passes.derivatives.products import JVP as JVP
from graftwork.passes.derivatives.products import VJP as VJP
