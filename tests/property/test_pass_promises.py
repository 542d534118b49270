"""Every pass that preserves meaning, on random graphs: discovered, so that none is forgotten."""

import importlib
import pkgutil
from collections.abc import Iterator

import attrs
import pytest

from graftwork import passes
from graftwork.passes.base import Pass
from graftwork.testing import check_pass


def passes_that_keep_meaning() -> Iterator[type[Pass]]:
    """Those that need no argument; the others have tests of their own."""
    for found in pkgutil.walk_packages(passes.__path__, "graftwork.passes."):
        for known in vars(importlib.import_module(found.name)).values():
            if isinstance(known, type) and issubclass(known, Pass) and attrs.has(known):
                needed = [f for f in attrs.fields(known) if f.default is attrs.NOTHING]
                if known.promise != "changes" and not needed:
                    yield known


KNOWN = sorted(set(passes_that_keep_meaning()), key=lambda known: known.__name__)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.__name__)
def test_it_keeps_its_promise_on_random_graphs(known: type[Pass]) -> None:
    check_pass(known(), max_examples=25)
