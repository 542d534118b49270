"""Every public pass with random arguments, for any model by its canonical sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import graftwork as gw
from graftwork import passes as p
from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Port
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing

STREAM = ("resid_pre", "resid_mid", "resid_post", "attn.out", "mlp.out")
HEADS = ("attn.q", "attn.k", "attn.v", "attn.z")
ANY = (*STREAM, *HEADS, "attn.in", "mlp.in", "mlp.pre", "mlp.post", "attn.pattern")


class Draw:
    """Random arguments for passes on one model."""

    def __init__(self, draw: Any, graph: gw.Graph) -> None:
        self.draw, self.graph = draw, graph
        self.rng = np.random.default_rng(draw(st.integers(0, 999)))

    def of(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def site(self, *words: str) -> str:
        return str(self.of(*[s for s in self.graph.sites if s.endswith(words)]))

    def size(self, site: str, role: str) -> int:
        return int(str(self.graph.axes[self.graph.sites[site].roles[role]]))

    def last(self, site: str) -> str:
        """A role of fixed size at a site."""
        roles = self.graph.sites[site].roles
        return next(r for r in ("embed", "head_dim", "mlp", "heads", "kv_heads") if r in roles)

    def where(self, site: str) -> Any:
        """Positions at a site, or everything."""
        roles = [r for r in self.graph.sites[site].roles if r != "batch"]
        role = self.of(None, *roles)
        if role is None:
            return None
        size = self.graph.axes[self.graph.sites[site].roles[role]]
        last = size - 1 if isinstance(size, int) else 2
        return {role: self.of(0, last, [0, last], slice(0, 1), slice(-2, None), -1)}

    def array(self, *shape: int) -> Any:
        return self.rng.standard_normal(shape) / 2

    def vector(self, site: str) -> gw.NamedArray:
        role = self.last(site)
        return gw.NamedArray(self.array(self.size(site, role)), (role,))

    def span(self) -> str:
        blocks = {s.rpartition(".attn")[0] for s in self.graph.sites if s.endswith(".attn.z")}
        return f"{self.of(*sorted(blocks))}.{self.of('attn', 'mlp')}"

    def pair(self) -> tuple[str, str]:
        """Two streams of one stack, the earlier first."""
        stack = self.of(*sorted({s.rpartition("blocks.0")[0] for s in self.graph.sites
                                 if "blocks.0.resid_pre" in s}))  # fmt: skip
        return f"{stack}blocks.0.resid_{self.of('pre', 'mid')}", f"{stack}blocks.1.resid_post"


def _metric(out: Any) -> Any:
    return out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 1}]


def _halved(x: Any) -> Any:
    return ops.tanh(x) * 0.5


def _smaller(d: Draw) -> gw.Graph:
    """A graph that can stand for a branch."""
    width = d.size(d.site("resid_pre"), "embed")
    sizes = {"batch": symbol("batch"), "seq": symbol("seq"), "embed": width}
    with Builder(Typing(sizes)) as b:
        x = b.input("f64", "batch seq embed", "x")
        y = x * 0.5
    port = Port("x", x.value, x.axes)
    return Graph((port,), (), tuple(b.nodes), (Port("y", y.value, y.axes),), b.typing.table)


def _rows(d: Draw, site: str, count: int = 2) -> Any:
    return np.linalg.qr(d.array(d.size(site, d.last(site)), count))[0].T


Made = p.Pass | Sequence[p.Pass]
At = Callable[[Draw, str], Made]


def _at(*words: str, edit: At) -> Callable[[Draw], Made]:
    return lambda d: edit(d, d.site(*words))


def _subspace(make: Callable[..., p.Pass], *arguments: Any) -> Callable[[Draw], Made]:
    return _at(*STREAM, "attn.z", edit=lambda d, s: make(s, "clean", *arguments))


PLAIN = (
    p.Name, p.ShareGroups, p.Unify, p.Unmerge, p.CancelViews, p.Cleanup, p.DropDead,
    p.DropIdentities, p.Fold, p.NarrowEarly, p.ShareCommon, p.Recover, p.FreezeNorms, p.Roll,
    p.Unroll, p.FoldNorms, p.CentreWriting, p.FoldParameters, p.MergeLoRA, p.PruneDead,
    p.SpareMaskedRows, p.SplitQKV, p.Untie, p.TunedLens, p.Contributions, p.CentreUnembed,
    p.OpenReads,
)  # fmt: skip

CATALOGUE: Mapping[type[p.Pass], Callable[[Draw], Made]] = {
    **{cls: lambda d, cls=cls: cls() for cls in PLAIN},
    p.Ablate: _at(*ANY, edit=lambda d, s: p.Ablate(s, d.where(s), mean=d.of(None, ("batch",)))),
    p.AsInputs: lambda d: p.AsInputs(d.of(*[q.name for q in d.graph.parameters], "**")),
    p.AttributionPatching: _at(
        *STREAM, "attn.z", edit=lambda d, s: p.AttributionPatching(_metric, s, "clean")
    ),
    p.BoundlessPatch: _subspace(p.BoundlessPatch, 2.0),
    p.Cast: lambda d: p.Cast(d.of("f64", "f32")),
    p.CastWeights: lambda d: p.CastWeights("f32", d.of("**", "**.weight", "**w")),
    p.Collect: _at(*ANY, edit=lambda d, s: p.Collect(s)),
    p.Decompose: _at("resid_pre", "resid_post", edit=lambda d, s: p.Decompose(
        s, heads=d.of(True, False), biases=d.of(True, False))),
    p.EdgeAttribution: lambda d: p.EdgeAttribution(_metric, "clean", steps=d.of(None, 2)),
    p.FoldValueBiases: lambda d: p.FoldValueBiases(whole_rows=True),
    p.Freeze: _at("attn.pattern", "mlp.out", edit=lambda d, s: p.Freeze(s)),
    p.Gradient: _at(*STREAM, "attn.z", edit=lambda d, s: p.Gradient(_metric, s)),
    p.GradientTimesInput: _at(
        *STREAM, edit=lambda d, s: p.GradientTimesInput(_metric, s, over=("embed",))
    ),
    p.In: _at(*STREAM, edit=lambda d, s: [
        p.In("second", p.Patch(s, d.where(s), "clean")),
        p.Patch(d.site("resid_post"), {"seq": 1}, "second")]),
    p.IntegratedGradients: _at(
        *STREAM, edit=lambda d, s: p.IntegratedGradients(_metric, s, d.of(None, "clean"), 2)
    ),
    p.JVP: lambda d: (lambda a, b: p.JVP(b, a, d.vector(a)))(*d.pair()),
    p.Keep: lambda d: p.Keep("logits"),
    p.KnockOutEdges: _at("attn.pattern", edit=lambda d, s: p.KnockOutEdges(
        s, {"seq": 2, "kv_seq": [0, 1]}, renormalize=d.of(True, False))),
    p.KnockOutHeads: _at("attn.pattern", edit=lambda d, s: p.KnockOutHeads(s, {"heads": 0}, 0.25)),
    p.Linearize: lambda d: p.Linearize(d.span()),
    p.LoRA: _at("attn.out", "mlp.out", "mlp.pre", edit=lambda d, s: p.LoRA(
        s, 2, d.of(0, 1), alpha=4, dropout=d.of(0.0, 0.5))),
    p.Learned: lambda d: p.Learned({d.graph.parameters[0].name: np.asarray(
        d.graph.params[d.graph.parameters[0].name]) * 1.1}),
    p.LogitAttribution: lambda d: p.LogitAttribution(3, d.of(None, 1), heads=d.of(True, False)),
    p.LogitLens: lambda d: p.LogitLens(norm=d.of(True, False)),
    p.LowRankPatch: _subspace(p.LowRankPatch, 2),
    p.Map: _at(*ANY, edit=lambda d, s: p.Map(s, _halved, d.where(s))),
    p.MaskEdges: lambda d: p.MaskEdges(d.of(None, "clean")),
    p.MaskPatch: _subspace(p.MaskPatch, 1.0),
    p.Measure: lambda d: p.Measure(_metric, "difference"),
    p.Noise: _at(*STREAM, edit=lambda d, s: p.Noise(s, 0.1, d.of(0, 1))),
    p.PCAPatch: _at(*STREAM, edit=lambda d, s: p.PCAPatch(s, "clean", _rows(d, s))),
    p.Patch: _at(*ANY, edit=lambda d, s: p.Patch(s, d.where(s), d.of("clean", "second"))),
    p.PatchEdges: lambda d: p.PatchEdges(
        (("blocks.0.attn.result.0", d.of("blocks.1.mlp.in", "final_norm", "blocks.1.attn.q.*")),),
        d.of(None, "clean")),
    p.PathPatch: lambda d: p.PathPatch(
        "blocks.0.attn.z", d.of("blocks.1.attn.q", "logits", "blocks.1.mlp.in"), "clean",
        where={"heads": 0}),
    p.PruneHeads: _at("attn.z", edit=lambda d, s: p.PruneHeads(s, [d.of(0, 1)])),
    p.PruneNeurons: _at("mlp.post", edit=lambda d, s: p.PruneNeurons(s, [0, d.of(2, -1)])),
    p.RankOne: lambda d: _rank_one(d),
    p.Replace: lambda d: p.Replace(f"{d.span().rpartition('.')[0]}.mlp", _smaller(d)),
    p.RotatedPatch: _subspace(p.RotatedPatch, 2),
    p.Scale: _at(*ANY, edit=lambda d, s: p.Scale(s, d.of(-1.0, 0.0, 2.0), d.where(s))),
    p.Skip: lambda d: p.Skip(d.span(), d.of(None, {"seq": 1})),
    p.SoftPrompt: _at("embed", edit=lambda d, s: p.SoftPrompt(2, key=d.of(0, 1), site=s)),
    p.Splice: _at(*STREAM, edit=lambda d, s: p.Splice(
        s, d.array(d.size(s, "embed"), 6), d.array(6, d.size(s, "embed")),
        error=d.of(True, False))),
    p.Steer: _at(*ANY[:-1], edit=lambda d, s: p.Steer(
        s, d.vector(s), 2.0, d.of(None, {"seq": 1}))),
    p.Train: lambda d: p.Train("**"),
    p.VJP: lambda d: (lambda a, b: p.VJP(b, a))(*d.pair()),
    p.Worlds: lambda d: [
        p.Worlds(d.graph.inputs[0].name, size=2),
        p.Rewire(d.site(*STREAM), np.array([[1.0, 0.0], [0.5, 0.5]]), d.of(None, {"seq": 1}))],
}  # fmt: skip
APART = {
    p.Pass: "is what they all are",
    p.Rewire: "comes with Worlds",
    p.Rewrite: "holds rules, which are code; tests/property/test_rule_promises.py has them all",
}


def _rank_one(d: Draw) -> p.Pass:
    weights = {q.value: q.name for q in d.graph.parameters if len(q.value.axes) == 2}
    maps = [n for n in d.graph.nodes if n.op.name == "linear" and n.inputs[1] in weights]
    node = d.of(*maps)
    (over,) = node.attrs["over"]
    (out,) = [a for a in node.inputs[1].axes if a != over]
    key, value = (int(str(d.graph.axes[a])) for a in (over, out))
    return p.RankOne(weights[node.inputs[1]], np.ones(key), d.array(value))


def drawn(draw: Any, graph: gw.Graph, kinds: Sequence[type[p.Pass]]) -> list[p.Pass]:
    """The passes that one entry of the catalogue comes to."""
    made = CATALOGUE[draw(st.sampled_from(kinds))](Draw(draw, graph))
    return [made] if isinstance(made, p.Pass) else list(made)
