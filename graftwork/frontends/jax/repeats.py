"""Stretches of a jaxpr that repeat: JAX traces a loop over layers anew for every layer.

Equations are numbered, so that those that do the same have one number; where the numbers repeat,
the equations do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.frontends.jax._jax import Jaxpr, JaxprEqn, Literal, Var
from graftwork.ir.origin import Origin
from graftwork.ir.stretches import living, runs

_LEAST = 16  # equations that are worth being looked at as a whole


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


@frozen(eq=False)
class Repetition:
    """Stretches of equal length, one after another.

    Attributes:
        stretches: in order.
        own: at which places among its inputs each reads a variable that nothing later reads; empty
            if they are no chain, in which each is the same function of these, of what the one
            before gives to it alone, and of what all read.
    """

    stretches: Sequence[Stretch]
    own: Sequence[int]


@frozen(eq=False)
class LeftOut:
    """Stretches between the second and the last of a chain that are not translated.

    Attributes:
        parameters: the variables of the parameters of every stretch of the chain, in one order.
        origins: for each that is left out, tells from the origin of something in the second where
            the same comes from there.
    """

    parameters: Sequence[Sequence[Var]]
    origins: Sequence[Callable[[Origin], Origin]]


def parts(jaxpr: Jaxpr) -> Iterator[JaxprEqn | Repetition]:
    """The equations of a jaxpr in order, those that repeat as stretches.

    Random keys are left alone: they have an axis that no position tells.
    """
    equations = jaxpr.eqns
    if len(equations) < 2 * _LEAST:
        yield from equations
        return
    numbers = _numbered(equations)
    reads = _last_reads(jaxpr)
    made = ((v, place) for place, each in enumerate(equations) for v in each.outvars)
    alive = living(((place, reads.get(v, place)) for v, place in made), len(equations))
    done = 0
    for run in runs(numbers, alive, _LEAST):
        stops = [start + run.period for start in run.firsts]
        stretches = [
            _stretch(equations[start:stop], numbers[start:stop], reads, stop)
            for start, stop in zip(run.firsts, stops, strict=True)
        ]
        if any(_jax.is_key(_jax.aval(v).dtype) for each in stretches for v in each.inputs):
            continue
        yield from equations[done : run.start]
        yield Repetition(stretches, _own(stretches, reads, stops))
        done = run.stop
    yield from equations[done:]


def _numbered(equations: Sequence[JaxprEqn]) -> list[int]:
    """A number for each equation; those that do the same have one, if that is known."""
    kinds: dict[Hashable, int] = {}
    alone: set[int] = set()
    numbers = []
    for place, equation in enumerate(equations):
        try:
            number = kinds.setdefault(_kind(equation), place)
        except TypeError:  # a parameter that cannot be hashed
            number = place
        if number == place and _is_alone(equation):
            alone.add(place)
        numbers.append(place if number in alone else number)
    return numbers


def _kind(equation: JaxprEqn) -> Hashable:
    """What equations have in common that do the same."""
    kind: list[Hashable] = [equation.primitive, *equation.params.items()]
    kind += [variable.aval for variable in equation.outvars]
    for atom in equation.invars:
        if type(atom) is Literal:
            kind += (atom.aval, np.asarray(atom.val).tobytes())
    return tuple(kind)


def _is_alone(equation: JaxprEqn) -> bool:
    """Whether it is not known that equations of its kind do the same."""
    keys = (_jax.is_key(_jax.aval(variable).dtype) for variable in equation.outvars)
    return bool(equation.effects) or any(keys)


def _last_reads(jaxpr: Jaxpr) -> Mapping[Var, int]:
    """Variable -> the place of the last equation that reads it."""
    reads: dict[Var, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        for atom in equation.invars:
            if not isinstance(atom, Literal):
                reads[atom] = place
    ends = (atom for atom in jaxpr.outvars if not isinstance(atom, Literal))
    return reads | dict.fromkeys(ends, len(jaxpr.eqns))


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


def _own(
    stretches: Sequence[Stretch], reads: Mapping[Var, int], stops: Sequence[int]
) -> Sequence[int]:
    """The places at which stretches of a chain read what is theirs; none if they are no chain."""
    first, second = stretches[:2]
    gives_on = all(
        reads[variable] < stop
        for each, stop in zip(stretches, stops[1:], strict=False)
        for variable in each.outputs
    )
    if not gives_on or any(each.form != first.form for each in stretches):
        return ()
    given = {variable: place for place, variable in enumerate(first.outputs)}
    own = []
    for place, variable in enumerate(second.inputs):
        row = [each.inputs[place] for each in stretches]
        if variable in given:
            before = [each.outputs[given[variable]] for each in stretches[:-1]]
            if row[1:] != before:
                return ()
        elif any(each is not variable for each in row):
            if any(reads[each] >= stop for each, stop in zip(row, stops, strict=True)):
                return ()
            own.append(place)
    return own
