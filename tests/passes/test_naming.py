import pytest
from hypothesis import given

from graftwork.ir.errors import AxisError
from graftwork.ir.rename import rename_axes
from graftwork.ir.sizes import symbol
from graftwork.ir.verify import verify
from graftwork.passes.axes import Name, Unify, Unmerge
from tests.passes.programs import assert_close, assert_same, outputs, programs
from tests.passes.raw_decoder import raw_decoder


def recovered(graph):
    for step in (Unify(), Unmerge(), Unify(), Name()):
        graph = step(graph)
        verify(graph)
    return graph


def count(graph, op):
    return sum(node.op.name == op for node in graph.walk())


def test_a_decoder_gets_the_words_of_the_field():
    graph = recovered(raw_decoder())
    seq = symbol("seq")
    assert dict(graph.axes) == {
        "batch": symbol("batch"), "seq": seq, "kv_seq": seq, "vocab": 30,
        "embed": 12, "mlp": 20, "heads": 4, "kv_heads": 2, "groups": 2, "head_dim": 6,
        "inner": 24, "kv_inner": 12,
    }  # fmt: skip
    assert graph.outputs[0].layout == ("batch", "seq", "vocab")


def test_only_the_renames_of_keys_and_values_are_left():
    graph = recovered(raw_decoder(layers=3))
    renames = [node.attrs["axes"] for node in graph.walk() if node.op.name == "rename"]
    assert renames == [(("seq", "kv_seq"),)] * 6


def test_rows_merged_around_products_come_apart():
    raw = raw_decoder()
    assert count(raw, "merge") == 8
    graph = recovered(raw)
    merged = [node.attrs["into"] for node in graph.walk() if node.op.name == "merge"]
    assert sorted(merged) == ["heads"] * 4 + ["inner"] * 2


@given(programs())
def test_keeps_the_meaning_of_any_program(graph):
    named = Name()(Unify()(graph))
    verify(named)
    assert_same(outputs(graph), outputs(named))
    assert not any(axis.startswith("_") for axis in named.axes)


@given(programs())
def test_a_second_time_changes_nothing(graph):
    named = Name()(Unify()(graph))
    assert str(Name()(named)) == str(named)


@given(programs())
def test_taking_merged_axes_apart_keeps_the_meaning(graph):
    graph = Unify()(graph)
    apart = Unmerge()(graph)
    verify(apart)
    assert_close(outputs(graph), outputs(apart))


@given(programs())
def test_renaming_axes_and_back_gives_the_same_graph(graph):
    there = rename_axes(graph, {axis: f"a{axis}" for axis in graph.axes})
    verify(there)
    assert_same(outputs(graph), outputs(there))
    assert str(rename_axes(there, {f"a{axis}": axis for axis in graph.axes})) == str(graph)


def test_renaming_refuses_one_name_for_two_sizes():
    with pytest.raises(AxisError, match="cannot have both sizes"):
        rename_axes(raw_decoder(), {"batch": "seq"})
