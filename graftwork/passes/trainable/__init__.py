"""Trainable interventions: new parameters that learn, beside a model that stays as it is."""

from graftwork.passes.trainable.lora import LoRA as LoRA
