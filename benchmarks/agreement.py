"""Do two contenders give the same numbers? Every bit of them, NaN for NaN; and if not, where they part.

A peer that computes something else is no peer of that row. It is timed all the same, and named with what it does: so
many numbers differ, of such a kind, this one for example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize

Array = np.ndarray[Any, Any]


@dataclass
class Difference:
    """How the results of a contender differ from floatlab's.

    Attributes
    ----------
    count, total : int
        So many of so many numbers differ.
    kinds : list of str
        Where: "beyond the maximum", "subnormal", "ties", "top binade", "elsewhere". Empty where no one can say.
    example : str
        One of them: the number, floatlab's result and the contender's. Or what the contender raised.
    """

    count: int
    total: int
    kinds: list[str]
    example: str


def difference(
    accepted: list[Array], got: Array, x: Array | None = None, fmt: FloatFormat | None = None
) -> Difference | None:
    """Compare results with the accepted ones, of which an element has to be one.

    Parameters
    ----------
    accepted : list of array
        What an element may be: one array, or two for a stochastic result.
    got : array
        What the contender made; it may be shorter.
    x : array, optional
        What was rounded.
    fmt : FloatFormat, optional
        To which format: with both, the differences are sorted into kinds.

    Examples
    --------
    >>> difference([np.float32([1, np.nan])], np.float32([1, -np.nan])) is None
    True
    >>> difference([np.float32([0, 1])], np.float32([-0.0, 1])).example
    '0, not -0'
    """
    want = [array.reshape(-1)[: got.size] for array in accepted]
    got = got.reshape(-1)
    wrong = np.logical_and.reduce([~_same(array, got) for array in want])
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    at = int(np.argmax(wrong))
    example = f"{_shown(want[0][at])}, not {_shown(got[at])}"
    kinds: list[str] = []
    if x is not None:
        x = x.reshape(-1)[: got.size]
        example = f"of {_shown(x[at])} {example}"
        if fmt is not None:
            kinds = _kinds(x[wrong], fmt)
    return Difference(count, got.size, kinds, example)


def _shown(value: np.generic) -> str:
    """Return a number with as many digits as tell it from its neighbours.

    >>> _shown(np.float32(0.1)), _shown(np.float64(-448.0)), _shown(np.float32("nan"))
    ('0.1', '-448', 'nan')
    """
    return str(value).removesuffix(".0")


def _same(a: Array, b: Array) -> Array:
    """Return where the numbers are the same, signs of zeros included, and any NaN as good as another."""
    if a.dtype.kind != "f":
        return a == b
    a, b = a.astype(np.float64), b.astype(np.float64)  # every format here lies within
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


def _kinds(x: Array, fmt: FloatFormat) -> list[str]:
    """Return which kinds of numbers these are, which were rounded differently."""
    size = np.abs(x)
    beyond, small = size > fmt.max, size < fmt.smallest_normal
    top = ~beyond & (size >= 2.0**fmt.emax)
    below, above = (
        quantize(x, fmt, rounding=f"toward_{side}").astype(np.float64) for side in ("negative", "positive")
    )
    ties = (x - below == above - x) & ~beyond
    found = {
        "beyond the maximum": beyond,
        "subnormal": small & ~ties,
        "ties": ties,
        "top binade": top & ~ties,
        "elsewhere": ~(beyond | small | ties | top),
    }
    return [name for name, where in found.items() if where.any()]
