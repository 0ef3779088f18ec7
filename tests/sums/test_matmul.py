"""sum, dot and matmul: correctly rounded, the same on every machine, and shaped as NumPy's."""

import hashlib
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DETERMINISTIC, STOCHASTIC, bits64
from test_exact import CASES, fractions

from floatlab import reference
from floatlab.errors import DtypeError, FormatError, OptionError, OverflowPolicyError, ShapeError
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate
from floatlab.sums.matmul import dot, matmul
from floatlab.sums.matmul import mean as mean_of
from floatlab.sums.matmul import sum as sum_of
from floatlab.verify.loops import Draws, Loops

MAX64 = float(np.finfo(np.float64).max)
FORMATS = ("fp32", "tf32", "fp16", "bf16", "e5m2", "e4m3", "e4m3fnuz", "binary8p3se", "e8m39")


def expected_dot(x, y, fmt, bias=None, **options):
    """The exact dot product, rounded once, as the oracle has it; a bias is one more term."""
    if bias is not None:
        x, y = [*x, bias], [*y, 1.0]
    return reference.to_float(reference.dot(x, y, get_format(fmt), **options).value)


def assert_is_exact(got, a, b, fmt, bias=None, **options):
    keep_nan_sign = False
    wanted = np.empty(got.shape)
    for i, j in np.ndindex(got.shape):
        wanted[i, j] = expected_dot(a[i], b[:, j], fmt, None if bias is None else bias[i, j], **options)
    np.testing.assert_array_equal(bits64(got, keep_nan_sign), bits64(wanted, keep_nan_sign))


# -- correctly rounded ---------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_a_product_is_the_exact_one_rounded_once(case, fmt, accumulator):
    a, b = CASES[case](np.random.default_rng(11))
    assert_is_exact(matmul(a, b, fmt, accumulator=accumulator), a, b, fmt)


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_every_mode_rounds_the_exact_sum(rounding, accumulator):
    for case in ("small integers", "24 bits", "cancellation", "float32 subnormals", "beyond float64"):
        a, b = CASES[case](np.random.default_rng(12))
        for fmt in ("fp16", "fp32", "e4m3"):
            got = matmul(a, b, fmt, accumulator=accumulator, rounding=rounding)
            assert_is_exact(got, a, b, fmt, rounding=rounding)


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_what_float64_loses_decides_at_a_midpoint(fmt, accumulator):
    half = get_format(fmt).eps / 2
    for tail in (2.0**-70, 0.0, -(2.0**-70)):
        for b in ([[1.0], [half], [tail]], [[-1.0], [-half], [tail]], [[1.0], [2 * half], [tail]]):
            for rounding in DETERMINISTIC:
                a = np.ones((1, 3))
                got = matmul(a, b, fmt, accumulator=accumulator, rounding=rounding)
                assert_is_exact(got, a, np.array(b), fmt, rounding=rounding)


def test_what_float64_loses_decides_about_chance():
    # v is a quarter less 2^-60: with two random bits, floor(v 2^2) + R is never 4
    b = [[1.0], [2.0**-12], [-(2.0**-70)]]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        assert matmul([[1.0] * 3], b, "fp16", rounding="stochastic", rng=rng, random_bits=2) == 1.0


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e4m3"])
def test_wide_and_exact_are_the_same_bits(fmt):
    rng = np.random.default_rng(13)
    for scale in (1.0, 1e-3, 1e-6, 1e-20, 1e-30):
        for _ in range(4):
            a = rng.standard_normal((40, 70)).astype(np.float32)
            b = (rng.standard_normal((70, 30)) * scale).astype(np.float32)
            b[rng.random(b.shape) < rng.random()] = 0
            a = np.maximum(a, 0)
            bias = (rng.standard_normal(30) * scale).astype(np.float32)
            for options in ({}, {"bias": bias}, {"rounding": "toward_negative"}):
                wide = matmul(a, b, fmt, **options)
                assert wide.tobytes() == matmul(a, b, fmt, accumulator="exact", **options).tobytes()


@pytest.mark.parametrize("rounding", STOCHASTIC)
def test_stochastic_rounding_sees_the_exact_sum(rounding):
    rng = np.random.default_rng(14)
    a, b = rng.standard_normal((2, 9, 9)).astype(np.float32)
    drawn = [
        matmul(a, b, "fp16", accumulator=how, rounding=rounding, rng=np.random.default_rng(1), random_bits=8)
        for how in ("wide", "exact")
    ]
    assert drawn[0].tobytes() == drawn[1].tobytes()
    down, up = (matmul(a, b, "fp16", rounding=mode) for mode in ("toward_negative", "toward_positive"))
    assert ((drawn[0] == down) | (drawn[0] == up)).all()
    many = [matmul(a, b, "fp16", rounding=rounding, rng=np.random.default_rng(i)) for i in range(200)]
    share = (np.mean(many, axis=0) - down) / (up - down)
    sums = fractions(a) @ fractions(b)
    wanted = np.array(
        [
            float((x - Fraction(float(lo))) / Fraction(float(hi - lo)))
            for x, lo, hi in zip(sums.ravel(), down.ravel(), up.ravel(), strict=True)
        ]
    )
    assert abs(share.ravel() - wanted).max() < 5 * 0.5 / math.sqrt(200)


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("case", ["53 bits", "cancellation", "all of float64's range", "small integers"])
def test_the_order_of_the_terms_changes_no_bit(case, accumulator):
    rng = np.random.default_rng(15)
    a, b = CASES[case](rng)
    for fmt in ("fp32", "e4m3"):
        once = matmul(a, b, fmt, accumulator=accumulator)
        for _ in range(5):
            order = rng.permutation(a.shape[1])
            assert matmul(a[:, order], b[order], fmt, accumulator=accumulator).tobytes() == once.tobytes()


def test_subnormal_gradients_are_exact():
    rng = np.random.default_rng(16)
    a = (rng.integers(-3, 4, (5, 20)) * 2.0**-149).astype(np.float32)
    b = rng.standard_normal((20, 5)).astype(np.float32)
    assert_is_exact(matmul(a, b, "fp32"), a, b, "fp32")
    assert_is_exact(matmul(a, a.T, "e11m20"), a, a.T, "e11m20")  # 2^-298, which float64 products keep
    tiny = (rng.standard_normal((20, 5)) * 1e-30).astype(np.float32)
    assert_is_exact(matmul(a * 2.0**100, tiny, "fp32"), a * 2.0**100, tiny, "fp32")


@given(st.data())
def test_infinities_nans_and_signed_zeros_are_ieee(data):
    values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, math.inf, -math.inf, math.nan, 2.0**-60])
    weights = st.sampled_from([0.0, -0.0, 1.0, -1.0, 3.0])  # rarely all infinite
    terms = data.draw(st.integers(1, 4))
    a = np.array([[data.draw(values | weights) for _ in range(terms)] for _ in range(2)])
    b = np.array([[data.draw(weights) for _ in range(2)] for _ in range(terms)])
    rounding = data.draw(st.sampled_from(["nearest_even", "toward_negative", "toward_positive"]))
    bias = np.array([[data.draw(values | weights) for _ in range(2)] for _ in range(2)])
    for how in ("wide", "exact"):
        for addend in (None, bias):
            got = matmul(a, b, "fp16", accumulator=how, rounding=rounding, bias=addend)
            assert_is_exact(got, a, b, "fp16", addend, rounding=rounding)
            got = matmul(b.T, a.T, "fp16", accumulator=how, rounding=rounding, bias=addend)
            assert_is_exact(got, b.T, a.T, "fp16", addend, rounding=rounding)


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("fmt", ["fp16", "fp32", "e8m45", "fp64"])
@pytest.mark.parametrize("rounding", ["nearest_even", "toward_negative"])
def test_the_sign_of_a_zero_sum_is_that_of_its_terms_and_of_the_addend(fmt, rounding, accumulator):
    for terms in ([0.0], [-0.0], [0.0, -0.0], [-0.0, -0.0], [1.0, -1.0], [1.0]):
        for bias in (0.0, -0.0, -1.0):
            row, column = np.array([terms]), np.ones((len(terms), 1))
            got = matmul(row, column, fmt, bias=[[bias]], accumulator=accumulator, rounding=rounding)
            wanted = expected_dot(terms, column[:, 0], fmt, bias, rounding=rounding)
            if (
                fmt == "fp64"
                and rounding == "nearest_even"
                and accumulator == "wide"
                and terms == [1.0, -1.0]
            ):
                wanted = (bias + 1.0) - 1.0
            assert bits64(got[0, 0]) == bits64(wanted), (terms, bias)
            if terms in ([0.0], [-0.0]):
                got = matmul(row, column, fmt, bias=[bias], accumulator=accumulator, rounding=rounding)
                assert bits64(got[0, 0]) == bits64(wanted), (terms, bias)


@pytest.mark.parametrize("rounding", ["nearest_even", "toward_negative"])
@pytest.mark.parametrize("terms", [1, 3, 64, 130])
def test_zeros_of_products_have_the_sign_that_a_loop_over_their_terms_finds(rounding, terms):
    rng = np.random.default_rng(terms)
    signs = rng.choice([-1.0, 1.0], (2, 5, terms))
    a = np.where(rng.random((2, 5, terms)) < 0.7, 0.0, 1.0) * signs
    columns = [
        -np.sign(signs[0, 1]),
        np.sign(signs[1, 2]),
        -np.ones(terms),
        np.ones(terms),
        rng.standard_normal(terms),
    ]
    b = 0.0 * np.array(columns).T
    a[0, 3], a[1, 4] = -0.0, 0.0
    addend = rng.choice([-0.0, 0.0], (2, 5, 5))
    for bias in (None, addend):
        got = matmul(a, b, "fp32", bias=bias, rounding=rounding)
        assert (got == 0).all()
        for i, j, k in np.ndindex(got.shape):
            every = list(np.signbit(a[i, j]) ^ np.signbit(b[:, k]))
            every += [] if bias is None else [np.signbit(bias[i, j, k])]
            wanted = every[0] if len(set(every)) == 1 else rounding == "toward_negative"
            assert np.signbit(got[i, j, k]) == wanted, (i, j, k, bias is None)


@pytest.mark.parametrize(
    "accumulator", ["wide", "exact", "fp16", "pairwise:fp16", "kahan:fp16", "chunked:fp16:fp32:2"]
)
def test_every_nan_is_the_positive_one(accumulator):
    a = np.array([[np.inf, np.inf, 1.0], [np.copysign(np.nan, -1), 1.0, 1.0], [0.0, 1.0, np.inf]])
    b = np.array([[1.0], [-1.0], [0.0]])
    got = matmul(a, b, "fp16", accumulator=accumulator)
    assert np.isnan(got).all() and not np.signbit(got).any()


def test_overflow_policies_are_those_of_quantize():
    a = np.full((1, 8), 448.0)
    assert np.isnan(matmul(a, a.T, "e4m3"))
    assert matmul(a, a.T, "e4m3", overflow="saturate") == 448.0
    assert matmul(a, a.T, "fp16") == np.inf
    assert matmul(a, a.T, "fp16", rounding="toward_zero") == 65504.0
    assert matmul(a, a.T, "e2m1") == 6.0
    with pytest.raises(OverflowPolicyError):
        matmul(a, a.T, "e2m1", overflow="infinity")
    with pytest.raises(OverflowPolicyError):
        matmul(a * np.nan, a.T, "e2m1")
    assert matmul([[2.0**-10]], [[2.0**-10]], "fp16", subnormals="flush") == 0.0


# -- float64 ---------------------------------------------------------------------------------------------


def test_exact_sums_in_float64_are_correctly_rounded():
    rng = np.random.default_rng(17)
    x = rng.standard_normal(200) * 10.0 ** rng.integers(-12, 12, 200)
    assert sum_of(x, "fp64", accumulator="exact") == math.fsum(x)
    for case in ("53 bits", "cancellation", "all of float64's range", "below float64"):
        a, b = CASES[case](rng)
        for rounding in DETERMINISTIC:
            got = matmul(a, b, "fp64", accumulator="exact", rounding=rounding)
            assert_is_exact(got, a, b, "fp64", rounding=rounding)
        bias = rng.standard_normal((a.shape[0], b.shape[1]))
        got = matmul(a, b, "fp64", accumulator="exact", bias=bias)
        assert_is_exact(got, a, b, "fp64", bias)


def test_a_sum_that_underflows_keeps_its_sign_beside_one_that_is_zero():
    a, b = np.array([[1e-200, 0.0], [1.0, 1.0]]), np.array([[-1e-200, 0.0], [0.0, 0.0]])
    got = matmul(a, b, "fp64", accumulator="exact")
    assert np.signbit(got).tolist() == [[True, False], [True, False]] and (got[0] == 0).all()


def test_exact_overflow_in_float64_follows_the_mode_and_the_policy():
    a, b = np.array([[1e200]]), np.array([[1e200]])
    largest = np.finfo(np.float64).max
    for rounding, wanted in (("nearest_even", np.inf), ("toward_zero", largest), ("toward_positive", np.inf)):
        assert matmul(a, b, "fp64", accumulator="exact", rounding=rounding) == wanted
    assert matmul(-a, b, "fp64", accumulator="exact", rounding="toward_positive") == -largest
    assert matmul(a, b, "fp64", accumulator="exact", overflow="saturate") == largest
    assert np.isnan(matmul(a, b, "fp64", accumulator="exact", overflow="nan"))


def test_wide_float64_keeps_a_negative_zero_and_adds_the_bias_first():
    assert np.signbit(matmul([[-0.0]], [[1.0]], "fp64"))
    assert not np.signbit(matmul([[-0.0, 0.0]], [[1.0], [1.0]], "fp64"))
    assert matmul([[1.0, 1.0]], [[1.0], [1.0]], "fp64", bias=[[2.0**53]]) == 2.0**53


@pytest.mark.parametrize("rounding", [*DETERMINISTIC, *STOCHASTIC])
@pytest.mark.parametrize("fmt", ["fp64", "e11m51", "e11m50", "e8m45", "e8m41"])
@pytest.mark.parametrize("accumulator", ["wide", "exact"])
def test_wide_formats_round_the_exact_sum_once_in_every_mode(fmt, rounding, accumulator):
    if (fmt, rounding, accumulator) == ("fp64", "nearest_even", "wide"):
        pytest.skip("in float64 itself, to nearest, each product is rounded and added")
    fmt, rng = get_format(fmt), np.random.default_rng(31)
    unit = fmt.eps
    bits = 5 if rounding in STOCHASTIC else None
    for tail in (2.0**-90, -(2.0**-90), unit / 2, -unit / 4, unit / 2 + 2.0**-100, 2.0**-1000):
        for row in ([1.0, tail], [-1.0, unit, tail], [2.0**60, 1.0, tail, -(2.0**60)], [tail, tail]):
            seed, options = int(rng.integers(1 << 30)), {"rounding": rounding, "accumulator": accumulator}
            drawn = {}
            if bits:
                drawn = {
                    "random_bits": bits,
                    "random_integer": Draws(np.random.default_rng(seed), bits).take(1)[0],
                }
                options |= {"rng": np.random.default_rng(seed), "random_bits": bits}
            wanted = reference.sum(row, fmt, rounding=rounding, **drawn)
            got, flags = sum_of(row, fmt, return_flags=True, **options)
            assert bits64(got) == bits64(reference.to_float(wanted.value)), (row, got, wanted.value)
            assert {n for n in flags.__dataclass_fields__ if getattr(flags, n)} == set(wanted.flags)
            if not bits:
                product = matmul(np.array([row]), np.ones((len(row), 1)), fmt, **options)
                assert product.tobytes() == got.tobytes()


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
def test_stochastic_rounding_sees_every_bit_of_a_sum_with_48_random_bits(accumulator):
    # 2^-70 decides whether 1 + 2^-24 - 2^-70 lies below the half of a unit that R = 2^47 asks for.
    for tail in (2.0**-70, -(2.0**-70), 0.0):
        for seed in range(20):
            integer = Draws(np.random.default_rng(seed), 48).take(1)[0]
            row = [1.0, (2.0**48 - integer) * 2.0**-48 * 2.0**-23, tail]
            options = {"rounding": "stochastic", "random_bits": 48}
            got = sum_of(row, "fp32", accumulator=accumulator, rng=np.random.default_rng(seed), **options)
            wanted = reference.sum(row, get_format("fp32"), random_integer=integer, **options)
            assert got == reference.to_float(wanted.value)


# -- integers beyond 2^53 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("fmt", ["fp64", "fp32", "bf16", "e11m50"])
def test_integers_beyond_two_to_the_53_are_summed_exactly(fmt, accumulator):
    cases = [
        np.array([2**60 + 1, 1, -(2**60)]),
        np.array([2**63 - 1, -(2**63), 2**62 + 3]),
        np.array([2**64 - 1, 2**63 + 1], np.uint64),
        [2**53 + 1, 1],
        [2**60 + 2**36 + 1, 3],
        [2**200 + 1, -(2**200), 5],
        np.array([10**30, -1, 7 * 10**25], object),
        2**61 + 1,
        [-(2**70), 0, -1],
    ]
    for x in cases:
        numbers = [int(n) for n in np.ravel(np.asarray(x, object))]
        for rounding in DETERMINISTIC:
            options = {"rounding": rounding, "accumulator": accumulator}
            wanted = reference.to_float(reference.sum(numbers, get_format(fmt), rounding=rounding).value)
            assert sum_of(x, fmt, **options) == wanted, (x, rounding)
            mean = Fraction(sum(numbers), len(numbers))
            wanted = reference.to_float(reference.round(mean, get_format(fmt), rounding).value)
            assert mean_of(x, fmt, **options) == wanted, (x, rounding)


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
def test_products_of_long_integers_are_summed_exactly(accumulator):
    rng = np.random.default_rng(32)
    a = rng.integers(-(2**62), 2**62, (3, 4))
    b = rng.integers(-(2**62), 2**62, (4, 2))
    bias = np.array([2**90 + 1, -3], object)
    for left, right, extra in (
        (a, b, None),
        (a.tolist(), b, bias),
        (a / 2.0**9, b, bias),
        (a, b / 2.0**40, 0.5),
    ):
        exact = [[Fraction(x) for x in row] for row in np.asarray(left, object)]
        other = [[Fraction(x) for x in row] for row in np.asarray(right, object)]
        sums = np.array(exact, object) @ np.array(other, object)
        if extra is not None:
            sums = sums + np.broadcast_to(
                np.array([Fraction(n) for n in np.ravel(extra)], object), sums.shape
            )
        for fmt in ("fp64", "fp32"):
            got = matmul(left, right, fmt, bias=extra, accumulator=accumulator)
            wanted = [reference.to_float(reference.round(x, get_format(fmt)).value) for x in sums.ravel()]
            assert got.ravel().tolist() == wanted
    got = dot([2**60 + 1, -1], [1, 2**60 + 1], "fp64", accumulator=accumulator)
    assert got == 0.0 and not np.signbit(got)


def test_zeros_from_long_integers_have_the_sign_of_their_terms():
    assert np.signbit(matmul([[-(2**60) - 1]], [[0.0]], "fp64"))
    assert np.signbit(matmul([[2**60 + 1, 2**54]], [[-0.0], [-0.0]], "fp32"))
    assert not np.signbit(matmul([[-(2**60) - 1, 1]], [[0.0], [0.0]], "fp64"))


def test_a_long_integer_is_no_term_of_an_accumulator_with_an_order():
    for accumulator in ("fp64", "fp16", "pairwise:fp32", "kahan:fp64", "chunked:fp16:fp32:2"):
        with pytest.raises(DtypeError, match=r'beyond 2\*\*53.*Use accumulator="exact"'):
            sum_of([2**53 + 1, 1], "fp32", accumulator=accumulator)
    assert sum_of([2**53, -(2**53)], "fp32", accumulator="fp32") == 0.0
    with pytest.raises(DtypeError, match=r"below 2\*\*1023"):
        sum_of([2**1024, 1], "fp64")


# -- means -------------------------------------------------------------------------------------------------


def exact_mean(row, fmt, **options):
    return Loops({k: v for k, v in options.items() if k != "accumulator"}).means(
        ("exact",), [[reference.exact(x) for x in row]], get_format(fmt)
    )[0]


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize(
    "fmt", ["fp64", "e11m51", "e8m45", "fp32", "tf32", "fp16", "bf16", "e4m3", "e5m2fnuz", "e11m20"]
)
def test_a_mean_is_the_exact_sum_divided_and_rounded_once(fmt, rounding, accumulator):
    rows = [
        [2.0**100, 1.0, -(2.0**100)], [3.39e38, 3.4e-6], [1.0, 2.0**-60], [1.0, -1.0], [0.0, -0.0], [-0.0, -0.0],
        [1e308, 1e308, 1e308], [5e-324, 0.0, 0.0], [5e-324] * 3, [1.0] * 7 + [2.0**-100], [448.0, 448.0, 416.0],
        [np.inf, 1.0], [np.inf, -np.inf], [np.nan, 1.0, 2.0], [-np.inf, 0.0, 0.0], [2.0**-149] * 5, [-(2.0**-200), 0.0],
        [1.0 + 2.0**-8, 1.0, 1.0], [3.0, 2.0**-80, 0.0], [-3.0, -(2.0**-80), 0.0], [1.5 * 2.0**60, 2.0**-60, 1.0],
    ]  # fmt: skip
    for row in rows:
        options = {"rounding": rounding, "accumulator": accumulator}
        wanted = exact_mean(row, fmt, **options)
        got, flags = mean_of(row, fmt, return_flags=True, **options)
        assert bits64(got, False) == bits64(reference.to_float(wanted.value), False), (row, got, wanted)
        assert {n for n in flags.__dataclass_fields__ if getattr(flags, n)} == set(wanted.flags), (row, flags)
        assert mean_of(row, fmt, **options).tobytes() == got.tobytes()


def test_the_mean_of_two_to_the_100_and_one_and_its_negative_is_a_third():
    assert mean_of([2.0**100, 1.0, -(2.0**100)], "bf16") == quantize(1 / 3, "bf16")
    assert mean_of([2.0**100, 1.0, -(2.0**100)], "fp64") == 1 / 3
    assert mean_of([2**60, 1, -(2**60)], "fp64") == 1 / 3
    assert mean_of([1e308, 1e308], "fp64") == 1e308  # the sum is beyond float64


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "fp64"])
def test_the_mean_of_many_numbers_is_compared_with_as_many_times_a_mark(fmt):
    # The mean lies 2^-100 / n beside a midpoint, or on it; a sum of 53 bits may not tell.
    eps = get_format(fmt).eps
    for n in (4, 1000, 4098):
        for tail in (2.0**-100, 0.0, -(2.0**-100)):
            row = [1.0] * (n // 2 - 2) + [2.0, tail] + [1.0 + eps] * (n // 2)
            wanted = reference.round(1 + (Fraction(eps) / 2) + Fraction(tail) / n, get_format(fmt)).value
            assert mean_of(row, fmt) == reference.to_float(wanted), (n, tail)


def test_means_over_axes_are_shaped_as_numpys():
    x = np.random.default_rng(33).integers(-9, 9, (2, 3, 4)) * 1.0
    for axis in (None, 0, 1, -1, (0, 2), (2, 0), (), [1], (0, 1, 2)):
        for keepdims in (False, True):
            for accumulator in ("wide", "exact", "fp64", "pairwise:fp64"):
                got, where = mean_of(x, "fp32", axis=axis, keepdims=keepdims, accumulator=accumulator), axis
                wanted = x.mean(axis=tuple(where) if isinstance(where, list) else where, keepdims=keepdims)
                assert got.shape == wanted.shape
                np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("fmt", ["fp64", "fp32", "e4m3"])
def test_stochastic_means_are_replayed(fmt, rounding):
    rng = np.random.default_rng(34)
    rows = (rng.standard_normal((7, 3)) / 64).tolist()
    for bits in (2, 16, 40):
        options = {"rounding": rounding, "random_bits": bits}
        got = mean_of(rows, fmt, axis=1, rng=np.random.default_rng(9), **options)
        loops = Loops({"rounding": rounding}, Draws(np.random.default_rng(9), bits))
        exact = [[reference.exact(x) for x in row] for row in rows]
        wanted = [reference.to_float(r.value) for r in loops.means(("exact",), exact, get_format(fmt))]
        assert got.tolist() == wanted


def test_the_mean_of_nothing_is_invalid():
    values, flags = mean_of([], "fp16", return_flags=True)
    assert np.isnan(values) and flags.invalid
    assert np.isnan(mean_of(np.ones((0, 3)), "fp64", axis=0)).tolist() == [True] * 3
    assert mean_of(np.ones((0, 3)), "fp64", axis=1).shape == (0,)
    with pytest.raises(OverflowPolicyError):
        mean_of([], "e2m1")


def test_a_mean_with_an_order_divides_the_rounded_sum():
    assert mean_of(np.ones(64), "e4m3", accumulator="e4m3") == 0.25  # the sum sticks at 16
    with pytest.raises(OptionError, match="Flags of a sum"):
        mean_of(np.ones(64), "e4m3", accumulator="e4m3", return_flags=True)


# -- flags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize(
    "fmt", ["fp64", "e11m51", "e11m50", "e8m49", "fp32", "fp16", "e4m3", "e2m1", "binary8p4ue"]
)
def test_flags_are_those_of_the_one_rounding_in_every_format(fmt, accumulator):
    rows = [
        [2.0**100, 1.0, -(2.0**100), 2.0**-9], [1.0, 2.0**-60], [1.0, 1.0], [6e4, 6e4], [2.0**-25, 2.0**-40],
        [2.0**100, 2.0**-30, -(2.0**100)], [1.7e308, 1.7e308, -1.7e308], [-1.0, 0.5], [0.0, 0.0],
    ]  # fmt: skip
    if get_format(fmt).has_nan:
        rows += [[np.inf, -np.inf], [np.inf, 1.0], [np.nan, np.inf], [np.nan, 1.0]]
    for rounding in ("nearest_even", "toward_positive", "toward_negative"):
        for row in rows:
            if (fmt, accumulator, rounding) == ("fp64", "wide", "nearest_even"):
                continue  # see below
            wanted = reference.sum(row, get_format(fmt), rounding=rounding).flags
            column = np.ones((len(row), 1))
            for _, flags in (
                sum_of(row, fmt, accumulator=accumulator, rounding=rounding, return_flags=True),
                matmul([row], column, fmt, accumulator=accumulator, rounding=rounding, return_flags=True),
            ):
                assert {n for n in flags.__dataclass_fields__ if getattr(flags, n).all()} == set(wanted), row


def test_flags_of_wide_float64_sums_are_those_of_every_product_and_addition():
    def flags_of(a, b, **options):
        _, flags = matmul(np.array([a]), np.array(b)[:, None], "fp64", return_flags=True, **options)
        return {n for n in flags.__dataclass_fields__ if getattr(flags, n)[0, 0]}

    assert flags_of([1.0, 2.0], [3.0, 4.0]) == set()
    assert flags_of([1.0, 2.0**-60], [1.0, 1.0]) == {"inexact"}
    assert flags_of([1.0 + 2.0**-52], [1.0 + 2.0**-52]) == {"inexact"}
    assert flags_of([1e300, -1e300, 1.0], [1e300, 1e300, 1.0]) == {"overflow", "inexact", "invalid"}
    assert flags_of([1e-300], [1e-300]) == {"underflow", "inexact"}
    assert flags_of([np.inf, 1.0], [0.0, 1.0]) == {"invalid"}
    assert flags_of([np.nan, np.inf], [0.0, 1.0]) == set()
    assert flags_of([1.0], [1.0], bias=2.0**-60) == {"inexact"}
    assert flags_of([], []) == set()


def test_flags_of_zero_times_infinity_are_invalid_but_not_those_of_a_nan():
    a, b = np.array([[0.0, 1.0], [np.nan, np.inf]]), np.array([[np.inf], [1.0]])
    _, flags = matmul(a, b, "fp16", return_flags=True)
    assert flags.invalid.ravel().tolist() == [True, False]
    _, flags = matmul(a[:1], b, "fp16", bias=[[np.nan]], return_flags=True)
    assert not flags.invalid.any()


# -- bias, formats, options ------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
def test_a_bias_is_rounded_with_the_product(accumulator):
    rng = np.random.default_rng(18)
    a, b = rng.standard_normal((6, 12)).astype(np.float32), rng.standard_normal((12, 5)).astype(np.float32)
    for bias in (
        rng.standard_normal(5),
        rng.standard_normal((6, 1)),
        rng.standard_normal((6, 5)),
        -(a.astype(float) @ b),
        np.float64(3.0),
    ):
        full = np.broadcast_to(bias, (6, 5))
        for fmt in ("fp16", "fp32"):
            assert_is_exact(matmul(a, b, fmt, bias=bias, accumulator=accumulator), a, b, fmt, full)


def test_knowing_the_formats_changes_no_bit():
    rng = np.random.default_rng(19)
    for fmt in ("fp16", "e4m3", "bf16", "fp32"):
        a, b = (quantize(rng.standard_normal((20, 30)) * 4, fmt) for _ in range(2))
        bias = quantize(rng.standard_normal(20), fmt)
        plain = matmul(a, b.T, fmt, bias=bias)
        assert matmul(a, b.T, fmt, bias=bias, formats=(fmt, fmt, fmt)).tobytes() == plain.tobytes()
        assert_is_exact(plain, a, b.T, fmt, np.broadcast_to(bias, plain.shape))
        total = sum_of(a, fmt, axis=0)
        assert sum_of(a, fmt, axis=0, formats=(fmt,)).tobytes() == total.tobytes()
    # 1 + 1/16 is a midpoint of e4m3; the bias decides, and its format says that it may
    up = matmul([[1.0, 0.25]], [[1.0], [0.25]], "e4m3", bias=[[2.0**-60]], formats=("e4m3", "e4m3", "fp32"))
    assert up == 1.125
    with pytest.raises(OptionError, match="one entry for each operand"):
        matmul(a, b.T, "fp16", formats=("fp16",))


@pytest.mark.parametrize("fmt", ["bf16", "fp16", "e5m2", "e4m3", "tf32"])
def test_a_known_format_claims_exactness_only_where_float64_is_exact(fmt):
    """Magnitudes of all sizes, so that some products have 53 bits of room, some nearly, and some not."""
    rng = np.random.default_rng(20)
    fmt = get_format(fmt)
    for spread in range(0, 40, 3):
        exponents = rng.integers(-spread, spread + 1, (2, 8, 24)) / 2
        a, b = quantize(rng.standard_normal((2, 8, 24)) * 2.0**exponents, fmt, overflow="saturate")
        a[:, ::3], b[5] = 0.0, 0.0
        bias = quantize(rng.standard_normal(8) * 2.0**-spread, fmt)
        got = matmul(a, b.T, fmt, bias=bias, formats=(fmt, fmt, fmt))
        assert got.tobytes() == matmul(a, b.T, fmt, bias=bias, accumulator="exact").tobytes(), spread
        assert sum_of(a, fmt, formats=(fmt,)).tobytes() == sum_of(a, fmt, accumulator="exact").tobytes()


def test_a_term_far_below_the_others_decides_a_tie_in_known_formats():
    # 1 + 2^-8 lies half way between two values of bf16; what is added or taken off is too small for float64.
    for tiny, expected in ((2.0**-60, 1.0078125), (-(2.0**-60), 1.0), (0.0, 1.0)):
        a, b = [[1.0, 2.0**-4, 2.0**-30]], [[1.0], [2.0**-4], [tiny * 2.0**30]]
        assert matmul(a, b, "bf16", formats=("bf16", "bf16")) == expected
    assert matmul([[1.0]], [[1.0078125]], "bf16", bias=[2.0**-70], formats=("bf16",) * 3) == 1.0078125


def test_the_result_has_the_array_type_of_its_format():
    a = np.ones((2, 2))
    assert matmul(a, a, "e4m3").dtype == np.float32
    assert matmul(a, a, "fp64").dtype == np.float64
    assert matmul(a, a, "e11m10", accumulator="fp16").dtype == np.float64
    assert sum_of(a.astype(np.float32), "fp64").dtype == np.float64


@pytest.mark.parametrize(
    "options",
    [
        {"rounding": "nearest"},
        {"overflow": "wrap"},
        {"subnormals": "none"},
        {"accumulator": "wyde"},
        {"product_format": "fp16"},
        {"accumulator": "exact", "product_format": "fp16"},
    ],
)
@pytest.mark.parametrize("fmt", ["fp16", "fp32", "fp64"])
def test_options_are_checked(options, fmt):
    with pytest.raises(OptionError):
        matmul(np.ones((2, 2)), np.ones((2, 2)), fmt, **options)


def test_an_unknown_format_is_refused():
    with pytest.raises(FormatError, match="float16"):
        matmul([[1.0]], [[1.0]], "float17")


# -- operands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.int8),
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: x.astype(">f8"),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.longdouble),
        lambda x: x.astype(ml_dtypes.float8_e4m3fn),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
        lambda x: np.broadcast_to(x, x.shape),
    ],
)
def test_numbers_of_any_kind_and_layout_are_taken_exactly(convert):
    rng = np.random.default_rng(20)
    a, b = rng.integers(-9, 9, (3, 4)) * 1.0, rng.integers(-9, 9, (4, 2)) * 1.0
    for accumulator in ("wide", "exact", "fp32", "pairwise:fp32"):
        got = matmul(convert(a), convert(b), "fp32", accumulator=accumulator)
        np.testing.assert_array_equal(got, a @ b)
    np.testing.assert_array_equal(sum_of(convert(a), "fp32", axis=0), a.sum(axis=0))


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((2, 2), complex),
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[None, 1], [2, 3]], object),
        np.ma.masked_array(np.ones((2, 2)), mask=[[True, False], [False, False]]),
        [[1.0], [2.0, 3.0]],
        [[2**1100, 1], [1, 1]],
        [["0.1", 1], [1, 1]],
    ],
)
def test_what_is_not_an_exact_real_number_is_refused(wrong):
    good = np.ones((2, 2))
    for call in (
        lambda: matmul(wrong, good, "fp16"),
        lambda: matmul(good, wrong, "fp16"),
        lambda: matmul(good, good, "fp16", bias=wrong),
        lambda: sum_of(wrong, "fp16"),
        lambda: dot(good, wrong, "fp16"),
    ):
        with pytest.raises(DtypeError):
            call()


def test_integers_beyond_2_to_the_53_are_exact_operands_and_refused_where_terms_are_float64():
    ones, long = np.ones((2, 2)), np.array([[2**53 + 1, 2**53 + 1], [2**60 + 1, -(2**60)]])
    for call in (lambda **o: matmul(long, ones, "fp32", **o), lambda **o: dot(long, ones, "fp32", **o)):
        assert call(rounding="toward_positive").tolist() == [[2.0**54 + 2.0**31] * 2, [1.0] * 2]
        with pytest.raises(DtypeError, match="integer beyond"):
            call(accumulator="fp16")
    assert matmul([[2**70, 1]], [[1], [1]], "fp32").item() == 2.0**70


def test_operands_are_left_alone():
    rng = np.random.default_rng(21)
    a, b, bias = rng.standard_normal((4, 4)), rng.standard_normal((4, 4)), rng.standard_normal((4, 4))
    for x in (a, b, bias):
        x.flags.writeable = False
    for accumulator in ("wide", "exact", "fp16", "pairwise:fp16", "kahan:fp16", "chunked:fp16:fp16:2"):
        for fmt in ("fp16", "fp64"):
            matmul(a, b, fmt, accumulator=accumulator, bias=bias)
            matmul(np.zeros((4, 0)), np.zeros((0, 4)), fmt, accumulator=accumulator, bias=bias)
            sum_of(a, fmt, accumulator=accumulator)
            sum_of(a[:, :1], fmt, axis=1, accumulator=accumulator)


# -- shapes --------------------------------------------------------------------------------------------------

SHAPES = [
    ((3, 4), (4, 2)),
    ((4,), (4,)),
    ((4,), (4, 2)),
    ((3, 4), (4,)),
    ((5, 3, 4), (4, 2)),
    ((3, 4), (5, 4, 2)),
    ((5, 1, 3, 4), (6, 4, 2)),
    ((4,), (5, 4, 2)),
    ((5, 3, 4), (4,)),
    ((0, 4), (4, 2)),
    ((3, 0), (0, 2)),
    ((0, 3, 4), (4, 2)),
    ((0,), (0,)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize(
    "accumulator", ["wide", "exact", "fp32", "pairwise:fp32", "kahan:fp32", "chunked:fp32:fp32:2"]
)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_shapes_are_those_of_numpy(left, right, accumulator):
    rng = np.random.default_rng(22)
    a, b = rng.integers(-9, 9, left) * 1.0, rng.integers(-9, 9, right) * 1.0
    for fmt in ("fp32", "fp64"):
        got = matmul(a, b, fmt, accumulator=accumulator)
        assert got.shape == np.matmul(a, b).shape
        np.testing.assert_array_equal(got, np.matmul(a, b))
        biased = matmul(a, b, fmt, accumulator=accumulator, bias=1.0)
        np.testing.assert_array_equal(biased, np.matmul(a, b) + 1)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 0), (), [1], (0, 1, 2)])
@pytest.mark.parametrize("accumulator", ["wide", "exact", "fp32", "pairwise:fp32"])
def test_sums_over_axes_are_shaped_as_numpys(axis, keepdims, accumulator):
    x = np.random.default_rng(23).integers(-9, 9, (2, 3, 4)) * 1.0
    got = sum_of(x, "fp32", axis=axis, keepdims=keepdims, accumulator=accumulator)
    wanted = x.sum(axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


def test_several_axes_are_added_in_the_order_of_the_flattened_index():
    x = np.array([[1.0, 1.0], [2048.0, 0.0]])
    assert sum_of(x, "fp16", accumulator="fp16") == 2050.0
    assert sum_of(x.T, "fp16", accumulator="fp16") == 2048.0
    assert sum_of(x.T, "fp16", accumulator="fp16", axis=(1, 0)) == 2048.0


def test_empty_sums_are_zero_and_single_numbers_are_rounded():
    assert sum_of([], "fp16") == 0.0
    np.testing.assert_array_equal(sum_of(np.ones((0, 3)), "fp16", axis=0), [0.0, 0.0, 0.0])
    assert sum_of(np.ones((0, 3)), "fp16", axis=1).shape == (0,)
    assert sum_of(1.0 + 2.0**-20, "fp16") == 1.0
    for accumulator in ("wide", "exact", "fp16", "pairwise:fp16", "kahan:fp16", "chunked:fp16:fp32:1"):
        minus, plus = (sum_of([-0.0, x], "fp16", accumulator=accumulator) for x in (-0.0, 0.0))
        assert np.signbit(minus) and not np.signbit(plus)


def test_dot_is_numpys_for_vectors_and_matrices():
    a = np.arange(6.0).reshape(2, 3)
    assert dot(a[0], a[1], "fp32").shape == () and dot(a[0], a[1], "fp32") == a[0] @ a[1]
    np.testing.assert_array_equal(dot(a, a.T, "fp32"), a @ a.T)
    np.testing.assert_array_equal(dot(a, a[0], "fp32", accumulator="fp16"), a @ a[0])
    for wrong in (np.ones((2, 2, 2)), 3.0):
        with pytest.raises(ShapeError, match="vectors and matrices"):
            dot(wrong, a, "fp32")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: matmul(np.ones((2, 3)), np.ones((2, 3)), "fp16"), r"\(2, 3\) and \(2, 3\): 3 and 2"),
        (lambda: matmul(np.ones(3), np.ones(2), "fp16"), r"\(3,\) and \(2,\)"),
        (lambda: matmul(np.ones((2, 3, 3)), np.ones((4, 3, 3)), "fp16"), "leading dimensions"),
        (lambda: matmul(3.0, np.ones((2, 3)), "fp16"), "at least one dimension"),
        (lambda: matmul(np.ones((2, 3)), np.ones((3, 2)), "fp16", bias=np.ones(3)), r"\(3,\) for \(2, 2\)"),
        (
            lambda: matmul(np.ones((2, 3)), np.ones((3, 2)), "fp16", bias=np.ones((1, 2, 2))),
            "bias broadcasts",
        ),
        (lambda: sum_of(np.ones((2, 3)), "fp16", axis=2), "Got 2 for shape"),
        (lambda: sum_of(np.ones((2, 3)), "fp16", axis=(0, -2)), "each once"),
    ],
)
def test_shapes_that_do_not_fit_are_printed(call, says):
    with pytest.raises(ShapeError, match=says):
        call()


# -- the same bits everywhere --------------------------------------------------------------------------------


def digest_of_many_products() -> str:
    """Hash products of ordinary, sparse, small and badly conditioned matrices in several formats."""
    rng = np.random.Generator(np.random.PCG64(5))
    digest = hashlib.sha256()
    for m, k, n in ((64, 64, 64), (1, 64, 64), (64, 1, 10), (33, 257, 65), (128, 784, 32)):
        a, b = (rng.integers(-(2**23), 2**23, shape) * 2.0**-22 for shape in ((m, k), (k, n)))
        b *= 2.0 ** rng.integers(-30, 1, (k, n))
        a[rng.integers(0, 3, (m, k)) == 0] = 0.0
        a, b = a.astype(np.float32), b.astype(np.float32)
        for fmt in ("fp32", "fp16", "e4m3"):
            digest.update(matmul(a, b, fmt, overflow="saturate").tobytes())
            digest.update(matmul(a, b, fmt, overflow="saturate", bias=b[0]).tobytes())
            digest.update(sum_of(b, fmt, axis=0).tobytes())
        digest.update(matmul(a, b, "fp32", rounding="toward_positive").tobytes())
        digest.update(matmul(a.astype(float) / 3, b, "fp64").tobytes())
        digest.update(matmul(a[:8], b[:, :8], "fp32", accumulator="exact").tobytes())
        digest.update(matmul(a[:8], b[:, :8], "fp16", accumulator="chunked:fp16:fp32:16").tobytes())
    return digest.hexdigest()


ENVIRONMENTS = {
    "one thread": {"OPENBLAS_NUM_THREADS": "1"},
    "four threads": {"OPENBLAS_NUM_THREADS": "4"},
    "Nehalem": {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "2"},
    "no wide vectors": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512_ICL AVX512_SPR"},
}


def run_here(program: str, environment: dict[str, str]) -> str:
    """Run a program in another process, which finds the tests, and return what it prints."""
    here = Path(__file__).parent
    paths = os.pathsep.join(
        [*map(str, (here, here.parent, here.parents[1])), os.environ.get("PYTHONPATH", "")]
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_threads_and_processor_features_change_no_bit(environment):
    program = "import test_matmul; print(test_matmul.digest_of_many_products())"
    assert run_here(program, ENVIRONMENTS[environment]) == digest_of_many_products()


def test_the_blas_alone_would_not_be_the_same_everywhere():
    # The digests above mean something only if the sums depend on their order at all.
    rng = np.random.default_rng(24)
    a, b = rng.standard_normal((2, 64, 64))
    order = rng.permutation(64)
    assert (a @ b != a[:, order] @ b[order]).any()


def test_the_public_names_are_there():
    assert set(accumulate.__all__) == {"dot", "matmul", "mean", "sum"}


@pytest.mark.parametrize("accumulator", ["wide", "exact", "fp64", "kahan:fp64", "pairwise:fp64"])
@pytest.mark.parametrize(
    ("overflow", "expected"),
    [(None, np.inf), ("infinity", np.inf), ("nan", np.nan), ("saturate", MAX64), ("propagate", MAX64)],
)
def test_a_finite_sum_beyond_float64_becomes_what_the_policy_says(accumulator, overflow, expected):
    for sign in (1.0, -1.0):
        terms = [sign * 1.7e308] * 2
        total = accumulate.sum(terms, "fp64", accumulator=accumulator, overflow=overflow)
        assert np.array_equal(total, sign * expected, equal_nan=True)
    if overflow == "propagate":
        assert accumulate.sum([np.inf, 1.0], "fp64", accumulator=accumulator, overflow=overflow) == np.inf


def test_a_long_integer_of_numpys_is_taken_as_pythons_is():
    for n in (2**60 + 1, np.int64(2**60 + 1), np.uint64(2**60 + 1)):
        assert matmul([[1.0]], [[2.0**36]], "fp32", bias=n, accumulator="exact").item() == 2.0**60 + 2.0**37
