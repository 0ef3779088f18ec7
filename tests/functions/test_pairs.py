"""Functions of two numbers: correctly rounded in every mode, against MPFR; special values; exact results; flags.

The oracle is MPFR, as in tests/functions/test_functions.py: its result at 53 bits, rounded to odd, is rounded on by
the table look-up of tests/support.py, which shares no code with floatlab.rounding.quantize.
"""

import functools
import itertools
import math
import time

import numpy as np
import pytest
import support
from test_functions import LARGEST, TRUNCATING

from floatlab.errors import DtypeError, FormatError, OptionError, OverflowPolicyError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.evaluate import FUNCTIONS_OF_TWO, evaluate_pair
from floatlab.functions.suspects import sticky_values

gmpy2 = pytest.importorskip("gmpy2")

PRECISE = gmpy2.context(precision=400, emin=-(2**40), emax=2**40)
TINY = 2.0**-1074
inf, nan = math.inf, math.nan


def log_of_sum(exponential, log1p):
    """Return the oracle of log(e^a + e^b): its value to 400 bits, and whether the exact one is a little above."""

    def compute(a, b):
        larger, distance = max(a, b), abs(a - b)
        tail = log1p(exponential(-distance))
        total = larger + tail
        return total, total == larger

    return compute


MPFR = {
    "hypot": gmpy2.hypot,
    "arctan2": gmpy2.atan2,
    "power": lambda x, y: x**y,
    "logaddexp": log_of_sum(gmpy2.exp, gmpy2.log1p),
    "logaddexp2": log_of_sum(gmpy2.exp2, lambda x: gmpy2.log2(1 + x)),
}


def exact(name: str, a: float, b: float) -> float:
    """Return f(a, b) rounded to odd at 53 bits; beyond the ends of float64, its largest and smallest number."""
    if name.startswith("logaddexp"):
        if math.isnan(a) or math.isnan(b):
            return nan
        if math.isinf(a) or math.isinf(b):
            return max(a, b) + 0.0  # log(exp(-0) + 0) is log 1, which is +0
        tiny = max(abs(a), abs(b)) < 2.0**-100  # log2(2^a + 2^b) is 1 + (a + b) / 2
        with gmpy2.context(PRECISE, precision=2500 if tiny else 400):
            value, above = MPFR[name](gmpy2.mpfr(a), gmpy2.mpfr(b))
        inexact = True
        with gmpy2.context(TRUNCATING, emin=-(2**40), emax=2**40):
            if name == "logaddexp2" and a == b:
                result = gmpy2.mpfr(gmpy2.mpq(a) + 1)
                inexact = result.rc != 0
            else:
                result = +value
            if above and result < 0 and inexact:
                return math.nextafter(float(result), 0) if even(float(result)) else float(result)
    else:
        with gmpy2.context(TRUNCATING, emin=-(2**40), emax=2**40):
            result = MPFR[name](gmpy2.mpfr(a), gmpy2.mpfr(b))
            inexact = result.rc != 0
    if not gmpy2.is_finite(result) or (result == 0 and not inexact):
        return float(result)
    sign = -1.0 if gmpy2.is_signed(result) else 1.0
    if abs(result) > LARGEST:
        return sign * LARGEST
    if abs(result) < 2.0**-1022:
        return sign * TINY
    y = float(result)
    return math.nextafter(y, sign * inf) if inexact and even(y) else y


def even(y: float) -> bool:
    return int(np.float64(y).view(np.int64)) % 2 == 0


@functools.cache
def all_pairs(name: str, fmt: FloatFormat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs of values of a format, and f of each, rounded to odd."""
    a, b = np.meshgrid(support.all_values(fmt), support.all_values(fmt), indexing="ij")
    a, b = a.reshape(-1), b.reshape(-1)
    return a, b, np.array([exact(name, x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])


def wrong(name: str, fmt: FloatFormat, a, b, y, **options) -> list[str]:
    """Compare `evaluate_pair` with the oracle's f(a, b), rounded to odd: y."""
    if not fmt.has_nan:
        a, b, y = a[~np.isnan(y)], b[~np.isnan(y)], y[~np.isnan(y)]
    expected = support.all_values(fmt)[support.expected_codes(y, fmt, **options)]
    got = evaluate_pair(name, a, b, fmt, **options)
    assert got.dtype == fmt.value_dtype
    bad = support.bits64(got, False) != support.bits64(expected, False)
    return [f"{name}({a[i]!r}, {b[i]!r}) is {got[i]!r}, not {expected[i]!r}" for i in np.flatnonzero(bad)]


def test_every_function_of_two_has_an_oracle():
    assert set(FUNCTIONS_OF_TWO) == set(MPFR)


# -- all pairs of short formats ----------------------------------------------------------------------

SHORT = [get_format(name) for name in ("fp4", "fp6_e2m3", "fp6_e3m2", "binary6p3se", "binary5p2ue")]
SHORT += [FloatFormat("e3m2fnuz", 3, 2, specials="fnuz"), FloatFormat("e3m1b20", 3, 1, 20)]


@pytest.mark.parametrize("fmt", SHORT, ids=support.name_of)
@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_all_pairs_are_correctly_rounded_in_every_mode(name, fmt):
    a, b, y = all_pairs(name, fmt)
    for rounding in support.DETERMINISTIC:
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []
    for policy in support.policies_of(fmt):
        assert wrong(name, fmt, a, b, y, overflow=policy) == []
    assert wrong(name, fmt, a, b, y, subnormals="flush") == []


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_all_pairs_of_e4m3_are_correctly_rounded(name):
    fmt = get_format("e4m3")
    a, b, y = all_pairs(name, fmt)
    for rounding in ("nearest_even", "toward_negative", "to_odd"):
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_flags_say_what_happened_to_every_pair(name):
    """Inexact: the exact result, of which y has the first 53 bits and an odd last one, is no value of the format."""
    fmt = get_format("e5m2")
    values = support.all_values(fmt)[::3]
    a, b = (part.reshape(-1) for part in np.meshgrid(values, values))
    y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    got, flags = evaluate_pair(name, a, b, fmt, return_flags=True)
    assert np.array_equal(got, evaluate_pair(name, a, b, fmt), equal_nan=True)
    finite = np.isfinite(a) & np.isfinite(b)
    pole = np.isinf(y) & finite
    assert np.array_equal(flags.invalid, np.isnan(y) & ~np.isnan(a) & ~np.isnan(b))
    assert np.array_equal(flags.divide_by_zero, pole)
    usual = np.isfinite(y)
    assert np.array_equal(flags.inexact, usual & (got != y))
    assert np.array_equal(flags.overflow, usual & np.isinf(got))
    # With exponents that do not end, what is above 15/16 of the smallest normal value would have been rounded to it.
    assert np.all(np.abs(y[flags.underflow]) < fmt.smallest_normal)
    assert np.all(flags.underflow[flags.inexact & (np.abs(y) < fmt.smallest_normal * 0.9375)])


# -- wider formats -----------------------------------------------------------------------------------


def numbers(fmt: FloatFormat, rng: np.random.Generator, n: int) -> np.ndarray:
    """Random codes, ordinary numbers, short numbers, and numbers next to 1: all values of the format."""
    from floatlab.rounding.quantize import quantize

    exponents = rng.uniform(fmt.emin - fmt.mantissa_bits, fmt.emax, n)
    short = rng.integers(-40, 41, n) * 2.0 ** rng.integers(-4, 3, n)
    near_one = 1 + rng.choice([-1, 1], n) * 2.0 ** -rng.integers(1, fmt.mantissa_bits + 1, n)
    x = [rng.choice([-1, 1], n) * 2.0**exponents, rng.normal(0, 3, n), short, near_one]
    return quantize(rng.permutation(np.concatenate(x)), fmt, overflow="saturate").astype(np.float64)


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "tf32"])
@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_random_pairs_are_correctly_rounded_in_every_mode(name, fmt):
    fmt = get_format(fmt)
    rng = np.random.default_rng(len(name) + fmt.bits)
    a, b = numbers(fmt, rng, 300), numbers(fmt, rng, 300)
    a, b = np.concatenate([a, a]), np.concatenate([b, rng.permutation(a)])
    y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    for rounding in support.DETERMINISTIC:
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_random_pairs_are_correctly_rounded_to_float32(name):
    from test_functions import round_float32

    fmt = get_format("fp32")
    rng = np.random.default_rng(8)
    a, b = numbers(fmt, rng, 400), numbers(fmt, rng, 400)
    for rounding in ("nearest_even", "toward_positive", "to_odd"):
        got = evaluate_pair(name, a, b, fmt, rounding=rounding)
        y = [exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)]
        expected = np.array([round_float32(v, rounding) for v in y], np.float32)
        bad = support.bits64(got, False) != support.bits64(expected, False)
        assert [(a[i], b[i], got[i], expected[i]) for i in np.flatnonzero(bad)] == []


FAR = [
    FloatFormat("far_down", 5, 4, 900),  # all values below 2^-868
    FloatFormat("far_up", 5, 4, -900),  # all above 2^901
    FloatFormat("e10m3", 10, 3),
]


@pytest.mark.parametrize("fmt", FAR, ids=support.name_of)
@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_results_far_from_one_are_correctly_rounded(name, fmt):
    rng = np.random.default_rng(2)
    values = support.all_values(fmt)
    a, b = rng.choice(values, 600), rng.choice(values, 600)
    if name == "power":
        a[:300], b[:300] = 2.0 ** rng.uniform(-40, 40, 300), rng.uniform(-30, 30, 300)
    if name.startswith("logaddexp"):
        b[:300] = a[:300] * (1 + rng.integers(-3, 4, 300) / 8)
    y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    for rounding in ("nearest_even", "toward_zero", "toward_positive", "toward_negative", "to_odd"):
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_results_beside_a_value_or_a_midpoint_are_told_apart(name):
    """The second argument is chosen so that the result is nearer to a short number than float64 could tell."""
    fmt = get_format("fp16")
    rng = np.random.default_rng(3)
    targets = 1 + rng.integers(0, 2**11, 150) * 2.0**-11
    a = rng.uniform(0.3, 0.9, 150)
    inverse = {
        "hypot": lambda t, a: gmpy2.sqrt(t * t - a * a),
        "arctan2": lambda t, a: a / gmpy2.tan(t),
        "power": lambda t, a: gmpy2.log(t) / gmpy2.log(a),
        "logaddexp": lambda t, a: gmpy2.log(gmpy2.exp(t) - gmpy2.exp(a)),
        "logaddexp2": lambda t, a: gmpy2.log2(gmpy2.exp2(t) - gmpy2.exp2(a)),
    }[name]
    with gmpy2.context(PRECISE):
        b = np.array(
            [float(inverse(gmpy2.mpfr(t), gmpy2.mpfr(x))) for t, x in zip(targets, a.tolist(), strict=True)]
        )
    a, b = np.tile(a, 3), np.concatenate([b, np.nextafter(b, inf), np.nextafter(b, -inf)])
    keep = np.isfinite(b)
    a, b = a[keep], b[keep]
    y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    for rounding in support.DETERMINISTIC:
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []


@pytest.mark.parametrize("size", [2.0**-12, 2.0**-25, 2.0**-40])
@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_sums_that_cancel_are_told_apart_from_the_midpoint_beside_them(name, size):
    """Where the result is near 0, float64's is wrong in all bits but the first few."""
    fmt = get_format("bf16")
    rng = np.random.default_rng(4)
    targets = size * (1 + rng.integers(0, 2**8, 300) * 2.0**-8) * rng.choice([-1, 1], 300)
    a = rng.uniform(-2, -0.2, 300)
    to, back = {"logaddexp": (gmpy2.exp, gmpy2.log), "logaddexp2": (gmpy2.exp2, gmpy2.log2)}[name]
    with gmpy2.context(PRECISE):
        b = [
            float(back(to(gmpy2.mpfr(t)) - to(gmpy2.mpfr(x))))
            for t, x in zip(targets, a.tolist(), strict=True)
        ]
    b = np.array(b)
    y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    for rounding in ("nearest_even", "toward_zero", "to_odd"):
        assert wrong(name, fmt, a, b, y, rounding=rounding) == []


@pytest.mark.parametrize("mode", support.STOCHASTIC)
def test_stochastic_rounding_replays_from_its_integers(mode):
    rng = np.random.default_rng(3)
    for fmt, bits in (("e4m3", 8), ("float16", 24), ("bfloat16", 40)):
        fmt = get_format(fmt)
        a, b = np.abs(rng.normal(0, 2, (2, 300)))
        integers = rng.integers(0, 1 << bits, a.size)
        for name in FUNCTIONS_OF_TWO:
            y = np.array([exact(name, p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
            options = {"rounding": mode, "random_integers": integers, "random_bits": bits}
            assert wrong(name, fmt, a, b, y, **options) == []


# -- special values: IEEE 754-2019, section 9.2.1 -------------------------------------------------------

pi = math.pi
SPECIAL = {
    "power": [
        *[(x, zero, 1.0) for x in (0.0, -0.0, 2.0, -3.0, inf, -inf, nan) for zero in (0.0, -0.0)],
        *[(1.0, y, 1.0) for y in (0.0, 2.0, -0.5, inf, -inf, nan)],
        (-1.0, inf, 1.0),
        (-1.0, -inf, 1.0),
        (0.0, -3.0, inf),
        (-0.0, -3.0, -inf),
        (0.0, -2.0, inf),
        (-0.0, -2.0, inf),
        (-0.0, -0.5, inf),
        (0.0, -inf, inf),
        (-0.0, -inf, inf),
        (0.0, inf, 0.0),
        (-0.0, inf, 0.0),
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.0, 0.0),
        (-0.0, 0.5, 0.0),  # where the square root is -0
        (0.5, inf, 0.0),
        (-0.5, inf, 0.0),
        (2.0, inf, inf),
        (-2.0, inf, inf),
        (0.5, -inf, inf),
        (-0.5, -inf, inf),
        (2.0, -inf, 0.0),
        (-2.0, -inf, 0.0),
        (inf, 2.0, inf),
        (inf, 0.5, inf),
        (inf, -1.0, 0.0),
        (inf, inf, inf),
        (inf, -inf, 0.0),
        (-inf, 3.0, -inf),
        (-inf, 2.0, inf),
        (-inf, 0.5, inf),  # where the square root is NaN
        (-inf, -3.0, -0.0),
        (-inf, -2.0, 0.0),
        (-inf, -0.5, 0.0),
        (-inf, inf, inf),
        (-inf, -inf, 0.0),
        (-8.0, 0.5, nan),
        (-8.0, 1.0 / 3, nan),
        (-1.0, 0.5, nan),
        (-8.0, 3.0, -512.0),
        (-8.0, -1.0, -0.125),
        (-8.0, 2.0, 64.0),
        (nan, 1.0, nan),
        (2.0, nan, nan),
        (nan, nan, nan),
        (-1.0, 1e300, 1.0),
        (-1.0, 2.0**53 - 1, -1.0),
        (-2.0, 2.0**53 - 1, -inf),
        (-2.0, -(2.0**53) + 1, -0.0),
    ],
    "hypot": [
        (0.0, 0.0, 0.0),
        (-0.0, -0.0, 0.0),
        (-0.0, -3.0, 3.0),
        (3.0, -0.0, 3.0),
        (3.0, -4.0, 5.0),
        *[(i, x, inf) for i in (inf, -inf) for x in (0.0, -1.0, inf, -inf, nan)],
        *[(x, i, inf) for i in (inf, -inf) for x in (0.0, -1.0, nan)],
        (nan, 1.0, nan),
        (0.0, nan, nan),
    ],
    "arctan2": [
        (0.0, 0.0, 0.0),
        (-0.0, 0.0, -0.0),
        (0.0, -0.0, pi),
        (-0.0, -0.0, -pi),
        (0.0, -1.0, pi),
        (-0.0, -1.0, -pi),
        (0.0, 1.0, 0.0),
        (-0.0, 1.0, -0.0),
        (-1.0, 0.0, -pi / 2),
        (1.0, -0.0, pi / 2),
        (1.0, -inf, pi),
        (-1.0, -inf, -pi),
        (1.0, inf, 0.0),
        (-1.0, inf, -0.0),
        (inf, 1.0, pi / 2),
        (-inf, -1.0, -pi / 2),
        (inf, -inf, 3 * pi / 4),
        (-inf, -inf, -3 * pi / 4),
        (inf, inf, pi / 4),
        (-inf, inf, -pi / 4),
        (0.0, inf, 0.0),
        (-0.0, -inf, -pi),
        (nan, 1.0, nan),
        (1.0, nan, nan),
        (nan, inf, nan),
        (inf, nan, nan),
    ],
    "logaddexp": [
        (inf, inf, inf),
        (inf, -inf, inf),
        (-inf, inf, inf),
        (-inf, -inf, -inf),
        (-inf, 2.5, 2.5),
        (2.5, -inf, 2.5),
        (-inf, -0.001953125, -0.001953125),
        (inf, 1.0, inf),
        (nan, inf, nan),
        (-inf, nan, nan),
    ],
    "logaddexp2": [
        (inf, inf, inf),
        (-inf, -inf, -inf),
        (-inf, 2.5, 2.5),
        (-1.0, -1.0, 0.0),
        (2.0, 2.0, 3.0),
        (nan, -inf, nan),
    ],
}


@pytest.mark.parametrize("fmt", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values_are_those_of_ieee_754(name, fmt):
    from floatlab.rounding.quantize import quantize

    for a, b, y in SPECIAL[name]:
        expected = float(quantize(y, fmt))
        alone = float(evaluate_pair(name, a, b, fmt))
        among = float(evaluate_pair(name, [2.0, a, 0.75], [3.0, b, -1.5], fmt)[1])
        for got in (alone, among):
            assert (got == expected and math.copysign(1, got) == math.copysign(1, expected)) or (
                math.isnan(got) and math.isnan(expected)
            ), (a, b, got, expected)


def test_flags_of_special_values():
    cases = [
        ("power", 0.0, -3.0, "divide_by_zero"),
        ("power", -0.0, -0.5, "divide_by_zero"),
        ("power", 0.0, -inf, ""),
        ("power", -8.0, 0.5, "invalid"),
        ("power", nan, 0.0, ""),
        ("power", 1.0, nan, ""),
        ("power", nan, 2.0, ""),
        ("power", inf, 2.0, ""),
        ("power", 0.0, 2.0, ""),
        ("power", 3.0, 2.0, ""),
        ("power", 4.0, 0.5, ""),
        ("power", 2.0, 0.5, "inexact"),
        ("power", 3.0, -1.0, "inexact"),
        ("power", 2.0, -24.0, ""),
        ("power", 2.0, -25.0, "underflow inexact"),
        ("power", -2.0, 17.0, "overflow inexact"),
        ("power", 2.0, 30000.0, "overflow inexact"),
        ("power", 2.0, -30000.0, "underflow inexact"),
        ("power", 1 + 2.0**-10, 2.0**-20, "inexact"),
        ("hypot", 3.0, 4.0, ""),
        ("hypot", -0.0, 0.3, "inexact"),
        ("hypot", 0.5, -0.0, ""),
        ("hypot", 1.0, 1.0, "inexact"),
        ("hypot", 1.0, 2.0**-24, "inexact"),
        ("hypot", 65504.0, 65504.0, "overflow inexact"),
        ("hypot", inf, nan, ""),
        ("arctan2", 0.0, 1.0, ""),
        ("arctan2", -0.0, -1.0, "inexact"),
        ("arctan2", 0.0, 0.0, ""),
        ("arctan2", 1.0, 0.0, "inexact"),
        ("arctan2", inf, inf, "inexact"),
        ("arctan2", 1.0, inf, ""),
        ("arctan2", 2.0**-20, 1.0, "underflow inexact"),
        ("logaddexp", 0.0, 0.0, "inexact"),
        ("logaddexp", -inf, 1.0, ""),
        ("logaddexp", 5.0, -6000.0, "inexact"),
        ("logaddexp", 0.0, -6000.0, "underflow inexact"),
        ("logaddexp2", 1.0, 1.0, ""),
        ("logaddexp2", 1.0, 2.0, "inexact"),
        ("logaddexp2", 1.0, -6000.0, "inexact"),
    ]
    for name, a, b, raised in cases:
        _, flags = evaluate_pair(name, a, b, "fp16", return_flags=True)
        found = [flag for flag in flags.__dataclass_fields__ if getattr(flags, flag)]
        assert found == raised.split(), (name, a, b)


def test_a_nan_has_the_sign_of_the_first_one_and_else_none():
    a = np.array([nan, -nan, -nan, 1.0, -8.0])
    b = np.array([-nan, nan, 2.0, -nan, 0.5])
    for name in FUNCTIONS_OF_TWO:
        keep = slice(None) if name == "power" else slice(0, 4)
        for fmt in ("fp16", "fp32", "fp64"):
            got = evaluate_pair(name, a[keep] if name != "power" else np.where(a == 1, 2, a), b[keep], fmt)
            assert np.isnan(got).all()
            assert np.signbit(got).tolist() == [False, True, True, True, False][keep], (name, fmt)


# -- properties ---------------------------------------------------------------------------------------


def test_hypot_and_logaddexp_are_symmetric():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 3, (2, 2000))
    for name in ("hypot", "logaddexp", "logaddexp2"):
        for rounding in ("nearest_even", "toward_positive"):
            forth = evaluate_pair(name, a, b, "fp16", rounding=rounding)
            assert np.array_equal(forth, evaluate_pair(name, b, a, "fp16", rounding=rounding))
    assert np.array_equal(evaluate_pair("hypot", a, b, "fp16"), evaluate_pair("hypot", -a, b, "fp16"))
    assert np.array_equal(evaluate_pair("arctan2", a, b, "fp16"), -evaluate_pair("arctan2", -a, b, "fp16"))
    assert np.array_equal(
        evaluate_pair("arctan2", a, b, "fp16", rounding="toward_positive"),
        -evaluate_pair("arctan2", -a, b, "fp16", rounding="toward_negative"),
    )


def test_results_grow_with_their_arguments():
    x = np.linspace(-20, 20, 5001)
    for fmt in ("fp16", "fp32"):
        for other in (-3.0, 0.0, 1.7):
            for name in ("logaddexp", "logaddexp2"):
                assert np.diff(evaluate_pair(name, x, other, fmt)).min() >= 0
            assert np.diff(evaluate_pair("power", 1.7, x, fmt)).min() >= 0
            assert np.diff(evaluate_pair("hypot", np.abs(x[2500:]), other, fmt)).min() >= 0
            assert np.diff(evaluate_pair("arctan2", x, abs(other), fmt)).min() >= 0


def test_directed_modes_enclose_the_nearest_value():
    rng = np.random.default_rng(1)
    a, b = np.abs(rng.normal(0, 2, (2, 3000)))
    for name in FUNCTIONS_OF_TWO:
        down, near, up = (
            evaluate_pair(name, a, b, "bf16", rounding=mode)
            for mode in ("toward_negative", "nearest_even", "toward_positive")
        )
        assert np.all((down == near) | (up == near))
        assert np.all(down <= up)


def test_powers_agree_with_the_operations_that_they_are():
    from floatlab.functions.evaluate import evaluate
    from floatlab.operations.operate import operate

    rng = np.random.default_rng(1)
    x = np.abs(numbers(get_format("fp16"), rng, 500))
    for rounding in support.DETERMINISTIC:
        options = {"rounding": rounding}
        assert np.array_equal(
            evaluate_pair("power", x, 2.0, "fp16", **options), operate("multiply", (x, x), "fp16", **options)
        )
        assert np.array_equal(
            evaluate_pair("power", x, -1.0, "fp16", **options), evaluate("reciprocal", x, "fp16", **options)
        )
        assert np.array_equal(
            evaluate_pair("power", x, 0.5, "fp16", **options), evaluate("sqrt", x, "fp16", **options)
        )
        assert np.array_equal(
            evaluate_pair("power", 2.0, x, "fp16", **options), evaluate("exp2", x, "fp16", **options)
        )
        assert np.array_equal(
            evaluate_pair("logaddexp", 0.0, x, "fp16", **options), evaluate("softplus", x, "fp16", **options)
        )
        assert np.array_equal(
            evaluate_pair("arctan2", x, 1.0, "fp16", **options), evaluate("arctan", x, "fp16", **options)
        )


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_float64_results_are_the_nearest_float64(name):
    rng = np.random.default_rng(3)
    a, b = numbers(get_format("fp32"), rng, 40), numbers(get_format("fp32"), rng, 40)
    a[:20], b[:20] = rng.integers(1, 9, (2, 20))
    a[20:30], b[20:30] = 2.0 ** rng.uniform(-20, 20, 10), rng.uniform(-40, 40, 10)
    got = evaluate_pair(name, a, b, "fp64")
    for x, y, z in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        with gmpy2.context(precision=53, emin=-1073, emax=1024, subnormalize=True):
            if name.startswith("logaddexp"):
                with gmpy2.context(PRECISE):
                    value, _ = MPFR[name](gmpy2.mpfr(x), gmpy2.mpfr(y))
                expected = float(+value)
            else:
                expected = float(MPFR[name](gmpy2.mpfr(x), gmpy2.mpfr(y)))
        assert z == expected or (math.isnan(z) and math.isnan(expected)), (x, y, z, expected)


# -- arrays -------------------------------------------------------------------------------------------


def test_shapes_broadcast_and_any_layout_is_read():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 1, 5)), rng.normal(size=(3, 1))
    for name in FUNCTIONS_OF_TWO:
        y = evaluate_pair(name, np.abs(a), b, "fp16")
        assert y.shape == (7, 3, 5)
        assert y[6, 2, 4] == evaluate_pair(name, abs(a[6, 0, 4]), b[2, 0], "fp16")
        assert np.array_equal(evaluate_pair(name, np.abs(a).astype(">f8"), b.copy(order="F"), "fp16"), y)
        assert evaluate_pair(name, np.empty((0, 3)), 1.0, "fp16").shape == (0, 3)
        assert evaluate_pair(name, 1, 2, "fp16").shape == ()
    a.flags.writeable = False
    before = a.copy()
    evaluate_pair("power", a, 2.0, "fp16", flush_inputs=True)
    assert np.array_equal(a, before)


def test_small_inputs_are_flushed_where_asked():
    tiny = 2.0**-20
    assert evaluate_pair("hypot", tiny, 0.0, "fp16") == tiny
    assert evaluate_pair("hypot", tiny, 0.0, "fp16", flush_inputs=True) == 0.0
    assert evaluate_pair("power", -tiny, -1.0, "fp16", flush_inputs=True) == -inf
    assert evaluate_pair("arctan2", -tiny, -1.0, "fp16", flush_inputs=True) == evaluate_pair(
        "arctan2", -0.0, -1.0, "fp16"
    )
    assert evaluate_pair("power", 3.0, tiny, "fp16", flush_inputs=True, rounding="toward_positive") == 1.0


def test_an_element_does_not_depend_on_its_place():
    rng = np.random.default_rng(0)
    a, b = np.abs(rng.normal(size=(2, 40_000))).astype(np.float16)
    for name in FUNCTIONS_OF_TWO:
        whole = evaluate_pair(name, a, b, "fp16")
        assert np.array_equal(
            whole[20_000:20_500], evaluate_pair(name, a[20_000:20_500], b[20_000:20_500], "fp16")
        )


def test_a_million_pairs_take_seconds():
    rng = np.random.default_rng(0)
    a, b = np.abs(rng.normal(0, 3, (2, 200_000))).astype(np.float16)
    for name in FUNCTIONS_OF_TWO:
        start = time.perf_counter()
        evaluate_pair(name, a, b, "fp16")
        assert (
            time.perf_counter() - start < 10
        )  # a fifth of them, on a machine that is busy with other things


def test_sticky_values_of_pairs_are_exact_or_odd():
    a, b = np.array([3.0, 2.0, 1.0]), np.array([4.0, 1.0, 2.0**-40])
    assert sticky_values("hypot", (a, b)).tolist() == [5.0, math.sqrt(5.0), 1.0 + 2.0**-52]
    assert sticky_values("power", (a, b)).tolist()[:2] == [81.0, 2.0]


def test_bad_input_is_an_error_that_says_what_to_do():
    with pytest.raises(OptionError, match='Use "hypot"'):
        evaluate_pair("hypo", 1.0, 2.0, "fp16")
    with pytest.raises(OptionError, match="exp"):
        evaluate_pair("exp", 1.0, 2.0, "fp16")
    with pytest.raises(ShapeError, match=r"\(2,\) and \(3,\)"):
        evaluate_pair("hypot", [1.0, 2.0], [1.0, 2.0, 3.0], "fp16")
    with pytest.raises(DtypeError, match="complex"):
        evaluate_pair("hypot", [1.0j], [1.0], "fp16")
    with pytest.raises(OverflowPolicyError, match="NaN"):
        evaluate_pair("power", -2.0, 0.5, "fp4")
    with pytest.raises(FormatError, match="Flags"):
        evaluate_pair("hypot", 1.0, 2.0, "fp64", return_flags=True)
    with pytest.raises(OptionError, match="Generator"):
        evaluate_pair("hypot", 1.0, 2.0, "fp16", rounding="stochastic")


def test_the_definition_is_met_by_pythagorean_triples():
    for a, b in itertools.product(range(1, 60), repeat=2):
        c = math.isqrt(a * a + b * b)
        _, flags = evaluate_pair("hypot", a, b, "fp16", return_flags=True)
        assert bool(flags.inexact) == (c * c != a * a + b * b)
