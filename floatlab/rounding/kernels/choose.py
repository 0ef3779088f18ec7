"""Which kernel rounds to a format? The identity, the integers of `aligned.py`, the magic number, or none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.kernels.aligned import AlignedKernel, IdentityKernel
from floatlab.rounding.kernels.magic import Kernel
from floatlab.system.environment import check_environment

__all__ = ["kernel_for"]


@lru_cache(maxsize=256)
def kernel_for(fmt: FloatFormat, dtype: np.dtype[Any]) -> Kernel | None:
    """Return the kernel of a format in a carrier type, or None where there is none.

    There is none for unsigned formats and those without a mantissa (their rules are their own), nor where a
    constant would not fit into the carrier.
    """
    check_environment()
    width, bits = (8, 23) if dtype.itemsize == 4 else (11, 52)
    largest = 2 ** (width - 1) - 1
    if fmt.specials == "ieee" and fmt.signed and (fmt.exponent_bits, fmt.bias) == (width, largest):
        if fmt.mantissa_bits == bits:
            return IdentityKernel(fmt, dtype)
        return AlignedKernel(fmt, dtype) if fmt.mantissa_bits < bits else None
    drop = bits - fmt.mantissa_bits
    fits = (
        fmt.signed
        and 1 <= fmt.mantissa_bits <= bits - 2  # room for the magic number's own leading bits
        and fmt.emin >= 1 - largest
        and fmt.emax + 2 + drop <= largest  # the magic number of the largest value
        and 0
        <= fmt.mantissa_bits - fmt.emin
        < largest  # one over the smallest subnormal; no product underflows
        and fmt.emax + 2 + fmt.mantissa_bits - fmt.emin < largest  # the largest value in units of that
        and fmt.max_code >> fmt.mantissa_bits > 0  # there are normal values
    )
    return Kernel(fmt, dtype) if fits else None
