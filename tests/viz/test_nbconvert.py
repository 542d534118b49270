"""A notebook that is run and exported by nbconvert itself: trusted, with scripts, and without."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

import graftwork as gw
from tests.images import colours

Open = Callable[..., Page]
CELLS = (
    """
    import numpy as np
    import graftwork as gw
    pattern = gw.NamedArray(np.eye(3)[None], ("heads", "seq", "kv_seq"))
    gw.viz.attention(pattern, ["a", "<b>", "c"])
    """,
    """
    gw.NamedArray(np.arange(200.0 * 300).reshape(200, 300), ("seq", "embed"))
    """,
)
OFFLINE = [f"--HTMLExporter.{name}_url=" for name in ("mathjax", "require_js", "jquery")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a notebook with a view and an array, without nbconvert's own libraries."""
    folder = tmp_path_factory.mktemp("notebook")
    lines = ("\n".join(line.strip() for line in cell.strip().split("\n")) for cell in CELLS)
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, lines)])
    nbformat.write(notebook, folder / "small.ipynb")
    own = {"JUPYTER_CONFIG_DIR": str(folder), "IPYTHONDIR": str(folder)}
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", *OFFLINE]
    subprocess.run(
        [*command, "small.ipynb"],
        cwd=folder,
        env={**os.environ, **own, "PYTHONPATH": str(Path(gw.__file__).parents[1])},
        check=True,
        timeout=120,
    )
    return (folder / "small.html").read_text("utf-8")


def test_frames_show_their_pictures(open_page: Open, exported: str) -> None:
    page = open_page(exported, ready="iframe")
    kinds = []
    for frame in page.frames[1:]:
        frame.wait_for_selector("body[data-ready]", state="attached")
        kinds.append(frame.locator(".view").get_attribute("data-kind"))
        assert frame.locator("canvas").first.is_visible()
    assert kinds == ["attention", "array"]
    page.frames[1].locator(".token").nth(1).click()
    assert page.frames[1].get_by_role("status").inner_text().startswith("“<b>” attends to")


def test_without_scripts_the_still_pictures_are_there(open_page: Open, exported: str) -> None:
    page = open_page(exported, ready="", java_script_enabled=False)
    eyes = open_page("", ready="")
    frames = page.locator(".jp-OutputArea iframe")
    assert frames.count() == page.locator(".jp-OutputArea img").count() == 2
    for frame in frames.all():
        assert colours(eyes, frame.screenshot()) > 50
