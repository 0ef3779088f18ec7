"""FloatArrays taken apart, put together and made: what moves keeps its code."""

from fractions import Fraction

import numpy as np
import pytest
from support import bits64

import floatlab as fl
from floatlab import reference
from floatlab.array.core import FloatArray
from floatlab.errors import (
    DtypeError,
    FloatlabError,
    FormatError,
    FormatMismatchError,
    OptionError,
    ShapeError,
)
from floatlab.formats import get_format

PAYLOADS = np.array(
    [[0x7D, 0xFE, 0x7C], [0x3C, 0x80, 0x00]], np.uint8
)  # NaNs of all kinds, infinity, 1, -0, 0


@pytest.fixture
def coded():
    return fl.from_codes(PAYLOADS, "e5m2")


MOVING = {
    "append": lambda f, x: f(x, x),
    "append along an axis": lambda f, x: f(x, x, 1),
    "insert": lambda f, x: f(x, 1, x[0], 0),
    "block": lambda f, x: f([[x, x], [x, x]]),
    "tril": lambda f, x: f(x),
    "triu": lambda f, x: f(x, 1),
    "diagflat": lambda f, x: f(x, -1),
    "pad": lambda f, x: f(x, 1),
    "pad by the edge": lambda f, x: f(x, ((1, 0), (0, 2)), "edge"),
    "pad by reflection": lambda f, x: f(x, 1, mode="reflect"),
    "pad by wrapping": lambda f, x: f(x, 2, mode="wrap"),
    "choose": lambda f, x: f([0, 1, 0], [x[0], x[1]]),
    "meshgrid": lambda f, x: f(x[0], x[1])[0],
    "unstack": lambda f, x: f(x, axis=1)[2],
    "select": lambda f, x: f([np.array([True, False, True])], [x[0]], x[1]),
}


@pytest.mark.parametrize("case", MOVING)
def test_what_moves_keeps_its_code(coded, case):
    function = getattr(np, case.split()[0])
    found = MOVING[case](function, coded)
    assert isinstance(found, FloatArray) and found.format == coded.format
    np.testing.assert_array_equal(found.codes, MOVING[case](function, PAYLOADS))
    plain = fl.array(np.arange(1.0, 7).reshape(2, 3), "fp16")  # which holds values
    np.testing.assert_array_equal(MOVING[case](function, plain).values, MOVING[case](function, plain.values))


def test_numbers_beside_arrays_are_rounded_once_to_the_format(coded):
    x = fl.array([1.0, 2.0], "e4m3")
    assert np.append(x, 0.1).tolist() == [1.0, 2.0, 0.1015625]
    assert np.insert(x, 0, 300).tolist() == [288.0, 1.0, 2.0] and np.insert(coded[1], 0, 1.1).codes[0] == 0x3C
    assert np.block([x, 0.1]).tolist() == [1.0, 2.0, 0.1015625]
    assert np.pad(x, 1, constant_values=(0.1, 7)).tolist() == [0.1015625, 1.0, 2.0, 7.0]
    assert np.pad(x, (1, 0), constant_values=fl.array(3.0, "e4m3")).tolist() == [3.0, 1.0, 2.0]
    with pytest.raises(FormatMismatchError, match="append"):
        np.append(x, coded)
    with pytest.raises(DtypeError, match="Round it first"):
        np.append(x, np.ones(2))


def test_zeros_are_refused_where_there_are_none():
    scales = fl.array([[1.0, 2.0], [4.0, 8.0]], "float8_e8m0fnu")
    for attempt in (
        lambda: np.tril(scales),
        lambda: np.triu(scales),
        lambda: np.diagflat(scales),
        lambda: np.pad(scales, 1),
        lambda: np.pad(scales, 1, mode="empty"),
        lambda: np.select([[True, False]], [scales]),
        lambda: np.imag(scales),
    ):
        with pytest.raises(FormatError, match="no zero"):
            attempt()
    assert np.pad(scales[0], 1, constant_values=0.5).tolist() == [0.5, 1.0, 2.0, 0.5]
    assert np.pad(scales[0], 1, mode="edge").tolist() == [1.0, 1.0, 2.0, 2.0]


def test_padding_that_would_compute_is_refused_by_name():
    x = fl.array([1.0, 2.0, 3.0], "fp16")
    for mode, options in (("mean", {}), ("linear_ramp", {}), ("reflect", {"reflect_type": "odd"}), (len, {})):
        with pytest.raises(OptionError, match=r"numpy\.pad"):
            np.pad(x, 1, mode, **options)
    assert np.pad(x, 1, "maximum").tolist() == [3.0, 1.0, 2.0, 3.0, 3.0]
    assert np.pad(array=x, pad_width=(0, 1), mode="minimum").tolist() == [1.0, 2.0, 3.0, 1.0]


def test_writing_into_an_array_rounds_and_keeps_codes(coded):
    x = fl.array(np.zeros(4), "e4m3")
    np.put(x, [0, 2], [0.1, 300.0])
    np.place(x, np.array([False, True, False, False]), fl.array([7.0], "e4m3"))
    np.putmask(x, x == 0, 1.1)
    assert x.tolist() == [0.1015625, 7.0, 288.0, 1.125]
    target = fl.from_codes(np.zeros((2, 3), np.uint8), "e5m2")
    np.put_along_axis(target, np.array([[0, 1, 2], [2, 1, 0]]), coded, 1)
    np.testing.assert_array_equal(target.codes, np.stack([PAYLOADS[0], PAYLOADS[1][::-1]]))
    np.fill_diagonal(target, fl.from_codes([0x7F], "e5m2")[0])
    assert target.codes[0, 0] == target.codes[1, 1] == 0x7F
    plain = np.zeros(3)
    np.put(plain, [0, 1], fl.array([1.5, 2.5], "fp16"))
    assert plain.tolist() == [1.5, 2.5, 0.0]
    with pytest.raises(FormatMismatchError):
        np.put(x, [0], coded[0, :1])
    with pytest.raises(DtypeError, match="places"):
        np.put(x, x, 1.0)


def test_sets_are_those_of_the_values():
    a, b = fl.array([3.0, 1.0, 3.0, 2.0], "e4m3"), fl.array([2.0, 4.0, 3.0], "e4m3")
    assert np.union1d(a, b).tolist() == [1.0, 2.0, 3.0, 4.0] and np.setxor1d(a, b).tolist() == [1.0, 4.0]
    assert np.setdiff1d(a, b).tolist() == [1.0]
    common, left, right = np.intersect1d(a, b, return_indices=True)
    assert common.tolist() == [2.0, 3.0] and left.tolist() == [3, 0] and right.tolist() == [0, 2]
    assert np.unique_values(a).tolist() == [1.0, 2.0, 3.0]
    assert np.unique_counts(a).counts.tolist() == [1, 1, 2]
    assert isinstance(np.unique_all(a).values, FloatArray) and np.unique_inverse(a).inverse_indices.size == 4


@pytest.mark.parametrize("name", ("e4m3", "fp16", "fp32", "fp64", "float8_e4m3fnuz"))
def test_numbers_at_equal_distances_are_exact_and_rounded_once(name):
    fmt = get_format(name)
    for start, stop, num, endpoint in (
        (0.0, 1.0, 11, True),
        (-3.0, 7.5, 20, False),
        (1.5, 1.5, 3, True),
        (2.0, -2.0, 7, True),
    ):
        a, b = fl.array(start, fmt), fl.array(stop, fmt)
        for rounding in ("nearest_even", "toward_zero", "toward_positive"):
            with fl.arithmetic(rounding=rounding):
                found = np.linspace(a, b, num, endpoint)
            parts = num - 1 if endpoint else num
            exact = [
                Fraction(start) + (Fraction(stop) - Fraction(start)) * Fraction(i, parts) for i in range(num)
            ]
            codes = [reference.round(x, fmt, rounding=rounding).code for x in exact]
            np.testing.assert_array_equal(found.codes, codes)


def test_numbers_at_equal_distances_take_all_that_numpy_takes():
    assert np.linspace(fl.array(0.0, "fp16"), 1, 3).tolist() == [0.0, 0.5, 1.0]
    made, step = np.linspace(fl.array(0.0, "fp16"), 1, 3, retstep=True)
    assert step.item() == 0.5 and made.shape == (3,)
    grid = np.linspace(fl.array([0.0, 1.0], "fp16"), fl.array([1.0, 3.0], "fp16"), 3, axis=1)
    assert grid.tolist() == [[0.0, 0.5, 1.0], [1.0, 2.0, 3.0]]
    assert fl.linspace(0.1, 0.2, 2, "fp32").dtype == np.float32
    assert fl.linspace(0.0, 1.0, 0, "fp16").shape == (0,) and fl.linspace(5.0, 1.0, 1, "fp16").tolist() == [
        5.0
    ]
    assert fl.linspace(-1.7e308, 1.7e308, 3, "fp64").tolist() == [
        -1.7e308,
        0.0,
        1.7e308,
    ]  # no overflow on the way
    for bad in (-1, 2.5, None):
        with pytest.raises(OptionError, match="num"):
            fl.linspace(0, 1, bad, "fp16")
    with pytest.raises(DtypeError, match="dtype"):
        np.linspace(fl.array(0.0, "fp16"), 1, dtype=float)
    with pytest.raises(FloatlabError, match="format"):
        fl.linspace(0, 1, 5)


def test_differences_and_running_results():
    x = fl.array([1.0, 3.0, 10.0], "e4m3")
    assert np.ediff1d(x, to_begin=0.1, to_end=fl.array([5.0, 6.0], "e4m3")).tolist() == [
        0.1015625,
        2.0,
        7.0,
        5.0,
        6.0,
    ]
    if hasattr(np, "cumulative_sum"):
        assert np.cumulative_sum(x).tolist() == [1.0, 4.0, 14.0]
        assert np.cumulative_sum(x, include_initial=True).tolist() == [0.0, 1.0, 4.0, 14.0]
        assert np.cumulative_prod(x, axis=0, include_initial=True).tolist() == [1.0, 1.0, 3.0, 30.0]
        with pytest.raises(ShapeError, match="axis"):
            np.cumulative_sum(x.reshape(1, 3))


def test_trimming_and_questions_about_memory(coded):
    x = fl.array([0.0, -0.0, 1.0, 0.0, 2.0, 0.0], "fp16")
    assert np.trim_zeros(x).tolist() == [1.0, 0.0, 2.0] and np.trim_zeros(x, "b").size == 5
    assert np.trim_zeros(x[:2]).size == 0
    assert np.shares_memory(x, x[1:]) and not np.may_share_memory(x, x.copy())
    assert [i.tolist() for i in np.tril_indices_from(coded[:, :2])] == [[0, 1, 1], [0, 0, 1]]
    assert np.astype(x, "bf16").format.name == "bfloat16" and np.astype(x, "fp16", copy=False) is x
    assert np.real_if_close(x) is x and bits64(np.imag(x).values).tolist() == [0] * 6


@pytest.mark.parametrize(
    "join",
    [
        np.append,
        lambda a, b: np.insert(a, 1, b),
        lambda a, b: np.block([a, b]),
        lambda a, b: np.select([np.array([True, False])], [np.concatenate([a, a])], b),
        lambda a, b: np.concatenate([a, b]),
    ],
)
def test_an_array_of_the_formats_own_type_keeps_the_codes_of_its_nans(join):
    a = fl.from_codes([0x7E01], "fp16")
    b = np.array([0x7E02], np.uint16).view(np.float16)
    assert join(a, b).codes.tolist() == [0x7E01, 0x7E02]
