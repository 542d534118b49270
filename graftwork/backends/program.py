"""A compiled graph: call it with arrays by name, get named arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import frozen

from graftwork.backends.bounds import Lookup, lookups, require
from graftwork.ir.array import NamedArray
from graftwork.ir.binding import Binding, bind
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph


@frozen(eq=False, repr=False)
class Program:
    """A graph that a backend compiled.

    Attributes:
        graph: what was compiled.
        backend: its name.
        execute: takes a checked binding, gives arrays in positional form by output name.
        native: the backend's own object: a jitted function, a module, a session.
    """

    graph: Graph
    backend: str
    execute: Callable[[Binding], Mapping[str, Any]]
    native: Any = None

    def __call__(self, /, *unnamed: Any, **inputs: Any) -> dict[str, NamedArray]:
        """Run on arrays of any framework, each given by the name of its input.

        Raises:
            InputError: if the inputs are not those that the graph takes, have no names, or are
                positions where nothing is.
        """
        if unnamed:
            names = ", ".join(f"{port.name}=..." for port in self.graph.inputs)
            raise InputError(f"inputs are given by their names: program({names})")
        binding = bind(self.graph, inputs)
        require(self._lookups, binding)
        results = self.execute(binding)
        layouts = {port.name: port.layout for port in self.graph.outputs}
        return {name: NamedArray(results[name], layout) for name, layout in layouts.items()}

    @cached_property
    def _lookups(self) -> Sequence[Lookup]:
        return lookups(self.graph)

    def __repr__(self) -> str:
        return f"Program({self.backend}, inputs={[port.name for port in self.graph.inputs]})"
