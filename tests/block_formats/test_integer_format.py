"""Integer formats: their ends, their names, and what is none."""

import pickle

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab.block_formats.integer_format import IntFormat, get_int_format
from floatlab.errors import FormatError, OptionError


@pytest.mark.parametrize(
    ("name", "low", "high", "dtype"),
    [
        ("int8", -128, 127, "int8"),
        ("uint8", 0, 255, "uint8"),
        ("int4", -8, 7, "int8"),
        ("uint4", 0, 15, "uint8"),
        ("int16", -32768, 32767, "int16"),
        ("uint16", 0, 65535, "uint16"),
        ("int9", -256, 255, "int16"),
        ("int17", -65536, 65535, "int32"),
        ("int32", -(2**31), 2**31 - 1, "int32"),
        ("uint32", 0, 2**32 - 1, "uint32"),
        ("int2", -2, 1, "int8"),
        ("uint1", 0, 1, "uint8"),
        ("int8_narrow", -127, 127, "int8"),
    ],
)
def test_a_format_has_the_ends_of_its_bits(name, low, high, dtype):
    fmt = get_int_format(name)
    assert (fmt.min, fmt.max, fmt.dtype) == (low, high, np.dtype(dtype))
    assert (fmt.step, fmt.lowest, fmt.largest) == (1.0, float(low), float(high))
    assert fmt.name == str(fmt) == name and get_int_format(fmt.name) == fmt
    assert repr(fmt) == f"IntFormat('{name}')"
    assert np.iinfo(fmt.dtype).min <= fmt.min and fmt.max <= np.iinfo(fmt.dtype).max


def test_the_sign_bit_is_one_of_those_before_the_point():
    q = get_int_format("q8.8")
    assert q == IntFormat(16, frac_bits=8) and q.name == "q8.8"
    assert (q.step, q.lowest, q.largest) == (2.0**-8, -128.0, 128 - 2.0**-8)
    q15 = get_int_format("q1.15")
    assert (q15.bits, q15.lowest, q15.largest) == (16, -1.0, 1 - 2.0**-15)
    unsigned = get_int_format("uq8.8")
    assert (unsigned.bits, unsigned.lowest, unsigned.largest) == (16, 0.0, 256 - 2.0**-8)
    assert get_int_format("q0.16").largest == 0.5 - 2.0**-16
    assert get_int_format("q16.0").step == 1.0 and get_int_format("q16.0") != get_int_format("int16")
    assert get_int_format("Q8.8_narrow ").lowest == -128 + 2.0**-8


def test_names_and_types_of_numpy_are_formats():
    assert get_int_format(np.int8) is not None
    assert get_int_format(np.dtype("uint16")).name == "uint16"
    assert get_int_format(np.dtype(ml_dtypes.int4)).name == "int4"
    fmt = IntFormat(4, False)
    assert get_int_format(fmt) is fmt
    assert IntFormat(np.int64(8)) == IntFormat(8) and hash(IntFormat()) == hash(IntFormat(8))
    assert pickle.loads(pickle.dumps(IntFormat(16, frac_bits=3))) == IntFormat(16, frac_bits=3)


@pytest.mark.parametrize(
    "name", ["int0", "int1", "int33", "uint0", "uint33", "q0.0", "q40.8", "uint8_narrow"]
)
def test_there_are_no_formats_beyond_32_bits(name):
    with pytest.raises(FormatError):
        get_int_format(name)


@pytest.mark.parametrize(
    ("wrong", "right"), [("int_8", "int8"), ("unt8", "uint8"), ("q8,8", "q8.8"), ("fp16", "IntFormat")]
)
def test_an_unknown_name_gets_the_nearest(wrong, right):
    with pytest.raises(FormatError, match="Got") as found:
        get_int_format(wrong)
    assert right in str(found.value)


@pytest.mark.parametrize("given", [None, 8, 8.0, ["int8"], np.float32, float, b"int8"])
def test_what_is_no_name_is_refused(given):
    with pytest.raises(FormatError, match="Got"):
        get_int_format(given)


def test_a_format_is_made_of_whole_numbers_and_switches():
    for bad in ({"bits": 8.0}, {"bits": True}, {"frac_bits": -1}, {"frac_bits": 9}, {"frac_bits": "4"}):
        with pytest.raises(FormatError, match="Got"):
            IntFormat(**bad)
    with pytest.raises(FormatError, match="narrow"):
        IntFormat(8, signed=False, narrow=True)
    with pytest.raises(OptionError, match="signed is True or False"):
        IntFormat(8, signed="no")
    with pytest.raises(AttributeError):
        IntFormat().bits = 4


def test_a_format_shows_its_values_in_a_notebook():
    assert "−128" in IntFormat(8)._repr_html_() and "127.99609375" in get_int_format("q8.8")._repr_html_()


def test_the_format_is_public():
    assert fl.IntFormat is IntFormat
