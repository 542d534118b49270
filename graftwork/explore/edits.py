"""Edits as a page sends them, the passes that they are, and the Python that says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from attrs import frozen

from graftwork import passes as p
from graftwork.ir.errors import InputError, nearest
from graftwork.passes.base import Pass

MOST_EDITS = 64
ACTIONS = ("Ablate", "Scale", "Patch", "Steer")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})")


@frozen
class Recipe:
    """The passes of some edits, and the other runs that they read.

    Attributes:
        passes: in their order.
        sources: name of another run -> its prompt.
    """

    passes: tuple[Pass, ...]
    sources: Mapping[str, str]


NOTHING = Recipe((), {})


def recipe(edits: Sequence[Any]) -> Recipe:
    """The passes of edits like `{"action": "Ablate", "site": ..., "where": {"heads": "3"}}`.

    Edits that name the same other prompt share its run.

    Raises:
        InputError: for an edit that says too little, or something else.
    """
    if len(edits) > MOST_EDITS:
        raise InputError(f"{len(edits)} edits are too many; at most {MOST_EDITS}")
    names: dict[str, str] = {}
    passes = tuple(_pass(edit, names) for edit in edits)
    return Recipe(passes, {name: prompt for prompt, name in names.items()})


def _pass(edit: Any, names: dict[str, str]) -> Pass:
    if not isinstance(edit, Mapping):
        raise InputError(f"{edit!r} is no edit")
    action, site = _text(edit, "action"), _text(edit, "site")
    where = _where(edit.get("where") or {})
    if action == "Ablate":
        return p.Ablate(site, where=where)
    if action == "Scale":
        return p.Scale(site, _factor(edit), where=where)
    if action not in ACTIONS:
        raise InputError(f"there is no edit {action!r}{nearest(action, ACTIONS)}")
    prompt = _text(edit, "prompt")
    source = names.setdefault(prompt, f"prompt{len(names) + 2}")
    if action == "Patch":
        return p.Patch(site, where=where, source=source)
    return p.Steer(site, source=source, scale=_factor(edit), where=where)


def _text(edit: Mapping[str, Any], name: str) -> str:
    found = edit.get(name)
    if not isinstance(found, str) or not found.strip():
        raise InputError(f"the edit lacks its {name}")
    return found if name == "prompt" else found.strip()


def _factor(edit: Mapping[str, Any]) -> float:
    try:
        return float(edit["factor"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"{edit.get('factor')!r} is no factor; give a number") from None


def _where(words: Any) -> dict[str, Any] | None:
    if not isinstance(words, Mapping):
        raise InputError(f"{words!r} does not say where; give positions by axis")
    given = {axis: str(text).strip() for axis, text in words.items()}
    return {axis: positions(text) for axis, text in given.items() if text} or None


def positions(text: str) -> int | list[int] | slice:
    """What `where=` takes, from how people write it: `3`, `-1`, `0, 2, 5`, `2:7`.

    Raises:
        InputError: for anything else.
    """
    words = [word.strip() for word in text.split(":" if ":" in text else ",")]
    numbers = [int(word) if _NUMBER.fullmatch(word) else None for word in words]
    if ":" in text:
        fits = all(n is not None for n, word in zip(numbers, words, strict=True) if word)
        if fits and len(words) in (2, 3):
            return slice(*numbers)
    elif None not in numbers:
        whole = [n for n in numbers if n is not None]
        return whole[0] if len(whole) == 1 else whole
    raise InputError(f"{text!r} is no position; write 3, -1, 0, 2, 5 or 2:7")


# --- as Python


def expression(step: Pass) -> str:
    """The call that makes a pass, with the arguments that are not as they are by themselves."""
    fields = attrs.fields(type(step))  # type: ignore[arg-type]
    required = [f for f in fields if f.default is attrs.NOTHING]
    words = [repr(getattr(step, f.name)) for f in required]
    for f in fields:
        value = getattr(step, f.name)
        if f not in required and value is not None and value != f.default:
            words.append(f"{f.name}={value!r}")
    return f"p.{step.name()}({', '.join(words)})"
