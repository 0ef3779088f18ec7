"""Inverse functions and functions of two arguments on FloatArrays: fl.*, NumPy's ufuncs, operators, options, flags."""

import math

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FormatError, FormatMismatchError
from floatlab.functions.evaluate import evaluate, evaluate_pair

INVERSES = ("cbrt", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg")
PAIRS = ("hypot", "arctan2", "power", "logaddexp", "logaddexp2")


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64))


@pytest.mark.parametrize("name", INVERSES)
def test_a_function_and_numpys_ufunc_give_the_correctly_rounded_values(name):
    x = fl.array([0.25, 1.0, -0.75, 2.0, np.nan], "bf16")
    expected = evaluate(name, x.values, "bf16")
    for got in (getattr(fl, name)(x), getattr(np, name)(x)):
        assert isinstance(got, fl.FloatArray)
        assert got.format == x.format
        same(got.values, expected)
    same(
        getattr(fl, name)(x.values, "fp16", rounding="toward_zero"),
        evaluate(name, x.values, "fp16", rounding="toward_zero"),
    )


def test_degrees_and_radians_have_two_names():
    x = fl.array([1.0, 180.0], "fp16")
    same(np.radians(x), np.deg2rad(x))
    same(np.degrees(x), np.rad2deg(x))
    assert np.radians(x).values[1] == np.float16(math.pi)


@pytest.mark.parametrize("name", PAIRS)
def test_a_function_of_two_and_numpys_ufunc_give_the_correctly_rounded_values(name):
    a, b = fl.array([[0.25], [3.0], [np.inf]], "e5m2"), fl.array([0.5, -2.0, 0.0], "e5m2")
    expected = evaluate_pair(name, a.values, b.values, "e5m2")
    for got in (getattr(fl, name)(a, b), getattr(np, name)(a, b)):
        assert got.format == a.format
        same(got.values, expected)
    same(getattr(np, name).outer(fl.array([0.25, 3.0], "e5m2"), b).values, expected[:2])
    same(getattr(fl, name)(a, 0.3).values, evaluate_pair(name, a.values, fl.quantize(0.3, "e5m2"), "e5m2"))
    same(getattr(np, name)(3, b).values, evaluate_pair(name, 3.0, b.values, "e5m2"))
    out = fl.array(np.zeros((3, 3)), "e5m2")
    assert getattr(np, name)(a, b, out=out) is out
    same(out.values, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_operands_have_one_format_or_the_result_has_a_name(name):
    a = fl.array([1.5], "e4m3")
    with pytest.raises(FormatMismatchError):
        getattr(fl, name)(a, fl.array([1.0], "e5m2"))
    with pytest.raises(DtypeError, match="Round it first"):
        getattr(np, name)(a, np.array([1.0, 2.0]))
    with pytest.raises(FormatError, match="Say it"):
        getattr(fl, name)(1.5, 2.0)
    mixed = getattr(fl, name)(a, fl.array([1.0], "e5m2"), "fp16")
    same(mixed.values, evaluate_pair(name, 1.5, 1.0, "fp16").reshape(1))
    assert isinstance(getattr(fl, name)(1.5, 2.0, "fp16"), np.ndarray)


def test_options_come_from_the_call_or_the_context():
    a = fl.array([3.0], "e4m3")
    assert fl.hypot(a, 1.0, rounding="toward_positive").item() == 3.25
    with fl.arithmetic(rounding="toward_negative"):
        assert np.hypot(a, 1.0).item() == 3.0
        assert (a**0.5).item() == 1.625
    with fl.arithmetic(rounding="toward_positive"):
        assert (a**0.5).item() == 1.75
        assert np.cbrt(a).item() == 1.5
    values = fl.power(a, 3, rounding="stochastic", rng=np.random.default_rng(0))
    assert values.item() in (26.0, 28.0)


def test_flags_are_returned_and_tracked():
    x = fl.array([0.0, 4.0, -8.0], "fp16")
    result, flags = fl.power(x, -0.5, return_flags=True)
    assert result.tolist()[:2] == [math.inf, 0.5]
    assert flags.divide_by_zero.tolist() == [True, False, False]
    assert flags.invalid.tolist() == [False, False, True]
    with fl.track_flags() as record:
        np.arctanh(fl.array([1.0, 2.0, 0.5], "fp16"))
        np.hypot(fl.array([3.0, 60000.0], "fp16"), fl.array([4.0, 60000.0], "fp16"))
    assert record.by_operation["arctanh"]["divide_by_zero"] == 1
    assert record.by_operation["arctanh"]["invalid"] == 1
    assert record.by_operation["hypot"]["overflow"] == 1
    assert record.by_operation["hypot"]["inexact"] == 1


# -- the operator ** --------------------------------------------------------------------------------------


def test_exponents_that_are_integers_or_one_half_are_taken_exactly():
    """-1 is no value of an unsigned format, 17 none of e5m2, 1/2 none where the smallest value is 8."""
    assert (fl.array([4.0], "e8m0") ** -1).item() == 0.25
    assert (fl.array([4.0], "e8m0") ** -3).item() == 2.0**-6
    assert (fl.array([-1.0, 1.25], "e5m2") ** 17).tolist() == [-1.0, float(fl.quantize(1.25**17, "e5m2"))]
    large = fl.FloatFormat("large", 4, 3, -5)
    assert (fl.array([64.0 * 64], large) ** 0.5).item() == 64.0
    for exponent in (3, 3.0, np.int8(3), np.float32(3)):
        assert (fl.array([2.0], "fp4") ** exponent).item() == 6.0  # 8 is too large for it


def test_other_exponents_are_rounded_to_the_format_like_every_operand():
    x = fl.array([2.0, 3.0], "e4m3")
    same((x**0.3).values, (x ** fl.array(0.3, "e4m3")).values)
    same((x**0.3).values, evaluate_pair("power", x.values, 0.3125, "e4m3"))


def test_the_root_of_minus_zero_and_minus_infinity_is_not_their_power():
    x = fl.array([-0.0, -np.inf, 0.0, np.inf], "fp16")
    power, root = (x**0.5).values, np.sqrt(x).values
    assert np.signbit(power).tolist() == [False, False, False, False]
    assert power.tolist() == [0.0, math.inf, 0.0, math.inf]
    assert np.signbit(root[0])
    assert np.isnan(root[1])


def test_powers_of_numbers_and_arrays():
    x = fl.array([-2.0, 0.5, 3.0], "bf16")
    assert (2**x).tolist() == [0.25, float(fl.quantize(2**0.5, "bf16")), 8.0]
    assert (x**x).tolist()[2] == 27.0
    assert (x**0).tolist() == [1.0, 1.0, 1.0]
    assert (x**1).tolist() == x.tolist()
    assert (x**2).tolist() == [4.0, 0.25, 9.0]
    assert (x**-1).tolist() == [-0.5, 2.0, float(fl.quantize(1 / 3, "bf16"))]
    assert (x**-2).tolist()[:2] == [0.25, 4.0]
    assert (x**3).tolist() == [-8.0, 0.125, 27.0]
    assert np.float_power(x, 3).tolist() == (x**3).tolist()
    x **= 2
    assert x.tolist() == [4.0, 0.25, 9.0]


def test_a_nan_to_the_power_of_zero_and_one_to_the_power_of_a_nan_are_one():
    x = fl.array([np.nan, 1.0], "fp16")
    assert (x**0).tolist() == [1.0, 1.0]
    assert np.power(fl.array([1.0], "fp16"), fl.array([np.nan], "fp16")).tolist() == [1.0]
    assert (fl.array([1.0, 2.0], "fp16") ** math.nan).tolist()[0] == 1.0


def test_long_exponents_keep_their_parity():
    x = fl.array([-1.0], "fp16")
    assert (x ** (2**53 - 1)).item() == -1.0
    assert (x ** (2**53)).item() == 1.0


def test_every_new_name_is_public_and_documented():
    for name in (*INVERSES, *PAIRS):
        assert name in fl.__all__
        assert getattr(fl, name).__name__ == name
        assert getattr(fl, name).__doc__.startswith("Return ")
