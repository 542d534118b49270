"""The command line, as people type it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def saved(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A saved graph, and a recipe for it."""
    place = tmp_path_factory.mktemp("saved")
    gw.save(gw.from_pretrained(folder), place / "model")
    gw.save_recipe([p.Ablate("blocks.0.attn.z", where={"heads": 2})], place / "recipe")
    return place / "model", place / "recipe"


def test_show_writes_a_page(saved: tuple[Path, Path], tmp_path: Path) -> None:
    model, recipe = map(str, saved)
    out = tmp_path / "model.html"
    assert main(["show", model, "-o", str(out)]) == 0
    assert re.search(r"<title>Graph of \d+ nodes</title>", out.read_text())
    assert main(["show", model, recipe, "-o", str(out)]) == 0
    assert re.search(r"<title>Graph of \d+ nodes: \+[1-9]\d* −\d+ ~\d+</title>", out.read_text())


def test_show_leaves_out_what_strangers_shall_not_see(
    saved: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "model.html"
    assert main(["show", *map(str, saved), "--share-safe", "-o", str(out)]) == 0
    assert "safe to share" in out.read_text()


def test_export_writes_the_edited_model(saved: tuple[Path, Path], tmp_path: Path) -> None:
    model, recipe = saved
    out = str(tmp_path / "intervened.onnx")
    assert main(["export", str(model), str(recipe), "--output", out]) == 0
    ids = np.array([[0, 1, 2, 3]])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    edited = gw.load(model).apply(*gw.load_recipe(recipe))
    (found,) = onnxruntime.InferenceSession(out).run(["logits"], inputs)
    ours = np.asarray(gw.compile(edited, backend="numpy")(**inputs)["logits"])
    assert found == pytest.approx(ours, abs=1e-5)


def test_export_writes_json_for_model_explorer(saved: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "model.json"
    assert main(["export", str(saved[0]), "--format", "model-explorer", "-o", str(out)]) == 0
    (found,) = json.loads(out.read_text())["graphs"]
    assert "attention" in {node["label"] for node in found["nodes"]}


def test_errors_are_a_line_and_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model.html"
    assert main(["show", str(tmp_path / "missing"), "-o", str(out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("graftwork: there is no '")
    assert not out.exists()
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2


def question(origin: str, folder: Path) -> bytes:
    """A request that takes long: to open a model."""
    body = json.dumps({"model": str(folder)})
    head = ["POST /model HTTP/1.1", f"Host: {origin[7:]}", f"Origin: {origin}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", body]).encode()


def test_explore_serves_on_loopback_until_it_is_interrupted(folder: Path) -> None:
    command = [sys.executable, "-m", "graftwork", "explore", str(folder), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", line)
            with urllib.request.urlopen(url) as page:
                assert f'value="{folder}"' in page.read().decode()
            port = url.split(":")[2].strip("/")
            assert main(["explore", "--no-browser", "--port", port]) == 1
            slow = socket.create_connection(("127.0.0.1", int(port)))
            slow.sendall(question(url.strip("/"), folder))
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
            slow.close()
        finally:
            process.kill()
