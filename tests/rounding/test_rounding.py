"""`quantize` against oracles that share no code with it, on every number where a rounding can go wrong."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support import (
    CATALOGUE,
    CATALOGUE_8,
    CATALOGUE_16,
    DETERMINISTIC,
    LARGE,
    ODD,
    SMALL,
    SOME,
    STOCHASTIC,
    bits64,
    critical_points,
    disagreements,
    expected_codes,
    float32_points,
    magnitudes,
    marks,
    name_of,
    near_the_ends,
    pieces,
    policies_of,
)

from floatlab import reference
from floatlab.errors import (
    DtypeError,
    FloatlabError,
    FormatError,
    OptionError,
    OverflowPolicyError,
    ShapeError,
)
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.definition import round_exactly
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import quantize

FP64, FP32, TF32, FP16, BF16 = (get_format(name) for name in ("fp64", "fp32", "tf32", "fp16", "bf16"))
E4M3, E5M2, FP4, E8M0 = (get_format(name) for name in ("e4m3", "e5m2", "fp4", "e8m0"))
FLAGS = ("invalid", "divide_by_zero", "overflow", "underflow", "inexact")


def points_of(fmt: FloatFormat) -> list[np.ndarray]:
    nan = fmt.specials != "finite"
    return [critical_points(fmt, nan), float32_points(fmt, nan)]


# -- exhaustive comparison with the oracle ---------------------------------------------------------


@pytest.mark.parametrize("fmt", SMALL, ids=name_of)
def test_every_value_midpoint_and_neighbour_of_a_small_format_rounds_right_in_every_mode(fmt):
    for x in points_of(fmt):
        parts = pieces(fmt, x)
        for rounding in DETERMINISTIC:
            assert disagreements(quantize, None, fmt, x, parts, rounding=rounding) == []


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize("fmt", LARGE, ids=name_of)
def test_every_value_midpoint_and_neighbour_of_a_16_bit_format_rounds_right_in_every_mode(fmt, rounding):
    for x in points_of(fmt):
        assert disagreements(quantize, None, fmt, x, rounding=rounding) == []


@pytest.mark.parametrize("fmt", SOME + LARGE, ids=name_of)
def test_policies_and_subnormal_rules_hold_at_both_ends_of_the_range(fmt):
    for x in points_of(fmt):
        ends = near_the_ends(fmt, x)
        for rounding in DETERMINISTIC:
            for policy in policies_of(fmt):
                for options in ({}, {"subnormals": "flush"}, {"flush_inputs": True}):
                    options |= {"rounding": rounding, "overflow": policy}
                    assert disagreements(quantize, None, fmt, ends, **options) == []
        parts = pieces(fmt, ends)
        for policy in policies_of(fmt):
            assert disagreements(quantize, None, fmt, ends, parts, overflow=policy) == []


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("fmt", SOME + LARGE, ids=name_of)
def test_a_stochastic_rounding_is_what_its_random_integers_say(fmt, rounding):
    rng = np.random.default_rng(5)
    for x in points_of(fmt):
        x = near_the_ends(fmt, x) if fmt.bits > 8 else x
        parts = pieces(fmt, x)
        for bits in (3, 30):
            integers = rng.integers(0, 2**bits, x.shape)
            integers[::7], integers[1::7] = 0, 2**bits - 1
            options = {"rounding": rounding, "random_bits": bits, "random_integers": integers}
            assert disagreements(quantize, None, fmt, x, parts, **options) == []


def at_the_edges(largest: int, bits: int) -> list[FloatFormat]:
    """Return formats whose constants just fit, and just do not, into a carrier of `bits` mantissa bits."""
    found = []
    for e, m in ((4, 3), (2, 1), (5, 6), (6, 4), (3, 0)):
        span = 2**e - 2
        lows = {1 - largest + d for d in range(-3, 3)} | {m - largest + d for d in range(-3, 4)}
        highs = {largest - 2 - (bits - m) + d for d in range(-3, 4)} | {largest + d for d in (-2, -1, 0)}
        for emin in sorted(lows | {high - span for high in highs}):
            bias = 1 - emin
            if emin - m >= -1074 and emin + span <= 1022:  # the table oracle needs one mark more
                found.append(FloatFormat(f"e{e}m{m}b{bias}", e, m, bias, "fn" if m else "finite"))
    # spans at which the largest value in units of the smallest no longer fits
    spans = [FloatFormat(f"e{e}m{m}", e, m) for e in (5, 6, 7, 8, 9, 10) for m in (1, 2, 3, 4)]
    return found + spans


EDGES = {fmt.name: fmt for fmt in at_the_edges(127, 23) + at_the_edges(1023, 52)}


@pytest.mark.parametrize("fmt", EDGES.values(), ids=name_of)
def test_formats_at_the_edge_of_the_exponents_of_a_carrier_round_right(fmt):
    sources = [critical_points(fmt, fmt.has_nan)]
    if abs(fmt.emax) < 140 and abs(fmt.emin) < 160:
        sources.append(float32_points(fmt, fmt.has_nan))
    for x in sources:
        for rounding in DETERMINISTIC:
            assert disagreements(quantize, None, fmt, x, rounding=rounding) == []
        assert disagreements(quantize, None, fmt, x, overflow="saturate") == []
        for rounding in STOCHASTIC:
            integers = np.random.default_rng(15).integers(0, 2**5, x.shape)
            options = {"rounding": rounding, "random_bits": 5, "random_integers": integers}
            assert disagreements(quantize, None, fmt, x, **options) == []


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "e5m2", "e9m2", "e8m0", "e4m3b110fn", "e4m3b-90fn"])
def test_any_number_of_random_bits_from_1_to_48_works(name, rounding):
    fmt, rng = get_format(name), np.random.default_rng(16)
    values = marks(fmt)
    low = rng.integers(0, len(values) - 1, 300)
    for dtype in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            x = (values[low] + (values[low + 1] - values[low]) * rng.random(300)).astype(dtype)
        x = x[np.isfinite(x)]
        for bits in range(1, 49):
            integers = rng.integers(0, 2**bits, x.shape)
            integers[::5], integers[1::5] = 0, 2**bits - 1
            options = {"rounding": rounding, "random_bits": bits, "random_integers": integers}
            assert disagreements(quantize, None, fmt, x, **options) == []


def wide_points(fmt: FloatFormat) -> np.ndarray:
    """Return float64 numbers on, between and beside values of a format of more than 16 bits."""
    rng = np.random.default_rng(11)
    codes = np.concatenate([rng.integers(0, fmt.max_code, 400), np.arange(9), fmt.max_code - np.arange(9)])
    codes = np.concatenate([codes, (1 << fmt.mantissa_bits) + np.arange(-5, 5)]).tolist()
    values = np.array([reference.to_float(reference.decode(code, fmt)) for code in codes])
    after = np.array(
        [reference.to_float(reference.decode(min(code + 1, fmt.max_code), fmt)) for code in codes]
    )
    points = [values, values + (after - values) / 2, values + (after - values) / 4, [fmt.max * 1.5, 1e308]]
    points = np.concatenate(points)
    with np.errstate(over="ignore"):
        points = np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, 0)])
    return np.concatenate([points, -points, [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 5e-324, -5e-324]])


WIDER = (FP32, TF32, FloatFormat("e8m22", 8, 22), FloatFormat("e11m30", 11, 30), FloatFormat("e7m24", 7, 24))
WIDER = (*WIDER, FloatFormat("e11m51", 11, 51), FloatFormat("e9m20fn", 9, 20, specials="fn"), FP64)


@pytest.mark.parametrize("fmt", WIDER, ids=name_of)
def test_formats_of_more_than_16_bits_round_as_the_scalar_oracle_does(fmt):
    x = wide_points(fmt)
    for rounding in DETERMINISTIC + STOCHASTIC:
        options, integers = {"rounding": rounding}, [0] * len(x)
        if rounding in STOCHASTIC:
            integers = np.random.default_rng(2).integers(0, 256, len(x)).tolist()
            options |= {"random_bits": 8}
        expected = [
            reference.to_float(reference.round(number, fmt, random_integer=r, **options).value)
            for number, r in zip(x.tolist(), integers, strict=True)
        ]
        if rounding in STOCHASTIC:
            options["random_integers"] = np.array(integers)
        got = quantize(x, fmt, **options)
        assert np.array_equal(bits64(got, fmt.nan_has_sign), bits64(expected, fmt.nan_has_sign)), rounding


@pytest.mark.parametrize("name", ["fp16", "fp32"])
def test_nearest_even_of_a_million_float64_is_that_of_numpy(name):
    fmt, rng = get_format(name), np.random.default_rng(0)
    x = rng.integers(0, 2**64, 2**19, np.uint64).view(np.float64)
    scaled = np.ldexp(
        rng.standard_normal(2**19), rng.integers(fmt.emin - fmt.mantissa_bits - 2, fmt.emax + 2, 2**19)
    )
    with np.errstate(all="ignore"):
        for numbers in (x, scaled):
            theirs = numbers.astype(fmt.dtype).astype(np.float64)
            assert np.array_equal(bits64(quantize(numbers, fmt)), bits64(theirs))


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE_16 if fmt.dtype and fmt is not E8M0], ids=name_of)
def test_nearest_even_of_a_million_float32_is_that_of_ml_dtypes(fmt):
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**32, 2**19, np.uint32)
    exponents = rng.integers(fmt.emin - 8, min(fmt.emax + 2, 124), 2**19)
    near = np.ldexp(rng.standard_normal(2**19), exponents).astype(np.float32)
    for x in (words.view(np.float32), near):
        x = x if fmt.has_nan else x[~np.isnan(x)]
        with np.errstate(all="ignore"):
            theirs = x.astype(fmt.dtype).astype(np.float32)
        assert np.array_equal(bits64(quantize(x, fmt), fmt.nan_has_sign), bits64(theirs, fmt.nan_has_sign))


# -- one rounding, and other single claims ---------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (-431.99999999999994, "e4m3", -416.0),  # -432 is the midpoint of -416 and -448
        (1 + 2**-8 + 2**-40, "bf16", 1.0078125),
        (1 + 2**-11 + 2**-50, "fp16", 1 + 2**-10),
        (2.0**-25 * (1 + 2**-52), "fp16", 2.0**-24),
        (65519.99999999999, "fp16", 65504.0),
        (2**53 + 1, "fp32", 2.0**53),
        (2**24 + 1, "fp32", 2.0**24),
        (2**62 + 2**38 + 1, "fp32", 2.0**62 + 2**39),  # through float64 it is a tie, to even: 2**62
        (2**60 + 2**57 + 1, "float8_e5m2", np.inf),
        (-(2**70) - 2**62 - 1, "bf16", -(2.0**70) - 2**63),
        (257, "bf16", 256.0),
    ],
)
def test_a_number_is_rounded_once_from_its_exact_value(number, name, expected):
    assert quantize(number, name).item() == expected
    assert quantize([number, number], name).tolist() == [expected, expected]


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (464, "e4m3", 448),
        (464.00000000000006, "e4m3", np.nan),
        (65520, "fp16", np.inf),
        (61440, "e5m2", np.inf),
        (7, "fp4", 6),
        (5, "fp4", 4),
        (-np.inf, "fp4", -6),
        (3, "e8m0", 4),
        (6, "e8m0", 8),
        (1e9, "e2m3", 7.5),
    ],
)
def test_defaults_do_what_the_format_defines(number, name, expected):
    assert np.array_equal(quantize(number, name), expected, equal_nan=True)


def test_ties_at_the_smallest_value_go_to_zero_in_every_format_with_zero():
    for fmt in SMALL:
        if fmt.has_zero:
            assert quantize(fmt.smallest_subnormal / 2, fmt) == 0
            above = np.nextafter(fmt.smallest_subnormal / 2, 1e300)
            assert quantize(above, fmt) == fmt.smallest_subnormal


def test_e8m0_rounds_float32_subnormals_to_the_nearest_scale():
    # ml_dtypes gives 2**-126 here.
    assert quantize(np.float32(1.25 * 2.0**-127), "e8m0") == 2.0**-127


@pytest.mark.parametrize("name", ["fp6_e2m3", "fp6_e3m2", "fp4"])
@pytest.mark.parametrize("overflow", [None, "saturate"])
def test_a_nan_in_a_format_without_one_is_an_error_and_never_a_number(name, overflow):
    for x in ([np.nan], np.float32([1, np.nan, 2]), np.full((300, 300), np.nan)):
        with pytest.raises(OverflowPolicyError, match="NaN"):
            quantize(x, name, overflow=overflow)


@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "e5m2", "fp8_e4m3_ieee"])
def test_a_nan_keeps_its_sign_where_it_can_and_loses_its_payload(name):
    words = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], np.uint32)
    result = quantize(words.view(np.float32), name)
    assert result.view(np.uint32).tolist() == [0x7FC00000, 0xFFC00000, 0x7FC00000, 0xFFC00000]


@given(
    st.sampled_from(CATALOGUE_8 + ODD + (FP16, BF16)),
    st.floats(allow_nan=False),
    st.sampled_from(DETERMINISTIC),
)
def test_rounding_twice_is_rounding_once(fmt, number, rounding):
    once = quantize(number, fmt, rounding=rounding, overflow="saturate")
    if not np.isnan(once):
        assert bits64(quantize(once, fmt, rounding=rounding)) == bits64(once)


@given(
    st.sampled_from(CATALOGUE_8 + ODD + (FP16, BF16)),
    npst.arrays(np.float64, 40, elements=st.floats(allow_nan=False)),
    st.sampled_from(DETERMINISTIC),
)
def test_rounding_is_monotone(fmt, x, rounding):
    x = np.sort(x if fmt.signed else np.abs(x))
    x = x if fmt.has_zero else x[x > 0]
    assert np.all(np.diff(quantize(x, fmt, rounding=rounding, overflow="saturate")) >= 0)


MIRRORED = {"toward_positive": "toward_negative", "toward_negative": "toward_positive"}


@given(
    st.sampled_from([fmt for fmt in CATALOGUE_8 + ODD + (FP16, BF16) if fmt.signed]),
    npst.arrays(np.float64, 20),
    st.sampled_from(DETERMINISTIC),
)
def test_rounding_is_symmetric_in_the_sign(fmt, x, rounding):
    x = x if fmt.has_nan else np.nan_to_num(x)
    one = quantize(-x, fmt, rounding=MIRRORED.get(rounding, rounding))
    other = -quantize(x, fmt, rounding=rounding)
    other = other if fmt.has_negative_zero else other + 0.0
    assert np.array_equal(bits64(one, fmt.nan_has_sign), bits64(other, fmt.nan_has_sign))


@given(st.sampled_from(CATALOGUE_8 + ODD + (FP16, BF16)), st.floats(allow_nan=False, allow_infinity=False))
def test_the_directed_modes_bracket_the_number(fmt, number):
    table = magnitudes(fmt)
    number = abs(number) if not fmt.signed else number
    low, high = -table[-1] if fmt.signed else table[0], table[-1]
    if not low <= number <= high:
        return
    down = quantize(number, fmt, rounding="toward_negative").item()
    up = quantize(number, fmt, rounding="toward_positive").item()
    assert down <= number <= up
    if down != number:
        both = np.concatenate([-table, table]) if fmt.signed else table
        assert np.count_nonzero((both > down) & (both < up)) == 0
    nearest = quantize(number, fmt).item()
    assert abs(Fraction(nearest) - Fraction(number)) == min(
        Fraction(up) - Fraction(number), Fraction(number) - Fraction(down)
    )


# -- blocks, layouts, outputs ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "e5m2fnuz", "fp4", "e8m0", "binary8p4ue", "tf32"])
def test_the_result_of_an_element_does_not_depend_on_its_neighbours(name):
    # Blocks of 2**15 elements; what a block has to look for is decided from its largest element.
    fmt, rng = get_format(name), np.random.default_rng(3)
    quiet = rng.uniform(0.5, 1, 70001).astype(np.float32)
    with np.errstate(over="ignore"):
        ends = float32_points(fmt, fmt.has_nan) if fmt.bits <= 16 else wide_points(FP32).astype(np.float32)
    ends = rng.choice(ends[~np.isnan(ends)], 500)
    alone = np.concatenate([quantize(ends[i : i + 1], fmt) for i in range(len(ends))])
    for start in (0, 32768 - 250, 65536, 70001 - 500):
        x = quiet.copy()
        x[start : start + 500] = ends
        result = quantize(x, fmt)
        assert np.array_equal(bits64(result[start : start + 500], False), bits64(alone, False))
        rest = np.delete(np.arange(len(x)), np.s_[start : start + 500])
        assert np.array_equal(result[rest], quantize(quiet, fmt)[rest])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rounding", ["nearest_even", "toward_negative", "stochastic"])
def test_any_memory_layout_gives_the_same_values(dtype, rounding):
    rng = np.random.default_rng(4)
    plain = (rng.standard_normal((37, 1111)) * 100).astype(dtype)
    integers = rng.integers(0, 16, plain.shape)
    options = {"rounding": rounding}
    if rounding == "stochastic":
        options |= {"random_bits": 4, "random_integers": integers}
    expected = quantize(plain, E4M3, **options)
    flipped = dict(options)
    if rounding == "stochastic":
        flipped["random_integers"] = integers[::-1, ::-1]
    big = np.zeros((74, 3333), dtype)
    big[::2, ::3] = plain
    layouts = [np.asfortranarray(plain), big[::2, ::3], plain.astype(np.dtype(dtype).newbyteorder(">"))]
    for x in layouts:
        assert np.array_equal(quantize(x, E4M3, **options), expected, equal_nan=True)
    assert np.array_equal(quantize(plain[::-1, ::-1], E4M3, **flipped), expected[::-1, ::-1], equal_nan=True)
    read_only = plain.copy()
    read_only.flags.writeable = False
    assert np.array_equal(quantize(read_only, E4M3, **options), expected, equal_nan=True)
    repeated = np.broadcast_to(plain[0], (5, 1111))
    if rounding != "stochastic":
        assert np.array_equal(quantize(repeated, E4M3, **options), np.broadcast_to(expected[0], (5, 1111)))


def test_the_input_is_left_alone_and_the_result_is_a_fresh_array():
    x = np.float32([1.1, 2.2, -0.0])
    before = x.copy()
    for fmt in (FP32, FP16, E8M0, get_format("binary8p3ue")):
        result = quantize(x, fmt, flush_inputs=True, overflow="saturate")
        assert not np.shares_memory(result, x)
        assert np.array_equal(x.view(np.uint32), before.view(np.uint32))


@pytest.mark.parametrize("size", [7, 300, 1 << 15, (1 << 15) + 1, 150_000])
@pytest.mark.parametrize("rounding", list(MODES))
@pytest.mark.parametrize("name", ["fp16", "bf16", "tf32", "fp32", "e4m3", "e5m2", "fp4", "e8m0"])
def test_out_may_be_the_input_itself(name, rounding, size):
    """Also where a block has what is too large, infinities and NaNs, which are put in after all else is done."""
    fmt, rng = get_format(name), np.random.default_rng(6)
    numbers = rng.standard_normal(size) * 2.0 ** rng.integers(fmt.etiny - 2, fmt.emax + 3, size).clip(
        -148, 127
    )
    special = rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0], size)
    for share in (0.0, 0.01):
        with np.errstate(over="ignore"):
            x = np.where(rng.random(size) < share, special, numbers).astype(np.float32)
        if not fmt.has_nan:
            x = np.where(np.isnan(x), np.float32(1.0), x)
        options = {"rounding": rounding}
        if MODES[rounding].variant:
            options["random_integers"] = rng.integers(0, 1 << 16, size)
        kept = x.copy()
        expected = quantize(x, fmt, **options)
        assert np.array_equal(x, kept, equal_nan=True)
        assert quantize(x, fmt, out=x, **options) is x
        assert np.array_equal(x, expected, equal_nan=True)
        assert np.array_equal(np.signbit(x), np.signbit(expected))
        if size == 300:  # whose results others know
            rule = make_rule(fmt, rounding, None, "gradual", False)
            readable = round_exactly(kept.astype(np.float64), rule, options.get("random_integers"), 16)
            assert np.array_equal(expected, readable, equal_nan=True)
            assert np.array_equal(np.signbit(expected), np.signbit(readable))


@pytest.mark.parametrize("shift", [1, 1000, 40000, -1, -1000])
def test_out_may_overlap_the_input(shift):
    buffer = np.random.default_rng(7).standard_normal(100000).astype(np.float32)
    x = buffer[max(0, -shift) : len(buffer) - max(0, shift)]
    out = buffer[max(0, shift) : len(buffer) + min(0, shift)]
    expected = quantize(x.copy(), "bf16")
    quantize(x, "bf16", out=out)
    assert np.array_equal(out, expected)


def test_out_may_be_strided_or_wider():
    x = np.random.default_rng(8).standard_normal((40, 50)).astype(np.float32)
    expected = quantize(x, "e4m3")
    holder = np.zeros((80, 150))
    quantize(x, "e4m3", out=holder[::2, ::3])
    assert np.array_equal(holder[::2, ::3], expected)
    assert np.count_nonzero(holder[1::2]) == 0
    transposed = np.zeros((50, 40), np.float32)
    quantize(x, "e4m3", out=transposed.T)
    assert np.array_equal(transposed.T, expected)
    quantize(x[::-1], "e4m3", out=transposed.T)
    assert np.array_equal(transposed.T, expected[::-1])
    swapped = np.zeros(x.shape, ">f4")
    try:
        quantize(x, "e4m3", out=swapped)
    except FloatlabError:
        return
    assert np.array_equal(swapped, expected)


@pytest.mark.parametrize(
    ("out", "error"),
    [
        (np.zeros(4, np.float32), ShapeError),
        (np.zeros((3, 1), np.float32), ShapeError),
        (np.zeros(3, np.int32), DtypeError),
        (np.zeros(3, np.float16), DtypeError),  # bf16 does not fit
        ([0.0, 0.0, 0.0], DtypeError),
        (np.zeros(3, ml_dtypes.bfloat16), DtypeError),
        (np.zeros(3, np.complex64), DtypeError),
    ],
)
def test_an_out_that_does_not_fit_is_refused_and_untouched(out, error):
    before = np.array(out).tobytes()
    with pytest.raises(error):
        quantize(np.float32([1, 2, 3]), "bf16", out=out)
    assert np.array(out).tobytes() == before


def test_a_read_only_out_is_refused():
    out = np.zeros(3, np.float32)
    out.flags.writeable = False
    with pytest.raises(FloatlabError, match="read-only"):
        quantize(np.float32([1, 2, 3]), "bf16", out=out)
    with pytest.raises(FloatlabError, match="read-only"):
        quantize(np.float32([1, 2, 3]), "bf16", out=np.broadcast_to(np.float32(0), (3,)))


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (np.float32, "fp16", np.float32),
        (np.float64, "fp16", np.float64),
        (np.float16, "fp16", np.float16),
        (np.float16, "e4m3", np.float16),
        (np.float16, "bf16", np.float32),  # float16 does not hold bfloat16's range
        (np.float32, "fp64", np.float64),
        (np.float16, "fp32", np.float32),
        (np.int64, "fp16", np.float32),
        (np.bool_, "fp16", np.float32),
        (np.int8, "e9m6", np.float64),
        (ml_dtypes.bfloat16, "e4m3", np.float32),
        (">f8", "fp16", np.float64),
    ],
)
def test_the_float_type_is_kept_where_it_holds_the_format(source, name, expected):
    result = quantize(np.ones(3).astype(source), name)
    assert result.dtype == expected
    assert result.dtype.isnative
    assert result.tolist() == [1, 1, 1]


# -- sources ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_of_every_width_are_rounded_from_their_exact_value(dtype):
    info, rng = np.iinfo(dtype), np.random.default_rng(9)
    edges = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, info.max // 2, info.max // 3]
    x = np.concatenate([np.array(edges, dtype), rng.integers(info.min, info.max, 60, dtype, endpoint=True)])
    powers = 2 ** np.arange(1, info.bits - 1, dtype=np.uint64)
    around = [int(p) + d for p in powers for d in (-1, 0, 1)] + [int(p) + int(p) // 512 + 1 for p in powers]
    x = np.concatenate([x, np.array([n for n in around if n <= info.max], dtype)])
    for fmt in (FP32, BF16, FP16, E5M2, get_format("e9m6"), FloatFormat("e8m22", 8, 22)):
        for rounding in DETERMINISTIC:
            expected = [reference.to_float(reference.round(int(n), fmt, rounding).value) for n in x]
            assert np.array_equal(quantize(x, fmt, rounding=rounding), expected)


def test_python_integers_of_any_size_are_rounded_once():
    for n in (
        2**53 + 1,
        2**64,
        2**64 + 2**40 + 1,
        3**90,
        -(3**90),
        10**30,
        2**127 - 1,
        10**400,
        -(10**400),
        -(2**63) - 1,
    ):
        for fmt in (FP32, BF16, FP16, get_format("e5m2"), get_format("e4m3")):
            for rounding in ("nearest_even", "toward_zero", "toward_positive"):
                expected = reference.to_float(reference.round(n, fmt, rounding).value)
                for x in (n, [n], np.array([n], object)):
                    assert np.array_equal(
                        np.ravel(quantize(x, fmt, rounding=rounding)), [expected], equal_nan=True
                    )
    # int64's and uint64's largest values, which float64 does not hold
    assert quantize(2**63 - 1, FP32, rounding="toward_zero") == 2.0**63 - 2.0**39
    assert quantize(np.uint64(2**64 - 1), FP32, rounding="toward_zero") == 2.0**64 - 2.0**40


@pytest.mark.parametrize(
    "x",
    [
        1.5,
        [1.5],
        [[1.5, 2.5], [3.5, 4.5]],
        (1.5, 2),
        np.float32(1.5),
        np.float64(1.5),
        np.array(1.5),
        True,
        [True, 1],
    ],
)
def test_lists_and_scalars_keep_their_shape(x):
    result = quantize(x, "fp16")
    assert result.shape == np.shape(x)
    assert np.array_equal(result, np.asarray(x, float))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 5), ()])
@pytest.mark.parametrize("fmt", [FP16, FP4, E8M0], ids=name_of)
def test_empty_and_zero_dimensional_arrays_work(shape, fmt):
    x = np.ones(shape, np.float32)
    result = quantize(x, fmt)
    assert result.shape == shape
    assert result.dtype == np.float32
    assert quantize([], fmt).shape == (0,)
    out = np.zeros(shape, np.float32)
    assert quantize(x, fmt, out=out) is out
    assert np.array_equal(out, x)


@pytest.mark.parametrize(
    "dtype",
    [
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e5m2fnuz,
        ml_dtypes.float4_e2m1fn,
        ml_dtypes.int4,
    ],
)
def test_ml_dtypes_arrays_are_taken_at_their_values(dtype):
    x = np.float32([0, 1, 2, -3, 4]).astype(dtype)
    assert quantize(x, "fp16").tolist() == x.astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("x", "hint"),
    [
        (np.array([1 + 2j]), "real"),
        (1j, "real"),
        ("one", "decimal"),
        (["1.5", "two"], "decimal"),
        (b"0y1p-3", "decimal"),
        ([[1, 2], [3]], "ragged"),
        (np.array([object()]), "object"),
        (np.array([None, 1.0]), "object"),
        (None, "object"),
        ({"a": 1}, "object"),
        ({1, 2}, "object"),
        (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
        (np.array([1], "m8[s]"), "timedelta64"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "filled"),
        (np.zeros(2, [("a", "f4"), ("b", "f4")]), "dtype"),
        (np.array([1.5, 1j], object), "object"),
        ([Fraction(1, 3), None], "object"),
    ],
)
def test_what_is_not_an_array_of_real_numbers_is_refused_with_a_hint(x, hint):
    with pytest.raises(DtypeError, match=hint):
        quantize(x, "fp16")


def test_a_long_double_is_rounded_once():
    assert quantize(np.longdouble(1.5), "fp16") == 1.5
    assert np.isnan(quantize(np.longdouble(np.nan), "fp16"))
    above_a_tie = 1 + np.longdouble(2) ** -11 + np.longdouble(2) ** -60  # which float64 takes it for
    if above_a_tie == np.float64(above_a_tie):
        pytest.skip("long double is float64 here")
    assert quantize(above_a_tie, "fp16") == 1 + 2.0**-10


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounding": "nearest"}, OptionError, 'Use "nearest_'),
        ({"rounding": "stochastic"}, OptionError, "default_rng"),
        ({"rounding": "stochastic", "rng": -5}, OptionError, "default_rng"),
        (
            {"rounding": "stochastic", "rng": np.random.default_rng(0), "random_bits": 0},
            OptionError,
            "random_bits",
        ),
        (
            {"rounding": "stochastic", "rng": np.random.default_rng(0), "random_bits": 2.5},
            OptionError,
            "random_bits",
        ),
        (
            {"rounding": "stochastic", "random_bits": 2, "random_integers": [4]},
            OptionError,
            "random_integers",
        ),
        (
            {"rounding": "stochastic", "random_bits": 2, "random_integers": [-1]},
            OptionError,
            "random_integers",
        ),
        (
            {"rounding": "stochastic", "random_bits": 2, "random_integers": [0.5]},
            DtypeError,
            "random_integers",
        ),
        (
            {"rounding": "stochastic", "random_bits": 2, "random_integers": [1, 2]},
            ShapeError,
            "random_integers",
        ),
        ({"overflow": "saturated"}, OverflowPolicyError, 'Use "saturate"'),
        ({"overflow": "infinity"}, OverflowPolicyError, "no infinity"),
        ({"subnormals": "flushed"}, OptionError, 'Use "flush"'),
    ],
)
def test_a_wrong_option_is_refused_with_the_way_out(options, error, message):
    with pytest.raises(error, match=message):
        quantize([1.0, 2.0, 3.0], "e4m3", **options)


def test_an_unknown_format_suggests_the_nearest():
    with pytest.raises(FormatError, match='Did you mean "float16"'):
        quantize(1.0, "flaot16")
    with pytest.raises(OverflowPolicyError, match=r'float4_e2m1fn has no NaN.*Use "saturate"'):
        quantize(1.0, "fp4", overflow="nan")


# -- stochastic rounding ---------------------------------------------------------------------------


def test_a_seed_gives_the_same_stochastic_rounding_and_another_seed_another():
    x = np.random.default_rng(0).standard_normal(100000).astype(np.float32)
    one, same, other = (
        quantize(x, "e4m3", rounding="stochastic", rng=np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    strided = np.zeros((100000, 2), np.float32)
    strided[:, 0] = x
    again = quantize(strided[:, 0], "e4m3", rounding="stochastic", rng=np.random.default_rng(1))
    assert np.array_equal(one, again)


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("name", ["e4m3", "bf16", "fp16", "e8m0"])
def test_stochastic_rounding_is_right_on_average(rounding, name):
    fmt = get_format(name)
    low = 1.0
    gap = 2.0**-fmt.mantissa_bits if fmt.mantissa_bits else 1.0
    for share in (0.125, 0.5, 0.875):
        x = np.full(40000, low + share * gap, np.float32)
        result = quantize(x, fmt, rounding=rounding, rng=np.random.default_rng(12))
        assert set(np.unique(result)) == {low, low + gap}
        assert abs((result > low).mean() - share) < 5 * math.sqrt(share * (1 - share) / len(x))


def test_stochastic_rounding_never_moves_a_representable_value():
    for fmt in (FP16, BF16, E4M3, get_format("fp4")):
        values = magnitudes(fmt)
        values = np.concatenate([values, -values])
        for rounding in STOCHASTIC:
            integers = np.full(values.shape, 2**16 - 1)
            assert np.array_equal(quantize(values, fmt, rounding=rounding, random_integers=integers), values)


# -- flags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [*CATALOGUE_8, *ODD, FP16, BF16], ids=name_of)
def test_flags_of_every_element_are_those_of_the_reference(fmt):
    rng = np.random.default_rng(13)
    x = near_the_ends(fmt, critical_points(fmt, fmt.has_nan))
    x = rng.choice(x, min(len(x), 150), replace=False)
    for rounding in DETERMINISTIC:
        for policy in policies_of(fmt):
            options = {
                "rounding": rounding,
                "overflow": policy,
                "subnormals": str(rng.choice(["gradual", "flush"])),
            }
            values, flags = quantize(x, fmt, return_flags=True, **options)
            expected = [reference.round(number, fmt, **options) for number in x.tolist()]
            assert np.array_equal(
                bits64(values, fmt.nan_has_sign),
                bits64([reference.to_float(r.value) for r in expected], fmt.nan_has_sign),
            )
            for name in FLAGS:
                ours = [name in r.flags for r in expected]
                wrong = np.flatnonzero(getattr(flags, name) != ours)
                assert wrong.size == 0, (name, options, x[wrong[:3]])


def test_flags_are_counted():
    _, flags = quantize([1.0, 1e9, 1e-9, 0.1, np.nan], "fp16", return_flags=True)
    assert flags.counts == {"invalid": 0, "divide_by_zero": 0, "overflow": 1, "underflow": 1, "inexact": 3}
    assert "overflow 1" in str(flags)


# -- the catalogue as a whole ----------------------------------------------------------------------


@pytest.mark.parametrize("fmt", CATALOGUE, ids=name_of)
def test_values_of_a_format_survive_in_every_mode(fmt):
    rng = np.random.default_rng(14)
    codes = np.concatenate([rng.integers(0, fmt.max_code, 500), [0, 1, fmt.max_code]])
    x = np.array([reference.to_float(reference.decode(int(code), fmt)) for code in codes])
    for rounding in DETERMINISTIC:
        assert np.array_equal(quantize(x, fmt, rounding=rounding), x)
        if fmt.value_dtype == np.float32:
            assert np.array_equal(quantize(x.astype(np.float32), fmt, rounding=rounding), x)


def test_the_table_oracle_would_notice_a_wrong_result():
    x = critical_points(E4M3)
    assert disagreements(lambda x, fmt, **_: np.nextafter(x, 0), None, E4M3, x) != []
    assert np.count_nonzero(expected_codes(x, E4M3) != expected_codes(x, E4M3, rounding="nearest_away")) > 100
