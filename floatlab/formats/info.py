"""What does `numpy.finfo` call the constants of a format?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.formats.catalogue import get_format
from floatlab.formats.shown import constants_in_html

__all__ = ["FormatInfo", "finfo"]


@dataclass(frozen=True)
class FormatInfo:
    """The constants of a format under NumPy's names; see `numpy.finfo`."""

    bits: int
    eps: float
    epsneg: float
    iexp: int
    machep: int
    max: float
    maxexp: int
    min: float
    minexp: int
    negep: int
    nexp: int
    nmant: int
    precision: int
    resolution: float
    smallest_normal: float
    smallest_subnormal: float
    tiny: float

    def _repr_html_(self) -> str:
        return constants_in_html(self)


def finfo(fmt: Any) -> FormatInfo:
    """Return the constants of a format under the names that `numpy.finfo` uses.

    >>> finfo("fp16").max, finfo("fp16").eps, finfo("fp16").minexp
    (65504.0, 0.0009765625, -14)
    """
    fmt = get_format(fmt)
    m = fmt.mantissa_bits
    # Below 1 the last place is half as large, unless the subnormals begin there, as in fp4.
    negep = max(-1, fmt.emin) - m
    precision = int(m * np.log10(2.0))
    return FormatInfo(
        bits=fmt.bits,
        eps=fmt.eps,
        epsneg=float(np.ldexp(1.0, negep)),
        iexp=fmt.exponent_bits,
        machep=-m,
        max=fmt.max,
        maxexp=fmt.emax + 1,
        min=fmt.lowest,
        minexp=fmt.emin,
        negep=negep,
        nexp=fmt.exponent_bits,
        nmant=m,
        precision=precision,
        resolution=float(f"1e-{precision}"),
        smallest_normal=fmt.smallest_normal,
        smallest_subnormal=fmt.smallest_subnormal,
        tiny=fmt.smallest_normal,
    )
