"""A model by its path: a Hugging Face folder, a folder that `gw.save` wrote, or a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import field, frozen

import graftwork as gw
from graftwork.ir.errors import StorageError
from graftwork.ir.graph import Graph
from graftwork.ir.storage import MANIFEST


@frozen
class Loader:
    """The call that makes the graph: what is run here, and what stands in the code taken away.

    Attributes:
        function: `from_pretrained` or `load`.
        folder: its argument; a tokenizer lies there too, if there is one.
        options: further arguments of it and of the tokenizer's own `from_pretrained`.
    """

    function: str
    folder: str
    options: dict[str, str] = field(factory=dict)

    def __str__(self) -> str:
        return f"gw.{self.function}({self.arguments})"

    @property
    def arguments(self) -> str:
        """As they are written in Python."""
        more = (f"{name}={value!r}" for name, value in self.options.items())
        return ", ".join([repr(self.folder), *more])

    def graph(self) -> Graph:
        """Load and convert the model."""
        made: Graph = getattr(gw, self.function)(self.folder, **self.options)
        return made

    def tokenizer(self) -> Any:
        """The tokenizer in the folder; None if there is none.

        Raises:
            StorageError: if its files are damaged.
        """
        folder = Path(self.folder)
        patterns = ("tokenizer*", "vocab*", "spiece.model")
        if not self.options and not any(any(folder.glob(pattern)) for pattern in patterns):
            return None
        import transformers

        try:
            return transformers.AutoTokenizer.from_pretrained(self.folder, **self.options)
        except Exception as error:  # what a damaged file raises has no base of its own
            raise StorageError(f"the tokenizer in {self.folder} cannot be read: {error}") from error


def loader(path: str) -> Loader:
    """How to load what is at a path.

    Raises:
        StorageError: if nothing is there that could be a model.
    """
    place = Path(path).expanduser()
    if not path or "\0" in path or not place.exists():
        raise StorageError(
            f"there is no {path!r}; give a Hugging Face folder, a folder that gw.save wrote, or a "
            "GGUF file"
        )
    place = place.resolve()
    if place.suffix == ".gguf":
        return Loader("from_pretrained", str(place.parent), {"gguf_file": place.name})
    if (place / MANIFEST).exists():
        return Loader("load", str(place))
    if (place / "config.json").exists():
        return Loader("from_pretrained", str(place))
    raise StorageError(f"{place} holds no model: it has neither config.json nor {MANIFEST}")


@frozen(eq=False)
class Model:
    """A model that is loaded.

    Attributes:
        path: what it was asked for by.
        loader: how it was loaded.
        graph: the model.
        tokenizer: from transformers; None where there is none, and prompts are token ids.
    """

    path: str
    loader: Loader
    graph: Graph
    tokenizer: Any


def load_model(path: str) -> Model:
    """The model at a path, with its tokenizer.

    Raises:
        StorageError, ConversionError: if there is none, or none that can be converted.
    """
    found = loader(path)
    return Model(path, found, found.graph(), found.tokenizer())
