"""Every pass that preserves meaning, on random graphs: discovered, so that none is forgotten."""

import importlib
import pkgutil
from collections.abc import Iterator

import attrs
import pytest

from graftwork import passes
from graftwork.ir.build import Builder
from graftwork.ir.errors import GraftworkError
from graftwork.ir.graph import Graph, Port
from graftwork.passes.base import Pass
from graftwork.testing import check_pass


def passes_that_keep_meaning() -> Iterator[type[Pass]]:
    """Those that need no argument and take any graph; the others have tests of their own."""
    for found in pkgutil.walk_packages(passes.__path__, "graftwork.passes."):
        for known in vars(importlib.import_module(found.name)).values():
            if isinstance(known, type) and issubclass(known, Pass) and attrs.has(known):
                needed = [f for f in attrs.fields(known) if f.default is attrs.NOTHING]
                if known.promise != "changes" and not needed and takes_any_graph(known):
                    yield known


def takes_any_graph(known: type[Pass]) -> bool:
    """Whether a pass leaves alone what it finds nothing in; passes of models refuse it."""
    builder = Builder()
    x = builder.input("f32", (), "x")
    port = Port("x", x.value, ())
    try:
        known()(Graph((port,), (), (), (port,), {}))
    except GraftworkError:
        return False
    return True


KNOWN = sorted(set(passes_that_keep_meaning()), key=lambda known: known.__name__)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.__name__)
def test_it_keeps_its_promise_on_random_graphs(known: type[Pass]) -> None:
    check_pass(known(), max_examples=25)
