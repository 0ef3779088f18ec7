"""A number in words means what it says: held to Python's fractions, and refused where it says nothing."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction

import pytest

import floatlab as fl
from floatlab.errors import DtypeError
from floatlab.rounding.texts import FAR, number_of, scaled


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.1", Fraction(1, 10)),
        ("65519.999999999999999", 65520 - Fraction(1, 10**15)),
        ("1/3", Fraction(1, 3)),
        ("-1/3", Fraction(-1, 3)),
        ("1/2/4", Fraction(1, 8)),
        ("2**-24", Fraction(1, 2**24)),
        ("2^-24", Fraction(1, 2**24)),
        ("3 * 2^-24", Fraction(3, 2**24)),
        ("1/2^3", Fraction(1, 8)),
        ("-2^2", Fraction(-4)),  # the minus sign counts last, as in Python
        ("1.5e-3^2", Fraction(9, 4 * 10**6)),
        ("0x1.fp3", Fraction(31, 2)),
        ("-0x.8", Fraction(-1, 2)),
        ("0xffp-4", Fraction(255, 16)),
        ("0X1P-2", Fraction(1, 4)),
        ("−5", Fraction(-5)),  # the minus sign of printed text
        (b"+2.5", Fraction(5, 2)),
        ("1^99999999999", Fraction(1)),
        ("0^0", Fraction(1)),
        ("1e3000^0", Fraction(1)),
    ],
)
def test_a_text_is_taken_exactly(text, wanted):
    assert number_of(text) == wanted


def test_zeros_infinities_and_nan_are_floats_with_their_sign():
    for text, wanted in (("-0", -0.0), ("0.00", 0.0), ("-0x0p9", -0.0), ("-inf", -math.inf)):
        found = number_of(text)
        assert isinstance(found, float)
        assert (found, math.copysign(1, found)) == (wanted, math.copysign(1, wanted))
    assert math.isnan(number_of("NaN"))


@pytest.mark.parametrize("seed", range(3))
def test_any_product_of_numbers_is_that_of_fractions(seed):
    rnd = random.Random(seed)
    for _ in range(300):
        text, wanted = "", Fraction(1)
        for k in range(rnd.randint(1, 4)):
            digits = f"{rnd.randint(0, 10 ** rnd.randint(1, 30))}.{rnd.randint(0, 10 ** rnd.randint(1, 30))}"
            exponent = rnd.randint(-40, 40)
            number = Fraction(digits) * Fraction(10) ** exponent
            power = rnd.choice([1, 1, 2, -3])
            symbol = rnd.choice("*/") if k else ""
            if number == 0 and (symbol == "/" or power < 0):
                continue
            text += (
                rnd.choice(["", " "]) * bool(k)
                + symbol
                + f"{digits}e{exponent}"
                + (f"^{power}" if power != 1 else "")
            )
            wanted = wanted / number**power if symbol == "/" else wanted * number**power
        if text and text[0] not in " */":
            assert number_of(text) == wanted, text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "--1",
        "1//3",
        "0x",
        "0xp3",
        "1e",
        "1e5e3",
        "2^",
        "2^1.5",
        "2^3^2",
        "abc",
        "1 2",
        "1e3 000",
        "1,5",
        "1/",
        "*2",
    ],
)
def test_what_is_no_number_is_refused_with_what_would_be_one(text):
    with pytest.raises(DtypeError, match="A number in words is decimal"):
        number_of(text)


@pytest.mark.parametrize("text", ["1/0", "0^-1", "1/0.0", "5/0x0"])
def test_a_division_by_zero_is_refused(text):
    with pytest.raises(DtypeError, match="divided by another than 0"):
        number_of(text)


@pytest.mark.parametrize(
    "text", ["1e99999999999999", "2^999999999999", "1e5000", "0x1p99999999", "0.1^-99999999"]
)
def test_a_number_far_out_costs_nothing_and_rounds_as_it_does(text):
    for sign in ("", "-"):
        assert fl.quantize(sign + text, "fp64") == (-math.inf if sign else math.inf)
        assert (
            fl.quantize(sign + text, "fp64", rounding="toward_zero")
            == float(sign + "1") * fl.finfo("fp64").max
        )


@pytest.mark.parametrize(
    "text", ["1e-99999999999999", "2^-999999999999", "1e-5000", "0x1p-99999999", "0.1^99999999"]
)
def test_a_number_far_below_everything_rounds_as_it_does(text):
    tiny = fl.get_format("fp64").smallest_subnormal
    assert fl.quantize(text, "fp64", rounding="toward_positive") == tiny
    assert fl.quantize("-" + text, "fp64", rounding="toward_negative") == -tiny
    assert fl.quantize(text, "fp64") == 0


@pytest.mark.parametrize("text", ["1e-3000 * 1e2500", "1e3000/2", "2 * 1e-2500", "1e1900 * 1e1900 / 1e1900"])
def test_a_product_with_numbers_far_out_is_refused_rather_than_wrong(text):
    with pytest.raises(DtypeError, match=f"within 1e±{FAR}"):
        number_of(text)


def test_a_decimal_keeps_all_its_digits():
    number = Decimal(
        "1234567890123456789012345678901234567890.5"
    )  # more than decimal's context computes with
    assert scaled(number, 0) == Fraction(number)
    assert scaled(number, -3) == Fraction(number) / 1000


def test_words_are_rounded_once_by_all_that_rounds():
    assert fl.quantize("65519.999999999999999", "fp16") == 65504
    assert fl.quantize(["1/3", "2^-24", "0x1.8p-3"], "fp16").tolist() == [0.333251953125, 2**-24, 0.1875]
    assert fl.encode("2^-24", "fp16") == 1
    assert fl.array("1/3", "fp16").item() == 0.333251953125
