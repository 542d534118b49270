"""Arrays as they are: by named axes, with what they are like as a whole.

A file stays small whatever it shows: large arrays are kept in one byte a number, and pooled where
even that is too much. The page says both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError
from graftwork.viz.facets import Look, faceted
from graftwork.viz.pooled import Pool
from graftwork.viz.sources import Source, sources_of
from graftwork.viz.view import View
from graftwork.viz.words import Tokenizer, spelled

Arrays: TypeAlias = NamedArray | Mapping[str, NamedArray]
MOST_WORDS = 5_000


def array(
    values: Arrays,
    *,
    rows: str | None = None,
    columns: str | None = None,
    tokens: Mapping[str, Sequence[str]] | None = None,
    tokenizer: Tokenizer | None = None,
    center: float | None = None,
    pool: Pool = "max-abs",
    max_mb: float = 2.0,
    title: str | None = None,
) -> View:
    """A page that shows an array, or several with one scale of colours, and their statistics.

    Rows, columns and small multiples are chosen by the names of axes; the other axes have sliders.
    The colours leave out the few numbers that are far from all others, and those are marked, as
    are NaN and infinities. Integers are shown digit by digit. Several arrays share the place that
    is picked; one that has the name of a site is linked with that site in a graph on the same page.

    Args:
        values: an array, or name -> array, such as what a run gives.
        rows, columns: axes; if None, the last two of each array that have several positions.
        tokens: axis -> a word for each of its positions.
        tokenizer: what spells integers that are ids of tokens: anything with `decode`, or the
            string of each id.
        center: the number that has the pale colour; 0 if None.
        pool: what a block of neighbours becomes where there are too many: the number furthest from
            zero (`"max-abs"`) or the average (`"mean"`).
        max_mb: the size that the file stays below, in millions of bytes.

    Raises:
        AxisError: for an axis that an array lacks, or other than one word for each position.
        DTypeError: if elements are no real numbers.
        InputError: if there is no array, or `pool` or `max_mb` is none.
    """
    named = values if isinstance(values, Mapping) else {"": values}
    if pool not in ("max-abs", "mean") or not max_mb > 0:
        raise InputError(
            f"pool= is 'max-abs' or 'mean' and max_mb= above 0, not {pool!r}, {max_mb}"
        )
    sources = sources_of(named, tokens or {})
    look = Look(
        rows=rows,
        columns=columns,
        last=True,
        center=center,
        robust=True,
        digits=True,
        alarm=True,
        pool=pool,
        max_mb=max_mb,
        spelled={} if tokenizer is None else _spelled(sources, tokenizer),
    )
    return View.of(faceted(title or _title(sources), sources, look), values)


def _title(sources: Sequence[Source]) -> str:
    if len(sources) > 1:
        return f"{len(sources)} arrays"
    return sources[0].name or " × ".join(sources[0].axes)


def _spelled(sources: Sequence[Source], tokenizer: Tokenizer) -> dict[int, str]:
    """The token of each id among integers; of the first few thousand that differ."""
    whole = [source.array for source in sources if source.array.dtype.kind == "i"]
    found = np.unique(np.concatenate([np.empty(0, np.int64), *(a.reshape(-1) for a in whole)]))
    ids = found[found >= 0][:MOST_WORDS]
    return dict(zip(map(int, ids), spelled(tokenizer, ids), strict=True))
