"""Computing in another float type, and holding weights in one."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import partial
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from attrs import evolve, field, frozen

from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Builder, Term
from graftwork.ir.calls import modules
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import DTypeError, SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Parameter, Region, Value
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.rename import moved_sites
from graftwork.ir.select import require
from graftwork.ir.store import Lazy, as_numpy
from graftwork.ir.types import Type, Typing
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead


def _float(dtype: DType | str) -> str:
    found = dtype_of(dtype)
    if not found.is_float:
        raise DTypeError(f"weights are cast to a float type, not to {found.value}")
    return found.value


def _globs(keep: str | Sequence[str]) -> tuple[str, ...]:
    return (keep,) if isinstance(keep, str) else tuple(keep)


@frozen
class Cast(Pass):
    """Compute in another float type: `Cast("bf16")`, or `Cast("f64")` to see what rounding does.

    The type that most weights have gives way to it, in weights and activations; other float types
    that the model has stay, and so does what the graph takes and gives. Towards fewer bits some
    things stay as they are: statistics of norms and softmax in composites have 32 bits, and what
    comes of integers and vectors alone does too, such as the angles of positions and masks.

    Attributes:
        dtype: a float type.
        keep: globs over sites and module paths that compute in the old type.

    Raises:
        SelectionError: if nothing is called so.
    """

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    dtype: str = field(converter=_float)
    keep: Sequence[str] = field(default=(), converter=_globs)

    def __call__(self, graph: Graph) -> Graph:
        old, new = _main(graph), dtype_of(self.dtype)
        wide = _nodes(graph, self.keep)
        if old is new:
            return graph
        if new.bits < old.bits:
            wide |= _of_integers(graph, old)
        kept = {v for node in wide for v in node.inputs}
        parameters = tuple(p if p.value in kept else _as(p, old, new) for p in graph.parameters)
        builder = Builder(Typing(graph.axes), UNKNOWN.through("Cast"))
        casting = _Casting(old, new, wide, builder, {})
        pairs = zip(graph.parameters, parameters, strict=True)
        casting.env.update({port.value: Term(port.value, builder) for port in graph.inputs})
        casting.env.update({a.value: Term(b.value, builder) for a, b in pairs})
        casting.run(graph.nodes)
        outputs = [(port, casting.env[port.value]) for port in graph.outputs]
        arrays = {
            p.name: Lazy(partial(_array, graph, p.name, new))
            for p, before in zip(parameters, graph.parameters, strict=True)
            if p is not before
        }
        places = {value: term.value for value, term in casting.env.items()}
        cast = graph.evolve(
            parameters=parameters,
            outputs=tuple(evolve(p, value=x.cast(p.value.type.dtype).value) for p, x in outputs),
            nodes=tuple(builder.nodes),
            store=graph.store.over(arrays),
            sites=moved_sites(graph.sites, places.get),
        )
        return DropDead()(cast)


@frozen
class CastWeights(Pass):
    """Hold weights in another float type, and cast them where they are read: less memory.

    It computes as before, with weights rounded once. Passes that look for weights do not see
    them behind the casts, so this one comes last.

    Attributes:
        dtype: a float type.
        parameter: a glob over names of parameters; those of it that are floats.

    Raises:
        SelectionError: if no float parameter is called so.
    """

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    dtype: str = field(converter=_float)
    parameter: str = "**"

    def __call__(self, graph: Graph) -> Graph:
        floats = [p for p in graph.parameters if p.value.type.dtype.is_float]
        names = [name for p in floats for name in (p.name, *p.aliases)]
        found = set(matching(self.parameter, names))
        if not found:
            raise SelectionError(
                f"no float parameter {self.parameter!r}{nearest(self.parameter, names)}"
            )
        new = dtype_of(self.dtype)
        chosen = {p.name for p in floats if not found.isdisjoint((p.name, *p.aliases))}
        builder = Builder(Typing(graph.axes), UNKNOWN.through("CastWeights"))
        parameters: list[Parameter] = []
        casts: list[Node] = []
        arrays = {}
        for p in graph.parameters:
            if p.name not in chosen or p.value.type.dtype is new:
                parameters.append(p)
                continue
            held = Value(p.value.type.with_dtype(new), p.name)
            back = Term(held, builder).cast(p.value.type.dtype).value
            casts += [evolve(n, outputs=(p.value,)) for n in builder.nodes if n.output is back]
            parameters.append(evolve(p, value=held))
            arrays[p.name] = Lazy(partial(_array, graph, p.name, new))
        return graph.evolve(
            parameters=tuple(parameters),
            nodes=(*casts, *graph.nodes),
            store=graph.store.over(arrays),
        )


def _array(graph: Graph, name: str, dtype: DType) -> np.ndarray[Any, Any]:
    return as_numpy(graph.store[name]).astype(dtype.numpy)


def _as(parameter: Parameter, old: DType, new: DType) -> Parameter:
    of = parameter.value.type
    if of.dtype is not old:
        return parameter
    return evolve(parameter, value=Value(of.with_dtype(new), parameter.value.name))


def _main(graph: Graph) -> DType:
    """The float type of most weights; of most values where there are none.

    Raises:
        DTypeError: if nothing is a float.
    """
    types = [p.value.type for p in graph.parameters] + [
        value.type for node in graph.nodes for value in node.outputs
    ]
    floats = [of.dtype for of in types if of.dtype.is_float]
    if not floats:
        raise DTypeError("Cast: the graph computes with no floats")
    first = [of.dtype for of in types[: len(graph.parameters)] if of.dtype.is_float] or floats
    return max(dict.fromkeys(first), key=first.count)


def _nodes(graph: Graph, globs: Sequence[str]) -> set[Node]:
    """The nodes that make what some globs mean, or that are in modules called so."""
    found: set[Node] = set()
    for glob in globs:
        if matching(glob, graph.sites):
            makers = (graph.index.producer.get(f.place.value) for f in require(graph, glob))
            found.update(node for node in makers if node is not None)
        elif matching(glob, modules(graph)):
            inside = (glob, f"{glob}.**")
            paths = {path for g in inside for path in matching(g, modules(graph))}
            found.update(node for node in graph.nodes if node.origin.module in paths)
        else:
            require(graph, glob)
    return found


def _of_integers(graph: Graph, old: DType) -> set[Node]:
    """Nodes whose floats come of integers, random numbers, constants and vectors alone."""
    neutral = {p.value for p in graph.parameters if len(p.value.axes) < 2}
    made: set[Value] = set()
    found: set[Node] = set()
    for node in graph.nodes:
        floats = [v for v in node.inputs if v.type.dtype.is_float]
        starts = not floats and (node.op.name == "cast" or "random" in node.op.traits)
        follows = any(v in made for v in floats) and all(v in made or v in neutral for v in floats)
        if node.op.name == "constant":
            neutral.add(node.output)
        elif (starts or follows or node.op.name == "bitcast") and not node.regions:
            found.add(node)
            made.update(v for v in node.outputs if v.type.dtype is old)
    return found


@frozen(eq=False)
class _Casting:
    """One rebuilding of nodes in another float type.

    Attributes:
        old, new: the types.
        wide: nodes that compute in the old one.
        builder: where they are built.
        env: value of the graph -> what it is now, in either type.
        casts: what has been cast.
        constants: what is a constant.
        beyond: values of the old type that are computed from numbers which the new one lacks.
    """

    old: DType
    new: DType
    wide: Set[Node]
    builder: Builder
    env: dict[Value, Term]
    casts: dict[tuple[Value, DType], Term] = field(factory=dict)
    constants: dict[Value, Literal] = field(factory=dict)
    beyond: set[Value] = field(factory=set)

    def run(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.builder.origin = node.origin.through("Cast")
            attrs, regions = node.attrs.as_dict(), node.regions
            if node.op.name == "constant" and node.output.type.dtype is self.old:
                self.constants[node.output] = attrs["value"]
                operands = []
            elif node in self.wide:
                operands = [self.operand(value, self.old) for value in node.inputs]
                if any(self._is_beyond(value) for value in node.inputs):
                    self.beyond.update(node.outputs)
            else:
                operands = [self.operand(value, self.new) for value in node.inputs]
                attrs = {name: self._attribute(name, value) for name, value in attrs.items()}
                regions = tuple([self._region(region) for region in regions])
            made = self.builder.emit(node.op, operands, attrs, regions)
            self.env.update(zip(node.outputs, made, strict=True))

    def operand(self, value: Value, dtype: DType) -> Term:
        """A value of the old type in one of the two; any other as it is."""
        term = self.env[value]
        if value.type.dtype is not self.old or term.dtype is dtype:
            return term
        if (value, dtype) not in self.casts:
            self.casts[value, dtype] = self._cast(value, term, dtype)
        return self.casts[value, dtype]

    def _cast(self, value: Value, term: Term, dtype: DType) -> Term:
        top = _largest(dtype)
        if value in self.constants:
            literal = Literal.of(_within(self.constants[value].array, top), dtype)
            return self.builder.constant(literal, axes=term.axes)
        if value in self.beyond and dtype is self.new:
            term = ops.minimum(ops.maximum(term, -top), top)
        return term.cast(dtype)

    def _is_beyond(self, value: Value) -> bool:
        literal = self.constants.get(value)
        if literal is None:
            return value in self.beyond
        return not np.array_equal(
            literal.array, _within(literal.array, _largest(self.new)), equal_nan=True
        )

    def _attribute(self, name: str, value: Any) -> Any:
        if name == "in_f32":
            return value or self.new.bits == 16
        return self.new if value is self.old else value

    def _region(self, region: Region) -> Region:
        """A body that takes and gives the new type."""
        builder = Builder(self.builder.typing)
        terms = [builder.input(self._type(v.type).dtype, v.axes, v.name) for v in region.inputs]
        env = dict(zip(region.inputs, terms, strict=True))
        inner = _Casting(self.old, self.new, self.wide, builder, env)
        inner.run(region.nodes)
        outputs = [inner.operand(value, self.new).value for value in region.outputs]
        return Region(tuple(x.value for x in terms), tuple(builder.nodes), tuple(outputs))

    def _type(self, of: Type) -> Type:
        return of.with_dtype(self.new) if of.dtype is self.old else of


def _largest(dtype: DType) -> float:
    info: Any = ml_dtypes.finfo
    return float(info(dtype.numpy).max)


def _within(array: np.ndarray[Any, Any], top: float) -> np.ndarray[Any, Any]:
    """The array with its finite numbers moved to where a type has numbers."""
    wide = array.astype(np.float64)
    return np.where(np.isfinite(wide), np.clip(wide, -top, top), wide)
