"""The language of `axes=`: what it says, and what it refuses in the caller's words."""

from __future__ import annotations

import pytest

from graftwork.ir.axis_spec import (
    AxisWord,
    fixed_sizes,
    is_unnamed,
    match_axes,
    parse_axes,
    unnamed,
)
from graftwork.ir.errors import AxisError, InputError


def test_words_stand_for_dimensions_in_order() -> None:
    assert parse_axes("batch=1 seq _ 1 _=3") == (
        AxisWord("batch", 1),
        AxisWord("seq"),
        AxisWord(),
        AxisWord(None, 1),
        AxisWord(None, 3),
    )
    assert parse_axes("") == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("batch seq=", "'seq='"),
        ("batch (h w)", r"'\(h'"),
        ("...", r"'\.\.\.'"),
        ("2 seq", "'2'"),
        ("_7", "'_7'"),
        ("seq seq", "'seq' twice"),
    ],
)
def test_a_word_that_is_no_axis_is_named(text: str, told: str) -> None:
    with pytest.raises(AxisError, match=told):
        parse_axes(text)


def test_made_up_axes_are_told_from_named_ones() -> None:
    assert is_unnamed(unnamed(12))
    assert not any(map(is_unnamed, ["_", "_a", "a_1", "seq", "_1b"]))


SHAPES = {"ids": (2, 5), "cache.0": (2, 4, 5), "cache.1": (2, 4, 5)}
POSITIONS = ["ids", "cache"]


def test_a_path_may_mean_everything_under_it_and_a_number_a_position() -> None:
    found = match_axes({0: "batch seq", "cache": "batch heads=4 seq"}, SHAPES, POSITIONS)
    assert list(found) == ["ids", "cache.0", "cache.1"]
    assert fixed_sizes(found.values()) == {"heads": 4}


@pytest.mark.parametrize(
    ("axes", "error", "told"),
    [
        ({"idx": "batch seq"}, InputError, "'idx'.*did you mean 'ids'"),
        ({2: "batch seq"}, InputError, "argument 2, but there are 2"),
        ({"ids": "batch"}, AxisError, r"1 words.*2 dimensions \(2, 5\)"),
        ({"ids": "batch=3 seq"}, AxisError, "'batch' to 3, but the sample has 2"),
        ({"ids": "a b", "cache.0": "a b _"}, AxisError, "'b' has size 5 in 'ids' but 4 in 'cach"),
    ],
)
def test_what_does_not_fit_is_told(
    axes: dict[str | int, str], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        match_axes(axes, SHAPES, POSITIONS)
