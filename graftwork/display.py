"""How graphs and arrays show themselves: the public face attaches it, as `ir` knows no pictures."""

from __future__ import annotations

from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from graftwork.ir.array import NamedArray
from graftwork.ir.graph import Graph

MOST_FOR_TREESCOPE = 10_000


def to_html(
    self: Graph,
    path: str | Path | None = None,
    *,
    diff: Graph | None = None,
    share_safe: bool = False,
) -> str:
    """The graph as one self-contained HTML page, written to `path` where that is given.

    Args:
        diff: an earlier graph; what was added, removed and changed since is marked.
        share_safe: leave out values, and files and lines of the source, as `gw.viz.graph` does.

    Raises:
        StorageError: if the path cannot be written; what stood there stays whole.
    """
    from graftwork.viz import graph

    view = graph(self, diff=diff, share_safe=share_safe)
    if path is not None:
        view.save(path)
    return view.html


def _graph_bundle(self: Graph, **_: Any) -> dict[str, str]:
    from graftwork.viz import graph

    return graph(self)._repr_mimebundle_()


def _array_bundle(self: NamedArray, **_: Any) -> dict[str, str]:
    """A small array through treescope, where that is installed; else our own compact view."""
    elements = prod(self.shape)
    if not self.sizes or not elements or self.numpy().dtype.kind not in "biufV":
        return {"text/plain": repr(self)}
    if elements <= MOST_FOR_TREESCOPE and find_spec("treescope") is not None:
        from graftwork.viz.adapter import array_html

        html = array_html(self)
    else:
        from graftwork.viz import array

        html = array(self)._repr_html_()
    return {"text/html": html, "text/plain": repr(self)}


def _array_adapter(self: NamedArray) -> Any:
    from graftwork.viz.adapter import array_adapter

    return array_adapter()


def attach() -> None:
    """Give graphs and arrays their display methods."""
    setattr(Graph, "to_html", to_html)  # noqa: B010 - the class declares it for type checkers only
    setattr(Graph, "_repr_mimebundle_", _graph_bundle)  # noqa: B010
    setattr(NamedArray, "_repr_mimebundle_", _array_bundle)  # noqa: B010
    setattr(NamedArray, "__treescope_ndarray_adapter__", _array_adapter)  # noqa: B010
