"""Trainable interventions: new parameters that learn, beside a model that stays as it is."""

from graftwork.passes.trainable.learning import AsInputs as AsInputs
from graftwork.passes.trainable.learning import Learned as Learned
from graftwork.passes.trainable.learning import Train as Train
from graftwork.passes.trainable.learning import learned as learned
from graftwork.passes.trainable.lora import LoRA as LoRA
from graftwork.passes.trainable.masks import BoundlessPatch as BoundlessPatch
from graftwork.passes.trainable.masks import MaskPatch as MaskPatch
from graftwork.passes.trainable.prompt import SoftPrompt as SoftPrompt
from graftwork.passes.trainable.subspaces import LowRankPatch as LowRankPatch
from graftwork.passes.trainable.subspaces import PCAPatch as PCAPatch
from graftwork.passes.trainable.subspaces import RotatedPatch as RotatedPatch
