"""Names that were written to do harm are shown as what they are, and do none."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import Page
from viz_graphs import named

from graftwork import viz
from graftwork.viz.names import visible
from graftwork.viz.scripts import CORE, KINDS

Open = Callable[..., Page]
PAYLOADS = [
    "<script>window.__xss=1</script>",
    "</script><script>window.__xss=1</script>",
    "<img src=x onerror=window.__xss=1>",
    "</title></style><svg onload=window.__xss=1>",
    "<!--<script>",
    "]]><script>window.__xss=1</script>",
    "\"><iframe srcdoc='<script>parent.__xss=1</script>'>",
    "' onmouseover='window.__xss=1",
    "javascript:window.__xss=1",
    "${window.__xss=1}{{7*7}}",
    "&lt;b&gt;&amp;",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff",
    "\x00\x07\x1b[31m\r\n\t\u2028\u2029",
    "\ud800 lone \udfff",
    "__proto__",
    "constructor",
    "toString",
    "",
    " ",
    "%s%n../../etc",
    "שלום عربي 漢字 🤖",
]
LONG = ["x" * 100_000, "a." * 5_000 + "z", "\u202e" * 5_000]
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|"
    r"createContextualFragment|DOMParser|\bfetch\b|XMLHttpRequest|importScripts|localStorage"
)


@pytest.mark.parametrize("payloads", [PAYLOADS, LONG], ids=["payloads", "long"])
def test_hostile_names_are_inert_everywhere(open_page: Open, payloads: list[str]) -> None:
    page = open_page(viz.graph(named(*payloads), diff=named("tame", *payloads[:3])))
    page.get_by_role("button", name="Open all groups").click()
    page.get_by_role("button", name="Show the difference as text").click()
    page.evaluate(
        """() => { const {model, actions} = graftwork.app;
          for (let i = 0; i < model.count; i++) actions.select(i, true); }"""
    )
    page.get_by_role("combobox").fill(payloads[0])
    assert page.evaluate("window.__xss") is None
    assert page.locator("script").count() == 2
    assert page.locator("iframe, svg, object, embed, link, body style").count() == 0
    assert page.locator("body img").count() == 0
    text = page.locator("body").inner_text()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\x00\x07\x1b]", text)
    assert len(text) < 100_000


def test_a_hostile_name_is_shown_as_it_is_spelled(open_page: Open) -> None:
    name = "\u202e<b>\x00"
    page = open_page(viz.graph(named(name)))
    page.get_by_role("tree").get_by_text("\\u202e<b>\\x00", exact=True).first.click()
    assert page.locator(".inspected h2").inner_text() == "\\u202e<b>\\x00"


@given(st.text(st.characters(exclude_categories=()), max_size=40))
@example("\ud800")
def test_any_name_gives_a_page_and_a_picture_of_xml(name: str) -> None:
    view = viz.graph(named(name))
    view.html.encode()
    root = ET.fromstring(view.svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "style", "g", "rect", "path", "text"}
    assert view.html.count("<script") == 2


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_visible_text_is_printable_and_tells_names_apart(name: str) -> None:
    shown = visible(name)
    assert shown.isprintable()
    if name.isprintable():
        assert shown == name


def test_long_names_are_cut_and_say_so() -> None:
    assert visible("x" * 100_000, 10) == "xxxxxxxxxx… (100,000 characters)"


def test_scripts_make_elements_only_from_text() -> None:
    assets = [p for p in (files("graftwork.viz") / "assets").iterdir() if p.name.endswith(".js")]
    assert len(assets) > 5
    assert {p.name: found for p in assets if (found := FORBIDDEN.findall(p.read_text()))} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_the_script_needs_only_parts_before_it(kind: str) -> None:
    known: dict[str, set[str]] = {}
    for name in (*CORE.scripts, *KINDS[kind].scripts, "start"):
        text = (files("graftwork.viz") / "assets" / f"{name}.js").read_text()
        imports = re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', text, re.MULTILINE)
        assert len(imports) == text.count("import {")
        for words, home in imports:
            assert {word.strip() for word in words.split(",")} <= known[home], f"{name}: {home}"
        known[name] = set(re.findall(r"^export (?:async )?\w+ (\w+)", text, re.MULTILINE))
