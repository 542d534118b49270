"""A mask is proved causal from its nodes, whatever else it forbids; and never wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graftwork as gw
from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Graph, Port
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing
from graftwork.passes.lowering import lowered
from graftwork.passes.masks import Order, number, orders
from tests.models.zoo import axes, build, inputs

LOW = float(np.finfo(np.float32).min)


def positions() -> tuple[Builder, Term, Term]:
    builder = Builder(Typing({"seq": symbol("seq"), "kv": symbol("seq")}))
    with builder:
        return builder, ops.iota(axis="seq"), ops.iota(axis="kv")


def proved(builder: Builder, mask: Term) -> bool:
    producer = {node.output: node for node in builder.nodes}
    return ("seq", "kv") in orders(producer, mask.value)


def shown(builder: Builder, mask: Term) -> bool | None:
    """Whether it is proved that queries see, or do not see, the key at their own place."""
    return Order({node.output: node for node in builder.nodes}, "seq", "kv").own(mask.value)


@st.composite
def masks(draw: st.DrawFn, depth: int = 3) -> tuple[Builder, Term]:
    """Masks of comparisons, combined at random."""
    builder, query, key = positions()
    with builder:
        return builder, _mask(draw, query, key, depth)


def _mask(draw: st.DrawFn, query: Term, key: Term, depth: int) -> Term:
    kind = draw(st.sampled_from(["compare", "and", "or", "not", "select"])) if depth else "compare"
    if kind == "compare":
        op = draw(st.sampled_from([ops.le, ops.lt, ops.ge, ops.gt]))
        sides = [query + draw(st.integers(-2, 2)), key + draw(st.integers(-2, 2))]
        return op(*draw(st.permutations(sides)))
    parts = [_mask(draw, query, key, depth - 1) for _ in range(3)]
    if kind == "not":
        return ~parts[0]
    if kind == "select":
        return ops.select(*parts)
    return parts[0] & parts[1] if kind == "and" else parts[0] | parts[1]


@given(masks())
def test_what_is_proved_holds(drawn: tuple[Builder, Term]) -> None:
    builder, mask = drawn
    graph = Graph((), (), tuple(builder.nodes), (Port("mask", mask.value, ("seq", "kv")),),
                  builder.typing.table)  # fmt: skip
    sized = graph.evolve(axes={"seq": 7, "kv": 7})
    found = np.asarray(gw.compile(sized, "numpy")()["mask"])
    later = np.triu(np.ones((7, 7), bool), 1)
    if proved(builder, mask):
        assert not found[later].any()
    own = shown(builder, mask)
    assert own is None or (found.diagonal() == own).all()


@pytest.mark.parametrize(
    ("make", "holds"),
    [
        (lambda q, k: k <= q, True),
        (lambda q, k: q >= k, True),
        (lambda q, k: ~(k > q), True),
        (lambda q, k: (k <= q) & (k > q - 4), True),
        (lambda q, k: k < q + 1, True),
        (lambda q, k: k < q + 2, False),
        (lambda q, k: (k <= q) | (k < 3), False),
        (lambda q, k: ops.select(k <= q, q.builder.constant(0.0, "f32"), LOW), True),
        (lambda q, k: ops.select(k > q, q.builder.constant(LOW, "f32"), 0.0), True),
        (lambda q, k: ops.select(k <= q, q.builder.constant(0.0, "f32"), -1.0), False),
    ],
)
def test_masks_that_models_have(make: Callable[[Term, Term], Term], holds: bool) -> None:
    builder, query, key = positions()
    with builder:
        mask = make(query, key)
    assert proved(builder, mask) is holds


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lambda q, k: (k <= q) & (k > q - 4), True),
        (lambda q, k: k < q, False),
        (lambda q, k: k < 3, None),
        (lambda q, k: ops.select(k > q, q.builder.constant(LOW, "f32"), 0.0), True),
        (lambda q, k: ops.select(k >= q, q.builder.constant(LOW, "f32"), 0.0), False),
        (lambda q, k: ops.select(k > q, q.builder.constant(-math.inf, "f32"), 0.0), True),
        (lambda q, k: ops.select(k > q, q.builder.constant(-1e38, "bf16"), 0.0), True),
        (lambda q, k: ops.select(k < 3, q.builder.constant(0.0, "f32"), 1.0), True),
        (lambda q, k: ops.select(k > q, LOW, q.builder.constant(-6e4, "f32")).cast("f16"), None),
        (lambda q, k: (k <= q).cast("f32"), None),  # what is added is 0 or 1: it hides nothing
    ],
)
def test_a_query_sees_the_key_at_its_own_place(
    make: Callable[[Term, Term], Term], own: bool | None
) -> None:
    builder, query, key = positions()
    with builder:
        mask = make(query, key)
    assert shown(builder, mask) is own


@pytest.mark.parametrize(
    ("name", "masked", "rows"),
    [("gpt2", False, {"none"}), ("gpt2", True, {"zero"}), ("bert", False, {"none"})],
)
def test_attention_looks_for_masked_rows_only_where_there_may_be_some(
    name: str, masked: bool, rows: set[str]
) -> None:
    given = {n: x for n, x in inputs(name, (2, 6)).items() if masked or n != "attention_mask"}
    named = {n: words for n, words in axes(name).items() if n in given}
    graph = gw.from_torch(build(name, "sdpa"), kwargs=given, axes=named)
    spared = lowered(graph)
    found = [n.attrs["masked_rows"] for n in spared.nodes if n.op.name == "attention"]
    assert set(found) == rows
    assert_close(gw.compile(spared, "numpy")(**given), gw.compile(graph, "numpy")(**given))


def assert_close(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, array in wanted.items():
        np.testing.assert_allclose(np.asarray(found[name]), np.asarray(array), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "holds"), [("gpt2", True), ("llama", True), ("bert", False)])
def test_attention_of_models(name: str, holds: bool) -> None:
    graph = gw.from_torch(build(name, "sdpa"), kwargs=inputs(name, (2, 6)), axes=axes(name))
    masks = [n.inputs[3] for n in graph.nodes if n.op.name == "attention" and len(n.inputs) > 3]
    assert bool(masks) or not holds
    assert all(bool(orders(graph.index.producer, mask)) is holds for mask in masks)


def test_positions_that_are_rounded_prove_nothing() -> None:
    """In bf16 257 is 256, so a query would see the key after it."""
    builder, query, key = positions()
    with builder:
        mask = key.cast("bf16") <= query.cast("bf16")
    assert not proved(builder, mask)


def test_a_constant_is_what_its_casts_make_of_it() -> None:
    """A low number as a boolean is true, and hides nothing."""
    builder, query, key = positions()
    with builder:
        true = builder.constant(LOW, "f32").cast("bool")
        hidden = ops.select(key <= query, true, true)
    assert number({node.output: node for node in builder.nodes}, true.value) is True
    assert not proved(builder, hidden)
