"""Sums and means of rows from bins: against fractions, and against the other way that the same sums have."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floatlab import reference
from floatlab.formats import get_format
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import ROUNDING_MODES
from floatlab.sums import bins, native, rows
from floatlab.sums.matmul import dot, matmul
from floatlab.sums.matmul import mean as mean_of
from floatlab.sums.matmul import sum as sum_of

DETERMINISTIC = [mode for mode in ROUNDING_MODES if not mode.startswith("stochastic")]
MAX32, MAX64 = float(np.finfo(np.float32).max), float(np.finfo(np.float64).max)


def cancelling(rng, n, dtype):
    """Numbers over most of the range that cancel in pairs, but for a few small ones."""
    top = 120 if dtype == np.float32 else 900
    large = rng.standard_normal(n // 2) * 2.0 ** rng.integers(-top, top, n // 2)
    x = np.concatenate([large.astype(dtype), -large.astype(dtype), rng.standard_normal(n % 2).astype(dtype)])
    x[: min(n, 3)] *= dtype(1.25)
    return rng.permutation(x)


KINDS = {
    "ordinary": lambda rng, n, dtype: rng.standard_normal(n).astype(dtype),
    "positive": lambda rng, n, dtype: rng.random(n).astype(dtype),
    "one value": lambda rng, n, dtype: np.full(n, np.nextafter(dtype(2), dtype(0))),
    "cancelling": cancelling,
    "subnormal": lambda rng, n, dtype: rng.integers(-9, 9, n).astype(dtype) * np.finfo(dtype).smallest_subnormal,
    "all codes": lambda rng, n, dtype: np.nan_to_num(
        rng.integers(0, 256, n * np.dtype(dtype).itemsize, np.uint8).view(dtype), posinf=1, neginf=-1
    ).clip(-np.finfo(dtype).max / dtype(2e9), np.finfo(dtype).max / dtype(2e9)),
}  # fmt: skip


def fraction_of(row):
    return sum(map(Fraction, row.tolist()), Fraction(0))


def bits(x):
    wide = np.asarray(x, np.float64)
    return np.where(np.isnan(wide), np.nan, wide).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_its_exact_sum_whatever_its_length_and_its_numbers(kind, dtype):
    rng = np.random.default_rng(len(kind))
    for n in (1, 2, bins._SHORT, bins._SHORT + 1, 400, bins._BLOCK + 3):
        x = KINDS[kind](rng, n, dtype)
        exact = fraction_of(x)
        assert bins.row_as_integer(x) == exact * 2**1074
        for mode in ("nearest_even", "toward_negative", "to_odd"):
            right = reference.round(exact, get_format("fp32"), mode).value
            assert sum_of(x, "fp32", rounding=mode) == reference.to_float(right), (n, mode)
        assert sum_of(x, "fp64", accumulator="exact") == float(exact)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", DETERMINISTIC)
def test_every_mode_and_format_rounds_the_sum_and_the_mean_of_a_row_once(mode, dtype):
    rng = np.random.default_rng(5)
    for n in (3, 100, 300):
        for kind in ("ordinary", "cancelling", "one value"):
            x = KINDS[kind](rng, n, dtype)
            exact = fraction_of(x)
            for fmt in ("e5m2", "bf16", "fp32", "e11m40", "e11m49", "fp64"):
                fmt = get_format(fmt)
                right = [
                    reference.to_float(reference.round(y, fmt, mode).value) for y in (exact, exact / len(x))
                ]
                options = {"rounding": mode, "accumulator": "exact"}
                assert [sum_of(x, fmt, **options), mean_of(x, fmt, **options)] == right, (n, kind, fmt)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8), st.integers(0, 40))
def test_any_numbers_as_often_as_one_likes_give_their_exact_sum(numbers, times):
    x = np.repeat(np.array(numbers, np.float64), times)
    exact, fmt = fraction_of(x), get_format("fp64")
    for mode in ("nearest_even", "toward_positive"):
        right = reference.to_float(reference.round(exact, fmt, mode).value)
        assert sum_of(x, fmt, rounding=mode, accumulator="exact") == right


# -- the same as by the other way -------------------------------------------------------------------------


def special_rows(n, dtype):
    """Yield rows of zeros of either sign, infinities, NaNs, and numbers whose sums leave the type on the way."""
    zeros = np.zeros(n, dtype)
    yield zeros
    yield -zeros
    top = np.finfo(dtype).max
    for first, last in (
        (-0.0, 0.0), (np.inf, 1.0), (-np.inf, -0.0), (np.inf, -np.inf), (np.nan, 1.0), (-np.nan, -np.inf),
        (np.nan, np.inf), (1.0, -1.0), (top, top), (-top, -top), (top, -top), (top, np.inf),
    ):  # fmt: skip
        x = -zeros
        x[0], x[-1] = first, last
        yield x
        yield np.where(x == 0, dtype(top / 4 if n < 9 else 1.5), x)
    yield np.tile([top, -top, top / 2, -top, top / 2], n)[:n].astype(dtype)


@pytest.mark.parametrize("n", [3, 65])
@pytest.mark.parametrize("fmt", ["fp16", "e4m3", "e8m0", "fp64"])
def test_bins_and_products_of_matrices_are_the_same_bits_flags_and_draws(monkeypatch, fmt, n):
    monkeypatch.setattr(bins, "_SHORT", 64)
    options = [{"rounding": mode} for mode in DETERMINISTIC]
    options += [{"rounding": "stochastic", "random_bits": 9}, {"rounding": "stochastic_c", "random_bits": 40}]
    if get_format(fmt).signed:
        options += [
            {"overflow": "saturate"},
            {"subnormals": "flush"},
            {"rounding": "toward_zero", "overflow": "nan"},
        ]
    every = [x for dtype in (np.float32, np.float64) for x in special_rows(n, dtype)]
    rng = np.random.default_rng(n)
    every += [kind(rng, n, dtype) for kind in KINDS.values() for dtype in (np.float32, np.float64)]
    every += [KINDS["ordinary"](rng, n, np.float16), np.full(n, np.float16(-0.0))]

    def results(x, first):
        found = []
        for function, accumulator in ((sum_of, "wide"), (sum_of, "exact"), (mean_of, "wide")):
            for more in options[first::4]:
                for flags in (False, True):
                    draws = np.random.default_rng(3) if "random_bits" in more else None
                    got = function(x, fmt, accumulator=accumulator, return_flags=flags, rng=draws, **more)
                    values, raised = got if flags else (got, Flags(*[np.zeros(())] * 5))
                    found.append(
                        (bits(values), [bool(getattr(raised, name)) for name in raised.__dataclass_fields__])
                    )
                    found.append(draws and draws.integers(1 << 60))
        return found

    for i, x in enumerate(every):
        got = results(x, i % 4)
        with monkeypatch.context() as patch:
            patch.setattr(rows, "_is_for_bins", lambda *_: False)
            assert got == results(x, i % 4), x


def test_a_mean_that_lies_beside_a_midpoint_by_less_than_float64_shows_is_rounded_to_the_right_side():
    fmt, rng = get_format("bf16"), np.random.default_rng(6)
    for _ in range(300):
        n = int(rng.choice([3, 5, 7, 12, 100]))
        middle = Fraction(2 * int(rng.integers(128, 256)) + 1, 2) * Fraction(2) ** int(rng.integers(-20, 20))
        x = np.full(n, float(middle))
        x[0], x[1] = 0.0, 2 * x[1]
        x[2] += float(middle) * float(rng.choice([0.0, 2.0**-52, -(2.0**-52), 2.0**-45]))
        for row in (x, -x):
            right = reference.round(fraction_of(row) / n, fmt).value
            assert mean_of(row, fmt) == reference.to_float(right)
    # The sum is beside a midpoint times 3, and the quotient is the midpoint in float64.
    x = np.array([3.0 * (1 + 2.0**-8), 2.0**-70, 0.0])
    assert x.sum() / 3 == 1 + 2.0**-8 and mean_of(x, fmt) == 1 + 2.0**-7 and mean_of([x[0], 0, 0], fmt) == 1


@pytest.mark.parametrize("fmt", ["fp16", "e4m3", "e4m3fnuz", "e8m0", "fp32", "fp64"])
def test_one_dot_product_is_that_of_a_matrix(fmt):
    rng, unsigned = np.random.default_rng(8), not get_format(fmt).signed
    for n in (1, 5, 300):
        x, y = rng.standard_normal((2, n)).astype(np.float32)
        rows = [
            (x, y),
            (x * np.float32(1e-30), y * np.float32(1e-12)),
            (np.zeros_like(x), -y),
            (-0.0 * x, 0.0 * x),
        ]
        rows += [(np.where(np.arange(n) == 0, special, x), 0.0 * y) for special in (np.inf, np.nan)]
        rows.append((np.concatenate([x, x]).astype(np.float32), np.concatenate([y, -y])))
        for a, b in rows:
            for how in ("wide", "exact"):
                for mode in ("nearest_even",) if unsigned else ("nearest_even", "toward_negative", "to_odd"):
                    options = {"accumulator": how, "rounding": mode}
                    twice = matmul(np.stack([a, a]), b, fmt, **options)
                    assert bits(dot(a, b, fmt, **options)) == bits(twice[0]), (n, how, mode)
    x = (rng.standard_normal(200) * 2.0 ** rng.integers(-60, 60, 200)).astype(np.float32)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, x[::-1], strict=True))
    if not unsigned:
        right = reference.to_float(reference.round(exact, get_format(fmt)).value)
        assert bits(dot(x, x[::-1], fmt, accumulator="exact")) == bits(right)


def test_several_rows_of_which_one_is_not_finite_keep_their_places():
    x = np.random.default_rng(0).standard_normal((4, 500)).astype(np.float32)
    x[1, 7], x[2] = np.inf, -0.0
    got = sum_of(x, "fp32", axis=1)
    assert got[1] == np.inf and got[2] == 0 and np.signbit(got[2])
    assert [got[0], got[3]] == [np.float32(math.fsum(row.tolist())) for row in x[[0, 3]]]
    _, flags = sum_of(np.array([[np.inf, -np.inf], [np.nan, np.inf]]), "fp16", axis=1, return_flags=True)
    assert flags.invalid.tolist() == [True, False]


@pytest.mark.parametrize("accumulator", ["wide", "exact"])
def test_rows_of_any_layout_along_any_axis_are_the_same(accumulator):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 400, 2)).astype(np.float32)
    for axis in (None, 1, (0, 1), (1, 2), -2):
        right = np.vectorize(lambda f: np.float32(f))(
            np.apply_over_axes(np.sum, np.vectorize(Fraction, otypes=[object])(x.astype(float)), axis or (0, 1, 2))
            if axis is not None
            else np.array(fraction_of(x.ravel()))
        )  # fmt: skip
        for y in (
            x,
            np.asfortranarray(x),
            np.repeat(x, 2, 1)[:, ::2],
            x[::-1][::-1],
            x.astype(">f4"),
            x.astype(float),
        ):
            got = sum_of(y, "fp32", axis=axis, accumulator=accumulator)
            np.testing.assert_array_equal(got.ravel(), right.ravel())
            assert sum_of(y, "fp32", axis=axis, keepdims=True).size == got.size


# -- bins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bin_holds_as_many_of_the_longest_numbers_as_it_is_given(dtype):
    # All ones: the parts of 24, 26 and 27 bits are as large as they can be. Without new bins the sums would be rounded.
    longest = np.nextafter(dtype(2), dtype(0))
    parts = {np.float32: 2**24 - 1, np.float64: 2**27 - 1}
    assert parts[dtype] * bins._MOST <= 2**53
    for count in (bins._MOST - 1, bins._MOST + 1):
        row = np.broadcast_to(-longest, count)
        assert bins.row_as_integer(row) == -count * int(Fraction(float(longest)) * 2**1074)


def test_bins_that_are_too_full_would_be_noticed(monkeypatch):
    monkeypatch.setattr(bins, "_MOST", 1 << 28)
    row = np.broadcast_to(np.nextafter(2.0, 0.0), (1 << 27) + 1)
    assert bins.row_as_integer(row) != len(row) * int(Fraction(float(row[0])) * 2**1074)


def test_new_bins_for_every_part_of_a_row_change_no_sum(monkeypatch):
    x = cancelling(np.random.default_rng(2), 5001, np.float64)
    once = bins.row_as_integer(x)
    for block, most in ((7, 100), (64, 64), (1 << 16, 999)):
        monkeypatch.setattr(bins, "_BLOCK", block)
        monkeypatch.setattr(bins, "_MOST", most)
        assert bins.row_as_integer(x) == once == bins.row_as_integer(x[::-1])


def test_what_the_nearest_float64_loses_decides_only_where_it_is_a_mark():
    # A midpoint of float32, its neighbours, and what lies 2^-200 beside them.
    for middle in (1.0 + 2.0**-24, 1.0 + 2.0**-23, 1.0 + 2.0**-24 + 2.0**-52, 0.0, 2.0**-150):
        for tail in (2.0**-200, -(2.0**-200), 0.0):
            for n in (2, bins._SHORT + 9):
                row = np.array([middle, tail, *[0.0] * (n - 2)])
                exact = Fraction(middle) + Fraction(tail)
                for mode in DETERMINISTIC:
                    right = reference.round(exact, get_format("fp32"), mode).value
                    assert sum_of(row, "fp32", rounding=mode) == reference.to_float(right), (
                        middle,
                        tail,
                        mode,
                    )


def test_a_long_sum_takes_no_memory_to_speak_of():
    x = np.ones(1 << 22, np.float32)
    sum_of(x[:1000], "fp32")
    tracemalloc.start()
    assert sum_of(x, "fp32") == 1 << 22
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # a float64 copy would be 32 MiB


# -- "wide" in float64 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100, 1000])
def test_wide_float64_sums_of_few_rows_are_those_of_a_plain_loop(monkeypatch, n):
    monkeypatch.setattr(native, "_TERMS", 64)
    x = np.random.default_rng(n).standard_normal((3, n)) * 2.0 ** np.arange(-20, 40, 20)[:, None]
    x[0, 0] = -0.0
    expected = x[:, 0].copy()
    for column in x.T[1:]:
        expected = expected + column
    np.testing.assert_array_equal(sum_of(x, "fp64", axis=1), expected)
    if n > 64:
        assert (expected != [math.fsum(row) for row in x]).any()
    assert np.signbit(sum_of(np.full(n, -0.0), "fp64"))
    assert sum_of(np.array([1e308] * 2 + [-1e308] * n), "fp64") == np.inf
