"""Edges: the residual stream opened by linearity, so that one contribution is edited alone."""

from graftwork.passes.edges.attribution import EdgeAttribution as EdgeAttribution
from graftwork.passes.edges.components import Components as Components
from graftwork.passes.edges.components import components as components
from graftwork.passes.edges.patch import MaskEdges as MaskEdges
from graftwork.passes.edges.patch import PatchEdges as PatchEdges
from graftwork.passes.edges.path import PathPatch as PathPatch
from graftwork.passes.edges.reads import OpenReads as OpenReads
from graftwork.passes.edges.view import component_graph as component_graph
