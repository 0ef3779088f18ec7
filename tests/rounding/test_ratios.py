"""Fractions rounded on Python integers, against the scalar oracle."""

import itertools
import math
import struct
from fractions import Fraction

import pytest
from support import DETERMINISTIC, ODD, STOCHASTIC, policies_of

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import make_rule
from floatlab.rounding.ratios import round_ratio

FLAGS = ("invalid", "overflow", "underflow", "inexact")

# At the ends of float64, beyond 51 bits, below 1, and precisions of 1 bit, whose ties are decided by codes.
EXTREME = (
    FloatFormat("e11m50b1025", 11, 50, 1024, "ieee"),
    FloatFormat("e5m2b1073", 5, 2, 1073),
    FloatFormat("e11m51", 11, 51),
    FloatFormat("e4m3b20", 4, 3, 20),
    FloatFormat("e3m4b-900", 3, 4, -900),
    FloatFormat("e8m0p3109", 8, 0, None, "p3109_finite"),
    get_format("float64"),
    get_format("e8m0"),
)


def around(fmt: FloatFormat, bits: int) -> list[Fraction]:
    """Return numbers on marks, midpoints and quarter points at the ends and in the middle, and just beside them."""
    found = []
    for exponent in (
        fmt.emin - fmt.mantissa_bits,
        fmt.emin,
        (fmt.emin + fmt.emax) // 2,
        fmt.emax,
        fmt.emax + 1,
    ):
        unit = Fraction(2) ** (max(exponent, fmt.emin) - fmt.mantissa_bits)
        base = Fraction(2) ** exponent
        for count, part in itertools.product((-1, 0, 1, 2), (0, 1, 2, 3)):
            x = base + unit * (count + Fraction(part, 4))
            found += [x, x + unit / 2 ** (bits + 70), x - unit / (3 * 2 ** (bits + 9))]
    return [x for x in found if x > 0]


def check(fmt: FloatFormat, rounding: str) -> None:
    bits = 3 if rounding in STOCHASTIC else 0
    ways = list(itertools.product(policies_of(fmt), ("gradual", "flush")))
    for k, x in enumerate(around(fmt, bits)):
        x, integer = (-x if k % 5 < 2 else x), k % 8 if bits else 0
        for overflow, subnormals in ways[k % 2 :: 2]:
            rule = make_rule(fmt, rounding, overflow, subnormals, False)
            got = round_ratio(x.numerator, x.denominator, rule, integer, bits)
            wanted = reference.round(
                x, fmt, rounding, overflow, subnormals, random_integer=integer, random_bits=bits
            )
            label = (fmt, rounding, overflow, subnormals, x, got, wanted)
            value = reference.to_float(wanted.value)
            assert struct.pack("d", abs(got.value)) == struct.pack("d", abs(value)), label
            assert math.isnan(value) or math.copysign(1.0, got.value) == math.copysign(1.0, value), label
            assert {flag for flag in FLAGS if getattr(got, flag)} == set(wanted.flags), label


@pytest.mark.parametrize("fmt", EXTREME, ids=str)
@pytest.mark.parametrize("rounding", [*DETERMINISTIC, *STOCHASTIC])
def test_fractions_round_at_the_ends_of_float64_and_beyond_its_precision(fmt, rounding):
    check(fmt, rounding)


def test_fractions_round_to_formats_that_nobody_ships():
    for fmt, rounding in zip(ODD, itertools.cycle([*DETERMINISTIC, "stochastic_b"]), strict=False):
        check(fmt, rounding)


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize("fmt", ["float64", "e11m51", "e8m52", "e8m51"])
def test_integers_of_any_length_round_to_the_widest_formats(fmt, rounding):
    fmt = get_format(fmt)
    rule = make_rule(fmt, rounding, None, "gradual", False)
    heads = [2**53 - 1, 2**53, 2**53 + 1, 2**52 + 1, 3 * 2**51 + 2, 5, 0]
    tails = [0, 1, 2**9 - 1, 2**9, 2**9 + 1, 2**10 - 1]
    integers = [sign * ((h << 10) + t) for h in heads for t in tails for sign in (1, -1) if h or t]
    for exponent, n in itertools.product((-10, 0, -1084, -1090, -1110, -1150, 950, 961, 61), integers):
        x = Fraction(n) * Fraction(2) ** exponent
        got = round_ratio(x.numerator, x.denominator, rule)
        assert got.value == reference.to_float(reference.round(x, fmt, rounding).value), (n, exponent)


def test_a_third_is_rounded_from_its_endless_expansion():
    rule = make_rule(get_format("float64"), "nearest_even", None, "gradual", False)
    assert round_ratio(1, 3, rule).value == 1 / 3
    assert round_ratio(2**2000, 3 * 2**2000, rule).value == 1 / 3
    assert round_ratio(1, 3 * 2**1100, rule).value == 0.0
    assert round_ratio(2**1100, 3, rule) == (math.inf, False, True, False, True)
