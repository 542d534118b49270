"""What becomes of a sample: it agrees with PyTorch, is refused by our own word, or is a failure."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from torch.utils import _pytree as pytree

import graftwork as gw
from graftwork.frontends.torch.failures import explained
from graftwork.ir.errors import GraftworkError
from graftwork.ir.graph import Graph
from graftwork.ir.store import as_numpy
from graftwork.testing.running import Refusal, run_on, run_on_jax
from tests.frontends.op_database.cases import Case

BACKENDS = ("numpy", "jax", "torch", "onnx")
_TOGETHER = 48  # samples that JAX compiles as one program
TOLERANCE = {np.dtype("float64"): 1e-9, np.dtype("float32"): 1e-4}


Arrays = Mapping[str, np.ndarray[Any, Any]]


@frozen
class Refused:
    """Our own refusal, or torch.export's, of a sample."""

    reason: str


@frozen
class Failed:
    """Anything that must not happen: another exception, or another result."""

    what: str


Outcome = Refused | Failed | None  # None: it agrees


@frozen
class Verdict:
    """What became of one sample.

    Attributes:
        case: the sample.
        outcomes: backend -> outcome.
    """

    case: Case
    outcomes: Mapping[str, Outcome]


@frozen(eq=False)
class _Converted:
    """A sample on its way through the backends."""

    case: Case
    graph: Graph
    inputs: Mapping[str, Any]
    expected: Arrays
    outcomes: dict[str, Outcome] = field(factory=dict)


class Operator(torch.nn.Module):
    """A function of tensors as a module."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.function = case.function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def judge(cases: Iterable[Case], backends: Sequence[str] = BACKENDS) -> list[Verdict]:
    """What becomes of samples; JAX compiles many of them as one program.

    Samples that draw random numbers, that give no tensor, or that PyTorch itself refuses are left
    out. An argument that changes is a result of its own name.
    """
    left = iter(cases)
    verdicts: list[Verdict] = []
    while group := list(itertools.islice(left, _TOGETHER)):
        verdicts += _judged(group, backends)
    return verdicts


def _judged(cases: Sequence[Case], backends: Sequence[str]) -> list[Verdict]:
    found = [each for case in cases if (each := _converted(case, backends)) is not None]
    ready = [each for each in found if isinstance(each, _Converted)]
    for backend in backends:
        results = _on_jax(ready) if backend == "jax" else [_run(backend, each) for each in ready]
        for each, result in zip(ready, results, strict=True):
            each.outcomes[backend] = _compared(result, each.expected)
    return [each if isinstance(each, Verdict) else _verdict(each) for each in found]


def _verdict(each: _Converted) -> Verdict:
    return Verdict(each.case, each.outcomes)


def _converted(case: Case, backends: Sequence[str]) -> _Converted | Verdict | None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = [x.clone() for x in case.tensors]
            expected = case.meant(*given)
    except Exception:
        return None
    results = [_shown(x) for x in pytree.tree_leaves(expected) if isinstance(x, torch.Tensor)]
    if not results:
        return None
    seeded = False
    try:
        program = _exported(case)
        calls = [n.target for n in program.graph.nodes if n.op == "call_function"]
        seeded = any(torch.Tag.nondeterministic_seeded in getattr(op, "tags", ()) for op in calls)
        if seeded and not _same(expected, case.meant(*case.tensors)):
            return None
        graph = gw.from_torch(program)
        names = [port.name for port in graph.inputs]
        if seeded and len(names) > len(case.tensors):
            return None  # it draws by a key, though of nothing that shows
        inputs = {n: as_numpy(x.detach()) for n, x in zip(names, case.tensors, strict=True)}
        after = {n: as_numpy(x.detach()) for n, x in zip(names, given, strict=True)}
        left = iter(results)
        wanted = {
            port.name: after[port.name] if port.name in after else as_numpy(next(left).detach())
            for port in graph.outputs
        }
        if next(left, None) is not None:
            raise LookupError(f"{len(graph.outputs)} results for {len(results)}")
        return _Converted(case, graph, inputs, wanted)
    except GraftworkError as error:
        if seeded and "random" in str(error):
            return None
        if "the rule of" in str(error):  # it contradicts torch, which is no refusal
            return Verdict(case, dict.fromkeys(backends, _failure(error)))
        return Verdict(case, dict.fromkeys(backends, Refused(_reason(str(error)))))
    except Exception as error:
        return Verdict(case, dict.fromkeys(backends, _failure(error)))


def _same(a: Any, b: Any) -> bool:
    pairs = zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True)
    return all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in pairs)


def _shown(x: torch.Tensor) -> torch.Tensor:
    """The parts of complex numbers are a last dimension."""
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def _exported(case: Case) -> torch.export.ExportedProgram:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(Operator(case), case.tensors, strict=False)
        except Exception as error:
            raise explained(error, {}, {}) from error


def _run(backend: str, each: _Converted) -> Any:
    try:
        return run_on(backend, each.graph, each.inputs)
    except GraftworkError as error:
        return Refused(_reason(str(error)))
    except Exception as error:
        return _failure(error)


def _on_jax(ready: Sequence[_Converted]) -> list[Any]:
    try:
        return list(run_on_jax([(each.graph, each.inputs) for each in ready]))
    except Exception:
        return [_run("jax", each) for each in ready]


def _failure(error: Exception) -> Failed:
    first = (str(error).strip().splitlines() or [""])[0]
    return Failed(f"{type(error).__name__}: {first[:200]}")


def _reason(message: str) -> str:
    """The message without its place in this code, which no reader of the page has."""
    placed = re.sub(r"\s*\(from [^()]*(\([^()]*\)[^()]*)*\)", "", message)
    return re.sub(r" at \S+:\d+", "", placed).splitlines()[0][:200]


def _compared(result: Any, expected: Arrays) -> Outcome:
    if isinstance(result, Refusal):
        return Refused(_reason(result.message))
    if isinstance(result, Refused | Failed):
        return result
    differences = (_difference(result[name], wanted) for name, wanted in expected.items())
    return next(filter(None, differences), None)


def _difference(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> Failed | None:
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return Failed(
            f"{found.dtype}{list(found.shape)} for {expected.dtype}{list(expected.shape)}"
        )
    close = TOLERANCE.get(expected.dtype, 0.0)
    finite = np.abs(expected[np.isfinite(expected)]) if close else np.zeros(0)
    scale = close * 0.1 * max(1.0, float(finite.max(initial=0)))
    if np.allclose(found, expected, rtol=close, atol=scale, equal_nan=True):
        return None
    wrong = ~np.isclose(found, expected, rtol=close, atol=scale, equal_nan=True)
    return Failed(f"{found[wrong].flat[0]!r} for {expected[wrong].flat[0]!r}")
