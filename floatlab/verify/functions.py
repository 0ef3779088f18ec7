"""Is every elementary function correctly rounded? All codes of the 8- and 16-bit formats, against MPFR.

MPFR (through gmpy2) gives each result cut off at 80 bits, and says whether anything was cut off. Where it was, half a
unit of the last of these bits is added, which stands for all that follows; that number lies on the same side of every
value and midpoint as the exact result, and `floatlab.reference` rounds it, in every mode.

sigmoid, softplus and gelu are built from MPFR's functions at 600 bits. Where one of them is nearer to a simple number
than 600 bits can tell (sigmoid of 1000 is 1 but for a tail below 2^-1000), a number just beside that one stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.formats import FloatFormat
from floatlab.functions import FUNCTIONS, evaluate
from floatlab.reference import Special
from floatlab.verify.oracle import DETERMINISTIC, code_values, find, float_bits
from floatlab.verify.tasks import Outcome, Tally, Task

__all__ = ["check", "tasks"]

BITS = 80
WORKING_BITS = 600
TINY = Fraction(1, 1 << 700)  # less than any format or working precision can show beside a number near 1

Number = Fraction | Special


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format and function. The short form samples the 16-bit codes, at nearest even."""
    found = []
    for fmt in kinds:
        if fmt.bits > 16 or fmt.specials in ("finite", "scale") or not fmt.signed:
            continue
        for name in FUNCTIONS:
            count = 1 << fmt.bits if full or fmt.bits <= 8 else 4096
            seconds = count * (5e-6 + 5e-6 * (len(DETERMINISTIC) if full else 1)) + 0.02
            part = "all codes, MPFR"
            found.append(Task("functions", part, fmt.name, ("gmpy2",), seconds, full=full, detail=name))
    return found


def check(task: Task) -> Outcome:
    """Run one task."""
    fmt, tally, name = find(task.subject), Tally(), task.detail
    codes = np.arange(1 << fmt.bits)
    if not task.full and codes.size > 4096:
        codes = np.concatenate([codes[::37], codes[:128], codes[-128:]])
    x = code_values(fmt)[codes]
    exact = [exact_value(name, float(number)) for number in x]
    for mode in DETERMINISTIC if task.full else ("nearest_even",):
        expected = np.array([reference.to_float(_rounded(y, fmt, mode)) for y in exact])
        got = np.asarray(evaluate(name, x.astype(fmt.value_dtype), fmt, rounding=mode)).astype(np.float64)
        nan = np.isnan(expected)  # which sign a NaN has is left open
        tally.compare(
            np.where(np.isnan(got), np.uint64(1), float_bits(got, fmt)),
            np.where(nan, np.uint64(1), float_bits(expected, fmt)),
            lambda i, mode=mode: f"{name}({float(x[i]).hex()}) in {fmt.name}, {mode}, as bits",
        )
    return tally.outcome()


def _rounded(y: Number, fmt: FloatFormat, mode: str) -> Number:
    return reference.round(y, fmt, mode).value


# -- the exact result, or a stand-in that rounds as it does ----------------------------------------------


@lru_cache(maxsize=4)
def _context(bits: int, towards_zero: bool = False) -> Any:
    import gmpy2

    rounding = gmpy2.RoundToZero if towards_zero else gmpy2.RoundToNearest
    return gmpy2.context(precision=bits, emin=-(2**40), emax=2**40, round=rounding)


def exact_value(name: str, x: float) -> Number:
    """Return f(x), or a number that every rounding to a short format takes for it."""
    if np.isnan(x):
        return Special.NAN
    if name in _COMPOSED:
        return _COMPOSED[name](x)
    if name == "rsqrt" and x == 0:  # IEEE 754-2019, 9.2.1; MPFR makes +inf of -0
        return Special.NEGATIVE_INFINITY if np.signbit(x) else Special.INFINITY
    import gmpy2

    context = _context(BITS, towards_zero=True)
    context.clear_flags()
    function = {"rsqrt": "rec_sqrt"}.get(name, name)
    y = getattr(context, function)(gmpy2.mpfr(x, context=_context(53)))
    return _number(y, bool(context.inexact))


def _number(y: Any, inexact: bool) -> Number:
    """Return an MPFR number, cut off at BITS bits, as a fraction; half a unit is added if it is inexact."""
    import gmpy2

    if gmpy2.is_nan(y):
        return Special.NAN
    minus = gmpy2.is_signed(y)
    if gmpy2.is_infinite(y):
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    if gmpy2.is_zero(y) and inexact:  # below MPFR's own range: exp(-1e30)
        return -_below_everything() if minus else _below_everything()
    if gmpy2.is_zero(y):
        return Special.NEGATIVE_ZERO if minus else Fraction(0)
    significand, exponent = y.as_mantissa_exp()
    n, e = abs(int(significand)), int(exponent)
    if inexact:
        shift = BITS + 1 - n.bit_length()  # the significand comes without trailing zeros
        n, e = (n << shift) + 1, e - shift
    e = max(min(e, 5000), -5000)  # beyond every format on either side; the fraction need not be astronomical
    value = Fraction(n << e) if e >= 0 else Fraction(n, 1 << -e)
    return -value if minus else value


def _fraction(y: Any) -> Fraction:
    value = _number(y, inexact=False)
    assert isinstance(value, Fraction)
    return value


def _reciprocal(x: float) -> Number:
    if x == 0:
        return Special.NEGATIVE_INFINITY if np.signbit(x) else Special.INFINITY
    if np.isinf(x):
        return Special.NEGATIVE_ZERO if x < 0 else Fraction(0)
    return 1 / Fraction(x)


def _sigmoid(x: float) -> Number:
    if x == np.inf:
        return Fraction(1)
    if x == -np.inf or x == 0:
        return Fraction(0) if x < 0 else Fraction(1, 2)
    if abs(x) > 300:  # 1 - exp(-x), or exp(x): nearer to 1 or to 0 than any format shows
        return 1 - TINY if x > 0 else _below_everything()
    if abs(x) < 2.0**-200:  # 1/2 + x/4
        return Fraction(1, 2) + (TINY if x > 0 else -TINY)
    context = _context(WORKING_BITS)
    return _fraction(context.div(1, context.add(1, context.exp(_mpfr(-x)))))


def _softplus(x: float) -> Number:
    if x == np.inf:
        return Special.INFINITY
    if x == -np.inf:
        return Fraction(0)
    if x > 300:  # x + exp(-x)
        return Fraction(x) + TINY
    if x < -300:  # exp(x)
        return _below_everything()
    if 0 < abs(x) < 2.0**-200:  # log(2) + x/2: log(2) is no number at which a rounding turns
        x = 0.0
    context = _context(WORKING_BITS)
    return _fraction(context.log1p(context.exp(_mpfr(x))))


def _gelu(x: float) -> Number:
    if x == np.inf:
        return Special.INFINITY
    if x == -np.inf or x == 0:
        return Special.NEGATIVE_ZERO if np.signbit(x) else Fraction(0)
    if x > 25:  # x less x times a tail below exp(-x^2/2)
        return Fraction(x) - TINY
    if x < -60:
        return -_below_everything()
    if abs(x) < 2.0**-200:  # x/2 + x^2/sqrt(2 pi): a little above x/2
        return Fraction(x) / 2 + abs(Fraction(x)) * TINY
    context = _context(WORKING_BITS)
    half = context.div(_mpfr(x), 2)
    return _fraction(context.mul(half, context.erfc(context.div(_mpfr(-x), context.sqrt(2)))))


def _mpfr(x: float) -> Any:
    import gmpy2

    return gmpy2.mpfr(x, context=_context(53))


def _below_everything() -> Fraction:
    """Return a positive number below half the smallest value of every 16-bit format."""
    return Fraction(1, 1 << 5000)


_COMPOSED: dict[str, Callable[[float], Number]] = {
    "reciprocal": _reciprocal,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "gelu": _gelu,
}
