"""Edits under a condition: within `only`, what is interposed holds where a mask does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import frozen

from graftwork.ir.build import Term
from graftwork.ir.graph import Value
from graftwork.ir.op import REGISTRY


@frozen(eq=False)
class Only:
    """Where edits hold: `holds(*terms_of_reads)` is a mask."""

    holds: Callable[..., Term]
    reads: tuple[Value, ...]

    def choose(self, edited: Term, plain: Term) -> Term:
        """The edited value where the condition holds."""
        mask = self.holds(*(Term(read, plain.builder) for read in self.reads))
        return REGISTRY["select"](mask, edited, plain)


_ONLY: ContextVar[Only | None] = ContextVar("only", default=None)


def condition() -> Only | None:
    """The condition of the edits that are being made, if there is one."""
    return _ONLY.get()


@contextmanager
def only(condition: Only) -> Iterator[None]:
    """Make edits that hold where a condition does, and leave values as they are elsewhere."""
    token = _ONLY.set(condition)
    try:
        yield
    finally:
        _ONLY.reset(token)
