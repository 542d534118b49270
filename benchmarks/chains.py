"""One graph in four libraries, and the same work on it in each: ours, torch.fx, onnx-ir and xDSL.

The graph is a chain of blocks of four nodes, `softmax(tanh(x) + x) * x`; none is like another, and
none is dead; xDSL has no softmax, and takes an exponential for it. A library is a function that
gives the operations that it has; what they work on is made before the clock starts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import graftwork as gw
from graftwork import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Port
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from graftwork.passes.cleanup import ShareCommon

Work = Callable[[], object]
BLOCK = 4
RUNS = 6
"""So often each operation can run: some libraries edit in place, and need fresh graphs."""


def chain(size: int, copies: int = 1) -> gw.Graph:
    """So many nodes, of which each block is computed `copies` times over."""
    builder = Builder(Typing({"embed": 8}))
    x = term = builder.input("float32", "embed", "x")
    for _ in range(size // (BLOCK * copies)):
        term = [_block(term) for _ in range(copies)][-1]
    return gw.Graph(
        inputs=(Port("x", x.value, x.axes),),
        parameters=(),
        nodes=tuple(builder.nodes),
        outputs=(Port("y", term.value, term.axes),),
        axes=builder.typing.table,
    )


def _block(x: Term) -> Term:
    return ops.softmax(ops.tanh(x) + x, axis="embed") * x


def _log_softmax(x: Term) -> Term:
    return ops.log_softmax(x, axis="embed")


OTHERS: Mapping[Any, Callable[..., Term]] = {
    ops.tanh: ops.sin,
    ops.add: ops.sub,
    ops.mul: ops.div,
    ops.softmax: _log_softmax,
}


def substitute(graph: gw.Graph, every: int = 1) -> gw.Graph:
    """Every node, or one in so many, becomes another of as many operands."""
    rewriter = Rewriter(graph, "substitute")
    for node in graph.nodes[::every]:
        rewriter.replace(node, OTHERS[node.op])
    return rewriter.finish()


def ours(size: int) -> Mapping[str, Work]:
    """The operations of graftwork by name."""
    graph, doubled = chain(size), chain(size, copies=2)
    text, edited = str(graph), substitute(graph, every=BLOCK + 1)
    return {
        "build": lambda: chain(size),
        "verify what an edit changed": lambda: verify(edited, since=graph),
        "share what is common": lambda: ShareCommon()(doubled),
        "substitute": lambda: substitute(graph),
        "verify": lambda: verify(graph),
        "print": lambda: str(graph),
        "parse": lambda: gw.parse(text),
    }


# --- torch.fx -----------------------------------------------------------------------------------


def torch_fx(size: int) -> Mapping[str, Work]:
    """Those that torch.fx has; its sharing makes a module, with the code that that takes."""
    import torch
    from torch.fx import GraphModule
    from torch.fx.passes.dialect.common.cse_pass import CSEPass

    graph = fx_chain(size)
    doubled = GraphModule(torch.nn.Module(), fx_chain(size, copies=2))
    return {
        "build": lambda: fx_chain(size),
        "share what is common": lambda: CSEPass().call(doubled),
        "substitute": lambda: fx_substitute(graph),
        "verify": graph.lint,
        "print": lambda: str(graph),
    }


def fx_chain(size: int, copies: int = 1) -> Any:
    """The chain as a `torch.fx.Graph`."""
    import torch
    from torch.fx import Graph

    graph = Graph()
    term = graph.placeholder("x")

    def block(x: Any) -> Any:
        made = graph.call_function(torch.tanh, (x,))
        made = graph.call_function(operator.add, (made, x))
        made = graph.call_function(torch.softmax, (made,), {"dim": 0})
        return graph.call_function(operator.mul, (made, x))

    for _ in range(size // (BLOCK * copies)):
        term = [block(term) for _ in range(copies)][-1]
    graph.output(term)
    return graph


def fx_substitute(graph: Any) -> None:
    """Every node becomes its partner; in place, and a second time back."""
    import torch

    others = _both_ways(
        {
            torch.tanh: torch.sin,
            operator.add: operator.sub,
            operator.mul: operator.truediv,
            torch.softmax: torch.log_softmax,
        }
    )
    for node in list(graph.nodes):
        if node.op == "call_function":
            with graph.inserting_after(node):
                new = graph.call_function(others[node.target], node.args, node.kwargs)
            node.replace_all_uses_with(new)
            graph.erase_node(node)


# --- onnx-ir ------------------------------------------------------------------------------------


def onnx_ir(size: int) -> Mapping[str, Work]:
    """Those that onnx-ir has; sharing is in place, so each run takes a graph of its own."""
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass

    model = onnx_chain(size)
    doubled = [onnx_chain(size, copies=2) for _ in range(RUNS)]
    return {
        "build": lambda: onnx_chain(size),
        "share what is common": lambda: CommonSubexpressionEliminationPass()(doubled.pop()),
        "substitute": lambda: onnx_substitute(model),
        "print": lambda: str(model.graph),
    }


def onnx_chain(size: int, copies: int = 1) -> Any:
    """The chain as an `onnx_ir.Model`."""
    import onnx_ir

    x = term = onnx_ir.val("x", onnx_ir.DataType.FLOAT, (8,))
    nodes = []

    def emit(kind: str, *inputs: Any, **attrs: Any) -> Any:
        node = onnx_ir.node(kind, inputs, attrs)
        nodes.append(node)
        return node.outputs[0]

    def block(x: Any) -> Any:
        return emit("Mul", emit("Softmax", emit("Add", emit("Tanh", x), x), axis=0), x)

    for _ in range(size // (BLOCK * copies)):
        term = [block(term) for _ in range(copies)][-1]
    graph = onnx_ir.Graph([x], [term], nodes=nodes, opset_imports={"": 23}, name="chain")
    return onnx_ir.Model(graph, ir_version=11)


def onnx_substitute(model: Any) -> None:
    """Every node becomes its partner; in place, and a second time back."""
    import onnx_ir

    others = _both_ways({"Tanh": "Sin", "Add": "Sub", "Mul": "Div", "Softmax": "LogSoftmax"})
    for old in list(model.graph):
        new = onnx_ir.node(others[old.op_type], old.inputs, old.attributes)
        onnx_ir.convenience.replace_nodes_and_values(
            model.graph, old, [old], [new], old.outputs, new.outputs
        )


# --- xDSL ---------------------------------------------------------------------------------------


def xdsl(size: int) -> Mapping[str, Work]:
    """Those that xDSL has; sharing is in place, so each run takes a graph of its own."""
    from xdsl.context import Context
    from xdsl.dialects import arith, builtin, func, math
    from xdsl.parser import Parser
    from xdsl.transforms.common_subexpression_elimination import cse

    module = xdsl_chain(size)
    doubled = [xdsl_chain(size, copies=2) for _ in range(RUNS)]
    text, context = str(module), Context()
    for dialect in (builtin.Builtin, func.Func, arith.Arith, math.Math):
        context.load_dialect(dialect)
    return {
        "build": lambda: xdsl_chain(size),
        "share what is common": lambda: cse(doubled.pop()),
        "substitute": lambda: xdsl_substitute(module),
        "verify": module.verify,
        "print": lambda: str(module),
        "parse": lambda: Parser(context, text).parse_module(),
    }


def xdsl_chain(size: int, copies: int = 1) -> Any:
    """The chain as the body of a function in a `builtin.module`."""
    from xdsl.dialects import arith, builtin, func, math
    from xdsl.ir import Block, Region

    block = Block(arg_types=[builtin.f32])
    (term,) = block.args

    def emit(op: Any) -> Any:
        block.add_op(op)
        return op.results[0]

    def step(x: Any) -> Any:
        made = emit(arith.AddfOp(emit(math.TanhOp(x)), x))
        return emit(arith.MulfOp(emit(math.ExpOp(made)), x))

    for _ in range(size // (BLOCK * copies)):
        term = [step(term) for _ in range(copies)][-1]
    block.add_op(func.ReturnOp(term))
    signature = builtin.FunctionType.from_lists([builtin.f32], [builtin.f32])
    return builtin.ModuleOp([func.FuncOp("chain", signature, Region(block))])


def xdsl_substitute(module: Any) -> None:
    """Every node becomes its partner; in place, and a second time back."""
    from xdsl.dialects import arith, math
    from xdsl.rewriter import Rewriter

    others = _both_ways(
        {
            math.TanhOp: math.SinOp,
            arith.AddfOp: arith.SubfOp,
            arith.MulfOp: arith.DivfOp,
            math.ExpOp: math.LogOp,
        }
    )
    (function,) = module.body.block.ops
    for op in list(function.body.block.ops):
        if type(op) in others:
            Rewriter.replace_op(op, others[type(op)](*op.operands))


def _both_ways(pairs: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return {**pairs, **{new: old for old, new in pairs.items()}}
