"""What XLA's compiler leaves in the C heap, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def trim() -> None:
    """Return the free pages, so that the first run's arrays do not come on top of them.

    glibc keeps what is freed for small allocations to come, and large arrays have pages of their
    own. Other C libraries have no such call.
    """
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        malloc_trim(0)
