"""What is f(x), to as many digits as it takes? Elementary functions of one or two numbers, in decimal arithmetic.

`sticky` gives the exact result in a form that any later rounding can start from: the float64 that it is, or else the
odd one of the two float64 numbers around it. This is rounding to odd; the last bit, set, says that there was more. A
format of at most 24 bits has its values and midpoints at even last bits, so it rounds the odd neighbour exactly as it
would round the exact result::

    exact result     1.0110 0111 ... 0110 | 01101...      between two float64 numbers
    sticky           1.0110 0111 ... 0111                  the odd one

The method is Ziv's: enclose the result at some precision, and if the ends of the interval do not agree, double the
digits. It ends, because none of these functions is a number of finitely many bits, but at arguments that are dealt with
elsewhere (exp(0), log2(8) ...). For exp and log, the circular and hyperbolic functions and their inverses this is
Lindemann's theorem: x and f(x) are not both algebraic, but for f(0) = 0 or 1 (of the inverses: arccos and arccosh have
their 0 at 1, log too). Degrees and radians differ by pi / 180, which is transcendental. Other functions have more exact
results, found before the loop:

- *power*. Let x = m 2^e with m odd, and y = n / 2^k with n odd or k = 0. If z = x^y has finitely many bits, then
  z^(2^k) = x^n, so by unique factorisation m is a 2^k-th power r^(2^k), e is a multiple of 2^k, and z is
  (r 2^(e/2^k))^n; for n < 0 this has finitely many bits only if r = 1.
- *logaddexp2*. Let 2^a + 2^b = 2^c with a > b. All three are powers of the q-th root of 2 for some q. Those below the
  q-th power are linearly independent over the rational numbers, so a - b and c - a are integers, and 1 + 2^(b-a) is a
  power of two only if a = b. Then the result is a + 1.
- sqrt, rsqrt, reciprocal, cbrt and *hypot* are algebraic. They are computed in integers, and the remainder says whether
  they are exact.

*logaddexp* is never exact: e^a + e^b = e^c contradicts the linear independence of exponentials (Lindemann and
Weierstrass).

See Also
--------
floatlab.functions.digits : the digits of functions that are not algebraic
floatlab.functions : rounds to any format, and asks here where float64 does not settle it

References
----------
A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17 (1991),
    410-423.
S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
    IEEE Transactions on Computers 57 (2008), 462-471 (rounding to odd).
A. Baker, "Transcendental Number Theory" (1975), chapter 1 (Lindemann's theorem and its extension).
J.-M. Muller, "Elementary Functions", 3rd edition (2016), chapter 12 (exact powers).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from floatlab.functions.digits import EXACT, TRANSCENDENTAL
from floatlab.rounding.odd import ratio_to_odd

__all__ = ["NAMES", "expand", "nearest", "sticky"]

T = TypeVar("T", float, Fraction)

# -- exact results -----------------------------------------------------------------------------------


def _exact_power(x: float, y: float) -> Fraction | None:
    """Return x^y where it has at most 60 bits; x is not 0."""
    base, exponent = Fraction(abs(x)), Fraction(y)
    odd, e = base.numerator, 1 - base.denominator.bit_length()
    shift = (odd & -odd).bit_length() - 1
    odd, e = odd >> shift, e + shift
    roots, n = exponent.denominator.bit_length() - 1, exponent.numerator
    for _ in range(roots):
        root = math.isqrt(odd)
        if root * root != odd or e % 2:
            return None
        odd, e = root, e // 2
        if odd == 1 and e == 0:
            break
    if (n < 0 and odd > 1) or (odd.bit_length() - 1) * n > 60:
        return None
    size = Fraction(odd**n if odd > 1 else 1) * Fraction(2) ** (e * n)
    return -size if x < 0 and n % 2 and not roots else size


def _exact_logaddexp2(a: float, b: float) -> Fraction | None:
    return Fraction(a) + 1 if a == b else None


_EXACTLY: dict[str, Callable[[float, float], Fraction | None]] = {
    "power": _exact_power,
    "logaddexp2": _exact_logaddexp2,
}

# -- algebraic functions -----------------------------------------------------------------------------
# Each returns its result exactly, or cut off after `bits` bits or more and half a unit of the last one added.


def _root(x: Fraction, degree: int, integer_root: Callable[[int], int], bits: int) -> Fraction:
    """Return the root of a positive number."""
    shift = bits * degree + max(0, x.denominator.bit_length() - x.numerator.bit_length())
    shift += -shift % degree
    scaled = (x.numerator << shift) // x.denominator
    root = integer_root(scaled)
    exact = root**degree == scaled and scaled * x.denominator == x.numerator << shift
    return Fraction(2 * root + (not exact), 2 << shift // degree)


def _integer_cbrt(n: int) -> int:
    """Return the largest integer whose cube is at most n, by Newton's method from above."""
    root = 1 << -(-n.bit_length() // 3)
    while (better := (2 * root + n // (root * root)) // 3) < root:
        root = better
    return root


def _sqrt(x: Fraction, bits: int) -> Fraction:
    return _root(x, 2, math.isqrt, bits)


def _cbrt(x: Fraction, bits: int) -> Fraction:
    size = _root(abs(x), 3, _integer_cbrt, bits)
    return size if x > 0 else -size


_ALGEBRAIC: dict[str, Callable[..., Fraction]] = {  # the last argument: how many bits, at least
    "sqrt": _sqrt,
    "rsqrt": lambda x, bits: _sqrt(1 / x, bits),
    "reciprocal": lambda x, bits: 1 / x,
    "cbrt": _cbrt,
    "hypot": lambda a, b, bits: _sqrt(a * a + b * b, bits),
}
NAMES = (*TRANSCENDENTAL, *_ALGEBRAIC)

# -- rounding --------------------------------------------------------------------------------------


def _to_nearest(n: int, d: int) -> float:
    """The float64 nearest to n / d, which may be an infinity; the one with an even last bit in a tie."""
    try:
        return n / d  # of two Python integers: correctly rounded
    except OverflowError:
        return math.inf if n > 0 else -math.inf


def _settled(name: str, xs: tuple[float, ...], rounded: Callable[[int, int], T], bits: int = 60) -> T:
    """Ziv's loop: more digits until both ends of the enclosure round to the same number of less than `bits` bits."""
    if name in _ALGEBRAIC:
        return rounded(*_ALGEBRAIC[name](*map(Fraction, xs), bits).as_integer_ratio())
    exactly = _EXACTLY[name](*xs) if name in _EXACTLY else None
    if exactly is not None:
        return rounded(*exactly.as_integer_ratio())
    decimals = [Decimal(x) for x in xs]
    for digits in (30, 60, 120, 240, 480, 960, 1920):
        value = TRANSCENDENTAL[name](*decimals, digits)
        places = digits + 5 - value.adjusted()  # the integer below has digits + 6 digits
        n = int(EXACT.scaleb(value, places))
        error = abs(n) // 10**digits + 1
        up, down = 10 ** max(-places, 0), 10 ** max(places, 0)
        low, high = rounded((n - error) * up, down), rounded((n + error) * up, down)
        if low == high:
            return low
    raise ArithmeticError(f"{name}{xs!r} is not settled by 1920 digits")


def sticky(name: str, *xs: float) -> float:
    """Return f(x), or f(a, b), rounded to odd: exact if it is a float64, else the odd neighbour.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    *xs : float
        The arguments: finite, in the function's domain, and none of the cases that `floatlab.functions.table` and
        `floatlab.functions.pairs` list, as exp(0), tanh(1e6), or 2 to the power of 1e6.

    Returns
    -------
    float
        Never infinite: a result beyond the float64 range becomes the smallest or the largest float64. It is 0 only
        where that is exact: logaddexp2(-1, -1).

    Examples
    --------
    >>> sticky("exp", 1.0), sticky("sqrt", 2.25), sticky("power", 27.0, 2.0)
    (2.718281828459045, 1.5, 729.0)
    """
    return _settled(name, xs, ratio_to_odd)


def nearest(name: str, *xs: float) -> float:
    """Return f(x), or f(a, b), rounded to the nearest float64; the arguments are as in `sticky`.

    >>> nearest("sin", 1e22), nearest("hypot", 1e-300, 3e-300)
    (-0.8522008497671888, 3.16227766016838e-300)
    """
    return _settled(name, xs, _to_nearest)


def expand(name: str, x: float, bits: int) -> Fraction:
    """Return f(x) rounded to odd at `bits` bits: the last one says that there was more; `x` as in `nearest`.

    >>> 2**40 * expand("exp", 1.0, 42)
    Fraction(2988782477963, 1)
    """
    return _settled(name, (x,), lambda n, d: _odd_fraction(n, d, bits), bits + 1)


def _odd_fraction(n: int, d: int, bits: int) -> Fraction:
    shift = bits - n.bit_length() + d.bit_length()
    scaled, rest = divmod(abs(n) << max(shift, 0), d << max(-shift, 0))
    if scaled.bit_length() > bits:  # where the digits of n begin above those of d
        scaled, rest, shift = scaled >> 1, rest | scaled & 1, shift - 1
    size = Fraction(scaled | (rest != 0)) / Fraction(2) ** shift
    return size if n > 0 else -size
