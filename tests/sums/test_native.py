"""Sequential sums in float32 that the processor forms, against those of the readable way, and of fractions."""

from fractions import Fraction

import numpy as np
import pytest

from floatlab import reference
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums import accumulators, native
from floatlab.sums.matmul import matmul
from floatlab.sums.matmul import sum as sum_of
from floatlab.sums.partial_sums import PLAIN, Rounder
from floatlab.sums.terms import Terms

FP32 = get_format("fp32")


def random_values(rng, shape, fmt):
    """Values of a format about 1, over all of its range, zeros of both signs, and in one place of many no number."""
    fmt = get_format(fmt)
    x = rng.standard_normal(shape) * rng.choice([1.0, 1.0, 2.0**-6, fmt.smallest_normal], shape)
    x = np.where(
        rng.random(shape) < 0.1, rng.choice([0.0, -0.0, fmt.max, -fmt.max, fmt.smallest_subnormal], shape), x
    )
    return quantize(x, fmt, overflow="saturate")


def bits(x):
    return np.where(np.isnan(x), np.float32(np.nan), x).astype(np.float32).view(np.uint32)


def both_ways(monkeypatch, a, b, **options):
    """Return the product as it comes, and without the processor's sums."""
    options = {"accumulator": "fp32"} | options
    got = matmul(a, b, "fp32", **options)
    with monkeypatch.context() as patch:
        patch.setattr(accumulators, "sequential_float32", lambda *_: None)
        return bits(got), bits(matmul(a, b, "fp32", **options))


def is_native(a, b, rounder=PLAIN, **more):
    """Return whether the processor adds in float32; so few sums are not added in float64."""
    terms = Terms(np.asarray(a, float)[..., :1, :], np.asarray(b, float)[..., :1], **more)
    with np.errstate(all="ignore"):
        return native.sequential_float32(terms, FP32, rounder) is not None


def in_fractions(row, column, start=Fraction(0)):
    """Add the exact products to float32 one after the other."""
    total = start
    for x, y in zip(row.tolist(), column.tolist(), strict=True):
        total = Fraction(reference.to_float(reference.round(total + Fraction(x) * Fraction(y), FP32).value))
    return total


@pytest.mark.parametrize("shape", [(2, 70, 3), (40, 30, 50), (1, 500, 1)])
@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "e5m2", "e2m1"])
def test_products_of_short_formats_are_added_as_in_fractions(monkeypatch, fmt, shape):
    rng = np.random.default_rng(len(fmt))
    rows, terms, columns = shape
    a, b = rng.standard_normal((rows, terms)), rng.standard_normal((terms, columns)) * 2.0**6
    a, b = quantize(a, fmt, overflow="saturate"), quantize(b, fmt, overflow="saturate")
    assert is_native(a, b)
    got, wanted = both_ways(monkeypatch, a, b)
    np.testing.assert_array_equal(got, wanted)
    assert got[0, 0] == np.float32(in_fractions(a[0], b[:, 0])).view(np.uint32)
    assert got[-1, -1] == np.float32(in_fractions(a[-1], b[:, -1])).view(np.uint32)


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "e5m2", "fp32"])
def test_the_whole_range_of_a_format_with_zeros_and_what_is_no_number(monkeypatch, fmt):
    rng = np.random.default_rng(7)
    for n in range(30):
        a, b = random_values(rng, (9, 12), fmt), random_values(rng, (12, 8), fmt)
        bias = random_values(rng, 8, fmt) if n % 3 == 0 else None
        if n % 2:
            a[n % 9, n % 12] = rng.choice([np.nan, np.inf, -np.inf])
            b[n % 12, n % 8] = rng.choice([np.nan, np.inf, -np.inf, 0.0])
        np.testing.assert_array_equal(*both_ways(monkeypatch, a, b, bias=bias))
        np.testing.assert_array_equal(*both_ways(monkeypatch, a, b, bias=bias, product_format="fp32"))
        np.testing.assert_array_equal(*both_ways(monkeypatch, a, b[:, :2], overflow="infinity"))


def test_a_sum_that_overflows_on_the_way_stays_infinite_or_becomes_a_nan(monkeypatch):
    big = 2.0**126
    row = np.array([[big] * 5 + [-big] * 3, [big] * 5 + [-np.inf] * 3, [-0.0] * 8, [0.0] + [-0.0] * 7])
    assert is_native(row, np.ones((8, 1)))
    got, wanted = both_ways(monkeypatch, row, np.ones((8, 1)))
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(got.view(np.float32).ravel(), [np.inf, np.nan, -0.0, 0.0])
    assert np.signbit(got.view(np.float32).ravel()).tolist()[2:] == [True, False]


def test_subnormal_products_and_sums_are_exact(monkeypatch):
    a = np.array([[2.0**-75, 3 * 2.0**-75, -(2.0**-74), 2.0**-60]])
    b = np.array([[2.0**-74], [2.0**-70], [2.0**-74], [-(2.0**-70)]])
    assert is_native(a[:, [0, 2]], np.sign(b[[0, 2]]) * 2.0**-74)
    assert is_native(np.array([[2.0**-75]]), np.array([[2.0**-74]]))  # 2^-149, the last place
    assert not is_native(np.array([[2.0**-75]]), np.array([[2.0**-75]]))
    np.testing.assert_array_equal(*both_ways(monkeypatch, a, b))
    np.testing.assert_array_equal(*both_ways(monkeypatch, a, b / 2))
    np.testing.assert_array_equal(*both_ways(monkeypatch, a, b / 2, product_format="fp32"))


def test_a_product_of_25_bits_is_left_to_float64():
    # With 12 and 12 bits every product is a float32; with 12 and 13 a sum would be rounded twice.
    for p, q, native_too in (
        (12, 12, True),
        (11, 13, True),
        (12, 13, False),
        (24, 1, True),
        (24, 2, False),
        (25, 1, False),
    ):
        a, b = np.array([[1.0, 2.0**p - 1]]), np.array([[1.0], [2.0**q - 1]])
        assert is_native(a, b) == native_too, (p, q)
    rng, wrong = np.random.default_rng(0), 0
    a, b = rng.integers(2**11, 2**12, (300, 4)) * 1.0, rng.integers(2**12, 2**13, (4, 1)) * 1.0
    got = matmul(a, b, "fp32", accumulator="fp32").ravel()
    for i, row in enumerate(a):
        assert got[i] == in_fractions(row, b[:, 0])
        plain = np.float32(0)
        for x, y in zip(row, b[:, 0], strict=True):
            plain = plain + np.float32(x) * np.float32(y)
        wrong += plain != got[i]
    assert wrong > 5  # it would have been seen


def test_a_product_beyond_float32_is_left_to_float64():
    assert is_native([[2.0**64]], [[2.0**63]]) and not is_native([[2.0**64]], [[2.0**64]])
    assert not is_native([[2.0**130]], [[2.0**-20]])  # no float32 itself
    row, column = np.array([[2.0**64, 1.0]]), np.array([[2.0**64], [-(2.0**127)]])
    assert matmul(row, column, "fp32", accumulator="fp32", bias=[[-(2.0**127)]]) == 2.0**127 - 2.0**127


def test_what_rounds_otherwise_is_left_to_the_rounder():
    one = [[1.0]]
    assert is_native(one, one) and is_native(one, one, Rounder(overflow="infinity"))
    for rounder in (
        Rounder(rounding="toward_zero"),
        Rounder(overflow="saturate"),
        Rounder(subnormals="flush"),
    ):
        assert not is_native(one, one, rounder)
    for fmt in ("bf16", "e8m22", "fp64"):
        terms = Terms(np.ones((1, 1)), np.ones((1, 1)))
        assert native.sequential_float32(terms, get_format(fmt), PLAIN) is None
    assert is_native(one, one, product_format=FP32) and not is_native(
        one, one, product_format=get_format("bf16")
    )
    assert not is_native(np.zeros((0, 3)), np.zeros((3, 2)))


def test_rounded_products_are_those_of_float32_however_long_the_operands(monkeypatch):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 30, 30)).astype(np.float32)
    a[0], b[:, 0] = a[0] * np.float32(1e-30), b[:, 0] * np.float32(1e-12)  # subnormal products
    got, wanted = both_ways(monkeypatch, a, b, product_format="fp32")
    np.testing.assert_array_equal(got, wanted)
    assert (got != both_ways(monkeypatch, a, b)[0]).any()
    np.testing.assert_array_equal(
        *both_ways(monkeypatch, a.astype(float) * (1 + 2.0**-40), b, product_format="fp32")
    )


@pytest.mark.parametrize("size", [1, 5, 64, 1 << 15])
def test_blocks_of_terms_and_of_sums_change_no_bit(monkeypatch, size):
    rng = np.random.default_rng(3)
    stack, other = rng.integers(-99, 99, (3, 1, 7, 40)) / 64, rng.integers(-99, 99, (2, 40, 9)) / 64
    row = quantize(rng.standard_normal(5000), "bf16")
    before = matmul(stack, other, "fp32", accumulator="fp32"), sum_of(row, "fp32", accumulator="fp32")
    long = matmul(stack * np.pi, other, "fp32", accumulator="fp32")
    monkeypatch.setattr(native, "_BLOCK", size)
    monkeypatch.setattr(native, "_TERMS", size)
    after = matmul(stack, other, "fp32", accumulator="fp32"), sum_of(row, "fp32", accumulator="fp32")
    np.testing.assert_array_equal(long, matmul(stack * np.pi, other, "fp32", accumulator="fp32"))
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x, y)
    assert before[1] == in_fractions(row, np.ones(5000))


def test_sums_of_float32_rows_are_those_of_a_plain_loop():
    x = np.random.default_rng(4).standard_normal((50, 300)).astype(np.float32)
    total = x[:, 0].copy()
    for column in x.T[1:]:
        total += column
    np.testing.assert_array_equal(sum_of(x, "fp32", axis=1, accumulator="fp32"), total)
    np.testing.assert_array_equal(sum_of(x[:2], "fp32", axis=1, accumulator="fp32"), total[:2])


# -- products of more than 24 bits ----------------------------------------------------------------------------


def test_long_products_are_added_as_in_fractions(monkeypatch):
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((60, 90)).astype(np.float32), rng.standard_normal((90, 50)).astype(np.float32)
    bias = rng.standard_normal(50).astype(np.float32)
    for more in (None, bias):
        got, wanted = both_ways(monkeypatch, a, b, bias=more)
        np.testing.assert_array_equal(got, wanted)
        for i, j in ((0, 0), (59, 49), (30, 7)):
            start = Fraction(0) if more is None else Fraction(float(more[j]))
            assert got[i, j] == np.float32(in_fractions(a[i], b[:, j], start)).view(np.uint32)
    np.testing.assert_array_equal(
        *both_ways(monkeypatch, rng.standard_normal((9, 20)), rng.standard_normal((20, 9)))
    )


def test_a_sum_that_float64_takes_for_a_midpoint_is_rounded_once(monkeypatch):
    # 1 + 2^-23 + 2^-24 - 2^-70 lies below the midpoint, and float64 says that it is the midpoint, whose even
    # neighbour is the one above.
    eps = 2.0**-23
    row, column = np.array([1.0 + eps, 1.0 + eps, -1.0]), np.array([1.0, 2.0**-24 * (1.0 - eps), 0.0])
    assert (1.0 + eps) + row[1] * column[1] == 1.0 + eps + 2.0**-24
    signs = np.where(np.arange(40) % 2, 1.0, -1.0)
    got, wanted = both_ways(monkeypatch, signs[:, None] * row, np.tile(column[:, None], 40))
    np.testing.assert_array_equal(got, wanted)
    assert got.view(np.float32)[1, 0] == in_fractions(row, column) == 1.0 + eps
    monkeypatch.setattr(native, "_MIDPOINT", -1)  # so that nothing is looked at
    assert (both_ways(monkeypatch, signs[:, None] * row, np.tile(column[:, None], 40))[0] != wanted).all()


@pytest.mark.parametrize("scale", [1.0, 2.0**-60, 2.0**-74, 2.0**-85, 2.0**-100, 2.0**60])
def test_ties_subnormal_sums_and_overflow_of_long_products(monkeypatch, scale):
    rng = np.random.default_rng(10)
    for _ in range(6):
        a = (rng.integers(-(2**13), 2**13, (40, 25)) * 2.0 ** rng.integers(-20, 4, (40, 25))).astype(
            np.float32
        )
        b = (rng.integers(-(2**13), 2**13, (25, 30)) * 2.0 ** rng.integers(-20, 4, (25, 30))).astype(
            np.float32
        )
        a, b = a * np.float32(scale), b * np.float32(scale)
        a[0, 3], b[5, 0], a[2] = np.inf, np.nan, -0.0
        np.testing.assert_array_equal(*both_ways(monkeypatch, a, b))


def test_terms_too_fine_for_subnormal_sums_are_left_to_the_rounder(monkeypatch):
    # 1.5 * 2^-149 is a midpoint; 2^-203 beside it is lost in float64.
    wide = np.ones((40, 1))
    for rest, wanted in ((2.0**-203, 2.0**-148), (-(2.0**-203), 2.0**-149)):
        a, b = np.array([[1.0, 1.0]]) * wide, np.array([[1.5 * 2.0**-149], [rest]])
        terms = Terms(a, b)
        assert 1.5 * 2.0**-149 + rest == 1.5 * 2.0**-149
        assert native.sequential_float32(terms, FP32, PLAIN) is None
        # the first term is rounded itself, so the midpoint is made of two
        a, b = np.array([[1.0, 1.0]]) * wide, np.array([[2.0**-149], [2.0**-150 + rest]])
        np.testing.assert_array_equal(*both_ways(monkeypatch, a, b))
        assert matmul(a, b, "fp32", accumulator="fp32")[0] == wanted
