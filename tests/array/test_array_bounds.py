"""Plain numbers beside a FloatArray: caches know the sign of zero, comparisons and bounds round nothing."""

import math
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CATALOGUE_16, all_values, name_of

import floatlab as fl
from floatlab import reference
from floatlab.array import FloatArray
from floatlab.array.calls import of_format
from floatlab.errors import DtypeError, FormatError, OverflowPolicyError
from floatlab.formats import FloatFormat, get_format

# -- what is remembered of a number ------------------------------------------------------------------------------

NEGATIVE_ZEROS = [
    -0.0,
    np.float16(-0.0),
    np.float32(-0.0),
    np.float64(-0.0),
    np.longdouble("-0"),
]


def fresh(name):
    """Return a format that nobody has used before: no cache knows a number of it."""
    return FloatFormat(name, 5, 6)


@pytest.mark.parametrize("zero", NEGATIVE_ZEROS, ids=lambda z: type(z).__name__)
def test_a_negative_zero_of_any_type_is_not_remembered_as_zero(zero):
    fmt = fresh(f"negative {type(zero).__name__}")
    b = fl.array([1.0, 2.0], fmt)
    assert np.signbit((b * zero).values).all()
    for positive in (0, 0.0, False, np.float32(0), np.int8(0)):
        assert not np.signbit((b * positive).values).any(), type(positive)
    assert not np.signbit(np.zeros_like(b).values).any()
    assert not np.signbit(np.maximum(-b, 0.0).values).any()
    assert (1 / (b * 0)).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("zero", NEGATIVE_ZEROS, ids=lambda z: type(z).__name__)
def test_a_zero_is_not_remembered_for_a_negative_zero(zero):
    fmt = fresh(f"positive {type(zero).__name__}")
    b = fl.array([1.0, 2.0], fmt)
    assert not np.signbit((b * 0).values).any()
    assert np.signbit((b * zero).values).all()
    assert (1 / (b * zero)).tolist() == [-math.inf, -math.inf]


def test_the_sign_of_a_nan_is_not_forgotten_either():
    fmt = fresh("nan")
    b = fl.array([1.0], fmt)
    for nan in (math.nan, -math.nan, np.float32(math.nan), -np.float32(math.nan), math.nan):
        assert np.signbit((b * 0 + 1) * nan).item() == bool(np.signbit(nan)), nan


def test_numbers_that_numpy_calls_equal_are_told_apart():
    assert np.float32(0.1) == 0.1  # NumPy 2 compares in float32
    assert np.float32(2**24) == 2**24 + 1
    b = fl.array([0.0], "fp64")
    assert (b + np.float32(0.1)).item() == float(np.float32(0.1))
    assert (b + 0.1).item() == 0.1
    assert (b + np.float32(2**24)).item() == 2**24
    assert (b + (2**24 + 1)).item() == 2**24 + 1


def test_the_overflow_policy_of_a_context_is_part_of_what_is_remembered():
    b = fl.array([0.0], "e5m6")
    assert np.isinf((b + 1e9).values).all()
    with fl.arithmetic(overflow="saturate"):
        assert (b + 1e9).item() == b.format.max
    assert np.isinf((b + 1e9).values).all()


# -- comparisons round nothing -------------------------------------------------------------------------------------

BIG = 2**53


def exactly(x):
    return x if isinstance(x, int) else Fraction(x)


NUMBERS = [
    BIG + 1,
    BIG - 1,
    -(BIG + 1),
    2**63 - 1,
    2**64 - 1,
    10**400,
    -(10**400),
    Fraction(1, 3),
    Fraction(BIG * 2 + 1, 2),
    Fraction(1, 10**400),
    -Fraction(1, 10**400),
    Decimal("0.1"),
    Decimal("1e-400"),
    Decimal("9007199254740993"),
    0.1,
    0,
    True,
    5e-324,
]
VALUES = [
    0.0,
    5e-324,
    -5e-324,
    0.1,
    1 / 3,
    1.0,
    float(BIG),
    BIG + 2.0,
    -float(BIG),
    2.0**63,
    2.0**64,
    1.7e308,
]
OPERATORS = {
    "__lt__": lambda a, b: a < b,
    "__le__": lambda a, b: a <= b,
    "__gt__": lambda a, b: a > b,
    "__ge__": lambda a, b: a >= b,
    "__eq__": lambda a, b: a == b,
    "__ne__": lambda a, b: a != b,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: str(n)[:20])
def test_any_real_number_is_compared_exactly(name, number):
    b = fl.array(VALUES, "fp64")
    wanted = [OPERATORS[name](Fraction(v), exactly(number)) for v in VALUES]
    assert OPERATORS[name](b, number).tolist() == wanted
    reverse = [OPERATORS[name](exactly(number), Fraction(v)) for v in VALUES]
    assert OPERATORS[name](np.asarray(number, object), b).tolist() == reverse


def test_integers_beyond_2_53_in_arrays_are_compared_exactly():
    b = fl.array([float(BIG)] * 3, "fp64")
    n = np.array([BIG - 1, BIG, BIG + 1])
    assert (b < n).tolist() == [False, False, True]
    assert (b == n).tolist() == [False, True, False]
    assert (b != n).tolist() == [True, False, True]
    assert (n > b).tolist() == [False, False, True]
    top = fl.array([2.0**64, 2.0**63], "fp64")
    assert (top > np.array([2**64 - 1, 2**63], np.uint64)).tolist() == [True, False]
    assert (top >= np.array([2**63 - 1, 2**63 - 1])).tolist() == [True, True]
    assert (top == np.array([2**63 - 1, 2**63 - 1])).tolist() == [False, False]
    low = fl.array([-(2.0**63)], "fp64")
    assert (low == np.array([-(2**63)])).tolist() == [True]
    assert (low < np.array([-(2**63) + 1])).tolist() == [True]


def test_mixed_lists_and_long_doubles_are_compared_exactly():
    b = fl.array([float(BIG), 0.1], "fp64")
    assert (b < np.array([BIG + 1, Fraction(1, 10)], object)).tolist() == [True, False]
    assert (b == np.array([BIG, Decimal("0.1")], object)).tolist() == [True, False]
    if np.finfo(np.longdouble).nmant > 52:
        just_above = np.longdouble(BIG) + np.longdouble(0.5)
        assert (b < just_above).tolist() == [True, True] and (b == just_above).tolist() == [False, False]
        assert (b < np.longdouble("1e4000")).all() and (b > np.longdouble("1e-4000")).all()


def test_what_is_no_number_equals_nothing():
    b = fl.array([[1.0, math.nan]], "fp16")
    for stranger in (None, "1.0", b"x", object(), {}, 1j, 1 + 1j, np.datetime64("2020-01-01")):
        assert (b == stranger).tolist() == [[False, False]], stranger
        assert (b != stranger).tolist() == [[True, True]], stranger
        with pytest.raises(DtypeError):
            b < stranger  # noqa: B015
    assert (b == 1 + 0j).tolist() == [[True, False]]
    assert (b == np.array([1.0, None], object)).tolist() == [[True, False]]
    assert (b == np.array(["1", "2"])).tolist() == [[False, False]]
    with pytest.raises(DtypeError, match="masked"):
        b == np.ma.array([1.0, 2.0], mask=[True, False])  # noqa: B015


@pytest.mark.filterwarnings("error")
def test_signaling_nans_are_compared_without_a_warning():
    for fmt, code in (("fp32", 0x7F800001), ("fp64", 0x7FF0000000000001), ("bf16", 0x7F81), ("fp16", 0x7C01)):
        b = fl.from_codes([code, 0], fmt)
        assert (b == b).tolist() == [False, True] and (b < 1).tolist() == [False, True]
        assert np.isnan(b).tolist() == [True, False] and (b != 1.0).all()
        assert np.isnan(np.maximum(b, 0.0).values).tolist() == [True, False]
        assert np.logical_not(b).tolist() == [False, True]
    plain = np.array([0x7F800001, 0], np.uint32).view(np.float32)
    assert (fl.array([1.0, 0.0], "fp16") == plain).tolist() == [False, True]


def test_a_list_of_float64_codes_is_not_taken_for_values():
    assert np.dtype("float64") == None  # noqa: E711 (NumPy reads None as float64)
    one = 0x3FF0000000000000
    assert fl.from_codes([one, one | 1 << 63], "fp64").tolist() == [1.0, -1.0]
    assert fl.from_codes(one, "fp64").item() == 1.0
    assert fl.from_codes([1.0, -1.0] @ np.eye(2), "fp64").tolist() == [1.0, -1.0]  # its own type


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_a_bound_that_the_format_cannot_hold_is_compared_and_not_delivered():
    b = fl.array([1.0, 2.0], "e4m3")
    assert np.clip(b, -1000, 1000).tolist() == [1.0, 2.0]
    assert np.clip(b, 0, math.inf).tolist() == [1.0, 2.0]
    assert np.clip(b, -math.inf, math.inf).tolist() == [1.0, 2.0]
    assert np.maximum(b, -1e30).tolist() == np.minimum(b, 1e30).tolist() == [1.0, 2.0]
    assert np.fmax(b, -math.inf).tolist() == np.fmin(math.inf, b).tolist() == [1.0, 2.0]
    assert np.minimum(b, 10**400).tolist() == [1.0, 2.0]
    assert np.isnan(np.maximum(b, 1000).values).all()  # it wins, and becomes what 1000 becomes
    with fl.arithmetic(overflow="saturate"):
        assert np.maximum(b, 1000).tolist() == [448.0, 448.0]


def test_a_format_without_zero_can_be_bounded_by_zero():
    b = fl.array([0.25, 4.0], "e8m0")
    assert np.maximum(b, 0).tolist() == np.clip(b, 0, None).tolist() == [0.25, 4.0]
    assert np.clip(b, 0, 1).tolist() == [0.25, 1.0]
    assert np.fmax(-3.0, b).tolist() == [0.25, 4.0]
    assert np.isnan(np.minimum(b, 0).values).all()


def test_a_format_without_nan_or_sign_is_bounded_by_anything():
    assert np.clip(fl.array([1.0, 6.0], "fp4"), -math.inf, math.inf).tolist() == [1.0, 6.0]
    unsigned = fl.array([0.5, 2.0], "binary8p3ue")
    assert np.maximum(unsigned, -1).tolist() == [0.5, 2.0]
    with pytest.raises(OverflowPolicyError, match="NaN"):
        np.maximum(fl.array([1.0], "fp4"), math.nan)


def test_a_bound_is_compared_before_it_is_rounded():
    b = fl.array([0.1015625, 0.09375], "e4m3")  # 0.1 lies between them and rounds to the first
    assert np.minimum(b, 0.1).tolist() == [0.1015625, 0.09375]
    assert np.maximum(b, 0.1).tolist() == [0.1015625, 0.1015625]
    c = fl.array([448.0, 1.0], "e4m3")
    assert np.minimum(c, 460).tolist() == [448.0, 1.0]
    one = fl.array([1.0], "fp16")
    nearly = 1 + 2.0**-30  # rounds to 1: the sign of what is lost decides
    assert np.maximum(one, nearly).item() == np.minimum(one, nearly).item() == 1


def test_bounds_that_cross_give_the_upper_one():
    b = fl.array([1.0, math.nan], "e4m3")
    got = np.clip(b, 1000, 3)
    assert got.tolist()[0] == 3.0 and math.isnan(got.tolist()[1])
    assert np.clip(fl.array([1.0], "fp16"), np.float32(0.1), 0.1).item() == fl.array(0.1, "fp16").item()


def test_a_number_can_be_clipped_by_arrays():
    low, high = fl.array([0.0, 2.0], "e4m3"), fl.array([1.0, 4.0], "e4m3")
    assert np.clip(0.1, low, high).tolist() == [0.1015625, 2.0]
    assert np.clip(1e9, low, high).tolist() == [1.0, 4.0]
    assert np.clip(-1e9, None, high).tolist()[0] != 1.0


def test_signs_of_zeros_are_ordered_with_plain_zeros_too():
    zeros = fl.array([0.0, -0.0], "fp16")
    for zero in (0.0, np.float32(0.0), 0, False):
        assert np.signbit(np.maximum(zeros, zero).values).tolist() == [False, False]
        assert np.signbit(np.minimum(zero, zeros).values).tolist() == [False, True]
    assert np.signbit(np.minimum(zeros, -0.0).values).all()
    assert np.signbit(np.maximum(zeros, -0.0).values).tolist() == [False, True]


def test_neighbours_go_towards_a_number_that_the_format_cannot_hold():
    b = fl.array([1.0, -2.0], "e4m3")
    assert np.nextafter(b, 1000).tolist() == [1.125, -1.875]
    assert np.nextafter(b, -math.inf).tolist() == [0.9375, -2.25]
    assert np.nextafter(fl.array([1.0], "fp16"), 1 + 2.0**-30).item() == 1 + 2.0**-10
    assert np.isnan(np.nextafter(b, math.nan).values).all()
    assert np.signbit(np.nextafter(fl.array([0.0], "fp16"), -0.0).values).all()
    assert np.nextafter(fl.array([1.0], "e8m0"), 0).item() == 0.5


def test_places_in_order_are_found_exactly():
    b = fl.array([float(BIG), BIG + 2.0], "fp64")
    assert np.searchsorted(b, BIG + 1) == 1
    assert np.searchsorted(b, np.array([BIG - 1, BIG + 1, BIG + 3])).tolist() == [0, 1, 2]
    assert np.searchsorted(b, Fraction(2 * BIG + 1, 2), side="right") == 1
    f = fl.array([0.1, 0.2, 0.3], "fp32")  # each above or below the number of its name
    assert np.searchsorted(f, 0.1) == 0 and np.searchsorted(f, 0.1, side="right") == 0
    assert np.digitize(f, [0.1, 0.2, 0.3]).tolist() == [1, 2, 3]
    assert f.searchsorted(0.2) == 1
    assert np.isin(f, [0.1, 0.2]).tolist() == [False, False, False]
    assert not np.isclose(f, 0.1, rtol=0, atol=0)[0]
    assert not np.array_equal(f, [0.1, 0.2, 0.3])


def test_replacements_of_nan_are_rounded_once():
    b = fl.from_codes([0x7C00, 0xFC00, 0x7E00, 0x3C00, 0x0001], "fp16")
    double = 1 + 2.0**-11 + 2.0**-40  # in float32 a tie of the format, and no longer above it
    got = np.nan_to_num(b, nan=double, posinf=double, neginf=-double)
    assert got.tolist() == [1 + 2.0**-10, -1 - 2.0**-10, 1 + 2.0**-10, 1.0, 2.0**-24]
    assert np.nan_to_num(b).tolist() == [65504.0, -65504.0, 0.0, 1.0, 2.0**-24]
    assert np.nan_to_num(fl.array([1.0], "e4m3"), posinf=1e300).tolist() == [1.0]
    with fl.arithmetic(subnormals="flush"):
        assert np.nan_to_num(b).tolist()[4] == 2.0**-24  # it was not asked to change
    with pytest.raises(FormatError, match="zero"):
        np.nan_to_num(fl.array([math.nan], "e8m0"))
    assert np.nan_to_num(fl.array([math.nan, 2.0], "e8m0"), nan=1.0).tolist() == [1.0, 2.0]


@given(
    st.sampled_from(CATALOGUE_16),
    st.one_of(st.floats(allow_nan=False), st.fractions(), st.integers(-(10**20), 10**20)),
    st.sampled_from(["maximum", "minimum", "fmax", "fmin"]),
    st.integers(0, 2**16 - 1),
)
def test_the_winner_is_rounded_as_the_reference_rounds_it(fmt, bound, name, code):
    code %= 1 << fmt.bits
    b = fl.from_codes([code], fmt)
    value = float(b.values[0])
    if isinstance(bound, Fraction) or (isinstance(bound, int) and abs(bound) > BIG and fmt.bits > 49):
        bound = float(bound)  # numbers that an operand cannot be
    if math.isnan(value):
        wins = name.startswith("f")
    else:
        wins = exactly_greater(bound, value) if "max" in name else exactly_greater(value, bound)
    wanted = reference.round(bound, fmt).value if wins else reference.decode(code, fmt)
    got = float(getattr(np, name)(b, bound).values[0])
    number = reference.to_float(wanted)
    if value == bound == 0:
        assert got == 0
    else:
        assert got == number or (math.isnan(got) and math.isnan(number)), (fmt, bound, value)


def exactly_greater(a, b):
    if isinstance(a, float) and not math.isfinite(a):
        return a > 0
    if isinstance(b, float) and not math.isfinite(b):
        return b < 0
    return Fraction(a) > Fraction(b)


# -- arrays of the format's own type ---------------------------------------------------------------------------------


def test_arrays_of_the_formats_own_type_are_operands():
    for fmt, dtype in (("bf16", ml_dtypes.bfloat16), ("e4m3", ml_dtypes.float8_e4m3fn), ("fp16", np.float16)):
        x = np.array([1.0, 2.5, -3.0]).astype(dtype)
        b = fl.array([1.5, 0.5, 2.0], fmt)
        for got in (b + x, x + b, np.add(b, x)):
            assert isinstance(got, FloatArray) and got.tolist() == [2.5, 3.0, -1.0]
        assert np.maximum(x, b).tolist() == [1.5, 2.5, 2.0]
        assert (b * x[0]).tolist() == b.tolist()
        assert np.concatenate([b, x]).tolist() == [1.5, 0.5, 2.0, 1.0, 2.5, -3.0]
        assert np.where([True, False, True], b, x).tolist() == [1.5, 2.5, 2.0]
        assert (b @ x).item() == -3.25
        x += b
        assert x.dtype == dtype and x.astype(float).tolist() == [2.5, 3.0, -1.0]
    assert (fl.array([1.0], "fp16") + np.array([2.0], ">f2")).tolist() == [3.0]
    with pytest.raises(DtypeError, match="Round it first"):
        fl.array([1.0], "bf16") + np.float16([1.0])
    with pytest.raises(DtypeError, match="Round it first"):
        fl.array([1.0], "e4m3") + np.array([1.0], ml_dtypes.bfloat16)


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE_16 if fmt.dtype is not None], ids=name_of)
def test_every_code_of_an_own_type_is_the_operand_it_means(fmt):
    codes = np.arange(1 << fmt.bits).astype(fmt.code_dtype)
    np.testing.assert_array_equal(of_format("add", codes.view(fmt.dtype), fmt), all_values(fmt))


def test_format_of_a_number_does_not_depend_on_its_type():
    fmt = get_format("e5m6")
    for x in (3, 3.0, np.int8(3), np.uint64(3), np.float16(3), np.float32(3), np.longdouble(3)):
        assert (fl.array([1.0], fmt) * x).item() == 3.0, type(x)
