"""Heads and edges knocked out, patterns replaced and frozen, norms frozen: against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from tests.passes.interventions.decoder import (
    HEADS,
    IDS,
    ONES,
    OTHER,
    VECTOR,
    Array,
    both,
    clean,
    close,
    hooked,
    logits,
    torch_graph,
)

PATTERN, SCORES, Z = (f"blocks.1.attn.{word}" for word in ("pattern", "scores", "z"))


def wanted(**hooks: Any) -> Array:
    return hooked(IDS, None, {f"blocks.1.attn.{k}": v for k, v in hooks.items()})["logits"]


def knocked(keep: Any, head: Any = slice(None)) -> Any:
    def hook(x: Array) -> Array:
        first = np.eye(5)[0]
        x[:, head] = first + keep * (x[:, head] - first)
        return x

    return hook


@both
def test_heads_are_knocked_out_softly_or_whole(graph: Any) -> None:
    found = logits(graph().apply(p.KnockOutHeads(PATTERN, where={"heads": 1})))
    close(found, wanted(pattern=knocked(0.0, [1])))
    found = logits(graph().apply(p.KnockOutHeads(PATTERN, keep=0.3)))
    close(found, wanted(pattern=knocked(0.3)))
    keep = np.array([1.0, 0.25])
    found = logits(graph().apply(p.KnockOutHeads(PATTERN, keep=keep)))
    close(found, wanted(pattern=knocked(keep[:, None, None])))


def test_a_soft_mask_may_have_worlds() -> None:
    keep = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    named = gw.NamedArray(keep, ("worlds", "heads"))
    out = gw.compile(torch_graph().apply(p.KnockOutHeads(PATTERN, keep=named)), "numpy")(
        input_ids=IDS, attention_mask=ONES
    )["logits"]
    assert set(out.axes) > {"worlds", "batch", "seq"}
    for world, row in enumerate(keep):
        close(np.asarray(out[{"worlds": world}]), wanted(pattern=knocked(row[:, None, None])))


def test_the_output_of_a_head_is_zeroed() -> None:
    def zero(x: Array) -> Array:
        x[:, :, 1] = 0
        return x

    close(logits(torch_graph().apply(p.Ablate(Z, where={"heads": 1}))), wanted(z=zero))


@both
def test_edges_are_cut_and_rows_renormalised_or_not(graph: Any) -> None:
    where = {"seq": 3, "kv_seq": [0, 2], "heads": 1}

    def cut(x: Array) -> Array:
        x[:, 1, 3, [0, 2]] = 0
        return x

    def renormalised(x: Array) -> Array:
        x = cut(x)
        return np.asarray(x / x.sum(-1, keepdims=True))

    found = logits(graph().apply(p.KnockOutEdges(PATTERN, where, renormalize=False)))
    close(found, wanted(pattern=cut))
    found = logits(graph().apply(p.KnockOutEdges(PATTERN, where)))
    close(found, wanted(pattern=renormalised))
    close(logits(graph().apply(p.KnockOutEdges(SCORES, where))), found)


def test_a_row_without_any_edge_is_zero() -> None:
    def zero(x: Array) -> Array:
        x[:, 0, 2] = 0
        return x

    where = {"seq": 2, "heads": 0, "kv_seq": slice(None)}
    close(logits(torch_graph().apply(p.KnockOutEdges(PATTERN, where))), wanted(pattern=zero))


def test_patterns_are_replaced_by_arrays_inputs_and_other_runs() -> None:
    previous = np.eye(5, k=-1)
    previous[0, 0] = 1
    named = gw.NamedArray(previous, ("seq", "kv_seq"))

    def put(value: Array) -> Any:
        def hook(x: Array) -> Array:
            x[:, 1] = value
            return x

        return hook

    where = {"heads": 1}
    found = logits(torch_graph().apply(p.Patch(PATTERN, where, value=named)))
    close(found, wanted(pattern=put(previous)))
    given = np.random.default_rng(0).random((3, 5, 5))
    graph = torch_graph().apply(p.Patch(PATTERN, where, input="pattern"))
    close(logits(graph, pattern=given), wanted(pattern=put(given)))
    other = hooked(OTHER)[PATTERN][:, 1]
    found = logits(torch_graph().apply(p.Patch(PATTERN, where, "clean")), clean=clean())
    close(found, wanted(pattern=put(other)))


@both
def test_frozen_patterns_and_norms_are_those_of_the_unedited_run(graph: Any) -> None:
    base = hooked(IDS)
    steer = p.Steer("blocks.0.resid_mid", VECTOR, where={"seq": 1})

    def moved(x: Array) -> Array:
        x[:, 1] += VECTOR
        return x

    norms = ["h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2", "ln_f"]
    patterns = {f"blocks.{i}.attn.pattern": lambda _, i=i: base[f"blocks.{i}.attn.pattern"]
                for i in (0, 1)}  # fmt: skip
    scales = {f"{norm}.scale": lambda _, n=norm: base[f"{n}.scale"] for norm in norms}
    frozen = [p.Freeze("blocks.*.attn.pattern"), p.FreezeNorms(count=5)]
    for passes in ([steer, *frozen], [*frozen, steer]):
        hooks = {"blocks.0.resid_mid": moved, **patterns, **scales}
        close(logits(graph().apply(*passes)), hooked(IDS, None, hooks)["logits"])
    some = logits(graph().apply(steer, p.FreezeNorms("blocks.1.*.in")))
    hooks = {"blocks.0.resid_mid": moved, **{n: scales[n] for n in list(scales)[2:4]}}
    close(some, hooked(IDS, None, hooks)["logits"])


def test_a_model_with_everything_frozen_is_affine_in_its_stream() -> None:
    passes = [p.Freeze("blocks.*.attn.pattern", "blocks.*.mlp.post"), p.FreezeNorms()]
    one, two = (p.Steer("embed", VECTOR * k) for k in (1.0, 2.0))
    base, first, second = (
        logits(torch_graph().apply(*edits, *passes)) for edits in ((), (one,), (two,))
    )
    close(second - base, 2 * (first - base))
    close(base, hooked(IDS)["logits"])


def test_norms_are_frozen_at_another_run() -> None:
    other = hooked(OTHER)["ln_f.scale"]
    graph = torch_graph().apply(p.FreezeNorms("final_norm", run="clean"))
    found = logits(graph, clean=clean())
    close(found, hooked(IDS, None, {"ln_f.scale": lambda _: other})["logits"])


def test_what_is_no_attention_and_no_norm_is_refused() -> None:
    for edit, error, words in (
        (p.KnockOutHeads("blocks.0.mlp.post"), SelectionError, "no attention pattern"),
        (p.KnockOutHeads(PATTERN, where={"heads": HEADS}), SelectionError, "outside"),
        (p.KnockOutEdges(PATTERN, {}), InputError, "where="),
        (p.KnockOutEdges(SCORES, {"seq": 1}, renormalize=False), InputError, "the pattern"),
        (p.FreezeNorms("blocks.0.mlp.post"), SelectionError, "no scale"),
        (p.FreezeNorms(count=4), SelectionError, "expected 4 norms"),
        (p.Freeze(), SelectionError, "sites"),
    ):
        with pytest.raises(error, match=words):
            torch_graph().apply(edit)
