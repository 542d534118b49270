"""Where a node came from: the user's module, their source line, and the passes since."""

from __future__ import annotations

from functools import lru_cache

from attrs import evolve, frozen


@frozen(cache_hash=True)
class Origin:
    """Provenance of one node, shared by all nodes that one source operation became.

    Attributes:
        module: module path in the source model, `transformer.h.3.mlp`, "" if unknown; `@1` at the
            second call of a module that is called several times (see `graftwork.ir.calls`).
        source: `file:line` of the user's code, "" if unknown.
        op: the framework's name of the operation, `aten.linear`, "" if made by a pass.
        passes: the passes that made or rebuilt the node, oldest first.
    """

    module: str = ""
    source: str = ""
    op: str = ""
    passes: tuple[str, ...] = ()

    def through(self, name: str) -> Origin:
        """The same origin, seen through one more pass."""
        return _through(self, name)

    def __str__(self) -> str:
        parts = [self.module or "(top level)"]
        if self.op:
            parts.append(self.op)
        if self.source:
            parts.append(self.source)
        return ", ".join(parts)


@lru_cache(maxsize=4096)  # thousands of nodes come from one source operation
def _through(origin: Origin, name: str) -> Origin:
    if origin.passes and origin.passes[-1] == name:
        return origin
    return evolve(origin, passes=(*origin.passes, name))


UNKNOWN = Origin()
