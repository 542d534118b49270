"""What a sweep gives: the metric under every edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError, nearest
from graftwork.passes.base import Pass
from graftwork.passes.sweeps.chunks import Cells
from graftwork.passes.sweeps.template import Template

Array: TypeAlias = np.ndarray[Any, Any]


@frozen(eq=False, repr=False)
class Effect(NamedArray):
    """The metric under every edit of a sweep: an array over what is swept, then what is left.

    Attributes:
        labels: swept axis -> what its positions stand for.
        plain: the metric without any edit.
        template: the edit with its open words.
    """

    labels: Mapping[str, tuple[Any, ...]]
    plain: NamedArray
    template: Template

    def edit(self, **words: Any) -> Pass:
        """The pass of one cell, to apply to the graph: `effect.edit(layer=3, seq=5)`.

        Raises:
            InputError: if a word is missing or unknown, or never has this value.
        """
        for word in {*words, *self.labels}:
            if word not in self.labels:
                raise InputError(f"nothing is swept as {word!r}{nearest(word, self.labels)}")
            if word not in words or words[word] not in self.labels[word]:
                raise InputError(f"{word}= is one of {list(self.labels[word])}")
        places = {word: words[word] for word in self.template.positions}
        return self.template.filled({w: at for w, at in words.items() if w not in places}, places)


def effect_of(template: Template, cells: Cells, table: Array, plain: NamedArray) -> Effect:
    """The metric by what is swept, from a table by entries and cells; NaN where no edit is made."""
    choices = template.choices
    words = {word: tuple(dict.fromkeys(c[word] for c in choices)) for word in choices[0]}
    columns = cells.positions.T.tolist()
    tried = {w: tuple(dict.fromkeys(c)) for w, c in zip(cells.words, columns, strict=True)}
    full = np.full((*map(len, words.values()), *table.shape[1:]), np.nan, table.dtype)
    for choice, row in zip(choices, table, strict=True):
        full[tuple(words[word].index(at) for word, at in choice.items())] = row
    labels = words | tried
    array = full.reshape(*map(len, labels.values()), *table.shape[2:])
    return Effect(array, (*labels, *plain.axes), labels, plain, template)
