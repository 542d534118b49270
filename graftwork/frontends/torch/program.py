"""From a traced program to a graph: each operator by its rule, over fresh axes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import torch
from torch.utils import _pytree as pytree

from graftwork.frontends.torch.decompose import is_number
from graftwork.frontends.torch.dtypes import part_dtype
from graftwork.frontends.torch.export import Exported
from graftwork.frontends.torch.keys import Keys
from graftwork.frontends.torch.origins import call_paths, origin_of, stack_of
from graftwork.frontends.torch.parameters import Weight, as_stored, weights
from graftwork.frontends.torch.rolling import Rolled, join_rows, roll
from graftwork.frontends.torch.rules import Call, Rule, find_complex_rule, find_real_rule
from graftwork.frontends.torch.rules.views import nothing
from graftwork.frontends.torch.shapes import SizeReader, guard_between, is_unit, read_guards
from graftwork.frontends.torch.symbols import named_symbols, other_symbols
from graftwork.frontends.torch.ties import read_at_positions
from graftwork.frontends.torch.unrolled import Loop
from graftwork.frontends.torch.values import Extents
from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.axis_spec import AxisWord
from graftwork.ir.build import Builder, Term
from graftwork.ir.errors import ConversionError, DTypeError, InputError, UnsupportedOpError
from graftwork.ir.graph import Graph, Guard, Parameter, Port, Value
from graftwork.ir.levels import used_axes
from graftwork.ir.origin import Origin
from graftwork.ir.positional import Positional, carrying_axes, fresh
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size, symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Type

# Arguments that say where and how memory is laid out, which a graph does not know.
IGNORED = {"device", "implicit", "layout", "memory_format", "non_blocking", "pin_memory"}


class Translation:
    """One program being translated.

    Attributes:
        reader: reads the program's sizes.
        builder: what has been built.
        parts: the axis of the real and imaginary parts of complex numbers; it rides along unseen
            by position.
        keys: the random keys that dropout and other rules draw from.
        known: node of the program -> `Positional`, or a tuple of them.
        rolled: the loops that become scans.
        calls: the paths of the calls of modules.
    """

    def __init__(
        self, exported: Exported, symbols: Mapping[str, Size], loops: Sequence[Loop] = ()
    ) -> None:
        self.exported = exported
        self.reader = SizeReader(symbols)
        self.builder = Builder()
        self.parts = fresh(self.builder.typing, 2)
        self.keys = Keys(exported.key, self.builder)
        self.module = exported.program.graph_module
        self.known: dict[torch.fx.Node, Any] = {}
        self.rolled = Rolled(loops)
        self.calls = call_paths(_nodes(self.module), exported.prefix)
        self.nodes = {n.name: n for n in exported.program.graph.nodes if n.op == "placeholder"}

    def graph(self) -> Graph:
        """The whole program as a graph."""
        inputs = tuple(self._inputs())
        parameters, arrays = self._parameters()
        self._calls()
        outputs = tuple(self._outputs())
        return Graph(
            (*inputs, *self._random_inputs(inputs)),
            tuple(parameters),
            tuple(self.builder.nodes),
            outputs,
            dict(self.builder.typing.table),
            Store((arrays,)),
            guards=self._guards(),
        )

    # --- what comes from outside ---

    def _inputs(self) -> Iterator[Port]:
        shapes = self.exported.shapes()
        for path, placeholder in self.exported.inputs.items():
            if path not in shapes:
                continue
            node = self.nodes[placeholder]
            words = self.exported.words.get(path) or [AxisWord()] * len(shapes[path])
            layout: list[str | None] = []
            dropped: list[str] = []
            for word, extent in zip(words, self.extents(shapes[path]), strict=True):
                name = word.name
                if name is not None:
                    self.builder.typing.make(name, 1 if extent is None else extent)
                    dropped += [name] if extent is None else []
                elif extent is not None:
                    name = fresh(self.builder.typing, extent)
                layout.append(name)
            value = self._outside(path, node.meta["val"].dtype, layout)
            term = Term(value, self.builder)
            for axis in dropped:
                term = ops.index(term, axis=axis, at=0)
            self.known[node] = Positional(
                term, tuple(None if axis in dropped else axis for axis in layout)
            )
            yield Port(path, value, self._shown(value, layout))

    def _random_inputs(self, others: Sequence[Port]) -> tuple[Port, ...]:
        ports = self.keys.ports()
        if any(port.name == self.exported.key for port in others if ports):
            raise InputError(
                f"the model has an input {self.exported.key!r}, which is the name of the random "
                "key that it draws by; give the key another name: key="
            )
        return ports

    def _outside(self, name: str, dtype: torch.dtype, dims: Iterable[str | None]) -> Value:
        """A value that comes from outside; complex numbers come as pairs of real ones."""
        axes = tuple(axis for axis in dims if axis is not None)
        parts = (self.parts,) if dtype.is_complex else ()
        return Value(Type(part_dtype(dtype), (*axes, *parts)), name)

    def _shown(self, value: Value, dims: Iterable[str | None]) -> tuple[str | None, ...]:
        """The positional form of a value, in which the parts of complex numbers come last."""
        return (*dims, self.parts) if self.parts in value.axes else tuple(dims)

    def _parameters(self) -> tuple[list[Parameter], dict[str, Any]]:
        parameters: list[Parameter] = []
        arrays: dict[str, Any] = {}
        for weight in weights(self.exported.program, self.exported.prefix):
            nodes = [self.nodes[name] for name in weight.placeholders]
            if not any(node.users for node in nodes):
                continue
            tensor = weight.tensor
            if weight.constant and tensor.ndim == 0 and not tensor.is_complex():
                literal = Literal.of(as_stored(tensor))
                held = Positional(self.builder.constant(literal))
            else:
                held = self._parameter(weight)
                name, *aliases = weight.names
                value = held.term.value
                layout = self._shown(value, held.dims)
                parameters.append(Parameter(name, value, layout, tuple(aliases), weight.trainable))
                arrays[name] = as_stored(tensor)
            self.known |= dict.fromkeys(nodes, held)
        return parameters, arrays

    def _parameter(self, weight: Weight) -> Positional:
        typing = self.builder.typing
        dims = tuple(None if n == 1 else fresh(typing, n) for n in weight.tensor.shape)
        value = self._outside(weight.names[0], weight.tensor.dtype, dims)
        return Positional(Term(value, self.builder), dims)

    # --- operators ---

    def extents(self, shape: Sequence[Any]) -> Extents:
        """A shape as torch knows it; torch's own constant 1 is a unit dimension."""
        return tuple(None if is_unit(n) else self.reader(n) for n in shape)

    def _calls(self) -> None:
        """Translate all that the module calls."""
        for node in self.module.graph.nodes:
            if node in self.rolled.members:
                loop, place, step = self.rolled.members[node]
                if place == step == 0:
                    roll(self, loop)
            elif node.op == "call_function" and not self.rolled.takes_apart(node):
                self.call(node)
            elif node.op == "get_attr":
                self.known[node] = partial(self._body, getattr(self.module, str(node.target)))

    def _body(
        self, module: torch.fx.GraphModule, builder: Builder, operands: Sequence[Any]
    ) -> list[Positional]:
        """The results of a module that is a body, built in another place."""
        inner = copy(self)
        inner.module, inner.builder = module, builder
        placeholders = module.graph.find_nodes(op="placeholder")
        inner.known = dict(zip(placeholders, operands, strict=True))
        inner._calls()
        (result,) = module.graph.find_nodes(op="output")
        return [inner.known[x] for x in pytree.tree_leaves(result.args[0])]

    def call(self, node: torch.fx.Node) -> None:
        """Translate one operator."""
        if node.target is operator.getitem:
            source, place = node.args
            found = self.known.get(source)  # type: ignore[arg-type]
            if found is not None:
                self.known[node] = found[place]
            return
        if is_number(node.meta.get("val")):
            return  # read where it is used
        op = str(node.target)
        self.builder.origin = self.origin(node)
        rows = join_rows(self, node)
        if rows is not None:
            self.known[node] = rows
            return
        operands, results = _tensors(node.all_input_nodes), _tensors([node])
        rule = self._rule(op, any(x.is_complex() for x in (*operands, *results)))
        if rule is nothing:
            return
        try:
            call = Call(
                op,
                self.builder,
                tuple(self.extents(x.shape) for x in results),
                tuple(part_dtype(x.dtype) for x in results),
                tuple(x.is_complex() for x in results),
                self.parts,
                self.keys,
                operands,
            )
            args = [self._argument(x) for x in node.args]
            kwargs = {k: self._argument(x) for k, x in node.kwargs.items() if k not in IGNORED}
            result = rule(call, *args, **kwargs)
        except DTypeError as error:
            raise UnsupportedOpError(f"{op}: {error} (from {self.builder.origin})") from error
        except ConversionError as error:
            raise ConversionError(f"{error} (from {self.builder.origin})") from error
        _check(call, result, node.meta["val"])
        self.known[node] = result

    def origin(self, node: torch.fx.Node) -> Origin:
        """Where an operator came from."""
        return origin_of(node, self.calls[stack_of(node, self.exported.prefix)])

    def _rule(self, op: str, of_complex: bool) -> Rule:
        rule = (find_complex_rule if of_complex else find_real_rule)(op)
        if rule is None:
            kind, what = ("complex_rule", " of complex numbers") if of_complex else ("rule", "")
            raise UnsupportedOpError(
                f"no rule translates {op}{what} (from {self.builder.origin}); replace it in the "
                f"model, or register one: graftwork.frontends.torch.rules.{kind}({op!r})"
            )
        return rule

    def _argument(self, x: Any) -> Any:
        if isinstance(x, torch.fx.Node):
            if x in self.known:
                return self.known[x]
            return self._number(x.meta.get("val"))
        if isinstance(x, list | tuple):
            return [self._argument(each) for each in x]
        return part_dtype(x) if isinstance(x, torch.dtype) else x

    def _number(self, value: Any) -> Any:
        if isinstance(value, torch.SymInt):
            return self.reader(value)
        if isinstance(value, torch.SymFloat | torch.SymBool):
            raise ConversionError(
                f"the model computes {value} from sizes or data; where it comes from sizes, fix "
                "the axis that it depends on in axes="
            )
        return value

    # --- what goes outside ---

    def _outputs(self) -> Iterator[Port]:
        program = self.exported.program
        kinds = torch.export.graph_signature.OutputKind
        (node,) = (n for n in program.graph.nodes if n.op == "output")
        names = iter(output_names(program.call_spec.out_spec))
        for spec, result in zip(program.graph_signature.output_specs, node.args[0], strict=True):
            name = next(names) if spec.kind is kinds.USER_OUTPUT else spec.target
            found = self.known.get(result) if isinstance(result, torch.fx.Node) else None
            if isinstance(found, Positional):
                full = carrying_axes(found)
                yield Port(name, full.term.value, self._shown(full.term.value, full.dims))

    def _guards(self) -> tuple[Guard, ...]:
        program = self.exported.program
        shapes = self.exported.shapes().values()
        symbolic = (n for shape in shapes for n in shape if isinstance(n, torch.SymInt))
        first = next(symbolic, None)
        conditions = [] if first is None else [g.expr for g in first.node.shape_env.guards]
        found: list[Guard | None] = [*read_guards(conditions, self.reader)]
        for name, limits in program.range_constraints.items():
            if str(name) in self.reader.symbols and limits.upper.is_Integer:
                found.append(guard_between(self.reader(name), None, int(limits.upper)))
        return tuple(dict.fromkeys(guard for guard in found if guard is not None))


def _nodes(module: torch.fx.GraphModule) -> Iterator[torch.fx.Node]:
    """All nodes of a module and of the bodies that it holds."""
    for inner in module.modules():
        if isinstance(inner, torch.fx.GraphModule):
            yield from inner.graph.nodes


def _tensors(nodes: Iterable[torch.fx.Node]) -> tuple[torch.Tensor, ...]:
    """What torch knows of the tensors among the results of nodes."""
    leaves = pytree.tree_leaves([node.meta.get("val") for node in nodes])
    return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))


def _check(call: Call, result: Any, values: Any) -> None:
    """A rule gives what torch says that its operator gives, which may be nothing at a place."""
    if isinstance(result, Positional):
        result, values = [result], [values]
    results = [x for x, value in zip(result, values, strict=False) if value is not None]
    told = zip(results, call.shapes, call.dtypes, call.complexes, strict=False)
    for x, shape, dtype, of_parts in told:
        if x is None:
            continue
        sizes = [x.size(place) for place in range(x.rank)]
        same = x.rank == len(shape) and all(
            decide(size, 1 if extent is None else extent) is not False
            for size, extent in zip(sizes, shape, strict=True)
        )
        same &= (call.parts in x.term.axes) is of_parts
        if not same or x.dtype is not dtype:
            raise ConversionError(
                f"the rule of {call.op} gives {x.dtype.value}{sizes}, but torch says "
                f"{dtype.value}{list(shape)} (from {call.builder.origin})"
            )


def output_names(spec: pytree.TreeSpec | None) -> list[str]:
    """The names of a model's results, by their place in what it returns."""
    if spec is None or spec.is_leaf():
        return ["output"]
    paths = list(_paths(spec))
    numbered = not _keys(spec)
    return [".".join((f"output_{path[0]}" if numbered else path[0], *path[1:])) for path in paths]


def _paths(spec: pytree.TreeSpec) -> Iterator[tuple[str, ...]]:
    if spec.is_leaf():
        yield ()
        return
    keys = _keys(spec) or [str(i) for i in range(spec.num_children)]
    for key, child in zip(keys, spec.children(), strict=True):
        for rest in _paths(child):
            yield (key, *rest)


def _keys(spec: pytree.TreeSpec) -> list[str]:
    """The keys of a mapping, or the fields of a record; none for a sequence."""
    context = spec.context
    fields = getattr(context, "_fields", None) or getattr(spec.type, "_fields", None)
    if fields is not None:
        return list(fields)
    if isinstance(context, list | tuple) and len(context) == spec.num_children:
        return [str(key) for key in context]
    return []


def translate(exported: Exported, loops: Sequence[Loop] = ()) -> Graph:
    """The graph of a traced program, in raw form: every axis fresh, renames where two meet.

    The loops among its operators become scans.
    """
    named = named_symbols(exported)
    others = other_symbols(exported, named)
    sizes: dict[str, Size] = {name: symbol(name) for name in others}
    graph = Translation(exported, named | sizes, loops).graph()
    if exported.prefix:  # the caller spoke of axes, so that others are theirs or the sample's
        samples = {name: size for name, size in others.items() if size is not None}
        known = samples | read_at_positions(graph, list(samples))
        if known:
            graph = Translation(exported, named | sizes | known, loops).graph()
    return graph.evolve(axes=used_axes(graph))
