"""What is the exact sum of these products? Slices whose products float64 adds without error.

Float64 adds integers below 2^53 without error, in any order. So a matrix product is exact if its
operands are cut into slices of few enough bits, as Ozaki and others do::

    a row of K terms     1.0110 1110 0101    = 1.011 + 0.000|0111 + ...      slices of `bits` bits each
    slice times slice    K products below 2^(2 bits), so their sum stays below 2^53

The partial products of equal weight are the digits of the result in base 2^bits. Carrying and adding the
digits from the last one up gives the exact sum, *rounded to odd* in float64: cut off after 53 bits, with
the last bit set if anything was lost. Such a number rounds to any format of at most 51 bits as the exact
one would, in every mode (Boldo and Melquiond).

Operands outside of 2^-200 to 2^200 are multiplied as Python integers: slow, and always right.

Everything here expects finite float64 arrays; shapes are those of `numpy.matmul` with at least two
dimensions. The sign of a zero and what infinities and NaNs do is `floatlab.sums.matmul`'s.

See Also
--------
floatlab.sums.certified : fast products, and when they are as good as the exact ones

References
----------
K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, "Error-free transformations of matrix multiplication by using fast
    routines of matrix multiplication and its applications", Numerical Algorithms 59 (2012), 95-118 (slices).
S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
    IEEE Transactions on Computers 57 (2008), 462-471 (rounding to odd).
D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2 (the error of a sum).
T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18 (1971),
    224-242 (the error of a product).
J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric predicates", Discrete &
    Computational Geometry 18 (1997), 305-363 (sums without error, as in `math.fsum`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, is_gpu_array
from floatlab.operations.device import exact_results
from floatlab.operations.error_free import two_product, two_sum
from floatlab.rounding.odd import integer_to_odd, nudge

__all__ = [
    "LARGEST",
    "SMALLEST",
    "add_to_odd",
    "dots_to_odd",
    "integer_matmul",
    "integers_to_odd",
    "is_in_range",
    "matmul_to_odd",
]

# Between these no product, no slice and no digit leaves the range of float64; float32 lies well inside.
SMALLEST, LARGEST = 2.0**-200, 2.0**200


def is_in_range(x: Array) -> bool:
    """Return whether every element is 0 or of a magnitude between `SMALLEST` and `LARGEST`.

    >>> is_in_range(np.array([0.0, 1.0, -1e30])), is_in_range(np.array([1e-300]))
    (True, False)
    """
    magnitude = abs(x)
    return bool(((magnitude <= LARGEST) & ((magnitude >= SMALLEST) | (magnitude == 0))).all())


# -- rounding to odd -------------------------------------------------------------------------------


def add_to_odd(x: Array, y: Array) -> Array:
    """Return x + y rounded to odd; `x` and `y` are float64 arrays of shapes that broadcast.

    >>> float(add_to_odd(np.array([1.0]), np.array([2.0**-200]))[0]).hex()
    '0x1.0000000000001p+0'
    """
    if is_gpu_array(x) or is_gpu_array(y):
        return exact_results("add", [x, y], "to_odd", False)
    return nudge(*two_sum(x, y))


# -- products of slices ----------------------------------------------------------------------------


def _slices(x: Array, bits: int) -> list[Array]:
    """Cut numbers of at most 1 in magnitude into integers: x = sum of slice[i] * 2^-(i+1)bits, exactly."""
    xp = array_module(x)
    slices: list[Array] = []
    while not slices or x.any():
        x = x * 2.0**bits
        slices.append(xp.rint(x))
        x = x - slices[-1]  # exact: at most one half
    return slices


def _scaled(x: Array, axis: int) -> tuple[Array, Array]:
    """Return x * 2^-e and e, with one exponent per row (or column) that brings it below 1."""
    xp = array_module(x)
    _, exponent = xp.frexp(abs(x).max(axis=axis, keepdims=True))
    return xp.ldexp(x, -exponent), exponent


def _carry(digits: list[Array], bits: int) -> None:
    """Bring every digit but the first into 0 <= digit < 2^bits; in place."""
    xp = array_module(digits[0])
    for i in range(len(digits) - 1, 0, -1):
        carry = xp.floor(digits[i] * 2.0**-bits)
        digits[i] = digits[i] - carry * 2.0**bits
        digits[i - 1] = digits[i - 1] + carry


def matmul_to_odd(a: Array, b: Array) -> Array:
    """Return the exact product of matrices, rounded to odd in float64.

    Parameters
    ----------
    a : array of float64, shape (..., M, K)
    b : array of float64, shape (..., K, N)
        Finite; the leading dimensions broadcast.

    Returns
    -------
    array of float64, shape (..., M, N)
        The exact value where it is a float64. A zero is +0.

    Examples
    --------
    >>> a, b = np.array([[1e16, 1.0, -1e16]]), np.ones((3, 1))
    >>> matmul_to_odd(a, b)
    array([[1.]])
    """
    xp = array_module(a)
    terms = a.shape[-1]
    if terms == 0 or a.size == 0 or b.size == 0:
        return xp.matmul(a, b)
    if not (is_in_range(a) and is_in_range(b)):
        integers, exponent = integer_matmul(asnumpy(a), asnumpy(b))
        return xp.asarray(integers_to_odd(integers, exponent))
    a, rows = _scaled(a, -1)
    b, columns = _scaled(b, -2)
    weights, fewest = 1, 0
    while fewest < weights:  # up to `weights` partial products share a digit: leave room for their sum
        fewest = weights
        bits = (52 - (terms * weights - 1).bit_length()) // 2  # and 1 bit of 53 for the carry
        left, right = _slices(a, bits), _slices(b, bits)
        weights = max(fewest, min(len(left), len(right)))
    digits: list[Any] = [0.0] * (len(left) + len(right) - 1)
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            digits[i + j] = digits[i + j] + xp.matmul(x, y)
    total = _digits_to_odd(digits, bits)
    return xp.ldexp(total, rows + columns - 2 * bits)


def _digits_to_odd(digits: list[Array], bits: int) -> Array:
    """Return the sum of digits[i] * 2^(-i bits), rounded to odd. The digits are integers below 2^52."""
    if len(digits) == 1:
        return digits[0]
    xp = array_module(digits[0])
    _carry(digits, bits)
    negative = digits[0] < 0  # as the rest is now between 0 and 1
    digits = [xp.where(negative, -digit, digit) for digit in digits]
    _carry(digits, bits)
    # No digit is negative now, and each lies wholly above the next: rounding to odd on the way up, always to
    # a coarser place, is rounding to odd once.
    total = digits[-1]
    for digit in reversed(digits[:-1]):
        total = add_to_odd(digit, total * 2.0**-bits)
    return xp.where(negative, -total, total)


# -- a few dot products ----------------------------------------------------------------------------


def dots_to_odd(x: Array, y: Array, addend: Array | None = None) -> np.ndarray:
    """Return the exact dot products of the rows of `x` and `y`, plus `addend`, rounded to odd.

    For a few rows this is faster than `matmul_to_odd`, and it shares nothing with it: each
    product is split into two float64 without error (Dekker 1971), and `math.fsum` adds them all.

    Parameters
    ----------
    x, y : array of float64, shape (n, K)
        0, or between `SMALLEST` and `LARGEST` in magnitude.
    addend : array of float64, shape (n,), optional

    Examples
    --------
    >>> dots_to_odd(np.array([[1e16, 1.0, -1e16]]), np.ones((1, 3)), np.array([0.5]))
    array([1.5])
    """
    x, y = asnumpy(x), asnumpy(y)
    products, errors = two_product(x, y)
    parts = [products, errors] if errors.any() else [products]
    if addend is not None:
        parts.append(asnumpy(addend)[:, None])
    totals, lost = [], []
    for terms in np.concatenate(parts, axis=1).tolist():
        total = math.fsum(terms)
        terms.append(-total)
        totals.append(total)
        lost.append(math.fsum(terms))  # of the sign of what the first sum lost
    return asnumpy(nudge(np.array(totals, np.float64), np.array(lost, np.float64)))


# -- any float64 at all ----------------------------------------------------------------------------


def _integers(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return Python integers and one exponent: x = integers * 2^exponent."""
    mantissa, exponents = np.frexp(x)
    mantissa, exponents = (mantissa * 2.0**53).astype(np.int64), exponents - 53
    lowest = int(np.min(exponents, initial=0, where=mantissa != 0))
    shifts = np.maximum(exponents - lowest, 0)
    integers: np.ndarray = np.left_shift(mantissa.astype(object), shifts.astype(object))
    return integers, lowest


def integer_matmul(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
    """Return Python integers and an exponent with ``a @ b == integers * 2**exponent``, exactly.

    >>> integers, exponent = integer_matmul(np.array([[1.0, 1e-300]]), np.array([[1.0], [1e-300]]))
    >>> integers[0, 0].bit_length(), integers_to_odd(integers, exponent)
    (2099, array([[1.]]))
    """
    (x, e), (y, f) = _integers(a), _integers(b)
    product: np.ndarray = np.matmul(x, y)
    return product, e + f


def integers_to_odd(integers: np.ndarray, exponent: int) -> np.ndarray:
    """Return integers * 2^exponent, rounded to odd in float64; beyond its range, the largest float64."""
    flat = [integer_to_odd(int(n), exponent) for n in integers.ravel()]
    return np.array(flat, np.float64).reshape(integers.shape)
