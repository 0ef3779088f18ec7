"""Rounding to odd, and what an operation loses, held to `floatlab.reference` on numbers of every kind."""

from fractions import Fraction

import numpy as np
import pytest

from floatlab import reference
from floatlab.formats import get_format
from floatlab.operations.error_free import two_product, two_sum, with_error
from floatlab.rounding.odd import integer_to_odd, nudge, ratio_to_odd
from floatlab.sums.exact import add_to_odd

FLOAT64 = get_format("fp64")
RNG = np.random.default_rng(5)


def reference_odd(x: Fraction) -> float:
    return reference.to_float(reference.round(x, FLOAT64, "to_odd", "saturate").value)


def numbers(count: int, spread: int) -> np.ndarray:
    """Float64 numbers of few and of many bits, of both signs, up to 2^spread apart."""
    bits = RNG.integers(1, 54, count)
    mantissa = np.array([float(RNG.integers(1 << b)) for b in bits])
    return mantissa * RNG.choice([-1.0, 1.0], count) * np.exp2(RNG.integers(-spread, spread + 1, count))


@pytest.mark.parametrize("spread", [2, 60, 200])
def test_a_sum_and_its_error_are_the_exact_sum_and_nudge_rounds_it_to_odd(spread: int) -> None:
    x, y = numbers(3000, spread), numbers(3000, spread)
    total, error = two_sum(x, y)
    odd = nudge(total.copy(), error)
    assert odd.tobytes() == add_to_odd(x, y).tobytes()
    for i in range(x.size):
        exact = Fraction(x[i]) + Fraction(y[i])
        assert Fraction(total[i]) + Fraction(error[i]) == exact
        assert odd[i] == reference_odd(exact)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "sqrt", "fma"])
def test_an_operation_is_rounded_to_odd_by_the_sign_of_its_error(name: str) -> None:
    xs = [numbers(1500, 40) for _ in range({"sqrt": 1, "fma": 3}.get(name, 2))]
    if name == "sqrt":
        xs = [np.abs(xs[0]) + 0.5]
    if name == "divide":
        xs[1][xs[1] == 0] = 3.0
    odd = nudge(*with_error(name, xs))
    for i, row in enumerate(zip(*xs, strict=True)):
        wanted = getattr(reference, name)(*map(float, row), FLOAT64, rounding="to_odd")
        assert odd[i] == reference.to_float(wanted.value), row
    if name == "multiply":
        product, error = two_product(*xs)
        for p, e, a, b in zip(product, error, *xs, strict=True):
            assert Fraction(p) + Fraction(e) == Fraction(a) * Fraction(b)


def test_what_an_infinity_leaves_is_no_error() -> None:
    nearest, missing = np.array([np.inf, -np.inf, np.nan]), np.array([np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(nudge(nearest.copy(), missing), nearest)
    # Something that float64 made an infinity is beyond its largest number, which is odd.
    largest = float(np.finfo(np.float64).max)
    assert nudge(np.array([np.inf, -np.inf]), np.array([-1.0, 1.0])).tolist() == [largest, -largest]


def test_integers_and_ratios_of_every_size_are_rounded_to_odd() -> None:
    for _ in range(10_000):
        n = int(RNG.integers(-(2**62), 2**62)) << int(RNG.integers(0, 40)) >> int(RNG.integers(0, 100))
        e = int(RNG.integers(-1200, 1100))
        d = (
            int(RNG.integers(1, 2**40)) << int(RNG.integers(0, 1200))
            if e % 3
            else 1 << int(RNG.integers(0, 1200))
        )
        if n:
            assert integer_to_odd(n, e) == reference_odd(Fraction(n) * Fraction(2) ** e), (n, e)
            assert ratio_to_odd(n, d) == reference_odd(Fraction(n, d)), (n, d)
    assert ratio_to_odd(0, 7) == integer_to_odd(0, 5) == integer_to_odd(0, 5000) == 0.0
    assert ratio_to_odd(-1, 3 << 5000) == -(2.0**-1074)
