"""How graphs show themselves: the public face attaches it, since `ir` knows no pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftwork.ir.graph import Graph


def to_html(self: Graph, path: str | Path | None = None, *, diff: Graph | None = None) -> str:
    """The graph as one self-contained HTML page, written to `path` where that is given.

    Args:
        diff: an earlier graph; what was added, removed and changed since is marked.

    Raises:
        StorageError: if the path cannot be written; what stood there stays whole.
    """
    from graftwork.viz import graph

    view = graph(self, diff=diff)
    if path is not None:
        view.save(path)
    return view.html


def _repr_mimebundle_(self: Graph, **_: Any) -> dict[str, str]:
    from graftwork.viz import graph

    return graph(self)._repr_mimebundle_()


def attach() -> None:
    """Give graphs their display methods."""
    setattr(Graph, "to_html", to_html)  # noqa: B010 - the class declares it for type checkers only
    setattr(Graph, "_repr_mimebundle_", _repr_mimebundle_)  # noqa: B010
