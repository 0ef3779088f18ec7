"""The Hadamard transform: every number against fractions and integer roots, signs of zeros, and its inverse."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab.block_formats.hadamard import TRANSFORMER_ENGINE
from floatlab.errors import FloatlabError, OptionError, ShapeError

RNG = np.random.default_rng(5)
MODES = ("nearest_even", "nearest_away", "toward_zero", "toward_positive", "toward_negative", "to_odd")


def entry(i, j):
    """Return an entry of Sylvester's matrix: -1 to the number of places where both indices have a bit."""
    return -1 if bin(i & j).count("1") % 2 else 1


def exact(row, signs, inverse):
    """Return the sums of a row, in fractions, before the factor."""
    n = len(row)
    first, last = (np.ones(n, int), signs) if inverse else (signs, np.ones(n, int))
    terms = [int(s) * Fraction(float(x)) for s, x in zip(first, row, strict=True)]
    return [int(last[j]) * sum(entry(i, j) * t for i, t in enumerate(terms)) for j in range(n)]


def scaled(total, size, digits=1300):
    """Return total / sqrt(size); where that is irrational, cut off after so many bits and made odd."""
    k = size.bit_length() - 1
    if k % 2 == 0:
        return total / 2 ** (k // 2)
    if total == 0:
        return Fraction(0)
    square = total**2 / size
    root = math.isqrt(math.floor(square * 4**digits))
    return (1 if total > 0 else -1) * Fraction(2 * root + 1, 2 ** (digits + 1))


def exactly(x, size, signs, inverse=False):
    """Return the transform as an array of fractions."""
    rows = np.asarray(x, np.float64).reshape(-1, size)
    found = np.empty(rows.shape, object)
    for i, row in enumerate(rows):
        found[i] = [scaled(t, size) for t in exact(row, signs, inverse)]
    return found.reshape(np.shape(x))


def rows_of(kind, size, count=6):
    """Return rows that go all three ways: short ones, of many magnitudes, with small integers, near the ends."""
    x = RNG.normal(size=(count, size))
    spread = x * np.exp(RNG.normal(size=x.shape) * 25)
    whole = RNG.integers(-9, 9, x.shape)
    with np.errstate(over="ignore", under="ignore"):
        found = np.concatenate(
            [x, spread, whole, x * 1e-40, x * 1e37, whole * 2.0**-149, whole * 2.0**-1074]
        ).astype(kind)
    return np.where(np.isfinite(found), found, 1)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("inverse", [False, True])
def test_every_number_is_the_exact_one_rounded_once(size, kind, inverse):
    signs = RNG.choice([-1, 1], size)
    x = rows_of(kind, size, max(1, 8 // size))
    want = exactly(x, size, signs, inverse)
    for fmt in ("float32", "float64", "e4m3"):
        for rounding in MODES:
            got = fl.hadamard(x, size, signs, fmt=fmt, inverse=inverse, rounding=rounding)
            np.testing.assert_array_equal(got, fl.quantize(want, fmt, rounding=rounding))  # zeros by value
            assert got.dtype == fl.get_format(fmt).value_dtype


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("bits", [8, 48])
def test_stochastic_rounding_compares_the_exact_part(size, bits):
    for kind in (np.float32, np.float64):
        x = np.ascontiguousarray(rows_of(kind, size, 3).T)  # so that the axis is the first
        R = RNG.integers(0, 2**bits, x.shape)
        exact_ones = exactly(x.T, size, np.ones(size, int))
        for fmt in ("bf16", "float32", "float64"):
            options = {"rounding": "stochastic", "random_bits": bits}
            got = fl.hadamard(x, size, axis=0, fmt=fmt, random_integers=R, **options)
            want = fl.quantize(exact_ones, fmt, random_integers=R.T, **options)
            np.testing.assert_array_equal(got, want.T)


def test_sums_that_float64_rounds_are_exact():
    row = np.array([2.0**60, 1.0, -(2.0**60), 0.0])
    assert fl.hadamard(row, 4).tolist() == [0.5, -0.5, 2.0**60, 2.0**60]
    single = np.array([2.0**100, 1.0, -(2.0**100), 1.0], np.float32)
    assert fl.hadamard(single, 4).tolist() == [1.0, -1.0, 2.0**100, 2.0**100]


def test_a_sum_that_needs_a_bit_more_than_its_numbers_is_exact():
    row = np.array([1 + 2.0**-52, 1.0, 1.0, 1.0])  # each of 53 bits, and the sum of 55
    for fmt, step in (("float64", 2.0**-51), ("float32", 2.0**-22)):
        assert fl.hadamard(row, 4, fmt=fmt, rounding="toward_positive")[0] == 2 + step


def test_the_largest_numbers_do_not_overflow_on_the_way():
    big = np.finfo(np.float64).max
    row = np.array([big, big, -big, -big, big, big, -big, -big] * 2)
    got = fl.hadamard(row, 16)
    assert got[2] == np.inf and np.isfinite(np.delete(got, 2)).all()  # 16 / 4 times the largest
    assert fl.hadamard(row / 4, 16)[2] == big
    assert fl.hadamard(row, 16, overflow="saturate")[2] == big


@pytest.mark.parametrize("rounding", MODES)
def test_a_zero_has_the_sign_that_a_sum_has(rounding):
    cancelled = -0.0 if rounding == "toward_negative" else 0.0

    def signs_of(row, size=4, **options):
        return np.signbit(fl.hadamard(np.array(row, np.float32), size, rounding=rounding, **options)).tolist()

    mixed = math.copysign(1, cancelled) < 0
    assert signs_of([0.0] * 4) == [False, mixed, mixed, mixed]
    assert signs_of([-0.0] * 4) == [True, mixed, mixed, mixed]
    assert signs_of([-0.0, 0.0, -0.0, 0.0]) == [mixed, True, mixed, mixed]
    assert signs_of([-0.0, 0.0], 2) == [mixed, True] and signs_of([-0.0], 1) == [True]
    assert signs_of([1.0, 1.0, 1.0, 1.0]) == [False, mixed, mixed, mixed]
    assert signs_of([1.0, 1.0], 2) == [False, mixed]
    assert signs_of([0.0] * 4, signs=[-1] * 4) == [True, mixed, mixed, mixed]
    assert signs_of([0.0] * 4, signs=[-1] * 4, inverse=True) == [True, mixed, mixed, mixed]
    assert signs_of([2.0**100, 1, 2.0**100, 1]) == [False, False, mixed, mixed]  # where float64 is not enough
    assert signs_of([1e30, 1e-9, 1e30, 1e-9, 0, 0, 0, 0], 8, fmt="float64")[2] == mixed


def test_infinities_and_nans_go_where_a_sum_takes_them():
    for size in (4, 8):
        rows = np.ones((4, size), np.float32)
        rows[0, 1], rows[1, 1], rows[2, :2] = np.inf, np.nan, (np.inf, -np.inf)
        got = fl.hadamard(rows, size)
        with np.errstate(invalid="ignore"):
            want = rows @ np.array([[entry(i, j) for j in range(size)] for i in range(size)])
        np.testing.assert_array_equal(np.isnan(got[:3]), np.isnan(want[:3]))
        np.testing.assert_array_equal(got[0], want[0])
        assert np.isfinite(got[3]).all()  # its neighbours are not touched
    with pytest.raises(FloatlabError, match="NaN"):
        fl.hadamard(rows, 8, fmt="e2m1")


def test_the_signs_of_transformer_engine():
    assert "".join("+-"[s < 0] for s in TRANSFORMER_ENGINE) == "+++-+------+-+--"
    x = RNG.normal(size=(3, 32)).astype(np.float32)
    got = fl.hadamard(x, signs="transformer_engine")
    np.testing.assert_array_equal(got, fl.hadamard(x, 16, TRANSFORMER_ENGINE))
    first = sum(s * float(v) for s, v in zip(TRANSFORMER_ENGINE, x[0], strict=False)) / 4
    assert abs(got[0, 0] - first) < 1e-6
    with pytest.raises(OptionError, match="16 signs"):
        fl.hadamard(x, 32, "transformer_engine")


def test_the_inverse_undoes_it():
    x = RNG.integers(-100, 100, (4, 64)).astype(np.float32)
    for size in (4, 16, 64):
        for signs in (None, 7, RNG.choice([-1.0, 1.0], size)):
            back = fl.hadamard(fl.hadamard(x, size, signs), size, signs, inverse=True)
            np.testing.assert_array_equal(back, x)
    for size in (2, 8):
        back = fl.hadamard(fl.hadamard(x, size, 7, fmt="float64"), size, 7, inverse=True)
        np.testing.assert_allclose(back, x, rtol=1e-14, atol=1e-13)


def test_a_product_stays_what_it_is():
    a, b = RNG.integers(-50, 50, (4, 32)).astype(float), RNG.integers(-50, 50, (32, 5)).astype(float)
    turned = fl.hadamard(a, signs=3) @ fl.hadamard(b, signs=3, axis=0)
    np.testing.assert_array_equal(turned, a @ b)


def test_signs_are_drawn_from_a_seed_or_a_generator():
    x = RNG.normal(size=64)
    a = fl.hadamard(x, 64, signs=11)
    np.testing.assert_array_equal(a, fl.hadamard(x, 64, signs=np.random.default_rng(11)))
    assert (a != fl.hadamard(x, 64, signs=12)).any() and (a != fl.hadamard(x, 64)).any()
    rng = np.random.default_rng(11)
    assert (fl.hadamard(x, 64, rng) != fl.hadamard(x, 64, rng)).any()  # drawn anew


def test_arrays_may_lie_in_memory_as_they_like():
    x = RNG.normal(size=(6, 32)).astype(np.float32)
    want = fl.hadamard(x)
    before = x.copy()
    read_only = x.copy()
    read_only.flags.writeable = False
    for dress in (read_only, np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(fl.hadamard(dress), want)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(fl.hadamard(x.T, axis=0), want.T)
    np.testing.assert_array_equal(fl.hadamard(x.reshape(3, 2, 32, 1), axis=2).reshape(6, 32), want)
    assert fl.hadamard(x.T, axis=0).flags.c_contiguous
    for kind in (ml_dtypes.bfloat16, np.float16, np.int8):
        given = (x * 10).astype(kind)
        got = fl.hadamard(given)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, fl.hadamard(given.astype(np.float32)))
    assert fl.hadamard(x.tolist()).dtype == np.float64 and fl.hadamard(np.arange(16)).dtype == np.float64
    for shape in ((0,), (0, 16), (3, 0)):
        assert fl.hadamard(np.zeros(shape, np.float32)).shape == shape


def test_many_rows_are_what_each_is_alone():
    x = RNG.normal(size=(3000, 16)).astype(np.float32)
    x[::97] *= np.exp(RNG.normal(size=16) * 20).astype(np.float32)
    got = fl.hadamard(x, signs=1)
    for i in (0, 1, 96, 97, 194, 2047, 2048, 2999):
        np.testing.assert_array_equal(got[i], fl.hadamard(x[i], signs=1))
    matrix = np.array([[entry(i, j) for j in range(16)] for i in range(16)]) / 4
    easy = np.arange(3000) % 97 > 0
    np.testing.assert_allclose(got[easy], (x * (1 - 2 * np.random.default_rng(1).integers(0, 2, 16)) @ matrix)[easy],
                               rtol=1e-5, atol=1e-6)  # fmt: skip


def test_sources_below_the_smallest_normal_count_as_zeros_where_asked():
    x = np.array([2.0**-127, 1.0, 1.0, 1.0], np.float32) * np.float32(2.0**-126)
    x[1:] = 2.0**-100
    x[0] = 2.0**-130
    with_it, without = fl.hadamard(x, 4, flush_inputs=True), fl.hadamard(x, 4)
    np.testing.assert_array_equal(with_it, fl.hadamard(np.where(x < 2.0**-126, 0, x).astype(np.float32), 4))
    assert without.shape == with_it.shape


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"size": 3}, OptionError),
        ({"size": 0}, OptionError),
        ({"size": 2048}, OptionError),
        ({"size": 16.0}, OptionError),
        ({"size": True}, OptionError),
        ({"size": 32}, ShapeError),
        ({"axis": 2}, ShapeError),
        ({"axis": 0}, ShapeError),
        ({"axis": "last"}, ShapeError),
        ({"signs": "te"}, OptionError),
        ({"signs": [1, -1]}, OptionError),
        ({"signs": np.zeros(16)}, OptionError),
        ({"signs": -1}, OptionError),
        ({"inverse": "yes"}, OptionError),
        ({"roundng": "to_odd"}, OptionError),
        ({"rounding": "stochastic"}, OptionError),
        ({"fmt": "fp17"}, FloatlabError),
    ],
)
def test_what_cannot_be_transformed_is_refused_with_the_way_out(options, error):
    with pytest.raises(error, match="Got"):
        fl.hadamard(np.ones((3, 16)), **options)


@pytest.mark.parametrize("name", ["te", "transformer_engin", "nvidia"])
def test_a_misspelt_name_of_signs_is_told_the_right_one(name):
    with pytest.raises(OptionError, match='Use "transformer_engine"'):
        fl.hadamard(np.ones(16), signs=name)


@pytest.mark.parametrize(
    "stranger", [None, "one", np.ones(16) + 1j, [[1.0], [1.0, 2.0]], [2**70 + 1] * 16], ids=str
)
def test_what_is_no_array_of_float64_numbers_is_refused(stranger):
    with pytest.raises(FloatlabError, match="Got"):
        fl.hadamard(stranger)
    with pytest.raises(ShapeError):
        fl.hadamard(1.0)
