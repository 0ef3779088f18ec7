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

from floatlab import accumulate, reference
from floatlab.accumulate import dot, matmul
from floatlab.accumulate import sum as sum_of
from floatlab.errors import DtypeError, FormatError, OptionError, OverflowPolicyError, ShapeError
from floatlab.formats import get_format
from floatlab.rounding import quantize

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
        [[2**70 + 1, 1], [1, 1]],
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


def test_integers_beyond_2_to_the_53_are_operands_of_a_product_only_where_float64_holds_them():
    good, wrong = np.ones((2, 2)), np.full((2, 2), 2**53 + 1)
    for call in (lambda: matmul(wrong, good, "fp16"), lambda: dot(good, wrong, "fp16")):
        with pytest.raises(DtypeError):
            call()
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


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_threads_and_processor_features_change_no_bit(environment):
    here = Path(__file__).parent
    program = "import test_accumulate; print(test_accumulate.digest_of_many_products())"
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ENVIRONMENTS[environment], "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == digest_of_many_products()


def test_the_blas_alone_would_not_be_the_same_everywhere():
    # The digests above mean something only if the sums depend on their order at all.
    rng = np.random.default_rng(24)
    a, b = rng.standard_normal((2, 64, 64))
    order = rng.permutation(64)
    assert (a @ b != a[:, order] @ b[order]).any()


def test_the_public_names_are_there():
    assert set(accumulate.__all__) == {"dot", "matmul", "sum"}
