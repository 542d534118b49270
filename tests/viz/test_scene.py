"""Cells, hierarchy, arrangement and differences, before any browser sees them."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve
from hypothesis import given, settings
from viz_graphs import decoder, doubled, rescaled

from graftwork import viz
from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Port
from graftwork.ir.origin import Origin
from graftwork.ir.rename import rename_axes
from graftwork.ir.text import parse
from graftwork.ir.types import Typing
from graftwork.testing import graphs
from graftwork.viz.arrange import FARTHEST, OUTSIDE, What, arrange, readings_of
from graftwork.viz.cells import Cell, Kind
from graftwork.viz.difference import Difference, differences
from graftwork.viz.merge import Change
from graftwork.viz.scene import Scene, scene
from graftwork.viz.tree import LONGEST, module_path


def titles(cell: Cell) -> list[str]:
    return [child.title for child in cell.children]


def find(shown: Scene, title: str) -> Cell:
    return next(cell for cell in shown.cells if cell.title == title)


def changes(shown: Scene) -> Counter[Change]:
    return Counter(c.change for c in shown.cells if c.kind is not Kind.GROUP and c.change)


def differing(after: Graph, before: Graph) -> tuple[Scene, Difference]:
    shown = scene(before, after)
    return shown, differences(shown, ["edit"])[0]


def test_groups_follow_modules_and_modules_of_one_op_are_that_op() -> None:
    shown = scene(decoder(2))
    root = shown.cells[0]
    assert titles(root) == ["ids", "model", "logits"]
    assert titles(find(shown, "model")) == ["wte", "iota", "iota", "le", "layers", "lm_head"]
    assert titles(find(shown, "layers.1")) == ["ln_1", "attn", "add", "mlp", "add"]
    assert titles(find(shown, "mlp")) == ["up", "act", "down"]
    assert find(shown, "layers.1").sites == ("blocks.1",)
    assert find(shown, "attention").sites == ("blocks.0.attn.z", "blocks.0.attn.pattern")
    assert find(shown, "attention").inner_sites == 1


def test_parameters_and_constants_are_stubs_of_their_readers() -> None:
    shown = scene(decoder(1))
    stubs = {c.title: c.parent.title for c in shown.cells if c.kind.is_stub and c.parent}
    assert stubs["model.layers.0.mlp.up.weight"] == "up"
    assert stubs["0.5"] == "mul"
    assert stubs["1.0"] == "add"


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("", ()),
        ("a.b", ("a", "b")),
        ("clean/a.b", ("clean/", "a", "b")),
        ("x/y/a", ("x/y/", "a")),
        ("clean/", ("clean/",)),
    ],
)
def test_module_paths(module: str, path: tuple[str, ...]) -> None:
    assert module_path(module) == path


def chain(length: int) -> Graph:
    builder = Builder(Typing({"embed": 4}))
    x = first = builder.input("f32", "embed", "x")
    kept = x
    for i in range(length):
        x = ops.tanh(x) if i % 3 else x + kept
        kept = x if i % 7 == 0 else kept
    ports = Port("x", first.value, ("embed",)), Port("y", x.value, ("embed",))
    return Graph(ports[:1], (), tuple(builder.nodes), ports[1:], {"embed": 4})


def test_a_flat_graph_is_cut_into_sections_named_by_what_they_hold() -> None:
    shown = scene(chain(2_000))
    root = shown.cells[0]
    assert len(root.children) < LONGEST
    sections = [cell for cell in root.children if cell.kind is Kind.GROUP]
    assert max(len(section.children) for section in sections) <= LONGEST
    assert sum(len(section.children) for section in sections) >= 1_999
    assert sections[0].title.startswith("tanh ×")


def test_deep_paths_and_long_graphs_do_not_overflow() -> None:
    graph = chain(3)
    deep = Origin(module=".".join("a" * 3_000))
    nodes = tuple(evolve(node, origin=deep) for node in graph.nodes)
    assert viz.graph(graph.evolve(nodes=nodes)).svg


def check_arrangement(shown: Scene) -> None:
    readings = readings_of(shown.cells)
    for group in (cell for cell in shown.cells if cell.children):
        made = arrange(group, readings[group])
        plan, again = made.plan, arrange(group, readings[group]).plan
        slots = [slot for layer in plan.ranks for slot in layer]
        assert [(s.what, s.ref) for s in slots] == [
            (s.what, s.ref) for layer in again.ranks for s in layer
        ]
        children = [slot.ref for slot in slots if slot.what is What.CHILD]
        assert sorted(children) == list(range(len(group.children)))
        for n, ((_, targets), joints) in enumerate(zip(plan.joins, plan.joints, strict=True)):
            assert all(lower.rank == upper.rank + 1 for upper, lower in joints)
            reached = {
                OUTSIDE if lower.what is What.EXIT else lower.ref
                for _, lower in joints
                if lower.what in (What.CHILD, What.EXIT)
            }
            assert reached == {target for target in targets if (n, target) not in plan.rows}
            assert len(joints) <= FARTHEST + len(targets)


def test_every_reading_is_a_line_or_a_row() -> None:
    check_arrangement(scene(decoder(12)))
    check_arrangement(scene(chain(400)))


@given(graphs())
@settings(max_examples=25)
def test_any_graph_is_shown_whole(graph: Graph) -> None:
    shown = scene(graph)
    check_arrangement(shown)
    nodes = [c.node for c in shown.cells if c.node is not None and not c.within]
    assert sorted(map(id, nodes)) == sorted(map(id, graph.walk()))
    for cell in shown.cells:
        assert cell.parent is None or cell.parent.kind in (Kind.GROUP, Kind.OP) or cell.kind.is_stub
        if cell.node is not None:
            assert len(cell.operands) == len(cell.node.inputs)
    assert viz.graph(graph).html


@given(graphs())
@settings(max_examples=25)
def test_a_graph_does_not_differ_from_itself_or_its_text(graph: Graph) -> None:
    assert changes(scene(graph, graph)) == {}
    shown, said = differing(parse(str(graph), graph.store), graph)
    assert changes(shown) == {}
    assert said == Difference("edit", (0, 1), (0, 0, 0), [], [])
    assert {bits for cell in shown.cells for bits in cell.readings} <= {0b11}


def test_an_interposed_edit_is_added_and_its_wires_move() -> None:
    before = decoder(2)
    for after in (doubled(before), parse(str(doubled(before)), before.store)):
        shown, said = differing(after, before)
        assert said.counts == (2, 0, 0)
        added = next(c for c in shown.cells if c.change is Change.ADDED and c.kind is Kind.OP)
        assert added.title == "mul"
        down = next(c for c in shown.cells if c.title == "down")
        assert down.change is Change.SAME
        assert sorted(down.readings) == [0b01, 0b10, 0b11]
        assert [sign for sign, _ in said.lines if sign in "+-"].count("+") >= 2


def test_the_reverse_of_an_edit_is_removed() -> None:
    before = decoder(2)
    shown, said = differing(before, doubled(before))
    assert said.counts == (0, 2, 0)
    order = [c.title for c in shown.cells if c.origin.module == "model.layers.0.mlp.act"]
    assert order.count("mul") == 3


def test_other_attributes_are_a_change() -> None:
    before = decoder(1)
    shown, said = differing(rescaled(before), before)
    assert said.counts == (0, 0, 1)
    changed = next(cell for cell in shown.cells if cell.change is Change.CHANGED)
    assert changed.was[1] in before.nodes
    signs = {sign: line for sign, line in said.lines if sign in "+-"}
    assert "scale=0.5" in signs["-"]
    assert "scale=0.25" in signs["+"]


def test_another_name_of_an_axis_is_a_change_of_the_axis() -> None:
    before = decoder(1)
    shown, said = differing(rename_axes(before, {"mlp": "neurons"}), before)
    assert shown.renamed(0, 1) == {"mlp": "neurons"}
    assert ("~", "mlp → neurons") in said.axes
    assert [c.title for c in shown.cells if c.change and c.kind is Kind.OP] == []


def test_a_group_of_new_cells_is_new() -> None:
    before = decoder(1)
    shown = scene(before, decoder(2))
    new = find(shown, "layers.1")
    assert new.change is Change.ADDED
    assert find(shown, "layers.0").change is Change.SAME
