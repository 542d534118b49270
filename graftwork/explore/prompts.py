"""Prompts: from text to the inputs of a model, and from ids to words."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.explore.models import Model
from graftwork.ir.errors import InputError

MOST_TOKENS = 512

Array = np.ndarray[Any, Any]


def encode(model: Model, prompt: str) -> Array:
    """The token ids of a prompt, i64 of axes (seq,); without a tokenizer it is ids itself.

    Raises:
        InputError: if there are none, too many, or words that are no ids.
    """
    if model.tokenizer is None:
        words = prompt.replace(",", " ").split()
        if not all(word.isdecimal() and len(word) < 10 for word in words):
            raise InputError(
                f"{model.loader.folder} has no tokenizer, so a prompt is token ids like '5 17 3'"
            )
        ids = [int(word) for word in words]
    else:
        ids = list(model.tokenizer(prompt)["input_ids"])
    if not ids:
        raise InputError("the prompt is empty")
    if len(ids) > MOST_TOKENS:
        raise InputError(f"the prompt has {len(ids)} tokens; at most {MOST_TOKENS} are run here")
    return np.array(ids, np.int64)


class Numbers:
    """Spells ids where there is no tokenizer."""

    def decode(self, token_ids: int) -> str:
        """The id as a number."""
        return str(token_ids)


def decoder(model: Model) -> Any:
    """What spells ids."""
    return Numbers() if model.tokenizer is None else model.tokenizer


def inputs_of(model: Model, ids: Array) -> dict[str, Array]:
    """The inputs of one run of a text model.

    Raises:
        InputError: if the model takes no text, or gives no logits.
    """
    names = {port.name for port in model.graph.inputs}
    if "input_ids" not in names or all(port.name != "logits" for port in model.graph.outputs):
        raise InputError("prompts need a model with the input input_ids and the output logits")
    known = {"input_ids": ids[None], "attention_mask": np.ones_like(ids)[None]}
    return {name: array for name, array in known.items() if name in names}
