"""Keys and values that several query heads read are shared, not repeated."""

from __future__ import annotations

import graftwork as gw
from graftwork import passes as p
from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.draw import FLOATS, Draw
from graftwork.ir.graph import Graph, Port
from graftwork.ir.selector import Selector
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing
from graftwork.passes.axes import ShareGroups
from graftwork.passes.lowering import lowered
from graftwork.testing import assert_equivalent, check_rule
from graftwork.testing.values import NORMAL, WHOLE

BACKENDS = ("jax", "torch", "onnx")
SIZES = {
    "seq": symbol("seq"), "kv_seq": symbol("seq"), "inner": 24, "kv_inner": 8, "head_dim": 4,
    "heads": 6, "kv_heads": 2, "groups": 3,
}  # fmt: skip


def grouped_attention() -> Graph:
    """Six query heads over two heads of keys and values, as models write it."""
    builder = Builder(Typing(SIZES))
    names = {"x": "seq inner", "k": "kv_seq kv_inner", "v": "kv_seq kv_inner"}
    terms = {name: builder.input("f64", axes, name) for name, axes in names.items()}
    q = terms["x"].split("inner", heads=6, head_dim=4)
    k, v = (repeated(terms[name].split("kv_inner", kv_heads=2, head_dim=4)) for name in "kv")
    z = ops.attention(q, k, v, over="head_dim", key="kv_seq", scale=0.5)
    out = z.merge("heads", "head_dim", into="inner") + terms["x"]
    given = [Port(name, term.value, term.axes) for name, term in terms.items()]
    found = {"out": out, "z": z}
    return gw.Graph(
        inputs=tuple(given),
        parameters=(),
        nodes=tuple(builder.nodes),
        outputs=tuple(Port(name, term.value, term.axes) for name, term in found.items()),
        axes=builder.typing.table,
    )


def repeated(x: Term) -> Term:
    return x.broadcast("groups").merge("kv_heads", "groups", into="heads")


def planted_groups(draw: Draw) -> Term:
    """A repeated operand beside one that has the whole axis of its own, and what makes of both."""
    whole = draw.make(6)
    x = draw.operand(FLOATS, axes=(whole,))
    part, groups = draw.make(draw.pick(2, 1)), draw.new()
    few = draw.operand((x.dtype,), axes=(part,), avoid=(whole,))
    builder = few.builder
    builder.typing.make(groups, 6 // int(builder.typing.size(part)))
    many = few.broadcast(groups).merge(*draw.pick((part, groups), (groups, part)), into=whole)
    return draw.pick(
        lambda: x * many,
        lambda: ops.contract(x, many, over=whole),
        lambda: (x + many)[{whole: 2}],
        lambda: ops.flip(x, axes=whole) + many,
        lambda: (x * many).split(whole, **{draw.new(): 3, draw.new(): 2}),
    )()


def test_it_keeps_meaning_wherever_something_is_repeated() -> None:
    check_rule(planted_groups, ShareGroups(), kinds=(WHOLE, NORMAL), max_examples=40)


def test_nothing_is_repeated_under_grouped_queries() -> None:
    graph = grouped_attention()
    low = lowered(graph)
    assert not [node for node in low.nodes if node.op is ops.broadcast]
    (attention,) = (node for node in low.nodes if node.op is ops.attention)
    assert [set(x.axes) for x in attention.inputs] == [
        {"seq", "kv_heads", "groups", "head_dim"},
        {"kv_seq", "kv_heads", "head_dim"},
        {"kv_seq", "kv_heads", "head_dim"},
    ]
    assert_equivalent(graph, low, backends=BACKENDS, kinds=(WHOLE, NORMAL))


def test_an_edit_of_one_head_keeps_the_sharing() -> None:
    graph = grouped_attention().apply(p.Ablate(Selector(op="attention"), where={"heads": 4}))
    low = lowered(graph)
    assert not [node for node in low.nodes if node.op is ops.broadcast]
    assert_equivalent(graph, low, backends=BACKENDS, kinds=(WHOLE, NORMAL))
