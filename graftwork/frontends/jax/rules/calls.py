"""Equations that call another jaxpr once: inlined, their names kept as module paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graftwork.frontends.jax._jax import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from graftwork.frontends.jax.translate import Translator
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Positional

_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _call(tr: Translator, equation: JaxprEqn) -> Sequence[Positional]:
    body = next(equation.params[word] for word in _BODIES if word in equation.params)
    name = str(equation.params.get("name", ""))
    if name in _ACTIVATIONS and _steps(body) == _ACTIVATIONS[name]:
        x = tr.read(equation.invars[0])
        return [Positional(REGISTRY[name](x.term), x.dims)]
    return tr.inline(body, equation.invars, name)


def _steps(body: ClosedJaxpr | Jaxpr) -> list[tuple[str, tuple[Any, ...]]] | None:
    """A jaxpr of one operand, written so that two of one structure are equal.

    A step is a primitive and its operands: `x`, the number of an earlier step, or a literal. None
    for a jaxpr that does more than a few steps one after another.
    """
    jaxpr = body.jaxpr if isinstance(body, ClosedJaxpr) else body
    if len(jaxpr.invars) != 1 or len(jaxpr.outvars) != 1 or not 0 < len(jaxpr.eqns) <= 2:
        return None
    first = jaxpr.eqns[0]
    if len(jaxpr.eqns) == 1 and first.primitive.name == "jit":
        return _steps(first.params["jaxpr"]) if first.invars == jaxpr.invars else None
    numbers: dict[Var, Any] = {jaxpr.invars[0]: "x"}
    steps: list[tuple[str, tuple[Any, ...]]] = []
    for number, equation in enumerate(jaxpr.eqns):
        operands = tuple(
            float(atom.val) if isinstance(atom, Literal) else numbers.get(atom)
            for atom in equation.invars
        )
        steps.append((equation.primitive.name, operands))
        numbers[equation.outvars[0]] = number
    return steps if jaxpr.outvars[0] is jaxpr.eqns[-1].outvars[0] else None


_ACTIVATIONS = {
    "relu": [("max", ("x", 0.0))],
    "silu": [("logistic", ("x",)), ("mul", ("x", 0))],
}


def _nothing(tr: Translator, equation: JaxprEqn) -> Sequence[Positional]:
    """Only an effect on the host, which a graph does not have."""
    return []


_CALLS = (
    "jit pjit closed_call core_call core_closed_call remat2 remat checkpoint composite "
    "custom_jvp_call custom_vjp_call custom_vjp_call_jaxpr"
)
_EFFECTS = "debug_callback debug_print inspect_sharding shape_assertion dce_sink"

STRUCTURAL: dict[str, Any] = {
    **dict.fromkeys(_CALLS.split(), _call),
    **dict.fromkeys(_EFFECTS.split(), _nothing),
}
