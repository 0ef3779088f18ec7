"""FloatArray: what it is, how it computes, and how NumPy's functions treat it."""

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CATALOGUE_16, all_values, name_of
from test_inputs import ONE_OPERAND

import floatlab as fl
from floatlab import reference
from floatlab.array import FloatArray
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.codes.neighbours import ulp
from floatlab.errors import (
    DtypeError,
    FloatlabError,
    FormatError,
    FormatMismatchError,
    OptionError,
    OverflowPolicyError,
    ShapeError,
)
from floatlab.formats import get_format
from floatlab.functions.evaluate import evaluate
from floatlab.rounding.quantize import quantize


@pytest.fixture
def a():
    return fl.array([[1.0, 0.1, -2.5], [300.0, -0.0, 7.0]], "e4m3")


def same(x, values, fmt="e4m3"):
    """Assert that x is a FloatArray of these values."""
    assert isinstance(x, FloatArray)
    assert x.format == get_format(fmt)
    assert x.values.dtype == get_format(fmt).value_dtype
    np.testing.assert_array_equal(x.values, np.asarray(values, np.float64))


# -- what it is ------------------------------------------------------------------------------------------------


def test_numbers_are_rounded_once_when_an_array_is_made():
    x = [0.1, 1 + 2**-8 + 2**-40, 1e30, -1e-30, np.nan]  # the second one, through float32, would be a tie
    np.testing.assert_array_equal(fl.array(x, "bf16").values, quantize(x, "bf16"))
    assert fl.array(1 + 2**-8 + 2**-40, "bf16").item() == 1.0078125
    same(fl.array([1.3, 300], "e4m3", rounding="toward_zero", overflow="saturate"), [1.25, 288])


@pytest.mark.parametrize("fmt", CATALOGUE_16, ids=name_of)
def test_codes_and_values_belong_to_each_other(fmt):
    codes = np.arange(1 << fmt.bits).astype(fmt.code_dtype)
    coded = fl.from_codes(codes, fmt)
    np.testing.assert_array_equal(coded.values, decode(codes, fmt))
    np.testing.assert_array_equal(coded.codes, codes)
    valued = fl.array(all_values(fmt), fmt)
    np.testing.assert_array_equal(valued.codes, encode(all_values(fmt), fmt))
    np.testing.assert_array_equal(fl.from_codes(valued.codes, fmt).values, valued.values)


def test_ml_dtypes_arrays_come_and_go_without_a_copy():
    for dtype in (
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float4_e2m1fn,
        np.float16,
        np.float32,
        np.float64,
    ):
        x = np.array([1, 2, -1.5, 0.5]).astype(dtype)
        b = fl.asarray(x)
        assert b.format.dtype == np.dtype(dtype)
        assert np.shares_memory(b.to_ml_dtypes(), x)
        assert np.shares_memory(np.asarray(b, dtype=dtype), x)
        assert b.to_ml_dtypes().dtype == dtype
        np.testing.assert_array_equal(b.values, [1, 2, -1.5, 0.5])
        b[0] = 3.0
        assert float(x[0]) == 3.0
        assert not np.shares_memory(fl.array(x).to_ml_dtypes(), x)
        assert fl.asarray(b) is b


def test_nan_codes_pass_through_untouched():
    codes = np.array([0x7D, 0xFE, 0x7C], np.uint8)
    b = fl.from_codes(codes, "e5m2")
    np.testing.assert_array_equal(b[::-1].reshape(3, 1).codes.ravel()[::-1], codes)
    np.testing.assert_array_equal(b.to_ml_dtypes().view(np.uint8), codes)


def test_a_format_without_a_numpy_type_says_so():
    with pytest.raises(FormatError, match="codes or"):
        fl.array([1.0], "e5m6").to_ml_dtypes()


def test_an_array_has_the_attributes_of_an_array(a):
    assert (a.shape, a.ndim, a.size, len(a)) == ((2, 3), 2, 6, 2)
    assert a.T.shape == (3, 2)
    assert a.tolist() == [[1.0, 0.1015625, -2.5], [288.0, -0.0, 7.0]]
    assert a.item(0, 1) == 0.1015625 and float(a[0, 0]) == 1.0 and int(a[1, 2]) == 7
    assert [row.tolist() for row in a] == a.tolist()
    assert bool(fl.array(2.0, "fp16")) and not fl.array(0.0, "fp16")
    with pytest.raises(ValueError, match="truth value"):
        bool(a)
    assert a.reshape(3, 2).shape == a.reshape((3, 2)).shape == (3, 2)
    assert a.ravel().shape == a.flatten().shape == (6,)
    assert a.reshape(1, 6).squeeze().shape == (6,) and a.swapaxes(0, 1).shape == a.transpose(1, 0).shape == (
        3,
        2,
    )


def test_an_array_shows_its_format():
    assert repr(fl.array([1.0, 0.5], "e4m3")) == "FloatArray([1. , 0.5], format=float8_e4m3fn)"
    assert repr(fl.array(1.5, "fp16")) == "FloatArray(1.5, format=float16)"
    assert repr(fl.array([0.0625, 300.0], "e4m3")) == "FloatArray([  0.0625, 288.    ], format=float8_e4m3fn)"
    assert "e-08" in repr(fl.array([2.0**-24, 1.0], "fp16"))  # not rounded to 0. for the eye
    assert str(fl.array([1.0], "fp16")) == "[1.]"
    assert repr(fl.array([], "fp16")) == "FloatArray([], format=float16)"


def test_slices_are_views_and_assignment_rounds(a):
    row = a[0]
    row[1] = 0.3
    assert a[0, 1].item() == 0.3125
    a[:, 0] = [17.0, 19.0]  # ties of 16 and 18, 18 and 20
    assert a[:, 0].tolist() == [16.0, 20.0]
    a[a > 15] = fl.array(-1.0, "e4m3")
    assert a[:, 0].tolist() == [-1.0, -1.0]
    a[0] += 1
    assert a[0].tolist() == [0.0, 1.3125 - 0.0625, -1.5]
    with pytest.raises(FormatMismatchError, match="astype"):
        a[0] = fl.array([1.0, 2.0, 3.0], "fp16")
    with pytest.raises(ValueError, match="read-only"):
        a.values[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        a.codes[0] = 1


def test_assignment_to_codes_is_assignment_of_values():
    b = fl.from_codes(np.zeros(3, np.uint8), "e4m3")
    b[1] = 448
    b[2:] = fl.array([0.5], "e4m3")
    np.testing.assert_array_equal(b.codes, [0, 0x7E, 0x30])


def test_a_read_only_array_can_be_used_but_not_written_to():
    x = np.array([1.0, 2.0], np.float32)
    x.flags.writeable = False
    b = fl.asarray(x)
    assert (b + b).tolist() == [2.0, 4.0]
    with pytest.raises(ValueError, match="read-only"):
        b[0] = 1


def test_copies_are_independent_and_pickles_equal(a):
    for other in (a.copy(), copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a)), fl.array(a)):
        same(other, a.values)
        other[0, 0] = 5
        assert a[0, 0].item() == 1.0
    coded = fl.from_codes([[1, 2]], "e5m2")
    assert pickle.loads(pickle.dumps(coded)).codes.tolist() == [[1, 2]]
    assert pickle.loads(pickle.dumps(fl.array(2.0, "bf16"))).shape == ()


def test_astype_rounds_once_to_the_other_format(a):
    same(a.astype("e5m2"), quantize(a.values, "e5m2"), "e5m2")
    assert a.astype("fp4", overflow="saturate").tolist()[1][0] == 6
    assert fl.array(300.0, "fp16").astype("e4m3", rounding="toward_positive").item() == 320
    assert a.astype("e4m3") is not a


def test_numpy_gets_values_and_nothing_that_was_rounded_in_passing(a):
    np.testing.assert_array_equal(np.asarray(a), a.values)
    assert np.asarray(a, np.float64).dtype == np.float64
    assert np.array(a).flags.writeable
    assert np.asarray(fl.array([1.0, 2.0], "fp16"), int).tolist() == [1, 2]
    with pytest.raises(DtypeError, match="values"):
        np.asarray(a, int)
    with pytest.raises(DtypeError, match="values"):
        np.asarray(fl.array([1 + 2**-20], "fp32"), np.float16)
    np.testing.assert_array_equal(quantize(a, "e2m3"), quantize(a.values, "e2m3"))
    np.testing.assert_array_equal(ulp(a, "e4m3"), ulp(a.values, "e4m3"))


def test_what_cannot_become_an_array_is_refused():
    for wrong in (["a"], [1j], [[1], [1, 2]], np.ma.array([1.0], mask=[True])):
        with pytest.raises(DtypeError):
            fl.array(wrong, "fp16")
    with pytest.raises(FormatError, match="float16"):
        fl.array([1.0, 2.0])
    with pytest.raises(FormatError, match="Did you mean"):
        fl.array([1.0], "float17")
    with pytest.raises(DtypeError, match="codes"):
        fl.from_codes(fl.array([1.0], "fp16"), "fp16")
    with pytest.raises(DtypeError, match="bits"):
        fl.from_codes([300], "e4m3")
    with pytest.raises(OverflowPolicyError, match="NaN"):
        fl.array([np.nan], "fp4")


# -- arithmetic ---------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["e4m3", "e5m2", "fp16", "bf16", "fp32", "fp64"]),
    st.sampled_from(["add", "subtract", "multiply", "divide"]),
    st.floats(-300, 300),
    st.floats(-300, 300),
)
def test_operators_round_once(fmt, name, x, y):
    fmt = get_format(fmt)
    a, b = fl.array([x], fmt), fl.array([y], fmt)
    wanted = getattr(reference, name)(a.item(), b.item(), fmt)
    operator = {"add": "__add__", "subtract": "__sub__", "multiply": "__mul__", "divide": "__truediv__"}[name]
    assert getattr(a, operator)(b).codes[0] == wanted.code
    assert getattr(np, name)(a, b).codes[0] == wanted.code
    assert getattr(fl, name)(a, b).codes[0] == wanted.code


def test_a_number_takes_the_format_of_the_array():
    b = fl.array([1.0, 2.0], "bf16")
    tenth = float(quantize(0.1, "bf16"))
    assert (b * 0.1).tolist() == (0.1 * b).tolist() == [tenth, 2 * tenth]
    assert (b - 0.1).tolist() == fl.subtract(b, fl.array(0.1, "bf16")).tolist()
    assert (1 / b).tolist() == [1.0, 0.5] and (b + np.float32(1)).tolist() == [2.0, 3.0]
    assert np.signbit((b * 0 + -0.0).values).tolist() == [False, False]
    assert np.signbit((b * -0.0).values).tolist() == [True, True]
    assert (fl.array([1.0], "e4m3") + 1e6).tolist() != [448.0]
    with fl.arithmetic(overflow="saturate"):
        assert (fl.array([0.0], "e4m3") + 1e6).tolist() == [448.0]


def test_two_formats_and_plain_arrays_ask_for_a_conversion(a):
    b = fl.array(np.ones((2, 3)), "fp16")
    for attempt in (lambda: a + b, lambda: np.maximum(a, b), lambda: a @ b.T, lambda: np.concatenate([a, b])):
        with pytest.raises(
            FormatMismatchError, match=r'float8_e4m3fn and float16.*astype\("float8_e4m3fn"\)'
        ):
            attempt()
    plain = np.ones((2, 3))
    for attempt in (
        lambda: a + plain,
        lambda: plain + a,
        lambda: a @ plain.T,
        lambda: np.where(True, a, plain),
    ):
        with pytest.raises(DtypeError, match=r'fl.array\(x, "float8_e4m3fn"\)'):
            attempt()
    with pytest.raises(DtypeError):
        np.add(a, [1.0, 2.0, 3.0])
    with pytest.raises(DtypeError):
        a + "1"


def test_a_named_format_takes_operands_of_any():
    x, y = fl.array([448.0], "e4m3"), fl.array([1e4], "bf16")
    same(fl.add(x, y, "fp32"), [448 + 9984], "fp32")
    same(fl.multiply(x, [0.1], "fp16"), quantize([448 * 0.1], "fp16"), "fp16")
    plain = fl.add(0.1, [0.2], "fp16", rounding="toward_zero")
    assert isinstance(plain, np.ndarray) and plain.dtype == np.float32
    with pytest.raises(FormatError, match=r"fl.add\(..., \"float16\"\)"):
        fl.add(0.1, 0.2)


def test_signs_and_choices_are_exact(a):
    x = np.asarray(a.values)
    same(-a, -x)
    same(abs(a), abs(x))
    same(+a, x)
    same(np.copysign(a, -1.0), np.copysign(x, -1))
    same(np.maximum(a, 0.3), np.maximum(x, np.float32(0.3125)))
    same(np.minimum(a, a[::-1]), np.minimum(x, x[::-1]))
    same(np.sign(a), np.sign(x))
    same(np.floor(a), np.floor(x))
    same(np.rint(a), np.rint(x))
    zeros = fl.array([0.0, -0.0], "fp16")
    assert not np.signbit(np.maximum(zeros, zeros[::-1]).values).any()
    assert np.signbit(np.minimum(zeros, zeros[::-1]).values).all()
    with_nan = fl.array([np.nan, 1.0], "fp16")
    assert np.isnan(np.maximum(with_nan, 0.0)).tolist() == [True, False]
    assert np.fmax(with_nan, 0.0).tolist() == [0.0, 1.0]


def test_negation_knows_formats_without_a_negative_zero_or_a_sign():
    assert (-fl.array([0.0, 1.0], "e4m3fnuz")).codes.tolist() == [0, 0xC0]
    assert np.isnan(-fl.array([2.0], "e8m0")).all()


def test_comparisons_round_nothing(a):
    b = fl.array([0.1, 448.0], "e4m3")
    assert (b == 0.1).tolist() == [False, False]  # 0.1015625 is not a tenth
    assert (b == fl.array(0.1, "e4m3")).tolist() == [True, False]
    assert (b < 1000).tolist() == [True, True]  # which would be a NaN in the format
    assert (b > fl.array([0.1, 0.1], "fp32")).tolist() == [True, True]  # of different formats, exactly
    assert (b >= np.array([0.1015625, 449])).tolist() == [True, False]
    assert (b > 1.0).tolist() == [False, True]
    assert (fl.array([np.nan], "e4m3") != 1.0).tolist() == [True]
    assert (a == a).all()
    with pytest.raises(TypeError):
        hash(a)


def test_powers_are_what_the_single_operations_are():
    b = fl.array([1.1, 3.0], "e4m3")
    np.testing.assert_array_equal((b**2).values, (b * b).values)
    np.testing.assert_array_equal((b**0.5).values, np.sqrt(b).values)
    np.testing.assert_array_equal((b**-1).values, (1 / b).values)
    np.testing.assert_array_equal(np.square(b).values, (b * b).values)


def test_what_has_no_meaning_in_a_format_names_the_way_out(a):
    for attempt in (
        lambda: a & 2,
        lambda: np.gcd(a, 2),
        lambda: np.linalg.svd(a),
        lambda: np.linalg.inv(a),
        lambda: np.fft.fft(a),
    ):
        with pytest.raises(DtypeError, match=r"\.values.*fl\.array\(result"):
            attempt()
    with pytest.raises(DtypeError, match="dtype"):
        np.add(a, a, dtype=np.float64)
    with pytest.raises(DtypeError, match="where"):
        np.add(a, a, where=a > 0)
    with pytest.raises(DtypeError, match="at"):
        np.add.at(a, [0], 1.0)
    with pytest.raises(DtypeError, match="dtype"):
        np.sum(a, dtype=np.float64)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2,\)"):
        a + fl.array([1.0, 2.0], "e4m3")


def test_in_place_and_out_write_into_the_array():
    b = fl.array([1.0, 2.0], "e4m3")
    view = b[:]
    b += 1
    b *= b
    assert view.tolist() == [4.0, 9.0]
    out = fl.array([0.0, 0.0], "e4m3")
    assert np.add(b, b, out=out) is out and out.tolist() == [8.0, 18.0]
    with pytest.raises(FormatMismatchError):
        np.add(b, b, out=fl.array([0.0, 0.0], "fp16"))
    with pytest.raises(ShapeError):
        np.add(b, b, out=fl.array([0.0], "e4m3"))
    with pytest.raises(DtypeError):
        np.add(b, b, out=np.zeros(2))
    assert np.add.outer(b, b).tolist() == [[8.0, 13.0], [13.0, 18.0]]


def test_elementary_functions_are_correctly_rounded():
    b = fl.array(np.linspace(0.1, 3, 50), "fp16")
    for name in (
        name for name in ONE_OPERAND if hasattr(np, name) and name not in ("sqrt", "square", "reciprocal")
    ):
        wanted = evaluate(name, b.values, "fp16")
        same(getattr(np, name)(b), wanted, "fp16")
        same(getattr(fl, name)(b), wanted, "fp16")
    for name in ("sigmoid", "softplus", "erf", "gelu", "rsqrt"):
        same(getattr(fl, name)(b), evaluate(name, b.values, "fp16"), "fp16")
    same(fl.reciprocal(b), fl.divide(1.0, b).values, "fp16")
    values, flags = fl.exp(fl.array([0.0, 100.0], "fp16"), return_flags=True)
    assert values.tolist() == [1.0, np.inf] and flags.overflow.tolist() == [False, True]


def test_neighbours_and_spacing_are_ufuncs_too():
    b = fl.array([1.0, -0.0, 448.0], "e4m3")
    assert np.nextafter(b, 2.0).tolist()[:2] == [1.125, 2**-9]
    assert np.nextafter(b, -448.0).tolist() == [0.9375, -(2**-9), 416.0]
    assert np.spacing(-b[:2]).tolist() == [-0.125, 2**-9]


# -- contexts and flags -----------------------------------------------------------------------------------------


def test_a_context_sets_the_options_of_operators_and_ends():
    b = fl.array([1.0, 2.0], "e4m3")
    with fl.arithmetic(rounding="toward_positive"):
        up = b / 3
        with fl.arithmetic(overflow="saturate"):
            assert (b * 400).tolist() == [384.0, 448.0]  # a number is rounded to nearest, always
            assert (b / 3).tolist() == up.tolist()
    assert up.tolist() == [0.34375, 0.6875]
    assert (b / 7).tolist() == [0.140625, 0.28125]
    assert fl.divide(b, 7, rounding="toward_positive").tolist() == [0.15625, 0.3125]


def test_a_context_ends_with_an_error_too_and_stays_in_its_thread():
    with pytest.raises(RuntimeError), fl.arithmetic(rounding="toward_zero"):
        raise RuntimeError
    b = fl.array([1.0], "e4m3")
    found = []
    with fl.arithmetic(rounding="toward_zero"):
        thread = threading.Thread(target=lambda: found.append((b / 3).item()))
        thread.start()
        thread.join()
        assert (b / 3).item() == 0.3125
    assert found == [0.34375] and (b / 3).item() == 0.34375


def test_a_context_checks_its_options():
    for wrong in (
        {"rounding": "up"},
        {"overflow": "wrap"},
        {"subnormals": "none"},
        {"accumulator": "fp17"},
        {"round": "x"},
    ):
        with pytest.raises(FloatlabError), fl.arithmetic(**wrong):
            pass
    with pytest.raises(OptionError, match="rounding"), fl.arithmetic(roundin="to_odd"):
        pass


def test_a_context_has_the_accumulator_of_reductions():
    ones = fl.array(np.ones(64), "e4m3")
    assert np.sum(ones).item() == 64
    with fl.arithmetic(accumulator="e4m3"):
        assert np.sum(ones).item() == ones.sum().item() == (ones @ ones).item() == 16


def test_subnormals_and_inputs_are_flushed_by_context():
    tiny = fl.array([2.0**-15], "fp16")
    with fl.arithmetic(subnormals="flush"):
        assert (tiny * 1).tolist() == [0.0]
    with fl.arithmetic(flush_inputs=True):
        assert (tiny * 1024).tolist() == [0.0]
        with pytest.raises(OptionError, match="flush_inputs"):
            np.sum(tiny)


def test_stochastic_rounding_draws_from_the_generator_of_the_context():
    b = fl.array(np.ones(1000), "e4m3")
    with fl.arithmetic(rounding="stochastic", rng=np.random.default_rng(1), random_bits=16):
        thirds = b / 3
    assert sorted(set(thirds.tolist())) == [0.3125, 0.34375]
    assert abs(np.mean(thirds.values) - 1 / 3) < 2e-3
    with fl.arithmetic(rounding="stochastic"), pytest.raises(OptionError, match="Generator"):
        b / 3


def test_flags_are_recorded_by_operation_and_by_element():
    b = fl.array([1.0, 60000.0, 2.0**-24], "fp16")
    with fl.track_flags() as outer:
        b / 3
        with fl.track_flags() as inner:
            c = b + b
            np.sqrt(-b)
            np.exp(b)
    assert inner.by_operation["add"] == {
        "invalid": 0,
        "divide_by_zero": 0,
        "overflow": 1,
        "underflow": 0,
        "inexact": 1,
    }
    assert inner.by_operation["sqrt"]["invalid"] == 3
    assert inner.last_operation == "exp" and inner.last.overflow.tolist() == [False, True, False]
    assert set(outer.by_operation) == {"divide", "add", "sqrt", "exp"}
    assert outer.by_operation["divide"]["underflow"] == 1
    assert outer.counts["invalid"] == 3 and "invalid 3" in str(outer)
    b + b
    assert outer.by_operation["add"]["overflow"] == 1  # the block has ended
    assert np.isinf(c.values).tolist() == [False, True, False]


def test_conversions_and_sums_are_recorded_too():
    with fl.track_flags() as flags:
        b = fl.array([0.1, 1e9], "fp16")
        fl.array([1.0, 2.0**-24], "fp16").mean()
        np.sum(fl.array([60000.0, 60000.0], "fp16"))
        fl.array([1.5], "fp16") @ fl.array([1.5], "fp16")
        b[0] = 0.2
    assert flags.by_operation["array"]["overflow"] == 1
    assert flags.by_operation["array"]["inexact"] == 3
    assert flags.by_operation["sum"]["overflow"] == 1
    assert flags.by_operation["mean"]["inexact"] == 1
    assert flags.by_operation["matmul"]["inexact"] == 0


# -- reductions ---------------------------------------------------------------------------------------------------


def test_sums_have_the_accumulator_that_is_named():
    x = fl.array(np.full((2, 1000), 0.01), "bf16")
    assert np.sum(x, axis=1).tolist() == [quantize(x.values[0].astype(float).sum(), "bf16")] * 2
    assert fl.sum(x, axis=1, accumulator="bf16").tolist() == [4.0, 4.0]
    assert x.sum(axis=0, keepdims=True).shape == (1, 1000)
    assert np.sum(x).shape == ()
    assert np.add.reduce(x).shape == (1000,)
    assert fl.sum([0.1, 0.2], "fp16").dtype == np.float32
    assert fl.sum(fl.array(np.ones(64), "e4m3"), "fp16", accumulator="e4m3").item() == 16


def test_means_are_rounded_once():
    x = fl.array([448.0, 448.0, 416.0], "e4m3")
    assert np.mean(x).item() == 448  # 437.3; the sum itself would overflow
    fmt, rng = get_format("fp16"), np.random.default_rng(2)
    y = fl.array(rng.standard_normal((50, 7)), fmt)
    exact = [reference.divide(sum(map(reference.exact, row.tolist())), 7, fmt) for row in y]
    np.testing.assert_array_equal(np.mean(y, axis=1).codes, [result.code for result in exact])
    assert np.mean(y, axis=1, keepdims=True).shape == (50, 1)
    sequential = fl.mean(fl.array(np.ones(64), "e4m3"), accumulator="e4m3")
    assert sequential.item() == 0.25


def test_partial_sums_and_products_are_rounded_one_by_one():
    x = fl.array([[16.0, 1.0, 1.0, 2.0], [1.0, 1.125, 1.125, 1.125]], "e4m3")
    assert np.cumsum(x[0]).tolist() == [16.0, 16.0, 16.0, 18.0]
    assert (
        np.cumsum(x, axis=1).tolist()[0]
        == np.add.accumulate(x, axis=1).tolist()[0]
        == [16.0, 16.0, 16.0, 18.0]
    )
    assert np.cumprod(x[1]).tolist() == [1.0, 1.125, 1.25, 1.375]
    assert np.prod(x, axis=1).tolist() == [32.0, 1.375]
    assert np.prod(x, axis=1, keepdims=True).shape == (2, 1)
    assert fl.prod(fl.array([], "fp16")).item() == 1
    assert np.cumsum(x, axis=0).shape == (2, 4) and np.cumsum(x).shape == (8,)
    with pytest.raises(ShapeError):
        np.cumsum(x, axis=2)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (1, 0), (-1,), (), (0, 1, 2), [0, 2]])
@pytest.mark.parametrize("keepdims", [False, True])
def test_products_over_several_axes_are_shaped_as_numpys(axis, keepdims):
    x = np.random.default_rng(8).choice([1.0, 2.0, 0.5], (2, 3, 2))
    wanted = np.prod(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    for got in (
        np.prod(fl.array(x, "fp16"), axis=axis, keepdims=keepdims),
        fl.prod(x, "fp16", axis=axis, keepdims=keepdims),
    ):
        assert np.shape(got) == wanted.shape
        np.testing.assert_array_equal(np.asarray(got), wanted)


def test_products_over_several_axes_go_in_the_order_of_the_flattened_index():
    x = fl.array([[1.125, 1.125], [1.125, 256.0]], "e4m3")  # in this order 1.25, 1.375, 352
    assert np.prod(x, axis=(0, 1)).item() == np.prod(x, axis=(1, 0)).item() == np.prod(x).item() == 352
    assert np.multiply.reduce(x, axis=(0, 1)).item() == 352
    assert np.prod(fl.array(np.ones((0, 2)), "fp16"), axis=(0, 1)).item() == 1
    assert np.prod(fl.array(np.ones((2, 0, 3)), "fp16"), axis=1).shape == (2, 3)
    for wrong in ((0, 0), 2, (0, 2), 1.5, "x", (0.5,)):
        for function in (np.prod, np.sum, np.mean):
            with pytest.raises(ShapeError, match="each once"):
                function(x, axis=wrong)
    for wrong in ((0, 1), 1.0, 2):
        with pytest.raises(ShapeError, match="axis names a dimension"):
            np.cumsum(x, axis=wrong)


def test_the_formats_of_plain_operands_may_be_said():
    a, b = np.array([[1.5, 2.0]]), np.array([[1.0], [3.0]])
    x, y = fl.array(a, "e4m3"), fl.array(b, "e4m3")
    for left, right in ((a, b), (x, y), (a, y)):
        for known in ({}, {"formats": ("e4m3", "e4m3")}):
            assert np.asarray(fl.matmul(left, right, "fp16", **known)).item() == 7.5
            assert np.asarray(fl.dot(left, right, "fp16", **known)).item() == 7.5
            biased = {"formats": (*known["formats"], "e4m3")} if known else {}
            assert np.asarray(fl.matmul(left, right, "fp16", bias=[1.0], **biased)).item() == 8.5
    assert fl.matmul(x, y, formats=("e4m3", get_format("e4m3"))).item() == 7.5
    assert fl.sum(a, "fp16", formats=("e4m3",)) == fl.sum(x, formats=["fp8_e4m3"]).item() == 3.5
    assert fl.mean(a, "fp16", formats=("e4m3",)) == fl.mean(x, formats=("e4m3",)).item() == 1.75
    with pytest.raises(OptionError, match="one entry for each operand"):
        fl.matmul(a, b, "fp16", formats=("e4m3",))
    with pytest.raises(OptionError, match="Got float16 for an array of float8_e4m3fn"):
        fl.matmul(x, y, "fp16", formats=("fp16", "fp16"))


def test_a_bias_in_a_format_of_its_own_keeps_the_sum_exact():
    # Were the bias taken for a multiple of the products' unit, float64 would be believed to add it exactly.
    x = fl.array([[2048.0, 1.0]], "fp16")
    y = fl.array([[1.0], [1.0]], "fp16")
    assert fl.matmul(x, y, "fp16", bias=fl.array([2.0**-60], "fp32")).item() == 2050
    assert fl.matmul(x, y, "fp16", bias=fl.array([0.0], "fp32")).item() == 2048
    assert fl.matmul(x, y, "fp16", bias=[2.0**-60]).item() == 2050
    tiny = fl.array([[2.0**-24]], "fp16")
    assert fl.matmul(tiny, tiny, bias=fl.array([2048.0], "fp16"), rounding="toward_positive").item() == 2050


def test_means_are_exact_and_have_flags_and_the_sign_of_their_zero():
    x = fl.array([2.0**100, 1.0, -(2.0**100)], "bf16")
    assert np.mean(x).item() == fl.quantize(1 / 3, "bf16")
    _, flags = fl.mean(x, return_flags=True)
    assert flags.inexact and not flags.overflow
    zero = fl.array([1.0, -1.0], "fp16")
    assert np.signbit(fl.mean(zero, rounding="toward_negative").item())
    assert not np.signbit(fl.mean(zero).item())
    with fl.arithmetic(rounding="toward_negative"):
        assert np.signbit(zero.mean().item())
    x, y = fl.array([[np.inf, -np.inf], [1.0, 2.0**-10]], "fp16")
    with fl.track_flags() as record:
        fl.mean(x)
        fl.mean(y, accumulator="fp16")  # keeps no flags
    assert record.by_operation == {"mean": dict.fromkeys(record.counts, 0) | {"invalid": 1}}


@pytest.mark.parametrize("fmt", ["fp64", "e11m51", "e11m50", "fp32", "fp16"])
def test_a_sum_that_cancels_but_for_what_float64_would_lose_is_flagged_inexact(fmt):
    x = [1.0, 2.0**-70] if fmt != "e11m51" else [1.0, 2.0**-300]
    for accumulator in ("wide", "exact"):
        for call in (
            lambda **o: fl.sum(x, fmt, **o),
            lambda **o: fl.mean(x, fmt, **o),
            lambda **o: fl.dot(x, [1.0, 1.0], fmt, **o),
            lambda **o: fl.matmul([x], [[1.0], [1.0]], fmt, **o),
        ):
            _, flags = call(accumulator=accumulator, return_flags=True)
            assert flags.counts == dict.fromkeys(flags.counts, 0) | {"inexact": 1}


def test_stochastic_sums_have_the_flags_of_their_values():
    x = fl.array(np.full((50, 2), [1.0, 2.0**-9]), "bf16")
    seeds = [np.random.default_rng(3) for _ in range(2)]
    values = fl.sum(x, axis=1, rounding="stochastic", rng=seeds[0])
    again, flags = fl.sum(x, axis=1, rounding="stochastic", rng=seeds[1], return_flags=True)
    assert again.tolist() == values.tolist() and flags.inexact.all() and len(set(values.tolist())) == 2


def test_products_of_matrices_are_exact_and_rounded_once():
    rng = np.random.default_rng(3)
    x, y = fl.array(rng.standard_normal((4, 9)), "e4m3"), fl.array(rng.standard_normal((9, 3)), "e4m3")
    wanted = quantize(x.values.astype(float) @ y.values.astype(float), "e4m3")  # these sums are exact
    for result in (x @ y, np.matmul(x, y), np.dot(x, y), x.dot(y), fl.matmul(x, y)):
        same(result, wanted)
    assert fl.matmul(x, y, "fp32").format.name == "float32"
    assert (
        (x[0] @ y[:, 0]).shape == () and np.inner(x[0], x[0]).shape == () and np.inner(x, x).shape == (4, 4)
    )
    assert np.vdot(x, x).item() == (x.ravel() @ x.ravel()).item()
    biased = fl.matmul(x, y, bias=fl.array([1.0, 2.0, 3.0], "e4m3"))
    assert biased.shape == (4, 3) and biased.tolist() != wanted.tolist()
    with pytest.raises(ShapeError, match=r"\(4, 9\)"):
        x @ x


def test_flags_of_a_sum_are_those_of_its_one_rounding():
    x = fl.array([[60000.0, 60000.0, -60000.0], [2.0**-24, 0.0, 0.0], [1.0, 2.0**-24, 0.0]], "fp16")
    values, flags = fl.sum(x, axis=1, return_flags=True)
    assert values.tolist() == [60000.0, 2.0**-24, 1.0]
    assert flags.overflow.tolist() == [False] * 3 and flags.inexact.tolist() == [False, False, True]
    _, flags = fl.matmul(x, x, return_flags=True)
    assert flags.overflow[0].tolist() == [True, True, True]
    with pytest.raises(OptionError, match="exact"):
        fl.sum(x, accumulator="fp16", return_flags=True)


# -- NumPy's other functions -----------------------------------------------------------------------------------------

SHAPES = {
    "reshape": ((3, 2),),
    "ravel": (),
    "transpose": (),
    "swapaxes": (0, 1),
    "moveaxis": (0, 1),
    "rollaxis": (1,),
    "expand_dims": (0,),
    "broadcast_to": ((4, 2, 3),),
    "flip": (),
    "fliplr": (),
    "flipud": (),
    "rot90": (),
    "roll": (1,),
    "repeat": (2,),
    "tile": (2,),
    "take": ([0, 1],),
    "delete": (1,),
    "diagonal": (),
    "atleast_3d": (),
    "copy": (),
    "resize": ((4, 4),),
    "squeeze": (),
    "matrix_transpose": (),
}


@pytest.mark.parametrize("name", SHAPES)
def test_functions_that_move_elements_move_codes_and_values_alike(a, name):
    function, args = getattr(np, name), SHAPES[name]
    same(function(a, *args), function(a.values, *args))
    coded = fl.from_codes(a.codes, a.format)
    np.testing.assert_array_equal(function(coded, *args).codes, function(a.codes, *args))


def test_functions_that_join_and_split(a):
    x = a.values
    for name in ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"):
        same(getattr(np, name)([a, a]), getattr(np, name)([x, x]))
    same(np.concatenate([a, a], axis=1), np.concatenate([x, x], axis=1))
    for part, wanted in zip(np.split(a, 2), np.split(x, 2), strict=True):
        same(part, wanted)
    same(np.where(x > 0, a, 0.3), np.where(x > 0, x, np.float32(0.3125)))
    assert [p.tolist() for p in np.where(a)] == [p.tolist() for p in np.where(x)]
    same(np.broadcast_arrays(a, a[0])[1], np.broadcast_arrays(x, x[0])[1])


def test_functions_whose_result_is_no_number_of_the_format(a):
    x = a.values
    for name in (
        "argsort",
        "argmax",
        "argmin",
        "nonzero",
        "count_nonzero",
        "any",
        "all",
        "isneginf",
        "shape",
        "ndim",
        "size",
    ):
        found, wanted = getattr(np, name)(a), getattr(np, name)(x)
        np.testing.assert_array_equal(found, wanted)
        assert not isinstance(found, FloatArray)
    assert np.allclose(a, x) and np.array_equal(a, a) and np.isclose(a, 1.0)[0, 0]
    assert np.isnan(a).dtype == bool and a.argmax() == x.argmax()
    assert np.histogram(a, 3)[0].sum() == 6
    assert np.isin(a, [1.0, 7.0]).sum() == 2


def test_functions_that_choose_and_compute(a):
    x = a.values
    same(np.sort(a), np.sort(x))
    same(np.unique(a), np.unique(x))
    assert np.unique(a, return_counts=True)[1].sum() == 6
    same(np.max(a), np.max(x))
    same(a.min(axis=0), x.min(axis=0))
    same(np.clip(a, 0, 3), np.clip(x, 0, 3))
    same(a.clip(max=1.0), np.minimum(x, 1))
    same(np.ptp(a, axis=1), quantize(np.ptp(x, axis=1), "e4m3"))
    same(np.diff(a), quantize(np.diff(x), "e4m3"))
    same(np.outer(a[0], a[1]), quantize(np.outer(x[0], x[1]), "e4m3"))
    same(np.zeros_like(a), np.zeros((2, 3)))
    same(np.full_like(a, 0.1), np.full((2, 3), 0.1015625))
    same(np.ones_like(a, shape=(2,)), [1, 1])
    same(np.trace(a), quantize(np.trace(x), "e4m3"))
    same(np.nan_to_num(fl.array([np.nan, np.inf], "e5m2")), [0, 57344], "e5m2")
    target = fl.array(np.zeros((2, 3)), "e4m3")
    np.copyto(target, a)
    same(target, x)
    plain = np.zeros((2, 3))
    np.copyto(plain, a)
    np.testing.assert_array_equal(plain, x)


def test_every_registered_function_is_one_of_numpy():
    assert all(isinstance(ufunc, np.ufunc) for ufunc in UFUNCS)
    assert len(FUNCTIONS) > 80 and all(callable(stand_in) for stand_in in FUNCTIONS.values())


def test_empty_and_zero_dimensional_arrays_compute():
    empty, point = fl.array(np.zeros((0, 2)), "fp16"), fl.array(1.5, "fp16")
    assert (empty + 1).shape == (0, 2) and np.exp(empty).shape == (0, 2)
    assert np.sum(empty).item() == 0 and np.sum(empty, axis=0).tolist() == [0.0, 0.0]
    assert (point + point).item() == 3 and (point * empty).shape == (0, 2)
    assert np.sqrt(point).shape == () and point[()].item() == 1.5
    with pytest.raises(TypeError):
        len(point)
    with pytest.raises(TypeError):
        iter(point).__next__()


def test_the_1_of_a_reciprocal_is_neither_rounded_nor_flushed():
    without = fl.FloatFormat("no one", 4, 3, -5)  # its smallest value is 8
    assert fl.reciprocal(fl.array([8.0], without)).tolist() == [0.0]
    assert fl.reciprocal(fl.array([8.0], without), rounding="toward_positive").tolist() == [8.0]
    above = fl.FloatFormat("normal from 2", 2, 1, 0)
    assert fl.reciprocal([0.0], above, flush_inputs=True).tolist() == [np.inf]
    assert fl.reciprocal([2.0, 1.0], above, flush_inputs=True).tolist() == [
        0.0,
        np.inf,
    ]  # 1/2: a tie with 0 and 1
    assert fl.reciprocal(fl.array([4.0, 0.5], "fp16")).tolist() == [0.25, 2.0]
