import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.build import Builder
from graftwork.ir.digest import equal
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import TextError
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import Origin
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.sizes import symbol
from graftwork.ir.text import parse, print_graph, print_nodes
from graftwork.ir.text.printer import node_text
from graftwork.ir.text.spelling import literal_text, quote, unquote
from graftwork.ir.types import Type, Typing
from tests.backends.samples import SAMPLES
from tests.ir.example import TEXT, example

names = st.text(st.characters(), max_size=6)
words = names | st.sampled_from(
    ["none", "true", "nan", "5", "1", "min", "a.b", "of", 'x"y', "\\", ""]
)


def assert_round_trip(graph: Graph) -> None:
    text = str(graph)
    again = parse(text)
    assert equal(graph, again, origins=True)
    assert str(again) == text


# Reading and writing


def test_a_graph_prints_as_people_would_write_it() -> None:
    assert str(example()) == TEXT


def test_the_text_of_a_graph_parses_back_to_it() -> None:
    assert_round_trip(example())


def test_every_op_round_trips() -> None:
    for sample in SAMPLES:
        assert_round_trip(sample.graph)


def test_white_space_and_comments_mean_nothing() -> None:
    bare = re.sub(r"(?m)# .*$", "", TEXT)
    squeezed = re.sub(r"\s+", " ", bare)
    spread = re.sub(r"([()\[\]])", r" # {a comment} %x\n\t\1", bare)
    assert equal(parse(squeezed), example(), origins=True)
    assert equal(parse(spread), example(), origins=True)


def test_the_names_of_values_survive_where_they_are_unique() -> None:
    assert [v.name for node in parse(TEXT).nodes for v in node.outputs][:4] == ["h", "k", "z", ""]


def test_parameters_without_arrays_are_well_formed() -> None:
    assert dict(parse(TEXT).store) == {}
    assert set(parse(TEXT, example().store).store) == {"wte.weight", "bias"}


@given(st.lists(st.sampled_from(["", "x", "x_2", "x_2_2", "7"]), max_size=12))
def test_hints_are_made_unique_once_and_for_all(hints: list[str]) -> None:
    x = Value(Type(DType.f32), "x")
    values = [Value(Type(DType.f32), hint) for hint in hints]
    nodes = tuple(
        Node(REGISTRY["sin"], (read,), (made,))
        for read, made in zip([x, *values], values, strict=False)
    )
    assert_round_trip(Graph((Port("x", x, ()),), (), nodes, (), {}))


@given(st.data())
def test_hostile_names_are_harmless(data: st.DataObject) -> None:
    def name() -> str:
        return data.draw(words)

    axis, *others = data.draw(st.lists(words, min_size=2, max_size=4, unique=True))
    first, second = data.draw(st.lists(words, min_size=2, max_size=2, unique=True))
    weight, *aliases = data.draw(st.lists(words, min_size=1, max_size=4, unique=True))
    x = Value(Type(DType.f32, (axis,)), name())
    y = Value(Type(DType.f32), name())
    w = Value(Type(DType.f32, (axis, *others)), name())
    out = Value(Type(DType.f32, (axis,)), name())
    made = Value(Type(DType.f32, (*others, axis)), name())
    inner = Value(Type(DType.f32, (axis,)), name())
    origin = Origin(name(), name(), name(), (name(), name()))
    body = Region((inner,), (), (inner,))
    add = Node(REGISTRY["add"], (x, y), (out,), origin=origin)
    mul = Node(REGISTRY["mul"], (out, w), (made,), origin=origin.through(name()))
    call = Node(REGISTRY["call"], (x,), (Value(x.type, name()),), regions=(body,))
    graph = Graph(
        (Port(first, x, (None, axis)), Port(second, y, ())),
        (Parameter(weight, w, w.axes, tuple(aliases)),),
        (add, mul, call),
        (Port(name(), made, (axis, None, *others)),),
        {axis: symbol("a b\n"), **dict.fromkeys(others, 2 * symbol("none") + 1)},
        sites=Sites(
            {name(): Site(Place(out), {name(): axis}), "inner": Site(Place(inner), {axis: axis})},
            {name(): Span(Place(x), Place(inner))},
            {name(): name()},
        ),
        guards=(Guard(symbol("none"), 2, None, name()),),
    )
    text = str(graph)
    assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert_round_trip(graph)


@given(st.text(st.characters()))
def test_quoted_text_is_read_back_exactly(text: str) -> None:
    assert unquote(quote(text)) == text


def test_lone_surrogates_and_pairs_of_them_stay_apart() -> None:
    assert unquote(quote("\ud83d\ude00")) == "\ud83d\ude00"
    assert unquote(quote("\U0001f600")) == "\U0001f600"


# Attributes


@given(st.sampled_from(DType), st.sampled_from([(), (3,), (2, 2), (0,), (5, 1)]), st.data())
def test_constants_are_read_back_to_the_bit(
    dtype: DType, shape: tuple[int, ...], data: st.DataObject
) -> None:
    count = int(np.prod(shape)) * dtype.numpy.itemsize
    raw = data.draw(st.binary(min_size=count, max_size=count))
    if dtype is DType.boolean:
        raw = bytes(byte & 1 for byte in raw)
    literal = Literal(dtype, shape, raw)
    axes = [f"a{i}" for i in range(len(shape))]
    builder = Builder(Typing({}))
    builder.constant(literal, axes=axes)
    graph = Graph((), (), tuple(builder.nodes), (), builder.typing.table)
    assert parse(str(graph)).nodes[0].attrs["value"] == literal
    assert_round_trip(graph)


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.1, DType.f32, "f32(0.1)"),
        (-0.0, DType.f64, "f64(-0.0)"),
        (1, DType.bf16, "bf16(1.0)"),
        ([1e-30, np.nan, -np.inf], DType.f64, "f64[3](1e-30, nan, -inf)"),
        ([[True, False]], DType.boolean, "bool[1, 2](true, false)"),
        (np.zeros((64, 64)), DType.f16, "f16[64, 64](0.0)"),
        (2**64 - 1, DType.u64, "u64(18446744073709551615)"),
        (np.zeros((0, 2)), DType.f32, "f32[0, 2]()"),
        (np.arange(33) % 2, DType.u8, f'u8[33]("{"AAEA" + "AQABAAEA" * 5}")'),
    ],
)  # fmt: skip
def test_constants_are_compact(value: object, dtype: DType, text: str) -> None:
    assert literal_text(Literal.of(value, dtype)) == text


def test_a_nan_with_a_payload_keeps_it() -> None:
    payload = Literal(DType.f32, (), b"\x01\x00\xc0\x7f")
    assert literal_text(payload) == 'f32("AQDAfw==")'


@given(st.floats())
def test_numbers_in_attributes_are_read_back_to_the_bit(fill: float) -> None:
    builder = Builder(Typing({"a": 3}))
    x = builder.input("f64", "a", "x")
    ops.gather(x, builder.constant(1, "i64"), axes=["a"], mode="fill", fill=fill)
    graph = Graph((Port("x", x.value, ("a",)),), (), tuple(builder.nodes), (), {"a": 3})
    assert_round_trip(graph)


def test_attributes_that_are_the_default_are_left_out() -> None:
    builder = Builder(Typing({"a": 3}))
    x = builder.input("f64", "a", "x")
    ops.cumsum(x, axis="a")
    ops.cumsum(x, axis="a", reverse=True)
    lines = [node_text(node) for node in builder.nodes]
    assert lines[0] == "%_ = cumsum(%x) axis=a : f64{a}"
    assert lines[1] == "%_ = cumsum(%x) axis=a reverse=true : f64{a}"


# A part of a graph


def test_some_nodes_are_printed_as_in_the_whole() -> None:
    graph = example()
    text = print_nodes([n for n in graph.nodes if n.origin.module == "blocks.0.attn"], graph)
    assert text.splitlines() == [
        "# reads %h: f32{batch, seq, embed}",
        "# reads @bias: f32{embed}",
        "# blocks.0.attn",
        "%k = rename(%h) axes={seq -> kv_seq} : f32{batch, kv_seq, embed}",
        "%z = attention(%h, %k, %k) over=embed key=kv_seq scale=0.5 : f32{batch, seq, embed}",
        "%0 = add(%h, %z) : f32{batch, seq, embed}",
        "%h_2 = add(%0, @bias) : f32{batch, seq, embed}",
    ]


def test_nodes_of_a_region_are_printed_too() -> None:
    (region,) = example().nodes[6].regions
    text = print_nodes(region.nodes[1:], region)
    assert text.splitlines()[-1] == "%3 = add(%2, %0) : f32{batch, embed}"


def test_an_ill_formed_graph_can_be_looked_at() -> None:
    x, y, z = (Value(Type(DType.f32, ("a", "a")), n) for n in "xyz")
    call = Node(REGISTRY["call"], (z,), (y,), regions=())
    sites = Sites({"s": Site(Place(z), {"a": "b"})})
    graph = Graph((Port("x", x, ()),), (), (call,), (Port("o", z, ()),), {}, sites=sites)
    assert "%y = call(%?) : f32{a, a}" in print_graph(graph)


# Text that is no graph


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("graph {", "grap {", "line 1, column 1: expected 'graph', found 'grap'"),
        ("\n}\n", "\n", "line 46, column 1: expected a node, .* or '}', found the end"),
        ("seq: seq,", "seq: seq +,", "line 2, column 29: expected a size, found"),
        ("batch: batch", "seq: batch", "line 2, column 22: axis 'seq' stands here twice"),
        ("i64{batch, seq} as", "i64{batch,, seq} as", "line 4, column 20: .* names of axes"),
        ("i64{batch, seq} as", "int as", "line 4, column 20: expected a type .*, found 'int'"),
        ("= embedding", "= embeding", r"line 9, column 8: no op .*did you mean 'embedding'"),
        ("(@wte.weight, %in", "(@wte.wieght, %in", r"line 9, column 18: @wte.wieght is not def"),
        ("%k = rename", "%h = rename", "line 11, column 3: %h is defined twice"),
        ("axes={seq ->", "axis={seq ->", "line 11, column 19: rename needs axes="),
        ("axis=vocab :", "axis=vocab axis=seq :", "line 9, column .*'axis' stands here twice"),
        ("into=best :", "into=best f32 :", "line 27, column 51: expected '=', found ':'"),
        ("%1 = sum(%h_2)", "%1 = sum(%h_3)", r"line 16, column 12: %h_3 is not defined here"),
        ("f32{batch, embed}\n  %last", "f32{seq}\n  %last", "invariant 3 .*line 16, column 3"),
        ("    body (", "    cond (", "line 18, column 5: expected 'body', found 'cond'"),
        ("f32(0.1)", "f32(0.1, 2.0)", "line 19, column .*2 elements do not fill"),
        ("f32(0.1)", "i8(300)", "line 19, column .*: "),
        ("f32(0.1)", "f7(1)", "line 19, column .*: no dtype 'f7'"),
        ("f32(0.1)", "i64(1.5)", "line 19, column .*: the elements are no i64"),
        ("f32(0.1)", 'f32[2]("AAA=")', "line 19, column .*: 2 bytes are no f32"),
        ("embed}  !1", "embed}  !9", "line 9, column .*: the table of origins has no !9"),
        ("    !2", "    !1", "line 43, column 5: !1 stands here twice"),
        ("op=aten.linear", "ops=aten.linear", "line 44, column .*: an origin has module"),
        ("as [batch, 1, seq]\n", "as [batch, seq, seq]\n", "invariant 6 .*line 4, column 9"),
        ("as [batch, 1, seq]\n", "as [batch, 2, seq]\n", "line 4, column .*: expected an axis"),
        ("pattern of", "patern of", "invariant 7 .*'patern'.*line 32, column 8"),
        ("in [6, 0]", "in [6, 1]", r"line 34, column 15: there is no region \[6, 1\]"),
        ('"positions"', '"posi', "expected the text of a graph, found '\"'"),
        ("guard 1", "guard 1.5", "line 38, column 9: this is no integer"),
        ("\n  origins", "\n  origins {} origins", "the table of origins stands once, and last"),
    ],
)
def test_errors_say_where_and_what_was_expected(before: str, after: str, complaint: str) -> None:
    assert before in TEXT
    with pytest.raises(TextError, match=complaint):
        parse(TEXT.replace(before, after, 1))


@given(st.data())
def test_damaged_text_is_refused_or_read_but_never_crashes(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(begin, min(len(TEXT), begin + 30)))
    pieces = st.sampled_from(
        ["", "{", "}", "(", ")", '"', "%", "%x", "-", "1", ":", "f32{", "\ud800"]
    )
    other = st.integers(0, len(TEXT)).map(lambda at: TEXT[at : at + 20])
    damaged = TEXT[:begin] + data.draw(pieces | other | names) + TEXT[end:]
    try:
        graph = parse(damaged)
    except TextError:
        return
    assert_round_trip(graph)


def test_regions_may_not_nest_without_end() -> None:
    deep = 2000
    text = "graph {" + "() = call() : () body () {" * deep + "return }" * deep + "}"
    with pytest.raises(TextError, match="deeper than 100"):
        parse(text)
