"""The explorer in a real browser: from a folder to an edited model, and its code taken away."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser, FrameLocator, Page, expect

import graftwork as gw
from graftwork.explore.app import application
from graftwork.explore.pictures import PICTURES

FRANCE, ITALY = "the capital of France is", "the capital of Italy is"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server without a model."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(application(), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Open]:
    """Opens the page; no page may err, or ask for anything elsewhere."""
    contexts = []
    problems: list[str] = []
    requests: list[str] = []

    def go(**options: object) -> Page:
        settings = {"viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce"}
        context = browser.new_context(**(settings | options))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert problems == []
    assert [found for found in requests if not found.startswith((url, "data:"))] == []


def choose(page: Page, folder: Path) -> FrameLocator:
    """Open a model, and wait for its picture."""
    page.get_by_label("Model").fill(str(folder))
    page.get_by_role("button", name="Open").click()
    frame = page.frame_locator("#picture")
    frame.locator("body[data-ready]").wait_for(state="attached", timeout=60_000)
    return frame


def run(page: Page, prompt: str) -> None:
    page.get_by_role("textbox", name="Prompt", exact=True).fill(prompt)
    page.keyboard.press("Enter")
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("aria-busy", "false", timeout=60_000)


def rows(page: Page) -> list[list[str]]:
    """Of each token that is shown, its text and its probabilities, without signs of change."""
    found: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll('#rows tbody tr')].map((row) => [
          row.querySelector('th').textContent,
          ...[...row.querySelectorAll('.number')].map((n) => n.textContent.replace(/[▲▼] /, ''))
        ])"""
    )
    return found


def click_site(frame: FrameLocator, site: str) -> None:
    """Select a site in the picture of the graph."""
    search = frame.get_by_role("combobox", name="Search")
    search.fill(site)
    search.press("Enter")


def test_from_a_folder_to_the_code_of_an_edited_model(
    open_page: Open,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = open_page()
    frame = choose(page, folder)
    run(page, FRANCE)
    assert page.locator("#tokens button").all_inner_texts() == FRANCE.split()
    plain = rows(page)
    assert {len(row) for row in plain} == {2}

    click_site(frame, "blocks.1.attn.z")
    expect(page.get_by_label("Site")).to_have_value("blocks.1.attn.z")
    page.get_by_label("heads", exact=True).fill("0, 2")
    page.get_by_role("button", name="Add this edit").click()
    expect(page.locator("#divergence")).to_contain_text("nats", timeout=60_000)
    settled(page)
    assert (
        page.locator("#recipe li")
        .all_inner_texts()[0]
        .startswith("Ablate blocks.1.attn.z heads 0, 2")
    )
    before = {row[0]: row[1] for row in rows(page)}
    assert before | dict(plain) == before
    assert any(row[1] != row[2] for row in rows(page))
    expect(frame.get_by_role("group", name="Changes")).to_contain_text("+", timeout=30_000)
    expect(frame.locator(".inspected h2")).to_be_visible()

    code = page.locator("#code").inner_text()
    assert "p.Ablate('blocks.1.attn.z', where={'heads': [0, 2]})" in code
    monkeypatch.chdir(tmp_path)
    names: dict[str, np.ndarray] = {}
    exec(code, names)
    scores = np.exp(names["logits"].astype(np.float64))
    likeliest = 100 * scores.max() / scores.sum()
    assert rows(page)[0][2].startswith(f"{likeliest:.1f}")
    assert capsys.readouterr().out.splitlines()[0].split()[0] == repr(rows(page)[0][0])
    assert len(gw.load_recipe(tmp_path / "recipe")) == 1

    page.get_by_role("button", name=re.compile("Remove: Ablate")).click()
    settled(page)
    assert rows(page) == plain


def test_a_patch_from_another_prompt(open_page: Open, folder: Path) -> None:
    page = open_page()
    choose(page, folder)
    run(page, ITALY)
    other = rows(page)
    run(page, FRANCE)
    page.get_by_text("Patch", exact=True).click()
    page.get_by_label("Site").fill("blocks.0.resid_pre")
    page.get_by_label("Other prompt").fill(ITALY)
    page.get_by_role("button", name="Add this edit").click()
    expect(page.locator("#divergence")).to_contain_text("nats", timeout=60_000)
    settled(page)
    assert {row[0]: row[2] for row in rows(page)} == dict(other)
    page.get_by_role("button", name="capital", exact=True).click()
    settled(page)
    assert page.locator("#tokens [aria-pressed=true]").all_inner_texts() == ["capital"]
    expect(page.locator("#divergence")).to_contain_text("by 0.00 nats")


def test_all_pictures_are_shown_and_share_what_is_selected(open_page: Open, folder: Path) -> None:
    page = open_page()
    frame = choose(page, folder)
    page.get_by_role("tab", name="Attention").click()
    expect(page.get_by_role("alert")).to_contain_text("the prompt is empty")
    expect(page.locator("#waiting")).to_be_visible()
    run(page, FRANCE)
    page.get_by_role("tab", name="Graph").click()
    click_site(frame, "blocks.1.attn.z")
    expect(page.get_by_label("Site")).to_have_value("blocks.1.attn.z")
    page.get_by_role("tab", name="Graph").focus()
    shown = []
    for _ in range(len(PICTURES)):
        page.keyboard.press("ArrowRight")
        tab = page.get_by_role("tab", selected=True)
        expect(tab).to_be_focused()
        expect(page.locator("#waiting")).to_be_hidden(timeout=30_000)
        frame.locator("body[data-ready]").wait_for(state="attached")
        shown.append(tab.inner_text())
        if shown[-1] == "Attention":
            expect(frame.locator(".matrices, main")).to_contain_text("layer 1 head 0")
    assert shown == [*(p.title for p in [*PICTURES.values()][1:]), "Graph"]


def test_what_goes_wrong_is_said_and_can_be_mended(
    open_page: Open, folder: Path, tmp_path: Path
) -> None:
    page = open_page()
    page.get_by_label("Model").fill(str(tmp_path / "<img src=x onerror=alert(1)>"))
    page.get_by_role("button", name="Open").click()
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("<img src=x onerror=alert(1)>")
    choose(page, folder)
    expect(trouble).to_be_hidden()
    run(page, "the " * 17)
    expect(trouble).to_contain_text("cannot run this prompt")
    run(page, FRANCE)
    expect(trouble).to_be_hidden()
    page.get_by_label("Site").fill("blocks.7.attn.z")
    page.get_by_role("button", name="Add this edit").click()
    expect(trouble).to_contain_text("did you mean 'blocks.1.attn.z'", timeout=30_000)
    assert page.locator("#recipe li").count() == 1
    page.get_by_role("button", name=re.compile("Remove")).click()
    expect(trouble).to_be_hidden(timeout=30_000)


def test_only_the_frame_of_the_picture_is_heard(open_page: Open, folder: Path) -> None:
    page = open_page()
    frame = choose(page, folder)
    message = "postMessage({selection: {site: 'blocks.0.mlp.out'}}, '*')"
    page.evaluate(message)
    page.frames[1].evaluate("postMessage({selection: {site: 'blocks.0.mlp.out'}}, '*')")
    page.wait_for_timeout(200)
    assert page.get_by_label("Site").input_value() == ""
    assert frame.locator(".inspected h2").count() == 0
    page.frames[1].evaluate(f"parent.{message}")
    expect(page.get_by_label("Site")).to_have_value("blocks.0.mlp.out")


def test_a_site_that_is_typed_is_shown_in_the_picture(open_page: Open, folder: Path) -> None:
    page = open_page()
    frame = choose(page, folder)
    page.get_by_label("Site").fill("blocks.1.mlp.out")
    page.keyboard.press("Tab")
    expect(frame.locator(".chips li").first).to_have_text("blocks.1.mlp.out")


def test_the_picture_has_no_origin(open_page: Open, folder: Path) -> None:
    page = open_page()
    choose(page, folder)
    assert page.frames[1].evaluate("origin") == "null"
    assert (
        page.frames[1].evaluate("() => { try { return parent.document } catch { return 0 } }") == 0
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_used_by_keyboard_and_has_names(open_page: Open, folder: Path, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    choose(page, folder)
    run(page, FRANCE)
    page.get_by_label("Site").focus()
    page.keyboard.type("embed")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("Scale").is_checked()
    assert page.get_by_label("Factor").is_visible()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, textarea, button, iframe, table')].filter(
          (e) => !(e.labels?.length || e.ariaLabel || e.title || e.textContent.trim()))
          .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", light)[0]) > 128) is (scheme == "light")
