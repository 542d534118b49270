"""Pictures of a language model at work: those that must run it before they can be drawn.

They are `graftwork.viz.logit_lens`, `flow`, `head` and `neuron`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.ir.select import require
from graftwork.lower import compile
from graftwork.passes.analyses import LogitLens
from graftwork.passes.analyses.readout import readout
from graftwork.viz.lens import lens_view, seen, targets_of
from graftwork.viz.view import View
from graftwork.viz.words import Tokenizer

Array = np.ndarray[Any, Any]
_LOGITS = 1 << 28
"""How many bytes of logits one run may give."""


def logit_lens(
    graph: Graph,
    ids: Any,
    tokenizer: Tokenizer,
    *,
    targets: Sequence[int] = (),
    site: str | None = None,
    top: int = 10,
    backend: str = "onnx",
    **inputs: Any,
) -> View:
    """A page that shows what a language model would say at each layer and position.

    The model is run with `passes.LogitLens`. Each cell has the likeliest token; its colour is that
    token's probability, or by a switch the entropy, or the probability or rank of a target: what
    the model says in the end, the token that comes next, or one of `targets`.

    Args:
        graph: with the input `input_ids` and the output `logits`.
        ids: integers, of one prompt.
        tokenizer: what decodes ids, or a list with the string of each.
        targets: further ids whose probability and rank are shown.
        site: which streams; before the first block, and after every block if None.
        top: how many tokens each cell gives.
        inputs: further inputs of the graph; an `attention_mask` is ones where it is not given.

    Raises:
        InputError: if the graph has not that input and output, or ids are of several prompts.
        SelectionError: if there are no such streams.
    """
    given = _given(graph, ids, inputs)
    numbers = given["input_ids"].reshape(-1)
    aims: Array | None = None
    found = []
    for sites in _chunks(graph, _streams(graph, site), numbers.size):
        out = compile(graph.apply(*map(LogitLens, sites)), backend)(**given)
        if aims is None:
            aims = targets_of(_rows(out["logits"]), numbers, targets)
        found += [seen(name, _rows(out[f"lens.{name}"]), aims, top) for name in sites]
    return lens_view(found, numbers, tokenizer, targets, "Logit lens")


def _streams(graph: Graph, site: str | None) -> list[str]:
    """The names of streams, in order: those of `site`, or the first one and that of each block."""
    prefix = readout(graph).prefix
    globs = [f"{prefix}blocks.0.resid_pre", f"{prefix}blocks.*.resid_post"]
    return [found.name for glob in ([site] if site else globs) for found in require(graph, glob)]


def _chunks(graph: Graph, sites: list[str], positions: int) -> Iterator[list[str]]:
    """The sites, as many at a time as give no more logits than a run may."""
    vocabulary = graph.axes[readout(graph).vocab]
    assert isinstance(vocabulary, int), "a model has so many tokens as its unembedding"
    size = max(1, _LOGITS // (4 * positions * vocabulary))
    for start in range(0, len(sites), size):
        yield sites[start : start + size]


def _rows(logits: NamedArray) -> Array:
    """Logits of the one prompt, over positions and vocabulary."""
    named = logits.squeeze()
    one = named[{"batch": 0}] if "batch" in named.axes else named
    return np.asarray(one.order(*(axis for axis in one.sizes if axis != "vocab"), "vocab"))


def _given(graph: Graph, ids: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a run on one prompt."""
    names = [port.name for port in graph.inputs]
    if "input_ids" not in names or all(port.name != "logits" for port in graph.outputs):
        raise InputError("this picture needs a graph with the input input_ids and output logits")
    numbers = np.atleast_2d(np.asarray(ids, np.int64))
    if len(numbers) != 1:
        raise InputError(f"there are {len(numbers)} prompts; this picture shows one")
    mask = {} if "attention_mask" not in names else {"attention_mask": np.ones_like(numbers)}
    return {**mask, **inputs, "input_ids": numbers}
