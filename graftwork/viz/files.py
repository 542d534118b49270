"""Writing a file whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from graftwork.ir.errors import StorageError


def write(path: str | os.PathLike[str], text: str, what: str) -> None:
    """Write a text to a file: beside it first, and then renamed.

    Args:
        what: what is saved, for the message.

    Raises:
        StorageError: if the path cannot be written; an older file is then untouched.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}") if target.name else None
    try:
        if beside is None or target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        try:
            beside.write_bytes(text.encode())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot save the {what} to {target}: {reason}") from error
