"""A small decoder built by hand, and edits of it."""

from __future__ import annotations

from attrs import evolve

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.origin import Origin
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place, Site, Sites
from graftwork.ir.sizes import symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Typing

SIZES = {
    "batch": symbol("batch"),
    "seq": symbol("seq"),
    "kv_seq": symbol("seq"),
    "vocab": 11,
    "embed": 8,
    "heads": 2,
    "head_dim": 4,
    "mlp": 16,
}


class _Model:
    def __init__(self, root: str) -> None:
        self.builder = Builder(Typing(SIZES))
        self.parameters: list[Parameter] = []
        self.sites: dict[str, Site] = {}
        self.root = root

    def at(self, module: str, op: str = "aten.op") -> None:
        path = f"{self.root}.{module}".rstrip(".")
        self.builder.origin = Origin(path, "model.py:7", op)

    def weight(self, name: str, axes: str) -> Term:
        term = self.builder.input("f32", axes, name)
        self.parameters.append(Parameter(f"{self.root}.{name}", term.value, term.value.axes))
        return term

    def site(self, path: str, term: Term, inner: tuple[str, ...] = ()) -> None:
        roles = {} if inner else {axis: axis for axis in term.value.axes}
        self.sites[path] = Site(Place(term.value, inner), roles)


def decoder(blocks: int = 2, root: str = "model") -> Graph:
    """A decoder with attention and an MLP a block."""
    m = _Model(root)
    ids = m.builder.input("i64", "batch seq", "ids")
    with m.builder:
        m.at("wte", "aten.embedding")
        x = ops.embedding(m.weight("wte.weight", "vocab embed"), ids, axis="vocab")
        m.site("embed", x)
        m.at("")
        mask = ops.le(ops.iota(axis="kv_seq"), ops.iota(axis="seq"))
        for i in range(blocks):
            x = _block(m, i, x, mask)
        m.at("lm_head", "aten.linear")
        logits = ops.contract(x, m.weight("lm_head.weight", "vocab embed"), over="embed")
        m.site("logits", logits)
    ports = Port("ids", ids.value, ids.value.axes), Port("logits", logits.value, logits.value.axes)
    graph = Graph(
        (ports[0],),
        tuple(m.parameters),
        tuple(m.builder.nodes),
        (ports[1],),
        dict(m.builder.typing.table),
        sites=Sites(m.sites),
    )
    return evolve(graph, store=Store(({p.name: None for p in m.parameters},)))


def _block(m: _Model, i: int, x: Term, mask: Term) -> Term:
    name = f"layers.{i}"
    m.at(f"{name}.ln_1", "aten.layer_norm")
    h = ops.layer_norm(x, m.weight(f"{name}.ln_1.weight", "embed"), over="embed", eps=1e-5)
    heads = {}
    for part in "qkv":
        m.at(f"{name}.attn.{part}_proj", "aten.linear")
        w = m.weight(f"{name}.attn.{part}_proj.weight", "embed heads head_dim")
        heads[part] = ops.contract(h, w, over="embed")
    m.at(f"{name}.attn", "aten.sdpa")
    k, v = (ops.rename(heads[part], axes={"seq": "kv_seq"}) for part in "kv")
    z = ops.attention(heads["q"], k, v, mask, over="head_dim", key="kv_seq", scale=0.5)
    m.site(f"blocks.{i}.attn.q", heads["q"])
    m.site(f"blocks.{i}.attn.pattern", z, ("pattern",))
    m.site(f"blocks.{i}.attn.z", z)
    m.at(f"{name}.attn.o_proj", "aten.linear")
    w = m.weight(f"{name}.attn.o_proj.weight", "heads head_dim embed")
    out = ops.contract(z, w, over=("heads", "head_dim"))
    m.at(name, "aten.add")
    x = x + out
    m.at(f"{name}.mlp.up", "aten.linear")
    u = ops.contract(x, m.weight(f"{name}.mlp.up.weight", "embed mlp"), over="embed")
    m.at(f"{name}.mlp.act", "aten.gelu")
    u = u * 0.5 * (ops.tanh(u) + 1.0)
    m.site(f"blocks.{i}.mlp.post", u)
    m.at(f"{name}.mlp.down", "aten.linear")
    d = ops.contract(u, m.weight(f"{name}.mlp.down.weight", "mlp embed"), over="mlp")
    m.at(name, "aten.add")
    x = x + d
    m.site(f"blocks.{i}.resid_post", x)
    return x


def doubled(graph: Graph, site: str = "blocks.0.mlp.post") -> Graph:
    """The graph with a site times two."""
    rewriter = Rewriter(graph, "Double")
    rewriter.interpose(graph.sites[site].place.value, lambda x: x * 2.0)
    return rewriter.finish()


def rescaled(graph: Graph) -> Graph:
    """The graph with another scale in its first attention."""
    rewriter = Rewriter(graph, "Rescale")
    node = next(node for node in graph.nodes if node.op is ops.attention)
    words = node.attrs.as_dict() | {"scale": 0.25}
    rewriter.replace(node, lambda *operands: ops.attention(*operands, **words))
    return rewriter.finish()


def named(*names: str) -> Graph:
    """A graph that bears each name wherever a graph can bear one."""
    builder = Builder(Typing({"other": 4} | dict.fromkeys(names, 3)))
    inputs, parameters, outputs, sites = [], [], [], {}
    for name in names:
        x = builder.input("f32", dict.fromkeys((name, "other")), name)
        w = builder.input("f32", ("other",), name)
        builder.origin = Origin(f"{name}.{name}", name, name, (name,))
        with builder:
            y = ops.tanh(x * w) + 1.0
            builder.origin = Origin("plain", name, name)
            z = ops.sum(y, over=name)
        inputs.append(Port(name, x.value, x.value.axes))
        parameters.append(Parameter(name + ".w", w.value, w.value.axes, (name,)))
        outputs.append(Port(name, z.value, z.value.axes))
        sites[name] = Site(Place(y.value), {name: name})
    return Graph(
        tuple(inputs),
        tuple(parameters),
        tuple(builder.nodes),
        tuple(outputs),
        dict(builder.typing.table),
        sites=Sites(sites, {}, dict(zip(names, names, strict=True))),
    )
