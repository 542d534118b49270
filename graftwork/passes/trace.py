"""Small functions of one activation as graphs, in terms of the roles of a site's axes.

So a function written for `heads` and `seq` works wherever axes play these roles, and a recipe
saves what the function built, never the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graftwork.ir.attributes import SIZE, SIZES, Literal
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, RewriteError, StorageError
from graftwork.ir.graph import Graph, Node, Port, Value
from graftwork.ir.rename import rename_axes
from graftwork.ir.select import Found, Selector
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.types import AxisTable, Typing
from graftwork.ir.vocabulary import roles_of

Function = Callable[[Term], Term]


def trace(function: Function, dtype: DType, axes: Iterable[str], table: AxisTable) -> Graph:
    """The graph that a function builds on an activation with these axes.

    Raises:
        RewriteError: if the function gives anything but one term.
    """
    builder = Builder(Typing(table))
    term = builder.input(dtype, axes, "x")
    with builder:
        result = function(term)
    if not isinstance(result, Term):
        raise RewriteError(f"the function gave {type(result).__name__}, not a term")
    used = {*term.axes, *(a for n in builder.nodes for v in n.outputs for a in v.axes)}
    return Graph(
        (Port("x", term.value, term.axes),),
        (),
        tuple(builder.nodes),
        (Port("y", result.value, result.axes),),
        {axis: size for axis, size in builder.typing.table.items() if axis in used},
    )


def trace_at(function: Function, found: Found, x: Term) -> Graph:
    """Trace a function on the activation at a site, with roles as axis names."""
    words = {axis: role for role, axis in found.roles.items()}
    table = {words.get(a, a): size for a, size in x.builder.typing.table.items()}
    return trace(function, x.dtype, [words.get(a, a) for a in x.axes], table)


def trace_anywhere(function: Function, site: str | Selector) -> Graph:
    """Trace a function for a site of any model, from the roles that the site's name promises.

    Raises:
        StorageError: if the function names axes that the site does not promise.
    """
    path = site.site or site.path or "" if isinstance(site, Selector) else site
    roles = roles_of(path)
    try:
        return trace(function, DType.f64, roles, {role: symbol(role) for role in roles})
    except AxisError as error:
        raise StorageError(
            f"the function at {site!s} cannot be saved: {error}. A saved function may use the "
            f"axes that its site promises ({', '.join(roles) or 'none here'}); trace it yourself "
            "with graftwork.passes.trace and give the graph"
        ) from error


def inline(graph: Graph, found: Found, x: Term) -> Term:
    """Build a traced graph on an activation, in the dtype of the activation.

    Raises:
        SelectionError: if the site lacks an axis that the graph was traced with.
    """
    entry = graph.inputs[0].value
    typing = x.builder.typing
    names = {axis: found.axis(axis) for axis in entry.axes}
    sizes: dict[str, Size] = {
        str(size): typing.size(names[axis])
        for axis, size in graph.axes.items()
        if axis in names and not isinstance(size, int)
    }
    for axis, size in graph.axes.items():
        if axis not in names:
            names[axis] = typing.fresh(axis)
            typing.table[names[axis]] = substitute(size, sizes)
    placed = rename_axes(graph, names)
    env: dict[Value, Term] = {placed.inputs[0].value: x}
    for node in placed.nodes:
        attrs = _adapted(node, sizes, entry.type.dtype, x.dtype)
        results = x.builder.emit(node.op, [env[v] for v in node.inputs], attrs, node.regions)
        env |= dict(zip(node.outputs, results, strict=True))
    return env[placed.outputs[0].value]


def _adapted(node: Node, sizes: Mapping[str, Size], traced: DType, dtype: DType) -> dict[str, Any]:
    """Attributes with symbols replaced by the model's sizes, and the traced dtype by its dtype."""
    attrs = node.attrs.as_dict()
    for spec in node.op.attrs:
        value = attrs[spec.name]
        if spec.kind is SIZE:
            attrs[spec.name] = substitute(value, sizes)
        elif spec.kind is SIZES:
            attrs[spec.name] = tuple(substitute(size, sizes) for size in value)
        elif value is traced:
            attrs[spec.name] = dtype
        elif isinstance(value, Literal) and value.dtype is traced:
            attrs[spec.name] = Literal.of(value.array, dtype)
    return attrs


def as_graph(function: Function | Graph, found: Found, x: Term) -> Graph:
    """A function traced at a site; a graph as it is."""
    return function if isinstance(function, Graph) else trace_at(function, found, x)
