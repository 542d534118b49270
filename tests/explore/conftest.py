"""A tiny GPT-2 with a tokenizer of a few words, in a folder as transformers writes it."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers

import graftwork as gw

WORDS = ["the", "capital", "of", "France", "Italy", "is", "Paris", "Rome", "a", "city", "in", "and"]


@pytest.fixture(scope="session", autouse=True)
def conversions_are_shared() -> Iterator[None]:
    """Converting takes longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gw, "from_pretrained", functools.cache(gw.from_pretrained))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    size = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 16}
    config = transformers.GPT2Config(vocab_size=len(WORDS), bos_token_id=0, eos_token_id=0, **size)
    transformers.GPT2LMHeadModel(config).save_pretrained(place)
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="a"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(place)
    return place
