"""Writing folders and files so that nothing half-written ever stands in a place.

What is written lies beside its place and is renamed when it is whole; what stood there stays until
then, and for ever if anything fails.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from graftwork.ir.errors import StorageError


@contextmanager
def replaced(path: str | os.PathLike[str], files: Collection[str]) -> Iterator[Path]:
    """A new folder to write into; it takes the place of `path` where the body ends well.

    `files` are the names that such a folder holds: one that holds others is not overwritten.

    Raises:
        StorageError: if the folder cannot be written or holds something else.
    """
    folder = Path(path).resolve()
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        _require_ours(folder, files)
        beside.mkdir()
        try:
            yield beside
            _put_in_place(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot save to {folder}: {error.strerror or error}") from error
    except StorageError as error:
        reason = str(error).replace(str(beside), str(folder))
        raise StorageError(f"cannot save to {folder}: {reason}") from error


def _require_ours(folder: Path, files: Collection[str]) -> None:
    """Refuse a place whose contents a save would destroy."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StorageError("it is a file, and what is saved is a folder")
    foreign = sorted({entry.name for entry in folder.iterdir()} - set(files))
    if foreign:
        raise StorageError(f"it also holds {', '.join(foreign[:3])}; choose another folder")


def _put_in_place(beside: Path, folder: Path) -> None:
    """Rename the new folder to its place, and the old one out of it; back again on failure."""
    old = beside.with_name(f"{beside.name}.old")
    if not folder.exists():
        beside.rename(folder)
        return
    folder.rename(old)
    try:
        beside.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file; it takes the place of `path` where the body ends well."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a new file through to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
