"""How is an exact result rounded once that no float64 holds? Quotients and roots of integers, rounded to odd first.

An exact number is a pair (n, e) that stands for n * 2^e, as in `floatlab.rounding.odd`. Quotients and roots go
on forever, so they are cut off after more bits than anyone will look at, with the last bit set to say that there was
more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.formats import FloatFormat
from floatlab.rounding.flags import Flags
from floatlab.rounding.modes import draws
from floatlab.rounding.odd import integer_to_odd
from floatlab.rounding.options import drawing, make_rule, settings
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import round_ratio

__all__ = ["Pair", "as_pair", "has_room", "ratio", "root", "round_once"]

Pair = tuple[int, int]


def as_pair(x: float) -> Pair:
    """Return (n, e) with x = n * 2^e, exactly.

    >>> n, e = as_pair(0.75)
    >>> n * 2.0**e
    0.75
    """
    mantissa, exponent = math.frexp(x)
    return int(mantissa * 2.0**53), exponent - 53


def ratio(n: int, d: int, e: int = 0, bits: int = 128) -> Pair:
    """Return n / d * 2^e for d > 0, rounded to odd at `bits` bits or more.

    >>> n, e = ratio(1, 3)
    >>> n * 2.0**e == 1 / 3
    True
    """
    shift = max(bits + d.bit_length() - abs(n).bit_length(), 0)
    quotient, rest = divmod(abs(n) << shift, d)
    odd = quotient << 1 | (rest != 0)
    return (odd if n >= 0 else -odd), e - shift - 1


def root(n: int, d: int, e: int = 0, bits: int = 128) -> Pair:
    """Return the square root of n / d * 2^e for n >= 0 and d > 0, rounded to odd at `bits` bits or more.

    >>> n, e = root(1, 4)
    >>> n * 2.0**e
    0.5
    """
    shift = max(2 * bits + d.bit_length() - n.bit_length() + 2, 0)
    shift += (e - shift) & 1  # the exponent must be even
    quotient, rest = divmod(n << shift, d)
    found = math.isqrt(quotient)
    return found << 1 | (rest != 0 or found * found != quotient), (e - shift) // 2 - 1


def has_room(fmt: FloatFormat, options: Mapping[str, Any]) -> bool:
    """Return whether a float64 that was rounded to odd rounds to the format as the exact number does.

    It needs two bits more than the rounding looks at, and no end of float64's exponents near the format's.
    """
    beyond = 1
    if draws(options["rounding"]):
        beyond = RandomIntegers(*drawing(options)).bits + 2
    lowest = fmt.etiny - beyond
    return fmt.precision + beyond + 1 <= 53 and fmt.emax < 1023 and lowest > -1072


def round_once(
    total: Array,
    fmt: FloatFormat,
    options: Mapping[str, Any],
    wanted: bool,
    exceptions: Mapping[int, Pair] | None = None,
) -> tuple[Array, Flags | None]:
    """Round exact results to a format.

    Parameters
    ----------
    total : array of float64
        The exact results, or, where `has_room`, the exact results rounded to odd.
    options
        Those of an operation or a reduction (see `floatlab.array.calls.Call`).
    wanted : bool
        Whether flags are wanted; without, None stands in their place.
    exceptions : mapping of int to Pair
        The exact results at some flat places, whatever stands there in `total`.

    Returns
    -------
    array of ``fmt.value_dtype``
    Flags or None
    """
    kept = {k: v for k, v in options.items() if k not in ("flush_inputs", "accumulator")}
    total = np.array(total, np.float64, order="C")
    flat = total.reshape(-1)
    if exceptions and not has_room(fmt, options):
        return _one_by_one(total, fmt, kept, wanted, exceptions)
    for place, pair in (exceptions or {}).items():
        flat[place] = integer_to_odd(*pair)
    if wanted:
        values, flags = quantize(total, fmt, **kept, return_flags=True)
        return np.asarray(values.astype(fmt.value_dtype, copy=False)), flags
    return np.asarray(quantize(total, fmt, **kept).astype(fmt.value_dtype, copy=False)), None


def _one_by_one(
    total: Array, fmt: FloatFormat, kept: dict[str, Any], wanted: bool, exceptions: Mapping[int, Pair]
) -> tuple[Array, Flags | None]:
    """Round results of a format so wide that float64 has no bits to spare: as fractions, and nothing between."""
    rule = make_rule(fmt, *settings(kept))
    integers, bits = np.zeros(total.size, np.uint64), 0
    if rule.variant is not None:
        draw = RandomIntegers(*drawing(kept))
        draw.fit(total)
        integers, bits = draw.block(0, total.size), draw.bits
        kept = kept | {"rng": None, "random_integers": integers.reshape(total.shape)}
    total.reshape(-1)[list(exceptions)] = 0.0
    flags = None
    if wanted:
        values, flags = quantize(total, fmt, **kept, return_flags=True)
    else:
        values = quantize(total, fmt, **kept)
    values = values.astype(fmt.value_dtype, copy=False)
    for i, (n, e) in exceptions.items():
        if n == 0:
            continue
        found = round_ratio(n << max(e, 0), 1 << max(-e, 0), rule, int(integers[i]), bits)
        values.reshape(-1)[i] = found.value
        if flags is not None:
            for name in ("invalid", "overflow", "underflow", "inexact"):
                getattr(flags, name).reshape(-1)[i] = getattr(found, name)
    return values, flags
