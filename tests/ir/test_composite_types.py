"""The type rule that a composite gives itself is the one that its body has."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir.dtypes import DType
from graftwork.ir.errors import GraftworkError
from graftwork.ir.infer import expand, infer
from graftwork.ir.op import REGISTRY
from graftwork.ir.sizes import Size
from graftwork.ir.types import Type, Typing
from graftwork.testing.grown import sample_of

RULED = [name for name, op in REGISTRY.items() if op.body is not None and op.infer is not None]
CAPTURING = {name for name in RULED if name.startswith("random_")}  # they refuse axis capture too
MOST = 40  # numbers that a sample is drawn from

Change = Callable[[Type, Sequence[str]], Type]


def retyped(dtype: DType) -> Change:
    return lambda type, names: type.with_dtype(dtype)


def without(place: int) -> Change:
    return lambda type, names: type.without(type.axes[place : place + 1])


def gaining(place: int) -> Change:
    def change(type: Type, names: Sequence[str]) -> Type:
        new = [name for name in names if name not in type.axis_set]
        return type.with_axes((*type.axes, *new[place : place + 1]))

    return change


CHANGES = st.one_of(
    st.sampled_from([*DType]).map(retyped),
    st.integers(0, 3).map(without),
    st.integers(0, 3).map(gaining),
)


def verdict(rule: Callable[[Typing], Sequence[Type]], table: Mapping[str, Size]) -> object:
    """The types that a rule gives and the equations that it leaves to the run; None if refused."""
    typing = Typing(table)
    try:
        given = [(x.dtype, x.axis_set) for x in rule(typing)]
        return given, frozenset(typing.unproven)
    except GraftworkError:
        return None


@pytest.mark.parametrize("name", RULED)
def test_a_composite_is_typed_as_its_body(name: str) -> None:
    op = REGISTRY[name]
    verdicts = []

    @settings(max_examples=20)
    @given(
        st.lists(st.integers(0, 255), max_size=MOST),
        st.lists(st.tuples(st.integers(0, 4), CHANGES), max_size=2),
    )
    def check(numbers: list[int], changes: list[tuple[int, Change]]) -> None:
        sample = sample_of(op, numbers)
        if sample is None:
            return
        node, table = sample.node, sample.graph.axes
        types = [value.type for value in node.inputs]
        for place, change in changes:
            types[place % len(types)] = change(types[place % len(types)], [*table])

        def by_body(typing: Typing) -> Sequence[Type]:
            body = expand(typing, op, node.attrs, types)
            typing.unproven += body.typing.unproven
            return [value.type for value in body.region.outputs]

        ought = verdict(by_body, table)
        found = verdict(lambda typing: infer(typing, op, node.attrs, types), table)
        assert found == ought or (found is None and name in CAPTURING)
        verdicts.append(found)

    check()
    assert any(found is not None for found in verdicts)
