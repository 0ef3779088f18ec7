"""Which kernel rounds to a format? The identity, the integers of `aligned.py`, a count of units, or none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.kernels.aligned import AlignedKernel, IdentityKernel
from floatlab.rounding.kernels.counting import Kernel
from floatlab.system.environment import check_environment

__all__ = ["kernel_for"]


@lru_cache(maxsize=256)
def kernel_for(fmt: FloatFormat, dtype: np.dtype[Any], natural: bool = False) -> Kernel | None:
    """Return the kernel of a format in a carrier type, or None where there is none.

    There is none for unsigned formats and those without a mantissa (their rules are their own), nor where a
    constant would not fit into the carrier. `natural` is for `AlignedKernel`.
    """
    check_environment()
    width, bits = (8, 23) if dtype.itemsize == 4 else (11, 52)
    largest = 2 ** (width - 1) - 1
    if fmt.specials == "ieee" and fmt.signed and (fmt.exponent_bits, fmt.bias) == (width, largest):
        if fmt.mantissa_bits == bits:
            return IdentityKernel(fmt, dtype, natural)
        return AlignedKernel(fmt, dtype, natural) if fmt.mantissa_bits < bits else None
    fits = (
        fmt.signed
        and 1 <= fmt.mantissa_bits <= bits
        and fmt.emax <= largest  # the carrier holds the largest value,
        and fmt.emin - fmt.mantissa_bits >= 1 - largest  # every unit is one of its normal numbers,
        and fmt.emin - fmt.mantissa_bits < 0  # and no number is so small that it is none of two units
        and fmt.max_code >> fmt.mantissa_bits > 0  # there are normal values
    )
    return Kernel(fmt, dtype) if fits else None
