"""What ONNX Runtime does in one step and ONNX has no word for: for sessions, not for files."""

from __future__ import annotations

import onnx_ir as onnx

_DOMAIN = "com.microsoft"


def fuse_transposed(model: onnx.Model) -> None:
    """Multiply by transposed weights as they lie.

    The runtime would write out each of them as a constant first, which takes about as long as
    all else that it does before the first run, and as much memory again.
    """
    for node in model.graph.all_nodes():
        if node.op_type != "MatMul":
            continue
        turned = node.inputs[1]
        maker = None if turned is None else turned.producer()
        if maker is None or not _is_turned_weight(maker):
            continue
        node.domain, node.op_type = _DOMAIN, "FusedMatMul"
        node.attributes.add(onnx.AttrInt64("transB", 1))
        node.replace_input_with(1, maker.inputs[0])
        model.graph.opset_imports[_DOMAIN] = 1
        if not maker.outputs[0].uses() and maker.graph is not None:
            maker.graph.remove(maker, safe=True)


def _is_turned_weight(node: onnx.Node) -> bool:
    """Whether a node transposes a matrix of the model, of a type that the kernel takes."""
    weight = node.inputs[0] if node.op_type == "Transpose" else None
    if weight is None or not weight.is_initializer() or weight.dtype != onnx.DataType.FLOAT:
        return False
    perm = node.attributes["perm"].as_ints()
    return list(perm) == [1, 0]
