"""Composites that open into their bodies, and the life of an axis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graph_page import point_of, selected, shown, state
from playwright.sync_api import Page
from viz_graphs import decoder, doubled

from graftwork import viz
from graftwork.ir import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Port
from graftwork.ir.select import Selection
from graftwork.ir.types import Typing
from graftwork.viz.cells import Cell, Kind
from graftwork.viz.life import acts
from graftwork.viz.scene import scene

Open = Callable[..., Page]


def small(build: Callable[..., object]) -> Graph:
    """A graph of one op on an array of rows and columns, and its column sums."""
    builder = Builder(Typing({"rows": 4, "cols": 6}))
    x = builder.input("f32", "rows cols", "x")
    w = builder.input("f32", "cols", "w")
    with builder:
        y = build(x, w)
    ports = [Port(name, t.value, t.value.axes) for name, t in (("x", x), ("w", w), ("y", y))]
    return Graph(tuple(ports[:2]), (), tuple(builder.nodes), (ports[2],), builder.typing.table)


def composite(graph: Graph) -> Cell:
    (cell,) = (c for c in scene(graph).cells if c.is_composite and not c.within)
    return cell


@pytest.mark.parametrize(
    "build",
    [
        lambda x, w: ops.layer_norm(x, w, over="cols", eps=1e-5),
        lambda x, w: ops.gelu(x, approximate="tanh"),
        lambda x, w: ops.softmax(x, axis="cols"),
        lambda x, w: ops.rms_norm(x, w, over="cols", eps=1e-5),
        lambda x, w: ops.linear(x, w, over="cols"),
    ],
)
def test_composites_open_into_ops_that_join_their_operands_to_their_result(
    build: Callable[..., object],
) -> None:
    cell = composite(small(build))
    assert all(inner.within for child in cell.children for inner in child.walk())
    assert cell.children[0].kind is Kind.INPUT
    assert cell.children[-1].kind is Kind.OUTPUT
    todo, seen = [cell.children[-1]], set()
    while todo:
        for wire in todo.pop().reads:
            if wire.maker not in seen:
                seen.add(wire.maker)
                todo.append(wire.maker)
    used = [c for c in cell.children if c.kind is Kind.INPUT and c.makes and c in seen]
    assert used


def test_bodies_are_no_part_of_counts_of_ops_and_of_changes(open_page: Open) -> None:
    before = decoder(2)
    page = open_page(viz.graph(doubled(before), diff=before))
    assert page.get_by_role("group", name="Changes").inner_text().split()[:3] == ["+2", "−0", "~0"]
    total = sum(
        cell.kind is Kind.OP and not cell.within for cell in scene(before, doubled(before)).cells
    )
    assert state(page, "app.model.totals.ops[app.model.outline]") == total


def test_attention_opens_and_its_pattern_is_a_place(open_page: Open) -> None:
    graph = decoder(2)
    page = open_page(viz.graph(graph))
    page.get_by_role("button", name="Open all groups").click()
    assert "attention" in shown(page)
    page.mouse.dblclick(*point_of(page, "attention"))
    assert "attention" not in shown(page)[: shown(page).index("o_proj")]
    assert "softmax" in shown(page)
    page.mouse.click(*point_of(page, "softmax"))
    assert selected(page) == "softmax"
    assert page.locator(".expression").inner_text() == "graph.select('blocks.0.attn.pattern')"


def test_every_part_of_a_body_is_found_by_its_expression(open_page: Open) -> None:
    graph = decoder(2)
    page = open_page(viz.graph(graph))
    rows = page.evaluate(
        """() => { const {model, actions} = graftwork.app; const rows = [];
          for (let i = 1; i < model.outline; i++) {
            if (!model.c.within[i] || model.c.kind[i] !== 1) continue;
            actions.select(i);
            const code = document.querySelector('.expression')?.textContent ?? '';
            rows.push([model.strings[model.c.title[i]], code]); }
          return rows }"""
    )
    found = [(title, eval(code, {"graph": graph})) for title, code in rows if code]
    assert len(found) > 20
    for title, selection in found:
        assert isinstance(selection, Selection)
        (place,) = selection
        assert place.op == title
        assert place.place.inner
    places = [place.place for _, selection in found for place in selection]
    assert len(set(places)) == len(places)


def acts_in(graph: Graph) -> set[tuple[str, str]]:
    forms = {cell.form for cell in scene(graph).cells if cell.form and not cell.within}
    return {(axis, words) for form in forms for axis, words, _ in acts(form)}


def test_what_ops_do_to_axes() -> None:
    def done(build: Callable[..., object]) -> set[tuple[str, str]]:
        return acts_in(small(build))

    assert done(lambda x, w: ops.sum(x, over="cols")) == {("cols", "reduced")}
    assert done(lambda x, w: ops.contract(x, w, over="cols")) == {("cols", "contracted")}
    assert done(lambda x, w: ops.rename(x, axes={"cols": "keys"})) == {
        ("cols", "renamed to keys"),
        ("keys", "renamed from cols"),
    }
    split = done(lambda x, w: ops.split(x, axis="cols", into=("a", "b"), sizes=(2, 3)))
    assert ("cols", "split into a, b") in split
    assert ("a", "split from cols") in split
    merge = done(lambda x, w: ops.merge(x, axes=("rows", "cols"), into="all"))
    assert merge == {
        ("rows", "merged into all"),
        ("cols", "merged into all"),
        ("all", "merged from rows, cols"),
    }
    assert done(lambda x, w: ops.exp(x)) == set()
    assert ("seq", "created") in acts_in(decoder(1))


def test_the_life_of_an_axis_is_listed_and_leads_to_its_places(open_page: Open) -> None:
    page = open_page(viz.graph(decoder(3)))
    page.locator(".legend").get_by_role("button", name="seq", exact=True).click()
    life = page.get_by_role("group", name="Life of the axis")
    assert "renamed to kv_seq ×6" in life.inner_text()
    life.get_by_role("button", name="Find where seq is renamed to kv_seq").click()
    assert selected(page) == "rename"
    assert len(state(page, "app.scene.hits")) == 6
    life.get_by_role("button", name="Follow kv_seq").click()
    assert "renamed from seq" in life.inner_text()
    page.keyboard.press("Escape")
    assert life.is_hidden()
