"""A small graph that has one of everything: what the tests of the text, the verifier and storage
take apart.
"""

import numpy as np
from attrs import evolve

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import Origin
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.sizes import symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Typing

SIZES = {"batch": symbol("batch"), "seq": symbol("seq"), "embed": 4, "vocab": 7}
TEXT = """\
graph {
  axes { batch: batch, seq: seq, embed: 4, vocab: 7, kv_seq: seq, seq_2: min(seq, 2), best: 3 }

  input input_ids: i64{batch, seq} as [batch, 1, seq]
  param @wte.weight: f32{vocab, embed} alias lm_head.weight
  param @bias: f32{embed} frozen

  # wte
  %h = embedding(@wte.weight, %input_ids) axis=vocab : f32{batch, seq, embed}  !1
  # blocks.0.attn
  %k = rename(%h) axes={seq -> kv_seq} : f32{batch, kv_seq, embed}  !2
  %z = attention(%h, %k, %k) over=embed key=kv_seq scale=0.5 : f32{batch, seq, embed}  !2
  %0 = add(%h, %z) : f32{batch, seq, embed}  !2
  %h_2 = add(%0, @bias) : f32{batch, seq, embed}  !2
  # (top level)
  %1 = sum(%h_2) over={seq} : f32{batch, embed}
  %last, %rows = scan(%1, %h_2) axis=seq carry=1 xs=1 : f32{batch, embed}, f32{seq, batch, embed}
    body (%carry: f32{batch, embed}, %0: f32{batch, embed}) {
      %1 = constant() value=f32(0.1) : f32{}
      %2 = mul(%carry, %1) : f32{batch, embed}
      %3 = add(%2, %0) : f32{batch, embed}
      return %3, %3
    }
  # lm_head
  %2 = contract(%rows, @wte.weight) over={embed} : f32{seq, batch, vocab}  !3
  %3 = slice(%2) axis=seq stop=(min(seq, 2)) into=seq_2 : f32{seq_2, batch, vocab}  !3
  %4, %5 = top_k(%3) axis=vocab k=3 into=best : f32{seq_2, batch, best}, i64{seq_2, batch, best}  !3

  output logits = %2 as [batch, 1, seq, vocab]
  output best = %5

  site blocks.0.attn.pattern = pattern of %z {batch, seq, kv: kv_seq}
  site blocks.0.resid_post = %h_2 {batch, seq, embed}
  site step = %3 in [6, 0] {batch, embed}
  span blocks.0 = %h to %h_2
  unrecognised blocks.1 "no softmax"

  guard 1 <= seq <= 64 "positions"
  guard (2*seq - 1) <= 99

  origins {
    !1 module=wte op=aten.embedding source="gpt.py:14"
    !2 module=blocks.0.attn
    !3 module=lm_head op=aten.linear source="gpt.py:20" passes=[unify, name]
  }
}
"""


def named(term: Term, name: str) -> Term:
    """The same term, its value called by another name."""
    builder = term.builder
    value = evolve(term.value, name=name)
    node = builder.nodes[-1]
    outputs = tuple(value if v is term.value else v for v in node.outputs)
    builder.nodes[-1] = Node(node.op, node.inputs, outputs, node.attrs, node.regions, node.origin)
    return Term(value, builder)


def example() -> Graph:
    """The graph that `TEXT` writes."""
    builder = Builder(Typing(SIZES))
    ids = builder.input("i64", "batch seq", "input_ids")
    wte = builder.input("f32", "vocab embed")
    bias = builder.input("f32", "embed")
    builder.origin = Origin("wte", "gpt.py:14", "aten.embedding")
    h = named(ops.embedding(wte, ids, axis="vocab"), "h")
    builder.origin = Origin("blocks.0.attn")
    k = named(h.rename(seq="kv_seq"), "k")
    z = named(ops.attention(h, k, k, over="embed", key="kv_seq", scale=0.5), "z")
    post = named(h + z + bias, "h")
    builder.origin = Origin()
    rows, step = scanned(builder, post)
    builder.origin = Origin("lm_head", "gpt.py:20", "aten.linear", ("unify", "name"))
    logits = ops.contract(rows, wte, over="embed")
    _, best = ops.top_k.emit(logits[{"seq": slice(0, 2)}], axis="vocab", k=3, into="best")
    sites = {
        "blocks.0.attn.pattern": Site(
            Place(z.value, ("pattern",)), {"batch": "batch", "seq": "seq", "kv": "kv_seq"}
        ),
        "blocks.0.resid_post": Site(Place(post.value), same("batch", "seq", "embed")),
        "step": Site(Place(step), same("batch", "embed")),
    }
    spans = {"blocks.0": Span(Place(h.value), Place(post.value))}
    return Graph(
        (Port("input_ids", ids.value, ("batch", None, "seq")),),
        (
            Parameter("wte.weight", wte.value, wte.axes, ("lm_head.weight",)),
            Parameter("bias", bias.value, bias.axes, trainable=False),
        ),
        tuple(builder.nodes),
        (
            Port("logits", logits.value, ("batch", None, "seq", "vocab")),
            Port("best", best.value, best.axes),
        ),
        builder.typing.table,
        Store(({"wte.weight": np.ones((7, 4), "f"), "bias": np.zeros(4, "f")},)),
        Sites(sites, spans, {"blocks.1": "no softmax"}),
        (Guard(symbol("seq"), 1, 64, "positions"), Guard(2 * symbol("seq") - 1, None, 99)),
    )


def same(*axes: str) -> dict[str, str]:
    """Roles that are called like their axes."""
    return {axis: axis for axis in axes}


def scanned(builder: Builder, x: Term) -> tuple[Term, Value]:
    """A scan over seq: its rows, and the value inside that they come from."""
    inner = Builder(builder.typing)
    carry = inner.input("f32", "batch embed", "carry")
    row = inner.input("f32", "batch embed")
    total = carry * 0.1 + row
    body = Region((carry.value, row.value), tuple(inner.nodes), (total.value, total.value))
    attrs = {"axis": "seq", "carry": 1, "xs": 1}
    last, rows = builder.emit(REGISTRY["scan"], (x.sum("seq"), x), attrs, (body,))
    node = builder.nodes[-1]
    outputs = (Value(last.type, "last"), Value(rows.type, "rows"))
    builder.nodes[-1] = Node(node.op, node.inputs, outputs, node.attrs, node.regions, node.origin)
    return Term(outputs[1], builder), total.value
