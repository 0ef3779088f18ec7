"""What is f(x), to as many digits as it takes? Elementary functions of one number, in Python's decimal arithmetic.

`sticky` gives the exact result in a form that any later rounding can start from: the float64 that it is, or else the
odd one of the two float64 numbers around it. This is rounding to odd; the last bit, set, says that there was more. A
format of at most 24 bits has its values and midpoints at even last bits, so it rounds the odd neighbour exactly as it
would round the exact result::

    exact result     1.0110 0111 ... 0110 | 01101...      between two float64 numbers
    sticky           1.0110 0111 ... 0111                  the odd one

The method is Ziv's: enclose the result at some precision, and if the ends of the interval do not agree, double the
digits. It ends, because none of these functions is a number of finitely many bits, but at arguments that are dealt with
elsewhere (exp(0), log2(8) ...).

Python's decimal module promises correctly rounded exp, ln and log10 at any precision. The other functions are built
from these, or from their Taylor series.

Sources: A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17
(1991); S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to
odd", IEEE Transactions on Computers 57 (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

__all__ = ["NAMES", "expand", "nearest", "sticky"]

_LARGEST = math.ldexp(2 - 2.0**-52, 1023)
_SMALLEST = 2.0**-1074


def _context(digits: int) -> Context:
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, rounding=ROUND_HALF_EVEN, traps=[])


_EXACT = Context(prec=5000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # for sums that must not round


# -- constants ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _pi(digits: int) -> Decimal:
    """Pi to `digits` digits by Machin's formula, 16 arctan(1/5) - 4 arctan(1/239)."""
    one = 10 ** (digits + 10)

    def arctan_of_inverse(n: int) -> int:
        total, power, k = 0, one // n, 0
        while power:
            total += power // (2 * k + 1) * (-1) ** k
            power, k = power // (n * n), k + 1
        return total

    scaled = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)
    return _context(digits).scaleb(Decimal(scaled), -digits - 10)


@lru_cache(maxsize=64)
def _ln2(digits: int) -> Decimal:
    return _context(digits).ln(Decimal(2))


# -- the functions -----------------------------------------------------------------------------------
# Each takes x (finite, and not one of the arguments dealt with exactly) and a number of digits, and returns
# f(x) with a relative error below 10^-digits. `guard` digits cover the few roundings on the way and what cancels.


def _exp(x: Decimal, digits: int) -> Decimal:
    return _context(digits + 2).exp(x)


def _exp2(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 10)  # |x| < 1100: the error of x ln 2 is below 10^(3 - digits - 9)
    return c.exp(c.multiply(x, _ln2(digits + 10)))


def _expm1(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + max(0, -x.adjusted()))  # as many more digits as cancel
    return c.subtract(c.exp(x), Decimal(1))


def _log(x: Decimal, digits: int) -> Decimal:
    return _context(digits + 2).ln(x)


def _log2(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    return c.divide(c.ln(x), _ln2(digits + 5))


def _log10(x: Decimal, digits: int) -> Decimal:
    return _context(digits + 2).log10(x)


def _log1p(x: Decimal, digits: int) -> Decimal:
    return _context(digits + 2).ln(_EXACT.add(Decimal(1), x))


def _sin_cos(x: Decimal, digits: int, want: str) -> Decimal:
    # No float64 but 0 comes nearer than 10^-19 to a multiple of pi / 2 (J.-M. Muller et al., "Handbook of
    # Floating-Point Arithmetic"), so 40 more digits than the integer part has suffice.
    c, long = _context(digits + 10), _context(digits + 40 + max(0, x.adjusted()))
    half_pi = long.divide(_pi(long.prec), Decimal(2))
    turns = int(long.divide(x, half_pi).to_integral_value(ROUND_HALF_EVEN))
    r = long.subtract(x, long.multiply(Decimal(turns), half_pi)) if turns else x
    square = c.multiply(r, r)

    def series(term: Decimal, n: int) -> Decimal:
        total = term
        while term.adjusted() > total.adjusted() - c.prec - 2:
            term = c.divide(c.multiply(term, square), Decimal(-(n + 1) * (n + 2)))
            total, n = c.add(total, term), n + 2
        return total

    if want == "tan":
        sine, cosine = series(c.plus(r), 1), series(Decimal(1), 0)
        return c.divide(sine, cosine) if turns % 2 == 0 else c.minus(c.divide(cosine, sine))
    turns += want == "cos"
    result = series(c.plus(r), 1) if turns % 2 == 0 else series(Decimal(1), 0)
    return result if turns % 4 < 2 else c.minus(result)


def _sinh(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + 2 * max(0, -x.adjusted()))
    e = c.exp(x)
    return c.divide(c.subtract(e, c.divide(Decimal(1), e)), Decimal(2))


def _cosh(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    e = c.exp(x)
    return c.divide(c.add(e, c.divide(Decimal(1), e)), Decimal(2))


def _tanh(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + 2 * max(0, -x.adjusted()))
    e = c.exp(c.multiply(Decimal(2), x))
    return c.divide(c.subtract(e, Decimal(1)), c.add(e, Decimal(1)))


def _sigmoid(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    return c.divide(Decimal(1), c.add(Decimal(1), c.exp(c.minus(x))))


def _softplus(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + max(0, int(-x)))  # more than the zeros of 1 + e^x
    return _context(digits + 5).ln(c.add(Decimal(1), c.exp(x)))


def _erf(x: Decimal, digits: int) -> Decimal:
    # erf x = 2/sqrt(pi) exp(-x²) sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1)): every term has the sign of x
    c = _context(digits + 10)
    twice = c.multiply(Decimal(2), c.multiply(x, x))
    term = total = c.plus(x)
    n = 0
    while term.adjusted() > total.adjusted() - c.prec - 2:
        n += 1
        term = c.divide(c.multiply(term, twice), Decimal(2 * n + 1))
        total = c.add(total, term)
    density = c.divide(c.exp(_EXACT.minus(_EXACT.multiply(x, x))), c.sqrt(_pi(c.prec)))
    return c.multiply(c.multiply(Decimal(2), density), total)


def _gelu(x: Decimal, digits: int) -> Decimal:
    # x/2 (1 + erf(x / sqrt 2)): on the left exp(-x²/2) / |x| is left of 1
    lost = 0 if x > 0 else int(x * x / 4) + 5
    c = _context(digits + 10 + lost)
    tail = c.add(Decimal(1), _erf(c.divide(x, c.sqrt(Decimal(2))), c.prec))
    return c.divide(c.multiply(x, tail), Decimal(2))


def _fraction_sqrt(x: Fraction) -> float:
    shift = 120 + max(0, x.denominator.bit_length() - x.numerator.bit_length())
    shift += shift % 2
    scaled = (x.numerator << shift) // x.denominator
    root = math.isqrt(scaled)
    exact = root * root == scaled and scaled * x.denominator == x.numerator << shift
    return _to_odd(Fraction(2 * root + (not exact), 2 << shift // 2))


_TRANSCENDENTAL: dict[str, Callable[[Decimal, int], Decimal]] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log2": _log2,
    "log10": _log10,
    "log1p": _log1p,
    "sin": lambda x, digits: _sin_cos(x, digits, "sin"),
    "cos": lambda x, digits: _sin_cos(x, digits, "cos"),
    "tan": lambda x, digits: _sin_cos(x, digits, "tan"),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _erf,
    "gelu": _gelu,
}
_ALGEBRAIC: dict[str, Callable[[Fraction], float]] = {
    "sqrt": _fraction_sqrt,
    "rsqrt": lambda x: _fraction_sqrt(1 / x),
    "reciprocal": lambda x: _to_odd(1 / x),
}
NAMES = (*_TRANSCENDENTAL, *_ALGEBRAIC)


# -- rounding --------------------------------------------------------------------------------------


def _to_odd(value: Fraction) -> float:
    """The float64 that is `value`, or the odd one of the two around it; at most the largest finite one."""
    if value == 0:
        return 0.0
    n, d = abs(value.numerator), value.denominator
    unit = max(
        n.bit_length() - d.bit_length() - 53, -1074
    )  # 2^unit is at most half a last place, or the smallest
    scaled, rest = divmod(n << max(-unit, 0), d << max(unit, 0))
    if scaled >> 53:
        drop = scaled.bit_length() - 53
        rest = rest or scaled & (1 << drop) - 1
        scaled, unit = scaled >> drop, unit + drop
    magnitude = _LARGEST if unit > 971 else math.ldexp(scaled | (rest != 0), unit)
    return magnitude if value > 0 else -magnitude


def _settled(name: str, x: float, rounded: Callable[[Fraction], Any]) -> Any:
    """Ziv's loop: more digits until both ends of the enclosure round to the same float64."""
    if name in _ALGEBRAIC:
        raise KeyError(name)
    exact = Decimal(x)
    for digits in (30, 60, 120, 240, 480, 960, 1920):
        value = Fraction(_TRANSCENDENTAL[name](exact, digits))
        error = abs(value) / 10**digits
        low, high = rounded(value - error), rounded(value + error)
        if low == high:
            return low
    raise ArithmeticError(f"{name}({x!r}) is not settled by 1920 digits")


def sticky(name: str, x: float) -> float:
    """Return f(x) rounded to odd: exact if it is a float64, else the odd neighbour.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    x : float
        Finite, in the function's domain, and none of the cases that `floatlab.elementary` lists, as exp(0) or
        tanh(1e6).

    Returns
    -------
    float
        Never 0, never infinite: a result beyond the float64 range becomes the smallest or the largest float64.

    Examples
    --------
    >>> sticky("exp", 1.0), sticky("sqrt", 2.25)
    (2.718281828459045, 1.5)
    """
    if name in _ALGEBRAIC:
        return _ALGEBRAIC[name](Fraction(x))
    result: float = _settled(name, x, _to_odd)
    return result


def nearest(name: str, x: float) -> float:
    """Return f(x) rounded to the nearest float64; `x` as in `sticky`, and not algebraic.

    >>> nearest("sin", 1e22)
    -0.8522008497671888
    """
    result: float = _settled(name, x, float)
    return result


def expand(name: str, x: float, bits: int) -> Fraction:
    """Return f(x) rounded to odd at `bits` bits: the last one says that there was more; `x` as in `nearest`.

    >>> 2**40 * expand("exp", 1.0, 42)
    Fraction(2988782477963, 1)
    """
    result: Fraction = _settled(name, x, lambda value: _odd_fraction(value, bits))
    return result


def _odd_fraction(value: Fraction, bits: int) -> Fraction:
    n, d = abs(value.numerator), value.denominator
    shift = bits - n.bit_length() + d.bit_length()
    scaled, rest = divmod(n << max(shift, 0), d << max(-shift, 0))
    size = Fraction(scaled | (rest != 0)) / Fraction(2) ** shift
    return size if value > 0 else -size
