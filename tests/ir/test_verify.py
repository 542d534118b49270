"""The verifier: every sample passes, and for each invariant there are graphs that break it."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from graftwork.ir import ops
from graftwork.ir.attributes import NO_ATTRS, Attrs
from graftwork.ir.build import Builder
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import VerificationError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import Origin
from graftwork.ir.pipeline import apply_together
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.sizes import symbol
from graftwork.ir.store import EMPTY_STORE, Store
from graftwork.ir.text import parse
from graftwork.ir.types import Type, Typing
from graftwork.ir.verify import unproven, verify
from tests.backends.samples import SAMPLES
from tests.ir.example import TEXT, example

Break = Callable[[Graph], Graph]
A = Value(Type(DType.f32, ("seq",)), "a")


def replaced(graph: Graph, position: int, **changes: Any) -> Graph:
    """The graph with one node changed."""
    nodes = list(graph.nodes)
    node = nodes[position]
    fields = {
        n: getattr(node, n) for n in ("op", "inputs", "outputs", "attrs", "regions", "origin")
    }
    nodes[position] = Node(**{**fields, **changes})
    return graph.evolve(nodes=tuple(nodes))


def with_region(graph: Graph, **changes: Any) -> Graph:
    """The graph with the body of its scan changed."""
    (body,) = graph.nodes[6].regions
    fields = {n: getattr(body, n) for n in ("inputs", "nodes", "outputs")}
    return replaced(graph, 6, regions=(Region(**{**fields, **changes}),))


def with_axes(graph: Graph, **sizes: Any) -> Graph:
    return graph.evolve(axes={**graph.axes, **sizes})


def with_port(graph: Graph, **changes: Any) -> Graph:
    return graph.evolve(inputs=(evolve(graph.inputs[0], **changes),))


def with_site(graph: Graph, place: Place, **roles: str) -> Graph:
    return graph.evolve(sites=Sites({"blocks.7": Site(place, roles)}))


def out(graph: Graph, position: int) -> Value:
    return graph.nodes[position].outputs[0]


def retyped(graph: Graph, position: int, *axes: str) -> Graph:
    value = evolve(out(graph, position), type=Type(DType.f32, axes))
    return replaced(graph, position, outputs=(value,))


def unary(op: str, x: Value, y: Value, attrs: Attrs = NO_ATTRS) -> Node:
    return Node(REGISTRY[op], (x,), (y,), attrs)


BROKEN: list[tuple[str, Break, str]] = [
    # 1: defined once, before use, regions closed
    ("1", lambda g: g.evolve(nodes=g.nodes[::-1]), "read before it is defined"),
    ("1", lambda g: g.evolve(nodes=(*g.nodes, g.nodes[0])), "defined a second time"),
    ("1", lambda g: g.evolve(inputs=g.inputs * 2), "two inputs"),
    ("1", lambda g: g.evolve(nodes=(*g.nodes, unary("sin", A, A))), "read before it is defined"),
    (
        "1",
        lambda g: with_region(g, nodes=(unary("sin", out(g, 0), A),)),
        "%h: f32{batch, seq, embed} is read before it is defined",
    ),
    # 2: axes of values and the table
    ("2", lambda g: with_port(g, value=Value(Type(DType.i64, ("seq", "seq")))), "an axis twice"),
    ("2", lambda g: retyped(g, 4, "batch", "seq", "seq", "embed"), "axis twice|its rule gives"),
    ("2", lambda g: with_port(g, value=Value(Type(DType.i64, ("no",)))), "'no' .* not in the axis"),
    ("2", lambda g: with_axes(g, embed=-1), "'embed' has the size -1"),
    ("2", lambda g: with_axes(g, embed=True), "'embed' has the size True"),
    ("2", lambda g: with_axes(g, embed=None), "'embed' has the size None"),
    # 3: the rules of ops
    ("3", lambda g: retyped(g, 4, "batch", "seq"), "its rule gives f32{batch, seq, embed}"),
    (
        "3",
        lambda g: replaced(
            g, 4, outputs=(evolve(out(g, 4), type=Type(DType.f64, out(g, 4).axes)),)
        ),
        "its rule gives f32",
    ),
    ("3", lambda g: replaced(g, 3, inputs=(g.inputs[0].value, out(g, 0))), "dtypes i64, f32"),
    ("3", lambda g: replaced(g, 3, outputs=(out(g, 3), Value(out(g, 3).type))), "its rule gives"),
    ("3", lambda g: with_axes(g, best=8), "'best' has size 8, but here it would be 3"),
    # 4: attributes
    ("4", lambda g: replaced(g, 1, attrs=Attrs((("axes", "seq"),))), "not legal"),
    ("4", lambda g: replaced(g, 1, attrs=NO_ATTRS), "needs axes="),
    ("4", lambda g: replaced(g, 3, attrs=Attrs((("axis", "seq"),))), "no attribute 'axis'"),
    ("4", lambda g: replaced(g, 5, attrs=Attrs((("over", ("seq", "batch")),))), "canonical form"),
    (
        "4",
        lambda g: replaced(g, 9, attrs=Attrs(tuple(reversed(g.nodes[9].attrs.items)))),
        "canonical form",
    ),
    # 5: regions
    ("5", lambda g: replaced(g, 6, regions=()), r"0 regions, where scan has \(body\)"),
    ("5", lambda g: replaced(g, 3, regions=g.nodes[6].regions), "1 regions, where add"),
    ("5", lambda g: with_region(g, outputs=()), "carries go in and 0 come out"),
    (
        "5",
        lambda g: with_region(g, inputs=g.nodes[6].regions[0].inputs[:1], nodes=(), outputs=()),
        "takes 1 operands",
    ),
    # 6: ports
    ("6", lambda g: with_port(g, layout=("batch",)), "'input_ids' has the layout"),
    ("6", lambda g: with_port(g, layout=("batch", "seq", "seq")), "'input_ids' has the layout"),
    ("6", lambda g: with_port(g, layout=("batch", "embed")), "'input_ids' has the layout"),
    ("6", lambda g: g.evolve(outputs=g.outputs * 2), "two outputs have the name 'logits'"),
    (
        "6",
        lambda g: g.evolve(
            parameters=(evolve(g.parameters[0], aliases=("bias",)), g.parameters[1])
        ),
        "two parameters have the name 'bias'",
    ),
    ("6", lambda g: g.evolve(store=Store(({"bias": 0},))), "no array for 'wte.weight'"),
    # 7: sites
    ("7", lambda g: with_site(g, Place(A)), "'blocks.7' .* no value of the graph"),
    ("7", lambda g: with_site(g, Place(out(g, 0)), heads="heads"), "no axis 'heads'"),
    ("7", lambda g: with_site(g, Place(out(g, 2), ("patern",))), "not 'patern'"),
    ("7", lambda g: with_site(g, Place(out(g, 3), ("pattern",))), "no composite"),
    ("7", lambda g: with_site(g, Place(out(g, 2), ("pattern",)), e="embed"), "no axis 'embed'"),
    ("7", lambda g: with_site(g, Place(out(g, 2), ("0:0", "x"))), "'blocks.7'"),
    ("7", lambda g: with_site(g, Place(out(g, 0), steps=(1,))), "at .1. of scans of .. steps"),
    (
        "7",
        lambda g: g.evolve(sites=Sites({}, {"blocks.0": Span(Place(out(g, 0)), Place(A))})),
        "'blocks.0' .* no value of the graph",
    ),
    # 8: outputs
    ("8", lambda g: g.evolve(outputs=(Port("o", A, A.axes),)), "nothing defines the output"),
    ("8", lambda g: with_region(g, outputs=(out(g, 5), out(g, 5))), "nothing defines the output"),
    # 9: arity
    ("9", lambda g: replaced(g, 4, inputs=(out(g, 3),)), r"takes operands \(a b\), but 1"),
    ("9", lambda g: replaced(g, 5, inputs=(out(g, 4),) * 2), "but 2 were given"),
]


def test_the_example_and_every_sample_are_well_formed() -> None:
    verify(example())
    for sample in SAMPLES:
        verify(sample.graph)


@pytest.mark.parametrize(("number", "damage", "complaint"), BROKEN)
def test_each_invariant_is_watched(number: str, damage: Break, complaint: str) -> None:
    graph = damage(example())
    with pytest.raises(VerificationError, match=complaint) as caught:
        verify(graph)
    assert str(caught.value).startswith(f"invariant {number} is broken")


@pytest.mark.parametrize(("number", "damage", "complaint"), BROKEN)
def test_what_a_pass_breaks_is_found_though_it_kept_most(
    number: str, damage: Break, complaint: str
) -> None:
    before = example()
    with pytest.raises(VerificationError, match=complaint):
        verify(damage(before), since=before)


def test_every_invariant_has_a_test() -> None:
    assert {number for number, _, _ in BROKEN} == set("123456789")


def test_the_message_names_node_and_origin() -> None:
    graph = example()
    broken = replaced(retyped(graph, 0, "batch"), 0, origin=Origin("wte", "gpt.py:14"))
    broken = replaced(broken, 0, outputs=(Value(Type(DType.f32, ("batch",)), "h"),))
    with pytest.raises(VerificationError) as caught:
        verify(broken)
    assert str(caught.value) == (
        "invariant 3 is broken in `%h = embedding(%_, %input_ids) axis=vocab : f32{batch}`: "
        "its rule gives f32{batch, seq, embed}, not f32{batch} (from wte, gpt.py:14)"
    )


def test_the_order_of_axes_has_no_meaning() -> None:
    graph = example()
    value = out(graph, 8)
    turned = evolve(value, type=value.type.with_axes(reversed(value.axes)))
    verify(replaced(replaced(graph, 8, outputs=(turned,)), 9, inputs=(turned,)))


def test_nodes_that_a_pass_kept_are_not_checked_again() -> None:
    """Trusting them is the point: a wrong node that was there before stays unseen."""
    wrong = retyped(example(), 4, "batch", "seq")
    verify(wrong.evolve(nodes=wrong.nodes[:5], outputs=(), sites=Sites()), since=wrong)


def test_a_changed_size_lets_nothing_be_trusted() -> None:
    graph = example()
    with pytest.raises(VerificationError, match="best"):
        verify(with_axes(graph, best=8), since=graph)
    fewer = {axis: size for axis, size in graph.axes.items() if axis != "kv_seq"}
    with pytest.raises(VerificationError, match="kv_seq"):
        verify(graph.evolve(axes=fewer), since=graph)


def test_new_axes_are_no_reason_to_check_all() -> None:
    wrong = retyped(example(), 4, "batch", "seq").evolve(sites=Sites(), outputs=())
    wrong = wrong.evolve(nodes=wrong.nodes[:5])
    verify(with_axes(wrong, worlds=3), since=wrong)


def test_a_region_may_be_shared_by_two_nodes() -> None:
    x = Value(Type(DType.f32))
    body = Region((x,), (unary("sin", x, y := Value(Type(DType.f32))),), (y,))
    a, b, c = (Value(Type(DType.f32), name) for name in "abc")
    calls = [Node(REGISTRY["call"], (i,), (o,), regions=(body,)) for i, o in ((a, b), (b, c))]
    verify(Graph((Port("a", a, ()),), (), tuple(calls), (Port("c", c, ()),), {}))


def test_a_long_chain_and_deep_regions_need_no_recursion() -> None:
    deep = Region((x := Value(Type(DType.f32)),), (), (x,))
    for _ in range(3000):
        x, y = Value(Type(DType.f32)), Value(Type(DType.f32))
        deep = Region((x,), (Node(REGISTRY["call"], (x,), (y,), regions=(deep,)),), (y,))
    verify(Graph((Port("x", deep.inputs[0], ()),), (), deep.nodes, (), {}))


def test_a_graph_without_its_arrays_is_well_formed() -> None:
    verify(example().evolve(store=EMPTY_STORE))


def test_lazy_arrays_are_not_made() -> None:
    class Untouchable(dict[str, object]):
        def __getitem__(self, name: str) -> object:
            raise AssertionError(name)

    names = {p.name: None for p in example().parameters}
    verify(example().evolve(store=Store((Untouchable(names),))))


def test_a_rule_that_stumbles_is_a_broken_invariant() -> None:
    """Attributes that are legal one by one may be nonsense together."""
    text = TEXT.replace("axes={seq -> kv_seq}", "axes={seq -> kv_seq, batch -> kv_seq}")
    with pytest.raises(Exception, match="invariant") as caught:
        parse(text)
    assert isinstance(caught.value.__cause__, VerificationError)


def test_sizes_that_only_a_run_can_tell_apart_are_listed() -> None:
    builder = Builder(Typing({"a": symbol("n"), "b": symbol("m"), "rows": 3}))
    x = builder.input("f32", "a", "x")
    builder.origin = Origin("blocks.0", "model.py:7", "aten.view")
    ops.rename(x, axes={"a": "b"})
    ops.rename(x, axes={"a": "b"})
    graph = Graph((Port("x", x.value, ("a",)),), (), tuple(builder.nodes), (), builder.typing.table)
    verify(graph)
    assert unproven(graph) == (("b", symbol("n"), builder.origin),)
    assert unproven(example()) == ()


def test_parameters_are_values_of_the_graph() -> None:
    graph = example()
    assert all(isinstance(p, Parameter) for p in graph.parameters)
    verify(with_site(graph, Place(graph.parameters[0].value), rows="vocab"))


def test_passes_applied_together_are_verified_and_the_one_that_fails_is_named() -> None:
    graph = example()

    def harmless(graph: Graph) -> Graph:
        return graph.evolve(guards=())

    def breaking(graph: Graph) -> Graph:
        return replaced(graph, 0, outputs=())

    def mending(_: Graph) -> Graph:
        return graph

    assert apply_together(graph, [harmless]).nodes == graph.nodes
    with pytest.raises(VerificationError, match=r"in pass .*breaking, after .*harmless"):
        apply_together(graph, [harmless, breaking])
    assert apply_together(graph, [breaking, mending]) is graph
    with pytest.raises(VerificationError, match="invariant"):
        apply_together(breaking(graph), [harmless])


def test_a_pass_that_left_a_graph_as_it_was_is_not_asked_again() -> None:
    graph = example()
    asked: list[Graph] = []

    def idle(graph: Graph) -> Graph:
        asked.append(graph)
        return graph

    assert apply_together(graph, [idle, lambda g: g, idle]) is graph
    assert len(asked) == 1
