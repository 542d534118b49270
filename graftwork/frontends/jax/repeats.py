"""Stretches of a jaxpr that repeat: JAX traces a loop over layers anew for every layer.

Equations are numbered, so that those that do the same have one number; where the numbers repeat,
the equations do. A run of repetitions is cut where the fewest variables live on, which is between
layers rather than inside of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import Jaxpr, JaxprEqn, Literal, Var

_LEAST = 16  # equations that are worth being looked at as a whole
_CANDIDATES = 8  # distances at which a repetition is looked for

Span: TypeAlias = "tuple[int, int]"


@frozen(eq=False)
class Stretch:
    """Equations that come again.

    Attributes:
        equations: in order.
        inputs: the variables from outside that they read.
        outputs: the variables of theirs that are read later.
        form: equal in stretches that differ in nothing but their variables.
    """

    equations: Sequence[JaxprEqn]
    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]
    form: Hashable


def parts(jaxpr: Jaxpr) -> Iterator[JaxprEqn | Stretch]:
    """The equations of a jaxpr in order, those that repeat as stretches.

    Random keys are left alone: they have an axis that no position tells.
    """
    equations = jaxpr.eqns
    if len(equations) < 2 * _LEAST:
        yield from equations
        return
    kinds: dict[Hashable, int] = {}
    numbers = [kinds.setdefault(_kind(each), len(kinds)) for each in equations]
    reads = _last_reads(jaxpr)
    done = 0
    for start, stop in _repeats(numbers, _living(equations, reads)):
        yield from equations[done:start]
        found = _stretch(equations[start:stop], numbers[start:stop], reads, stop)
        keyed = any(_jax.is_key(_jax.aval(variable).dtype) for variable in found.inputs)
        yield from found.equations if keyed else (found,)
        done = stop
    yield from equations[done:]


def _kind(equation: JaxprEqn) -> Hashable:
    """What equations have in common that do the same; nothing has it if that is not known."""
    made = [_jax.aval(variable) for variable in equation.outvars]
    types = [(aval.dtype, aval.shape) for aval in made]
    literals = [_value(atom) for atom in equation.invars if isinstance(atom, Literal)]
    kind = (equation.primitive, *equation.params.items(), *types, *literals)
    try:
        hash(kind)
    except TypeError:
        return object()
    return object() if equation.effects or any(_jax.is_key(x.dtype) for x in made) else kind


def _value(literal: Literal) -> Hashable:
    return _jax.aval(literal).dtype, np.asarray(literal.val).tobytes()


def _last_reads(jaxpr: Jaxpr) -> Mapping[Var, int]:
    """Variable -> the place of the last equation that reads it."""
    reads: dict[Var, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        reads.update((atom, place) for atom in equation.invars if not isinstance(atom, Literal))
    ends = (atom for atom in jaxpr.outvars if not isinstance(atom, Literal))
    return reads | dict.fromkeys(ends, len(jaxpr.eqns))


def _living(equations: Sequence[JaxprEqn], reads: Mapping[Var, int]) -> list[int]:
    """How many variables made before each equation are read by it or later."""
    change = [0] * (len(equations) + 2)
    for place, equation in enumerate(equations):
        for variable in equation.outvars:
            change[place + 1] += 1
            change[reads.get(variable, place) + 1] -= 1
    living, now = [], 0
    for each in change:
        now += each
        living.append(now)
    return living


def _repeats(numbers: Sequence[int], living: Sequence[int]) -> list[Span]:
    """Where stretches begin and end, in order."""
    found: list[Span] = []
    todo = [(0, len(numbers))]
    while todo:
        low, high = todo.pop()
        run = _longest_run(numbers[low:high])
        if run is None:
            continue
        start, stop, period = low + run[0], low + run[1], run[2]
        first = min(
            range(start, min(start + period, stop - 2 * period + 1)), key=living.__getitem__
        )
        spans = [(i, i + period) for i in range(first, stop - period + 1, period)]
        found += spans
        todo += [(low, first), (spans[-1][1], high)]
    return sorted(found)


def _longest_run(numbers: Sequence[int]) -> tuple[int, int, int] | None:
    """Where the most numbers are what they were one period before: start, stop and period."""
    last: dict[int, int] = {}
    distances: Counter[int] = Counter()
    for place, number in enumerate(numbers):
        if place - last.get(number, place) >= _LEAST:
            distances[place - last[number]] += 1
        last[number] = place
    best = None
    for period, _ in distances.most_common(_CANDIDATES):
        start, length = _longest_agreement(numbers, period)
        if length >= period and (best is None or length > best[1] - best[0] - best[2]):
            best = (start, start + length + period, period)
    return best


def _longest_agreement(numbers: Sequence[int], period: int) -> tuple[int, int]:
    """The longest row of places whose number comes again one period later: start and length."""
    best = start = 0
    longest = 0
    for place, (a, b) in enumerate(zip(numbers, numbers[period:], strict=False)):
        if a != b:
            start = place + 1
        elif place + 1 - start > longest:
            best, longest = start, place + 1 - start
    return best, longest


def _stretch(
    equations: Sequence[JaxprEqn], numbers: Sequence[int], reads: Mapping[Var, int], stop: int
) -> Stretch:
    inputs: dict[Var, int] = {}
    made: dict[Var, int] = {}
    form: list[Hashable] = []
    for equation, number in zip(equations, numbers, strict=True):
        form.append(number)
        for atom in equation.invars:
            if not isinstance(atom, Literal):
                known = made.get(atom)
                form.append(-1 - inputs.setdefault(atom, len(inputs)) if known is None else known)
        for variable in equation.outvars:
            made[variable] = len(made)
    outputs = tuple([variable for variable in made if reads.get(variable, 0) >= stop])
    form += [made[variable] for variable in outputs]
    form += [(aval.dtype, aval.shape) for aval in map(_jax.aval, inputs)]
    return Stretch(equations, tuple(inputs), outputs, tuple(form))
