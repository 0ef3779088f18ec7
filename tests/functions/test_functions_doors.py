"""The three doors of a suspect, each by itself: cases, both ends, digits; with kernels that are as bad as allowed.

A float64 function is allowed an error of 256 ulp, and NumPy's are within 4 on every processor so far. Kernels made
worse on purpose show that no result rests on NumPy's being better.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import support
from test_functions import COMPOSED, MPFR, exact, hard
from test_pairs import MPFR as MPFR_OF_TWO
from test_pairs import exact as exact_pair

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.functions import suspects
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO, evaluate, evaluate_pair
from floatlab.functions.pairs import PAIRS
from floatlab.functions.table import TABLE

gmpy2 = pytest.importorskip("gmpy2")

PRECISE = gmpy2.context(precision=200, emin=-(2**40), emax=2**40)


def in_mpfr(name, *xs):
    function = COMPOSED[name][0] if name in COMPOSED else MPFR[name] if name in MPFR else MPFR_OF_TWO[name]
    with gmpy2.context(PRECISE):
        y = function(*map(gmpy2.mpfr, xs))
    return y[0] if isinstance(y, tuple) else y


def wrong_cases(name, function, oracle, *xs):
    """Return where a case's value is not the exact result, rounded to odd."""
    found = []
    with np.errstate(all="ignore"):
        settled = ~np.isfinite(function.kernel(*xs)) & np.isnan(function.kernel(*xs))
        for case in function.cases:
            here = np.flatnonzero(~settled & case.where(*xs))
            settled[here] = True
            at = tuple(x[here] for x in xs)
            values = np.broadcast_to(case.value(*at) if callable(case.value) else case.value, here.shape)
            for value, *numbers in zip(values.tolist(), *(x.tolist() for x in at), strict=True):
                if abs(value) == 2.0**-1074:
                    good = abs(in_mpfr(name, *numbers)) < 2.0**-1074
                elif 0 < abs(value) <= 2.0**-1000:
                    continue  # the oracle ends there
                else:
                    good = value == oracle(name, *numbers)
                if not good:
                    found.append((name, numbers, value))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_case_begins_only_where_its_value_is_the_exact_result_rounded_to_odd(name):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            10 ** rng.uniform(-20, 3.2, 600),
            rng.uniform(5, 45, 300),
            rng.uniform(690, 760, 200),
            rng.uniform(1000, 1100, 100),
            2.0 ** rng.integers(-60, 60, 100),
            2.0 ** rng.uniform(-29, -25, 200),
            2.0 ** rng.uniform(-56, -50, 200),
            np.arange(40.0),
            10.0 ** np.arange(23),
        ]
    )
    x = np.concatenate([x, -x])
    assert wrong_cases(name, TABLE[name], exact, x) == []


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_a_case_of_two_begins_only_where_its_value_is_the_exact_result_rounded_to_odd(name):
    rng = np.random.default_rng(1)
    n = 1500
    a = np.concatenate([rng.normal(0, 4, n), 2.0 ** rng.uniform(-40, 40, n), rng.integers(-5, 6, n) / 2.0])
    b = np.concatenate([rng.normal(0, 4, n), 2.0 ** rng.uniform(-40, 40, n), rng.integers(-5, 6, n) / 2.0])
    b[: n // 3] *= 2.0 ** rng.uniform(-60, 0, n // 3)
    if name == "power":  # results near the ends of float64, and near 1
        a[:n] = np.abs(a[:n])
        b[n // 3 : n] = (
            rng.uniform(990, 1090, n - n // 3) / np.log2(a[n // 3 : n]) * rng.choice([-1, 1], n - n // 3)
        )
    if name.startswith("logaddexp"):
        a[: n // 2] *= 2.0 ** rng.uniform(-70, 0, n // 2)
        b[: n // 2] = a[: n // 2] - rng.uniform(20, 130, n // 2)
        a[n : n + 200], b[n : n + 200] = 0.0, -rng.uniform(600, 1200, 200)
    assert wrong_cases(name, PAIRS[name], exact_pair, a, b) == []


def worse(function, by):
    """Return a function whose kernel is wrong by so many units of the last place, and useless below 2^-960."""

    def kernel(*xs):
        y = function.kernel(*xs)
        y = np.where(np.isfinite(y), y * (1 + by * 2.0**-53), y)
        return np.where(np.abs(y) < 2.0**-960, y * 1.25, y)

    return replace(function, kernel=kernel)


@pytest.mark.parametrize("by", [-240, -60, -6, 6, 60, 240])
@pytest.mark.parametrize("name", ["exp", "log", "sin", "tanh", "cbrt", "arctan", "sqrt"])
def test_no_result_rests_on_numpys_being_better_than_allowed(monkeypatch, name, by):
    fmt = get_format("fp16")
    x = np.concatenate(
        [hard(name, fmt.precision), hard(name, fmt.precision + 1), [0.0, 1.0, 4.0, 1e-9, 30.0]]
    )
    y = np.array([exact(name, v) for v in x.tolist()])
    monkeypatch.setitem(suspects.ALL, name, worse(TABLE[name], by))
    for rounding in support.DETERMINISTIC:
        expected = support.all_values(fmt)[support.expected_codes(y, fmt, rounding=rounding)]
        assert np.array_equal(evaluate(name, x, fmt, rounding=rounding), expected, equal_nan=True)
    wide = evaluate(name, x, "fp32")
    monkeypatch.undo()
    assert np.array_equal(wide, evaluate(name, x, "fp32"), equal_nan=True)


@pytest.mark.parametrize("by", [-200, 200])
@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_no_result_of_two_rests_on_numpys_being_better_than_allowed(monkeypatch, name, by):
    rng = np.random.default_rng(2)
    a, b = np.abs(rng.normal(0, 2, (2, 3000))).astype(np.float16)
    expected = [evaluate_pair(name, a, b, fmt, rounding="to_odd") for fmt in ("fp16", "tf32")]
    monkeypatch.setitem(suspects.ALL, name, worse(PAIRS[name], by))
    for fmt, values in zip(("fp16", "tf32"), expected, strict=True):
        assert np.array_equal(evaluate_pair(name, a, b, fmt, rounding="to_odd"), values)


def test_stochastic_rounding_looks_at_as_many_bits_as_it_draws(monkeypatch):
    """Results beside a number of precision + random_bits bits: which side they are on decides for one draw."""
    fmt, bits = get_format("fp16"), 20
    x = hard("exp", fmt.precision + bits)
    y = np.array([exact("exp", v) for v in x.tolist()])
    position = y / 2.0 ** (np.frexp(y)[1] - fmt.precision)  # in units of the last place
    fraction = np.floor((position - np.floor(position)) * 2.0**bits).astype(np.int64)
    for by in (-200, 0, 200):
        monkeypatch.setitem(suspects.ALL, "exp", worse(TABLE["exp"], by))
        for shift in (-1, 0, 1):
            integers = np.clip((1 << bits) - fraction + shift, 0, (1 << bits) - 1)
            options = {"rounding": "stochastic", "random_bits": bits, "random_integers": integers}
            expected = support.all_values(fmt)[support.expected_codes(y, fmt, **options)]
            assert np.array_equal(evaluate("exp", x, fmt, **options), expected)
        monkeypatch.undo()


def test_results_below_the_normal_range_of_float64_are_computed_in_digits(monkeypatch):
    deep = FloatFormat("deep", 11, 10)
    x = np.array([-700.0, -701.0, -707.3, -690.11, -709.5, -710.1])
    y = np.array([float(in_mpfr("exp", v)) for v in x.tolist()])  # of 42 bits or more: enough for 11
    monkeypatch.setitem(suspects.ALL, "exp", worse(TABLE["exp"], 0))
    got = evaluate("exp", x, deep)
    assert got.tolist() == [reference.to_float(reference.round(v, deep).value) for v in y.tolist()]
    assert got[1] > 1e-305


def test_poles_and_domain_errors_raise_one_flag_each_in_formats_without_infinity():
    for options in ({"overflow": "saturate"}, {}):
        _, flags = evaluate("log", [0.0, -1.0], "e4m3", return_flags=True, **options)
        assert flags.divide_by_zero.tolist() == [True, False]
        for name in ("overflow", "underflow", "inexact"):
            assert not getattr(flags, name).any()
    assert math.isnan(evaluate("log", 0.0, "e4m3"))
