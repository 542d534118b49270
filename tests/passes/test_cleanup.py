import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder, Term
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph, Port
from graftwork.ir.sites import Place, Site, Sites
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from graftwork.passes.axes import Name, Unify, Unmerge
from graftwork.passes.cleanup import (
    CancelViews,
    Cleanup,
    DropDead,
    DropIdentities,
    Fold,
    NarrowEarly,
    ShareCommon,
)
from graftwork.passes.composites import Recover
from graftwork.passes.lowering import lowered
from tests.passes.programs import assert_close, assert_same, outputs, programs
from tests.passes.raw_decoder import raw_decoder

EXACT = [DropDead(), ShareCommon(), Fold(), DropIdentities(), CancelViews(), Cleanup()]


@pytest.mark.parametrize("step", EXACT, ids=lambda step: type(step).__name__)
@given(programs())
def test_exact_passes_change_no_bit(step, graph):
    verify(graph)
    for start in (graph, Unify()(graph)):
        after = step(start)
        verify(after)
        assert_same(outputs(start), outputs(after))


@given(programs())
def test_narrowing_keeps_the_numbers(graph):
    for start in (graph, Cleanup()(Unify()(graph))):
        after = NarrowEarly()(start)
        verify(after)
        assert_close(outputs(start), outputs(after))


# --- single rules, on the values where floats are awkward ---------------------------------------

AWKWARD = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40]


def graph_of(build, dtype="f32"):
    """A graph of one input x over `a` (8), with axes `b` and `c` (4, 2) at hand."""
    typing = Typing({"a": 8, "b": 4, "c": 2})
    builder = Builder(typing)
    with builder:
        x = builder.input(dtype, "a", "x")
        y = build(x)
    ports = (Port("x", x.value, x.axes),), (Port("y", y.value, y.axes),)
    return Graph(ports[0], (), tuple(builder.nodes), ports[1], typing.table)


def words(graph):
    return [node.op.name for node in graph.nodes]


def bits(graph):
    dtype = graph.inputs[0].value.type.dtype.numpy
    with np.errstate(all="ignore"):
        x = NamedArray(np.array(AWKWARD).astype(dtype), ("a",))
    y = np.asarray(run(graph, {"x": x}, {})["y"])
    return y.view(f"u{y.dtype.itemsize}")


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x * 1.0,
        lambda x: ops.mul(1.0, x),
        lambda x: x + -0.0,
        lambda x: x - 0.0,
        lambda x: x / 1.0,
        lambda x: ops.neg(-x),
        lambda x: ops.maximum(x, x),
        lambda x: x.cast("f64").cast("f32"),
        lambda x: ops.select(x.builder.constant(True), x, x * 2.0),
        lambda x: ops.flip(ops.flip(x, axes="a"), axes="a"),
        lambda x: x.split("a", b=4, c=2).merge("b", "c", into="a"),
        lambda x: x.rename(a="z").rename(z="a"),
        lambda x: x.broadcast("b")[{"b": 1}],
        lambda x: ops.rename(x[{"a": slice(0, 8)}], axes={"a_2": "a"}),
        lambda x: ops.rename(ops.pad(x, 0.0, axis="a", into="z"), axes={"z": "a"}),
        lambda x: ops.rename(ops.concat(x, axes=["a"], into="z"), axes={"z": "a"}),
    ],
)
def test_what_changes_nothing_goes(build):
    graph = graph_of(build)
    after = Cleanup()(graph)
    verify(after)
    np.testing.assert_array_equal(bits(after), bits(graph))
    assert words(after) == []


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (lambda x: x + 0.0, "add"),  # makes 0.0 of -0.0
        (lambda x: ops.sub(0.0, x), "sub"),
        (lambda x: x - -0.0, "sub"),
        (lambda x: x * 0.0, "mul"),  # keeps NaN
        (lambda x: ops.div(1.0, x), "div"),
        (lambda x: x.cast("f16").cast("f32"), "cast"),
        (lambda x: x.cast("bf16").cast("f16").cast("f32"), "cast"),
        (lambda x: x.cast("i32").cast("f32"), "cast"),
        (lambda x: x.split("a", b=4, c=2).merge("c", "b", into="a"), "merge"),
        (lambda x: x[{"a": slice(1, 8)}], "slice"),
        (lambda x: ops.pad(x, 0.0, axis="a", low=1, into="z"), "pad"),
        (lambda x: ops.flip(x, axes="a"), "flip"),
    ],
)
def test_what_changes_something_stays(build, left):
    graph = graph_of(build)
    after = Cleanup()(graph)
    np.testing.assert_array_equal(bits(after), bits(graph))
    assert left in words(after)


@pytest.mark.parametrize("rows", ["zero", "mean", "nan"])
@pytest.mark.parametrize("axes", [(), ("b", "k")])
def test_attention_by_a_mask_that_hides_nothing_needs_no_mask(rows, axes):
    def build(x, sees=True):
        q = x.split("a", b=4, c=2)
        k = q.rename(b="k")
        mask = x.builder.constant(sees).broadcast(*axes)
        z = ops.attention(q, k, k.rename(c="d"), mask, over="c", key="k", masked_rows=rows)
        return z.merge("b", "d", into="a")

    graph = graph_of(build)
    after = Cleanup()(graph)
    verify(after)
    np.testing.assert_array_equal(bits(after), bits(graph))
    (node,) = (node for node in after.nodes if node.op.name == "attention")
    assert len(node.inputs) == 3
    hidden = Cleanup()(graph_of(lambda x: build(x, sees=False)))
    assert [len(node.inputs) for node in hidden.nodes if node.op.name == "attention"] == [4]


def test_constants_that_differ_in_one_bit_are_not_shared():
    graph = graph_of(lambda x: ops.concat(x * 0.0, x * -0.0, axes=["a", "a"], into="z"))
    after = ShareCommon()(graph)
    assert words(after).count("mul") == 2
    np.testing.assert_array_equal(bits(after), bits(graph))


def test_equal_nodes_are_computed_once_whatever_their_order():
    graph = graph_of(lambda x: (x + ops.tanh(x)) * (ops.tanh(x) + x))
    assert words(Cleanup()(graph)) == ["tanh", "add", "mul"]


def test_sites_stay_apart_until_a_graph_is_lowered():
    graph = graph_of(lambda x: (x + ops.tanh(x)) * (ops.tanh(x) * 1.0))
    tanhs = [node.output for node in graph.nodes if node.op.name in ("tanh", "mul")]
    table = {f"place{i}": Site(Place(value)) for i, value in enumerate(tanhs)}
    graph = graph.evolve(sites=Sites(table))
    kept = Cleanup()(graph)
    verify(kept)
    assert {site.place.value for site in kept.sites.values()} == set(tanhs)
    merged = lowered(graph)
    assert words(merged) == ["tanh", "add", "mul"]
    for after in (kept, merged):
        np.testing.assert_array_equal(bits(after), bits(graph))


def test_parts_of_a_split_that_are_merged_with_more_are_merged_whole():
    def build(x):
        wide = x.broadcast("c") * ops.iota(axis="c").cast("f32")
        parts = wide.split("a", b=4, d=2)
        return parts.merge("c", "b", "d", into="e")

    graph = graph_of(build)
    after = Cleanup()(graph)
    verify(after)
    np.testing.assert_array_equal(bits(after), bits(graph))
    assert "split" not in words(after)
    (merge,) = (node for node in after.nodes if node.op.name == "merge")
    assert merge.attrs["axes"] == ("c", "a")


def test_what_is_dead_goes_with_its_axes():
    graph = graph_of(lambda x: (x.broadcast("b"), x)[1])
    after = DropDead()(graph)
    assert words(after) == []
    assert set(after.axes) == {"a"}


def test_a_broadcast_moves_behind_what_maps_over_it():
    graph = graph_of(lambda x: ops.tanh(x.broadcast("b")).sum("a"))
    after = DropDead()(CancelViews()(graph))
    assert words(after) == ["tanh", "sum", "broadcast"]
    np.testing.assert_array_equal(bits(after), bits(graph))


def test_what_is_merged_and_split_otherwise_is_split_in_stretches():
    def heads(x):
        pairs = ops.cumsum(x.split("a", d=2, e=4), axis="e")
        return pairs.merge("d", "e", into="f").split("f", d=2, h=2, i=2)

    graph = graph_of(heads)
    after = DropDead()(CancelViews()(graph))
    verify(after)
    assert words(after) == ["split", "cumsum", "split"]
    np.testing.assert_array_equal(bits(after), bits(graph))
    whole = graph_of(
        lambda x: x.split("a", d=2, e=4).merge("e", "d", into="f").split("f", h=2, g=4)
    )
    assert words(CancelViews()(whole)) == ["split", "merge", "split"]


def test_operands_that_meet_under_another_name_go_on_under_their_own():
    def meeting(x):
        return ops.cumsum(x.rename(a="z"), axis="z") + ops.tanh(x).rename(a="z")

    graph = graph_of(lambda x: x + meeting(x).rename(z="a"))
    after = DropDead()(CancelViews()(graph))
    verify(after)
    assert (words(graph).count("rename"), words(after).count("rename")) == (3, 2)
    np.testing.assert_array_equal(bits(after), bits(graph))

    def read_twice(x):
        met = meeting(x)
        return x + met.rename(z="a") + met.sum("z")

    assert words(CancelViews()(graph_of(read_twice))) == words(graph_of(read_twice))


def test_constants_are_folded_before_they_are_broadcast():
    graph = graph_of(lambda x: x + (x.builder.constant(1.0, "f32") + 2.0).broadcast("b"))
    assert words(Cleanup()(graph)) == ["constant", "add", "broadcast"]


def test_only_the_last_position_of_a_block_is_computed():
    def block(x):
        wide = ops.rms_norm(x.broadcast("b") * ops.iota(axis="b", dtype="f32"), over="a", eps=1e-6)
        return ops.index(ops.tanh(wide + wide), axis="b", at=3)

    graph = graph_of(block)
    after = DropDead()(NarrowEarly()(graph))
    verify(after)
    assert all("b" not in n.output.axes for n in after.nodes if n.op.name in ("rms_norm", "tanh"))


def test_a_value_that_is_read_whole_is_computed_whole():
    def block(x):
        wide = ops.tanh(x.broadcast("b"))
        return ops.index(wide, axis="b", at=0) + wide.sum("b")

    graph = graph_of(block)
    assert words(NarrowEarly()(graph)) == words(graph)


def test_the_last_token_of_a_decoder_needs_the_last_block_at_the_last_token():
    graph = raw_decoder(layers=2)
    for step in (Unify(), Cleanup(), Unmerge(), Unify(), Cleanup(), Recover(), Name()):
        graph = step(graph)
    builder = Builder(Typing(graph.axes))
    logits = Term(graph.outputs[0].value, builder)
    last = ops.index(logits, axis="seq", at=symbol("seq") - 1)
    graph = graph.evolve(
        nodes=(*graph.nodes, *builder.nodes), outputs=(Port("logits", last.value, last.axes),)
    )
    after = DropDead()(NarrowEarly()(graph))
    verify(after)
    assert "seq" not in after.nodes[-1].output.axes
    silus = [node.output.axes for node in after.nodes if node.op.name == "silu"]
    assert silus == [("batch", "seq", "mlp"), ("batch", "mlp")]


# --- positions ----------------------------------------------------------------------------------

AXES = {"a": 4, "b": 4, "c": 3, "d": 8, "n": symbol("n"), "m": symbol("n")}


@st.composite
def numberings(draw):
    """A graph that computes with positions in roundabout ways."""
    builder = Builder(Typing(AXES))
    with builder:
        x = builder.input("i64", "a", "x")
        pool = [x, *(ops.iota(axis=axis) for axis in AXES)]
        for _ in range(draw(st.integers(1, 10))):
            made = draw(st.sampled_from(_STEPS))(draw, pool, builder.typing)
            pool += [] if made is None or len(made.axes) > 4 else [made]
        low, high = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        compare = draw(st.sampled_from([ops.lt, ops.le, ops.gt, ops.ge, ops.eq, ops.ne]))
        results = (pool[-1], compare(low, high))
    outputs = tuple(Port(f"y{i}", term.value, term.axes) for i, term in enumerate(results))
    inputs = (Port("x", x.value, x.axes),)
    return Graph(inputs, (), tuple(builder.nodes), outputs, builder.typing.table)


def _arithmetic(draw, pool, typing):
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from([*pool, -1, 0, 1, 3]))
    return draw(st.sampled_from([ops.add, ops.sub, ops.mul]))(x, y)


def _axis(draw, x):
    return draw(st.sampled_from(x.axes)) if x.axes else None


def _part(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    axis = _axis(draw, x)
    if axis is None or axis == "n":
        return None
    if draw(st.booleans()):
        return ops.index(x, axis=axis, at=draw(st.integers(0, 1)))
    step, into = draw(st.integers(1, 2)), typing.fresh("part")
    return ops.slice_(x, axis=axis, start=1, stop=x.size(axis), step=step, into=into)


def _join(draw, pool, typing):
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    axes = [_axis(draw, x), _axis(draw, y)]
    lone = typing.fresh("lone")
    return ops.concat(x, y, axes=[axis or lone for axis in axes], into=typing.fresh("joined"))


def _gather(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    axis = _axis(draw, x)
    if axis is None:
        return None
    along = draw(st.sampled_from([a for a in AXES if AXES[a] == x.size(axis)] or [axis]))
    if along in x.axes and along != axis:
        return None
    flipped = ops.sub(ops.size(value=x.size(axis)) - 1, ops.iota(axis=along))
    ids = draw(st.sampled_from([ops.iota(axis=along), flipped]))
    return ops.gather(x, ids, axes=(axis,))


def _running(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    return ops.cumsum(x.broadcast("c"), axis="c", reverse=draw(st.booleans()))


_STEPS = [_arithmetic, _arithmetic, _part, _join, _gather, _running]


@given(numberings())
@settings(max_examples=300)
def test_positions_are_worked_out_right(graph):
    verify(graph)
    after = Cleanup()(graph)
    verify(after)
    x = NamedArray(np.array([5, -7, 0, 2]), ("a",))
    for n in (2, 5):
        before, now = (run(g, {"x": x}, {"n": n}) for g in (graph, after))
        for name in before:
            np.testing.assert_array_equal(np.asarray(before[name]), np.asarray(now[name]))


def test_a_mask_that_models_compute_in_a_roundabout_way_is_a_comparison():
    builder = Builder(Typing({"q": symbol("n"), "k": symbol("n"), "whole": symbol("n")}))
    with builder:
        numbers = ops.iota(axis="whole") + 0
        before = ops.concat(
            numbers[{"whole": 0}] - 1, numbers, axes=["one", "whole"], into="longer"
        )
        later, sooner = (
            ops.slice_(before, axis="longer", start=at, stop=symbol("n") + at, into="step")
            for at in (1, 0)
        )
        jumps = ops.ne(later - sooner, 1)
        part = ops.cumsum(jumps.cast("i64"), axis="step")
        rows, columns = (ops.iota(axis=axis) for axis in "qk")
        same = ops.eq(*(ops.gather(part, i, axes=part.axes) for i in (rows, columns)))
        mask = same & ops.le(columns, ops.gather(numbers, rows, axes=["whole"]))
    out = (Port("mask", mask.value, mask.axes),)
    graph = Graph((), (), tuple(builder.nodes), out, builder.typing.table)
    after = Cleanup()(graph)
    verify(after)
    assert words(after) == ["iota", "iota", "le"]
