"""What an op is: one record that says everything about it.

An op is defined once: its name, operands, typed attributes, type rule, numpy reference,
derivatives, traits and a sentence of documentation live in one `Op`. Calling an op builds a node:
`ops.exp(x)`, `ops.contract(a, b, over="embed")`. A *composite* is an op with a `body`: a template
that builds the same meaning from smaller ops, and opens where a rewrite addresses an interior
site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from graftwork.ir.attributes import NO_ATTRS, Attrs, Spec
from graftwork.ir.errors import AttributeTypeError, RewriteError, UnsupportedOpError, nearest

if TYPE_CHECKING:
    from graftwork.ir.build import Builder, Operand, Term
    from graftwork.ir.draw import Call, Draw

Rule = Callable[..., Any]


@frozen(eq=False, repr=False)
class Op:
    """The definition of one operation.

    Attributes:
        name: its word in text, selectors and errors.
        operands: names of operands; `w?` may be left out (with all after it), `*xs` is any number.
        doc: one sentence that says what it computes.
        attrs: the attributes, with kinds and defaults.
        infer: `infer(typing, *types, **attrs)` gives the output type or types, or raises. A
            composite may leave it out: its body is inferred.
        evaluate: `evaluate(at, *arrays, **attrs)` is the numpy reference on `NamedArray`s; `at`
            gives concrete sizes. A composite may leave it out: its body is evaluated.
        jvp: `jvp(operands, tangents, outputs, **attrs)` gives the output tangents (None is zero).
            Linear ops and composites need none.
        linear: positions of the operands that the op is linear in; `None` means not linear.
        multilinear: linear in each of them alone (product), rather than jointly (sum).
        transpose: `transpose(cotangents, operands, position, typing, **attrs)` gives the cotangent
            of one linear operand.
        traits: words that passes ask for: `elementwise`, `commutative`, `view`, `creation`,
            `idempotent`, `random`.
        body: `body(*terms, **attrs)` builds a composite from smaller ops.
        sites: the names of interior sites that the body marks.
        results: number of outputs, or a function of attributes.
        regions: names of the sub-graphs that a control-flow op holds.
        fit: for ops with regions, `fit(typing, regions, types, **attrs)` retypes the regions.
        sample: `sample(draw)` gives the op applied to operands and attributes of its choice, from
            which tests are made; see `graftwork.ir.draw`.
    """

    name: str
    operands: str
    doc: str
    attrs: tuple[Spec, ...] = ()
    infer: Rule | None = None
    evaluate: Rule | None = None
    jvp: Rule | None = None
    linear: tuple[int, ...] | None = None
    multilinear: bool = False
    transpose: Rule | None = None
    traits: frozenset[str] = field(default=frozenset(), converter=frozenset)
    body: Callable[..., Any] | None = None
    sites: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    fit: Rule | None = None
    sample: Callable[[Draw], Call] | None = None
    fewest: int = field(init=False)
    most: int | None = field(init=False)

    @fewest.default
    def _count_fewest(self) -> int:
        return sum(not w.endswith("?") and not w.startswith("*") for w in self.operands.split())

    @most.default
    def _count_most(self) -> int | None:
        return None if "*" in self.operands else len(self.operands.split())

    def __repr__(self) -> str:
        return f"ops.{self.name}"

    def attributes(self, given: Mapping[str, Any]) -> Attrs:
        """Check and normalise attributes.

        Raises:
            AttributeTypeError: for an unknown, missing or ill-typed attribute.
        """
        if not self.attrs and not given:
            return NO_ATTRS
        rest = dict(given)
        items: list[tuple[str, Any]] = []
        for spec in self.attrs:
            value = rest.pop(spec.name, spec.default)
            if value is ...:
                raise AttributeTypeError(f"{self.name} needs {spec.name}= ({spec.kind.name})")
            items.append((spec.name, spec.coerce(self.name, value)))
        if rest:
            word = next(iter(rest))
            known = [spec.name for spec in self.attrs]
            raise AttributeTypeError(f"{self.name} has no attribute {word!r}{nearest(word, known)}")
        return Attrs(tuple(items))

    def check_arity(self, count: int) -> None:
        if count < self.fewest or (self.most is not None and count > self.most):
            raise AttributeTypeError(
                f"{self.name} takes operands ({self.operands}), but {count} were given"
            )

    def rename_axes(self, attrs: Attrs, to: Callable[[str], str]) -> Attrs:
        """The attributes with every axis that they name renamed."""
        if not attrs.items:
            return attrs
        return Attrs(
            tuple(
                (spec.name, spec.kind.rename(value, to))
                for spec, (_, value) in zip(self.attrs, attrs.items, strict=True)
            )
        )

    def named_axes(self, attrs: Attrs) -> Iterator[str]:
        """Every axis that the attributes name."""
        for spec, (_, value) in zip(self.attrs, attrs.items, strict=True):
            yield from spec.kind.axes(value)

    def __call__(self, *operands: Operand, **attrs: Any) -> Term:
        """Build a node that has one output, where the first operand is being built."""
        (output,) = _builder_of(operands).emit(self, operands, attrs)
        return output

    def emit(self, *operands: Operand, **attrs: Any) -> tuple[Term, ...]:
        """Build a node; all its outputs."""
        return _builder_of(operands).emit(self, operands, attrs)


CURRENT: ContextVar[Builder | None] = ContextVar("builder", default=None)


def _builder_of(operands: Sequence[Operand]) -> Builder:
    """The builder of the first operand that is a term, or else the current one."""
    for operand in operands:
        builder: Builder | None = getattr(operand, "builder", None)
        if builder is not None:
            return builder
    current = CURRENT.get()
    if current is None:
        raise RewriteError("no graph is being built here: give a term, or use `with Builder():`")
    return current


class Registry(dict[str, Op]):
    """All known ops by name. Anyone may add their own."""

    def add(self, op: Op) -> Op:
        """Register an op under its name.

        Raises:
            AttributeTypeError: if another op has that name.
        """
        if op.name in self:
            raise AttributeTypeError(f"an op named {op.name!r} is registered already")
        self[op.name] = op
        return op

    def __missing__(self, name: str) -> Op:
        raise UnsupportedOpError(f"no op named {name!r}{nearest(name, self)}")


REGISTRY = Registry()


def define(name: str, operands: str, doc: str, **fields: Any) -> Op:
    """Define an op and register it."""
    return REGISTRY.add(Op(name, operands, doc, **fields))
