from hypothesis import given

from graftwork.ir.verify import verify
from graftwork.passes.axes import Unify
from tests.passes.programs import assert_same, outputs, programs


@given(programs())
def test_keeps_the_meaning_of_any_program(graph):
    verify(graph)
    unified = Unify()(graph)
    verify(unified)
    assert_same(outputs(graph), outputs(unified))


@given(programs())
def test_a_second_time_changes_nothing(graph):
    unified = Unify()(graph)
    assert str(Unify()(unified)) == str(unified)
