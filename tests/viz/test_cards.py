"""Cards of heads and neurons: their tokens are those of the circuits."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from lm_graphs import IDS, VOCABULARY, marked, small
from playwright.sync_api import Locator, Page
from test_hostile import PAYLOADS

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import SelectionError

Open = Callable[..., Page]


def listed(bars: Locator) -> list[tuple[str, float]]:
    """The words of bars with their numbers."""
    words = bars.locator(".bar-word").all_inner_texts()
    numbers = [t.replace("−", "-") for t in bars.locator(".bar-number").all_inner_texts()]
    return list(zip(words, map(float, numbers), strict=True))


def test_a_neuron_promotes_and_suppresses_tokens(open_page: Open) -> None:
    page = open_page(gw.viz.neuron(small(), 1, 5, VOCABULARY, top=6))
    scores = np.asarray(p.neuron_vocabulary(small(), 1).product().order("mlp", "vocab"))[5]
    order = np.argsort(-scores)
    for name, ids in (("promoted", order[:6]), ("suppressed", order[::-1][:6])):
        found = listed(page.get_by_role("list", name=name))
        assert [word for word, _ in found] == [marked(VOCABULARY[i]) for i in ids]
        assert [number for _, number in found] == pytest.approx(scores[ids], rel=1e-3)


def test_a_neuron_colours_a_prompt_by_its_activation(open_page: Open) -> None:
    page = open_page(gw.viz.neuron(small(), 0, 3, VOCABULARY, ids=IDS, backend="numpy"))
    graph = small().apply(p.Collect("blocks.0.mlp.post"))
    out = gw.compile(graph, "numpy")(input_ids=np.array([IDS]))["blocks.0.mlp.post"]
    page.locator(".token").nth(2).hover()
    shown = float(page.locator(".tokens .said dd").inner_text().replace("−", "-"))
    assert shown == pytest.approx(float(np.asarray(out)[0, 2, 3]), rel=1e-3)


def test_directions_of_a_head_add_up_to_its_circuit(open_page: Open) -> None:
    view = gw.viz.head(small(), 1, 1, VOCABULARY, top=40, directions=8)
    page = open_page(view)
    whole = np.asarray(p.head_vocabulary(small(), 1).product()[{"heads": 1}])
    sections = page.locator(".sheet section")
    assert sections.count() == 8
    total = np.zeros(40)
    for section in sections.all():
        scores = dict(listed(section.get_by_role("list", name="one way")))
        total += np.square([scores[marked(word)] for word in VOCABULARY])
    exact = np.square(np.asarray(whole)).sum(0)
    assert total == pytest.approx(exact, rel=2e-2)


def test_a_head_says_what_it_promotes_of_each_token_of_a_prompt(open_page: Open) -> None:
    view = gw.viz.head(small(), 1, 0, VOCABULARY, ids=IDS, backend="numpy")
    page = open_page(view)
    graph = small().apply(p.Collect("blocks.1.attn.in"))
    read = gw.compile(graph, "numpy")(input_ids=np.array([IDS]))["blocks.1.attn.in"]
    circuit = p.head_vocabulary(small(), 1).product()[{"heads": 0}].order("source", "vocab")
    scores = np.asarray(read)[0] @ np.asarray(circuit)
    section = page.locator(".sheet section").last
    for at, bars in enumerate(section.get_by_role("list").all()):
        best = np.argsort(-scores[at])[:6]
        found = listed(bars)
        assert [word for word, _ in found] == [marked(VOCABULARY[i]) for i in best]
        assert [number for _, number in found] == pytest.approx(scores[at][best], rel=1e-2)
    assert page.locator(".attention .thumbnail").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cards_are_read_by_keys_in_light_and_dark(open_page: Open, scheme: str) -> None:
    page = open_page(gw.viz.head(small(), 0, 0, VOCABULARY, top=30), color_scheme=scheme)
    sheet = page.get_by_role("region", name="Card", exact=True)
    sheet.focus()
    page.keyboard.press("End")
    scrolled = 0
    for _ in range(100):
        scrolled = page.evaluate("document.querySelector('.sheet').scrollTop")
        if scrolled:
            break
        page.wait_for_timeout(20)
    assert scrolled > 0


def test_hostile_vocabularies_are_inert(open_page: Open) -> None:
    words = (PAYLOADS * 2)[:40]
    for view in (gw.viz.head(small(), 0, 0, words), gw.viz.neuron(small(), 0, 0, words)):
        tags = {x.tag.rpartition("}")[2] for x in ET.fromstring(view.svg).iter()}
        assert tags <= {"svg", "title", "style", "rect", "text"}
        page = open_page(view)
        assert page.evaluate("window.__xss") is None
        assert page.locator("iframe, svg, object, embed, link, body style, body img").count() == 0


def test_without_scripts_the_card_stands_still(open_page: Open) -> None:
    view = gw.viz.neuron(small(), 0, 0, VOCABULARY)
    page = open_page(view, ready="", java_script_enabled=False)
    assert page.locator("img.still").is_visible()
    assert "·cat" in [x.text for x in ET.fromstring(view.svg).iter()]


def test_heads_and_neurons_that_are_not_there_are_refused() -> None:
    with pytest.raises(SelectionError, match="no head 2; they are 0 to 1"):
        gw.viz.head(small(), 0, 2, VOCABULARY)
    with pytest.raises(SelectionError, match="no neuron 64"):
        gw.viz.neuron(small(), 0, 64, VOCABULARY)
    with pytest.raises(SelectionError, match=r"blocks\.7"):
        gw.viz.head(small(), 7, 0, VOCABULARY)
