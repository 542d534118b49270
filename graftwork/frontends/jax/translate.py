"""The walk over a jaxpr: one rule an equation, which gives arrays in positional form.

An axis that nobody named is fresh, and stands for a dimension of one array; two that meet are
renamed to one another. Scalars that are known sizes (`x.shape[0] - 1`) are followed as sizes, and
become nodes only where an array computation needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import numpy as np
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from graftwork.frontends.jax.exact import Exact, fold
from graftwork.frontends.jax.origins import segments, source_line
from graftwork.frontends.jax.repeats import LeftOut, Repetition, Stretch, parts
from graftwork.frontends.jax.sizes import SizeReader
from graftwork.frontends.jax.templates import Known, Template, Templates, form
from graftwork.ir import ops
from graftwork.ir.attributes import Literal as Constant
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import ConversionError, DTypeError, UnsupportedOpError
from graftwork.ir.graph import Value
from graftwork.ir.origin import Origin
from graftwork.ir.positional import Dims, Positional, fresh
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size
from graftwork.ir.types import Type

Results: TypeAlias = "Positional | Sequence[Positional]"
Rule = Callable[..., Results]
R = TypeVar("R")


@frozen
class Slot:
    """What a body takes: the type of an array, and the axes at its dimensions."""

    type: Type
    dims: Dims


class Translator:
    """Translates one level of a program: a jaxpr with what is inlined into it.

    Attributes:
        builder: where nodes go.
        size: reads sizes.
        key: the axis of the two words of random keys; it rides along unseen by position.
        path: the names of modules and functions around the jaxpr.
        source: the line of the user's code that calls it, for equations that have none.
        owners: variable of a parameter -> the module that has it, for equations without scopes.
        seen: equations with their operands -> what they gave. Layers ask for the same masks and
            angles again and again; translators that build in one place share them.
        templates: what repeated stretches of the program became.
        free: variable of a parameter that nothing has read -> gives it the axes that it is wanted
            with, and the array.
        left_out: learns which stretches are left out; None if all are to be translated.
    """

    def __init__(
        self,
        builder: Builder,
        size: SizeReader,
        key: str,
        templates: Templates,
        path: tuple[str, ...] = (),
        source: str = "",
        owners: Mapping[Var, str] | None = None,
        seen: dict[Hashable, Sequence[Positional]] | None = None,
        free: Mapping[Var, Callable[[Dims], Positional]] | None = None,
        left_out: list[LeftOut] | None = None,
    ) -> None:
        self.builder = builder
        self.size = size
        self.key = key
        self.templates = templates
        self.path = path
        self.source = source
        self.owners = dict(owners or {})
        self.seen = {} if seen is None else seen
        self.free = dict(free or {})
        self.left_out = left_out
        self._here = path
        self._arrays: dict[Var, Positional] = {}
        self._exact: dict[Var, Exact] = {}
        self._fixed: dict[Template, dict[Value, Value]] = {}

    def bind(self, variables: Sequence[Var], arrays: Sequence[Positional]) -> None:
        """Give variables their arrays."""
        self._arrays |= zip(variables, arrays, strict=True)

    def read(self, atom: Atom) -> Positional:
        """The array of a variable or literal."""
        if isinstance(atom, Literal):
            literal = Constant.of(atom.val, _dtype(atom))
            if literal not in self.seen:
                self.seen[literal] = [Positional(self.builder.constant(literal))]
            return self.seen[literal][0]
        self.free.pop(atom, None)
        if atom not in self._arrays:
            number = self.number(self._exact[atom], _dtype(atom))
            self._arrays[atom] = Positional(number, (None,) * len(_jax.aval(atom).shape))
        return self._arrays[atom]

    def exact(self, atom: Atom) -> Exact | None:
        """The size or truth value that a scalar, or a vector of one, is known to be."""
        if not isinstance(atom, Literal):
            return self._exact.get(atom)
        return int(atom.val) if _jax.scalar_kind(atom) in ("i", "u", "b") else None

    def constant(self, value: Any, dtype: DType, axes: Sequence[str] = ()) -> Term:
        """A constant array of a dtype."""
        return self.builder.constant(Constant.of(value, dtype), axes=axes)

    def number(self, value: Exact, dtype: DType) -> Term:
        """A size or truth value as a scalar."""
        if isinstance(value, int):
            return self.constant(value, dtype)
        with self.builder:
            return ops.size(value=value, dtype=dtype)

    def fresh(self, size: Size) -> str:
        """A new axis that nobody has named."""
        return fresh(self.builder.typing, size)

    def run(self, jaxpr: Jaxpr) -> list[Positional]:
        """Translate all equations; the arrays of the outputs."""
        for part in parts(jaxpr):
            if isinstance(part, Repetition):
                self._repetition(part)
            else:
                self._equation(part)
        return [self.read(atom) for atom in jaxpr.outvars]

    def inline(
        self, jaxpr: ClosedJaxpr | Jaxpr, atoms: Sequence[Atom], name: str = ""
    ) -> list[Positional]:
        """Translate a jaxpr that is called on atoms of this level, in its place."""
        inner = _open(jaxpr)
        inside = self._inside(self.builder, name)
        for variable, atom in zip(inner.invars, atoms, strict=True):
            known = self.exact(atom)
            if known is not None:
                inside._exact[variable] = known
            if isinstance(atom, Literal) or atom in self._arrays:
                inside._arrays[variable] = self.read(atom)
            if self._here == self.path and (owner := self._owner(atom)):
                inside.owners[variable] = owner
        inside._bind_constants(jaxpr)
        return inside.run(inner)

    def call(self, jaxpr: ClosedJaxpr, arrays: Sequence[Positional]) -> list[Positional]:
        """Translate a jaxpr that is called on arrays, in its place."""
        inside = self._inside(self.builder)
        inside.bind(jaxpr.jaxpr.invars, arrays)
        inside._bind_constants(jaxpr)
        return inside.run(jaxpr.jaxpr)

    def body(
        self, slots: Sequence[Slot], translate: Callable[[Translator, list[Positional]], R]
    ) -> tuple[list[Positional], R, Builder]:
        """Translate a closed body.

        Args:
            slots: the types of what it takes.
            translate: gives the results from a translator for the body and what it takes.

        Returns:
            What the body takes, its results, and the builder that has its nodes.
        """
        builder = Builder(self.builder.typing, self.builder.origin)
        inputs = [Positional(Term(Value(slot.type), builder), slot.dims) for slot in slots]
        with builder:
            return inputs, translate(self._inside(builder), inputs), builder

    def _inside(self, builder: Builder, name: str = "") -> Translator:
        path = (*self._here, *segments([name]))
        seen = self.seen if builder is self.builder else None
        source = builder.origin.source
        return Translator(builder, self.size, self.key, self.templates, path, source, seen=seen)

    def _bind_constants(self, jaxpr: ClosedJaxpr | Jaxpr) -> None:
        if isinstance(jaxpr, ClosedJaxpr):
            for variable, value in zip(jaxpr.jaxpr.constvars, jaxpr.consts, strict=True):
                self._arrays[variable] = self.array(value)

    def array(self, value: Any) -> Positional:
        """A constant array of any shape, in the program itself."""
        array = _jax.concrete(value)
        dims = tuple(None if extent == 1 else self.fresh(extent) for extent in array.shape)
        axes = tuple(axis for axis in dims if axis is not None)
        squeezed = array.reshape([extent for extent in array.shape if extent != 1])
        return Positional(self.constant(squeezed, dtype_of(array.dtype), axes), dims)

    def _repetition(self, found: Repetition) -> None:
        """Copy each stretch, or those alone that show what the others would become."""
        first, second, *others = found.stretches
        own = [[stretch.inputs[place] for place in found.own] for stretch in found.stretches]
        free = len(others) > 1 and found.own and self.free.keys() >= set(chain(*own))
        self._stretch(first)
        template = self._stretch(second)
        if self.left_out is not None and free and self._fits(template, others[0]):
            *middle, last = others
            there = template.sources(self._origins(second))
            origins = [partial(template.counterpart, there, self._origins(s)) for s in middle]
            self.left_out.append(LeftOut(own, origins))
            for variable, other in zip(second.outputs, middle[-1].outputs, strict=True):
                self._arrays[other] = self._arrays[variable]
            others = [last]
        for stretch in others:
            self._stretch(stretch)

    def _fits(self, template: Template, stretch: Stretch) -> bool:
        """Whether a stretch would be a copy of a template, and give arrays alone."""
        given = [self._known(variable) for variable in stretch.inputs]
        same = self.templates.known.get((stretch.form, *map(form, given)))
        return same is template and not template.exact

    def _origins(self, stretch: Stretch) -> Callable[[int], Origin]:
        """The origin of each equation of a stretch, by its number."""
        return lambda place: self._origin(stretch.equations[place])

    def _stretch(self, stretch: Stretch) -> Template:
        """Copy what a stretch of this form became; the first is translated for that."""
        self._here = self.path
        given = [self._known(variable) for variable in stretch.inputs]
        of = (stretch.form, *map(form, given))
        template = self.templates.known.get(of)
        if template is None:
            template = self.templates.known[of] = self._template(stretch, given)
        arrays = self._fitting(stretch, given, template)
        fixed = self._fixed.setdefault(template, {})
        with self.builder:
            results = iter(template.copy(self.builder, arrays, self._origins(stretch), fixed))
        for place, variable in enumerate(stretch.outputs):
            if place in template.exact:
                self._exact[variable] = template.exact[place]
            else:
                self._arrays[variable] = next(results)
        return template

    def _fitting(
        self, stretch: Stretch, given: Sequence[Known], template: Template
    ) -> list[Positional]:
        """The arrays that a stretch takes; parameters that are free have the template's axes."""
        places = zip(stretch.inputs, given, strict=True)
        pairs = [(variable, x) for variable, x in places if isinstance(x, Positional)]
        for (variable, _), dims in zip(pairs, template.dims, strict=True):
            if variable in self.free:
                self._arrays[variable] = self.free.pop(variable)(dims)
        return [self._arrays[variable] for variable, _ in pairs]

    def _template(self, stretch: Stretch, given: Sequence[Known]) -> Template:
        origins: list[Origin] = []
        made: list[int] = []

        def translate(inside: Translator, arrays: list[Positional]) -> list[Known]:
            inside.owners = self.owners
            rest = iter(arrays)
            for variable, known in zip(stretch.inputs, given, strict=True):
                if isinstance(known, Positional):
                    inside._arrays[variable] = next(rest)
                else:
                    inside._exact[variable] = known
            for equation in stretch.equations:
                inside._equation(equation)
                origins.append(self._origin(equation))
                made.append(len(inside.builder.nodes))
            return [inside._known(variable) for variable in stretch.outputs]

        slots = [Slot(x.term.type, x.dims) for x in given if isinstance(x, Positional)]
        inputs, results, builder = self.body(slots, translate)
        with builder:
            return self.templates.make(builder, inputs, results, made, origins)

    def _known(self, variable: Var) -> Known:
        """The size that a variable is known to be, or its array."""
        exact = self._exact.get(variable)
        return self._arrays[variable] if exact is None else exact

    def _equation(self, equation: JaxprEqn) -> None:
        known = fold(self.size, equation, self.exact)
        if known is not None:
            self._exact[equation.outvars[0]] = known
            return
        key = self._key(equation)
        if key is not None and key in self.seen:
            self._arrays |= zip(equation.outvars, self.seen[key], strict=True)
            return
        outer, self.builder.origin = self.builder.origin, self._origin(equation)
        try:
            with self.builder:
                results = self._apply(equation)
        except DTypeError as error:
            origin = str(self.builder.origin)
            where = "" if origin in str(error) else f" (from {origin})"
            raise UnsupportedOpError(f"{equation.primitive.name}: {error}{where}") from error
        finally:
            self.builder.origin = outer
        for variable, result in zip(equation.outvars, results, strict=True):
            self._check(equation, variable, result)
            self._arrays[variable] = result
        if key is not None:
            self.seen[key] = results

    def _key(self, equation: JaxprEqn) -> Hashable:
        """What equations that give the same have in common; None where that is not known."""
        operands = [
            (_dtype(atom), np.asarray(atom.val).tobytes())
            if isinstance(atom, Literal)
            else self._arrays.get(atom, self._exact.get(atom))
            for atom in equation.invars
        ]
        key = (equation.primitive, *equation.params.items(), "of", *operands)
        try:
            hash(key)
        except TypeError:
            return None
        return None if equation.effects else key

    def _apply(self, equation: JaxprEqn) -> Sequence[Positional]:
        tables, name = _tables(), equation.primitive.name
        if name in tables.REFUSED:
            raise UnsupportedOpError(f"{name} {tables.REFUSED[name]} (from {self.builder.origin})")
        if name in tables.STRUCTURAL:
            results = tables.STRUCTURAL[name](self, equation)
        elif name in tables.RULES:
            results = tables.RULES[name](self, equation, *map(self.read, equation.invars))
        else:
            definition = tables.DEFINITIONS.get(name) or _jax.definition(equation.primitive)
            if definition is None:
                raise UnsupportedOpError(
                    f"JAX's primitive {name!r} has no translation (from {self.builder.origin}); "
                    "compute it outside of the converted function"
                )
            results = self.define(equation, definition)
        return [results] if isinstance(results, Positional) else results

    def define(self, equation: JaxprEqn, definition: Callable[..., Any]) -> Sequence[Positional]:
        """Translate an equation as the function of simpler primitives that defines it."""
        avals = map(_jax.aval, equation.invars)
        with _jax.wide_types(True):
            specs = [_jax.spec(aval.shape, aval.dtype) for aval in avals]
            jaxpr, _ = _jax.trace(lambda *xs: definition(*xs, **equation.params), specs)
        return self.inline(jaxpr, equation.invars)

    def _check(self, equation: JaxprEqn, variable: Var, result: Positional) -> None:
        """Hold a rule to the type that JAX gives the equation."""
        shape = self.size.shape(_jax.aval(variable).shape)
        dtype = _dtype(variable)
        found = tuple([result.size(i) for i in range(result.rank)])
        if found == shape and result.dtype is dtype:
            return
        wrong = result.rank != len(shape) or result.dtype is not dtype
        if wrong or any(decide(a, b) is False for a, b in zip(found, shape, strict=True)):
            raise ConversionError(
                f"{equation.primitive.name} became {result.dtype.value}{list(found)}, but JAX has "
                f"{dtype.value}{list(shape)} (from {self._origin(equation)})"
            )

    def _owner(self, atom: Atom) -> str:
        return self.owners.get(atom, "") if isinstance(atom, Var) else ""

    def _origin(self, equation: JaxprEqn) -> Origin:
        """Where an equation comes from; what it calls is inside of its scopes."""
        self._here = (*self.path, *segments(_jax.scopes(equation)))
        owners = filter(None, map(self._owner, equation.invars))
        owner = next(owners, "") if self._here == self.path else ""
        source = source_line(equation.source_info.traceback) or self.source
        return Origin(owner or ".".join(self._here), source, equation.primitive.name)


@cache
def _tables() -> Any:
    """The rules, which are written in terms of this module."""
    from graftwork.frontends.jax import rules

    return rules


def _dtype(variable: Atom) -> DType:
    dtype = _jax.aval(variable).dtype
    return DType.u32 if _jax.is_key(dtype) else dtype_of(dtype)


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
