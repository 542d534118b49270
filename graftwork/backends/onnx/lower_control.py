"""ONNX: control flow, with bodies that see the values around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx.lower_axes import positions
from graftwork.backends.onnx.lower_reduce import any_over
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node, Region
from graftwork.ir.op import Op
from graftwork.ir.types import Type


def _call(target: OnnxTarget, node: Node, operands: Operands) -> tuple[Laid, ...]:
    return target.lower(node.regions[0], operands)


def _place(target: OnnxTarget, hint: str, x: Type) -> Laid:
    """An input of a body."""
    dims = [size if isinstance(size, int) else str(size) for size in target.sizes(x.axes)]
    return Laid(target.emit.value(hint, x.dtype, dims), x.axes)


def _spread(target: OnnxTarget, results: Operands, types: Sequence[Type]) -> list[onnx.Value]:
    return [target.spread(x, to.axes) for x, to in zip(results, types, strict=True)]


def _owned(target: OnnxTarget, results: Sequence[onnx.Value]) -> list[onnx.Value]:
    """Values as outputs of the body that is being written."""
    outputs: list[onnx.Value] = []
    for result in results:
        outputs.append(target.emit.own(result, outputs))
    return outputs


# --- cond ---------------------------------------------------------------------------------------


def _cond(target: OnnxTarget, node: Node, operands: Operands) -> list[Laid]:
    pred, *args = operands
    types = [value.type for value in node.outputs]
    if pred.axes:
        return _chosen(target, node, pred, args)
    bodies = []
    for region, word in zip(node.regions, ("then", "else"), strict=True):
        with target.emit.aside([]) as nodes:
            outputs = _owned(target, _spread(target, target.lower(region, args), types))
        bodies.append(target.emit.body(word, [], outputs, nodes))
    then, other = bodies
    results = target.emit.branch(pred.array, then, other, [to.dtype for to in types])
    return [Laid(array, to.axes) for array, to in zip(results, types, strict=True)]


def _chosen(target: OnnxTarget, node: Node, pred: Laid, args: Operands) -> list[Laid]:
    """Both branches, and an elementwise choice."""
    both = zip(*(target.lower(region, args) for region in node.regions), node.outputs, strict=True)
    results = []
    for on_true, on_false, value in both:
        operands = [pred, on_true, on_false]
        axes = widest(operands, value.type.axes)
        array = target.emit.op("Where", *target.aligned(operands, axes))
        results.append(Laid(array, axes))
    return [
        Laid(target.spread(x, value.type.axes), value.type.axes)
        for x, value in zip(results, node.outputs, strict=True)
    ]


# --- while --------------------------------------------------------------------------------------


def _while(target: OnnxTarget, node: Node, operands: Operands) -> list[Laid]:
    """What is still going is one more carry, where it has axes: the finished are frozen."""
    test, body = node.regions
    carry, emit = node.attrs["carry"], target.emit
    types = [value.type for value in body.inputs[:carry]]
    consts = list(operands[carry:])
    start = [Laid(array, to.axes) for array, to in
             zip(_spread(target, operands[:carry], types), types, strict=True)]  # fmt: skip
    (going,) = target.lower(test, [*start, *consts])
    first = any_over(target, going, going.axes).array
    kept = [going] if going.axes else []
    step, goes = emit.value("step", DType.i64, []), emit.value("goes", DType.boolean, [])
    inner = [_place(target, "carry", to) for to in types]
    mask = [_place(target, "going", Type(DType.boolean, going.axes))] if kept else []
    with emit.aside([]) as nodes:
        after = _stepped(target, body, mask, inner, consts)
        (again,) = target.lower(test, [*after, *consts])
        more = any_over(target, again, again.axes).array
        results = [target.spread(x, y.axes) for x, y in zip(after, inner, strict=True)]
        masks = [target.lay(again, x.axes) for x in mask]
        outputs = _owned(target, [more, *results, *masks])
    inputs = [step, goes, *(x.array for x in (*inner, *mask))]
    graph = emit.body("body", inputs, outputs, nodes)
    carried = [x.array for x in (*start, *kept)]
    dtypes = [to.dtype for to in types] + [DType.boolean] * len(kept)
    found = emit.node("Loop", (None, first, *carried), dtypes, {"body": graph})
    return [Laid(array, to.axes) for array, to in zip(found, types, strict=False)]


def _stepped(target: OnnxTarget, body: Region, mask: Operands, state: Operands,
             consts: Operands) -> list[Laid]:  # fmt: skip
    """One more round of a loop, for those that are still going."""
    after = target.lower(body, [*state, *consts])
    if not mask:
        return list(after)
    results = []
    for new, old in zip(after, state, strict=True):
        arrays = target.aligned([*mask, new, old], old.axes)
        results.append(Laid(target.emit.op("Where", *arrays), old.axes))
    return results


# --- scan ---------------------------------------------------------------------------------------


def _scan(target: OnnxTarget, node: Node, operands: Operands) -> list[Laid]:
    """The runtime's Scan takes at least one step, so no steps are another branch."""
    (body,), attrs, emit = node.regions, node.attrs, target.emit
    types = [value.type for value in body.inputs[: attrs["carry"]]]
    start = _spread(target, operands[: attrs["carry"]], types)
    dtypes = [value.type.dtype for value in node.outputs]
    axis = attrs["axis"]
    if target.certain([axis]):
        results = _steps(target, node, start, operands, dtypes)
    else:
        with emit.aside([]) as nodes:
            outputs = _owned(target, _steps(target, node, start, operands, dtypes))
        some = emit.body("steps", [], outputs, nodes)
        with emit.aside([]) as nodes:
            outputs = _owned(target, [*start, *_nothing(target, node)])
        none = emit.body("no_steps", [], outputs, nodes)
        size = target.scalar(target.typing.size(axis))
        results = emit.branch(emit.cast(size, DType.boolean), some, none, dtypes)
    stacked = [(axis, *value.type.axes) for value in body.outputs[attrs["carry"] :]]
    axes = [to.axes for to in types] + stacked
    return [Laid(array, order) for array, order in zip(results, axes, strict=True)]


def _steps(target: OnnxTarget, node: Node, start: Sequence[onnx.Value], operands: Operands,
           dtypes: Sequence[DType]) -> Sequence[onnx.Value]:  # fmt: skip
    (body,), attrs, emit = node.regions, node.attrs, target.emit
    axis, carry, count = attrs["axis"], attrs["carry"], attrs["xs"]
    xs, consts = operands[carry : carry + count], operands[carry + count :]
    sliced = [Laid(x.array, tuple(a for a in x.axes if a != axis)) for x in xs]
    inner = [_place(target, "carry", value.type) for value in body.inputs[:carry]]
    items = [_place(target, "item", Type(value.type.dtype, x.axes))
             for value, x in zip(body.inputs[carry:], sliced, strict=False)]  # fmt: skip
    with emit.aside([]) as nodes:
        made = target.lower(body, [*inner, *items, *consts])
        types = [value.type for value in (*body.inputs[:carry], *body.outputs[carry:])]
        outputs = _owned(target, _spread(target, made, types))
    fed = [(x.array, x.axes.index(axis)) for x in xs]
    if not fed:  # the runtime counts steps by what it feeds
        fed = [(positions(target, axis, DType.i64), 0)]
        items = [Laid(emit.value("step", DType.i64, []), ())]
    graph = emit.body("body", [x.array for x in (*inner, *items)], outputs, nodes)
    known = {
        "body": graph,
        "num_scan_inputs": len(fed),
        "scan_input_axes": [place for _, place in fed],
    }
    if attrs["reverse"]:
        known["scan_input_directions"] = [1] * len(fed)
    if attrs["reverse"] and len(outputs) > carry:
        known["scan_output_directions"] = [1] * (len(outputs) - carry)
    return emit.node("Scan", (*start, *(array for array, _ in fed)), dtypes, known)


def _nothing(target: OnnxTarget, node: Node) -> list[onnx.Value]:
    """Stacked outputs of no steps."""
    results = []
    for value in node.regions[0].outputs[node.attrs["carry"] :]:
        shape = target.shape([0, *target.sizes(value.type.axes)])
        zero = target.emit.constant(0, value.type.dtype)
        results.append(target.emit.op("Expand", zero, shape))
    return results


TABLE: Mapping[Op, Lowering] = {
    ops.call: _call,
    ops.cond: _cond,
    ops.while_: _while,
    ops.scan: _scan,
}
