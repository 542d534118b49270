"""What a pass does inside: replayed rule by rule, and only what changed with what is around."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable

import numpy as np
from graph_page import selected, shown, state
from playwright.sync_api import Page
from test_axe import violations
from viz_graphs import decoder, doubled

from graftwork import viz
from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph, Port
from graftwork.ir.pipeline import apply
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from graftwork.passes.cleanup import Cleanup
from graftwork.passes.composites import Recover

Open = Callable[..., Page]


def written_out(dead: int = 0) -> Graph:
    """Two softmaxes of a SiLU in primitive ops, and ops that nothing reads."""
    with Builder(Typing({"batch": 2, "k": 5})) as builder:
        x = builder.input("f32", "batch k", "x")
        y = x * ops.logistic(x)
        for _ in range(2):
            e = ops.exp(y - ops.max(y, over="k"))
            y = e / ops.sum(e, over="k")
        for _ in range(dead):
            ops.tanh(x)
    ports = Port("x", x.value, x.value.axes), Port("y", y.value, y.value.axes)
    return Graph(ports[:1], (), tuple(builder.nodes), ports[1:], dict(builder.typing.table))


def test_a_pass_of_rules_tells_what_each_made() -> None:
    graph = written_out()
    after, (step, tidied) = apply(graph, [Recover(), Cleanup()], watch=True)
    assert [name for name, _ in step.stages] == ["softmax", "silu"]
    assert step.stages[-1][1] is step.after
    numbers = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    x = {"x": NamedArray(numbers, ("batch", "k"))}
    wanted = np.asarray(run(graph, x, {})["y"])
    for _, reached in step.stages:
        verify(reached)
        np.testing.assert_allclose(np.asarray(run(reached, x, {})["y"]), wanted, rtol=1e-5)
    words = [[node.op.name for node in reached.nodes] for _, reached in step.stages]
    assert words == [["logistic", "mul", "softmax", "softmax"], ["silu", "softmax", "softmax"]]
    assert tidied.stages == ()
    assert [node.op.name for node in after.nodes] == words[-1]


def test_what_is_not_watched_tells_nothing() -> None:
    assert [step.stages for step in apply(written_out(), [Recover()])[1]] == [()]


def test_parts_of_a_pass_are_told_where_they_do_something() -> None:
    step = apply(written_out(2), [Cleanup()], watch=True)[1][0]
    assert [name for name, _ in step.stages] == ["ShareCommon", "DropDead"]


def test_keys_go_through_the_rules_of_a_pass(open_page: Open) -> None:
    page = open_page(viz.replay(written_out(), Recover(), Cleanup()))
    bar = page.get_by_role("group", name="Passes")
    said = []
    for _ in range(3):
        page.keyboard.press("]")
        said.append(" ".join(bar.locator(".name").inner_text().split()))
        counts = page.get_by_role("group", name="Changes").inner_text().split()[:3]
        said.append(" ".join(counts))
    assert said == [
        "1 of 3 Recover(): softmax", "+2 −10 ~0", "2 of 3 Recover(): silu", "+1 −2 ~0",
        "3 of 3 Cleanup()", "+0 −0 ~0",
    ]  # fmt: skip
    page.keyboard.press("[")
    page.keyboard.press("n")
    assert selected(page) in ("silu", "mul", "logistic")


def test_rules_stay_in_their_passes_where_there_is_no_room_for_them() -> None:
    def names(times: int) -> list[str]:
        passes = [lambda _: written_out(), Recover()] * times
        raw = zlib.decompress(base64.b64decode(viz.replay(written_out(), *passes).parts[0].data))
        head = json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])
        return [difference["name"] for difference in head["facts"]["differences"]]

    assert names(1)[1:] == ["<lambda>", "Recover(): softmax", "Recover(): silu"]
    assert set(names(12)[1:]) == {"<lambda>", "Recover()"}


def test_only_what_changed_is_shown_and_farther_each_time(open_page: Open) -> None:
    before = decoder(3)
    page = open_page(viz.graph(doubled(before, "blocks.1.mlp.post"), diff=before))
    page.get_by_role("button", name="Open all groups").click()
    everything = set(shown(page))
    sizes = []
    for near in range(1, 4):
        page.keyboard.press("c")
        sizes.append(len(shown(page)))
        assert state(page, "app.scene.cone.near") == near
    assert "up to 3 steps" in page.get_by_role("group", name="Only a part").inner_text()
    assert 2 < sizes[0] < sizes[1] < sizes[2] < len(everything) * 3
    changed = "[...app.model.c.change].every((now, i) => !now || app.model.c.kind[i] > 3"
    assert state(page, f"{changed} || app.scene.kept[i])") is True
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert set(shown(page)) == everything
    page.get_by_role("button", name="Only what changed").click()
    assert len(shown(page)) == sizes[0]


def test_what_is_near_follows_the_step(open_page: Open) -> None:
    page = open_page(
        viz.replay(decoder(2), doubled, lambda graph: doubled(graph, "blocks.1.mlp.post"))
    )
    page.get_by_role("button", name="Open all groups").click()
    page.keyboard.press("c")
    near = []
    kept = "app.model.c.change.reduce((all, now, i) => all + (now && app.scene.kept[i] ? 1 : 0), 0)"
    for key in "]]":
        page.keyboard.press(key)
        near.append((len(shown(page)), state(page, kept)))
    assert all(count > 0 and size > count for size, count in near)
