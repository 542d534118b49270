"""The table of canonical sites: the same words for the same places in every model.

`blocks.3.attn.pattern` leads to a place in the graph and to the role that each axis plays there.
Which places those are is recovered from structure by a pass; this is only the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from graftwork.ir.errors import SelectionError, nearest

if TYPE_CHECKING:
    from graftwork.ir.graph import Value


@frozen
class Place:
    """Where a value is: a value of the graph, or one inside the composite that defines it.

    `inner` is empty, or leads into composites: each step is an interior site's name (`scores`) or
    `node:output` positions in the body. The composite opens when an edit addresses the place.
    Values inside regions are addressed by themselves; `steps` says at which step of each scan
    around them, the outermost first, and is empty where all steps are meant.
    """

    value: Value
    inner: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()


@frozen
class Site:
    """A place that people know by name, and the role that each of its axes plays there."""

    place: Place
    roles: Mapping[str, str] = field(factory=dict)  # role -> axis


@frozen
class Span:
    """A stretch of the graph that has a name: `blocks.3.mlp`, from the norm's output to its own."""

    start: Place
    end: Place


@frozen(eq=False, repr=False)
class Sites(Mapping[str, Site]):
    """Path -> site, in the order of the model.

    Attributes:
        table: the sites.
        spans: path -> the stretch of the graph that it names.
        unrecognised: block path -> why its canonical sites were not found.
    """

    table: Mapping[str, Site] = field(factory=dict)
    spans: Mapping[str, Span] = field(factory=dict)
    unrecognised: Mapping[str, str] = field(factory=dict)

    def __getitem__(self, path: str) -> Site:
        if path not in self.table:
            raise SelectionError(f"no site {path!r}{nearest(path, self.table)}")
        return self.table[path]

    def __contains__(self, path: object) -> bool:
        return path in self.table

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def moved(
        self, place: Callable[[Place], Place | None], axis: Callable[[str], str] = lambda name: name
    ) -> Sites:
        """The sites and spans where their places and axes went; what has no place any more (None)
        goes too."""
        table = {
            path: Site(new, {role: axis(old) for role, old in site.roles.items()})
            for path, site in self.table.items()
            if (new := place(site.place)) is not None
        }
        spans = {
            path: Span(start, end)
            for path, span in self.spans.items()
            if (start := place(span.start)) is not None and (end := place(span.end)) is not None
        }
        return evolve(self, table=table, spans=spans)

    def __repr__(self) -> str:
        """An indented tree; each line a path segment, a site's axes behind it."""
        lines: list[str] = []
        shown: tuple[str, ...] = ()
        for path, site in self.table.items():
            parts = tuple(path.split("."))
            same = 0
            while same < min(len(parts) - 1, len(shown)) and parts[same] == shown[same]:
                same += 1
            lines += [f"{'  ' * depth}{parts[depth]}" for depth in range(same, len(parts) - 1)]
            roles = ", ".join(f"{r}" if r == a else f"{r}={a}" for r, a in site.roles.items())
            lines.append(f"{'  ' * (len(parts) - 1)}{parts[-1]}: {{{roles}}}")
            shown = parts[:-1]
        lines += [f"{path}: not recognised, {why}" for path, why in self.unrecognised.items()]
        return "\n".join(lines)
