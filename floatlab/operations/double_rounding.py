"""Which way leads to a correctly rounded result? The direct one where it is right, else one with more care.

The ways are described at the top of `floatlab.operations.operate`. What decides is how many bits the operands have,
how far they reach, and which bits of the exact result the rounding mode looks at; all of it is known from the
formats, so the choice is made once for each combination and remembered.

See Also
--------
floatlab.operations : the ways themselves

References
----------
S. A. Figueroa, "When is double rounding innocuous?", ACM SIGNUM Newsletter 30 (1995) (the direct way).
P. Roux, "Innocuous double rounding of basic arithmetic operations", Journal of Formalized Reasoning 7 (2014), 131-142
    (the same with underflow).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.error_free import STEPS
from floatlab.rounding.modes import MODES, draws

__all__ = ["Route", "choose"]

_FLOAT32, _FLOAT64 = get_format("float32"), get_format("float64")


class Range(NamedTuple):
    """What is known of an operand: at most p bits, a multiple of 2^low, below 2^high in magnitude."""

    p: int
    low: int
    high: int


class Route(NamedTuple):
    """The way to a result, and the type of the operation on it."""

    name: str  # "direct", "odd", "steps" or "integers"
    carrier: np.dtype[Any]
    narrow: bool  # no error term can leave float64
    exact_product: bool = False  # float64 holds the product of an fma
    watched: bool = False  # right but for results below the carrier's smallest normal number


_BY_SIZE = {2: Range(11, -24, 16), 4: Range(24, -149, 128), 8: Range(53, -1074, 1024)}
_CARRIERS = ((np.dtype(np.float32), Range(24, -149, 128)), (np.dtype(np.float64), Range(53, -1074, 1024)))


def range_of(fmt: FloatFormat) -> Range:
    return Range(fmt.precision, fmt.etiny, fmt.emax + 1)


@lru_cache(maxsize=4096)
def choose(
    name: str,
    fmt: FloatFormat,
    known: tuple[FloatFormat | None, ...],
    sizes: tuple[int, ...],
    rounding: str,
    ends_alike: bool,
    flags: bool,
    random_bits: int,
) -> Route:
    """Choose the route; `ends_alike`: an overflow and an infinity become the same."""
    if len(known) != len(sizes):
        raise OptionError(
            f"formats has one entry for each operand. Got {len(known)} for {len(sizes)}. Leave it out."
        )
    xs = tuple(range_of(f) if f is not None else _BY_SIZE[n] for f, n in zip(known, sizes, strict=True))
    nearest = MODES[rounding].nearest
    # The bits that rounding looks at: the format's, and those that tell ties or compare with random integers.
    looked_at = fmt.precision + (random_bits + 2 if draws(rounding) else 1)
    for carrier, room in _CARRIERS:
        if carrier.itemsize < max(sizes) or room.p < fmt.precision:
            continue
        of_carrier = _FLOAT32 if carrier.itemsize == 4 else _FLOAT64
        # What leaves the carrier leaves the format.
        may_overflow = ends_alike and not flags and fmt.emax < room.high
        if (
            fmt.same_as(of_carrier)
            and rounding == "nearest_even"
            and not flags
            and ends_alike
            and name != "fma"
        ):
            return Route("direct", carrier, True)
        if _is_exact(name, xs, room, may_overflow) or (
            _is_hidden(name, xs, range_of(fmt), room, looked_at, may_overflow)
            and (name not in ("add", "subtract") or (nearest and not flags))
        ):
            if name == "fma" and carrier.itemsize == 4:
                continue
            return Route("direct", carrier, True)
        if carrier.itemsize == 4 and name in ("multiply", "divide") and not flags:
            # All but what is lost below, which float32 holds rounded to odd: two bits more than anybody looks at.
            endless, last = room._replace(low=-(10**6)), fmt.etiny - (looked_at - fmt.precision) - 1
            if last >= room.low and (
                _is_exact(name, xs, endless, may_overflow)
                or _is_hidden(name, xs, range_of(fmt), endless, looked_at, may_overflow)
            ):
                return Route("direct", carrier, True, watched=True)
    # Flags ask what the result would be with a unit half as large (is it tiny?), which takes room below.
    narrow = all(x.low >= -300 and x.high <= 300 for x in xs)
    float64 = np.dtype(np.float64)
    if (
        looked_at + 1 <= 53
        and fmt.emax < 1023
        and fmt.etiny - (looked_at - fmt.precision) > -1074 + 2 * flags
    ):
        exact = name == "fma" and _is_exact("multiply", xs[:2], _CARRIERS[1][1], False)
        return Route("odd", float64, narrow, exact)
    return Route("steps" if fmt.same_as(_FLOAT64) and rounding in STEPS else "integers", float64, narrow)


def _is_exact(name: str, xs: tuple[Range, ...], room: Range, may_overflow: bool) -> bool:
    """Say whether the carrier holds every result exactly (but for an overflow, where that may be)."""
    if name in ("divide", "sqrt"):
        return False
    terms = list(xs)
    if name in ("multiply", "fma"):
        a, b = xs[:2]
        product = Range(a.p + b.p, a.low + b.low, a.high + b.high)
        if product.p > room.p or product.low < room.low or (product.high > room.high and not may_overflow):
            return False
        if name == "multiply":
            return True
        terms = [product, xs[2]]
    total = Range(0, min(x.low for x in terms), max(x.high for x in terms) + 1)
    return total.high - total.low <= room.p and total.low >= room.low and total.high <= room.high


def _is_hidden(
    name: str, xs: tuple[Range, ...], to: Range, room: Range, looked_at: int, may_overflow: bool
) -> bool:
    """Say whether the carrier's own rounding, to nearest, can never be seen.

    Let q be the carrier's precision and m a number of `looked_at` = k bits. A quotient of a pa-bit and a pb-bit number
    that is not m differs from m by more than 2^-(pb + k) or 2^-pa of it, and a root by more than 2^-2k: the carrier's
    rounding, of at most 2^-q, leads neither to m nor past it. For sums the operands must be values of the format (or
    of a part of it), and 2p + 2 bits are enough for the midpoints, though not for the values themselves: 1 + 2^-99
    is 1.
    """
    lowest_normal = room.low + room.p - 1
    match name:
        case "add" | "subtract":
            inside = max(x.high for x in xs) < room.high or may_overflow
            of_format = all(x.p <= to.p and x.low >= to.low for x in xs)
            return of_format and room.p >= 2 * to.p + 2 and inside
        case "divide":
            a, b = xs
            inside = a.high - b.low < room.high or may_overflow
            return room.p >= max(a.p, b.p + looked_at) and inside and a.low - b.high > lowest_normal
        case "sqrt":
            return room.p >= max(xs[0].p + 1, 2 * looked_at)
    return False
