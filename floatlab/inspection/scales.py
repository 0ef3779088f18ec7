"""By what are numbers multiplied before they are rounded? One factor for all, one for each channel, or for each block.

The *best* factor is that with the smallest noise on a sample of some thousand numbers, the largest one among them. Of
those that are as good but for a twentieth of a decibel, it is the one that loses the fewest numbers, and of these the
one nearest to 1: so a format that needs no scaling gets none.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from floatlab.block_formats.block_format import BlockFormat
from floatlab.formats import FloatFormat, get_format
from floatlab.inspection.source import Array
from floatlab.rounding.quantize import quantize

__all__ = ["BLOCKS", "best_power", "best_real", "block_scaling", "channel_scales", "overflow_from"]

#: Scalings of blocks along the last axis: how many numbers share a scale, its format, and the rule.
BLOCKS = {
    "mx32": (32, "e8m0", "rceil", None),
    "nv16": (16, "e4m3", "nvfp4", "amax"),
    "tile128": (128, "fp32", "absmax", None),
}
_SHORT = 8  # bits of a format whose numbers share scales

_AS_GOOD = 10**0.005  # a twentieth of a decibel
_FURTHEST = 1000  # exponents of factors, so that they and their inverses are normal float64 numbers


@lru_cache(maxsize=64)
def overflow_from(fmt: FloatFormat) -> float:
    """Return the smallest positive float64 that overflows when it is rounded to nearest even; infinity if none does.

    It is found with the flag that `quantize` raises, by bisection over the codes of float64.

    >>> from floatlab.formats import get_format
    >>> overflow_from(get_format("fp16")), overflow_from(get_format("e4m3")) > 464
    (65520.0, True)
    """
    low, high = (int(np.float64(x).view(np.int64)) for x in (fmt.max, np.inf))
    while high - low > 1:
        middle = (low + high) // 2
        _, flags = quantize(np.int64(middle).view(np.float64), fmt, return_flags=True)
        low, high = (low, middle) if flags.overflow else (middle, high)
    return float(np.int64(high).view(np.float64))


def best_power(sample: Array, fmt: FloatFormat) -> float:
    """Return the best power of two.

    >>> from floatlab.formats import get_format
    >>> best_power(np.array([1.0, 3.0]), get_format("fp16")), best_power(np.array([2.0**-16, 1.0]), get_format("e4m3"))
    (1.0, 128.0)
    """
    largest = float(np.max(np.abs(sample), initial=0.0))
    if not largest:
        return 1.0
    top = int(_fitting(np.array([largest]), fmt)[0])
    powers = {max(-_FURTHEST, min(_FURTHEST, top + i)) for i in range(-8, 3)} | {0}
    return _best(sample, fmt, [math.ldexp(1.0, k) for k in powers])


def best_real(sample: Array, fmt: FloatFormat) -> float:
    """Return the best factor, power of two or not: 8 in an octave are tried, and the one that fits the largest number.

    >>> from floatlab.formats import get_format
    >>> best_real(np.array([1.0, 0.75]), get_format("fp4"))
    2.0
    """
    largest = float(np.max(np.abs(sample), initial=0.0))
    power = best_power(sample, fmt)
    fits = fmt.max / largest if largest else math.inf
    if not 2.0**-_FURTHEST < fits < 2.0**_FURTHEST:
        return power
    return _best(sample, fmt, [power, fits, *(power * 2 ** (i / 8) for i in range(-8, 9) if i)])


def block_scaling(kind: str, fmt: FloatFormat) -> BlockFormat | None:
    """Return the block format of a scaling of `BLOCKS`; None for a format that is too long to need one.

    >>> from floatlab.formats import get_format
    >>> block_scaling("mx32", get_format("e2m1")).bits_per_value, block_scaling("mx32", get_format("bf16"))
    (4.25, None)
    """
    if fmt.bits > _SHORT:
        return None
    length, scale, rule, tensor = BLOCKS[kind]
    return BlockFormat(f"{fmt}, {kind}", fmt, (length,), get_format(scale), rule, tensor)


def channel_scales(largest: Array, fmt: FloatFormat) -> Array:
    """Return for each channel the largest power of two at which nothing of it overflows.

    >>> from floatlab.formats import get_format
    >>> channel_scales(np.array([448.0, 480.0, 1e-3, 0.0]), get_format("e4m3")).tolist()
    [1.0, 0.5, 262144.0, 1.0]
    """
    return np.ldexp(1.0, _fitting(largest, fmt))


def _fitting(largest: Array, fmt: FloatFormat) -> Array:
    """Return the largest exponents k for which ``largest * 2**k`` does not overflow; 0 where it is 0."""
    limit, limit_exponent = math.frexp(min(overflow_from(fmt), np.finfo(np.float64).max))
    fraction, exponent = np.frexp(np.asarray(largest, np.float64))
    k = np.where(fraction < limit, limit_exponent, limit_exponent - 1) - exponent
    return np.where(fraction == 0, 0, np.clip(k, -_FURTHEST, _FURTHEST)).astype(np.int32)


def _best(sample: Array, fmt: FloatFormat, factors: list[float]) -> float:
    tried = [(*_noise(sample, fmt, factor), abs(math.log2(factor)), factor) for factor in factors]
    least = min(noise for noise, *_ in tried)
    return min(rest for noise, *rest in tried if noise <= least * _AS_GOOD)[-1]


def _noise(sample: Array, fmt: FloatFormat, factor: float) -> tuple[float, int]:
    """Return the noise as a share of the signal, and how many numbers are lost."""
    y = sample * factor
    unit = math.ldexp(1.0, -math.frexp(float(np.max(np.abs(y))))[1])
    if not math.isfinite(unit) or not np.isfinite(y).all():
        return math.inf, sample.size
    q = quantize(y, fmt, overflow="saturate")
    signal, error = y * unit, (q - y) * unit
    lost = np.count_nonzero(q == 0) + np.count_nonzero(np.abs(y) >= np.float64(overflow_from(fmt)))
    return float(error @ error) / float(signal @ signal), int(lost)
