"""One picture of a page: its kind, its data, and how it looks standing still."""

from __future__ import annotations

from attrs import frozen

from graftwork.viz.manifest import Manifest


@frozen(eq=False)
class Part:
    """What a page holds for one picture; `page` joins parts to a file.

    Attributes:
        kind: which script shows it; a key of `assets.KINDS`.
        title: what it shows, free of unprintable characters.
        data: what its script reads, as `pack.packed` gives it; on further lines, what it reads
            only when that is looked at, as `pack.deflated` gives it.
        svg: the picture that stands still, without scripts.
        manifest: what it holds and what it leaves out.
        height: how high it is on a page with others, and in a notebook, in pixels.
    """

    kind: str
    title: str
    data: str
    svg: str
    manifest: Manifest
    height: int = 640
