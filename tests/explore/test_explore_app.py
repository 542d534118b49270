"""The explorer's application, as requests reach it: what it answers, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

import graftwork as gw
from graftwork import passes as p
from graftwork.explore import runs
from graftwork.explore.app import MOST_BYTES, application
from graftwork.explore.cache import Cache
from graftwork.explore.edits import positions, recipe
from graftwork.explore.pictures import PICTURES
from graftwork.ir.errors import InputError

HERE = "http://127.0.0.1:8000"
FRANCE, ITALY = "the capital of France is", "the capital of Italy is"
ABLATE = {"action": "Ablate", "site": "blocks.0.attn.z", "where": {"heads": "1, 3"}}
PATCH = {"action": "Patch", "site": "blocks.1.resid_pre", "where": {"seq": "3"}, "prompt": ITALY}
MLP = {"action": "Ablate", "site": "blocks.0.mlp.post", "where": {"mlp": ":64"}}
STEER = {"action": "Steer", "site": "blocks.0.mlp.out", "factor": "-1.5", "prompt": ITALY}


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    return TestClient(application(str(folder)), base_url=HERE, headers={"origin": HERE})


@pytest.fixture(scope="module")
def graph(folder: Path) -> gw.Graph:
    return gw.from_pretrained(folder)


def ask(client: TestClient, path: str, status: int = 200, **question: Any) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    response = client.post(path, content=json.dumps(question), headers=headers)
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()
    return found


# --- who may ask


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:80", "127.0.0.1:8001"])
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/explore.js", "/pictures/0"):
        assert client.get(path, headers={"host": host}).status_code == 403
    assert client.post("/model", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8000", ""])
def test_another_origin_is_refused(client: TestClient, origin: str) -> None:
    for path in ("/model", "/run", "/picture"):
        response = client.post(path, json={"model": "x"}, headers={"origin": origin})
        assert response.status_code == 403
        assert "own page" in response.json()["error"]


def test_a_question_without_an_origin_is_refused(folder: Path) -> None:
    bare = TestClient(application(), base_url=HERE)
    assert bare.post("/model", json={"model": str(folder)}).status_code == 403
    assert bare.get("/").status_code == 200


def test_a_form_of_another_page_cannot_ask(client: TestClient) -> None:
    response = client.post("/model", data={"model": "x"})
    assert response.status_code == 403


def test_every_answer_forbids_all_but_itself(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/", "/explore.css", "/dom.js", "/missing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_escapes_the_name_of_the_model() -> None:
    page = TestClient(application('"><script>alert(1)</script>'), base_url=HERE).get("/").text
    assert "<script>alert" not in page


# --- what is asked


def test_a_long_request_is_refused_while_it_comes(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * MOST_BYTES:
            sent += MOST_BYTES // 4
            yield b"x" * (MOST_BYTES // 4)

    headers = {"content-type": "application/json"}
    response = client.post("/run", content=endless(), headers=headers)
    assert response.status_code == 413
    assert "65,536 bytes" in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"[1]", "names no model"),
        (b'{"prompt": "x"}', "names no model"),
        (b'{"model": 3}', "model is int, not str"),
        (b'{"model": "m", "at": true}', "at is bool, not int"),
        (b'{"model": "m", "edits": {}}', "edits is dict, not list"),
        (b'{"model": "m", "promt": ""}', "did you mean 'prompt'"),
        (b'{"model": ""}', "give a Hugging Face folder"),
        (b'{"model": "/no\\u0000where"}', "give a Hugging Face folder"),
        (b'{"model": "/nowhere"}', "there is no '/nowhere'"),
        (b'{"model": "/"}', "holds no model"),
    ],
)
def test_a_wrong_question_says_why(client: TestClient, body: bytes, words: str) -> None:
    response = client.post("/run", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_a_folder_that_is_no_model_leaves_it_running(
    client: TestClient, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    response = client.post("/model", json={"model": str(tmp_path)})
    assert response.status_code in (400, 500)
    assert "nonsense" in response.json()["error"]
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{")
    assert "cannot be read" in ask(client, "/model", 400, model=str(broken))["error"]
    assert ask(client, "/model", model=str(folder))["nodes"] > 10


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": "the " * 600}, "600 tokens; at most 512"),
        ({"prompt": "the " * 17}, "cannot run this prompt"),
        ({"prompt": "the", "at": 1}, "position 1 is outside"),
        ({"edits": [7]}, "7 is no edit"),
        ({"edits": [ABLATE | {"action": "Ablat"}]}, "did you mean 'Ablate'"),
        ({"edits": [ABLATE | {"site": "blocks.0.attn.x"}]}, "did you mean"),
        ({"edits": [ABLATE | {"where": {"heads": "4"}}]}, "outside of 'heads'"),
        ({"edits": [ABLATE | {"where": {"head": "1"}}]}, "no axis 'head'"),
        ({"edits": [ABLATE | {"where": {"heads": "first"}}]}, "is no position"),
        ({"edits": [ABLATE | {"action": "Scale", "factor": "big"}]}, "'big' is no factor"),
        ({"edits": [ABLATE | {"action": "Patch"}]}, "lacks its prompt"),
        ({"edits": [PATCH | {"prompt": "the city"}]}, "axis 'seq' has size"),
        ({"edits": [ABLATE] * 100}, "at most 64"),
    ],
)
def test_a_wrong_run_says_why_and_leaves_it_running(
    client: TestClient, folder: Path, question: dict[str, Any], words: str
) -> None:
    model = str(folder)
    assert (
        words in ask(client, "/run", 400, **{"model": model, "prompt": FRANCE} | question)["error"]
    )
    assert ask(client, "/run", model=model, prompt=FRANCE)["rows"]


def test_a_prompt_that_crashes_the_tokenizer_is_told(client: TestClient, folder: Path) -> None:
    answer = ask(client, "/run", 500, model=str(folder), prompt="\ud800")
    assert answer["error"]
    assert ask(client, "/run", model=str(folder), prompt=FRANCE)["rows"]


@given(st.text(max_size=12) | st.from_regex(r"[-0-9:, ]{0,9}", fullmatch=True))
def test_positions_are_read_or_refused(text: str) -> None:
    try:
        found = positions(text)
    except InputError:
        return
    if set(text) <= set("-0123456789:, "):
        said = eval(f"np.s_[{text}]")
        assert found == (list(said) if isinstance(said, tuple) else said)


# --- equal numbers


def expected(folder: Path, graph: gw.Graph, *passes: p.Pass, **sources: str) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def encode(text: str) -> dict[str, np.ndarray]:
        ids = np.array([tokenizer(text)["input_ids"]])
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    run = gw.compile(graph.apply(*passes), backend="numpy")
    others = {name: encode(text) for name, text in sources.items()}
    logits = np.asarray(run(**encode(FRANCE), **others)["logits"], np.float64)[0]
    return np.exp(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))


@pytest.mark.parametrize("at", [-1, 2])
def test_probabilities_are_those_of_the_library(
    client: TestClient, folder: Path, graph: gw.Graph, at: int
) -> None:
    edits = [ABLATE, PATCH, STEER, {"action": "Scale", "site": "embed", "factor": 2}]
    answer = ask(client, "/run", model=str(folder), prompt=FRANCE, edits=edits, at=at)
    passes = [
        p.Ablate("blocks.0.attn.z", where={"heads": [1, 3]}),
        p.Patch("blocks.1.resid_pre", where={"seq": 3}, source="prompt2"),
        p.Steer("blocks.0.mlp.out", source="prompt2", scale=-1.5),
        p.Scale("embed", 2.0),
    ]
    before = expected(folder, graph)[at]
    after = expected(folder, graph, *passes, prompt2=ITALY)[at]
    assert list(recipe(edits).passes) == passes
    assert np.abs(before - after).max() > 1e-3
    for row in answer["rows"]:
        assert row["before"] == pytest.approx(before[row["token"]], abs=1e-5)
        assert row["after"] == pytest.approx(after[row["token"]], abs=1e-5)
    shown = [row["after"] for row in answer["rows"]]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(after.max(), abs=1e-5)
    assert answer["divergence"] == pytest.approx((before * np.log(before / after)).sum(), abs=1e-5)
    assert answer["tokens"] == FRANCE.split()


def test_the_code_runs_and_prints_what_the_page_shows(
    client: TestClient,
    folder: Path,
    graph: gw.Graph,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ask(client, "/run", model=str(folder), prompt=FRANCE, edits=[ABLATE, PATCH])
    monkeypatch.chdir(tmp_path)
    exec(answer["code"], {})
    printed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert printed == [repr(row["text"]) for row in answer["rows"][:5]]
    loaded, ours = gw.load_recipe("recipe/"), recipe([ABLATE, PATCH]).passes
    assert str(graph.apply(*loaded)) == str(graph.apply(*ours))


def test_a_saved_graph_without_a_tokenizer_takes_ids(
    client: TestClient,
    folder: Path,
    graph: gw.Graph,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gw.save(graph, tmp_path / "saved")
    model = str(tmp_path / "saved")
    assert ask(client, "/model", model=model)["text"] is False
    assert "5 17 3" in ask(client, "/run", 400, model=model, prompt=FRANCE)["error"]
    assert ask(client, "/run", 400, model=model, prompt="0 99")["error"]
    answer = ask(client, "/run", model=model, prompt="0 1 2 3 5", edits=[ABLATE])
    same = ask(client, "/run", model=str(folder), prompt=FRANCE, edits=[ABLATE])
    assert [r["after"] for r in answer["rows"]] == [r["after"] for r in same["rows"]]
    monkeypatch.chdir(tmp_path)
    exec(answer["code"], {})
    printed = [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert printed == [row["token"] for row in answer["rows"][:5]]


# --- pictures


def test_a_picture_is_a_document_without_an_origin(
    client: TestClient, folder: Path, graph: gw.Graph
) -> None:
    answer = ask(client, "/picture", model=str(folder), edits=[ABLATE])
    picture = client.get(f"/pictures/{answer['picture']}")
    assert picture.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in picture.headers["content-security-policy"]
    edited = graph.apply(p.Ablate("blocks.0.attn.z", where={"heads": [1, 3]}))
    assert f"{len(edited.nodes)} nodes: +" in answer["title"]
    assert client.get("/pictures/unknown").status_code == 404
    assert "no picture" in ask(client, "/picture", 400, model=str(folder), picture="x")["error"]


@pytest.mark.parametrize("edits", [[], [MLP], [MLP, PATCH]], ids=len)
@pytest.mark.parametrize("kind", list(PICTURES))
def test_all_pictures_are_drawn(
    client: TestClient, folder: Path, kind: str, edits: list[dict[str, Any]]
) -> None:
    question = {"model": str(folder), "prompt": FRANCE, "picture": kind}
    answer = ask(client, "/picture", edits=edits, **question)
    assert ask(client, "/picture", edits=edits, **question) == answer
    page = client.get(f"/pictures/{answer['picture']}").text
    assert answer["title"] in page
    other = ask(client, "/picture", edits=[*edits, STEER], **question)
    assert client.get(f"/pictures/{other['picture']}").text != page


def test_a_picture_that_edits_rule_out_says_why(client: TestClient, folder: Path) -> None:
    question = {"model": str(folder), "prompt": FRANCE, "edits": [ABLATE]}
    answer = ask(client, "/picture", 400, picture="flow", **question)
    assert "blocks.0.attn.z is no sum over positions: select" in answer["error"]


@pytest.mark.parametrize("kind", [kind for kind in PICTURES if kind != "graph"])
def test_a_picture_of_a_run_needs_a_prompt(client: TestClient, folder: Path, kind: str) -> None:
    answer = ask(client, "/picture", 400, model=str(folder), picture=kind)
    assert answer["error"] == "the prompt is empty"


# --- several at once


def test_clients_do_not_mix(client: TestClient, folder: Path) -> None:
    edits = [[], [ABLATE], [PATCH], [ABLATE, PATCH]]
    questions = [
        {"model": str(folder), "prompt": prompt, "edits": edit}
        for prompt in (FRANCE, ITALY)
        for edit in edits
    ]
    alone = [ask(client, "/run", **question) for question in questions]
    assert len({json.dumps(answer) for answer in alone}) == len(questions)
    fresh = TestClient(application(), base_url=HERE, headers={"origin": HERE})
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda question: ask(fresh, "/run", **question), questions * 2))
    assert together == alone * 2


def test_a_slow_request_does_not_block_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = Event(), Event()
    load = runs.load_model

    def slowly(path: str) -> Any:
        if path.endswith("/slow"):
            started.set()
            assert go_on.wait(60)
            raise InputError("slow")
        return load(path)

    monkeypatch.setattr(runs, "load_model", slowly)
    with TestClient(application(), base_url=HERE, headers={"origin": HERE}) as client:
        ask(client, "/model", model=str(folder))
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(ask, client, "/model", 400, model="/slow")
            assert started.wait(60)
            assert ask(client, "/run", model=str(folder), prompt=FRANCE)["rows"]
            assert client.get("/").status_code == 200
            assert not slow.done()
            go_on.set()
            assert slow.result()["error"] == "slow"


def test_a_cache_makes_each_thing_once_and_keeps_the_last() -> None:
    cache: Cache[int] = Cache(2)
    made: list[str] = []
    together = Barrier(4)

    def make(word: str) -> int:
        made.append(word)
        return len(word)

    def get(word: str) -> int:
        together.wait(30)
        return cache.get(word, lambda: make(word))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(get, ["a"] * 4)) == [1] * 4
    assert made == ["a"]
    for word in ("bb", "a", "ccc", "a", "bb"):
        assert cache.get(word, lambda word=word: make(word)) == len(word)
    assert made == ["a", "bb", "ccc", "bb"]
    assert cache.find("ccc") is None
    with pytest.raises(ZeroDivisionError):
        cache.get("bad", lambda: 1 // 0)
    assert cache.get("bad", lambda: 7) == 7
