"""What becomes of numbers beyond the ends: P3109's saturation modes, and those of IEEE 754."""

from __future__ import annotations

import math

import numpy as np
import pytest

from floatlab import reference
from floatlab.array import add, array, divide, multiply
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.errors import OverflowPolicyError
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.rounding.options import ROUNDING_MODES
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate

inf, nan = math.inf, math.nan


def hold(x, name, wanted, **options):
    """Hold quantize, encode and the reference to what is wanted, from float32 and float64, alone and together."""
    fmt = get_format(name)
    for dtype in (np.float32, np.float64):
        numbers = np.array(x, dtype)
        got = quantize(numbers, fmt, **options)
        assert np.array_equal(got, wanted, equal_nan=True), (dtype, got)
        assert np.array_equal(decode(encode(numbers, fmt, **options), fmt), wanted, equal_nan=True)
        many = np.resize(numbers, 8192)
        assert np.array_equal(quantize(many, fmt, **options), np.resize(wanted, 8192), equal_nan=True)
        for one, value in zip(numbers, wanted, strict=True):
            assert np.array_equal(quantize(one, fmt, **options), value, equal_nan=True)
    results = [reference.to_float(reference.round(number, fmt, **options).value) for number in x]
    assert np.array_equal(results, wanted, equal_nan=True)


@pytest.mark.parametrize("name", ["binary8p4se", "binary8p1se", "binary8p7se", "binary5p3se", "binary12p5se"])
def test_to_odd_overflows_to_infinity_where_its_code_is_the_odd_one(name):
    fmt = get_format(name)
    assert fmt.max_code % 2 == 0
    large = min(fmt.max * 16, 2.0**127)
    hold(
        [large, -large, fmt.max, -fmt.max, inf], name, [inf, -inf, fmt.max, -fmt.max, inf], rounding="to_odd"
    )
    hold([large, -large], name, [nan, nan], rounding="to_odd", overflow="nan")
    for policy in ("saturate", "propagate"):
        hold([large, -large], name, [fmt.max, -fmt.max], rounding="to_odd", overflow=policy)


@pytest.mark.parametrize("name", ["binary8p4ue", "binary8p4sf", "fp16", "e4m3", "fp4", "e4m3fnuz", "bf16"])
def test_to_odd_stops_at_the_largest_value_everywhere_else(name):
    fmt = get_format(name)
    large = min(fmt.max * 1.9, 3.4028e38)
    assert large > fmt.max
    hold([large, fmt.max], name, [fmt.max, fmt.max], rounding="to_odd")


def test_to_odd_just_above_the_largest_value_of_a_p3109_format():
    hold(
        [224.0, np.nextafter(np.float32(224), np.float32(225)), 231.9],
        "binary8p4se",
        [224, inf, inf],
        rounding="to_odd",
    )
    hold([223.9, 208.0, 200.0], "binary8p4se", [208.0, 208.0, 208.0], rounding="to_odd")


@pytest.mark.parametrize("name", ["binary8p4ue", "binary8p3ue", "binary8p1ue", "binary6p3ue"])
@pytest.mark.parametrize("mode", ROUNDING_MODES[:7])
def test_a_value_below_zero_is_nan_in_an_unsigned_p3109_format_unless_the_mode_goes_toward_zero(name, mode):
    below = 0.0 if mode in ("toward_zero", "toward_positive") else nan
    hold([-1.0, -inf, 1.0, -0.0], name, [below, nan, 1.0, 0.0], rounding=mode)
    hold([-1.0, -inf], name, [below, nan], rounding=mode, overflow="nan")
    hold([-1.0, -inf], name, [0.0, 0.0], rounding=mode, overflow="saturate")
    hold([-1.0, -inf], name, [0.0, nan], rounding=mode, overflow="propagate")


@pytest.mark.parametrize("name", ["binary8p4ue", "binary8p4uf"])
def test_a_value_is_below_zero_in_an_unsigned_p3109_format_if_it_is_after_rounding(name):
    tiny = get_format(name).smallest_subnormal / 4
    hold([-tiny, -3 * tiny], name, [0.0, nan], overflow="nan")
    hold([-tiny], name, [nan], rounding="toward_negative", overflow="nan")
    hold([-tiny, -3 * tiny], name, [nan, nan], rounding="to_odd", overflow="nan")
    flags = quantize([-tiny, -1.0], name, overflow="nan", return_flags=True)[1]
    assert flags.invalid.tolist() == [False, True]
    assert flags.underflow.tolist() == [True, False]


def test_a_value_below_zero_is_0_by_default_in_a_finite_unsigned_p3109_format():
    hold([-1.0, -inf, inf], "binary8p4uf", [0.0, 0.0, get_format("binary8p4uf").max])


@pytest.mark.parametrize(
    "fmt", [*formats(), *map(get_format, ("binary8p4se", "binary8p4sf", "binary8p4uf"))], ids=str
)
@pytest.mark.parametrize("mode", ROUNDING_MODES[:7])
def test_propagate_clamps_finite_values_and_keeps_infinities(fmt, mode):
    infinite = inf if fmt.has_infinity else fmt.max if "finite" in fmt.specials else nan
    lowest = -infinite if fmt.signed else nan if infinite != infinite else 0.0
    x = [inf, -inf]
    wanted = [infinite, lowest]
    if fmt.max < 1e38:
        x += [3e38, -3e38]
        wanted += [fmt.max, fmt.lowest]
    hold(x, fmt, wanted, rounding=mode, overflow="propagate")


def test_propagate_holds_in_arithmetic():
    a = array([60000.0, np.inf, 1.0], "fp16")
    assert multiply(a, 2.0, overflow="propagate").tolist() == [65504.0, inf, 2.0]
    assert add(a, a, overflow="propagate").tolist() == [65504.0, inf, 2.0]
    assert divide(a, 0.0, overflow="propagate").tolist() == [inf, inf, inf]  # exact infinities, no overflows
    large = array([1.7e308, -1.7e308], "fp64")
    assert multiply(large, 3.0, overflow="propagate").tolist() == [large.format.max, -large.format.max]


def test_propagate_clamps_sums_beyond_float64():
    largest = float(np.finfo(np.float64).max)
    for sign in (1.0, -1.0):
        terms = [sign * largest, sign * largest]
        assert accumulate.sum(terms, "fp64", accumulator="exact", overflow="propagate") == sign * largest
        assert (
            accumulate.sum([*terms, sign * inf], "fp64", accumulator="exact", overflow="propagate")
            == sign * inf
        )


def test_flags_of_a_clamped_overflow_and_of_a_kept_infinity():
    flags = quantize([1e9, inf, 1.0], "binary8p4se", overflow="propagate", return_flags=True)[1]
    assert flags.overflow.tolist() == [True, False, False]
    assert not flags.invalid.any()
    assert quantize([inf], "e4m3", overflow="propagate", return_flags=True)[1].invalid.all()


def test_a_policy_that_nobody_knows_names_them_all():
    with pytest.raises(
        OverflowPolicyError, match=r"infinity, nan, saturate, propagate\. Got 'propagat'. Use \"propagate\"\."
    ):
        quantize(1.0, "fp16", overflow="propagat")


@pytest.mark.parametrize("k", [5, 8])
def test_saturation_is_that_of_gfloat_where_it_has_it(k):
    gfloat = pytest.importorskip("gfloat")
    formats_of = pytest.importorskip("gfloat.formats")
    names = {
        "toward_zero": gfloat.RoundMode.TowardZero,
        "toward_positive": gfloat.RoundMode.TowardPositive,
        "toward_negative": gfloat.RoundMode.TowardNegative,
        "nearest_even": gfloat.RoundMode.TiesToEven,
        "nearest_away": gfloat.RoundMode.TiesToAway,
    }
    for p in range(1, k):
        for domain, letter in ((gfloat.Domain.Extended, "e"), (gfloat.Domain.Finite, "f")):
            theirs = formats_of.format_info_p3109(k, p, gfloat.Signedness.Signed, domain)
            mine = get_format(f"binary{k}p{p}s{letter}")
            if mine.max > 1e300:
                continue
            points = [mine.max * c for c in (1, 1.01, 1.05, 1.25, 1.5, 2, 100)] + [inf]
            x = np.array([*points, *(-v for v in points)])
            for mode, other in names.items():
                for saturate in (True, False):
                    policy = "saturate" if saturate else "infinity" if letter == "e" else "nan"
                    wanted = [gfloat.round_float(theirs, v, other, saturate) for v in x.tolist()]
                    got = quantize(x, mine, rounding=mode, overflow=policy)
                    assert np.array_equal(got, wanted, equal_nan=True), (mine, mode, policy)


def test_negative_numbers_keep_to_the_old_rule_where_p3109_has_no_say():
    fmt = FloatFormat("mine", 4, 4, specials="fn", signed=False)
    for mode in ROUNDING_MODES[:7]:
        assert np.isnan(quantize([-1.0, -1e-30, -inf], fmt, rounding=mode)).all()
    assert quantize([-1.0, -inf], fmt, overflow="propagate")[0] == 0.0
