"""Elementary functions to any precision, rounded to odd: every bit against MPFR."""

import math
from fractions import Fraction

import numpy as np
import pytest
from test_functions import exact
from test_pairs import MPFR as PAIRS
from test_pairs import exact as exact_pair

from floatlab.functions import multiprecision as precise

gmpy2 = pytest.importorskip("gmpy2")

DOMAIN = {"log": (0, 1e300), "log2": (0, 1e300), "log10": (0, 1e300), "log1p": (-1, 1e300)}
DOMAIN |= {"sqrt": (0, 1e300), "rsqrt": (1e-300, 1e300), "reciprocal": (-1e300, 1e300)}
DOMAIN |= {
    "erf": (-5.8, 5.8),
    "tanh": (-18, 18),
    "sigmoid": (-600, 36),
    "softplus": (-600, 36),
    "gelu": (-36, 8),
    "arcsin": (-1, 1),
    "arccos": (-1, 1),
    "arccosh": (1, 1e300),
    "arctanh": (-1, 1),
}
OF_ONE = [name for name in precise.NAMES if name not in PAIRS]


@pytest.mark.parametrize("name", OF_ONE)
def test_all_53_bits_are_right(name):
    rng = np.random.default_rng(4)
    low, high = DOMAIN.get(name, (-600, 600))
    x = np.concatenate([rng.normal(0, 1, 60), rng.uniform(low, min(high, 1e5), 60), rng.normal(0, 1e-5, 30)])
    x = np.concatenate([x, [0.26, 3.25, 1 + 2.0**-30, 1 - 2.0**-30, 1.5 * 2.0**-24]])
    x = x[(x > low) & (x < high) & (x != 0)]
    if name in ("sin", "cos", "tan"):
        x = np.concatenate(
            [x, 10 ** rng.uniform(5, 307, 40), np.rint(10 ** rng.uniform(0, 15, 40)) * (math.pi / 2)]
        )
    for v in x.tolist():
        if abs(exact(name, v)) > 1e-290:
            assert precise.sticky(name, v) == exact(name, v), (name, v)


def test_exact_results_are_exact_and_others_odd():
    assert precise.sticky("sqrt", 2.25) == 1.5
    assert precise.sticky("rsqrt", 0.25) == 2.0
    assert precise.sticky("reciprocal", -8.0) == -0.125
    for name in OF_ONE:
        x = 0.75 if name in ("arcsin", "arccos", "arctanh") else 1.25
        bits = int(np.float64(precise.sticky(name, x)).view(np.int64))
        assert bits & 1, name


def test_results_beyond_float64_stop_at_its_ends():
    assert precise.sticky("exp", 709.79) == np.finfo(float).max
    assert precise.sticky("sinh", -710.6) == -np.finfo(float).max
    assert precise.sticky("exp", -745.9) == 5e-324
    assert precise.sticky("reciprocal", 5e-324) == np.finfo(float).max
    assert precise.sticky("exp", -744.0) in (5e-324, 1e-323)
    assert precise.sticky("gelu", -38.6) == -5e-324


def test_subnormal_results_are_rounded_to_odd_at_their_own_last_place():
    for x in np.linspace(-740, -709, 50).tolist():
        exact_units = gmpy2.mul_2exp(gmpy2.context(gmpy2.get_context(), precision=200).exp(x), 1074)
        below = int(gmpy2.floor(exact_units))
        assert precise.sticky("exp", x) == math.ldexp(below | 1, -1074)


def test_nearest_is_the_nearest_float64():
    for x in [1e22, 0.3, 2.0**100, 1.7e308]:
        with gmpy2.context(precision=53):
            assert precise.nearest("sin", x) == float(gmpy2.sin(gmpy2.mpfr(x)))
            assert precise.nearest("cos", x) == float(gmpy2.cos(gmpy2.mpfr(x)))


@pytest.mark.parametrize("name", PAIRS)
def test_all_53_bits_of_a_function_of_two_are_right(name):
    """Numbers of every kind, among them exact ones: squares, triples, equal arguments; and sums that cancel."""
    rng = np.random.default_rng(6)
    a, b = rng.uniform(-4, 4, (2, 300))
    a[:100], b[:100] = rng.integers(-24, 25, (2, 100)) / np.array([[4.0], [2.0]])
    a[100:150] *= 2.0 ** rng.integers(-60, 4 if name.startswith("log") else 60, 50)
    a[150:200] = -np.abs(a[150:200]) - 0.01
    b[150:200] = np.log1p(-np.exp(a[150:200]))
    b[200:220] = a[200:220]
    if name == "power":
        a = np.abs(a)
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x and y and x != 1 and 1e-290 < abs(exact_pair(name, x, y)) < 1e290:
            assert precise.sticky(name, x, y) == exact_pair(name, x, y), (name, x, y)
            if name == "hypot":
                assert precise.nearest(name, x, y) == float(abs(gmpy2.mpc(x, y)))


@pytest.mark.parametrize(
    ("x", "y", "exactly"),
    [
        (27.0, 2.0, 729.0),
        (2.0, -3.0, 0.125),
        (4.0, 0.5, 2.0),
        (2.25, 1.5, 3.375),
        (16.0, 0.75, 8.0),
        (16.0, -0.25, 0.5),
        (2.0**-1074, 0.5, 2.0**-537),
        (3.0**32, 2.0**-5, 3.0),
        (-3.0, 3.0, -27.0),
        (2.0**24 + 1, 2.0, 2.0**48 + 2.0**25 + 1),
    ],
)
def test_exact_powers_are_found(x, y, exactly):
    assert precise.sticky("power", x, y) == precise.nearest("power", x, y) == exactly


def test_long_products_and_irrational_roots_are_no_exact_powers():
    for x, y in (
        (2.0, 0.5),
        (8.0, 0.5),
        (3.0, -1.0),
        (3.0, -2.0),
        (2.25, 0.25),
        (3.0, 41.0),
        (4.0, 2.0**-30),
    ):
        assert int(np.float64(precise.sticky("power", x, y)).view(np.int64)) & 1, (x, y)
    # 54 bits, one too many: a tie for the nearest float64, and the odd neighbour for the rest
    x = 2.0**26 + 2.0**25 + 1
    assert precise.nearest("power", x, 2.0) == x * x
    assert int(np.float64(precise.sticky("power", x, 2.0)).view(np.int64)) & 1


def test_equal_arguments_of_logaddexp2_are_exact():
    for x in (-1.0, 0.0, 2.5, -(2.0**-30), 2.0**52):
        assert precise.sticky("logaddexp2", x, x) == x + 1
    assert precise.sticky("logaddexp2", 2.0**-80, 2.0**-80) == 1 + 2.0**-52
    assert precise.sticky("logaddexp2", -(2.0**-80), -(2.0**-80)) == 1 - 2.0**-53


def test_sums_of_exponentials_may_cancel_to_any_degree():
    a, b = -0.6931471805599453, -0.6931471805599454  # log(2 exp(-0.693...)) is 1e-16 or less
    with gmpy2.context(precision=300):
        sum_ = gmpy2.exp(gmpy2.mpfr(a)) + gmpy2.exp(gmpy2.mpfr(b))
        expected = float(gmpy2.log(sum_))
    assert precise.nearest("logaddexp", a, b) == expected
    assert 0 < abs(expected) < 1e-16


def test_long_arguments_are_not_rounded_on_the_way():
    """Decimal's own abs and minus sign round to 28 digits; a float64 has up to 767."""
    x = math.nextafter(2.0**-1, 1)
    with gmpy2.context(precision=53):
        for name, function in (("arctan", gmpy2.atan), ("arcsinh", gmpy2.asinh), ("arcsin", gmpy2.asin)):
            for y in (x, -x, x * 2.0**-300, -x * 2.0**-20):
                assert precise.nearest(name, y) == float(function(gmpy2.mpfr(y))), (name, y)


@pytest.mark.parametrize("name", ["exp", "log", "sin", "tanh", "cbrt", "sqrt", "erf", "log1p"])
def test_an_expansion_has_the_bits_that_were_asked_for_and_is_odd(name):
    rng = np.random.default_rng(7)
    for x in rng.uniform(0.01, 3.0, 20).tolist():
        with gmpy2.context(precision=400):
            value = Fraction(*getattr(gmpy2, name)(gmpy2.mpfr(x)).as_integer_ratio())
        for bits in (2, 24, 42, 53, 200):
            e = math.frexp(value)[1]
            unit = Fraction(2) ** (e - bits)  # of the last place
            cut = value / unit // 1
            assert precise.expand(name, x, bits) == (cut | 1) * unit, (name, x, bits)
