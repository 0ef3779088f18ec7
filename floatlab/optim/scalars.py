"""Which numbers does a learning-rate rule need? Powers and a cosine, the same on every machine.

Python's ``**`` and ``math.cos`` on floats call the C library, and C libraries differ in the last bit; one
such bit in a bias correction changes every weight of a run. `decimal` computes in software with integers,
so what it returns depends on nothing but its arguments. Forty digits are kept and rounded once to a float.
"""

from __future__ import annotations

import decimal
from functools import lru_cache

__all__ = ["cosine_of_pi", "power"]

_CONTEXT = decimal.Context(prec=40, Emin=-999999, Emax=999999, rounding=decimal.ROUND_HALF_EVEN, traps=[])


def power(base: float, exponent: float) -> float:
    """Return ``base ** exponent`` for ``base >= 0``, rounded once to float64.

    >>> power(0.999, 1000) == 0.999**1000
    True
    >>> power(0.96, 0.004)
    0.9998367253526753
    """
    # NumPy's numbers are keys of a cache that equal Python's, but `decimal` does not know them.
    return _power(float(base), float(exponent))


@lru_cache(maxsize=4096)
def _power(base: float, exponent: float) -> float:
    if base == 0.0:
        return 1.0 if exponent == 0 else 0.0
    return float(_CONTEXT.power(decimal.Decimal(base), decimal.Decimal(exponent)))


def cosine_of_pi(numerator: int, denominator: int) -> float:
    """Return ``cos(pi * numerator / denominator)``, rounded once to float64.

    >>> cosine_of_pi(1, 3), cosine_of_pi(1, 2), cosine_of_pi(7, 7)
    (0.5, 0.0, -1.0)
    """
    return _cosine_of_pi(int(numerator), int(denominator))


@lru_cache(maxsize=4096)
def _cosine_of_pi(numerator: int, denominator: int) -> float:
    quarters, rest = divmod(
        2 * numerator % (4 * denominator), denominator
    )  # angle = (quarters + rest/den) pi/2
    # cos(q pi/2 + t) is cos t, -sin t, -cos t, sin t for q = 0, 1, 2, 3.
    angle = _CONTEXT.divide(_CONTEXT.multiply(_PI, decimal.Decimal(rest)), decimal.Decimal(2 * denominator))
    value = _taylor(angle, first_power=quarters % 2)
    return float(value if quarters in (0, 3) else value.copy_negate()) + 0.0


_PI = decimal.Decimal("3.141592653589793238462643383279502884197169399375105821")


def _taylor(angle: decimal.Decimal, first_power: int) -> decimal.Decimal:
    """Sum the series of the cosine (first power 0) or the sine (first power 1) for 0 <= angle < pi/2."""
    term = angle if first_power else decimal.Decimal(1)
    total, order = decimal.Decimal(0), first_power
    square = _CONTEXT.multiply(angle, angle)
    while abs(term) > decimal.Decimal("1e-45"):
        total = _CONTEXT.add(total, term)
        order += 2
        term = _CONTEXT.divide(_CONTEXT.multiply(term, square), decimal.Decimal(-order * (order - 1)))
    return total
