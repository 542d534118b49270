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
    for module in pkgutil.walk_packages(passes.__path__, "graftwork.passes."):
        importlib.import_module(module.name)
    todo = [Pass]
    while todo:
        known = todo.pop()
        todo += known.__subclasses__()
        if known.__module__.startswith("graftwork.") and known.promise != "changes":
            yield known


KNOWN = sorted(set(passes_that_keep_meaning()), key=lambda known: known.__name__)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.__name__)
def test_it_keeps_its_promise_on_random_graphs(known: type[Pass]) -> None:
    assert all(f.default is not attrs.NOTHING for f in attrs.fields(known)), "needs a test of its own"
    check_pass(known(), max_examples=40)
