"""Pictures for strangers hold no values, files and lines of source; manifests say what is held."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from attrs import field, frozen
from pictures import PICTURES, array, attention
from playwright.sync_api import Page
from viz_graphs import decoder, doubled

import graftwork as gw
from graftwork import passes as p
from graftwork import viz
from graftwork.ir import ops
from graftwork.ir.attributes import STRING, Literal, Spec
from graftwork.ir.build import Builder
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.store import Store
from graftwork.ir.types import Typing
from graftwork.viz.manifest import ARGUMENTS, SOURCES, VALUES
from graftwork.viz.names import attribute_words, bare

Open = Callable[..., Page]
FILE, LINE = "/home/mallory/tower-of-babel/model.py", "48151"
WEIGHT, SCALAR, ELEMENT, EPSILON = 7305.8125, 9241.4375, 6117.1875, 0.0310571
OVERLAY, FACTOR, STEERING = 5443.5625, 8088.6875, 3939.9375
TABLE = "s3://private-bucket/table.npy"
SECRETS = {
    "a file": FILE, "a line": f":{LINE}", "a constant": "9241.43", "an attribute": "0.0310571",
    "a changed attribute": "0.0417283", "an argument of a pass": "8088.68", "free text": TABLE,
    "an argument elsewhere": "3939.93",
}  # fmt: skip
NUMBERS = (WEIGHT, SCALAR, ELEMENT, EPSILON, OVERLAY, FACTOR, STEERING)


LOOKED_UP = Op(
    "looked_up",
    "x",
    "What a table has for x.",
    attrs=(Spec("table", STRING),),
    infer=lambda typing, x, table: x,
    evaluate=lambda at, x, table: x,
)


@frozen(repr=False)
class Secret:
    """A pass that tells its arguments, in a way of its own."""

    by: float = field(default=STEERING)

    def __repr__(self) -> str:
        return f"Secret by {self.by} from {TABLE}"

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, repr(self))
        rewriter.interpose(graph.nodes[-1].output, lambda x: x * self.by)
        return rewriter.finish()


def secret(eps: float = EPSILON) -> Graph:
    """A graph whose numbers and places can be told from all others."""
    builder = Builder(Typing({"seq": 3, "embed": 2}))
    x = builder.input("f32", "seq embed", "x")
    w = builder.input("f32", "embed", "weight")
    builder.origin = Origin("tower", f"{FILE}:{LINE}", "aten.layer_norm")
    with builder:
        y = ops.layer_norm(x, w, over="embed", eps=eps)
        y = ops.mul(y, SCALAR)
        y = LOOKED_UP(y, table=TABLE)
        many = Literal.of(np.array([ELEMENT, 1.0], np.float32))
        y = y + ops.constant(value=many, axes=("embed",))
    return Graph(
        (Port("x", x.value, x.value.axes),),
        (Parameter("tower.weight", w.value, w.value.axes),),
        tuple(builder.nodes),
        (Port("y", y.value, y.value.axes),),
        dict(builder.typing.table),
        store=Store(({"tower.weight": np.full(2, WEIGHT, np.float32)},)),
    )


def pictures(share_safe: bool) -> Iterator[viz.View]:
    graph = secret()
    scaled = p.Scale("tower", FACTOR)
    yield viz.graph(graph, overlay={graph.nodes[0]: OVERLAY}, label="effect", share_safe=share_safe)
    yield viz.graph(secret(0.0417283), diff=graph, share_safe=share_safe)
    yield viz.replay(graph, scaled, Secret(), share_safe=share_safe)


def packed_bytes(view: viz.View) -> Iterator[bytes]:
    """Everything in the file of a page and in what notebooks get: as it is, and inflated."""
    bundle = view._repr_mimebundle_()
    for text in (
        view.html,
        view.to_svg(),
        bundle["text/plain"],
        html.unescape(bundle["text/html"]),
    ):
        yield text.encode()
        for found in re.findall(r"[A-Za-z0-9+/]{60,}={0,2}", text):
            raw = base64.b64decode(found)
            yield raw
            if raw[:1] == b"\x78":
                yield from inflated(zlib.decompress(raw))


def inflated(raw: bytes) -> Iterator[bytes]:
    """A part of a page, its text as it is read, and the bytes of its columns, planes joined."""
    yield raw
    size = int.from_bytes(raw[:4], "little")
    head, at = json.loads(raw[4 : 4 + size]), 4 + size
    yield json.dumps(head, ensure_ascii=False).encode()
    for _, length, kind in head["columns"]:
        width = 1 if kind == "b" else 4
        planes = np.frombuffer(raw[at : at + width * length], np.uint8).reshape(width, length)
        yield np.ascontiguousarray(planes.T).tobytes()
        at += width * length


def found(view: viz.View) -> set[str]:
    """What of the secrets is in a picture."""
    everything = [*packed_bytes(view)]
    words = {name for name, text in SECRETS.items() if any(text.encode() in x for x in everything)}
    for number in NUMBERS:
        forms = (np.float32(number).tobytes(), np.float64(number).tobytes())
        if any(form in x for form in forms for x in everything):
            words.add(f"{number} in binary")
    return words


def test_a_share_safe_page_has_no_value_file_or_line_in_its_bytes() -> None:
    assert [found(view) for view in pictures(share_safe=True)] == [set(), set(), set()]


def test_else_each_of_them_is_found_so_that_the_search_is_one() -> None:
    known = set().union(*(found(view) for view in pictures(share_safe=False)))
    assert known == {*SECRETS, f"{OVERLAY} in binary"}


def test_what_a_stranger_may_see_stays(open_page: Open) -> None:
    page = open_page(viz.graph(secret(), share_safe=True))
    text = page.get_by_role("tree").inner_text()
    assert "tower" in text
    page.get_by_role("tree").get_by_text("layer_norm").first.click()
    shown = page.locator(".inspected").inner_text()
    assert "aten.layer_norm" in shown
    assert "eps" in shown
    assert "source" not in shown
    assert "…" in shown


def test_a_change_of_hidden_numbers_is_still_a_change(open_page: Open) -> None:
    page = open_page(viz.graph(secret(0.0417283), diff=secret(), share_safe=True))
    page.get_by_role("button", name="Show the difference as text").click()
    lines = page.locator(".difference").inner_text()
    assert "0 added, 0 removed, 1 changed" in lines
    assert "eps=…" in lines


def test_structure_is_told_and_numbers_are_not() -> None:
    node = next(node for node in decoder(1).nodes if node.op is ops.attention)
    told = dict(attribute_words(node.op, node.attrs, values=False))
    assert told == {"over": "head_dim", "key": "kv_seq", "scale": "…"}
    (looked_up,) = (node for node in secret().nodes if node.op is LOOKED_UP)
    assert attribute_words(LOOKED_UP, looked_up.attrs, values=False) == [("table", "…")]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Scale(site='a', factor=2.5)", "Scale"), ("Secret by 3.5", "Secret"), ("<x 2>", "pass"),
     ("functools.partial(<f>, 3)", "functools.partial"), ("2.5 times", "pass"), ("", "pass")],
)  # fmt: skip
def test_a_pass_is_called_by_its_name_alone(name: str, shown: str) -> None:
    assert bare(name) == shown


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_says_at_its_foot_what_it_holds(name: str) -> None:
    view = PICTURES[name]()
    feet = re.findall(r'<details class="manifest" data-manifest="([^"]*)">', view.html)
    told = [json.loads(html.unescape(foot)) for foot in feet]
    assert told == [json.loads(json.dumps(manifest.facts())) for manifest in view.manifests]
    assert len(told) == len(view.parts)
    assert all(fact["holds"] for fact in told)


def test_the_manifest_of_a_graph_tells_what_is_left_out() -> None:
    graph = decoder(1)
    shared = viz.graph(graph, overlay={"embed": 1.0}, label="norm", share_safe=True).manifests[0]
    plain = viz.graph(graph, overlay={"embed": 1.0}, label="norm").manifests[0]
    private = {SOURCES, VALUES, ARGUMENTS}
    assert shared.share_safe
    assert private | {"overlay, norm"} <= set(shared.left_out)
    assert not private & set(shared.holds)
    assert not shared.numbers
    assert not plain.share_safe
    assert private <= set(plain.holds)
    assert [kept.what for kept in plain.numbers] == ["overlay, norm"]


def test_numbers_are_as_exact_as_the_manifest_says() -> None:
    (told,) = attention().manifests
    shares = told.numbers[0]
    assert (shares.bits, shares.steps, shares.low, shares.high) == (8, 255, 0.0, 1.0)
    assert shares.error == pytest.approx(1 / 510)
    exact, *_ = array().manifests[0].numbers
    assert (exact.bits, exact.steps, exact.error) == (32, None, 0.0)
    many = gw.NamedArray(np.random.default_rng(0).normal(size=(300, 300)), ("a", "b"))
    coded = viz.array(many).manifests[0].numbers[0]
    assert (coded.bits, coded.steps) == (8, 251)
    small = viz.array(many, max_mb=0.2).manifests[0]
    assert any("by max-abs" in words for words in small.left_out)


def test_the_foot_opens_by_key_and_hostile_labels_are_inert_there(open_page: Open) -> None:
    label = "</dd><img src=x onerror=window.__xss=1>"
    page = open_page(viz.graph(decoder(1), overlay={"embed": 1.0}, label=label))
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert label in page.locator(".manifest").inner_text()
    assert page.evaluate("window.__xss") is None
    assert page.locator("body img").count() == 0
    box, foot = page.locator(".view").bounding_box(), page.locator(".manifest").bounding_box()
    assert box["y"] + box["height"] <= foot["y"] + 0.5
    assert foot["y"] + foot["height"] <= 800.5


def test_a_share_safe_view_is_no_text_of_the_graph() -> None:
    view = viz.graph(secret(), share_safe=True)
    assert view._repr_mimebundle_()["text/plain"] == view.title


def test_a_graph_writes_the_same_page_for_strangers() -> None:
    before = decoder(1)
    graph = doubled(before)
    html = graph.to_html(diff=before, share_safe=True)
    assert html == viz.graph(graph, before, share_safe=True).html
    assert html != graph.to_html(diff=before)
