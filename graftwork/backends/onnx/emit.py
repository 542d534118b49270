"""Writing ONNX nodes one after another, with constants and bodies.

Each value knows its element type, so that `Emitter.op` can cast to a carrier and back where the
runtime has no kernel. What depends on nothing but sizes goes to a prelude at the head of the
graph, where bodies of loops see it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.onnx.kernels import DTYPE, ELEMENT, LATER, OPSET, carrier
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.origin import UNKNOWN, Origin

Array = np.ndarray[Any, Any]

# Ways to look at a value, which all that ask for the same one share.
_VIEWS = frozenset({"Transpose", "Unsqueeze", "Squeeze", "Reshape", "Expand", "Cast", "Split"})


def dtype_of_value(value: onnx.Value) -> DType:
    """The element type of a value that an emitter made."""
    assert value.dtype is not None
    return DTYPE[value.dtype]


def literal(value: onnx.Value) -> Array | None:
    """The array of a value that is a constant of the graph, None for what is computed."""
    constant = value.const_value
    return None if isinstance(constant, onnx.ExternalTensor | None) else constant.numpy()


class Emitter:
    """The ONNX graph under construction.

    Attributes:
        prelude: nodes that compute sizes; they come first.
        nodes: the nodes of the graph or body that is being written.
        initializers: constants and parameters.
        opset: the version of the operator set that the nodes so far need.
        origin: where the node that is being lowered came from.
        word: the op that is being lowered, for error messages.
    """

    def __init__(self) -> None:
        self.prelude: list[onnx.Node] = []
        self.nodes: list[onnx.Node] = []
        self.initializers: list[onnx.Value] = []
        self.opset = OPSET
        self.origin: Origin = UNKNOWN
        self.word = ""
        self._names: Counter[str] = Counter()
        self._constants: dict[object, onnx.Value] = {}
        self._views: dict[object, tuple[onnx.Value, ...]] = {}

    # --- names and values -------------------------------------------------------------------

    def name(self, hint: str) -> str:
        """A name that nothing in the model has yet: `hint`, or `hint_2` and so on."""
        name = hint
        while self._names[name]:
            self._names[hint] += 1
            name = f"{hint}_{self._names[hint]}"
        self._names[name] += 1
        return name

    def value(self, hint: str, dtype: DType, shape: Sequence[int | str]) -> onnx.Value:
        """A value that no node makes: an input of the graph or of a body."""
        kind = onnx.TensorType(ELEMENT[dtype])
        return onnx.Value(name=self.name(hint), type=kind, shape=onnx.Shape(shape))

    def initializer(self, hint: str, tensor: onnx.TensorProtocol) -> onnx.Value:
        """An array of the model."""
        shape = onnx.Shape(tensor.shape.numpy())
        kind = onnx.TensorType(tensor.dtype)
        value = onnx.Value(name=self.name(hint), type=kind, shape=shape, const_value=tensor)
        self.initializers.append(value)
        return value

    def constant(self, value: object, dtype: DType | None = None) -> onnx.Value:
        """A small array, one for all its uses."""
        array = np.asarray(value)
        array = array if dtype is None else array.astype(dtype.numpy)
        key = (array.dtype, array.shape, array.tobytes())
        found = self._constants.get(key)
        if found is None:
            tensor = onnx.Tensor(array, ELEMENT[dtype_of(array.dtype)])
            found = self._constants[key] = self.initializer("constant", tensor)
        return found

    def ints(self, *values: int) -> onnx.Value:
        """A vector of i64, as shapes and axes are given."""
        return self.constant(np.array(values, np.int64))

    # --- nodes ------------------------------------------------------------------------------

    def op(self, kind: str, *inputs: onnx.Value | None, dtype: DType | None = None,
           **attrs: Any) -> onnx.Value:  # fmt: skip
        """A node with one output, of the data's element type unless `dtype` says otherwise.

        Raises:
            UnsupportedOpError: if the runtime has no kernel for the element type, nor for one
                that could carry it.
        """
        (output,) = self.ops(kind, *inputs, dtypes=(dtype,), **attrs)
        return output

    def ops(self, kind: str, *inputs: onnx.Value | None, dtypes: Sequence[DType | None],
            **attrs: Any) -> tuple[onnx.Value, ...]:  # fmt: skip
        """A node with an output for each of `dtypes`; None is the data's own."""
        data = inputs[1 if kind == "Where" else 0]
        if data is None:
            return self.node(kind, inputs, dtypes, attrs)
        own = dtype_of_value(data)
        reduction = attrs.get("reduction", "none")
        inner = carrier(kind if reduction == "none" else f"{kind}:{reduction}", own)
        if inner is None:
            raise UnsupportedOpError(
                f"ONNX Runtime has no kernel for {kind} on {own.value}, which {self.word} needs "
                f"(from {self.origin}); cast its operands to f32 first"
            )
        same = [x is not None and x.dtype == ELEMENT[own] for x in inputs]
        if kind == "Where":
            same[0] = False
        cast = [
            self.cast(x, inner) if x is not None and typed else x
            for x, typed in zip(inputs, same, strict=True)
        ]
        results = self.node(kind, cast, [inner if d is None else d for d in dtypes], attrs)
        return tuple(
            self.cast(result, own) if dtype is None else result
            for result, dtype in zip(results, dtypes, strict=True)
        )

    def cast(self, x: onnx.Value, dtype: DType) -> onnx.Value:
        """The same numbers as another element type."""
        if x.dtype == ELEMENT[dtype]:
            return x
        (y,) = self.node("Cast", (x,), (dtype,), {"to": int(ELEMENT[dtype])})
        return y

    def node(self, kind: str, inputs: Sequence[onnx.Value | None],
             dtypes: Sequence[DType | None], attrs: dict[str, Any],
             ) -> tuple[onnx.Value, ...]:  # fmt: skip
        """A node as it stands, without regard to kernels."""
        if kind not in _VIEWS:
            return self._append(kind, inputs, dtypes, attrs)
        key = (kind, *map(id, inputs), *dtypes, repr(attrs))
        if key not in self._views:
            self._views[key] = self._append(kind, inputs, dtypes, attrs)
        return self._views[key]

    def _append(
        self,
        kind: str,
        inputs: Sequence[onnx.Value | None],
        dtypes: Sequence[DType | None],
        attrs: dict[str, Any],
    ) -> tuple[onnx.Value, ...]:
        self.opset = max(self.opset, LATER.get(kind, OPSET))
        path = f"{self.origin.module}/" if self.origin.module else ""
        name = self.name(f"{path}{kind}")
        outputs = [
            onnx.Value(
                name=name if len(dtypes) == 1 else f"{name}:{i}",
                type=None if dtype is None else onnx.TensorType(ELEMENT[dtype]),
            )
            for i, dtype in enumerate(dtypes)
        ]
        node = onnx.node(kind, inputs, attrs, outputs=outputs, name=name)
        if self.origin != UNKNOWN:
            node.doc_string = str(self.origin)
        self.nodes.append(node)
        return tuple(outputs)

    # --- bodies -----------------------------------------------------------------------------

    @contextmanager
    def aside(self, nodes: list[onnx.Node]) -> Iterator[list[onnx.Node]]:
        """Write to another list of nodes for a while; what is written there is shared there."""
        outer, self.nodes, self._views = (self.nodes, self._views), nodes, {}
        try:
            yield nodes
        finally:
            self.nodes, self._views = outer

    def own(self, value: onnx.Value, taken: Sequence[onnx.Value]) -> onnx.Value:
        """The value as an output: made by a node that is written here, and given only once."""
        made = any(value is output for node in self.nodes for output in node.outputs)
        return value if made and not any(value is x for x in taken) else self.op("Identity", value)

    def body(self, hint: str, inputs: Sequence[onnx.Value], outputs: Sequence[onnx.Value],
             nodes: Sequence[onnx.Node]) -> onnx.Graph:  # fmt: skip
        """A finished body of a loop or branch."""
        return onnx.Graph(inputs, outputs, nodes=nodes, name=self.name(hint))

    def branch(self, pred: onnx.Value, then: onnx.Graph, other: onnx.Graph,
               dtypes: Sequence[DType]) -> tuple[onnx.Value, ...]:  # fmt: skip
        """One of two bodies."""
        return self.node("If", (pred,), dtypes, {"then_branch": then, "else_branch": other})
