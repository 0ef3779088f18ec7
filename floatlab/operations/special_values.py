"""Which sign has a zero or a NaN, and which flags does an operation raise? What rounding alone cannot know.

Source: IEEE 754-2019, sections 6.3 (the sign of a zero), 7.2 (invalid operations) and 7.3 (division by zero).
"""

from __future__ import annotations

import numpy as np

from floatlab.backend import Array, array_module
from floatlab.formats import FloatFormat
from floatlab.rounding.flags import Flags

__all__ = ["flags_of_operation", "negative_zeros", "sign_nans"]


def negative_zeros(name: str, xs: list[Array], result: Array, spared: Array | None = None) -> None:
    """Make exact zeros negative where IEEE 754-2019, 6.3, does so in toward_negative: x + (-x) = -0; in place."""
    xp, result = array_module(result), result.reshape(-1)  # a view: results are contiguous
    zeros = xp.flatnonzero(result == 0 if spared is None else (result == 0) & ~spared)
    if not zeros.size:
        return
    minus = [xp.signbit(x.reshape(-1)[zeros]) for x in xs]
    if name == "fma":
        minus = [minus[0] ^ minus[1], minus[2]]
    elif name == "subtract":
        minus = [minus[0], ~minus[1]]
    result[zeros] = xp.where(minus[0] | minus[1], -0.0, result[zeros])


def sign_nans(xs: list[Array], result: Array, fmt: FloatFormat, spared: Array | None = None) -> None:
    """Give NaNs the sign of the first operand that is one, and no sign where none is; in place."""
    xp, result = array_module(result), result.reshape(-1)  # a view
    nans = xp.flatnonzero(xp.isnan(result) if spared is None else xp.isnan(result) & ~spared)
    if not (fmt.nan_has_sign and nans.size):
        return
    signed = xp.full(nans.size, np.nan)
    for x in reversed(xs):
        x = x.reshape(-1)[nans]
        signed = xp.where(xp.isnan(x), xp.copysign(np.nan, x), signed)
    result[nans] = signed


def flags_of_operation(name: str, xs: list[Array], result: Array, flags: Flags) -> Flags:
    """Add what only the operands show: an invalid operation, and a division by zero."""
    xp = array_module(result)
    quiet = xp.zeros(result.shape, bool)
    for x in xs:
        quiet |= xp.isnan(x).reshape(result.shape)
    invalid = flags.invalid | (xp.isnan(result) & ~quiet)
    by_zero = flags.divide_by_zero
    if name == "divide":
        by_zero = (xs[1] == 0) & xp.isfinite(xs[0]) & (xs[0] != 0)
        by_zero = by_zero.reshape(result.shape)
        invalid = invalid & ~by_zero
    return Flags(invalid, by_zero, flags.overflow, flags.underflow, flags.inexact)
