"""Operators that no graph can hold, each refused by name with the reason.

They have rules so that nobody decomposes them in search of one.
"""

from __future__ import annotations

from typing import NoReturn

from graftwork.frontends.torch.rules.registry import Call, complex_rule, rule

_OF_DATA = """
    bincount masked_select nonzero unique_consecutive unique_dim _unique2 segment_reduce
"""
_FACTORISED = """
    linalg_eig linalg_eigvals
    _cholesky_solve_helper _linalg_det _linalg_eigh _linalg_slogdet _linalg_solve_ex _linalg_svd
    cholesky cholesky_inverse cholesky_solve geqrf linalg_cholesky_ex linalg_householder_product
    linalg_inv_ex linalg_ldl_factor_ex linalg_ldl_solve linalg_lstsq linalg_lu linalg_lu_factor_ex
    linalg_lu_solve linalg_matrix_exp linalg_pinv linalg_qr linalg_solve_triangular
    lu_unpack orgqr ormqr triangular_solve
"""


def _names(words: str) -> list[str]:
    return [f"aten.{word}" for word in words.split()]


@rule(*_names(_OF_DATA))
def of_data(call: Call, *_: object, **__: object) -> NoReturn:
    """Refused: the size of the result is a matter of values."""
    raise call.refuse(
        "the size of its result depends on data; use torch.where and masks of a fixed size"
    )


@rule(*_names(_FACTORISED))
@complex_rule(*_names(_FACTORISED))
def of_matrices(call: Call, *_: object, **__: object) -> NoReturn:
    """Refused: matrices are factorised by libraries alone."""
    raise call.refuse("factorising and solving of matrices is not supported; pass the result")
