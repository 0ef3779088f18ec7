"""Where does a format begin, and where does it end? The edges of its regions, as exponents of two.

Everything that is shaded in a figure ends at one of these, which are computed from the format's constants alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from floatlab.formats import FloatFormat, get_format

__all__ = ["Edges", "edges_of", "format_regions", "overflow_threshold"]


class Edges(NamedTuple):
    """Base-2 logarithms of magnitudes, for rounding to nearest, ties to even.

    At and below `lost` a magnitude becomes zero, from `subnormal` on there are values, from `normal` on they are
    normal, `largest` is the last one, and beyond `overflow` a magnitude would round to more than it.
    """

    lost: float
    subnormal: float
    normal: float
    largest: float
    overflow: float


def edges_of(fmt: FloatFormat | str) -> Edges:
    """Return the edges of a format. One without a zero loses nothing: there, `lost` is minus infinity.

    >>> edges = edges_of("fp16")
    >>> edges.lost, edges.subnormal, edges.normal
    (-25.0, -24.0, -14.0)
    >>> round(2.0 ** edges_of("e4m3").overflow, 9), edges_of("fp64").overflow
    (464.0, 1024.0)
    """
    fmt = get_format(fmt)
    smallest = float(fmt.etiny if fmt.has_subnormals else fmt.emin)
    lost = smallest - 1.0 if fmt.has_zero else -math.inf
    units, unit = _largest_in_units(fmt)
    return Edges(
        lost, smallest, float(fmt.emin), math.log2(units) + unit, math.log2(2 * units + 1) + unit - 1
    )


def _largest_in_units(fmt: FloatFormat) -> tuple[int, int]:
    """Return the largest value as an integer, and the exponent of its unit in the last place."""
    unit = max(fmt.emax, fmt.emin) - fmt.mantissa_bits
    hidden = 1 << fmt.mantissa_bits if fmt.max_code >> fmt.mantissa_bits or not fmt.has_zero else 0
    return (fmt.max_code & (1 << fmt.mantissa_bits) - 1) | hidden, unit


def overflow_threshold(fmt: FloatFormat | str) -> float:
    """Return the middle between the largest value and what would follow it, where overflow begins.

    Infinite where float64 cannot hold it: its own threshold is 2**1024 - 2**970.

    >>> overflow_threshold("fp16"), overflow_threshold("fp4")
    (65520.0, 7.0)
    """
    units, unit = _largest_in_units(get_format(fmt))
    try:
        return math.ldexp(2 * units + 1, unit - 1)
    except OverflowError:
        return math.inf


def format_regions(fmt: FloatFormat | str) -> tuple[float, float, float]:
    """Return log2 of where a format's subnormal, normal and overflowing magnitudes begin.

    Below the first, a magnitude rounds to zero: it is at most half the smallest value above zero. Beyond the last, it
    rounds to more than the largest value.

    >>> format_regions("float8_e5m2")[:2]
    (-17.0, -14.0)
    """
    edges = edges_of(fmt)
    return edges.lost, edges.normal, edges.overflow
