"""The graph: an immutable, ordered tuple of nodes over named-axis values.

A node names the values it reads and the values it defines. A value is an identity with a type and
knows neither its producer nor its users: `Index` computes those once a graph, lazily. A pass
returns a new graph that shares what it did not touch, so the old graph stays valid for ever.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from graftwork.ir.attributes import NO_ATTRS, Attrs
from graftwork.ir.errors import InputError, SelectionError, nearest
from graftwork.ir.op import Op
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sites import Sites
from graftwork.ir.sizes import Size, symbols
from graftwork.ir.store import EMPTY_STORE, Store
from graftwork.ir.types import AxisTable, Type, Typing

if TYPE_CHECKING:
    from pathlib import Path

    import networkx as nx

    from graftwork.ir.nesting import Inside
    from graftwork.ir.select import Selection


@frozen(eq=False, repr=False)
class Value:
    """An array that flows through the graph. Compared by identity; `name` is only a hint."""

    type: Type
    name: str = ""

    @property
    def axes(self) -> tuple[str, ...]:
        return self.type.axes

    def __repr__(self) -> str:
        return f"%{self.name or '_'}: {self.type!r}"


@frozen(eq=False)
class Node:
    """One application of an op.

    Attributes:
        inputs: the values it reads; `x + x` reads one value twice.
        outputs: the values it defines.
        regions: the sub-graphs of a control-flow op, isolated from above.
        origin: where it came from.
    """

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attrs: Attrs = NO_ATTRS
    regions: tuple[Region, ...] = ()
    origin: Origin = UNKNOWN

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value


@frozen(eq=False)
class Region:
    """A closed body: nothing is read that is not an input or defined before.

    It shares the axis table and the size symbols of the graph that owns it.
    """

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]

    @cached_property
    def index(self) -> Index:
        """Producers and users of its values, computed once."""
        return Index(self.nodes, self.outputs)


@frozen
class Port:
    """An input or output of a graph: its name, its value, its positional form.

    `layout` lists the axes by position; None is a unit dimension, which carries no axis inside.
    """

    name: str
    value: Value
    layout: tuple[str | None, ...]


@frozen
class Parameter:
    """A trained array: a graph input of its own kind, whose data are in the graph's store.

    Attributes:
        name: its first name in the source model, and its key in the store.
        aliases: the other names of a tied weight.
        trainable: False for buffers and lifted constants.
    """

    name: str
    value: Value
    layout: tuple[str | None, ...]
    aliases: tuple[str, ...] = ()
    trainable: bool = True


@frozen
class Guard:
    """A condition on sizes that the source program assumed: `low <= size <= high`, or a multiple.

    Checked whenever a compiled graph meets new sizes.
    """

    size: Size
    low: int | None
    high: int | None
    reason: str = ""


@frozen(eq=False, repr=False)
class Graph:
    """A model as data.

    Attributes:
        inputs: what a run takes, by name.
        parameters: the trained arrays.
        nodes: in an order in which every value is defined before it is read.
        outputs: what a run gives, by name.
        axes: axis name -> size, an integer or an expression over symbols such as `seq`.
        store: parameter name -> array, shared with the source framework without a copy.
        sites: the table of canonical sites.
        guards: conditions on sizes.
    """

    inputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Port, ...]
    axes: AxisTable
    store: Store = EMPTY_STORE
    sites: Sites = field(factory=Sites)
    guards: tuple[Guard, ...] = ()

    @property
    def index(self) -> Index:
        """Producers and users of the values at its top level, computed once."""
        return self.region.index

    @cached_property
    def insides(self) -> Mapping[Value, Inside]:
        """Where the values inside regions are, computed once."""
        from graftwork.ir.nesting import insides

        return dict(insides(self.nodes))

    @cached_property
    def typing(self) -> Typing:
        """The axis table as the context in which composites are opened, once each."""
        return Typing(self.axes)

    @cached_property
    def region(self) -> Region:
        """The graph as a region whose inputs are its inputs and then its parameters."""
        entries: tuple[Port | Parameter, ...] = (*self.inputs, *self.parameters)
        return Region(
            tuple(entry.value for entry in entries),
            self.nodes,
            tuple(port.value for port in self.outputs),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """The free size symbols, sorted."""
        return tuple(sorted({name for size in self.axes.values() for name in symbols(size)}))

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameter name -> array, as the source framework holds it."""
        return self.store

    @property
    def trainable(self) -> tuple[str, ...]:
        """The names of the parameters that learn: those of floats that are called trainable."""
        return tuple(p.name for p in self.parameters if p.trainable and p.value.type.dtype.is_float)

    def evolve(self, **changes: Any) -> Graph:
        """A copy with some fields replaced."""
        return evolve(self, **changes)

    def __str__(self) -> str:
        """The text form, which `parse` reads back."""
        from graftwork.ir.text import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, {len(self.parameters)} parameters>"

    def walk(self) -> Iterator[Node]:
        """All nodes, those inside regions after their owner."""
        return walk(self.nodes)

    def select(self, path: str | None = None, **words: Any) -> Selection:
        """The places that a glob over sites or module paths, an op or axes mean; may be empty.

        See `graftwork.ir.selector.Selector` for the words.
        """
        from graftwork.ir.select import select

        return select(self, path, **words)

    def text(self, module: str | None = None) -> str:
        """The text form; with a glob over module paths, only the nodes of those modules.

        Raises:
            SelectionError: if the glob means no module.
        """
        from graftwork.ir.calls import calls, calls_of, is_within, modules
        from graftwork.ir.text import print_graph, print_nodes

        if module is None:
            return print_graph(self)
        meant = calls_of(module, calls(self))
        if not meant:
            raise SelectionError(f"there is no module {module!r}{nearest(module, modules(self))}")
        inside = [
            node
            for node in self.nodes
            if any(is_within(node.origin.module, call) for call in meant)
        ]
        return print_nodes(inside, self)

    def to_networkx(self) -> nx.MultiDiGraph[Any]:
        """The graph for networkx; see `graftwork.ir.networkx`."""
        from graftwork.ir.networkx import to_networkx

        return to_networkx(self)

    if TYPE_CHECKING:  # attached by the public face, which knows the room of pictures

        def to_html(
            self,
            path: str | Path | None = None,
            *,
            diff: Graph | None = None,
            share_safe: bool = False,
        ) -> str:
            """The graph as one self-contained HTML page; see `graftwork.display`."""
            ...

    def apply(self, *passes: Callable[[Graph], Graph]) -> Graph:
        """The graph rewritten by passes in order, verified after each.

        Raises:
            GraftworkError: of the pass that failed; its message names it and those before it.
        """
        from graftwork.ir.pipeline import apply

        return apply(self, passes)[0]


def given_graph(given: Any) -> Graph:
    """What was given, where a caller may have forgotten to convert a model.

    Raises:
        InputError: if it is no graph.
    """
    if not isinstance(given, Graph):
        raise InputError(
            f"this takes a graph, not {type(given).__name__}; gw.from_torch and gw.from_jax make "
            "one of a model"
        )
    return given


def walk(nodes: tuple[Node, ...]) -> Iterator[Node]:
    """All nodes in order, entering regions, without recursion."""
    stack = [iter(nodes)]
    while stack:
        for node in stack[-1]:
            yield node
            if node.regions:
                stack.extend(iter(region.nodes) for region in reversed(node.regions))
                break
        else:
            stack.pop()


@frozen(eq=False)
class Index:
    """Who defines a value and who reads it, at the top level of one graph or region.

    Each part is computed once, when it is first asked for: much asks for producers alone.
    """

    nodes: tuple[Node, ...]
    results: tuple[Value, ...]

    @cached_property
    def producer(self) -> Mapping[Value, Node]:
        """Value -> the node that defines it."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def users(self) -> Mapping[Value, tuple[Node, ...]]:
        """Value -> the nodes that read it, each once, in order."""
        users: defaultdict[Value, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                users[value].append(node)
        return {value: tuple(found) for value, found in users.items()}

    @cached_property
    def reads(self) -> Counter[Value]:
        """Value -> how often nodes read it, and once more if it leaves the level."""
        return Counter(chain(self.results, *[node.inputs for node in self.nodes]))

    @cached_property
    def position(self) -> Mapping[Node, int]:
        """Node -> its place in the order."""
        return {node: position for position, node in enumerate(self.nodes)}

    @cached_property
    def outputs(self) -> frozenset[Value]:
        """The values that leave the level."""
        return frozenset(self.results)

    def users_of(self, value: Value) -> tuple[Node, ...]:
        return self.users.get(value, ())
