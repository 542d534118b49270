"""What every picture is: an object that saves itself, and shows itself in notebooks."""

from __future__ import annotations

import html
import os
from functools import cached_property
from typing import Any

from attrs import frozen

from graftwork.viz.files import write
from graftwork.viz.manifest import Manifest
from graftwork.viz.page import page
from graftwork.viz.part import Part
from graftwork.viz.still import address_of, stacked


@frozen(eq=False, repr=False)
class View:
    """One page, which needs nothing but itself.

    Attributes:
        title: what it shows.
        parts: its pictures, from top to bottom.
        source: what it is of; its text stands where no picture can be.
    """

    title: str
    parts: tuple[Part, ...]
    source: object

    @classmethod
    def of(cls, part: Part, source: object) -> View:
        """A page of one picture."""
        return cls(part.title, (part,), source)

    def __repr__(self) -> str:
        return f"<View of {self.source!r}>"

    @cached_property
    def html(self) -> str:
        """The page."""
        return page(self.title, self.parts)

    @cached_property
    def svg(self) -> str:
        """Its pictures standing still, for where no page can be."""
        return stacked(self.title, [part.svg for part in self.parts])

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """What each picture holds, what it leaves out, and how it keeps numbers."""
        return tuple(part.manifest for part in self.parts)

    @property
    def height(self) -> int:
        """The height of the page in a notebook, in pixels."""
        return sum(part.height for part in self.parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file: beside it first, and then renamed.

        Raises:
            StorageError: if the path cannot be written; an older file is then untouched.
        """
        write(path, self.html, "view")

    def to_svg(self) -> str:
        """The picture that stands still, as SVG without scripts."""
        return self.svg

    def _repr_html_(self) -> str:
        """A sandboxed frame over the still picture, which untrusted notebooks show alone."""
        fill = "position:absolute;inset:0;width:100%;height:100%;border:0"
        return (
            f'<div style="position:relative;width:100%;height:{self.height}px">'
            f'<img alt="{html.escape(self.title)}" src="{address_of(self.svg)}"'
            ' style="width:100%;height:100%;object-fit:contain;object-position:top left">'
            f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(self.title)}"'
            f' srcdoc="{html.escape(self.html)}" style="{fill}"></iframe></div>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self.source)}

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        """The same in a treescope rendering; its text where that is text."""
        from treescope import rendering_parts

        return rendering_parts.embedded_iframe(
            embedded_html=self.html,
            fallback_in_text_mode=rendering_parts.text(repr(self)),
            virtual_width=1000,
            virtual_height=self.height,
        )
