"""What a pass is: a frozen record of its arguments that maps a graph to a graph.

So it prints, compares and serialises, and a list of passes is a recipe. Any callable from graph
to graph may stand in a pipeline; this base class is for those that want the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from graftwork.ir.graph import Graph


class Pass(ABC):
    """A rewrite whose fields are its arguments. Subclasses are `attrs.frozen`.

    Attributes:
        promise: what the outputs of the new graph are to those of the old: `bitwise` the same,
            the same to a `tolerance`, or `changes`: another meaning, which an oracle states.
        idempotent: whether a second application changes nothing.
    """

    promise: ClassVar[str] = "changes"
    idempotent: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, graph: Graph) -> Graph:
        """The rewritten graph; the old one stays as it is."""

    @classmethod
    def name(cls) -> str:
        return cls.__name__
