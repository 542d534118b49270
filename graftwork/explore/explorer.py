"""Answers to what pages ask: about a model, a run of a prompt, and pictures of both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import log_softmax

from graftwork.explore.cache import Cache
from graftwork.explore.code import code
from graftwork.explore.edits import NOTHING, Recipe, recipe
from graftwork.explore.models import Model
from graftwork.explore.pictures import PICTURES, Shown
from graftwork.explore.prompts import Array, decoder, encode
from graftwork.explore.question import Question
from graftwork.explore.runs import Runs
from graftwork.ir.errors import InputError, nearest
from graftwork.ir.graph import Graph

MOST_LIKELY = 10

Answer = dict[str, Any]


class Explorer:
    """What was loaded, compiled and drawn last; nothing of who asked for it."""

    def __init__(self) -> None:
        self._runs = Runs()
        self._pictures: Cache[tuple[str, str]] = Cache(32)

    def model(self, question: Question) -> Answer:
        """What a model offers: its sites, with the sizes of their axes, and its pictures."""
        model = self._runs.model(question.model)
        graph = model.graph
        return {
            "model": question.model,
            "nodes": len(graph.nodes),
            "text": model.tokenizer is not None,
            "sites": [[path, _sizes(graph, site.roles)] for path, site in graph.sites.items()],
            "pictures": [[kind, picture.title] for kind, picture in PICTURES.items()],
        }

    def run(self, question: Question) -> Answer:
        """The likeliest next tokens without and with the edits, and the code for the latter."""
        model, edits = self._runs.model(question.model), recipe(question.edits)
        ids = encode(model, question.prompt)
        at = _position(question.at, len(ids))
        before = self._next(model, question.prompt, at, NOTHING)
        after = self._next(model, question.prompt, at, edits) if edits.passes else before
        return {
            "tokens": [decoder(model).decode(token) for token in ids.tolist()],
            "at": at,
            "rows": _rows(model, before, after),
            "divergence": _finite(np.sum(np.exp(before) * (before - after))),
            "code": code(model, question.prompt, edits),
        }

    def picture(self, question: Question) -> Answer:
        """Where the picture of a kind lies: `/pictures/<name>`."""
        if question.picture not in PICTURES:
            raise InputError(
                f"there is no picture {question.picture!r}{nearest(question.picture, PICTURES)}"
            )
        name = hashlib.sha256(question.key.encode()).hexdigest()
        title, _ = self._pictures.get(name, lambda: self._drawn(question))
        return {"picture": name, "title": title}

    def page(self, name: str) -> str | None:
        """The page of a picture, if it is still kept."""
        _, html = self._pictures.find(name) or (None, None)
        return html

    def _next(self, model: Model, prompt: str, at: int, edits: Recipe) -> Array:
        """Log-probabilities of the token after a position, f64 of axes (vocab,)."""
        logits = self._runs.outputs(model, prompt, edits)["logits"]
        if len(logits.shape) != 3:
            raise InputError(f"the logits have the axes {list(logits.axes)}, not one for tokens")
        found: Array = log_softmax(np.asarray(logits)[0, at].astype(np.float64))
        return found

    def _drawn(self, question: Question) -> tuple[str, str]:
        """The title and the page of a picture."""
        model, edits = self._runs.model(question.model), recipe(question.edits)
        shown = Shown(self._runs, model, question.prompt, edits)
        view = PICTURES[question.picture].draw(shown)
        return view.title, view.html


def _sizes(graph: Graph, roles: Mapping[str, str]) -> dict[str, int | str]:
    sizes = {role: graph.axes[axis] for role, axis in roles.items()}
    return {role: size if isinstance(size, int) else str(size) for role, size in sizes.items()}


def _position(at: int, count: int) -> int:
    if not -count <= at < count:
        raise InputError(f"position {at} is outside of the prompt, which has {count} tokens")
    return at % count


def _rows(model: Model, before: Array, after: Array) -> list[Answer]:
    """The tokens that are among the likeliest before or after, by how likely they are after."""
    best = {int(t) for scores in (before, after) for t in np.argsort(-scores)[:MOST_LIKELY]}
    return [
        {
            "token": token,
            "text": decoder(model).decode(token),
            "before": _finite(np.exp(before[token])),
            "after": _finite(np.exp(after[token])),
        }
        for token in sorted(best, key=lambda token: -after[token])
    ]


def _finite(number: Any) -> float | None:
    """A number as JSON has them."""
    return float(number) if np.isfinite(number) else None
