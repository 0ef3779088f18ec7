"""What is f(x), with a relative error below 10^-digits? The transcendental functions, in decimal arithmetic.

Python's decimal module promises correctly rounded exp, ln and log10 at any precision. The other functions are built
from these, or from their Taylor series. Each takes one or two numbers, which are finite and none of the arguments with
an exact result, and how many digits are asked for; more of them cover the few roundings on the way and what cancels.

See Also
--------
floatlab.functions.multiprecision : rounds the results, in as many digits as it takes
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

__all__ = ["EXACT", "TRANSCENDENTAL", "machin"]


def _context(digits: int) -> Context:
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, rounding=ROUND_HALF_EVEN, traps=[])


EXACT = Context(prec=5000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # for sums that must not round

# -- constants ---------------------------------------------------------------------------------------


def machin(one: int) -> int:
    """Return pi in units of 1 / one, off by some units for each digit: 16 arctan(1/5) - 4 arctan(1/239), as Machin did.

    >>> machin(10**20) // 10**10
    31415926535
    """

    def arctan_of_inverse(n: int) -> int:
        total, power, k = 0, one // n, 0
        while power:
            total += (power if k % 2 == 0 else -power) // (2 * k + 1)
            power, k = power // (n * n), k + 1
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))


@lru_cache(maxsize=64)
def _pi(digits: int) -> Decimal:
    """Pi to `digits` digits."""
    return _context(digits).scaleb(Decimal(machin(10 ** (digits + 10))), -digits - 10)


@lru_cache(maxsize=64)
def _ln2(digits: int) -> Decimal:
    return _context(digits).ln(Decimal(2))


# -- one argument ------------------------------------------------------------------------------------


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
    return _context(digits + 2).ln(EXACT.add(Decimal(1), x))


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
    density = c.divide(c.exp(EXACT.minus(EXACT.multiply(x, x))), c.sqrt(_pi(c.prec)))
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
    leg = c.sqrt(EXACT.multiply(EXACT.subtract(Decimal(1), x), EXACT.add(Decimal(1), x)))
    return _arctan2(x, leg, digits + 2)


def _arccos(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5)  # 2 arctan sqrt((1 - x) / (1 + x)): no cancellation at either end
    legs = (c.sqrt(EXACT.subtract(Decimal(1), x)), c.sqrt(EXACT.add(Decimal(1), x)))
    return c.multiply(Decimal(2), _arctan2(*legs, digits + 2))


def _arcsinh(x: Decimal, digits: int) -> Decimal:
    c = _context(
        digits + 5 + 2 * max(0, -x.adjusted())
    )  # the logarithm of 1 + x: as many more digits as cancel
    t = x.copy_abs()
    return c.ln(c.add(t, c.sqrt(c.add(c.multiply(t, t), Decimal(1))))).copy_sign(x)


def _arccosh(x: Decimal, digits: int) -> Decimal:
    above = EXACT.subtract(x, Decimal(1))
    c = _context(digits + 5 + max(0, -above.adjusted()))
    return c.ln(c.add(x, c.sqrt(EXACT.multiply(above, EXACT.add(x, Decimal(1))))))


def _arctanh(x: Decimal, digits: int) -> Decimal:
    c = _context(digits + 5 + max(0, -x.adjusted()))
    quotient = c.divide(EXACT.add(Decimal(1), x), EXACT.subtract(Decimal(1), x))
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
    larger, distance = max(a, b), EXACT.subtract(a, b).copy_abs()
    lost = 0
    while True:
        c = _context(digits + 10 + lost)
        scale = _ln2(c.prec) if base == 2 else Decimal(1)
        tail = c.ln(EXACT.add(Decimal(1), c.exp(c.minus(c.multiply(distance, scale)))))
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


TRANSCENDENTAL: dict[str, Callable[..., Decimal]] = {
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
