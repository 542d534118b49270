import numpy as np
import pytest

from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Index, Port
from graftwork.ir.pattern import Pattern
from graftwork.ir.sites import Place, Site, Sites
from graftwork.ir.sizes import symbol
from graftwork.ir.text import parse
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from graftwork.passes.rules import Rewrite, Rule, rewrite


def graph_of(build, dtype="f32", **axes):
    """A graph of inputs x and y over a and b."""
    builder = Builder(Typing({"a": 4, "b": 3, "c": 4, **axes}))
    with builder:
        x, y = builder.input(dtype, "a b", "x"), builder.input(dtype, "b", "y")
        z = build(x, y)
    ports = tuple(Port(t.value.name, t.value, t.axes) for t in (x, y))
    out = (Port("z", z.value, z.axes),)
    return Graph(ports, (), tuple(builder.nodes), out, builder.typing.table)


def matched(write, build, **options):
    """What a pattern stands for at the last node of a graph."""
    graph = graph_of(build, **options)
    index = Index(graph.nodes, tuple(port.value for port in graph.outputs))
    return Pattern.of(write).match(index, graph.axes, graph.nodes[-1])


def silu(p):
    x = p.value("x")
    return x * ops.logistic(x)


def scaled_softmax(p):
    return ops.softmax(p.value("x", "k") * p.number("scale", 0.5), axis="k")


def test_operands_of_commutative_ops_match_in_either_order():
    assert matched(silu, lambda x, y: x * ops.logistic(x))
    assert matched(silu, lambda x, y: ops.logistic(x) * x)


def test_one_variable_stands_for_one_value():
    assert matched(silu, lambda x, y: x * ops.logistic(y)) is None


def test_axes_and_numbers_are_bound():
    found = matched(scaled_softmax, lambda x, y: ops.softmax(0.125 * x, axis="b"))
    assert found.axes == {"k": "b"}
    assert found.numbers == {"scale": 0.125}


@pytest.mark.parametrize("number", [1e-6, 0.1, 1 / 3, np.inf])
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "bf16"])
def test_numbers_are_read_in_their_shortest_form(number, dtype):
    found = matched(
        scaled_softmax, lambda x, y: ops.softmax(x * float(number), axis="b"), dtype=dtype
    )
    again = matched(
        scaled_softmax,
        lambda x, y: ops.softmax(x * found.numbers["scale"], axis="b"),
        dtype=dtype,
    )
    assert again.numbers == found.numbers
    if dtype == "f32":
        assert found.numbers["scale"] == float(str(np.float32(number)))


def test_a_literal_matches_itself_in_another_dtype_and_nothing_else():
    def third(p):
        return p.value("x") * (1 / 3)

    assert matched(third, lambda x, y: x * (1 / 3), dtype="f16")
    assert matched(third, lambda x, y: x * 0.3333, dtype="f32") is None
    zero = matched(lambda p: p.value("x") + 0.0, lambda x, y: x + -0.0)
    assert zero is None


def test_two_axis_variables_stand_for_two_axes():
    def write(p):
        return p.value("x", "j k").sum("j").max("k")

    assert matched(write, lambda x, y: x.sum("a").max("b")).axes == {"j": "a", "k": "b"}

    def other(p):
        return p.value("x", "k").sum("k") + p.value("y", "k").sum("k")

    assert matched(other, lambda x, y: x.sum("b") + y.sum("b"))
    assert matched(other, lambda x, y: x.sum("a") + y.sum("b")) is None


def test_a_variable_lacks_the_axes_that_it_does_not_name():
    def write(p):
        return p.value("x", "k").sum("k") * p.value("y")

    assert matched(write, lambda x, y: x.sum("a") * y)
    assert matched(write, lambda x, y: x.sum("b") * y) is None


def test_sizes_are_variables_too():
    def halves(p):
        p.axis("k", 2 * symbol("half"))
        p.axis("half")
        x = p.value("x", "k")
        return ops.slice_(x, axis="k", start=symbol("half"), stop=2 * symbol("half"), into="half")

    def take(start, stop):
        return lambda x, y: ops.slice_(x, axis="a", start=start, stop=stop, into="d")

    assert matched(halves, take(2, 4)).sizes == {"half": 2}
    assert matched(halves, take(1, 3)) is None


def test_dtypes_are_bound_together():
    def back(p):
        return ops.tanh(p.value("x", "", "bf16").cast("f32")).cast("bf16")

    assert matched(back, lambda x, y: ops.tanh(x.cast("f32")).cast("f16"), dtype="f16")
    assert matched(back, lambda x, y: ops.tanh(x.cast("f32")).cast("bf16"), dtype="f16") is None
    assert matched(back, lambda x, y: ops.tanh(x.cast("f64")).cast("f16"), dtype="f16") is None


def test_a_pattern_prints_as_the_graph_that_it_is():
    pattern = Pattern.of(scaled_softmax)
    example = pattern.example()
    verify(example)
    assert str(parse(str(pattern))) == str(pattern)


# --- rules --------------------------------------------------------------------------------------

SILU = Rule("silu", silu, lambda found: ops.silu(found["x"]))


def words(graph):
    return [node.op.name for node in graph.nodes]


def test_a_rule_keeps_the_identity_of_what_it_makes():
    graph = graph_of(lambda x, y: ops.tanh(x * ops.logistic(x)))
    after, fired = rewrite(graph, [SILU])
    verify(after)
    assert words(after) == ["silu", "tanh"]
    assert after.nodes[0].output is graph.nodes[1].output
    assert after.nodes[0].origin.passes == ("silu",)
    assert [(f.rule, f.root) for f in fired] == [("silu", graph.nodes[1])]


def test_what_is_read_elsewhere_is_not_swallowed():
    def build(x, y):
        inner = ops.logistic(x)
        return x * inner + inner

    graph = graph_of(build)
    assert rewrite(graph, [SILU]) == (graph, ())


def test_a_site_is_not_swallowed():
    graph = graph_of(lambda x, y: x * ops.logistic(x))
    inner = graph.nodes[0].output
    graph = graph.evolve(sites=Sites({"gate": Site(Place(inner))}))
    assert rewrite(graph, [SILU])[1] == ()


def test_a_condition_is_asked():
    never = Rule("silu", silu, lambda found: ops.silu(found["x"]), lambda found: False)
    graph = graph_of(lambda x, y: x * ops.logistic(x))
    assert Rewrite([never])(graph) is graph


def test_rules_apply_to_what_rules_made():
    twice = Rule("sin", lambda p: ops.silu(p.value("x")), lambda found: ops.sin(found["x"]))
    graph = graph_of(lambda x, y: x * ops.logistic(x))
    after, fired = rewrite(graph, [twice, SILU])
    assert words(after) == ["sin"]
    assert [f.rule for f in fired] == ["silu", "sin"]


def test_rules_that_never_end_are_stopped():
    swap = [
        Rule("there", lambda p: ops.sin(p.value("x")), lambda found: ops.cos(found["x"])),
        Rule("back", lambda p: ops.cos(p.value("x")), lambda found: ops.sin(found["x"])),
    ]
    graph = graph_of(lambda x, y: ops.sin(x))
    assert len(rewrite(graph, swap, rounds=5)[1]) == 5


def test_a_rule_that_changes_the_type_is_refused():
    wrong = Rule("wrong", silu, lambda found: found["x"].cast("f64"))
    with pytest.raises(RewriteError, match="wrong: f64"):
        rewrite(graph_of(lambda x, y: x * ops.logistic(x)), [wrong])


def test_rules_reach_into_regions():
    from graftwork.ir.graph import Region

    builder = Builder(Typing({"a": 4, "b": 3}))
    x = builder.input("f64", "a b", "x")
    body = Builder(builder.typing)
    row = body.input("f64", "b", "row")
    made = row * ops.logistic(row)
    region = Region((row.value,), tuple(body.nodes), (made.value,))
    attrs = {"axis": "a", "carry": 0, "xs": 1}
    (ys,) = builder.emit(ops.scan, (x,), attrs, (region,))
    graph = Graph(
        (Port("x", x.value, x.axes),), (), tuple(builder.nodes),
        (Port("y", ys.value, ys.axes),), builder.typing.table,
    )  # fmt: skip
    after = Rewrite([SILU])(graph)
    verify(after)
    assert [node.op.name for node in after.walk()] == ["scan", "silu"]
