"""Where compiled programs stay from one process to the next.

XLA and TorchInductor can keep what they compiled. Their keys are made of the program itself, the
versions, the flags and the device, so a graph that says the same finds it again, whoever built it;
a broken entry is compiled anew. Here they are told where, for the time in which our programs are
compiled: a user's own programs are kept as the user says. ONNX Runtime keeps nothing: its optimised
models hold the weights once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from graftwork.ir.errors import InputError, StorageError

Cache: TypeAlias = "str | os.PathLike[str] | bool | None"

VARIABLE = "GRAFTWORK_CACHE"


def folder(cache: Cache) -> Path | None:
    """The folder that compiled programs are kept in, or None.

    Args:
        cache: a folder; True for the user's own, `graftwork` in `$XDG_CACHE_HOME` or `~/.cache`;
            None for `$GRAFTWORK_CACHE` where that is set and not empty; False for none.

    Raises:
        InputError: for anything else.
    """
    if cache is None:
        named = os.environ.get(VARIABLE)
        return Path(named).expanduser().absolute() if named else None
    if cache is False:
        return None
    if cache is True:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(home).expanduser().absolute() / "graftwork"
    if not isinstance(cache, str | os.PathLike):
        raise InputError(f"cache= is a folder, True, False or None, not {cache!r}")
    return Path(cache).expanduser().absolute()


def made(kept: Path) -> Path:
    """The folder, which is there now.

    Raises:
        StorageError: if it cannot be made or written to.
    """
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot keep programs in {kept}: {error.strerror or error}") from error
    if not os.access(kept, os.W_OK):
        raise StorageError(f"cannot keep programs in {kept}: it cannot be written to")
    return kept


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the process's environment, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
