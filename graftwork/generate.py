"""Greedy generation by running a whole sequence for every new token."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.backends import Program
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.lower import compile


def generate(
    graph: Graph | Program,
    input_ids: Any,
    max_new_tokens: int,
    backend: str = "onnx",
    **inputs: Any,
) -> np.ndarray[Any, Any]:
    """Extend token ids by the likeliest next token, again and again.

    Args:
        graph: a language model with `input_ids` and `logits`, or a compiled one.
        input_ids: integer ids, (batch, seq), without padding.
        max_new_tokens: how many to add.
        inputs: further inputs of the graph, the same at every step; an `attention_mask` input is
            filled with ones where it is not given.

    Returns:
        int64 ids, (batch, seq + max_new_tokens).

    Raises:
        InputError: if the graph has no `input_ids` or `logits`, or what is given are no ids.
    """
    program = graph if isinstance(graph, Program) else compile(graph, backend)
    names = [port.name for port in program.graph.inputs]
    if "input_ids" not in names or all(p.name != "logits" for p in program.graph.outputs):
        raise InputError("generate needs a graph with the input input_ids and the output logits")
    ids = np.asarray(input_ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise InputError(f"token ids are integers, (batch, seq), not {ids.dtype}{list(ids.shape)}")
    ids = ids.astype(np.int64)
    for _ in range(max_new_tokens):
        given = dict(inputs, input_ids=ids)
        if "attention_mask" in names and "attention_mask" not in inputs:
            given["attention_mask"] = np.ones_like(ids)
        logits = program(**given)["logits"].numpy()
        last = logits[{"seq": -1}].argmax("vocab")
        ids = np.concatenate([ids, np.asarray(last)[:, None]], axis=1)
    return ids
