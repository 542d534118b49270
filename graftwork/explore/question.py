"""What a page asks: a model, a prompt, edits, and what to show of them."""

from __future__ import annotations

import json
from typing import Any

from attrs import Attribute, field, fields, frozen

from graftwork.ir.errors import InputError, nearest


def _is(kind: type) -> Any:
    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise InputError(f"{attribute.name} is {type(value).__name__}, not {kind.__name__}")

    return check


@frozen
class Question:
    """All that an answer depends on.

    Attributes:
        model: the path of a model.
        prompt: text, or token ids where the model has no tokenizer.
        edits: as `edits.recipe` takes them.
        at: the position whose next token is asked for.
        picture: the kind of the picture that is asked for.
    """

    model: str = field(validator=_is(str))
    prompt: str = field(default="", validator=_is(str))
    edits: list[Any] = field(factory=list, validator=_is(list))
    at: int = field(default=-1, validator=_is(int))
    picture: str = field(default="graph", validator=_is(str))

    @classmethod
    def of(cls, body: bytes) -> Question:
        """The question that the body of a request holds.

        Raises:
            InputError: if it holds none.
        """
        try:
            words = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the request is not JSON: {error}") from error
        if not isinstance(words, dict) or "model" not in words:
            raise InputError("the request names no model")
        known = [attribute.name for attribute in fields(cls)]
        for name in words:
            if name not in known:
                raise InputError(f"the request has no {name!r}{nearest(name, known)}")
        return cls(**words)

    @property
    def key(self) -> str:
        """Equal for equal questions."""
        return json.dumps([getattr(self, a.name) for a in fields(type(self))], sort_keys=True)
