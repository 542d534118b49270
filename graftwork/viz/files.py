"""Writing a file whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from graftwork.ir.errors import StorageError
from graftwork.ir.folders import whole_file


def write(path: str | os.PathLike[str], text: str, what: str) -> None:
    """Write a text to a file.

    Args:
        what: what is saved, for the message.

    Raises:
        StorageError: if the path cannot be written; an older file is then untouched.
    """
    target = Path(path)
    try:
        if not target.name or target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with whole_file(target) as beside:
            beside.write_bytes(text.encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot save the {what} to {target}: {reason}") from error
