"""The Python that does what a page shows: to be pasted, run and kept."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.explore.edits import Recipe, expression
from graftwork.explore.models import Model
from graftwork.explore.prompts import encode, inputs_of
from graftwork.explore.runs import BACKEND

_BACKEND = ", ".join(f'{name}="{word}"' for name, word in BACKEND.items())


def code(model: Model, prompt: str, recipe: Recipe) -> str:
    """A script that loads the model, edits it, runs the prompt and saves the recipe."""
    steps = "".join(f"\n    {expression(step)}," for step in recipe.passes)
    return f"""\
import numpy as np
import graftwork as gw
from graftwork import passes as p
{_imports(model)}
graph = {model.loader}
{_tokenizer(model)}

def encode(prompt):
    ids = np.array([{"prompt" if model.tokenizer is None else 'tokenizer(prompt)["input_ids"]'}])
    return {_inputs(model, prompt)}


recipe = [{steps}{chr(10) if steps else ""}]
run = gw.compile(graph.apply(*recipe), {_BACKEND})
out = run({_arguments(model, prompt, recipe.sources)})
logits = np.asarray(out["logits"])[0, -1]
for token in logits.argsort()[::-1][:5]:
    print({"token" if model.tokenizer is None else "repr(tokenizer.decode(token))"}, logits[token])
gw.save_recipe(recipe, "recipe/")
"""


def _imports(model: Model) -> str:
    return "" if model.tokenizer is None else "from transformers import AutoTokenizer\n"


def _tokenizer(model: Model) -> str:
    if model.tokenizer is None:
        return ""
    return f"tokenizer = AutoTokenizer.from_pretrained({model.loader.arguments})\n"


def _inputs(model: Model, prompt: str) -> str:
    arrays = {"input_ids": "ids", "attention_mask": "np.ones_like(ids)"}
    names = inputs_of(model, encode(model, prompt))
    return "{" + ", ".join(f'"{name}": {arrays[name]}' for name in names) + "}"


def _arguments(model: Model, prompt: str, sources: Mapping[str, str]) -> str:
    def given(text: str) -> str:
        return repr(encode(model, text).tolist() if model.tokenizer is None else text)

    others = [f"{name}=encode({given(text)})" for name, text in sources.items()]
    return ", ".join([f"**encode({given(prompt)})", *others])
