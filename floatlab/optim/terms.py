"""What does float64 lose of the term that a fused operation adds? The term and its errors are a sum of two numbers.

The error of a product, and of a sum, is a float64 number, and so is the remainder of a quotient (see
`floatlab.operations.error_free`). What is still lost is less than 2^-98 of the term.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.operations.error_free import two_product, two_sum

__all__ = ["enclose_float64", "float32_term"]

Array = NDArray[Any]


def enclose_float64(name: str, operands: Sequence[Any]) -> tuple[Array, Array]:
    """Return the results of a fused operation of float64 numbers, and where they are not sure.

    Of the sum's nearest float64 and what it leaves over, the latter has an error of less than 2^-98 of the terms, or
    an unknown one where a product's error has underflowed, or an operand is not finite.
    """
    x, y = operands[:2]
    term, rest = _TERMS[name](*operands)
    nearest, error = two_sum(x, term)
    rest += error
    size = abs(x) + abs(term)
    slack = size * 2.0**-98
    low, high = nearest + (rest - slack), nearest + (rest + slack)
    is_open = low != high
    if name == "add_quotient":
        size = np.minimum(size, abs(y), out=size)
    if not size.min() >= 2.0**-800:
        is_open |= (size < 2.0**-800) & ((x != 0.0) | (y != 0.0))
    np.copyto(low, nearest, where=rest == 0.0)  # a zero with its sign
    if name == "blend" and operands[2] >= 0.5:
        is_open |= low == 0.0  # whose sign is that of a step from the other end
    return low, is_open


def float32_term(name: str, operands: Sequence[Any]) -> tuple[Array, Array]:
    """Return the term that a fused operation adds, and its error, for operands that are float32 numbers.

    Examples
    --------
    >>> term, error = float32_term("add", (np.ones(1), np.ones(1), 0.1))
    >>> term + error == 0.1, term == 0.1
    (array([ True]), array([False]))
    """
    if name != "add":
        return _TERMS[name](*operands)
    _, y, factor = operands
    high = float((np.float64(factor).view(np.int64) & -(1 << 24)).view(np.float64))  # of 29 bits
    return y * high, y * (factor - high)  # both are exact


def _scaled(y: Array, factor: float) -> tuple[Array, Array]:
    return two_product(y, np.float64(factor))  # type: ignore[arg-type]


def _product(x: Array, y: Array, z: Array, factor: float) -> tuple[Array, Array]:
    product, rest = two_product(y, z)
    term, error = _scaled(product, factor)
    return term, error + rest * factor


def _quotient(x: Array, y: Array, z: Array, factor: float) -> tuple[Array, Array]:
    dividend, rest = _scaled(y, factor)
    quotient = dividend / z
    product, error = two_product(quotient, z)
    return quotient, (((dividend - product) - error) + rest) / z


def _step(x: Array, y: Array, share: float) -> tuple[Array, Array]:
    difference, rest = two_sum(y, -x)
    term, error = _scaled(difference, share)
    return term, error + rest * share


# The term that is added to x, as a sum of two numbers.
_TERMS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "add": lambda x, y, factor: _scaled(y, factor),
    "add_product": _product,
    "add_quotient": _quotient,
    "blend": _step,
}
