"""Quotients, remainders and parts of numbers: exact results of `fractions`, rounded once by the reference."""

import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from support import DETERMINISTIC, all_values, bits64, name_of

import floatlab as fl
from floatlab import reference
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Special

EIGHT = tuple(get_format(name) for name in ("e4m3", "e5m2", "e4m3fnuz", "binary8p4ue", "float8_e8m0fnu"))
LONG = tuple(get_format(name) for name in ("fp16", "bf16", "fp32", "fp64"))
MODES = ("nearest_even", "toward_negative", "toward_positive", "to_odd")


def rounded(x: Fraction | float, fmt: FloatFormat, rounding: str) -> float:
    """Return what the reference rounds an exact number to; a float is an infinity, a NaN or a zero."""
    return _rounded(x if isinstance(x, Fraction) else reference.exact(x), fmt, rounding)


@functools.cache
def _rounded(number: Fraction | Special, fmt: FloatFormat, rounding: str) -> float:
    return reference.to_float(reference.decode(reference.round(number, fmt, rounding=rounding).code, fmt))


fraction = functools.lru_cache(1 << 16)(Fraction)


def exact_fmod(a: float, b: float) -> Fraction | float:
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or b == 0:
        return math.nan
    if math.isinf(b) or a == 0:
        return a
    rest = abs(fraction(a)) % abs(fraction(b))
    return math.copysign(0.0, a) if rest == 0 else rest if a > 0 else -rest


def exact_remainder(a: float, b: float) -> Fraction | float:
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or b == 0:
        return math.nan
    if math.isinf(b):
        return math.copysign(0.0, b) if a == 0 else a if (a < 0) == (b < 0) else b
    rest = fraction(a) % fraction(b)
    return math.copysign(0.0, b) if rest == 0 else rest


def exact_floor_divide(a: float, b: float) -> Fraction | float:
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or (a == 0 and b == 0):
        return math.nan
    minus = math.copysign(1.0, a) != math.copysign(1.0, b)
    if b == 0:
        return -math.inf if minus else math.inf
    if math.isinf(b):
        return -1.0 if a != 0 and minus else -0.0 if minus else 0.0
    floor = math.floor(fraction(a) / fraction(b))
    return Fraction(floor) if floor else -0.0 if minus else 0.0


EXACT = {"fmod": exact_fmod, "remainder": exact_remainder, "floor_divide": exact_floor_divide}


def check(name, a, b, fmt, rounding, exact=None):
    x, y = fl.array(a, fmt, overflow=None), fl.array(b, fmt)
    with fl.arithmetic(rounding=rounding):
        found = getattr(np, name)(x, y).values
    pairs = zip(x.values.astype(float).tolist(), y.values.astype(float).tolist(), strict=True)
    wanted = np.array([rounded(EXACT[name](p, q), fmt, rounding) for p, q in pairs])
    different = np.flatnonzero(bits64(found, False) != bits64(wanted, False))
    assert not different.size, [(x.item(i), y.item(i), found[i], wanted[i]) for i in different[:5]]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("fmt", EIGHT, ids=name_of)
def test_all_pairs_of_an_eight_bit_format(fmt, name):
    values = all_values(fmt)
    a, b = (x.ravel() for x in np.meshgrid(values, values, indexing="ij"))
    check(name, a, b, fmt, "nearest_even")
    some = np.random.default_rng(1).choice(len(a), 1000, replace=False)
    for rounding in DETERMINISTIC[1:]:
        check(name, a[some], b[some], fmt, rounding)


def random_values(fmt, rng, n):
    """Return values of all exponents, zeros, infinities and NaNs."""
    codes = rng.integers(0, 2**fmt.bits, n, np.uint64, endpoint=False)
    values = fl.decode(codes.astype(fmt.code_dtype), fmt).astype(float)
    values[: n // 3] = np.round(rng.standard_normal(n // 3) * 100, 1)
    special = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, fmt.max, fmt.smallest_subnormal], n // 10)
    values[rng.integers(0, n, n // 10)] = special
    return values


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("fmt", LONG, ids=name_of)
def test_random_pairs_of_a_long_format(fmt, name):
    rng = np.random.default_rng(2)
    for rounding in MODES:
        if rounding == "to_odd" and fmt.precision > 51:
            continue
        with np.errstate(all="ignore"):
            a, b = random_values(fmt, rng, 400), random_values(fmt, rng, 400)
        check(name, a, b, fmt, rounding)


@pytest.mark.parametrize("power", (52, 53, 55, 70))
def test_the_floor_and_not_the_quotient_decides_a_tie(power):
    tie = 2**power + 2 ** (power - 11)  # halfway between two numbers of 11 bits, of which the lower is even
    rng, found = np.random.default_rng(6), 0
    for divisor in rng.integers(2**52, 2**53, 2000).tolist():
        product = tie * divisor
        unit = 2 ** (product.bit_length() - 53)
        dividend = -(-product // unit) * unit
        if (
            not 0 < dividend - product < divisor
        ):  # then the quotient lies above the tie, and its floor does not
            continue
        found += 1
        tall = FloatFormat("e8m10", 8, 10)
        assert fl.floor_divide(float(dividend), float(divisor), tall).item() == 2.0**power
        assert fl.divide(float(dividend), float(divisor), tall).item() > 2.0**power
        assert fl.floor_divide(-float(dividend), float(divisor), tall).item() < -(2.0**power)
        if found == 20:
            return
    assert found or power > 54


def test_a_remainder_that_the_format_does_not_hold_is_rounded_once():
    tiny = fl.array(-(2.0**-9), "e4m3")
    assert (tiny % 1).item() == 1.0
    with fl.arithmetic(rounding="toward_zero"):
        assert (tiny % 1).item() == 0.9375
    values, flags = fl.remainder(tiny, 1, return_flags=True)
    assert flags.inexact.item() and values.item() == 1.0
    assert fl.remainder(-5e-324, 1.0, "fp64", rounding="toward_zero").item() == 1 - 2.0**-53
    assert fl.remainder(-5e-324, 1.0, "fp64").item() == 1.0
    _, flags = fl.remainder(-5e-324, 1.0, "fp64", return_flags=True)
    assert flags.inexact.item()


def test_flags_of_divisions():
    a = fl.array([1.0, 0.0, np.inf, 5.0, np.nan], "fp16")
    b = fl.array([0.0, 0.0, 2.0, 3.0, 0.0], "fp16")
    values, flags = fl.floor_divide(a, b, return_flags=True)
    np.testing.assert_array_equal(values.values, [np.inf, np.nan, np.nan, 1.0, np.nan])
    assert flags.divide_by_zero.tolist() == [True, False, False, False, False]
    assert flags.invalid.tolist() == [False, True, True, False, False]
    assert not flags.inexact.any()  # the floor is exact
    with fl.track_flags() as record:
        divmod(a, b)
    assert record.counts["invalid"] == 5 and set(record.by_operation) == {"floor_divide", "remainder"}


def test_operands_are_flushed_where_the_context_says_so():
    small = fl.from_codes([0x01, 0x3C00], "fp16")
    with fl.arithmetic(flush_inputs=True):
        assert np.fmod(small, 1.0).tolist() == [0.0, 0.0]
        assert np.frexp(small)[1].tolist() == [0, 1]
    assert np.fmod(small, 1.0).tolist() == [2.0**-24, 0.0]


def test_operators_stand_for_the_functions():
    a = fl.array([[5.5, -5.5]], "fp16")
    assert (a // 2).tolist() == [[2.0, -3.0]] and (a % 2).tolist() == [[1.5, 0.5]]
    assert (7 // a).tolist() == [[1.0, -2.0]] and (7 % a).tolist() == [[1.5, -4.0]]
    quotient, rest = divmod(a, 2)
    assert quotient.tolist() == [[2.0, -3.0]] and rest.tolist() == [[1.5, 0.5]]
    a //= 2
    assert a.tolist() == [[2.0, -3.0]]
    outs = fl.array([0.0], "fp16"), fl.array([0.0], "fp16")
    made = np.divmod(fl.array([7.0], "fp16"), 4, out=outs)
    assert made[0] is outs[0] and [x.tolist() for x in outs] == [[1.0], [3.0]]
    with pytest.raises(ShapeError, match=r"\(1, 2\) and \(3,\)"):
        a % fl.array([1.0, 2.0, 3.0], "fp16")
    with pytest.raises(DtypeError, match="Round it first"):
        a % np.ones(2)


# -- the parts of a number ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", (*EIGHT[:4], get_format("fp16")), ids=name_of)
def test_parts_put_together_are_the_number(fmt):
    x = fl.array(all_values(fmt), fmt)
    fraction, whole = np.modf(x)
    finite = np.isfinite(x)
    np.testing.assert_array_equal((fraction.values + whole.values)[finite], x.values[finite])
    np.testing.assert_array_equal(whole.values[finite], np.trunc(x.values)[finite])
    assert np.all(np.abs(fraction.values[finite]) < 1)
    np.testing.assert_array_equal(
        np.signbit(fraction),
        np.signbit(np.modf(x.values)[0]) & fmt.has_negative_zero
        | (fraction.values < 0)
        | (np.isnan(x.values) & np.signbit(fraction.values)),
    )
    mantissa, exponent = np.frexp(x)
    assert exponent.dtype == np.int32
    ordinary = finite & (x.values != 0)
    if fmt.emin < -2 and fmt.mantissa_bits + fmt.emin <= 0:
        np.testing.assert_array_equal(
            np.ldexp(mantissa.values.astype(float), exponent)[ordinary], x.values[ordinary]
        )
        assert np.all((np.abs(mantissa.values[ordinary]) >= 0.5) & (np.abs(mantissa.values[ordinary]) < 1))
        np.testing.assert_array_equal(np.ldexp(mantissa, exponent).values[ordinary], x.values[ordinary])


def test_a_mantissa_that_the_format_is_too_coarse_for_is_rounded():
    mantissa, exponent = np.frexp(fl.array([6.0, 4.0], "fp4"))  # 0.75 lies between 0.5 and 1
    assert mantissa.tolist() == [1.0, 0.5] and exponent.tolist() == [3, 3]


@pytest.mark.parametrize(
    "fmt", (get_format("e4m3"), get_format("fp16"), get_format("fp32"), get_format("fp64")), ids=name_of
)
@pytest.mark.parametrize("rounding", MODES)
def test_powers_of_two_are_exact_and_rounded_once(fmt, rounding):
    rng = np.random.default_rng(3)
    with np.errstate(all="ignore"):
        x = fl.array(random_values(fmt, rng, 500), fmt)
    n = rng.integers(-300, 300, 500)
    n[:100] = rng.choice([-(10**18), 10**18, -1100, 1100, 0, 2100, -2100], 100)
    n[100:200] = (
        fmt.emin
        - fmt.mantissa_bits
        - np.frexp(np.where(np.isfinite(x.values), x.values, 1))[1][100:200]
        + rng.integers(-2, 4, 100)
    )
    found = fl.ldexp(x, n, rounding=rounding).values
    wanted = []
    for v, k in zip(x.values.astype(float).tolist(), n.tolist(), strict=True):
        k = max(min(k, 5000), -5000)
        number = v if not math.isfinite(v) or v == 0 else Fraction(v) * Fraction(2) ** k
        wanted.append(rounded(number, fmt, rounding))
    np.testing.assert_array_equal(bits64(found, False), bits64(np.array(wanted), False))


def test_powers_of_two_take_the_policy_of_an_overflow_and_its_flags():
    x = fl.array([1.0, np.inf, 3.0], "fp16")
    values, flags = fl.ldexp(x, [5000, 1, -30], return_flags=True, overflow="saturate")
    assert values.tolist() == [65504.0, 65504.0, 0.0]
    assert flags.overflow.tolist() == [True, False, False] and flags.underflow.tolist() == [
        False,
        False,
        True,
    ]
    wide, flags = fl.ldexp(
        fl.array([1.0, 3.0], "fp64"), [1024, -1075], return_flags=True, rounding="toward_zero"
    )
    assert wide.tolist() == [np.finfo(float).max, 5e-324]
    assert flags.overflow.tolist() == [True, False] and flags.inexact.tolist() == [True, True]
    with pytest.raises(DtypeError, match="integers"):
        np.ldexp(x, 1.5)
    with pytest.raises(DtypeError, match="integers"):
        np.ldexp(x, x)
    with pytest.raises(ShapeError):
        np.ldexp(x, [1, 2])
    assert np.ldexp(fl.array(1.0, "fp16"), [[1], [2]]).tolist() == [[2.0], [4.0]]


def test_the_step_function():
    x = fl.array([-1.0, -0.0, 2.0, np.nan], "fp16")
    assert np.heaviside(x, 0.5).tolist()[:3] == [0.0, 0.5, 1.0] and np.isnan(np.heaviside(x, 0.5).values[3])
    assert np.heaviside(x, x).tolist()[1] == 0.0
    low = FloatFormat("e2m3b5", 2, 3, 5, "finite")  # all below 1
    assert np.heaviside(fl.array([low.max], low), 0).item() == low.max


# -- decimals --------------------------------------------------------------------------------------------------------


def exact_round(v: float, decimals: int) -> Fraction | float:
    if not math.isfinite(v) or v == 0:
        return v
    scaled = Fraction(v) * Fraction(10) ** decimals
    count = round(scaled)  # ties to even, exactly
    return Fraction(count) / Fraction(10) ** decimals if count else math.copysign(0.0, v)


@pytest.mark.parametrize("decimals", (0, 1, 3, -1, -2, 22, 25, -40, 400))
@pytest.mark.parametrize("name", ("e4m3", "fp16", "bf16", "fp32", "fp64", "e5m2fnuz"))
def test_decimals_are_the_exact_multiple_rounded_once(name, decimals):
    fmt = get_format(name)
    if fmt.bits == 8:
        x = all_values(fmt)
    else:
        rng = np.random.default_rng(4)
        with np.errstate(all="ignore"):
            x = np.concatenate(
                [random_values(fmt, rng, 300), np.arange(-50, 50) / 4, rng.integers(-999, 999, 200) / 20]
            )
    a = fl.array(x, fmt)
    for rounding in ("nearest_even", "toward_positive"):
        with fl.arithmetic(rounding=rounding):
            found = np.round(a, decimals).values
        wanted = np.array(
            [rounded(exact_round(v, decimals), fmt, rounding) for v in a.values.astype(float).tolist()]
        )
        np.testing.assert_array_equal(bits64(found, False), bits64(wanted, False))


def test_no_number_of_decimals_takes_long():
    x = fl.array([1.5, -2.25e-3, np.inf, np.nan, -0.0], "fp64")
    np.testing.assert_array_equal(np.round(x, 10**12).values, x.values)
    np.testing.assert_array_equal(np.round(x, -(10**12)).values, [0.0, -0.0, np.inf, np.nan, -0.0])
    assert np.signbit(np.round(x, -(10**12)).values).tolist() == [False, True, False, False, True]
    with fl.track_flags() as record:
        np.round(fl.array([0.125], "fp64"), 1)
    assert record.counts["inexact"] == 1


def test_decimals_are_an_integer():
    a = fl.array([1.25], "fp16")
    assert np.around(a).tolist() == [1.0] and np.round(a, decimals=1).item() == 1.2001953125
    with pytest.raises(OptionError, match="integer"):
        np.round(a, 1.5)
    out = fl.array([0.0], "fp16")
    assert np.round(a, 0, out=out) is out and out.item() == 1.0


@pytest.mark.parametrize("name", ("fmod", "remainder", "floor_divide"))
def test_stochastic_results_are_replayed_by_the_same_generator(name):
    a = fl.array(np.linspace(-3, 3, 50), "e4m3")
    function = getattr(fl, name)
    draws = [function(a, 0.7, "fp4", rounding="stochastic", rng=np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(draws[0].values, draws[1].values)
    with pytest.raises(FloatlabError):
        function(a, 0.7, "fp4", rounding="stochastic")


def test_nothing_here_takes_plain_numbers_without_a_format():
    with pytest.raises(FloatlabError, match="format"):
        fl.fmod(1.0, 2.0)
    assert fl.fmod([5.0, -5.0], 3, "fp16").tolist() == [2.0, -2.0]
