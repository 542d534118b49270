"""Several pictures on one page, where what is selected in one is marked in all."""

from __future__ import annotations

from collections.abc import Iterable

from graftwork.ir.errors import InputError
from graftwork.viz.names import visible
from graftwork.viz.view import View


def page(views: Iterable[View], title: str | None = None) -> View:
    """One page of several views, from top to bottom, in one file.

    A site, layer, head or position that is selected in one picture is marked in the others.

    Raises:
        InputError: if there are none, or one is no view.
    """
    all_views = tuple(views)
    if not all_views or not all(isinstance(view, View) for view in all_views):
        found = ", ".join(type(view).__name__ for view in all_views) or "nothing"
        raise InputError(f"a page is made of at least one view, as gw.viz makes them, not {found}")
    name = title or " · ".join(view.title for view in all_views)
    parts = tuple(part for view in all_views for part in view.parts)
    return View(visible(name, 200), parts, all_views)
