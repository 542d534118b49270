"""Answers to what pages ask: about a model, a run of a prompt, and pictures of both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from scipy.special import log_softmax

import graftwork as gw
from graftwork.backends import Program
from graftwork.explore.cache import Cache
from graftwork.explore.code import code
from graftwork.explore.edits import Recipe, recipe
from graftwork.explore.models import Model, load_model
from graftwork.explore.pictures import PICTURES, Shown
from graftwork.explore.prompts import Array, encode, inputs_of, word
from graftwork.explore.question import Question
from graftwork.ir.errors import InputError, nearest
from graftwork.ir.graph import Graph
from graftwork.viz import View

MOST_LIKELY = 10

Answer = dict[str, Any]


class Explorer:
    """What was loaded, compiled and drawn last; nothing of who asked for it."""

    def __init__(self) -> None:
        self._models: Cache[Model] = Cache(2)
        self._programs: Cache[Program] = Cache(8)
        self._pictures: Cache[View] = Cache(32)
        self._loading = Lock()

    def model(self, question: Question) -> Answer:
        """What a model offers: its sites, with the sizes of their axes, and its pictures."""
        model = self._model(question.model)
        graph = model.graph
        return {
            "model": question.model,
            "folder": model.loader.folder,
            "nodes": len(graph.nodes),
            "text": model.tokenizer is not None,
            "sites": [[path, _sizes(graph, site.roles)] for path, site in graph.sites.items()],
            "unrecognised": dict(graph.sites.unrecognised),
            "pictures": [[kind, picture.title] for kind, picture in PICTURES.items()],
        }

    def run(self, question: Question) -> Answer:
        """The likeliest next tokens without and with the edits, and the code for the latter."""
        model, edits = self._model(question.model), recipe(question.edits)
        ids = encode(model, question.prompt)
        at = _position(question.at, len(ids))
        before = self._next(model, ids, at, Recipe((), {}))
        after = self._next(model, ids, at, edits) if edits.passes else before
        return {
            "tokens": [word(model, token) for token in ids.tolist()],
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
        view = self._pictures.get(name, lambda: self._drawn(question))
        return {"picture": name, "title": view.title}

    def page(self, name: str) -> str | None:
        """The page of a picture, if it is still kept."""
        view = self._pictures.find(name)
        return None if view is None else view.html

    # --- what is kept

    def _model(self, path: str) -> Model:
        def load() -> Model:
            with self._loading:  # tracing a model is not for two threads at a time
                return load_model(path)

        return self._models.get(path, load)

    def _program(self, model: Model, edits: Recipe) -> Program:
        key = (model.graph, *map(repr, edits.passes))
        return self._programs.get(
            key, lambda: gw.compile(model.graph.apply(*edits.passes), backend="onnx")
        )

    def _next(self, model: Model, ids: Array, at: int, edits: Recipe) -> Array:
        """Log-probabilities of the token after a position, f64 of axes (vocab,)."""
        others = {
            name: inputs_of(model, encode(model, prompt)) for name, prompt in edits.sources.items()
        }
        out = self._program(model, edits)(**inputs_of(model, ids), **others)
        logits = np.asarray(out["logits"]).astype(np.float64)
        if logits.ndim != 3:
            raise InputError(f"the logits have axes {list(out['logits'].axes)}, not one a token")
        found: Array = log_softmax(logits[0, at])
        return found

    def _drawn(self, question: Question) -> View:
        model, edits = self._model(question.model), recipe(question.edits)
        return PICTURES[question.picture].draw(Shown(model, question.prompt, edits))


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
            "text": word(model, token),
            "before": _finite(np.exp(before[token])),
            "after": _finite(np.exp(after[token])),
        }
        for token in sorted(best, key=lambda token: -after[token])
    ]


def _finite(number: Any) -> float | None:
    """A number as JSON has them."""
    return float(number) if np.isfinite(number) else None
