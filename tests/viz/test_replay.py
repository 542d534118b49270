"""A pipeline of passes replayed: every version of a graph in one picture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graph_page import shown, state
from hypothesis import given, settings
from playwright.sync_api import Page
from viz_graphs import decoder, doubled, rescaled

from graftwork import viz
from graftwork.ir.errors import PassError
from graftwork.ir.graph import Graph
from graftwork.ir.rename import rename_axes
from graftwork.ir.rewrite import Rewriter
from graftwork.testing import graphs
from graftwork.viz.cells import Kind
from graftwork.viz.difference import differences
from graftwork.viz.merge import Change
from graftwork.viz.scene import Scene, scene

Open = Callable[..., Page]


def undone(graph: Graph) -> Graph:
    """The graph without what `doubled` put in."""
    rewriter = Rewriter(graph, "Undo")
    node = next(n for n in graph.nodes if n.origin.passes == ("Double",) and n.op.name == "mul")
    rewriter.replace(node, lambda x, _: x)
    return rewriter.finish()


def renamed(graph: Graph) -> Graph:
    return rename_axes(graph, {"mlp": "neurons"})


def history(graph: Graph, *passes: Callable[[Graph], Graph]) -> list[Graph]:
    versions = [graph]
    for applied in passes:
        versions.append(applied(versions[-1]))
    return versions


def changes(union: Scene, step: int) -> list[tuple[str, Change]]:
    found = ((c.title, c.change_in(step - 1, step, step)) for c in union.cells if c.kind is Kind.OP)
    return [(title, change) for title, change in found if change]


def test_every_version_is_told_apart_in_one_union() -> None:
    union = scene(*history(decoder(2), doubled, rescaled, renamed, undone))
    assert changes(union, 1) == [("mul", Change.ADDED)]
    assert changes(union, 2) == [("attention", Change.CHANGED)]
    assert changes(union, 3) == []
    assert changes(union, 4) == [("mul", Change.REMOVED)]
    assert union.renamed(2, 3) == {"mlp": "neurons"}
    assert differences(union, list("01234"))[3].counts == (0, 0, 0)
    added = next(cell for cell in union.cells if cell.there == 0b01110 and cell.kind is Kind.OP)
    assert added.title == "mul"
    attention = next(cell for cell in union.cells if cell.changed)
    assert sorted(attention.was) == [0, 2]


@given(graphs())
@settings(max_examples=15)
def test_each_version_has_its_nodes_and_readings(graph: Graph) -> None:
    versions = [graph, graph, graph]
    union = scene(*versions)
    for number, version in enumerate(versions):
        cells = [cell for cell in union.cells if cell.node and not cell.within]
        there = [cell for cell in cells if cell.there >> number & 1]
        assert len(there) == len(list(version.walk()))
        for cell in there:
            read = sum(bits >> number & 1 for bits in cell.readings)
            assert read == len(set(cell.node.inputs))
    assert [d.counts for d in differences(union, ["all", "one", "two"])] == [(0, 0, 0)] * 3


def test_what_took_over_a_value_is_said() -> None:
    union = scene(*history(decoder(1), doubled))
    assert [(new.title, old.title, step) for new, old, step in union.replaced()] == [
        ("mul", "mul", 1)
    ]


def test_keys_go_through_the_passes(open_page: Open) -> None:
    page = open_page(viz.replay(decoder(2), doubled, rescaled, undone))
    page.get_by_role("button", name="Open all groups").click()
    assert page.get_by_role("group", name="Changes").inner_text().split()[:3] == ["+1", "−0", "~1"]
    count = len(shown(page))
    bar = page.get_by_role("group", name="Passes")
    page.keyboard.press("]")
    assert "1 of 3" in bar.inner_text()
    assert "doubled" in bar.inner_text()
    assert page.get_by_role("group", name="Changes").inner_text().split()[0] == "+2"
    assert len(shown(page)) == count + 1
    page.keyboard.press("n")
    assert page.locator(".inspected h2").inner_text() == "mul"
    assert "gives what was given by mul" in page.locator(".inspected").inner_text()
    page.get_by_role("button", name="Find what Double made").click()
    assert state(page, "app.scene.hits.length") >= 1
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Next pass").click()
    page.keyboard.press("n")
    assert "scale 0.5" in page.locator(".inspected").inner_text()
    page.get_by_role("slider", name="Pass").fill("3")
    assert "3 of 3" in bar.inner_text()
    page.get_by_role("button", name="Show the difference as text").click()
    assert "- " in page.locator(".difference").inner_text()
    page.keyboard.press("]")
    assert "3 of 3" in bar.inner_text()


def test_a_renamed_axis_is_shown_as_it_was_called(open_page: Open) -> None:
    page = open_page(viz.replay(decoder(1), doubled, renamed))
    page.get_by_role("button", name="Open all groups").click()
    names = """() => { const {model} = graftwork.app; const found = new Set();
      for (let w = 0; w < model.c.wireMaker.length; w++) {
        const row = model.retyped.get(w)?.[model.version] ?? model.c.wireType[w];
        for (const a of model.types[row][1]) found.add(model.axes[a][0]); }
      return [...found]; }"""
    page.keyboard.press("]")
    assert "mlp" in page.evaluate(names)
    assert "neurons" not in page.evaluate(names)
    assert "axis" not in page.get_by_role("group", name="Changes").inner_text()
    page.keyboard.press("]")
    assert "neurons" in page.evaluate(names)
    counts = page.get_by_role("group", name="Changes").locator(".counts span").all_inner_texts()
    assert counts == ["+0", "−0", "~0", "1 axis"]
    page.get_by_role("button", name="Show the difference as text").click()
    assert "~ axis mlp → neurons" in page.locator(".difference").inner_text()


def test_many_passes_are_joined_and_a_failure_names_its_pass() -> None:
    view = viz.replay(decoder(1), *[lambda graph: graph.evolve()] * 40)
    assert view.title.endswith("+0 −0 ~0")

    def broken(graph: Graph) -> Graph:
        return None  # type: ignore[return-value]

    with pytest.raises(PassError, match=r"in pass broken, after doubled"):
        viz.replay(decoder(1), doubled, broken)
