"""Where does a float64 not tell what f(x) rounds to, and what does, there? Suspects, and how they are settled.

`floatlab.functions.evaluate` describes the method: an exact case, an interval around the float64 result, and as many
digits as it takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat, get_format
from floatlab.functions.multiprecision import sticky
from floatlab.functions.pairs import PAIRS
from floatlab.functions.table import SMALLEST, TABLE, values_of
from floatlab.rounding.quantize import quantize

__all__ = [
    "ALL",
    "ERROR",
    "NEAR",
    "TINY",
    "WIDEST",
    "Floats",
    "Operands",
    "settle",
    "sign_nans",
    "sticky_values",
    "suspects",
    "wide_values",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]
Operands = tuple[Floats, ...]
ALL = TABLE | PAIRS

_FLOAT64 = get_format("float64")
WIDEST = 24  # bits of precision that the method serves
ERROR = 2.0**-44  # the relative error that a float64 function may have
NEAR = 1 << 9  # the same, in units of the last place of float64 (a significand has up to 2^53 of them)
TINY = 2.0**-960  # below it, float64 results may be subnormal and have no relative accuracy


def suspects(y: Floats, bits: int, fmt: FloatFormat, untrusted: Bools | None = None) -> Places:
    """Return where y is too near a number of `bits` bits, or untrusted. Zeros, infinities and NaNs are among them."""
    dropped = 53 - bits
    if dropped < 12:  # every number is near one
        return np.arange(y.size)
    words = np.add(y.view(np.int64), NEAR)
    words &= (1 << dropped) - 1
    near = words <= 2 * NEAR
    if fmt.smallest_subnormal < 4 * TINY:
        near |= np.abs(y) < TINY
    if untrusted is not None:
        near |= untrusted
    return np.flatnonzero(near)


def _untrusted(name: str, xs: Operands, y: Floats) -> Bools | None:
    """Return where the kernel's relative error may be larger than `ERROR`; None: nowhere."""
    of_function = ALL[name].untrusted
    return None if of_function is None else of_function(*xs, y)


def sign_nans(xs: Operands, y: Floats) -> None:
    """Give each NaN of y the sign of the first argument that is a NaN, else none, which depends on the processor."""
    nan = np.flatnonzero(np.isnan(y))
    signed = np.full(nan.size, np.nan)
    for x in reversed(xs):
        at = x[nan]
        np.copyto(signed, np.copysign(np.nan, at), where=np.isnan(at))
    y[nan] = signed


def wide_values(name: str, xs: Operands) -> Floats:
    """Return f(x) in float64, with NaNs signed by `sign_nans`."""
    y = ALL[name].kernel(*xs)
    if y.size and np.isnan(y.max()):
        sign_nans(xs, y)
    return y


def settle(
    name: str,
    xs: Operands,
    y: Floats,
    where: Places,
    task: tuple[FloatFormat, dict[str, Any]] | None,
    untrusted: Bools | None = None,
    integers: Any = None,
) -> None:
    """Replace suspects in y by what rounds as f(x) does under the task: a format, and the options of the rounding.

    Without a task: by what rounds as f(x) does under any, and is exact where f(x) is.
    """
    at, ys = tuple(x[where] for x in xs), y[where]
    settled = np.isnan(ys)
    for x in at:
        settled |= ~np.isfinite(x)
    for case in ALL[name].cases:
        here = ~settled & case.where(*at)
        if here.any():
            ys[here] = values_of(case.value, tuple(x[here] for x in at))
            settled |= here
    rest = np.flatnonzero(~settled)
    if rest.size and task is not None:
        middle = ys[rest]
        tiny = np.abs(middle) < TINY
        low = np.where(tiny, np.copysign(SMALLEST, middle), middle * (1 - ERROR))
        high = np.where(tiny, np.copysign(2 * TINY, middle), middle * (1 + ERROR))
        drawn = {} if integers is None else {"random_integers": integers[where[rest]]}
        a, b = (quantize(end, task[0], **task[1], **drawn) for end in (low, high))
        alike = ((a == b) | (np.isnan(a) & np.isnan(b))) & np.isfinite(middle)
        if untrusted is not None:
            alike &= ~untrusted[where[rest]]
        ys[rest[alike]] = np.where(tiny, low, middle)[alike]  # a tiny result may have been computed as 0
        rest = rest[~alike]
    if rest.size:
        ys[rest] = _sticky(name, tuple(x[rest] for x in at))
    y[where] = ys


def _sticky(name: str, xs: Operands) -> Floats:
    """Compute each result once, however often it is asked for, in as many digits as it takes."""
    arguments = np.stack(xs, axis=-1).view([("", np.float64)] * len(xs)).reshape(-1)
    numbers, places = np.unique(arguments.view(np.dtype((np.void, arguments.itemsize))), return_inverse=True)
    once = numbers.view(np.float64).reshape(-1, len(xs)).tolist()
    return np.array([sticky(name, *number) for number in once])[places]


def sticky_values(name: str, x: Floats | Operands, precision: int = WIDEST) -> Floats:
    """Return f(x), or f(a, b), as float64 numbers that every mode rounds as it would round f(x).

    They are exact where f(x) is a float64, so that flags come out right as well: `evaluate` is this and one rounding.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS` or `FUNCTIONS_OF_TWO`.
    x : array of float64, or a tuple of two
        The argument, or the two arguments, of one shape.
    precision : int
        The bits of precision of the formats to round to, at most 24.

    Examples
    --------
    >>> sticky_values("tanh", np.array([0.0, 30.0])).tolist()
    [0.0, 0.9999999999999999]
    """
    xs = x if isinstance(x, tuple) else (x,)
    flat = tuple(np.ascontiguousarray(one, np.float64).reshape(-1) for one in xs)
    with np.errstate(all="ignore"):
        y = wide_values(name, flat)
        where = suspects(y, precision + 1, _FLOAT64, _untrusted(name, flat, y))
        if where.size:
            settle(name, flat, y, where, None)
    return y.reshape(np.shape(xs[0]))
