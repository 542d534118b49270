"""Keeping what XLA compiles, by JAX's own persistent cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

_OPTIONS = {
    "jax_enable_compilation_cache": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Look compiled programs up in a folder for a while, and keep there what is compiled.

    JAX has one cache a process. The one that the user has set, if any, is put back.
    """
    options = {"jax_compilation_cache_dir": str(folder), **_OPTIONS}
    before = {name: getattr(jax.config, name) for name in options}
    _set(options)
    try:
        yield
    finally:
        _set(before)


def _set(options: dict[str, object]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    compilation_cache.reset_cache()  # it opens the folder anew
