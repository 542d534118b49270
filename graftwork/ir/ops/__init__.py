"""All ops by name, as functions that build nodes: `ops.exp(x)`, `ops.contract(a, b, over="k")`.

An op is defined once, in the module of its family; this module only gathers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.ops import (
    axes,
    composites,
    control,
    dtypes,
    elementwise,
    indexing,
    joining,
    random,
    reduce,
)

_MODULES = (
    elementwise,
    dtypes,
    axes,
    joining,
    reduce,
    indexing,
    control,
    *composites.MODULES,
    random,
)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Op: ...

else:

    def __getattr__(name: str) -> Op:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            found = REGISTRY[name.rstrip("_")]
        except UnsupportedOpError as error:  # hasattr and pickle know AttributeError alone
            raise AttributeError(str(error)) from error
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(REGISTRY)
