"""What a view is without a browser: a file, a notebook cell, a picture, packed columns."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from viz_graphs import decoder

from graftwork import viz
from graftwork.ir.errors import StorageError
from graftwork.ir.graph import Graph
from graftwork.viz.pack import Rows, packed
from graftwork.viz.scripts import script_text, style_text

INT32 = st.integers(-(2**31), 2**31 - 1)


def test_saving_replaces_a_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.html"
    path.write_text("old")
    view = viz.graph(decoder(1))
    view.save(path)
    assert path.read_text("utf-8") == view.html
    assert list(tmp_path.iterdir()) == [path]


def test_a_graph_of_nothing_is_a_picture() -> None:
    view = viz.graph(Graph((), (), (), (), {}))
    assert "<title>Graph of 0 nodes</title>" in view.to_svg()
    assert "Graph of 0 nodes" in view.html


@pytest.mark.parametrize("name", ["missing/model.html", "folder", "a\x00b", "x" * 400])
def test_a_path_that_cannot_be_written_is_our_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot save the view to"):
        viz.graph(decoder(1)).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.html"
    path.write_text("old")

    def fail(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="No space left"):
        viz.graph(decoder(1)).save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_equal_graphs_give_equal_pages() -> None:
    assert viz.graph(decoder(2)).html == viz.graph(decoder(2)).html


def test_a_notebook_gets_a_page_a_picture_and_the_text() -> None:
    graph = decoder(1)
    view = viz.graph(graph)
    bundle = view._repr_mimebundle_()
    assert bundle["text/plain"] == str(graph)
    assert bundle["text/html"].index("<img ") < bundle["text/html"].index("<iframe sandbox=")
    picture = re.search(r'src="data:image/svg\+xml,([^"]*)"', bundle["text/html"])
    assert picture is not None
    assert unquote(picture[1]) == view.to_svg()


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    html = viz.graph(decoder(1)).html
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"http(?!-equiv|://www\.w3\.org/2000/svg)", html)


def test_the_shell_is_small() -> None:
    shell = (script_text(["graph"]) + style_text(["graph"])).encode()
    assert len(shell) < 120 * 1024
    assert len(zlib.compress(shell, 9)) < 40 * 1024


def test_still_pictures_on_one_page_keep_their_own_styles() -> None:
    one, other = viz.graph(decoder(1)), viz.tokens(["a", "b"], [-1.0, 1.0])
    root = ET.fromstring(viz.page([one, other]).svg)
    images = [element for element in root if element.tag.endswith("image")]
    inside = [unquote(image.attrib["href"].partition(",")[2]) for image in images]
    assert inside == [one.svg, other.svg]
    assert not [element for element in root.iter() if element.tag.endswith("style")]
    assert float(images[1].attrib["y"]) >= float(images[0].attrib["height"])


def test_treescope_shows_a_frame() -> None:
    treescope = pytest.importorskip("treescope")
    view = viz.graph(decoder(1))
    assert "iframe" in treescope.render_to_html(view, compressed=False)
    assert "View of" in treescope.render_to_text(view)


def unpacked(data: str) -> tuple[object, dict[str, list[int]]]:
    raw = zlib.decompress(base64.b64decode(data))
    size = int.from_bytes(raw[:4], "little")
    head, at = json.loads(raw[4 : 4 + size]), 4 + size
    columns = {}
    for name, length, _ in head["columns"]:
        planes = np.frombuffer(raw[at : at + 4 * length], np.uint8).reshape(4, length)
        steps = np.ascontiguousarray(planes.T).view("<i4").reshape(-1)
        columns[name] = np.cumsum(steps, dtype=np.int32).tolist()
        at += 4 * length
    assert at == len(raw)
    return head["facts"], columns


@given(st.lists(INT32), st.lists(st.lists(INT32, max_size=4), max_size=5), st.text())
def test_packed_columns_come_back(column: list[int], rows: list[list[int]], text: str) -> None:
    table = Rows()
    for row in rows:
        table.add(row)
    facts, columns = unpacked(packed({"text": text}, {"column": column, "rows": table}))
    assert facts == {"text": text}
    assert columns["column"] == column
    ends = columns["rowsEnds"]
    starts = [0, *ends]
    assert [columns["rows"][a:b] for a, b in zip(starts, ends, strict=False)] == rows
