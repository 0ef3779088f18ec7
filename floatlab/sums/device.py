"""Is a product that a GPU formed near enough to the exact one? The proof of `floatlab.sums.certified`, in one question.

A number that comes back from a device is waited for, so all that has to be known is put into one: a code for each
element, and the largest of them is read. It is 0 for most products: nothing open, no infinity or NaN, and every zero of
the sign that +0 has. Else the elements are looked at as on a CPU, with the device's own arrays.

A device may form its products in ways that a CPU does not: it may cut partial sums off in place of rounding them, or
put float64 together from shorter integers. An addition that cuts off errs by at most twice what a rounded one does, and
cuBLAS's emulated float64 keeps at least 55 bits of each operand. So the bound of the error is twice that of a CPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise, array_module
from floatlab.sums.exact import LARGEST, SMALLEST

__all__ = ["CERTAIN", "NO_NUMBER", "OPEN", "verdict"]

CERTAIN, OPEN, DOUBTFUL_ZERO, NO_NUMBER = 0, 1, 2, 4

_VERDICT = f"""
    double size = sqrt(row) * sqrt(column);
    {{with_addend}}
    r = x + 0.0;  // -0 + 0 is +0, which is right for most
    double low = x - size * factor, high = x + size * factor;
    unsigned long long between = __double_as_longlong(low) ^ __double_as_longlong(high);
    bool is_open = between >= cell && !(size * unit < quanta);
    bool doubtful = x == 0 && {{doubtful}};
    // Not finite, or of a size for which the bound does not hold.
    bool no_number = outside || !(size < __longlong_as_double(0x7ff0000000000000ll));
    code = no_number ? {NO_NUMBER} : is_open * {OPEN} + doubtful * {DOUBTFUL_ZERO};
"""


@lru_cache(maxsize=8)
def _kernel(has_addend: bool, to_minus: bool) -> Elementwise:
    """Return the kernel: a sum, its bound, and what is known of its terms, to the sum and a code.

    A sum that is zero is +0 unless all its terms are -0: then as many operands of its row and of its column have minus
    signs as there are terms (each of them one, not both). In a mode in which sums cancel to -0, every zero is doubtful.
    """
    added = "size += addend < 0 ? -addend : addend;" if has_addend else ""
    minus = "row_minus + column_minus == terms"
    if has_addend:
        minus += " && __double_as_longlong(addend) < 0"
    text = _VERDICT.format(with_addend=added, doubtful="true" if to_minus else f"({minus})")
    inputs = (
        "float64 x, float64 row, float64 column, int64 row_minus, int64 column_minus, float64 addend, bool outside, "
        "float64 factor, float64 unit, float64 quanta, uint64 cell, int64 terms"
    )
    return Elementwise(inputs, "float64 r, uint8 code", text, "floatlab_certified")


def verdict(
    product: Array,
    operands: tuple[Array, Array, Array | None],
    numbers: dict[str, Any],
    narrow: bool,
    to_minus: bool,
) -> tuple[Array, Array, int]:
    """Return the sums, with +0 for zeros; the code of each element; and the largest code, which is read.

    Parameters
    ----------
    product : array of float64, shape (..., M, N)
        ``a @ b + addend``, as the device forms it.
    operands : tuple
        a, b and the addend, or None.
    numbers : dict
        "factor": the bound of the error, in units of the norms' product; "unit": so much of it is below the quanta
        where the product is exact; "quanta": a power of two of which all terms are multiples, or 0; "cell": how many
        float64 numbers lie in a cell of the grid.
    narrow : bool
        Whether the operands came as float32 or shorter, and so are in the range that the bound needs.
    to_minus : bool
        Whether sums cancel to -0.
    """
    a, b, addend = operands
    xp = array_module(product)
    rows, columns = xp.square(a).sum(axis=-1)[..., :, None], xp.square(b).sum(axis=-2)[..., None, :]
    row_minus = -(a.view(np.int64) >> 63).sum(axis=-1)[..., :, None]
    column_minus = -(b.view(np.int64) >> 63).sum(axis=-2)[..., None, :]
    outside: Any = False
    if not narrow:
        outside = _is_outside(a) | _is_outside(b)
        if addend is not None:
            outside |= _is_outside(addend)
    result, codes = _kernel(addend is not None, to_minus)(
        product,
        rows,
        columns,
        row_minus,
        column_minus,
        0.0 if addend is None else addend,
        outside,
        numbers["factor"],
        numbers["unit"],
        numbers["quanta"],
        numbers["cell"],
        a.shape[-1],
    )
    return result, codes, int(codes.max())


def _is_outside(x: Array) -> Array:
    """Return whether a number is neither 0 nor between `SMALLEST` and `LARGEST`, as an array of no dimension."""
    size = abs(x)
    return ~((size <= LARGEST) & ((size >= SMALLEST) | (size == 0))).all()
