"""What torch knows of a tensor's shape beyond its positional form: which dimensions are unit."""

from __future__ import annotations

from graftwork.ir.positional import Positional, without_axis
from graftwork.ir.sizes import Size

Extents = tuple[Size | None, ...]  # None: a unit dimension


def place_of(x: Positional, dim: int) -> int:
    """A dimension as torch counts it, from either end."""
    return dim + x.rank if dim < 0 else dim


def extent_of(x: Positional, place: int) -> Size | None:
    """The extent of one dimension, None if it is unit."""
    return None if x.dims[place] is None else x.size(place)


def raised(x: Positional) -> Positional:
    """A tensor without dimensions as one of one unit dimension, as torch takes it."""
    return x if x.rank else Positional(x.term, (None,))


def lowered(x: Positional, rank: int) -> Positional:
    """The inverse of `raised`, where torch gives no dimensions."""
    return x if rank else Positional(without_axis(x, 0).term)


def settled(x: Positional, extents: Extents) -> Positional:
    """The same tensor without the axes of dimensions that torch knows to be unit."""
    for place, extent in enumerate(extents):
        if extent is None:
            x = without_axis(x, place)
    return x
