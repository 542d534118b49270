"""Weight processing: changes of parameters that keep what a model says.

Each writes its change as nodes on parameters, found by structure alone, and `fold` makes
parameters of them.
"""

from graftwork.passes.weights.biases import FoldValueBiases as FoldValueBiases
from graftwork.passes.weights.cast import Cast as Cast
from graftwork.passes.weights.cast import CastWeights as CastWeights
from graftwork.passes.weights.centre import CentreUnembed as CentreUnembed
from graftwork.passes.weights.centre import CentreWriting as CentreWriting
from graftwork.passes.weights.dead import PruneDead as PruneDead
from graftwork.passes.weights.fold import FoldParameters as FoldParameters
from graftwork.passes.weights.merge import MergeLoRA as MergeLoRA
from graftwork.passes.weights.norms import FoldNorms as FoldNorms
from graftwork.passes.weights.norms import norms_that_stay as norms_that_stay
from graftwork.passes.weights.projections import SplitQKV as SplitQKV
from graftwork.passes.weights.prune import PruneHeads as PruneHeads
from graftwork.passes.weights.prune import PruneNeurons as PruneNeurons
from graftwork.passes.weights.ties import Untie as Untie
