"""How does a tensor core add? Products are aligned to the largest exponent, cut, added exactly, and rounded once.

The truncated fused dot-product-add (T-FDPA) of NVIDIA's tensor cores. A finite number is s * 2^e with 1 <= |s| < 2, or,
below its format's smallest normal number, with the exponent of that number: subnormals are not normalised. A block of
L products and the accumulator c becomes::

    product i   s_i = s_a s_b, exact and not normalised (|s_i| < 4);    e_i = e_a + e_b
    E           the largest exponent of the terms that are not zero, and at least that of a zero
    t_i         s_i * 2^(e_i - E + F), cut toward zero to an integer; so is c: F bits below the largest are left
    d           (t_0 + ... + t_(L - 1) + t_c) * 2^(E - F): the sum is exact, and is rounded once

-0 becomes +0. A NaN, 0 times infinity, or infinities of both signs give NaN; otherwise an infinite term wins. A rounded
sum beyond the largest value is an infinity, also where it is rounded toward zero.

This is the readable version, for all formats and numbers. `floatlab.matrix_units.tiles` is the fast one for the usual
ones, and is tested against this.

Sources: M. Fasi, N. J. Higham, M. Mikaitis and S. Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ Computer
Science 7 (2021), e330; F. A. Khattak and M. Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004 (how
many bits each generation keeps); P. Xie and others, "MMA-Sim: bit-accurate reference model of tensor cores and matrix
cores", arXiv:2511.10909 (exponents of zeros, fp8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatlab.backend import Array
from floatlab.errors import OptionError, check_option
from floatlab.formats import FloatFormat
from floatlab.matrix_units.instruction import Formats, Instruction, product
from floatlab.rounding.modes import MODES, draws
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import round_floats

__all__ = ["Aligned", "aligned_total", "closed", "exponents", "nonfinite_total"]

_MOST_FRACTION_BITS = 40  # so that 64 terms and what they carry stay below 2^53
_LOWEST = -(1 << 20)  # an exponent of zeros, so far down that their products rule nothing


@dataclass(frozen=True)
class Aligned(Instruction):
    """Products aligned and cut before they are added.

    Parameters
    ----------
    operands, block, register
        As of `Instruction`.
    fraction_bits : int
        How many bits are kept below the largest exponent, F; at most 40.
    kept : str or FloatFormat, optional
        The format that the sum is rounded to, where it is narrower than the register.
    rounding : str
        How the sum is rounded: a mode of `floatlab.quantize` that draws no random numbers.
    zero_exponent : int, optional
        The exponent that a zero takes part with. By default that of the register's smallest number: a zero rules
        nothing.

    Examples
    --------
    >>> unit = Aligned(("fp16",), 4, fraction_bits=24)
    >>> a, b = np.array([[2.0**12, 2.0**-13, 0.0, 0.0]]), np.array([[2.0**12, 1.0, 1.0, 1.0]]).T
    >>> c = np.array([[-(2.0**24)]])
    >>> unit.chain(a, b, c, unit.operands * 2)  # 2^-13 lies 37 bits below 2^24
    array([[0.]])
    """

    fraction_bits: int = 24
    kept: FloatFormat | None = None
    rounding: str = "toward_zero"
    zero_exponent: int | None = None

    def __post_init__(self) -> None:
        if self.kept is None:
            object.__setattr__(self, "kept", self.register)
        super().__post_init__()
        bits = self.fraction_bits
        if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= _MOST_FRACTION_BITS:
            raise OptionError(
                f"fraction_bits is how many bits stay below the largest exponent, 1 to {_MOST_FRACTION_BITS}. "
                f"Got {bits!r}. A Hopper has 25."
            )
        check_option("rounding", self.rounding, [mode for mode in MODES if not draws(mode)])
        if self.zero_exponent is None:
            object.__setattr__(self, "zero_exponent", self.register.etiny)

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        special = nonfinite_total(a, b, c)
        if special is not None:
            a, b, c = (np.where(np.isfinite(x), x, 0.0) for x in (a, b, c))
        total, unit = aligned_total(self, a, b, c, formats)
        result = closed(np.ldexp(total, -unit), self)
        return result if special is None else np.where(special == 0, result, special)


def aligned_total(
    how: Aligned, a: Array, b: Array, c: Array, formats: Formats, scale: Array | int = 0
) -> tuple[Array, Array]:
    """Return the sum of the aligned terms of a block, all finite, as an integer, and the exponent that makes it one.

    `scale` is what the exponents of all products of a result have besides those of its operands.
    """
    zero = how.zero_exponent
    assert zero is not None
    e_a = np.where(a == 0, _LOWEST, exponents(a, formats[0]))
    e_b = np.where(b == 0, _LOWEST, exponents(b, formats[1]))
    largest = np.where(c == 0, zero, np.maximum(exponents(c, how.register), zero))
    for k in range(how.block):
        np.maximum(largest, e_a[..., :, k, None] + e_b[..., k, None, :] + scale, out=largest)
    unit = how.fraction_bits - largest
    total = np.trunc(np.ldexp(c, unit))
    for k in range(how.block):
        total += np.trunc(np.ldexp(product(a, b, k), unit + scale))
    return total, unit


def exponents(x: Array, fmt: FloatFormat) -> Array:
    """Return the exponent of each number, at least the format's smallest; of a zero, that one.

    >>> from floatlab.formats import get_format
    >>> exponents(np.array([1.5, 2.0**-20, 2.0**-130, 0.0]), get_format("fp32"))
    array([   0,  -20, -126, -126])
    """
    return np.where(x == 0, fmt.emin, np.maximum(np.frexp(x)[1].astype(np.int64) - 1, fmt.emin))


def nonfinite_total(a: Array, b: Array, c: Array) -> Array | None:
    """Return what the infinities and NaNs among the terms add up to, and 0 where all are finite; None if all are."""
    if np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(c).all():
        return None
    with np.errstate(invalid="ignore"):
        total = np.where(np.isfinite(c), 0.0, c)
        for k in range(b.shape[-2]):
            term = product(a, b, k)
            total = total + np.where(np.isfinite(term), 0.0, term)
    return np.where(np.isnan(total), np.nan, total)


def closed(total: Array, how: Aligned) -> Array:
    """Round exact sums, in place, as the unit does: beyond the largest value lies infinity, and no zero is negative."""
    assert how.kept is not None
    over = np.abs(total) >= 2.0 ** (how.kept.emax + 1)  # which no rounding brings back
    rule = make_rule(how.kept, how.rounding, "infinity", "gradual", False)
    rounded = round_floats(total, rule, total)
    if over.any():
        rounded[over] = np.copysign(np.inf, rounded[over])
    rounded += 0.0
    return rounded
