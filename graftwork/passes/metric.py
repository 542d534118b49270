"""Metrics: functions from a model's named outputs to a number an example, as graphs.

`lambda out: out["logits"][{"seq": -1, "vocab": 3}]` sees outputs, inputs and canonical sites by
name, and their axes by role; so it means the same in every model with these names, and a recipe
saves what it built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from attrs import field, frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import (
    AxisError,
    DTypeError,
    RewriteError,
    SelectionError,
    StorageError,
    nearest,
)
from graftwork.ir.graph import Graph, Port, Value
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.types import Type, Typing
from graftwork.ir.vocabulary import roles_of
from graftwork.passes.trace import build, localized

Metric: TypeAlias = Callable[[Mapping[str, Term]], Term] | Graph | str
"""A function of named values, one traced before, or the name of one value."""

INPUTS = {"input_ids": DType.i64, "attention_mask": DType.i64}
"""Inputs that a saved metric may read: those that every language model has."""


@frozen(eq=False)
class _Values(Mapping[str, Term]):
    """Named values that are entered into a builder when they are asked for."""

    builder: Builder
    type_of: Callable[[str], Type]
    asked: dict[str, Term] = field(factory=dict)

    def __getitem__(self, name: str) -> Term:
        if name not in self.asked:
            found = self.type_of(name)
            self.asked[name] = self.builder.input(found.dtype, found.axes, name)
        return self.asked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.asked)

    def __len__(self) -> int:
        return len(self.asked)


def _traced(
    function: Callable[[Mapping[str, Term]], Term], typing: Typing, type_of: Callable[[str], Type]
) -> Graph:
    builder = Builder(typing)
    values = _Values(builder, type_of)
    with builder:
        result = function(values)
    if not isinstance(result, Term):
        raise RewriteError(f"the metric gave {type(result).__name__}, not a term")
    terms = values.asked
    used = {a for n in builder.nodes for v in (*n.inputs, *n.outputs) for a in v.axes}
    used.update(axis for term in terms.values() for axis in term.axes)
    return Graph(
        tuple(Port(name, term.value, term.axes) for name, term in terms.items()),
        (),
        tuple(builder.nodes),
        (Port("metric", result.value, result.axes),),
        {axis: size for axis, size in typing.table.items() if axis in used},
    )


def trace_metric(function: Callable[[Mapping[str, Term]], Term]) -> Graph:
    """Trace a metric for any model, from the roles that the names of sites promise.

    Raises:
        StorageError: if the metric reads what is neither a canonical site nor a usual input, or
            axes that it does not promise.
    """
    typing = Typing({})

    def type_of(name: str) -> Type:
        axes = ("batch", "seq") if name in INPUTS else roles_of(name)
        if not axes:
            raise StorageError(f"the metric cannot be saved: {name!r} is no canonical site")
        typing.table.update((axis, symbol(axis)) for axis in axes)
        return Type(INPUTS.get(name, DType.f64), axes)

    try:
        return _traced(function, typing, type_of)
    except AxisError as error:
        raise StorageError(f"the metric cannot be saved: {error}") from error


def build_metric(
    builder: Builder, graph: Graph, metric: Metric, at: Mapping[Value, Term] | None = None
) -> Term:
    """What a metric is on a graph, as a term of `builder`.

    Args:
        at: value of the graph -> what stands for it where the metric is read.

    Raises:
        SelectionError: if the graph has no value of a name that the metric asks for.
        DTypeError: if the metric reads no floats.
    """

    def term(name: str) -> Term:
        value = _named(graph, name)[0]
        return (at or {}).get(value, Term(value, builder))

    if isinstance(metric, str):
        return term(metric)
    if not isinstance(metric, Graph):
        metric = _traced_on(graph, metric)
    names: dict[str, str] = {}
    for port in metric.inputs:
        roles = _named(graph, port.name)[1]
        for role in port.value.axes:
            axis = roles.get(role, role)
            if names.setdefault(role, axis) != axis:
                raise RewriteError(
                    f"the metric reads values at which {role!r} is {names[role]!r} here and "
                    f"{axis!r} there; trace it with their own names"
                )
    sizes: dict[str, Size] = {
        str(size): builder.typing.size(names[role])
        for role, size in metric.axes.items()
        if role in names and not isinstance(size, int)
    }
    placed = localized(metric, builder.typing, names, sizes)
    env = {port.value: term(port.name) for port in placed.inputs}
    floats = [x for x in env if x.type.dtype.is_float]
    if not floats:
        raise DTypeError("the metric reads no floats, so it has no gradient")
    return build(placed, env, sizes, floats[0].type.dtype, env[floats[0]])


def _traced_on(graph: Graph, function: Callable[[Mapping[str, Term]], Term]) -> Graph:
    """Trace a metric on the values of a graph, with roles as the names of axes."""
    typing = Typing({})

    def type_of(name: str) -> Type:
        value, roles = _named(graph, name)
        words = {axis: role for role, axis in roles.items()}
        axes = tuple(words.get(axis, axis) for axis in value.axes)
        typing.table.update(
            (word, graph.axes[axis]) for word, axis in zip(axes, value.axes, strict=True)
        )
        return Type(value.type.dtype, axes)

    return _traced(function, typing, type_of)


def _named(graph: Graph, name: str) -> tuple[Value, Mapping[str, str]]:
    """The output, site or input of that name, and the roles of its axes."""
    places = {path: site for path, site in graph.sites.items() if not site.place.inner}
    ports = {port.name: port.value for port in (*graph.inputs, *graph.outputs)}
    if name not in ports and name not in places:
        known = [*ports, *places]
        raise SelectionError(f"no output, site or input {name!r}{nearest(name, known)}")
    if name in places and ports.get(name, places[name].place.value) is places[name].place.value:
        return places[name].place.value, places[name].roles
    if name in places:  # an output made of what is at the site: its cast, its part
        roles = places[name].roles
        return ports[name], {r: a for r, a in roles.items() if a in ports[name].axes}
    same = [site.roles for site in places.values() if site.place.value is ports[name]]
    return ports[name], same[0] if same else {}
