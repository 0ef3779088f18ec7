"""Which exceptions did a conversion raise? A comparison of the result with the source, and a closer look at the ends.

Between the smallest normal value and the largest a conversion is inexact or nothing. Overflow and underflow are about
the result that an exponent without ends would give; a number must come within a unit of an end for that to be in
doubt. So whole blocks are compared, and only the few numbers in doubt are rounded by the readable steps, which say
what the flags are (`floatlab.rounding.definition`).

Source: IEEE 754-2019, 7.2 to 7.6.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import Array, blocks, is_gpu_array
from floatlab.formats import FloatFormat
from floatlab.rounding.definition import convert_with_flags
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import Rule
from floatlab.rounding.plan import plan
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["round_with_flags"]

_BLOCK = 1 << 14  # elements whose temporaries stay in the cache


def round_with_flags(source: Array, rule: Rule, draw: RandomIntegers | None) -> tuple[Array, Flags]:
    """Round, and return the flags as well.

    Examples
    --------
    >>> from floatlab.rounding.options import make_rule
    >>> from floatlab.formats import get_format
    >>> rule = make_rule(get_format("fp16"), "nearest_even", None, "gradual", False)
    >>> values, flags = round_with_flags(np.float32([1, 1.0001, 1e-6, 1e6]), rule, None)
    >>> print(flags)
    overflow 1, underflow 1, inexact 3
    """
    if is_gpu_array(source) or rule.flush_inputs or not _has_usual_ends(rule.fmt):
        return convert_with_flags(source, rule, draw)
    shape, source = source.shape, source.reshape(-1)
    if draw is not None:
        draw.hold(source.size)
    values = np.empty(source.size, rule.fmt.value_dtype)
    flags = Flags(*(np.zeros(source.size, bool) for _ in Flags.__dataclass_fields__))
    with np.errstate(all="ignore"):
        if source.size:
            plan(rule, source.dtype, None if draw is None else draw.bits).run(values, source, draw)
        doubtful = [
            _compare(source[b], values[b], rule, Flags(*(getattr(flags, n)[b] for n in _NAMES))) + b.start
            for b in blocks(source.size, _BLOCK)
        ]
        if any(places.size for places in doubtful):
            _look_closer(source, rule, draw, flags, np.concatenate(doubtful))
    return values.reshape(shape), Flags(*(getattr(flags, n).reshape(shape) for n in _NAMES))


_NAMES = tuple(Flags.__dataclass_fields__)


def _compare(x: Array, y: Array, rule: Rule, flags: Flags) -> Array:
    """Write the flags of a block, and return the places of those numbers for which this is not enough."""
    below, smallest, largest, above = _ends(rule.fmt, x.dtype)
    np.not_equal(x, y, out=flags.inexact)
    size = np.absolute(x)
    small = np.less(size, smallest)
    doubtful = small & (size > below)
    np.logical_and(small, flags.inexact, out=flags.underflow)
    if not np.maximum.reduce(size) <= largest:
        finite = size < np.inf
        np.greater_equal(size, above, out=flags.overflow)
        np.logical_and(flags.overflow, finite, out=flags.overflow)
        # An overflow is inexact even where the policy delivers the number itself.
        np.logical_or(flags.inexact, flags.overflow, out=flags.inexact)
        np.logical_and(flags.inexact, finite, out=flags.inexact)
        if rule.infinite[0] != np.inf:
            np.equal(size, np.inf, out=flags.invalid)
        doubtful |= (size > largest) & (size < above)
    return np.flatnonzero(doubtful)


def _look_closer(source: Array, rule: Rule, draw: RandomIntegers | None, flags: Flags, places: Array) -> None:
    """Write the flags of some numbers as the readable steps find them."""
    some = None
    if draw is not None:
        assert draw.supplied is not None
        some = RandomIntegers(None, draw.bits, draw.supplied[places])
    _, found = convert_with_flags(source[places], rule, some)
    for name in _NAMES:
        getattr(flags, name)[places] = getattr(found, name)


class _Ends(NamedTuple):
    """The smallest normal and the largest value, and their neighbours if exponents went on."""

    below: Any
    smallest: Any
    largest: Any
    above: Any


@lru_cache(maxsize=256)
def _ends(fmt: FloatFormat, dtype: np.dtype[Any]) -> _Ends:
    """Return the ends as numbers of the source's type, or of float64 where it does not hold them."""
    unit = math.ldexp(1.0, fmt.emax - fmt.mantissa_bits)
    step = math.ldexp(1.0, fmt.emin - 1 - fmt.mantissa_bits)
    ends = fmt.smallest_normal - step, fmt.smallest_normal, fmt.max, fmt.max + unit
    with np.errstate(all="ignore"):
        exact = all(float(dtype.type(end)) == end for end in ends)
    return _Ends(*map(dtype.type if exact else np.float64, ends))


@lru_cache(maxsize=256)
def _has_usual_ends(fmt: FloatFormat) -> bool:
    """Whether the ends are those of a signed format with normal values, and float64 has room beyond them."""
    return (
        fmt.signed
        and fmt.has_zero
        and fmt.emin <= fmt.emax < 1023
        and fmt.emin - 1 - fmt.mantissa_bits >= -1074
    )
