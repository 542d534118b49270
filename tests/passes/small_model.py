"""A two-weight model with one block, in the graph and in plain numpy with hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from graftwork.backends import compile
from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.origin import Origin
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.sizes import symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Typing

Array = np.ndarray[Any, Any]
Hooks = Mapping[str, Callable[[Array], Array]]

RNG = np.random.default_rng(0)
WEIGHTS = {
    "up": RNG.normal(size=(16, 8)),
    "down": RNG.normal(size=(8, 16)),
    "head": RNG.normal(size=(5, 8)),
}
X, Y = RNG.normal(size=(2, 2, 3, 8))
VECTOR = RNG.normal(size=8)


def block(stream: Array, hooks: Hooks) -> Array:
    hidden = stream @ WEIGHTS["up"].T
    hidden = 0.5 * hidden * (1 + special.erf(hidden / np.sqrt(2)))
    return hooks.get("post", lambda a: a)(hidden) @ WEIGHTS["down"].T


def hooked(x: Array, hooks: Hooks | None = None) -> Array:
    """The model in plain numpy; a hook replaces the activation that it is named for."""
    hooks = hooks or {}
    stream = hooks.get("pre", lambda a: a)(x * 1.5)
    out = hooks.get("out", lambda a: a)(block(stream, hooks))
    return hooks.get("resid_post", lambda a: a)(stream + out) @ WEIGHTS["head"].T


def model() -> Graph:
    """The same model as a graph, with its sites."""
    sizes = {"batch": symbol("batch"), "seq": symbol("seq"), "embed": 8, "mlp": 16, "vocab": 5}
    b = Builder(Typing(sizes))
    x = b.input("f64", "batch seq embed", "x")
    up = b.input("f64", "mlp embed", "up")
    down = b.input("f64", "embed mlp", "down")
    head = b.input("f64", "vocab embed", "head")
    stream = x * 1.5
    b.origin = Origin("model.mlp.up", "model.py:10", "aten.linear")
    pre = ops.linear(stream, up, over="embed")
    b.origin = Origin("model.mlp.act", "model.py:11", "aten.gelu")
    post = ops.gelu(pre)
    b.origin = Origin("model.mlp.down", "model.py:12", "aten.linear")
    out = ops.linear(post, down, over="mlp")
    b.origin = Origin("model", "model.py:13", "aten.add")
    resid = stream + out
    b.origin = Origin("head", "model.py:14", "aten.linear")
    logits = ops.linear(resid, head, over="embed")
    roles = {"batch": "batch", "seq": "seq", "embed": "embed"}
    neurons = {"batch": "batch", "seq": "seq", "mlp": "mlp"}
    table = {
        "blocks.0.resid_pre": Site(Place(stream.value), roles),
        "blocks.0.mlp.post": Site(Place(post.value), neurons),
        "blocks.0.mlp.out": Site(Place(out.value), roles),
        "blocks.0.resid_post": Site(Place(resid.value), roles),
    }
    spans = {"blocks.0.mlp": Span(Place(stream.value), Place(out.value))}
    return Graph(
        (Port("x", x.value, x.axes),),
        tuple(
            Parameter(name, term.value, term.axes)
            for name, term in (("up", up), ("down", down), ("head", head))
        ),
        tuple(b.nodes),
        (Port("logits", logits.value, logits.axes),),
        b.typing.table,
        Store().over(WEIGHTS),
        Sites(table, spans),
    )


def run(graph: Graph, **inputs: Any) -> Array:
    return np.asarray(compile(graph, "numpy")(**inputs)["logits"])
