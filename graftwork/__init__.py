"""graftwork: trained models as programs.

Convert a PyTorch or JAX model to an immutable graph with named axes, rewrite it with passes, and
run the result with JAX, TorchInductor or ONNX Runtime:

    graph = gw.from_torch(model, input_ids, axes={"input_ids": "batch seq"})
    ablated = graph.apply(gw.passes.Ablate("blocks.5.attn.z", where={"heads": 3}))
    out = gw.compile(ablated, backend="jax")(input_ids=input_ids)

Importing this package loads no framework; each is loaded where it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork import passes as passes
    from graftwork import testing as testing
    from graftwork import viz as viz
    from graftwork.backends import Program as Program
    from graftwork.backends import register_lowering as register_lowering
    from graftwork.circuits import Circuit as Circuit
    from graftwork.circuits import prune_edges as prune_edges
    from graftwork.convert import from_jax as from_jax
    from graftwork.convert import from_pretrained as from_pretrained
    from graftwork.convert import from_torch as from_torch
    from graftwork.generate import generate as generate
    from graftwork.ir import ops as ops
    from graftwork.ir.array import NamedArray as NamedArray
    from graftwork.ir.errors import GraftworkError as GraftworkError
    from graftwork.ir.graph import Graph as Graph
    from graftwork.ir.op import define
    from graftwork.ir.selector import Selector as Selector
    from graftwork.ir.storage import load as load
    from graftwork.ir.storage import save as save
    from graftwork.ir.text import parse as parse
    from graftwork.lower import compile as compile
    from graftwork.lower import export_onnx as export_onnx
    from graftwork.lower import to_jax as to_jax
    from graftwork.lower import to_torch as to_torch
    from graftwork.passes.recipe import load_recipe as load_recipe
    from graftwork.passes.recipe import save_recipe as save_recipe
    from graftwork.passes.sweeps.template import each as each
    from graftwork.sweep import Sweep as Sweep
    from graftwork.viz.model_explorer import export_model_explorer as export_model_explorer

    define_op = define

__version__ = "0.1.0"

_HOMES = {
    "Circuit": "graftwork.circuits",
    "Graph": "graftwork.ir.graph",
    "GraftworkError": "graftwork.ir.errors",
    "NamedArray": "graftwork.ir.array",
    "Program": "graftwork.backends",
    "Selector": "graftwork.ir.selector",
    "Sweep": "graftwork.sweep",
    "compile": "graftwork.lower",
    "define_op": "graftwork.ir.op:define",
    "each": "graftwork.passes.sweeps.template:each",
    "export_model_explorer": "graftwork.viz.model_explorer",
    "export_onnx": "graftwork.lower",
    "from_jax": "graftwork.convert",
    "from_pretrained": "graftwork.convert",
    "from_torch": "graftwork.convert",
    "generate": "graftwork.generate",
    "load": "graftwork.ir.storage",
    "load_recipe": "graftwork.passes.recipe",
    "parse": "graftwork.ir.text",
    "prune_edges": "graftwork.circuits",
    "register_lowering": "graftwork.backends",
    "save": "graftwork.ir.storage",
    "save_recipe": "graftwork.passes.recipe",
    "to_jax": "graftwork.lower",
    "to_torch": "graftwork.lower",
}
_ROOMS = {
    "ops": "graftwork.ir.ops",
    "passes": "graftwork.passes",
    "testing": "graftwork.testing",
    "viz": "graftwork.viz",
}


def __getattr__(name: str) -> Any:
    """Load a public name, and what it needs, when it is first asked for."""
    if name not in _HOMES and name not in _ROOMS:
        raise AttributeError(f"module 'graftwork' has no attribute {name!r}")
    from graftwork import display

    display.attach()
    if name in _ROOMS:
        found = importlib.import_module(_ROOMS[name])
    else:
        home, _, word = _HOMES[name].partition(":")
        found = getattr(importlib.import_module(home), word or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_HOMES, *_ROOMS, *(name for name in globals() if name.startswith("__"))})
