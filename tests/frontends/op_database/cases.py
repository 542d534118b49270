"""The samples of torch's operator database, as functions of tensors alone."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from tests.frontends.op_database.zoo import ZOO

DTYPES = (torch.float32, torch.float64, torch.int64, torch.bool)
# Operators whose numbers are whatever memory held.
UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty"}
UNINITIALISED |= {"new_empty_strided", "resize_", "resize_as_"}


def _sort(
    x: torch.Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None
) -> Any:
    return torch.sort(x, dim=dim, descending=descending, stable=True)


def _argsort(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    return _sort(x, *args, **kwargs)[1]


def _topk(x: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return tuple(each.narrow(dim, 0, k) for each in _sort(x, dim, largest)) if x.ndim else _sort(x)


def _kthvalue(x: torch.Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    found = (each.narrow(dim, k - 1, 1) for each in _sort(x, dim)) if x.ndim else _sort(x)
    return tuple(each if keepdim or not x.ndim else each.squeeze(dim) for each in found)


def _mode(x: torch.Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    values, at = torch.mode(x, dim, True)
    if x.ndim:
        backwards = (x == values).flip(dim).long().argmax(dim, keepdim=True)
        at = x.shape[dim] - 1 - backwards
    squeeze = bool(x.ndim) and not keepdim
    return tuple(each.squeeze(dim) if squeeze else each for each in (values, at))


# Operators for which equal elements may come in any order -> the same in the order of the input.
IN_ORDER = {
    "sort": _sort,
    "argsort": _argsort,
    "topk": _topk,
    "kthvalue": _kthvalue,
    "mode": _mode,
}


@frozen(eq=False)
class Case:
    """One sample of one operator.

    Attributes:
        op: the operator's name in the database.
        dtype: the element type that the sample was drawn for.
        number: the sample's place among those of this operator and element type.
        zoo: whether it is an operator that real models have.
        function: the operator with all arguments bound that are not tensors.
        meant: the same, with ties broken in order where torch leaves them open.
        tensors: the tensors among its arguments.
    """

    op: str
    dtype: torch.dtype
    number: int
    zoo: bool
    function: Callable[..., Any]
    meant: Callable[..., Any]
    tensors: tuple[torch.Tensor, ...]

    def __str__(self) -> str:
        return f"{self.op} {str(self.dtype).removeprefix('torch.')} #{self.number}"


def names() -> list[str]:
    """The operators of the database, a variant after a dot."""
    return sorted({_name(info) for info in op_db} - UNINITIALISED)


def _name(info: Any) -> str:
    return ".".join(filter(None, (info.name, info.variant_test_name)))


def cases(
    ops: Iterable[str], dtypes: Sequence[torch.dtype] = DTYPES, limit: int | None = None
) -> Iterator[Case]:
    """The samples of some operators; at most `limit`, evenly spread, of each element type."""
    for info, dtype in _kinds(ops, dtypes):
        samples = list(enumerate(_samples(info, dtype)))
        for number, sample in _spread(samples, limit):
            yield _case(info, dtype, number, sample)


def _kinds(ops: Iterable[str], dtypes: Sequence[torch.dtype]) -> Iterator[tuple[Any, torch.dtype]]:
    """The database's entries of some operators, with the element types that they take."""
    wanted = set(ops)
    for info in sorted(op_db, key=_name):
        for dtype in dtypes if _name(info) in wanted else ():
            if dtype in info.supported_dtypes("cpu"):
                yield info, dtype


def _samples(info: Any, dtype: torch.dtype) -> list[Any]:
    """The database's samples, which it draws from the global generators."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        return list(info.sample_inputs("cpu", dtype, requires_grad=False))


def _spread(items: list[Any], limit: int | None) -> list[Any]:
    if limit is None or len(items) <= limit:
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _case(info: Any, dtype: torch.dtype, number: int, sample: Any) -> Case:
    leaves, spec = pytree.tree_flatten(([sample.input, *sample.args], sample.kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def bound(op: Callable[..., Any]) -> Callable[..., Any]:
        def function(*tensors: torch.Tensor) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                filled[place] = tensor
            args, kwargs = pytree.tree_unflatten(filled, spec)
            return op(*args, **kwargs)

        return function

    name = _name(info)
    function, meant = bound(info.op), bound(IN_ORDER.get(name, info.op))
    tensors = tuple(leaves[i] for i in places)
    return Case(name, dtype, number, info.aten_name in ZOO, function, meant, tensors)
