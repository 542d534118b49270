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
from graftwork.ir.errors import AxisError, InputError, RewriteError, StorageError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Value
from graftwork.ir.rename import rename_axes
from graftwork.ir.select import Found
from graftwork.ir.selector import Selector
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.types import AxisTable, Typing
from graftwork.ir.vocabulary import roles_of

Function = Callable[..., Term]

TRACE = "trace"
"""Metadata of a pass's field: how a recipe traces a function there, if not as one of a site."""


def trace(
    function: Function, dtype: DType, axes: Iterable[str], table: AxisTable, count: int = 1
) -> Graph:
    """The graph that a function builds on activations, one or `count`, with these axes.

    Raises:
        RewriteError: if the function gives anything but one term.
    """
    builder = Builder(Typing(table))
    names = ("x", "y", *(f"x{i}" for i in range(2, count)))[:count]
    axes = tuple(axes)
    terms = [builder.input(dtype, axes, name) for name in names]
    with builder:
        result = function(*terms)
    if not isinstance(result, Term):
        raise RewriteError(f"the function gave {type(result).__name__}, not a term")
    used = {*axes, *(a for n in builder.nodes for v in n.outputs for a in v.axes)}
    return Graph(
        tuple(Port(name, term.value, axes) for name, term in zip(names, terms, strict=True)),
        (),
        tuple(builder.nodes),
        (Port("result", result.value, result.axes),),
        {axis: size for axis, size in builder.typing.table.items() if axis in used},
    )


def trace_at(function: Function, found: Found, *xs: Term) -> Graph:
    """Trace a function on the activation at a site, with roles as axis names.

    It may take more activations, which have the axes of the first.
    """
    x = xs[0]
    words = {axis: role for role, axis in found.roles.items()}
    table = {words.get(a, a): size for a, size in x.builder.typing.table.items()}
    return trace(function, x.dtype, [words.get(a, a) for a in x.axes], table, len(xs))


def trace_anywhere(function: Function, site: str | Selector, count: int = 1) -> Graph:
    """Trace a function for a site of any model, from the roles that the site's name promises.

    Raises:
        StorageError: if the function names axes that the site does not promise.
    """
    path = site.site or site.path or "" if isinstance(site, Selector) else site
    roles = roles_of(path)
    try:
        return trace(function, DType.f64, roles, {role: symbol(role) for role in roles}, count)
    except AxisError as error:
        raise StorageError(
            f"the function at {site!s} cannot be saved: {error}. A saved function may use the "
            f"axes that its site promises ({', '.join(roles) or 'none here'}); trace it yourself "
            "with graftwork.passes.trace and give the graph"
        ) from error


def inline(graph: Graph, found: Found, *xs: Term) -> Term:
    """Build a graph on activations, in the dtype of the first.

    The graph takes as many inputs as there are activations, whose axes are called by the roles of
    the site, and gives one output; its parameters become parameters of the model.

    Raises:
        SelectionError: if the site lacks an axis that the graph's inputs have.
        InputError: if the graph takes or gives another number of values, or sizes differ.
    """
    if len(graph.inputs) != len(xs) or len(graph.outputs) != 1:
        raise InputError(
            f"{found.name}: a graph of {len(xs)} inputs and one output is needed here, not of "
            f"{[port.name for port in graph.inputs]} and {[port.name for port in graph.outputs]}"
        )
    x, dtype, typing = xs[0], graph.inputs[0].value.type.dtype, xs[0].builder.typing
    names = {a: found.axis(a) for port in graph.inputs for a in port.value.axes}
    sizes: dict[str, Size] = {}
    for axis, place in names.items():
        size, wanted = graph.axes[axis], typing.size(place)
        if not isinstance(size, int):
            sizes[str(size)] = wanted
        elif size != wanted:
            raise InputError(
                f"{found.name}: the graph is for {axis!r} of size {size}, but here it is {wanted}"
            )
    shared = _shared(graph, x, names)
    placed = localized(graph, typing, names, sizes)
    env = {port.value: y for port, y in zip(placed.inputs, xs, strict=True)}
    for parameter in placed.parameters:
        value = shared.get(parameter.name) or _parameter(graph, found, parameter, x)
        term = Term(value, x.builder)
        env[parameter.value] = term.cast(x.dtype) if term.dtype is dtype else term
    return _by_position(build(placed, env, sizes, dtype, x), placed)


def localized(
    graph: Graph, typing: Typing, names: dict[str, str], sizes: Mapping[str, Size]
) -> Graph:
    """A traced graph in terms of the axes of another: `names`, which grows, and fresh ones."""
    for axis, size in graph.axes.items():
        if axis not in names:
            names[axis] = typing.fresh(axis)
            typing.table[names[axis]] = substitute(size, sizes)
    return rename_axes(graph, names)


def build(
    placed: Graph, env: dict[Value, Term], sizes: Mapping[str, Size], traced: DType, like: Term
) -> Term:
    """The result of a graph on terms, where what was traced in a dtype is in that of `like`."""
    for node in placed.nodes:
        attrs = _adapted(node, sizes, traced, like.dtype)
        results = like.builder.emit(node.op, [env[v] for v in node.inputs], attrs, node.regions)
        env |= dict(zip(node.outputs, results, strict=True))
    return env[placed.outputs[0].value]


def _shared(graph: Graph, x: Term, names: dict[str, str]) -> dict[str, Value]:
    """The parameters that this edit has built into the model at another place, if they fit here.

    Their other axes are called as they are there.
    """
    rewriter = x.builder.editing
    if rewriter is None or not graph.parameters:
        return {}
    made = {id(array): name for name, array in rewriter.arrays.items()}
    values = {p.name: p.value for p in rewriter.parameters}
    shared = {
        p.name: values[made[id(graph.store[p.name])]]
        for p in graph.parameters
        if id(graph.store[p.name]) in made
    }
    pairs = [
        pair
        for p in graph.parameters
        if p.name in shared
        for pair in zip(p.value.axes, shared[p.name].axes, strict=True)
    ]
    if len(shared) < len(graph.parameters) or any(names.get(a, b) != b for a, b in pairs):
        return {}
    names |= dict(pairs)
    return shared


def _parameter(graph: Graph, found: Found, parameter: Parameter, x: Term) -> Value:
    """A new parameter for one of a graph that is built into another."""
    rewriter = x.builder.editing
    if rewriter is None:
        raise RewriteError(f"{found.name}: a graph with parameters is for edits of a graph")
    prefix, count = rewriter.by.lower(), 1
    taken = {p.name for p in rewriter.parameters}
    name = f"{prefix}.{parameter.name}"
    while name in taken:
        count += 1
        name = f"{prefix}_{count}.{parameter.name}"
    return rewriter.add_parameter(
        name, graph.store[parameter.name], parameter.value.type, trainable=parameter.trainable
    )


def _by_position(result: Term, graph: Graph) -> Term:
    """A result whose axes are new is called as the input is, dimension by dimension.

    So a square product, whose two sides must have two names, gives back the axes that it took.
    """
    before, after = graph.inputs[0].layout, graph.outputs[0].layout
    if set(result.axes) <= set(before) or len(before) != len(after):
        return result
    pairs = zip(after, before, strict=True)
    names = {a: b for a, b in pairs if a is not None and b is not None and a != b}
    if set(names) & set(before) or any(result.size(a) != result.size(b) for a, b in names.items()):
        return result
    return result.rename(**names)


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


def as_graph(function: Function | Graph, found: Found, *xs: Term) -> Graph:
    """A function traced at a site; a graph as it is."""
    return function if isinstance(function, Graph) else trace_at(function, found, *xs)
