"""The pictures that the explorer offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from graftwork import viz
from graftwork.explore.edits import Recipe
from graftwork.explore.models import Model
from graftwork.viz import View


@frozen(eq=False)
class Shown:
    """What a picture is of."""

    model: Model
    prompt: str
    recipe: Recipe


@frozen
class Picture:
    """A kind of picture: what it is called, and how it is drawn."""

    title: str
    draw: Callable[[Shown], View]


def _graph(shown: Shown) -> View:
    """The model; with edits, what they changed."""
    graph, passes = shown.model.graph, shown.recipe.passes
    return viz.graph(graph.apply(*passes), diff=graph) if passes else viz.graph(graph)


PICTURES: Mapping[str, Picture] = {
    "graph": Picture("Graph", _graph),
}
