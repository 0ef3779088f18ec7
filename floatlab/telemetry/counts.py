"""What happened to these numbers when they were rounded? Zeros, overflows, NaNs, and a histogram, counted.

What is compared is the result of one operation before its rounding and after it:

    before  2**-26  0.0     1e-3      70000.0  inf
    after   0.0     0.0     0.001     inf      inf      (float16)
            lost    a zero            an       an infinity that
            here    already           overflow was there already
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat

__all__ = ["Counts", "count"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many numbers met which fate. Counts add up; everything but `bins` counts numbers.

    Attributes
    ----------
    values : int
        All numbers.
    rounded : int
        Those that could be seen before their rounding. Only they can be known to be underflows, overflows or
        saturations: what an operation that moves values returns was never rounded, and the matrix products
        and functions of fp32 and wider formats round for themselves.
    zeros : int
        Zeros after rounding.
    underflows : int
        Zeros after rounding that were not zero before.
    subnormals : int
        Numbers other than zero below the smallest normal one, after rounding: they kept fewer bits.
    overflows : int
        Infinities and NaNs after rounding that were finite, and too large, before.
    saturations : int
        Numbers at the largest magnitude after rounding that lay beyond what rounds there.
    infinities, nans : int
        After rounding, wherever they came from.
    bins : tuple of (int, int)
        A histogram of magnitudes before rounding (after it, where that is all there is): pairs of an exponent e
        and how many numbers have a magnitude from ``2**e`` up to ``2**(e + 1)``. Zeros, infinities and NaNs are
        in no bin.
    blocks : int
        How many blocks of numbers that share a scale there were. Of such a cast all other counts are of the elements:
        of numbers over the scale of their block.
    scales : tuple of (int, int)
        How many blocks have a scale from ``2**e`` up to ``2**(e + 1)``, as in `bins`; those that are lost, and of a
        scale that is 0, are in none.
    """

    values: int = 0
    rounded: int = 0
    zeros: int = 0
    underflows: int = 0
    subnormals: int = 0
    overflows: int = 0
    saturations: int = 0
    infinities: int = 0
    nans: int = 0
    bins: tuple[tuple[int, int], ...] = ()
    blocks: int = 0
    scales: tuple[tuple[int, int], ...] = ()

    def __add__(self, other: Counts) -> Counts:
        sums = {name: getattr(self, name) + getattr(other, name) for name in NUMBERS}
        return Counts(
            **sums, bins=_together(self.bins, other.bins), scales=_together(self.scales, other.scales)
        )

    @staticmethod
    def total(many: Iterable[Counts]) -> Counts:
        """Return the sum of any number of counts.

        >>> Counts.total([Counts(values=2), Counts(values=3)]).values
        5
        """
        return reduce(Counts.__add__, many, Counts())

    def share(self, name: str) -> float:
        """Return one of the counts as a share of all values; 0 where there are none.

        >>> Counts(values=8, underflows=2).share("underflows")
        0.25
        """
        number: int = getattr(self, name)
        return number / self.values if self.values else 0.0


NUMBERS = tuple(field.name for field in fields(Counts) if field.name not in ("bins", "scales"))


def _together(
    one: tuple[tuple[int, int], ...], other: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Add two histograms.

    >>> _together(((-1, 2),), ((-1, 1), (3, 1)))
    ((-1, 3), (3, 1))
    """
    if one == () or other == ():
        return one or other
    total = dict(one)
    for exponent, n in other:
        total[exponent] = total.get(exponent, 0) + n
    return tuple(sorted(total.items()))


def count(
    before: Array | None,
    after: Array,
    fmt: FloatFormat,
    *,
    histogram: bool = True,
    scales: Array | None = None,
) -> Counts:
    """Count what the rounding of `before` to `after` did, and what `after` holds.

    Parameters
    ----------
    before : ndarray or None
        The numbers before rounding; None where nothing was rounded, or it cannot be known.
    after : ndarray
        Values of `fmt`, of the same shape.
    fmt : FloatFormat
        The format.
    histogram : bool
        Whether to count magnitudes too.
    scales : ndarray, optional
        Of a cast to blocks: the scale of each. The numbers are those over their scales then.

    Returns
    -------
    Counts

    Notes
    -----
    Beyond the largest value there is half a unit in the last place that still rounds to it: 65519 is no
    overflow in float16, 65520 is one, because a tie goes to the even neighbour, which would be 65536.

    Examples
    --------
    >>> import floatlab as fl
    >>> x = np.array([2.0**-26, 0.0, 1e-3, 70000.0, np.inf])
    >>> found = count(x, fl.quantize(x, "fp16"), fl.get_format("fp16"))
    >>> found.zeros, found.underflows, found.infinities, found.overflows
    (2, 1, 2, 1)
    """
    with np.errstate(all="ignore"):
        found = _count(before, after, fmt, histogram)
        if scales is None:
            return found
        return replace(found, blocks=scales.size, scales=_bins(np.abs(scales)))


def _count(before: Array | None, after: Array, fmt: FloatFormat, histogram: bool) -> Counts:
    size = np.abs(after)
    zero = size == 0
    infinite, nan = np.isinf(after), np.isnan(after)
    found: dict[str, Any] = {
        "values": after.size,
        "zeros": _number(zero),
        "subnormals": _number((size < np.float64(fmt.smallest_normal)) & ~zero),
        "infinities": _number(infinite),
        "nans": _number(nan),
    }
    if before is not None:
        found["rounded"] = after.size
        found["underflows"] = _number(zero & (before != 0) & (before == before))
        original = np.abs(before)
        beyond = original > np.float64(fmt.max)
        if beyond.any():
            tie = np.float64(fmt.max) + 2.0 ** (fmt.emax - fmt.mantissa_bits - 1)
            beyond = original >= tie if fmt.max_code % 2 else original > tie
            found["overflows"] = _number(beyond & np.isfinite(original) & (infinite | nan))
            found["saturations"] = _number(beyond & (size == np.float64(fmt.max)))
    bins = _bins(size if before is None else original) if histogram else ()
    return Counts(bins=bins, **found)


def _number(mask: Any) -> int:
    return int(np.count_nonzero(mask))


def _bins(magnitudes: Array) -> tuple[tuple[int, int], ...]:
    kept = magnitudes[(magnitudes > 0) & (magnitudes < np.inf)]
    if not kept.size:
        return ()
    _, exponents = np.frexp(kept)  # a magnitude is m * 2**e with 0.5 <= m < 1
    low = int(exponents.min())
    numbers = np.bincount((exponents - low).ravel())
    return tuple((low - 1 + i, int(n)) for i, n in enumerate(numbers.tolist()) if n)
