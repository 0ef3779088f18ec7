"""Variances, medians, quantiles and averages: exact rational numbers of `fractions`, rounded once by the reference."""

import itertools
import math
from fractions import Fraction

import gmpy2
import numpy as np
import pytest
from support import DETERMINISTIC, all_values, bits64, name_of

import floatlab as fl
from floatlab import reference
from floatlab.array.core import FloatArray
from floatlab.array.statistics import estimates, exact_sums
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError
from floatlab.formats import get_format
from floatlab.operations.operate import operate

FORMATS = tuple(get_format(n) for n in ("e4m3", "e5m2fnuz", "binary8p4ue", "fp16", "bf16", "fp32", "fp64"))
MODES = ("nearest_even", "toward_negative", "toward_positive")


def rounded(x, fmt, rounding="nearest_even", overflow=None):
    number = x if isinstance(x, Fraction) else reference.exact(x)
    return reference.to_float(
        reference.decode(reference.round(number, fmt, rounding=rounding, overflow=overflow).code, fmt)
    )


def exact_var(row, ddof=0):
    """Return the variance as a Fraction, or as a float where it is infinite or NaN."""
    n = len(row)
    if n == 0 or not all(map(math.isfinite, row)):
        return math.nan
    numbers = [Fraction(v) for v in row]
    mean = sum(numbers) / n
    spread = sum((v - mean) ** 2 for v in numbers)
    if n - ddof <= 0:
        return math.inf if spread else math.nan
    return spread / Fraction(n - ddof)


def root(x):
    """Return a Fraction on the same side of every mark as the square root: 400 bits, the last of which is sticky."""
    if not isinstance(x, Fraction):
        return math.sqrt(x)
    scaled = (x.numerator << 4800) // x.denominator
    found, rest = gmpy2.isqrt_rem(gmpy2.mpz(scaled))
    exact = rest == 0 and Fraction(scaled, 1 << 4800) == x
    return Fraction(2 * int(found) + (not exact), 1 << 2401)


def random_rows(fmt, rng, m, n):
    """Return rows of ordinary numbers, of all exponents, of equal numbers, and of numbers that differ little."""
    with np.errstate(all="ignore"):
        x = rng.standard_normal((m, n)) * 2.0 ** rng.integers(-3, 4, (m, 1))
        wild = fl.decode(
            rng.integers(0, 2**fmt.bits, (m // 4, n), np.uint64, False).astype(fmt.code_dtype), fmt
        )
        x[: m // 4] = np.where(np.isfinite(wild), wild, 1.0)
        x[m // 4 : m // 3] = 1.0 + rng.integers(0, 3, (m // 3 - m // 4, n)) * fmt.eps
        x[m // 3] = 0.75
        return fl.array(np.abs(x) if not fmt.signed else x, fmt, overflow="saturate")


def same(found, wanted):
    values = found.values if isinstance(found, FloatArray) else found
    wanted = np.array(wanted, float)
    different = np.flatnonzero(bits64(values, False).ravel() != bits64(wanted, False).ravel())
    assert not different.size, [(i, values.flat[i], wanted.flat[i]) for i in different[:4]]


# -- spread ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", (20, 60))
@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_variances_and_deviations_are_the_exact_ones_rounded_once(fmt, rows):
    rng = np.random.default_rng(rows)  # few rows are computed exactly, many are estimated first
    for n, rounding in itertools.product((1, 2, 5, 40), MODES):
        x = random_rows(fmt, rng, rows, n)
        exact = [exact_var(row) for row in x.tolist()]
        with fl.arithmetic(rounding=rounding):
            same(np.var(x, axis=1), [rounded(v, fmt, rounding) for v in exact])
            same(np.std(x, axis=1), [rounded(root(v), fmt, rounding) for v in exact])
            if n > 1:
                unbiased = [exact_var(row, 1) for row in x.tolist()]
                same(np.var(x, axis=1, ddof=1), [rounded(v, fmt, rounding) for v in unbiased])


def test_a_variance_that_float64_loses_altogether():
    x = fl.array(2.0**60 + 2.0**10 * np.arange(8), "fp64")  # NumPy: about right; of float32 numbers, 0
    assert fl.var(x).item() == float(exact_var(x.tolist()))
    y = fl.array(1 + np.arange(4) * 2.0**-10, "fp16")
    assert np.var(y).item() == rounded(exact_var(y.tolist()), get_format("fp16")) > 0
    tiny = fl.array([5e-324, 0.0], "fp64")
    assert fl.var(tiny).item() == 0.0 and fl.var(tiny, rounding="toward_positive").item() == 5e-324
    huge = fl.array([1e308, -1e308], "fp64")
    assert fl.std(huge).item() == 1e308 and fl.var(huge).item() == math.inf
    assert fl.var(huge, overflow="saturate").item() == np.finfo(float).max


def test_an_estimate_never_stands_for_a_tie_or_an_exact_value():
    # Two values a, b have the variance ((a - b) / 2)^2, which for many is a value of the format, or a tie.
    fmt = get_format("e4m3")
    values = all_values(fmt)
    values = values[np.isfinite(values)][::3]
    pairs = np.stack(np.meshgrid(values, values), -1).reshape(-1, 2)
    x = fl.array(pairs, fmt)
    for rounding in DETERMINISTIC:
        table = {}
        wanted = []
        for a, b in pairs.tolist():
            if abs(a - b) not in table:
                table[abs(a - b)] = rounded((Fraction(a - b) / 2) ** 2, fmt, rounding)
            wanted.append(table[abs(a - b)])
        with fl.arithmetic(rounding=rounding):
            same(np.var(x, axis=1), wanted)


def test_estimates_settle_most_rows_and_agree_with_the_exact_sums(monkeypatch):
    x = fl.array(np.random.default_rng(7).standard_normal((400, 30)), "fp32")
    w = np.random.default_rng(8).random((400, 30))
    fast = [np.var(x, axis=1), np.std(x, axis=1), np.nanmean(x, axis=1), np.average(x, axis=1, weights=w)]
    calls = []
    original = exact_sums.integer_sums
    monkeypatch.setattr(exact_sums, "integer_sums", lambda rows: calls.append(len(rows)) or original(rows))
    np.var(x, axis=1)
    assert calls[0] < 20
    monkeypatch.setattr(estimates, "_MANY_ROWS", 10**9)
    slow = [np.var(x, axis=1), np.std(x, axis=1), np.nanmean(x, axis=1), np.average(x, axis=1, weights=w)]
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)


def test_integer_sums_by_exponent_and_one_by_one_agree():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((3, 400)).astype(np.float32).astype(float)
    totals, squares, e = exact_sums.integer_sums(x)
    for row, total, square in zip(x.tolist(), totals, squares, strict=True):
        assert Fraction(total) * Fraction(2) ** e == sum(map(Fraction, row))
        assert Fraction(square) * Fraction(4) ** e == sum(Fraction(v) ** 2 for v in row)
    wide = rng.standard_normal((2, 50)) * 1e-200
    totals, squares, e = exact_sums.integer_sums(wide)
    assert Fraction(squares[1]) * Fraction(4) ** e == sum(Fraction(v) ** 2 for v in wide[1].tolist())


def test_shapes_and_axes_are_those_of_numpy():
    x = np.random.default_rng(10).integers(-8, 9, (2, 3, 4)).astype(float)
    a = fl.array(x, "fp32")
    for name in ("var", "std", "median", "nanmean", "nansum", "nanvar", "nanstd", "nanmedian", "average"):
        function = getattr(np, name)
        for axis in (None, 0, -1, (0, 2), (2, 1)):
            if name == "average" and isinstance(axis, tuple):
                continue
            for keepdims in (False, True):
                wanted = function(x, axis=axis, keepdims=keepdims)
                found = function(a, axis=axis, keepdims=keepdims)
                assert isinstance(found, FloatArray) and found.shape == np.shape(wanted)
                np.testing.assert_allclose(found.values, wanted, 1e-6, 1e-7)
    assert np.std(a=a, axis=1, ddof=1).shape == (2, 4) and np.var(a, correction=1).item() > np.var(a).item()
    with pytest.raises(ShapeError, match="axis"):
        np.var(a, axis=3)
    out = fl.array(np.zeros((2, 3)), "fp32")
    assert np.std(a, axis=2, out=out) is out and out.values.any()


def test_infinities_nans_and_nothing():
    nan, inf = math.nan, math.inf
    x = fl.array([[1.0, nan, 3.0], [1.0, inf, 2.0], [0.0, 0.0, 0.0]], "fp16")
    assert np.isnan(np.var(x, axis=1).values).tolist() == [True, True, False]
    values, flags = fl.var(x, axis=1, return_flags=True)
    assert (
        flags.invalid.tolist() == [False, True, False] and np.signbit(values.values).tolist() == [False] * 3
    )
    assert np.nanvar(x, axis=1).tolist()[0] == 1.0 and np.nanstd(x, axis=1).tolist()[2] == 0.0
    for function in (np.var, np.std, np.median, np.nanmean):
        assert math.isnan(function(fl.array([], "fp16")).item())
    one = fl.array([2.0], "fp16")
    assert math.isnan(np.var(one, ddof=1).item())
    result, flags = fl.var(fl.array([1.0, 2.0], "fp16"), ddof=2, return_flags=True)
    assert result.item() == inf and flags.divide_by_zero.item() and not flags.invalid.item()
    assert np.var(fl.array([1.0, 2.0, 4.0], "fp16"), ddof=0.5).item() == rounded(
        Fraction(14, 3) / Fraction(5, 2), get_format("fp16")
    )
    for bad in ("one", nan, None):
        with pytest.raises(OptionError, match="ddof"):
            np.var(x, ddof=bad)
    for unwanted in ({"dtype": np.float64}, {"where": np.ones((3, 3), bool)}, {"mean": 1.0}):
        with pytest.raises(DtypeError, match=f"numpy.var .* {next(iter(unwanted))}"):
            np.var(x, **unwanted)


def test_an_accumulator_with_an_order_composes_rounded_operations():
    x = fl.array(np.random.default_rng(11).standard_normal((3, 20)), "fp16")
    fmt, values = get_format("fp16"), x.values
    with fl.arithmetic(accumulator="fp16"):
        middle = np.mean(x, axis=1, keepdims=True)
        off = x - middle
        total = np.sum(off * off, axis=1)
        np.testing.assert_array_equal(np.var(x, axis=1).codes, (total / 20.0).codes)
        np.testing.assert_array_equal(np.std(x, axis=1, ddof=1).codes, np.sqrt(total / 19.0).codes)
        with pytest.raises(OptionError, match="Flags of var"):
            fl.var(x, return_flags=True)
        weights = fl.array(np.arange(20.0), "fp16")
        summed = np.sum(x * weights, axis=1) / np.sum(weights)
        np.testing.assert_array_equal(np.average(x, axis=1, weights=weights).codes, summed.codes)
        nan = x.copy()
        nan[:, 3] = np.nan
        kept = np.sum(nan[:, [i for i in range(20) if i != 3]], axis=1)
        np.testing.assert_array_equal(np.nanmean(nan, axis=1).codes, (kept / 19.0).codes)
        assert np.nanstd(nan, axis=1).shape == (3,)
    assert operate("sqrt", (values**2,), fmt).shape == (3, 20)


def test_flags_tell_exact_results_from_inexact_ones():
    with fl.track_flags() as record:
        np.std(fl.array([1.0, 3.0], "fp16"))
        assert str(record) == "no flags"
        np.std(fl.array([1.0, 2.0, 4.0], "fp16"))
    assert record.by_operation["std"]["inexact"] == 1
    _, flags = fl.std(fl.array([1.0, 2.0, 4.0], "fp64"), return_flags=True)
    assert flags.inexact.item() and not flags.overflow.item()


def test_results_in_another_format_and_of_plain_numbers():
    x = fl.array([1.0, 2.0, 4.0], "e4m3")
    assert fl.var(x, "fp32").format.name == "float32"
    plain = fl.std([1.0, 2.0, 4.0], "bf16")
    assert isinstance(plain, np.ndarray) and plain.item() == rounded(
        root(Fraction(14, 9)), get_format("bf16")
    )
    with pytest.raises(FloatlabError, match="format"):
        fl.var([1.0, 2.0])


# -- the middle -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_medians_and_quantiles_are_interpolated_exactly(fmt):
    rng = np.random.default_rng(12)
    for n, rounding in itertools.product((1, 2, 3, 6), MODES):
        x = random_rows(fmt, rng, 24, n)
        with fl.arithmetic(rounding=rounding):
            found = {q: np.quantile(x, q, axis=1) for q in (0.0, 0.1, 0.5, 1.0)}
            middle, third = np.median(x, axis=1), np.percentile(x, 30, axis=1)
        for q, result in {**found, Fraction(1, 2): middle, Fraction(3, 10): third}.items():
            wanted = []
            for row in x.tolist():
                order, place = sorted(row), Fraction(q) * (n - 1)
                low, high = order[math.floor(place)], order[min(math.floor(place) + 1, n - 1)]
                weight = place - math.floor(place)
                value = Fraction(low) + (Fraction(high) - Fraction(low)) * weight
                zero = low if weight == 0 or low == high else -0.0 if rounding == "toward_negative" else 0.0
                wanted.append(rounded(value if value else math.copysign(0.0, zero), fmt, rounding))
            np.testing.assert_array_equal(result.values, wanted)


def test_medians_of_infinities_nans_and_the_largest_numbers():
    nan, inf = math.nan, math.inf
    x = fl.array(
        [[inf, -inf, 1.0, 2.0], [inf, -inf, -inf, inf], [1.0, nan, 2.0, 3.0], [inf, inf, 1.0, 2.0]], "fp16"
    )
    assert bits64(np.median(x, axis=1).values).tolist() == bits64(np.array([1.5, nan, nan, inf])).tolist()
    assert np.nanmedian(x, axis=1).tolist()[2] == 2.0
    assert np.isnan(np.nanmedian(fl.array([nan, nan], "fp16")).item())
    largest = fl.array([65504.0, 65504.0, 65472.0, 65504.0], "fp16")
    assert np.median(largest).item() == 65504.0  # their sum would overflow
    exact = (Fraction(1.7e308) + Fraction(1.6e308)) / 2
    assert np.median(fl.array([1.7e308, 1.6e308], "fp64")).item() == float(exact)
    _, flags = fl.median(x, axis=1, return_flags=True)
    assert flags.invalid.tolist() == [False, True, False, False]


@pytest.mark.parametrize("method", ("linear", "lower", "higher", "midpoint", "nearest"))
def test_methods_of_quantiles_are_those_of_numpy(method):
    x = np.arange(17.0) ** 2
    q = np.arange(65) / 64  # exact, and so are the places
    found = np.quantile(fl.array(x, "fp32"), q, method=method)
    np.testing.assert_allclose(found.values, np.quantile(x, q, method=method), 1e-6)
    nan = np.append(x, np.nan)
    np.testing.assert_array_equal(np.nanquantile(fl.array(nan, "fp32"), q, method=method).codes, found.codes)


def test_quantiles_refuse_what_they_cannot_be():
    x = fl.array([1.0, 2.0, 3.0], "fp16")
    assert np.percentile(x, [[0, 50], [25, 100]]).shape == (2, 2)
    assert np.percentile(x, 10).item() == rounded(Fraction(12, 10), get_format("fp16"))
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(OptionError):
            np.quantile(x, bad)
    with pytest.raises(OptionError, match="method"):
        np.quantile(x, 0.5, method="weibull")
    with pytest.raises(DtypeError, match="weights"):
        np.quantile(x, 0.5, weights=[1, 2, 3])


# -- means ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_averages_are_exact_quotients_rounded_once(fmt):
    rng = np.random.default_rng(13)
    for rows, rounding in itertools.product((8, 50), MODES):
        x = random_rows(fmt, rng, rows, 6)
        w = rng.random((rows, 6)) - 0.25
        w[0, :] = [1, 2, 4, 8, 0.5, 0]
        with fl.arithmetic(rounding=rounding):
            found = np.average(x, axis=1, weights=w)
            same_weights = np.average(x, axis=1, weights=np.arange(1.0, 7))
        for result, weights in ((found, w), (same_weights, np.broadcast_to(np.arange(1.0, 7), w.shape))):
            wanted = []
            for row, factors in zip(x.tolist(), weights.tolist(), strict=True):
                total = sum(Fraction(a) * Fraction(b) for a, b in zip(row, factors, strict=True))
                value = total / sum(map(Fraction, factors))
                wanted.append(rounded(value, fmt, rounding) if value else 0.0)
            np.testing.assert_array_equal(result.values, wanted)


def test_averages_of_special_numbers_and_bad_weights():
    nan, inf = math.nan, math.inf
    x = fl.array([[inf, 1.0], [inf, -inf], [nan, 1.0], [inf, 1.0]], "fp16")
    weights = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    found = np.average(x, axis=1, weights=weights)
    assert bits64(found.values).tolist() == bits64(np.array([inf, nan, nan, nan])).tolist()
    value, scale = np.average(
        fl.array([1.0, 2.0], "fp16"), weights=fl.array([3.0, 1.0], "e4m3"), returned=True
    )
    assert value.item() == 1.25 and scale.item() == 4.0 and isinstance(scale, FloatArray)
    with pytest.raises(OptionError, match="weights"):
        np.average(fl.array([1.0, 2.0], "fp16"), weights=[1.0, -1.0])
    with pytest.raises(ShapeError, match="Weights"):
        np.average(x, weights=[1.0, 2.0, 3.0])
    with pytest.raises(DtypeError, match="no format"):
        np.average(np.ones(2), weights=fl.array([1.0, 2.0], "fp16"))
    assert np.average(x[:1, 1]).item() == 1.0


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_sums_and_means_that_skip_nan(fmt):
    rng = np.random.default_rng(14)
    for rows, rounding in itertools.product((8, 40), MODES):
        x = random_rows(fmt, rng, rows, 7)
        x[::2, 2] = np.nan
        x[1, :] = np.nan
        with fl.arithmetic(rounding=rounding):
            found, total = np.nanmean(x, axis=1), np.nansum(x, axis=1)
        exact = [[Fraction(v) for v in row if not math.isnan(v)] for row in x.tolist()]
        wanted = [rounded(sum(r) / len(r), fmt, rounding) if r else math.nan for r in exact]
        np.testing.assert_array_equal(found.values, wanted)
        if fmt.precision < 40:  # "wide" sums of float64 are rounded term by term
            np.testing.assert_array_equal(
                total.values, [rounded(sum(r, Fraction(0)), fmt, rounding) for r in exact]
            )


def test_products_and_partial_results_that_skip_nan():
    x = fl.array([2.0, np.nan, 3.0], "e4m3")
    assert np.nanprod(x).item() == 6.0 and np.nancumsum(x).tolist() == [2.0, 2.0, 5.0]
    assert np.nancumprod(x).tolist() == [2.0, 2.0, 6.0] and np.nansum(a=x).item() == 5.0
    scales = fl.array([2.0, np.nan, 4.0], "float8_e8m0fnu")  # a format without a zero
    assert np.nansum(scales).item() == rounded(Fraction(6), scales.format)
    assert np.nanmean(scales).item() == rounded(Fraction(3), scales.format)
    assert np.signbit(np.nanmean(fl.array([-0.0, np.nan], "fp16")).item())
    assert not np.signbit(np.nanmean(fl.array([-0.0, 0.0], "fp16")).item())
    with pytest.raises(DtypeError, match="initial"):
        np.nansum(x, initial=2.0)


@pytest.mark.parametrize("function", [np.var, np.std, np.nanvar, np.nanstd, np.nanmean, np.nansum])
def test_a_where_that_leaves_all_out_is_refused_and_not_passed_over(function):
    x = fl.array([1.0, 2.0, 4.0], "e4m3")
    with pytest.raises(DtypeError, match="takes no where"):
        function(x, where=False)
    assert function(x, where=True).tolist() == function(x).tolist()
