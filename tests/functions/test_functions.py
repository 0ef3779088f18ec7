"""Elementary functions: correctly rounded in every mode, against MPFR; special values; the same bits on every CPU.

The oracle is MPFR, which rounds correctly and says on which side of the result it did. Its 53-bit result, rounded to
odd, is rounded on by the table look-up of tests/support.py, which shares no code with floatlab.rounding.quantize.
"""

import functools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import support

from floatlab.errors import FormatError, OptionError, OverflowPolicyError
from floatlab.formats import FloatFormat, get_format
from floatlab.functions import evaluate as functions
from floatlab.functions.evaluate import FUNCTIONS, evaluate
from floatlab.functions.suspects import sticky_values

gmpy2 = pytest.importorskip("gmpy2")

ROOT = Path(__file__).parents[2]
MPFR = {
    "exp": gmpy2.exp,
    "exp2": gmpy2.exp2,
    "expm1": gmpy2.expm1,
    "log": gmpy2.log,
    "log2": gmpy2.log2,
    "log10": gmpy2.log10,
    "log1p": gmpy2.log1p,
    "sin": gmpy2.sin,
    "cos": gmpy2.cos,
    "tan": gmpy2.tan,
    "sinh": gmpy2.sinh,
    "cosh": gmpy2.cosh,
    "tanh": gmpy2.tanh,
    "erf": gmpy2.erf,
    "sqrt": gmpy2.sqrt,
    "rsqrt": gmpy2.rec_sqrt,
    "reciprocal": lambda x: 1 / x,
    "cbrt": gmpy2.cbrt,
    "arcsin": gmpy2.asin,
    "arccos": gmpy2.acos,
    "arctan": gmpy2.atan,
    "arcsinh": gmpy2.asinh,
    "arccosh": gmpy2.acosh,
    "arctanh": gmpy2.atanh,
}
# What MPFR lacks is composed in 200 bits. None of these is ever a short number but at 0, so where 200 bits show one,
# the exact result lies beside it, on the side given by the second function: outward (True) or inward of it.
COMPOSED = {
    "sigmoid": (lambda x: 1 / (1 + gmpy2.exp(-x)), lambda x: 0 < x < 1),
    "softplus": (lambda x: max(x, 0) + gmpy2.log1p(gmpy2.exp(-abs(x))), lambda x: True),
    "gelu": (lambda x: x / 2 * gmpy2.erfc(-x / gmpy2.sqrt(gmpy2.mpfr(2))), lambda x: 0 < x < 1),
    "deg2rad": (lambda x: x * gmpy2.const_pi() / 180, lambda x: False),
    "rad2deg": (lambda x: x * 180 / gmpy2.const_pi(), lambda x: False),
}
EXACT = {
    ("sigmoid", 0.0): 0.5,
    ("sigmoid", -math.inf): 0.0,
    ("sigmoid", math.inf): 1.0,
    ("softplus", -math.inf): 0.0,
    ("softplus", math.inf): math.inf,
    ("gelu", 0.0): 0.0,
    ("gelu", -math.inf): -0.0,
    ("gelu", math.inf): math.inf,
    ("deg2rad", 0.0): 0.0,
    ("rad2deg", 0.0): 0.0,
}
ODD_FUNCTIONS = (
    "sin",
    "tan",
    "sinh",
    "tanh",
    "erf",
    "reciprocal",
    "cbrt",
    "arcsin",
    "arctan",
    "arcsinh",
    "arctanh",
)
ODD_FUNCTIONS += ("deg2rad", "rad2deg")
LARGEST, TINY = sys.float_info.max, 2.0**-1000 * (1 + 2.0**-52)
PRECISE = gmpy2.context(precision=200, emin=-10000, emax=10000)
TRUNCATING = gmpy2.context(precision=53, round=gmpy2.RoundToZero, emin=-10000, emax=10000)


def exact(name: str, x: float) -> float:
    """Return f(x) rounded to odd at 53 bits; beyond 2**±1000 any odd number serves."""
    if math.isnan(x):
        return x
    if (name, x) in EXACT:
        return math.copysign(EXACT[name, x], x) if name in ("gelu", *ODD_FUNCTIONS) else EXACT[name, x]
    if name == "rsqrt" and x == 0:  # IEEE 754-2019, section 9.2.1; MPFR gives +inf for -0
        return math.copysign(math.inf, x)
    outward = False
    if name in COMPOSED:
        function, side = COMPOSED[name]
        with gmpy2.context(PRECISE):
            value = function(gmpy2.mpfr(x))
        with gmpy2.context(TRUNCATING):
            result = +value
            inexact, outward = True, result == value and side(x)
    else:
        with gmpy2.context(TRUNCATING):
            result = MPFR[name](gmpy2.mpfr(x))
            inexact = result.rc != 0
            value = result
    y = float(result)
    if math.isinf(y) and gmpy2.is_infinite(result):
        return y
    if abs(result) > LARGEST:
        return math.copysign(LARGEST, y)
    if abs(result) < TINY and (inexact or result != 0):
        return math.copysign(TINY, x if name in ("gelu", *ODD_FUNCTIONS) else 1.0)
    if not inexact or math.frexp(y)[0] * 2.0**53 % 2:
        return y
    if name in COMPOSED and result == value and not outward:
        return math.nextafter(y, 0)
    return math.nextafter(y, math.copysign(math.inf, y))


@functools.cache
def exact_table(name: str, fmt: FloatFormat) -> tuple[np.ndarray, np.ndarray]:
    """Return all values of a format, and f of each, rounded to odd."""
    x = support.all_values(fmt)
    if name in ODD_FUNCTIONS and fmt.has_negative_zero:  # f(-x) = -f(x) halves the work
        half = np.array([exact(name, v) for v in x[: len(x) // 2].tolist()])
        return x, np.concatenate([half, -half])
    return x, np.array([exact(name, v) for v in x.tolist()])


def wrong(name: str, fmt: FloatFormat, x: np.ndarray, y: np.ndarray, **options: object) -> list[str]:
    """Compare `evaluate` on x with the oracle's f(x), rounded to odd: y."""
    if not fmt.has_nan:
        x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    expected = support.all_values(fmt)[support.expected_codes(y, fmt, **options)]
    given = x.astype(fmt.value_dtype) if np.all(np.isnan(x) | (x.astype(fmt.value_dtype) == x)) else x
    got = evaluate(name, given, fmt, **options)
    assert got.dtype == fmt.value_dtype
    bad = support.bits64(got, False) != support.bits64(expected, False)
    return [f"{name}({x[i]!r}) is {got[i]!r}, not {expected[i]!r}" for i in np.flatnonzero(bad)]


def test_the_table_of_functions_is_the_oracles():
    assert set(FUNCTIONS) == {*MPFR, *COMPOSED}


@pytest.mark.parametrize("fmt", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_16_bit_input_is_correctly_rounded(name, fmt):
    fmt = get_format(fmt)
    x, y = exact_table(name, fmt)
    for rounding in ("nearest_even", "to_odd"):
        assert wrong(name, fmt, x, y, rounding=rounding) == []


EIGHT = [fmt for fmt in (*support.CATALOGUE_8, *support.ODD) if fmt.bits <= 10]


@pytest.mark.parametrize("fmt", EIGHT, ids=support.name_of)
def test_every_8_bit_input_is_correctly_rounded_in_every_mode(fmt):
    for name in FUNCTIONS:
        x, y = exact_table(name, fmt)
        for rounding in support.DETERMINISTIC:
            assert wrong(name, fmt, x, y, rounding=rounding) == []
        for policy in support.policies_of(fmt):
            assert wrong(name, fmt, x, y, overflow=policy) == []
        assert wrong(name, fmt, x, y, subnormals="flush") == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_mode_is_correctly_rounded_to_float16_from_hard_float64_arguments(name):
    """Arguments whose results lie beside a value or a midpoint, so that float64 alone could not tell: see `hard`."""
    fmt = get_format("float16")
    x = hard(name, fmt.precision + 1)
    y = np.array([exact(name, v) for v in x.tolist()])
    for rounding in support.DETERMINISTIC:
        assert wrong(name, fmt, x, y, rounding=rounding) == []


INVERSES = {
    "exp": gmpy2.log,
    "exp2": gmpy2.log2,
    "expm1": gmpy2.log1p,
    "log": gmpy2.exp,
    "log2": gmpy2.exp2,
    "log10": gmpy2.exp10,
    "log1p": gmpy2.expm1,
    "sin": gmpy2.asin,
    "cos": gmpy2.acos,
    "tan": gmpy2.atan,
    "sinh": gmpy2.asinh,
    "cosh": gmpy2.acosh,
    "tanh": gmpy2.atanh,
    "sigmoid": lambda y: gmpy2.log(y / (1 - y)),
    "softplus": lambda y: gmpy2.log(gmpy2.expm1(y)),
    "sqrt": lambda y: y * y,
    "rsqrt": lambda y: 1 / (y * y),
    "reciprocal": lambda y: 1 / y,
    "cbrt": lambda y: y**3,
    "arcsin": gmpy2.sin,
    "arccos": gmpy2.cos,
    "arctan": gmpy2.tan,
    "arcsinh": gmpy2.sinh,
    "arccosh": gmpy2.cosh,
    "arctanh": gmpy2.tanh,
    "deg2rad": lambda y: y * 180 / gmpy2.const_pi(),
    "rad2deg": lambda y: y * gmpy2.const_pi() / 180,
}


def hard(name: str, bits: int) -> np.ndarray:
    """Return the float64 numbers that f takes nearest to numbers of `bits` bits, and their neighbours."""
    rng = np.random.default_rng(1)
    targets = rng.integers(1 << bits - 1, 1 << bits, 150) * 2.0 ** (rng.integers(-4, 3, 150) - bits)
    targets = np.concatenate([targets, 1 + targets / 4, 1 - targets * 2.0**-9])
    if name not in INVERSES:  # erf and gelu: look for the argument
        found = []
        for target in targets[:100].tolist():
            low, high = 0.0, 30.0
            for _ in range(70):
                middle = (low + high) / 2
                low, high = (middle, high) if exact(name, middle) < target else (low, middle)
            found.append(high)
        x = np.array(found)
    else:
        with gmpy2.context(PRECISE):
            x = np.array([float(INVERSES[name](gmpy2.mpfr(t))) for t in targets.tolist()])
    x = x[np.isfinite(x)]
    return np.unique(np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)]))


@pytest.mark.parametrize("rounding", ["nearest_even", "toward_positive", "to_odd"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_correctly_rounded(name, rounding):
    """Random bits, ordinary numbers, neighbours of multiples of pi / 2, hard cases; MPFR rounds to 24 bits itself."""
    rng = np.random.default_rng(7)
    n = 1500
    x = np.concatenate(
        [
            rng.integers(0, 2**32, n, dtype=np.uint32).view(np.float32),
            rng.normal(0, 3, n).astype(np.float32),
            rng.uniform(-90, 90, n).astype(np.float32),
            (np.rint(10 ** rng.uniform(0, 30, n)) * (np.pi / 2)).astype(np.float32),
            hard(name, 25).astype(np.float32),
            np.array(
                [0.0, 1.0, 2.0**-149, 2.0**-126, 16367173 * 2.0**72, 3.4e38, 88.72284, -103.97209]
            ).astype(np.float32),
        ]
    )
    x = np.concatenate([x, -x])
    x = x[np.isfinite(x)]
    got = evaluate(name, x, "fp32", rounding=rounding)
    assert got.dtype == np.float32
    expected = np.array([round_float32(exact(name, v), rounding) for v in x.tolist()], np.float32)
    bad = support.bits64(got, False) != support.bits64(expected, False)
    assert [(name, x[i], got[i], expected[i]) for i in np.flatnonzero(bad)] == []


def round_float32(y: float, rounding: str) -> float:
    """Round a float64 that was rounded to odd to float32, by MPFR with float32's exponents."""
    if y == 0 or not math.isfinite(y):
        return y
    mode = {
        "nearest_even": gmpy2.RoundToNearest,
        "toward_positive": gmpy2.RoundUp,
        "to_odd": gmpy2.RoundToZero,
    }[rounding]
    with gmpy2.context(precision=24, round=mode, emin=-148, emax=128, subnormalize=True):
        result = gmpy2.mpfr(y)
        value = float(result)
        if rounding != "to_odd" or value == y:
            return value
    bits = int(np.array(abs(value), np.float32).view(np.uint32))
    return math.copysign(float(np.array(bits | 1, np.uint32).view(np.float32)), y)


@pytest.mark.parametrize("mode", support.STOCHASTIC)
def test_stochastic_rounding_replays_from_its_integers(mode):
    rng = np.random.default_rng(3)
    for fmt, bits in (("e4m3", 8), ("float16", 24), ("bfloat16", 40)):
        fmt = get_format(fmt)
        x = rng.normal(0, 2, 400)
        integers = rng.integers(0, 1 << bits, x.size)
        for name in ("exp", "tanh", "sin", "sigmoid", "exp2", "log1p"):
            x[:3] = 0.0, 1.0, -1.0
            y = np.array([exact(name, v) for v in x.tolist()])
            keep = np.isfinite(y)
            x, y, integers = x[keep], y[keep], integers[keep]
            assert wrong(name, fmt, x, y, rounding=mode, random_integers=integers, random_bits=bits) == []


def test_stochastic_rounding_is_unbiased_and_takes_one_draw_for_each_element():
    x = np.full(20000, 0.3)
    values = evaluate("exp", x, "e4m3", rounding="stochastic", rng=np.random.default_rng(0))
    assert set(np.unique(values)) == {1.25, 1.375}
    assert abs(values.mean() - math.exp(0.3)) < 0.002
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    both = evaluate("exp", x[:101], "e4m3", rounding="stochastic", rng=rng)
    y = sticky_values("exp", x[:101])
    from floatlab.rounding.quantize import quantize

    assert np.array_equal(both, quantize(y, "e4m3", rounding="stochastic", rng=again))


def test_flags_follow_the_function_and_the_rounding():
    x = np.array([0.0, 1.0, -1.0, np.inf, np.nan, 12.0, -20.0])
    _, flags = evaluate("exp", x, "fp16", return_flags=True)
    assert flags.inexact.tolist() == [False, True, True, False, False, True, True]
    assert flags.overflow.tolist() == [False, False, False, False, False, True, False]
    assert flags.underflow.tolist() == [False, False, False, False, False, False, True]
    _, flags = evaluate("log", np.array([0.0, -1.0, np.nan, 1.0, np.inf]), "fp16", return_flags=True)
    assert flags.divide_by_zero.tolist() == [True, False, False, False, False]
    assert flags.invalid.tolist() == [False, True, False, False, False]
    assert not flags.inexact.any()
    assert not flags.overflow.any()
    _, flags = evaluate("tanh", np.array([30.0, np.inf, 0.0]), "fp32", return_flags=True)
    assert flags.inexact.tolist() == [True, False, False]
    _, flags = evaluate("exp2", np.array([3.0, -25.0, 0.5]), "fp16", return_flags=True)
    assert flags.inexact.tolist() == [False, True, True]
    _, flags = evaluate("sqrt", np.array([2.25, 2.0, -0.0, -1.0]), "fp16", return_flags=True)
    assert flags.inexact.tolist() == [False, True, False, False]
    assert flags.invalid.tolist() == [False, False, False, True]


def test_a_pole_is_an_infinity_and_the_rest_an_overflow():
    assert evaluate("exp", [1000.0, np.inf], "fp16", rounding="toward_zero").tolist() == [65504.0, np.inf]
    assert evaluate("log", [0.0, -0.0], "fp16", rounding="toward_zero").tolist() == [-np.inf, -np.inf]
    assert evaluate("reciprocal", [0.0, -0.0, 1e-40], "fp16", rounding="toward_zero").tolist() == [
        np.inf,
        -np.inf,
        65504.0,
    ]
    assert np.isnan(evaluate("exp", [1000.0], "e4m3")).all()
    assert evaluate("exp", [1000.0], "e4m3", overflow="saturate").item() == 448.0


def test_zeros_keep_their_sign():
    for name in {"expm1", "log1p", "gelu", "sqrt", *ODD_FUNCTIONS} - {"reciprocal"}:
        assert np.signbit(evaluate(name, [-0.0, 0.0], "fp32")).tolist() == [True, False], name
        assert not np.signbit(evaluate(name, [-0.0], "float8_e4m3fnuz")).any()  # which has no -0
    assert np.signbit(evaluate("gelu", [-200.0], "fp32")).all()


def test_a_nan_has_the_sign_of_its_argument_and_else_none():
    for size in (3, 5000):  # the direct way and the table
        x = np.tile(np.array([np.nan, -np.nan, -1.0], np.float32), size)
        signaling = np.array([0x7F800001, 0xFF800001], np.uint32).view(np.float32)
        for fmt in ("fp16", "fp32"):
            assert np.signbit(evaluate("log", x, fmt)[:3]).tolist() == [False, True, False]
            assert np.signbit(evaluate("softplus", signaling, fmt)).tolist() == [False, True]


def test_a_table_gives_what_the_direct_way_gives():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**16, 5000, dtype=np.uint16).view(np.float16)
    x = np.where(np.isnan(x), np.copysign(np.float16(np.nan), x), x).astype(np.float32)  # quiet NaNs
    for fmt in ("fp16", "e5m2", "fp32", "float8_e4m3fnuz"):
        for options in ({}, {"rounding": "toward_negative"}, {"flush_inputs": True, "overflow": "saturate"}):
            once = evaluate("sinh", x, fmt, **options)
            pieces = [
                evaluate("sinh", x[i : i + 100].astype(np.float64), fmt, **options)
                for i in range(0, 5000, 100)
            ]
            assert np.array_equal(once.view(np.uint32), np.concatenate(pieces).view(np.uint32))


def test_a_table_is_not_used_for_longer_numbers():
    x = np.full(5000, 1.5, np.float32)
    x[4999] = np.float32(1.5 + 2.0**-13)
    assert evaluate("exp", x, "fp32")[4999] == np.float32(math.exp(1.5 + 2.0**-13))


def test_small_inputs_are_flushed_where_asked():
    x = np.array([2.0**-20, -(2.0**-20), 2.0**-14])
    assert evaluate("sin", x, "fp16").tolist() == x.tolist()
    flushed = evaluate("sin", x, "fp16", flush_inputs=True)
    assert flushed.tolist() == [0.0, -0.0, 2.0**-14]
    assert np.signbit(flushed).tolist() == [False, True, False]
    assert evaluate("log", x[:1], "fp16", flush_inputs=True).item() == -np.inf


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3), (1, 5000), (40000,)])
def test_the_shape_stays_and_any_layout_is_read(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    for fmt in ("fp32", "fp16"):
        y = evaluate("tanh", x, fmt)
        assert y.shape == shape
        assert np.array_equal(evaluate("tanh", x.copy(order="F"), fmt), y)
        assert np.array_equal(evaluate("tanh", x.astype(">f8"), fmt), y)
        if x.ndim == 2:
            assert np.array_equal(evaluate("tanh", x[:, ::2], fmt), y[:, ::2])


def test_the_argument_is_left_alone():
    x = np.array([1.0, 1e-30, np.nan, -5.0])
    before = x.copy()
    for name in FUNCTIONS:
        evaluate(name, x, "fp16", flush_inputs=True)
        evaluate(name, x, "fp32")
    assert np.array_equal(x, before, equal_nan=True)


def test_integers_and_narrow_arrays_are_arguments_too():
    assert evaluate("exp2", [0, 1, 10], "fp16").tolist() == [1.0, 2.0, 1024.0]
    assert evaluate("sqrt", np.arange(5, dtype=np.int8), "e4m3").tolist() == [0.0, 1.0, 1.375, 1.75, 2.0]
    assert evaluate("exp", np.float16([0.5]), np.float16).tolist() == [1.6484375]


def test_bad_input_is_an_error_that_says_what_to_do():
    with pytest.raises(OptionError, match='Use "exp"'):
        evaluate("exo", [1.0], "fp16")
    with pytest.raises(FormatError, match="float16"):
        evaluate("exp", [1.0], "float17")
    with pytest.raises(OptionError, match="nearest_even"):
        evaluate("exp", [1.0], "fp16", rounding="nearest_evn")
    with pytest.raises(OverflowPolicyError, match="infinity"):
        evaluate("exp", [1.0], "e4m3", overflow="infinity")
    with pytest.raises(OverflowPolicyError, match="NaN"):
        evaluate("log", [-1.0], "fp4")
    with pytest.raises(FormatError, match="exp, expm1"):
        evaluate("cosh", [1.0], "fp64")
    with pytest.raises(FormatError, match="Flags"):
        evaluate("exp", [1.0], "fp64", return_flags=True)
    with pytest.raises(FormatError, match="bias"):
        evaluate("exp", [1.0], FloatFormat("low", 5, 10, 1064))
    with pytest.raises(OptionError, match="Generator"):
        evaluate("exp", [1.0], "fp16", rounding="stochastic")
    with pytest.raises(TypeError):
        evaluate("exp", ["one"], "fp16")
    with pytest.raises(TypeError, match="float64"):
        evaluate("sin", 2**60 + 1, "fp16")  # the sine of no other number


def test_formats_wider_than_float32_take_the_float64_functions():
    x = np.linspace(-3, 3, 50)
    for name, function in functions.TABLE.items():
        if function.primitive is not None:
            with np.errstate(all="ignore"):
                expected = function.primitive(x)
            assert np.array_equal(evaluate(name, x, "fp64"), expected, equal_nan=True)
    assert evaluate("exp", [1.0], FloatFormat("e11m40", 11, 40)).item() == round(math.e * 2**39) / 2**39


@pytest.mark.parametrize(
    ("overflow", "expected"),
    [
        (None, np.inf),
        ("nan", np.nan),
        ("saturate", 2.0**1023 * (2 - 2.0**-52)),
        ("propagate", 2.0**1023 * (2 - 2.0**-52)),
    ],
)
def test_a_finite_result_beyond_float64_becomes_what_the_policy_says(overflow, expected):
    assert np.array_equal(evaluate("exp", 1e4, "fp64", overflow=overflow), expected, equal_nan=True)
    if overflow == "propagate":  # an infinity of its own stays
        assert evaluate("exp", np.inf, "fp64", overflow=overflow) == np.inf
        assert evaluate("log", 0.0, "fp64", overflow=overflow) == -np.inf


def test_sticky_values_are_exact_or_odd():
    for name in FUNCTIONS:
        x = np.array([0.25, 1.0, 4.0, 1e-20, 30.0, 2.0, 100.0])
        y = sticky_values(name, x)
        expected = np.array([exact(name, v) for v in x.tolist()])
        near = (y != expected) & ~np.isnan(expected)  # far from any short number y need not be odd
        assert np.all(np.abs(y[near] - expected[near]) < 2.0**-44 * np.abs(expected[near]))
        for fmt in ("fp32", "fp16"):
            for rounding in ("to_odd", "toward_positive"):
                assert wrong(name, get_format(fmt), x, y, rounding=rounding) == [] if fmt == "fp16" else True


PROGRAM = """
import hashlib, numpy as np
from floatlab.functions import float64 as wide
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO, evaluate, evaluate_pair
rng = np.random.default_rng(0)
bits = rng.integers(0, 2**32, 40000, np.uint32).view(np.float32)
x = np.concatenate([rng.normal(0, 3, 40000).astype(np.float32), bits, np.float32([np.nan, np.inf, -np.inf, -1, 0])])
digest = hashlib.sha256()
for name in FUNCTIONS:
    for fmt, mode in (("fp32", "nearest_even"), ("fp32", "toward_zero"), ("fp16", "to_odd"), ("e4m3", "nearest_even")):
        digest.update(evaluate(name, x, fmt, rounding=mode).tobytes())
a, b = x[-45000:-40000], x[-5000:]
for name in FUNCTIONS_OF_TWO:
    for fmt, mode in (("fp32", "toward_zero"), ("fp16", "to_odd"), ("fp64", "nearest_even")):
        few = slice(0, 100 if fmt == "fp64" else None)
        digest.update(evaluate_pair(name, a[few], b[few], fmt, rounding=mode).tobytes())
for name in ("arcsin", "arccos", "arctan", "cbrt", "arcsinh", "arctanh"):
    digest.update(evaluate(name, x[:100], "fp64").tobytes())
for name in wide.__all__:
    digest.update(getattr(wide, name)(x.astype(np.float64)).tobytes())
print(digest.hexdigest())
"""


def test_every_cpu_gives_the_same_bits():
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    present = [feature for feature in __cpu_dispatch__ if __cpu_features__.get(feature)]
    advanced = [f for f in present if "512" in f or f == "X86_V4"]
    digests = set()
    for disabled in ([], advanced, present):
        environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled), "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        digests.add(result.stdout)
    assert len(digests) == 1
