"""The pictures that the explorer offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from graftwork import passes as p
from graftwork import viz
from graftwork.explore.edits import NOTHING, Recipe
from graftwork.explore.models import Model
from graftwork.explore.prompts import Array, decoder, encode
from graftwork.explore.runs import Runs, others_of
from graftwork.ir.array import NamedArray
from graftwork.passes.base import Pass
from graftwork.viz import View

PATTERNS = "blocks.*.attn.pattern"


@frozen(eq=False)
class Shown:
    """What a picture is of."""

    runs: Runs
    model: Model
    prompt: str
    recipe: Recipe

    @property
    def ids(self) -> Array:
        """The tokens of the prompt."""
        return encode(self.model, self.prompt)

    @property
    def tokens(self) -> tuple[Any, Array]:
        """What spells tokens, and those of the prompt."""
        return decoder(self.model), self.ids

    def outputs(self, recipe: Recipe, reads: Sequence[Pass] = ()) -> dict[str, NamedArray]:
        """What a run of the prompt gives with edits."""
        return self.runs.outputs(self.model, self.prompt, recipe, reads)


@frozen
class Picture:
    """A kind of picture: what it is called, and how it is drawn."""

    title: str
    draw: Callable[[Shown], View]


def _graph(shown: Shown) -> View:
    """The model; with edits, what they changed."""
    graph, passes = shown.model.graph, shown.recipe.passes
    return viz.graph(graph.apply(*passes), diff=graph) if passes else viz.graph(graph)


def _attention(shown: Shown) -> View:
    """Who attends to whom; with edits, beside what it was without them."""

    def patterns(recipe: Recipe) -> dict[str, NamedArray]:
        out = shown.outputs(recipe, [p.Collect(PATTERNS)])
        return {name: array for name, array in out.items() if name != "logits"}

    after = patterns(shown.recipe)
    if not shown.recipe.passes:
        return viz.attention(after, shown.tokens)
    names = ("edited", "original")
    return viz.attention(after, shown.tokens, other=patterns(NOTHING), names=names)


def _tokens(shown: Shown) -> View:
    """How likely each token of the prompt was."""
    logits = shown.outputs(shown.recipe)["logits"]
    return viz.tokens(shown.tokens, logits=logits, title="Tokens of the prompt")


def _running(draw: Callable[..., View]) -> Callable[[Shown], View]:
    """A picture whose model is run when it is drawn."""

    def drawn(shown: Shown) -> View:
        graph = shown.model.graph.apply(*shown.recipe.passes)
        others: dict[str, Any] = others_of(shown.model, shown.recipe)
        return draw(graph, shown.ids, decoder(shown.model), backend="numpy", **others)

    return drawn


PICTURES: Mapping[str, Picture] = {
    "graph": Picture("Graph", _graph),
    "tokens": Picture("Tokens", _tokens),
    "attention": Picture("Attention", _attention),
    "lens": Picture("Logit lens", _running(viz.logit_lens)),
    "flow": Picture("Flow", _running(viz.flow)),
}
