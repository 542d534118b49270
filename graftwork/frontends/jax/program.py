"""A function or module of JAX as a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from attrs import evolve, frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import Var
from graftwork.frontends.jax.models import (
    Leaf,
    Model,
    Tree,
    closed_over,
    data,
    identity,
    path_name,
    read_model,
)
from graftwork.frontends.jax.repeats import LeftOut
from graftwork.frontends.jax.templates import Simplify, Templates
from graftwork.frontends.jax.tracing import Traced, is_dynamic, trace
from graftwork.frontends.jax.translate import Translator
from graftwork.ir.axis_spec import AxisWord, fixed_sizes, match_axes
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.elided import Elided, Layer
from graftwork.ir.errors import ConversionError
from graftwork.ir.graph import Graph, Parameter, Port, Value
from graftwork.ir.levels import used_axes
from graftwork.ir.names import unused
from graftwork.ir.positional import Dims, Positional, carrying_axes, fresh
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Type, Typing

_SMALL = 64  # elements of a constant that is part of the program


@frozen(eq=False)
class Program:
    """A model that was traced, and what its graph is to be.

    Attributes:
        words: the names of the dimensions of arguments.
        simplify: what is done to the graph of a stretch that repeats before it is copied.
    """

    model: Model
    traced: Traced
    arguments: Sequence[Leaf]
    words: Mapping[str, Sequence[AxisWord]]
    simplify: Simplify

    def graph(self) -> Graph:
        """Its graph in raw form."""
        return self._graph(None)[0]

    def short(self) -> tuple[Graph, Sequence[Elided]]:
        """The same without layers that are like the one before; and what puts them back."""
        return self._graph([])

    def _graph(self, left_out: list[LeftOut] | None) -> tuple[Graph, Sequence[Elided]]:
        model, traced = self.model, self.traced
        builder = Builder(Typing({}))
        key = fresh(builder.typing, 2)
        jaxpr = traced.jaxpr.jaxpr
        count = len(model.parameters)
        held, given = jaxpr.invars[:count], jaxpr.invars[count:]
        entries = _Entries(builder, key)
        inputs = [
            entries.input(leaf, variable, self.words.get(leaf.name))
            for leaf, variable in zip(self.arguments, given, strict=True)
        ]
        for leaf, variable in zip(model.parameters, held, strict=True):
            entries.parameter(leaf, variable, model.trained(leaf.name))
        names = closed_over(model.source) if traced.jaxpr.consts else {}
        for variable, value in zip(jaxpr.constvars, traced.jaxpr.consts, strict=True):
            name = names.get(identity(value))
            if name is not None or value.size > _SMALL:
                leaf = Leaf(entries.name(value, name), value)
                entries.parameter(leaf, variable, name is not None)
        owners = {variable: name.rpartition(".")[0] for variable, name in entries.names.items()}
        translator = Translator(
            builder,
            traced.size,
            key,
            Templates(self.simplify),
            owners=owners,
            free=entries.unread(),
            left_out=left_out,
        )
        translator.bind(tuple(entries.arrays), tuple(entries.arrays.values()))
        for variable, value in zip(jaxpr.constvars, traced.jaxpr.consts, strict=True):
            if variable not in entries.arrays:
                translator.bind([variable], [translator.array(value)])
        with builder:
            results = translator.run(jaxpr)
            outputs = _outputs(traced.results, results, key)
        graph = _closed(builder, inputs, entries, outputs, traced)
        return graph, [entries.elided(each) for each in left_out or ()]


def read(
    model: Any,
    *args: Any,
    params: Any = None,
    axes: Mapping[str | int, str] | None = None,
    training: bool = False,
    simplify: Simplify = lambda graph: graph,
) -> Program:
    """Trace a function or module of JAX.

    Args:
        model: a function of arguments, or of a tree of parameters and then arguments; a Flax
            module (linen with its variables as `params`, or nnx), or a module that is a pytree and
            can be called (Equinox, Penzai).
        args: samples of the arguments: arrays, pytrees of them, or `jax.ShapeDtypeStruct`. What is
            not an array is part of the program.
        params: the tree of parameters, where the function takes one first.
        axes: names of dimensions: argument name, position after params or dotted path -> words.
            A named axis is dynamic, unless its size is fixed: `"batch=1 seq"`.
        training: keep what modules do only in training, such as dropout.
        simplify: what is done to the graph of a stretch that repeats, such as a layer, before it
            is copied for every repetition; keeps its inputs and outputs.

    Raises:
        ConversionError: if the model cannot be traced.
        UnsupportedOpError: if it has a primitive that graphs do not.
        AxisError, InputError: if `axes` does not fit the arguments.
    """
    known = read_model(model, params, len(args), training)
    trees = [Tree.of(arg, name) for arg, name in zip(args, known.arguments, strict=True)]
    leaves = [leaf for tree in trees for leaf in tree.leaves]
    shapes = {leaf.name: leaf.shape for leaf in leaves}
    words = _settled(match_axes(axes or {}, shapes, known.arguments))

    def function(held: Sequence[Any], given: Sequence[Any]) -> Any:
        rest = iter(given)
        restored = [tree.restore([next(rest) for _ in tree.leaves]) for tree in trees]
        return known.call(held, *restored)

    traced = trace(function, known.parameters, leaves, words)
    return Program(known, traced, leaves, words, simplify)


def _settled(words: Mapping[str, Sequence[AxisWord]]) -> dict[str, list[AxisWord]]:
    """An axis that is fixed anywhere is fixed everywhere."""
    fixed = fixed_sizes(words.values())
    return {
        path: [AxisWord(w.name, fixed.get(w.name or "", w.size)) for w in each]
        for path, each in words.items()
    }


class _Entries:
    """The inputs and parameters of a graph being made, and the variables that they are."""

    def __init__(self, builder: Builder, key: str) -> None:
        self.builder = builder
        self.key = key
        self.arrays: dict[Var, Positional] = {}
        self.names: dict[Var, str] = {}
        self.parameters: dict[object, Parameter] = {}
        self.store: dict[str, Any] = {}
        self.leaves: dict[Var, Leaf] = {}

    def name(self, value: Any, name: str | None) -> str:
        """What an array from outside is called: one without a name, as the parameter that it is."""
        known = self.parameters.get(identity(value))
        if name is None and known is not None:
            return known.name
        return unused(name or "constant", set(self.names.values()))

    def input(self, leaf: Leaf, variable: Var, words: Sequence[AxisWord] | None) -> Port:
        """An argument of the model."""
        axes = [AxisWord() for _ in leaf.shape] if words is None else words
        dims = tuple(self._axis(word, size) for word, size in zip(axes, leaf.shape, strict=True))
        array, layout = self._entry(leaf, variable, dims)
        return Port(leaf.name, array.term.value, layout)

    def _axis(self, word: AxisWord, extent: int) -> str | None:
        if word.name is None:
            return None if extent == 1 else fresh(self.builder.typing, extent)
        size: Size = symbol(word.name) if is_dynamic(word) else extent
        self.builder.typing.make(word.name, size)
        return word.name

    def parameter(self, leaf: Leaf, variable: Var, trained: bool) -> None:
        """An array that the model holds; one that it holds twice is one parameter."""
        if isinstance(leaf.value, jax.ShapeDtypeStruct):
            raise ConversionError(f"parameter {leaf.name!r} is only a shape; give its array")
        known = self.parameters.get(identity(leaf.value))
        if known is not None:
            first = next(v for v, name in self.names.items() if name == known.name)
            self.arrays[variable] = self.arrays[first]
            self.leaves.pop(first, None)
            if leaf.name != known.name:
                more = evolve(known, aliases=(*known.aliases, leaf.name))
                self.parameters[identity(leaf.value)] = more
            return
        dims = tuple(None if n == 1 else fresh(self.builder.typing, n) for n in leaf.shape)
        array, layout = self._entry(leaf, variable, dims)
        self.names[variable] = leaf.name
        self.store[leaf.name] = data(leaf.value)
        value = array.term.value
        trained = trained and value.type.dtype.is_float
        self.parameters[identity(leaf.value)] = Parameter(
            leaf.name, value, layout, trainable=trained
        )
        self.leaves[variable] = leaf

    def unread(self) -> dict[Var, Callable[[Dims], Positional]]:
        """The parameters that one variable has -> gives it other axes, while nothing reads it."""
        return {v: partial(self._again, leaf, v) for v, leaf in self.leaves.items()}

    def _again(self, leaf: Leaf, variable: Var, dims: Dims) -> Positional:
        """A parameter that nothing has read yet, with other axes."""
        array, layout = self._entry(leaf, variable, dims)
        old = self.parameters[identity(leaf.value)]
        new = evolve(old, value=array.term.value, layout=layout)
        self.parameters[identity(leaf.value)] = new
        return array

    def elided(self, found: LeftOut) -> Elided:
        """Layers that are left out, in terms of parameters."""
        first, second, *middle, last = ([self.names[v] for v in row] for row in found.parameters)
        known = {parameter.name: parameter for parameter in self.parameters.values()}
        layers = [
            Layer([known[name] for name in names], moved)
            for names, moved in zip(middle, found.origins, strict=True)
        ]
        arrays = {name: self.store[name] for names in middle for name in names}
        return Elided(first, second, last, layers, arrays, tuple(known))

    def _entry(
        self, leaf: Leaf, variable: Var, dims: tuple[str | None, ...]
    ) -> tuple[Positional, tuple[str | None, ...]]:
        words = _jax.is_key(_jax.aval(variable).dtype)
        layout = (*dims, self.key) if words else dims
        dtype = DType.u32 if words else dtype_of(_jax.aval(variable).dtype)
        axes = tuple(axis for axis in layout if axis is not None)
        array = Positional(Term(Value(Type(dtype, axes), leaf.name), self.builder), dims)
        self.arrays[variable] = array
        return array, layout


def _outputs(tree: Any, results: Sequence[Positional], key: str) -> list[Port]:
    """The results by name: the path in what the model returns."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    ports = []
    for path, result in zip(paths, results, strict=True):
        full = carrying_axes(result)
        layout = (*full.dims, key) if key in full.term.type.axis_set else full.dims
        ports.append(Port(_output_name(path_name(path, "")), full.term.value, layout))
    return ports


def _output_name(path: str) -> str:
    """A path in a result in words: `logits`, `output` for its root, `output_0` for a part."""
    first, *rest = path.split(".")
    if first and not first.isdigit():
        return path
    return ".".join((f"output_{first}".rstrip("_"), *rest))


def _closed(
    builder: Builder,
    inputs: Sequence[Port],
    entries: _Entries,
    outputs: Sequence[Port],
    traced: Traced,
) -> Graph:
    """The graph, with the parameters and axes that it uses."""
    nodes = tuple(builder.nodes)
    read = {value for node in nodes for value in node.inputs} | {port.value for port in outputs}
    parameters = tuple(p for p in entries.parameters.values() if p.value in read)
    graph = Graph(
        inputs=tuple(inputs),
        parameters=parameters,
        nodes=nodes,
        outputs=tuple(outputs),
        axes=builder.typing.table,
        store=Store(({p.name: entries.store[p.name] for p in parameters},)),
        guards=traced.guards,
    )
    return graph.evolve(axes=used_axes(graph))
