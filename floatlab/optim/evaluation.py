"""What does float64 make of an operation of the workbench? Each step of it is rounded to nearest.

These are the operations of an update rule, by name. Each takes its operands, arrays or scalars, and two arrays to work
in: one for the result, one for the term that is added to the first operand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FUSED", "SINGLE", "evaluate"]

Array = NDArray[Any]
Operand = Array | float
_WIDE = np.dtype(np.float64)

FUSED = ("add", "add_product", "add_quotient", "blend")  # more than one operation of float64


def evaluate(name: str, operands: tuple[Operand, ...], work: Array, term: Array) -> Array:
    """Return what float64 gives for an operation, in `work`; a fused one leaves its term in `term`.

    Examples
    --------
    >>> evaluate("blend", (np.zeros(1), np.ones(1), 0.25), np.empty(1), np.empty(1))
    array([0.25])
    """
    if name in SINGLE:
        result: Array = SINGLE[name](*operands, out=work, dtype=_WIDE)
        return result
    return _FUSED[name](*operands, work, term)


# Values are copied into float64 before they are computed with: NumPy's own conversion inside an operation is slower.


def _add(x: Array, y: Array, factor: float, work: Array, term: Array) -> Array:
    np.copyto(term, y)
    np.multiply(term, factor, out=term)
    np.copyto(work, x)
    return np.add(work, term, out=work)


def _add_product(x: Array, y: Array, z: Array, factor: float, work: Array, term: Array) -> Array:
    np.copyto(term, y)
    np.multiply(term, factor, out=term)
    np.copyto(work, z)
    np.multiply(term, work, out=term)
    np.copyto(work, x)
    return np.add(work, term, out=work)


def _add_quotient(x: Array, y: Array, z: Array, factor: float, work: Array, term: Array) -> Array:
    np.copyto(term, y)
    np.multiply(term, factor, out=term)
    np.copyto(work, z)
    np.divide(term, work, out=term)
    np.copyto(work, x)
    return np.add(work, term, out=work)


def _blend(x: Array, y: Array, share: float, work: Array, term: Array) -> Array:
    np.copyto(term, y)
    np.copyto(work, x)
    np.subtract(term, work, out=term)
    if share < 0.5:
        np.multiply(term, share, out=term)
        return np.add(work, term, out=work)
    np.multiply(
        term, 1.0 - share, out=term
    )  # from the nearer end, as PyTorch does: at share 1 it is exactly y
    np.copyto(work, y)
    return np.subtract(work, term, out=work)


SINGLE: dict[str, Callable[..., Array]] = {
    "scale": np.multiply,
    "multiply": np.multiply,
    "divide": np.divide,
    "sqrt": np.sqrt,
    "shift": np.add,
}

_FUSED: dict[str, Callable[..., Array]] = {
    "add": _add,
    "add_product": _add_product,
    "add_quotient": _add_quotient,
    "blend": _blend,
}
