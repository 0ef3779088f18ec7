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

Python's decimal module promises correctly rounded exp, ln and log10 at any precision. The other functions are built
from these, or from their Taylor series.

See Also
--------
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
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

from floatlab.rounding.odd import ratio_to_odd

__all__ = ["NAMES", "expand", "nearest", "sticky"]

T = TypeVar("T", float, Fraction)


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


def _arctan(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 10)
    t = x.copy_abs()  # abs() and - would round to 28 digits
    turned = t > 1  # arctan t = pi/2 - arctan(1/t)
    t = c.divide(Decimal(1), t) if turned else c.plus(t)
    for _ in range(3):  # arctan t = 2 arctan(t / (1 + sqrt(1 + t²)))
        t = c.divide(t, c.add(Decimal(1), c.sqrt(c.add(Decimal(1), c.multiply(t, t)))))
    square = c.minus(c.multiply(t, t))
    total = power = t
    n = 1
    while power.adjusted() > total.adjusted() - c.prec - 2:  # t - t³/3 + t⁵/5 ..., t below 0.1
        power, n = c.multiply(power, square), n + 2
        total = c.add(total, c.divide(power, Decimal(n)))
    total = c.multiply(total, Decimal(8))
    if turned:
        total = c.subtract(c.divide(_pi(c.prec), Decimal(2)), total)
    return total.copy_sign(x)


def _arcsin(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    leg = c.sqrt(_EXACT.multiply(_EXACT.subtract(Decimal(1), x), _EXACT.add(Decimal(1), x)))
    return _arctan2(x, leg, digits + 2)


def _arccos(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)  # 2 arctan sqrt((1 - x) / (1 + x)): no cancellation at either end
    legs = (c.sqrt(_EXACT.subtract(Decimal(1), x)), c.sqrt(_EXACT.add(Decimal(1), x)))
    return c.multiply(Decimal(2), _arctan2(*legs, digits + 2))


def _arcsinh(x: Decimal, digits: int) -> Decimal:
    c = _context(
        digits + 5 + 2 * max(0, -x.adjusted())
    )  # the logarithm of 1 + x: as many more digits as cancel
    t = x.copy_abs()
    return c.ln(c.add(t, c.sqrt(c.add(c.multiply(t, t), Decimal(1))))).copy_sign(x)


def _arccosh(x: Decimal, digits: int) -> Decimal:
    above = _EXACT.subtract(x, Decimal(1))
    c = _context(digits + 5 + max(0, -above.adjusted()))
    return c.ln(c.add(x, c.sqrt(_EXACT.multiply(above, _EXACT.add(x, Decimal(1))))))


def _arctanh(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + max(0, -x.adjusted()))
    quotient = c.divide(_EXACT.add(Decimal(1), x), _EXACT.subtract(Decimal(1), x))
    return c.divide(c.ln(quotient), Decimal(2))


def _deg2rad(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    return c.multiply(x, c.divide(_pi(c.prec), Decimal(180)))


def _rad2deg(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    return c.multiply(x, c.divide(Decimal(180), _pi(c.prec)))


# -- two arguments -----------------------------------------------------------------------------------


def _arctan2(y: Decimal, x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)
    if y.is_zero():
        return _pi(c.prec).copy_sign(y)  # x is negative, or -0
    if x.is_zero():
        return c.divide(_pi(c.prec), Decimal(2)).copy_sign(y)
    if x > 0:
        return _arctan(c.divide(y, x), digits + 2)
    return c.subtract(_pi(c.prec), _arctan(c.divide(y.copy_abs(), x.copy_abs()), digits + 2)).copy_sign(y)


def _power(x: Decimal, y: Decimal, digits: int) -> Decimal:
    c = _context(digits + 10)  # |y ln x| < 1000: its error is below 10^(3 - digits - 9)
    size = c.exp(c.multiply(y, c.ln(x.copy_abs())))
    return c.minus(size) if x < 0 and int(y) % 2 else size


def _log_of_sum(a: Decimal, b: Decimal, digits: int, base: int) -> Decimal:
    # max + log(1 + base^-|a - b|); the sum may cancel, and is then computed anew with as many more digits
    larger, distance = max(a, b), _EXACT.subtract(a, b).copy_abs()
    lost = 0
    while True:
        c = _context(digits + 10 + lost)
        scale = _ln2(c.prec) if base == 2 else Decimal(1)
        tail = c.ln(_EXACT.add(Decimal(1), c.exp(c.minus(c.multiply(distance, scale)))))
        tail = c.divide(tail, scale)
        total = c.add(larger, tail)
        if tail.is_zero():  # below 10^-5000
            return total
        found = c.prec if total.is_zero() else tail.adjusted() - total.adjusted()
        if found <= lost + 5:
            return total
        lost = found


def _logaddexp(a: Decimal, b: Decimal, digits: int) -> Decimal:
    return _log_of_sum(a, b, digits, 0)


def _logaddexp2(a: Decimal, b: Decimal, digits: int) -> Decimal:
    return _log_of_sum(a, b, digits, 2)


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


_TRANSCENDENTAL: dict[str, Callable[..., Decimal]] = {
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
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arctan": _arctan,
    "arcsinh": _arcsinh,
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "deg2rad": _deg2rad,
    "rad2deg": _rad2deg,
    "arctan2": _arctan2,
    "power": _power,
    "logaddexp": _logaddexp,
    "logaddexp2": _logaddexp2,
}
_ALGEBRAIC: dict[str, Callable[..., Fraction]] = {  # the last argument: how many bits, at least
    "sqrt": _sqrt,
    "rsqrt": lambda x, bits: _sqrt(1 / x, bits),
    "reciprocal": lambda x, bits: 1 / x,
    "cbrt": _cbrt,
    "hypot": lambda a, b, bits: _sqrt(a * a + b * b, bits),
}
NAMES = (*_TRANSCENDENTAL, *_ALGEBRAIC)


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
        value = _TRANSCENDENTAL[name](*decimals, digits)
        places = digits + 5 - value.adjusted()  # the integer below has digits + 6 digits
        n = int(_EXACT.scaleb(value, places))
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
