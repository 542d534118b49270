"""Special functions of the numpy reference, from SciPy, which is loaded at the first use."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def logistic(a: Array) -> Array:
    """1 / (1 + exp(-a)) without overflow on either side."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + small), small / (1 + small))


def erf(a: Array) -> Any:
    """The error function."""
    from scipy import special

    return special.erf(a)


def erfc(a: Array) -> Any:
    """1 - erf."""
    from scipy import special

    return special.erfc(a)


def erf_inv(a: Array) -> Any:
    """The inverse of erf."""
    from scipy import special

    return special.erfinv(a)


def lgamma(a: Array) -> Any:
    """log |gamma|."""
    from scipy import special

    return special.gammaln(a)


def digamma(a: Array) -> Any:
    """The derivative of lgamma."""
    from scipy import special

    return special.digamma(a)
