"""What logits say: the likeliest tokens with their probabilities, ranks and entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from graftwork.viz.pack import Strings
from graftwork.viz.words import Tokenizer, numbered

Array = np.ndarray[Any, Any]


def log_probabilities(logits: Any) -> Array:
    """Natural logarithms of the probabilities of logits, over the last axis."""
    rows = np.asarray(logits, np.float32)
    rows = rows - rows.max(-1, keepdims=True)
    return np.asarray(rows - np.log(np.exp(rows).sum(-1, keepdims=True)))


@frozen(eq=False)
class Predictions:
    """What each of some distributions over a vocabulary says.

    Attributes:
        ids: of the likeliest tokens, over any axes and then from the likeliest on.
        shares: their probabilities.
        entropy: in bits.
    """

    ids: Array
    shares: Array
    entropy: Array

    def words(self, tokenizer: Tokenizer, strings: Strings) -> list[int]:
        """The tokens as numbers of strings."""
        return numbered(self.ids, tokenizer, strings)


def predictions(logs: Array, count: int) -> Predictions:
    """What logarithms of probabilities say, with the `count` likeliest tokens of each."""
    count = min(count, logs.shape[-1])
    some = np.argpartition(logs, -count, axis=-1)[..., -count:]
    order = np.argsort(-np.take_along_axis(logs, some, -1), axis=-1, kind="stable")
    ids = np.take_along_axis(some, order, -1)
    shares = np.exp(np.take_along_axis(logs, ids, -1))
    entropy = -(np.exp(logs) * np.maximum(logs, -1e3)).sum(-1) / np.log(2)
    return Predictions(ids, shares.astype(np.float32), entropy.astype(np.float32))


def ranked(logs: Array, targets: Array) -> tuple[Array, Array]:
    """The probability of a target in each distribution, and its rank: 1 is the likeliest."""
    mine = np.take_along_axis(logs, targets[..., None], -1)
    rank = 1 + (logs > mine).sum(-1)
    return np.exp(mine[..., 0]).astype(np.float32), rank.astype(np.float32)
