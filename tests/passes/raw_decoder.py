"""A small decoder as a frontend leaves it: every tensor over axes of its own, renamed to meet."""

from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.positional import Positional, aligned, fresh, matched
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing

EMBED, HEADS, GROUPS, HEAD_DIM, MLP, VOCAB = 12, 2, 2, 6, 20, 30


class Raw:
    """Positional programming, with a parameter for every name."""

    def __init__(self):
        self.typing = Typing({"batch": symbol("batch"), "seq": symbol("seq")})
        self.builder = Builder(self.typing)
        self.parameters = []

    def parameter(self, name, *sizes):
        dims = tuple(fresh(self.typing, size) for size in sizes)
        term = self.builder.input("f64", dims, name)
        self.parameters.append(Parameter(name, term.value, dims))
        return Positional(term, dims)

    def product(self, x, weight):
        """x over its last dimension with the last of a weight."""
        left = [*range(x.rank - 1), "over"]
        (a, b), chosen = matched((x, left), (weight, ["out", "over"]))
        term = ops.linear(a.term, b.term, over=chosen["over"])
        return Positional(term, tuple(chosen[label] for label in (*left[:-1], "out")))

    def pointwise(self, op, *xs):
        terms, dims = aligned(*xs)
        return Positional(op(*terms), dims)

    def split(self, x, *sizes):
        parts = tuple(fresh(self.typing, size) for size in sizes)
        term = ops.split(x.term, axis=x.dims[-1], into=parts, sizes=sizes)
        return Positional(term, (*x.dims[:-1], *parts))

    def norm(self, x, name):
        (a, w), _ = matched((x, range(x.rank)), (self.parameter(name, EMBED), [x.rank - 1]))
        return Positional(ops.rms_norm(a.term, w.term, over=a.dims[-1], eps=1e-6), a.dims)


def attention(raw, x, path, mask):
    """Grouped queries against repeated keys, written out."""
    q = raw.split(
        raw.product(x, raw.parameter(f"{path}.q", HEADS * GROUPS * HEAD_DIM, EMBED)),
        HEADS * GROUPS, HEAD_DIM,
    )  # fmt: skip
    k, v = (
        raw.split(
            raw.product(x, raw.parameter(f"{path}.{word}", HEADS * HEAD_DIM, EMBED)),
            HEADS, HEAD_DIM,
        )
        for word in "kv"
    )  # fmt: skip
    k, v = (repeated(raw, y) for y in (k, v))
    key = fresh(raw.typing, symbol("seq"))
    (a, b), at = matched((q, ["b", "s", "h", "d"]), (key_positions(k, key), ["b", "t", "h", "d"]))
    scores = Positional(
        ops.contract(a.term, b.term, over=at["d"]), tuple(at[c] for c in ("b", "s", "h", "t"))
    )
    (scores, mask), at = matched((scores, ["b", "s", "h", "t"]), (mask, ["s", "t"]))
    masked = ops.select(mask.term, scores.term, -1e9)
    pattern = Positional(ops.softmax(masked, axis=at["t"]), scores.dims)
    (p, w), at = matched((pattern, ["b", "s", "h", "t"]), (v, ["b", "t", "h", "e"]))
    z = ops.contract(p.term, w.term, over=at["t"])
    flat = fresh(raw.typing, HEADS * GROUPS * HEAD_DIM)
    merged = ops.merge(z, axes=(at["h"], at["e"]), into=flat)
    out = Positional(merged, (at["b"], at["s"], flat))
    return raw.product(out, raw.parameter(f"{path}.o", EMBED, HEADS * GROUPS * HEAD_DIM))


def repeated(raw, x):
    """Each head as often as there are groups."""
    group, into = fresh(raw.typing, GROUPS), fresh(raw.typing, HEADS * GROUPS)
    wide = ops.broadcast(x.term, axes=group)
    heads = x.dims[-2]
    return Positional(
        ops.merge(wide, axes=(heads, group), into=into), (*x.dims[:-2], into, x.dims[-1])
    )


def key_positions(x, key):
    """The same keys along an axis of their own."""
    return Positional(
        ops.rename(x.term, axes={x.dims[1]: key}), tuple(key if a == "seq" else a for a in x.dims)
    )


def causal(raw):
    """Which keys a query sees, over axes that are nobody's yet."""
    rows, columns = (fresh(raw.typing, symbol("seq")) for _ in range(2))
    with raw.builder:
        return Positional(ops.ge(ops.iota(axis=rows), ops.iota(axis=columns)), (rows, columns))


def mlp(raw, x, path):
    """A gated unit, computed on merged rows as some models do."""
    flat = fresh(raw.typing, symbol("batch") * symbol("seq"))
    rows = Positional(ops.merge(x.term, axes=x.dims[:2], into=flat), (flat, x.dims[2]))
    gate = raw.product(rows, raw.parameter(f"{path}.gate", MLP, EMBED))
    up = raw.product(rows, raw.parameter(f"{path}.up", MLP, EMBED))
    inner = raw.pointwise(lambda a, b: ops.silu(a) * b, gate, up)
    out = raw.product(inner, raw.parameter(f"{path}.down", EMBED, MLP))
    sizes = tuple(symbol(name) for name in ("batch", "seq"))
    parts = tuple(fresh(raw.typing, size) for size in sizes)
    return Positional(
        ops.split(out.term, axis=out.dims[0], into=parts, sizes=sizes), (*parts, out.dims[1])
    )


def raw_decoder(layers=2):
    """A decoder with grouped queries, from ids to logits."""
    raw = Raw()
    with raw.builder:
        ids = Positional(raw.builder.input("i64", "batch seq", "ids"), ("batch", "seq"))
        table = raw.parameter("wte.weight", VOCAB, EMBED)
        rows = ops.embedding(table.term, ids.term, axis=table.dims[0])
        x = Positional(rows, (*ids.dims, table.dims[1]))
        mask = causal(raw)
        for layer in range(layers):
            path = f"layers.{layer}"
            normed = raw.norm(x, f"{path}.norm1.weight")
            x = raw.pointwise(ops.add, x, attention(raw, normed, f"{path}.attn", mask))
            normed = raw.norm(x, f"{path}.norm2.weight")
            x = raw.pointwise(ops.add, x, mlp(raw, normed, f"{path}.mlp"))
        x = raw.norm(x, "norm.weight")
        logits = raw.product(x, raw.parameter("head.weight", VOCAB, EMBED))
    return Graph(
        (Port("ids", ids.term.value, ids.dims),),
        tuple(raw.parameters),
        tuple(raw.builder.nodes),
        (Port("logits", logits.term.value, logits.dims),),
        raw.typing.table,
    )
