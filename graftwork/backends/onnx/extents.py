"""Symbolic sizes in ONNX: read off the shapes of the inputs, computed once, shared by all nodes.

A size is an int where it is known, else a vector of one i64 in the prelude of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import TypeAlias

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Reading, readings
from graftwork.backends.onnx.emit import Emitter
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph
from graftwork.ir.sizes import Size, SizeExpr

Dim: TypeAlias = "int | onnx.Value"


class Extents:
    """What every size of a graph is at run time.

    Raises:
        InputError: if the shapes of the inputs do not determine a symbol.
    """

    def __init__(self, emitter: Emitter, graph: Graph, inputs: Mapping[str, onnx.Value]) -> None:
        self._emit = emitter
        self._known: dict[SizeExpr, onnx.Value] = {}
        self._shapes: dict[tuple[Size, ...], onnx.Value] = {}
        self._symbols: dict[str, onnx.Value] = {}
        self._inputs = inputs
        self._readings = {reading.symbol: reading for reading in readings(graph)}

    def _symbol(self, name: str) -> onnx.Value:
        """The extent of a symbol, read off when something first needs it."""
        if name not in self._symbols:
            with self._emit.aside(self._emit.prelude):
                self._symbols[name] = self._read(self._readings[name])
        return self._symbols[name]

    def _read(self, reading: Reading) -> onnx.Value:
        op, place = self._emit.op, reading.place
        value = self._inputs[reading.port]
        extent = op("Shape", value, dtype=DType.i64, start=place, end=place + 1)
        if reading.offset != 0:
            extent = op("Sub", extent, self.vector(reading.offset))
        if reading.slope != 1:
            extent = op("Div", extent, self.vector(reading.slope))
        return extent

    def dim(self, size: Size) -> Dim:
        """A size as an int, or as a vector of one i64."""
        if isinstance(size, int):
            return size
        found = self._known.get(size)
        if found is None:
            with self._emit.aside(self._emit.prelude):
                found = self._known[size] = self._sum(size)
        return found

    def vector(self, *sizes: Size) -> onnx.Value:
        """Sizes one after another, as shapes are given."""
        found = self._shapes.get(sizes)
        if found is None:
            found = self._shapes[sizes] = self._join(sizes)
        return found

    def _join(self, sizes: Sequence[Size]) -> onnx.Value:
        if all(isinstance(size, int) for size in sizes):
            return self._emit.constant(np.array(sizes, np.int64))
        parts = [self.dim(size) for size in sizes]
        values = [self._emit.ints(part) if isinstance(part, int) else part for part in parts]
        if len(values) == 1:
            return values[0]
        with self._emit.aside(self._emit.prelude):
            return self._emit.op("Concat", *values, axis=0)

    def _sum(self, size: SizeExpr) -> onnx.Value:
        terms = []
        for monomial, coefficient in size.terms:
            factors = [self._atom(atom.op, atom.args, min(atom.symbols)) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.append(self._emit.ints(coefficient))
            terms.append(reduce(partial(self._emit.op, "Mul"), factors))
        return reduce(partial(self._emit.op, "Add"), terms)

    def _atom(self, op: str, args: Sequence[Size], name: str) -> onnx.Value:
        emit = self._emit.op
        if op == "symbol":
            return self._symbol(name)
        a, *rest = (self.vector(arg) for arg in args)
        if op in ("min", "max"):
            return emit(op.capitalize(), a, *rest)
        (b,) = rest
        if not isinstance(args[1], int):
            b = emit("Max", b, self._emit.ints(1))  # the size has no meaning where b is 0
        remainder = emit("Mod", a, b)
        return remainder if op == "%" else emit("Div", emit("Sub", a, remainder), b)
