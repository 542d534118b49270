import subprocess
import sys
from collections.abc import Callable

import pytest
from attrs import evolve

from graftwork.ir.attributes import Attrs
from graftwork.ir.digest import digest, equal, region_key, structural_key
from graftwork.ir.graph import Graph, Guard
from graftwork.ir.sites import Sites
from graftwork.ir.sizes import symbol
from graftwork.ir.text import parse
from tests.ir.example import TEXT, example

CHANGED: list[tuple[str, str]] = [
    ("embed: 4", "embed: 5"),
    ("i64{batch, seq} as [batch, 1, seq]", "i64{batch, seq} as [1, batch, seq]"),
    ("input input_ids", "input ids"),
    ("alias lm_head.weight", "alias head.weight"),
    (" frozen", ""),
    ("scale=0.5", "scale=0.25"),
    ("scale=0.5", "scale=-0.0"),
    ("add(%h, %z)", "add(%z, %h)"),
    ("add(%h, %z)", "sub(%h, %z)"),
    ("mul(%carry, %1)", "mul(%0, %1)"),
    ("f32(0.1)", "f32(0.10000001)"),
    ("output best = %5", "output worst = %5"),
    ("output best = %5", "output best = %4"),
    ("as [batch, 1, seq, vocab]", "as [seq, batch, vocab]"),
    ("pattern of", "scores of"),
    ("kv: kv_seq", "keys: kv_seq"),
    ("step = %3 in [6, 0]", "step = %2 in [6, 0]"),
    ("span blocks.0 = %h", "span blocks.0 = %z"),
    ("no softmax", "two softmaxes"),
    ("1 <= seq", "2 <= seq"),
]


@pytest.mark.parametrize(("before", "after"), CHANGED)
def test_whatever_a_graph_says_counts(before: str, after: str) -> None:
    text = TEXT.replace(before, after, 1)
    if before == "input input_ids":
        text = text.replace("%input_ids", "%ids")
    changed = parse(text)
    assert not equal(changed, example())
    assert digest(changed) != digest(example())


@pytest.mark.parametrize(
    "change",
    [
        lambda g: parse(str(g)),
        lambda g: parse(TEXT.replace("%h_2", "%other")),
        lambda g: g.evolve(axes=dict(reversed(g.axes.items()))),
        lambda g: g.evolve(
            sites=Sites(dict(reversed(g.sites.table.items())), g.sites.spans, g.sites.unrecognised)
        ),
    ],
)
def test_names_of_values_and_the_order_of_tables_do_not(change: Callable[[Graph], Graph]) -> None:
    changed = change(example())
    assert equal(changed, example())
    assert hash(structural_key(changed)) == hash(structural_key(example()))
    assert digest(changed) == digest(example())


def test_origins_count_where_they_are_asked_for() -> None:
    moved = parse(TEXT.replace("gpt.py:14", "gpt.py:15"))
    assert equal(moved, example())
    assert not equal(moved, example(), origins=True)


def test_numbers_that_python_calls_equal_are_told_apart() -> None:
    graphs = [
        example().evolve(guards=(), nodes=(evolve(n, attrs=Attrs((("value", value),))),))
        for n in example().nodes[:1]
        for value in (0.0, -0.0, 0, False, None, "0", symbol("x"), float("nan"), 1, 1.0, True)
    ]
    assert len({digest(graph.evolve(sites=Sites())) for graph in graphs}) == len(graphs)
    assert len({structural_key(graph.evolve(sites=Sites())) for graph in graphs}) == len(graphs)


def test_equal_regions_have_equal_keys() -> None:
    (body,) = example().nodes[6].regions
    (again,) = parse(TEXT).nodes[6].regions
    (other,) = parse(TEXT.replace("f32(0.1)", "f32(0.2)")).nodes[6].regions
    assert region_key(body) == region_key(again) != region_key(other)


def test_a_digest_is_the_same_in_every_process() -> None:
    program = (
        "from graftwork.ir.digest import digest; from graftwork.ir.text import parse\n"
        f"print(digest(parse({TEXT!r}), origins=True))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == digest(example(), origins=True)


def test_guards_count() -> None:
    graph = example()
    assert not equal(graph, graph.evolve(guards=(*graph.guards, Guard(symbol("seq"), 3, None))))
