"""The laws of all ops, on samples that each op draws of itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.op import REGISTRY, Op
from graftwork.testing import check_op
from graftwork.testing.grown import sample_of

assert ops


@pytest.mark.parametrize("name", REGISTRY)
def test_every_op_maps_over_axes_that_it_does_not_bind(name: str) -> None:
    check_op(REGISTRY[name], max_examples=3)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_op_draws_samples_that_it_accepts(name: str) -> None:
    op = REGISTRY[name]
    assert op.sample is not None
    refused = []

    @settings(max_examples=6)
    @given(st.lists(st.integers(0, 255), max_size=40))
    def draw(numbers: list[int]) -> None:
        refused.append(sample_of(op, numbers) is None)

    draw()
    assert sample_of(op) is not None
    assert sum(refused) <= 2


def test_attributes_of_samples_take_every_word() -> None:
    """No mode or style goes untested: each is drawn by some numbers."""
    for op, attribute, words in [
        (ops.gather, "mode", {"promise", "clip", "fill"}),
        (ops.scatter, "combine", {"set", "add", "mul", "min", "max"}),
        (ops.attention, "masked_rows", {"zero", "mean", "nan", "none"}),
        (ops.rotary, "style", {"half", "interleaved"}),
    ]:
        assert words <= _drawn(op, attribute)


def _drawn(op: Op, attribute: str) -> set[object]:
    found = (
        sample_of(op, [(seed * 37 + i * i * 11) % 256 for i in range(40)]) for seed in range(99)
    )
    return {sample.node.attrs[attribute] for sample in found if sample is not None}
