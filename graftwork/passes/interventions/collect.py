"""Reading activations: new outputs of the graph, named by their sites."""

from __future__ import annotations

from attrs import frozen

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.names import unused
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.selector import Selector
from graftwork.passes.base import Pass


@frozen(init=False)
class Collect(Pass):
    """Add the activations of sites to the outputs, under the sites' names.

    The axes of the new outputs are named by their roles at the site. What is inside of loops has
    their axes in front, unless the site is that of one step.
    """

    promise = "bitwise"

    sites: tuple[str | Selector, ...]

    def __init__(self, *sites: str | Selector) -> None:
        self.__attrs_init__(tuple(sites))

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Collect")
        taken = {port.name for port in graph.outputs}
        for selector in self.sites:
            for found in require(graph, selector):
                name = _free(found, taken)
                taken.add(name)
                value = rewriter.resolve(found.place)
                rewriter.add_output(name, rewriter.outside(value, found.place.steps))
        return rewriter.finish()


def _free(found: Found, taken: set[str]) -> str:
    """The place's own name; places of one module are told apart by numbers.

    Raises:
        SelectionError: if the same site is collected already.
    """
    if found.roles and found.name in taken:
        raise SelectionError(f"{found.name} is an output already")
    return unused(found.name, taken, ":")
