"""Bringing a program to functional operators that rules know, where it is not in them already.

Rules know torch's composite operators as well as its core ones, so most programs are translated as
they were exported. Decomposing traces a program anew, which takes longer than its export.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch._decomp import decomposition_table
from torch._ops import HigherOrderOperator
from torch.fx import GraphModule

# Operators of the default decomposition table that are kept whole.
KEPT = {
    "dropout",
    "einsum",
    "group_norm",
    "gru",
    "layer_norm",
    "linear",
    "log_softmax",
    "lstm",
    "matmul",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "rms_norm",
    "rnn_relu",
    "rnn_tanh",
    "scaled_dot_product_attention",
    "select_scatter",
    "silu",
    "softmax",
    "softplus",
    "stack",
    "tril",
    "triu",
}
Knows = Callable[[str], object]  # whether some rule translates an operator


def simplified(program: torch.export.ExportedProgram, knows: Knows) -> torch.export.ExportedProgram:
    """The program in known, functional operators; decomposed, which is slow, only if it is not."""
    graphs = (m.graph for m in program.graph_module.modules() if isinstance(m, GraphModule))
    calls = (node for graph in graphs for node in graph.nodes if node.op == "call_function")
    if all(_is_plain(node, knows) for node in calls):
        return program
    return _decomposed(program, knows)


def _is_plain(node: torch.fx.Node, knows: Knows) -> bool:
    """Whether a call can be translated as it stands; numbers are read where they are used."""
    if is_number(node.meta.get("val")) or node.target is operator.getitem:
        return True
    if not isinstance(node.target, HigherOrderOperator):
        schema = getattr(node.target, "_schema", None)
        if schema is None or _writes(node, schema):
            return False
    return bool(knows(str(node.target)))


def _writes(node: torch.fx.Node, schema: torch.FunctionSchema) -> bool:
    """Whether a call changes numbers that it is given: running statistics too, of which its
    signature says nothing, though not the tape that gradients are recorded on."""
    if node.target is torch.ops.aten.batch_norm.default:
        return bool(node.args[5])
    return schema.is_mutable and node.target is not torch.ops.aten.detach_.default


def is_number(value: Any) -> bool:
    """Whether a node of a program is a number that is computed from sizes."""
    kinds = (bool, int, float, torch.SymInt, torch.SymFloat, torch.SymBool)
    return isinstance(value, kinds)


@cache
def _decompositions(knows: Knows) -> Mapping[Any, Callable[..., Any]]:
    """The default table less what is kept whole, and whatever else torch can open that no rule
    knows."""
    table = {
        op: opened
        for op, opened in dict(torch.export.default_decompositions()).items()
        if str(op).split(".")[1] not in KEPT
    }
    others = {op: opened for op, opened in decomposition_table.items() if not knows(str(op))}
    return others | table


def _decomposed(
    program: torch.export.ExportedProgram, knows: Knows
) -> torch.export.ExportedProgram:
    """The program in few, functional operators, less those that are kept whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain: torch.export.ExportedProgram = program.run_decompositions(
            dict(_decompositions(knows))
        )
    let_go()
    return plain


def let_go() -> None:
    """Let torch forget the traced tensors, which it would keep until the next export."""
    from torch.fx.experimental import proxy_tensor

    kept = getattr(proxy_tensor, "_FAKE_TENSOR_ID_TO_PROXY_MAP_FOR_EXPORT", None)
    if kept is not None:
        kept.clear()
