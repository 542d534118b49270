"""Models that are loaded, and runs of them with edits."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import graftwork as gw
from graftwork.backends import Program
from graftwork.explore.cache import Cache
from graftwork.explore.edits import Recipe
from graftwork.explore.models import Model, load_model
from graftwork.explore.prompts import Array, encode, inputs_of
from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError
from graftwork.passes.base import Pass

BACKEND: dict[str, Any] = {"backend": "torch", "mode": "eager"}
"""Nothing is compiled for an edit that is tried once."""


class Runs:
    """The models that were loaded and the graphs that were compiled last."""

    def __init__(self) -> None:
        self._models: Cache[Model] = Cache(2)
        self._programs: Cache[Program] = Cache(8)
        self._loading = Lock()

    def model(self, path: str) -> Model:
        """The model at a path."""

        def load() -> Model:
            with self._loading:  # tracing a model is not for two threads at a time
                return load_model(path)

        return self._models.get(path, load)

    def outputs(
        self, model: Model, prompt: str, edits: Recipe, reads: Sequence[Pass] = ()
    ) -> dict[str, NamedArray]:
        """What a run of a prompt gives with edits, and what further passes read of it."""
        steps = (*edits.passes, *reads)
        program = self._programs.get(
            (model.graph, *map(repr, steps)),
            lambda: gw.compile(model.graph.apply(*steps), **BACKEND),
        )
        given = {**inputs_of(model, encode(model, prompt)), **others_of(model, edits)}
        try:
            return program(**given)
        except Exception as error:  # at a position that is out of range, or in a kernel
            raise InputError(f"the model cannot run this prompt: {error}") from error


def others_of(model: Model, edits: Recipe) -> dict[str, dict[str, Array]]:
    """The inputs of the other runs that edits read."""
    prompts = edits.sources.items()
    return {name: inputs_of(model, encode(model, prompt)) for name, prompt in prompts}
