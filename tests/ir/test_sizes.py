import copy
import operator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graftwork.ir.size_equations import solve
from graftwork.ir.size_text import SizeSyntaxError, parse_size
from graftwork.ir.size_values import UnboundSymbol, decide, evaluate, substitute
from graftwork.ir.sizes import (
    Size,
    SizeExpr,
    bounds,
    ceil_div,
    exact_div,
    maximum,
    minimum,
    symbol,
    symbols,
)

NAMES = ["a", "b", "seq"]
SIZE_OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "min": minimum,
    "max": maximum,
    "ceil": ceil_div,
}
INT_OPERATIONS = SIZE_OPERATIONS | {"min": min, "max": max, "ceil": lambda a, b: -(-a // b)}

seq, past, height, width = (symbol(name) for name in ("seq", "past", "height", "width"))
integers = st.integers(-9, 20)
bindings = st.fixed_dictionaries({name: st.integers(0, 12) for name in NAMES})


def trees(operations=tuple(SIZE_OPERATIONS)):
    """Expressions as nested tuples, which `build` reads as sizes or as plain integers."""
    return st.recursive(
        integers | st.sampled_from(NAMES),
        lambda inner: st.tuples(st.sampled_from(operations), inner, inner),
        max_leaves=10,
    )


def build(tree, leaf, operations):
    if isinstance(tree, tuple):
        return operations[tree[0]](*(build(part, leaf, operations) for part in tree[1:]))
    return leaf(tree) if isinstance(tree, str) else tree


def size_of(tree) -> Size:
    try:
        return build(tree, symbol, SIZE_OPERATIONS)
    except ZeroDivisionError:
        assume(False)


def value_of(tree, values) -> int:
    try:
        return build(tree, values.__getitem__, INT_OPERATIONS)
    except ZeroDivisionError:
        assume(False)


sizes = trees().map(size_of)


def value_at(size, values) -> int:
    try:
        return evaluate(size, values)
    except ZeroDivisionError:
        assume(False)


@given(trees(), bindings)
def test_evaluation_agrees_with_python_integers(tree, values):
    expected = value_of(tree, values)
    size = build(tree, symbol, SIZE_OPERATIONS)
    assert evaluate(size, values) == expected
    assert type(evaluate(size, values)) is int


@given(st.integers(-60, 60), st.integers(-60, 60), integers, integers.filter(bool), bindings)
def test_division_by_constants_agrees_with_python(x, y, offset, k, values):
    size = x * symbol("a") + y * (symbol("b") // 3) + offset
    value = x * values["a"] + y * (values["b"] // 3) + offset
    assert evaluate(size // k, values) == value // k
    assert evaluate(size % k, values) == value % k
    assert evaluate(size // k // 4, values) == value // k // 4
    assert evaluate(size % (6 * k) % k, values) == value % k
    assert decide(size // k * k + size % k, size) is True


@given(sizes, sizes, sizes)
def test_ring_laws_hold_as_equality_of_forms(a, b, c):
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert a + 0 == a == a * 1
    assert a - a == 0 == a * 0
    assert -a == 0 - a == a * -1
    assert a - b == a + -b


@given(sizes, sizes, sizes)
def test_lattice_laws_hold_as_equality_of_forms(a, b, c):
    for extreme in (minimum, maximum):
        assert extreme(a, b) == extreme(b, a)
        assert extreme(extreme(a, b), c) == extreme(a, extreme(b, c)) == extreme(a, b, c)
        assert extreme(a, a) == extreme(a) == a


@given(sizes, sizes)
def test_equal_sizes_hash_alike_and_constants_are_integers(a, b):
    rebuilt = (a + b) - b
    assert rebuilt == a
    assert hash(rebuilt) == hash(a)
    assert type(rebuilt) is type(a)
    assert symbols(a) or isinstance(a, int)
    assert bool(symbols(a)) is isinstance(a, SizeExpr)


@given(sizes, bindings, st.fixed_dictionaries({name: st.integers(0, 5) for name in NAMES}))
def test_bounds_are_sound(size, values, lower):
    low, high = bounds(size)
    value = value_at(size, values)
    assert low is None or low <= value
    assert high is None or value <= high
    raised = {name: values[name] + lower[name] for name in NAMES}
    low, high = bounds(size, lower)
    value = value_at(size, raised)
    assert low is None or low <= value
    assert high is None or value <= high


@given(sizes, sizes, bindings)
def test_decide_is_sound(a, b, values):
    verdict = decide(a, b)
    assert verdict is not False or value_at(a, values) != value_at(b, values)
    assert verdict is not True or value_at(a, values) == value_at(b, values)
    assert decide(a, a) is True
    assert decide(a, a + 1) is False


@given(sizes)
def test_text_round_trips(size):
    again = parse_size(str(size))
    assert again == size
    assert str(again) == str(size)
    assert type(again) is type(size)


@given(st.text(max_size=6))
def test_hostile_names_round_trip(name):
    size = 3 * symbol(name) + symbol(name) % 4
    assert symbols(size) == {name}
    assert parse_size(str(size)) == size
    assert str(size).isascii()


@given(st.text('ab12 +-*/%(),"\\min', max_size=12))
def test_any_text_is_a_size_or_a_syntax_error(text):
    column = None
    try:
        size = parse_size(text)
    except SizeSyntaxError as error:
        column = error.column
    if column is None:
        assert parse_size(str(size)) == size
    else:
        assert 1 <= column <= len(text) + 1


@given(trees(), bindings, st.fixed_dictionaries({name: st.sampled_from(NAMES) for name in NAMES}))
def test_substitution_commutes_with_evaluation(tree, values, renamed):
    size = size_of(tree)
    moved = {name: 2 * symbol(other) + 1 for name, other in renamed.items()}
    inner = {name: 2 * values[other] + 1 for name, other in renamed.items()}
    expected = value_of(tree, inner)
    assert evaluate(substitute(size, moved), values) == expected
    assert substitute(size, {}) == size


@given(trees(operations=("+", "-", "*")), trees(operations=("+", "-", "*")))
def test_exact_division_undoes_multiplication(left, right):
    a, b = size_of(left), size_of(right)
    assume(b != 0)
    assert exact_div(a * b, b) == a
    quotient = exact_div(a, b)
    assert quotient is None or quotient * b == a


@given(sizes, bindings, st.integers(1, 5), st.sampled_from(["+", "-"]))
def test_solve_inverts_evaluation(offset, values, slope, sign):
    unknown = symbol("unknown")
    size = SIZE_OPERATIONS[sign](offset, slope * unknown * (symbol("a") + 1))
    value = value_at(size, values | {"unknown": 7})
    assert solve(size, "unknown", value, values) == 7
    assert solve(size, "unknown", value + 1, values) is None or slope * (values["a"] + 1) == 1


@given(sizes)
def test_copies_are_equal(size):
    assert copy.deepcopy(size) == size
    assert hash(copy.deepcopy(size)) == hash(size)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (seq + past, "past + seq"),
        (1 + 2 * seq, "2*seq + 1"),
        (64 - seq, "64 - seq"),
        (-seq - 1, "-seq - 1"),
        (past * seq + seq * seq - 3 * past, "past*seq + seq*seq - 3*past"),
        (height // 14 * (width // 14), "(height // 14)*(width // 14)"),
        (height // 14 + 1, "height // 14 + 1"),
        (-(height // 14), "-(height // 14)"),
        (8 - 2 * (seq // 8), "8 - 2*(seq // 8)"),
        (seq % 8, "seq % 8"),
        (-seq % 8, "-seq % 8"),
        (seq // past // height, "(seq // past) // height"),
        (seq // (past * height), "seq // (height*past)"),
        (5 // seq, "5 // seq"),
        (minimum(64, seq), "min(seq, 64)"),
        (maximum(seq, 3 * past, 4) // 2, "max(3*past, seq, 4) // 2"),
        (symbol("min") + symbol("a b") + symbol('"'), '"\\"" + "a b" + "min"'),
        (ceil_div(seq, 8), "(seq + 7) // 8"),
        (ceil_div(seq, past), "-(-seq // past)"),
    ],
)
def test_text_is_readable(size, text):
    assert str(size) == repr(size) == text
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("size", "simpler"),
    [
        ((8 * seq + past) // 8, seq + past // 8),
        ((8 * seq + 3) // 8, seq),
        ((8 * seq + past) % 8, past % 8),
        ((8 * seq + 3) % 8, 3),
        ((seq + 11) // 8, (seq + 3) // 8 + 1),
        ((4 * seq + 2) // 6, (2 * seq + 1) // 3),
        ((4 * seq + 3) % 6, 2 * ((2 * seq + 1) % 3) + 1),
        (seq // 1, seq),
        (seq % 1, 0),
        (seq % -1, 0),
        (seq // 4 // 2, seq // 8),
        ((seq // 4 + past) // 2, (seq + 4 * past) // 8),
        (((height - 3) // 2 + 1 - 3) // 2 + 1, (height - 3) // 4),
        (seq % 16 % 8, seq % 8),
        (seq // -8, -seq // 8),
        ((-seq) // (-past), seq // past),
        (minimum(seq, seq + 1), seq),
        (minimum(seq, seq + past, past), minimum(past, seq)),
        (maximum(seq, 0), seq),
        (maximum(seq, -3, past - 3, 2), maximum(seq, past - 3, 2)),
        (minimum(7, 3, seq, 5), minimum(seq, 3)),
        (minimum(seq, 7) // 8, 0),
        (minimum(seq, 7) % 8, minimum(seq, 7)),
        ((seq + 1) * past // (seq + 1), past),
        (2 * (seq + 1) % (seq + 1), 0),
    ],
)
def test_simplifications(size, simpler):
    assert size == simpler
    assert type(size) is type(simpler)


def test_a_symbol_that_may_be_zero_is_not_cancelled():
    assert seq // seq != 1
    assert seq * past // past != seq
    assert decide(seq // seq, 1) is None
    with pytest.raises(ZeroDivisionError):
        evaluate(seq // past, {"seq": 4, "past": 0})


def test_undecided_and_decided_pairs():
    assert decide(seq, past) is None
    assert decide(seq, 0) is None
    assert decide(seq + 1, 0) is False
    assert decide(2 * seq, 2 * past + 1) is False
    assert decide(minimum(seq, 3), 4) is False
    assert decide(seq + -seq % 8, 8 * ceil_div(seq, 8)) is True
    assert decide(768, 768) is True
    assert decide(768, 12) is False


def test_bounds_of_known_sizes():
    assert bounds(768) == (768, 768)
    assert bounds(2 * seq + 1) == (1, None)
    assert bounds(2 * seq + 1, {"seq": 2}) == (5, None)
    assert bounds(64 - seq) == (None, 64)
    assert bounds(seq % 8) == (0, 7)
    assert bounds(minimum(seq, 64) // 8) == (0, 8)
    assert bounds((seq + 16) // 8 - maximum(seq, 1)) == (None, None)
    assert bounds(height // 14, {"height": 28}) == (2, None)


def test_division_by_constant_zero_is_refused():
    for divide in (operator.floordiv, operator.mod, ceil_div, exact_div):
        for dividend in (seq, 3):
            with pytest.raises(ZeroDivisionError):
                divide(dividend, seq - seq)


def test_unbound_symbols_are_named():
    with pytest.raises(UnboundSymbol, match="past \\+ seq needs a value for past; bound: seq"):
        evaluate(past + seq, {"seq": 4})
    assert not issubclass(UnboundSymbol, KeyError)


def test_solve_declines_what_it_cannot_solve():
    assert solve(2 * seq + past, "seq", 10, {"past": 4}) == 3
    assert solve(2 * seq + past, "seq", 11, {"past": 4}) is None
    assert solve(2 * seq + past, "seq", 2, {"past": 4}) is None
    assert solve(2 * seq + past, "seq", 10, {}) is None
    assert solve(seq * seq, "seq", 9, {}) is None
    assert solve(seq // 2, "seq", 4, {}) is None
    assert solve(seq + seq // past, "seq", 4, {"past": 2}) is None
    assert solve(seq * past, "seq", 0, {"past": 0}) is None
    assert solve(5, "seq", 5, {}) is None


def test_exact_division_of_axes_that_were_merged():
    assert exact_div(past * seq + seq * seq, past + seq) == seq
    assert exact_div(12 * seq, 4) == 3 * seq
    assert exact_div(12 * seq + 3, 4) is None
    assert exact_div(seq * past, height) is None
    assert exact_div(768, 12) == 64
    assert exact_div(0, seq) == 0


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("seq // ", 8),
        ("seq //0", 5),
        ("seq % (past - past)", 5),
        ("1 2", 3),
        ("(seq", 5),
        ("seq)", 4),
        ("min", 4),
        ("min(1,)", 7),
        ("a, b", 2),
        ("2 ** 3", 4),
        ("é", 1),
        ('"open', 1),
        ('1 + "\\q"', 5),
        ('"\\ud800"', 1),
        ("9" * 5000, 1),
        ("(" * 100_000, 65),
    ],
)
def test_bad_text_is_refused_with_its_column(text, column):
    with pytest.raises(SizeSyntaxError) as caught:
        parse_size(text)
    assert caught.value.column == column
    assert isinstance(caught.value, ValueError)


def test_long_flat_text_is_read():
    assert parse_size("-" * 10_001 + "seq") == -seq
    assert parse_size("+".join(["seq"] * 5_000)) == 5_000 * seq


def test_foreign_operands_are_refused():
    for operation in (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod):
        for foreign in (1.0, "seq", None):
            with pytest.raises(TypeError):
                operation(seq, foreign)
            with pytest.raises(TypeError):
                operation(foreign, seq)
