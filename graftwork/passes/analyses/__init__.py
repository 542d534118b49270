"""Analyses: what is read from a model, as new outputs of its graph or from its parameters."""

from graftwork.passes.analyses.circuits import composition_scores as composition_scores
from graftwork.passes.analyses.circuits import head_vocabulary as head_vocabulary
from graftwork.passes.analyses.circuits import neuron_vocabulary as neuron_vocabulary
from graftwork.passes.analyses.circuits import ov as ov
from graftwork.passes.analyses.circuits import qk as qk
from graftwork.passes.analyses.circuits import unembedding as unembedding
from graftwork.passes.analyses.contributions import Contributions as Contributions
from graftwork.passes.analyses.decompose import Decompose as Decompose
from graftwork.passes.analyses.decompose import LogitAttribution as LogitAttribution
from graftwork.passes.analyses.detectors import head_scores as head_scores
from graftwork.passes.analyses.factored import FactoredMatrix as FactoredMatrix
from graftwork.passes.analyses.lens import LogitLens as LogitLens
from graftwork.passes.analyses.lens import TunedLens as TunedLens
from graftwork.passes.analyses.probes import Probe as Probe
from graftwork.passes.analyses.probes import logistic_probe as logistic_probe
from graftwork.passes.analyses.probes import ridge_probe as ridge_probe
from graftwork.passes.analyses.probes import split_examples as split_examples
from graftwork.passes.analyses.routes import routes as routes
