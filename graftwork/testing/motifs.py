"""Patterns of rewrite rules, planted in random graphs: they find what blind chance does not."""

from __future__ import annotations

from typing import Any

from graftwork.ir.attributes import DTYPE, SIZE, SIZES, Literal
from graftwork.ir.build import Builder, Term
from graftwork.ir.draw import FLOATS, INTS
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.pattern import Pattern
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, symbols
from graftwork.testing.grown import Motif
from graftwork.testing.sampler import Sampler

_NARROW = (DType.f16, DType.bf16)


def motif_of(pattern: Pattern) -> Motif:
    """A function that writes the pattern over operands, axes, sizes and numbers that it draws."""

    def write(draw: Sampler) -> Term:
        return _Instance(pattern, draw).write()

    return write


class _Instance:
    """One way to fill in the variables of a pattern: with fresh inputs, or whatever is there."""

    def __init__(self, pattern: Pattern, draw: Sampler) -> None:
        self.pattern = pattern
        self.draw = draw
        names = {name for size in pattern.axes.values() for name in symbols(size)}
        self.sizes: dict[str, Size] = {name: draw.pick(2, 3, 1) for name in sorted(names)}
        self.axes = {
            axis: draw.make(substitute(size, self.sizes)) for axis, size in pattern.axes.items()
        }
        self.dtypes = {
            DType.f64: draw.pick(*FLOATS),
            DType.bf16: draw.pick(*_NARROW),
            DType.i64: draw.pick(*INTS),
        }

    def dtype(self, ours: DType) -> DType:
        return self.dtypes.get(ours, ours)

    def write(self) -> Term:
        builder = self.draw.scope.builder
        plain = self.draw.pick(True, False)
        env = {}
        for value in self.pattern.values.values():
            axes = [self.axes[a] for a in value.axes]
            others = [axis for axis in self.axes.values() if axis not in axes]
            dtype = self.dtype(value.type.dtype)
            if plain:
                env[value] = self.draw.scope.source(dtype, tuple(axes), self.draw.choices)
            else:
                env[value] = self.draw.operand((dtype,), axes=axes, avoid=others)
        for node in self.pattern.nodes:
            made = self.emit(builder, node, [env[value] for value in node.inputs])
            env |= dict(zip(node.outputs, made, strict=True))
        return env[self.pattern.root]

    def emit(self, builder: Builder, node: Node, operands: list[Term]) -> tuple[Term, ...]:
        attrs = {
            spec.name: self.attribute(spec.kind, value)
            for spec, (_, value) in zip(
                node.op.attrs, node.op.rename_axes(node.attrs, self.axis).items, strict=True
            )
        }
        if node.outputs[0] in self.pattern.numbers:
            sample = node.attrs["value"].array
            number = self.draw.pick(sample, sample * 2, sample * 0)
            attrs["value"] = Literal.of(number, self.dtype(node.outputs[0].type.dtype))
        return builder.emit(node.op, operands, attrs)

    def axis(self, name: str) -> str:
        return self.axes.get(name, name)

    def attribute(self, kind: Any, value: Any) -> Any:
        if kind is DTYPE:
            return self.dtype(value)
        if kind is SIZE:
            return substitute(value, self.sizes)
        if kind is SIZES:
            return tuple(substitute(size, self.sizes) for size in value)
        if isinstance(value, Literal):
            return Literal.of(value.array, self.dtype(value.dtype))
        return value
