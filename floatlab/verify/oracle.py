"""What should come out? Tables and points made by `floatlab.reference`, which shares no code with what is checked.

Three things are built here, all from the scalar oracle alone:

- the value of every code;
- the *critical points* of a format: the float64 numbers on which a wrong rounding shows;
- the *steps* of a rounding: on the float32 numbers of one sign, in ascending order, the rounded code is constant
  but for a few jumps. The oracle finds every jump by bisection, and then the expected codes of all 2^32
  float32 numbers can be written down without rounding any of them.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.errors import FormatError
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.reference import Special
from floatlab.verify.tasks import Array

__all__ = [
    "CUSTOM",
    "DETERMINISTIC",
    "STOCHASTIC",
    "Steps",
    "all_formats",
    "code_values",
    "critical_points",
    "find",
    "find_steps",
    "float_bits",
    "magnitudes",
    "p3109",
    "policies",
    "random_format",
    "random_points",
]


DETERMINISTIC = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
)
STOCHASTIC = ("stochastic", "stochastic_b", "stochastic_c")

INFINITY_PATTERN = 0x7F800000  # of float32; every pattern above it, up to 0x7FFFFFFF, is a NaN

# Descriptions that nobody ships, each with a corner of its own.
CUSTOM = (
    FloatFormat("e5m6", 5, 6),
    FloatFormat("e2m5finite", 2, 5, specials="finite"),  # hardly any normal numbers
    FloatFormat("e8m3b120", 8, 3, 120),  # reaches beyond float32, so that its values are float64
    FloatFormat("e4m3b-5", 4, 3, -5),  # the smallest subnormal is 8
    FloatFormat("e1m4fn", 1, 4, specials="fn"),  # one binade of normal numbers
    FloatFormat("e2m1ieee", 2, 1),  # the smallest IEEE-style format
    FloatFormat("e9m4", 9, 4),  # more exponent bits than float32
    FloatFormat("e10m1fnuz", 10, 1, specials="fnuz"),
    FloatFormat("e3m0finite", 3, 0, specials="finite"),  # precision 1: zero and powers of two
    FloatFormat("e5m0fn", 5, 0, specials="fn"),
    FloatFormat("e4m4fn_unsigned", 4, 4, specials="fn", signed=False),
    FloatFormat("e4m4_unsigned", 4, 4, signed=False),
    FloatFormat("e4m0scale", 4, 0, specials="scale", signed=False),
)
CUSTOM_LONG = (
    FloatFormat("e6m9", 6, 9),
    FloatFormat("e8m7fn", 8, 7, specials="fn"),
    get_format("binary12p5se"),
    get_format("binary16p11sf"),
    get_format("binary16p8ue"),
)


def p3109(k: int) -> list[FloatFormat]:
    """Return every P3109 format of k bits whose values are all float64 numbers."""
    return [
        get_format(f"binary{k}p{p}{sign}{domain}")
        for sign in "su"
        for domain in "ef"
        for p in range(1, k + (sign == "u"))
        if k - p + (sign == "u") <= 10
    ]


def policies(fmt: FloatFormat) -> list[str | None]:
    """Return the overflow policies that a format can carry out."""
    found: list[str | None] = [None, "saturate"]
    if fmt.specials in ("ieee", "p3109_extended"):
        found.append("infinity")
    if fmt.specials != "finite":
        found.append("nan")
    return found


def all_formats(full: bool) -> list[FloatFormat]:
    """Return the formats of the proof: the catalogue, P3109, and descriptions that nobody ships."""
    if full:
        small = [fmt for k in range(3, 9) for fmt in p3109(k)]
    else:
        small = [
            get_format(f"binary{name}") for name in ("8p3se", "8p4sf", "8p1ue", "6p3ue", "4p2sf", "4p1se")
        ]
    return [*formats(), *small, *CUSTOM, *CUSTOM_LONG]


@lru_cache(maxsize=1)
def _by_name() -> dict[str, FloatFormat]:
    return {fmt.name: fmt for fmt in all_formats(full=True)}


def find(name: str) -> FloatFormat:
    """Return a format of the proof by its name."""
    return _by_name().get(name) or get_format(name)


# -- values and points -----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def code_values(fmt: FloatFormat) -> Array:
    """Return the value of every code as float64; a NaN has the sign of its code where that means anything."""
    return np.array([reference.to_float(reference.decode(code, fmt)) for code in range(1 << fmt.bits)])


@lru_cache(maxsize=64)
def magnitudes(fmt: FloatFormat) -> Array:
    """Return the finite values without a sign, in the order of their codes, as float64."""
    values = []
    for code in range(1 << fmt.exponent_bits + fmt.mantissa_bits):
        value = reference.decode(code, fmt)
        if isinstance(value, Special):
            break
        values.append(reference.to_float(value))
    return np.array(values)


@lru_cache(maxsize=16)
def critical_points(fmt: FloatFormat) -> Array:
    """Return every value, every midpoint, what lies one float64 to each side of them, the ends, and the specials.

    Both signs; the NaNs (of both signs, at the end) only where the format has one.
    """
    table = magnitudes(fmt)
    gap = float(table[-1]) - float(table[-2]) if len(table) > 1 else float(table[-1])
    if fmt.mantissa_bits == 0:  # the next mark is in the next binade
        gap = float(table[-1])
    marks = np.append(table, table[-1] + gap)
    lower, gaps = marks[:-1], np.diff(marks)
    middle = lower + gaps / 2
    points = [marks, np.nextafter(marks, np.inf), np.nextafter(marks, 0)]
    points += [middle, np.nextafter(middle, np.inf), np.nextafter(middle, 0)]
    points += [lower + gaps / 4, lower + gaps * 3 / 4]
    smallest = float(marks[marks > 0][0])
    largest = float(table[-1])
    # Numbers of every magnitude beyond the ends: what is far away is rounded by other constants than what is near.
    exponents = np.arange(-1074, 1024)
    binades = np.ldexp(1.0, exponents)
    far = (binades > largest) | (binades < smallest)
    near = (np.abs(exponents - np.log2(largest)) < 40) | (np.abs(exponents - np.log2(smallest)) < 40)
    binades = binades[far & (near | (exponents % 16 == 3))]
    points += [
        binades,
        binades * 1.375,
        np.array([2 * largest, 4 * largest, 1e300, np.finfo(np.float64).max]),
    ]
    points.append(np.array([smallest / 2, smallest / 4, smallest / 1024, 1e-300, 5e-324, 0.0, np.inf]))
    points.append(np.array([smallest / 2 * (1 + 2.0**-52), smallest / 2 * (1 - 2.0**-53)]))
    magnitude = np.unique(np.concatenate(points))
    signed = np.concatenate([magnitude, -magnitude])
    nans = [] if fmt.specials == "finite" else [np.nan, -np.nan]
    return np.append(signed, nans)


def float_bits(values: Array, fmt: FloatFormat) -> Array:
    """Return the bits of float values, with one pattern for every NaN of a sign (one for all if it has none)."""
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    bits = values.view(unsigned)
    nan = np.isnan(values)
    if nan.any():
        quiet = unsigned.type(0x7FC00000 if unsigned.itemsize == 4 else 0x7FF8 << 48)
        sign = unsigned.type((fmt.signed and fmt.specials in ("ieee", "fn")) << 8 * unsigned.itemsize - 1)
        bits = np.where(nan, quiet | bits & sign, bits)
    return bits


# -- formats that nobody thought of ----------------------------------------------------------------------

SPECIALS = ("ieee", "fn", "fnuz", "finite", "p3109_extended", "p3109_finite", "scale")


def random_format(rng: np.random.Generator) -> FloatFormat:
    """Draw a description that `FloatFormat` accepts: any widths, specials and sign, and a bias anywhere.

    Half of the biases put an end of the format where something else ends: float64, float32, its normal numbers, or 1.
    """
    while True:
        specials = str(rng.choice(SPECIALS))
        signed = specials == "fnuz" or (specials != "scale" and bool(rng.random() < 0.8))
        e = int(rng.integers(1, 12) if rng.random() < 0.5 else rng.integers(2, 6))
        m = 0 if specials == "scale" else int(rng.integers(0, (53, 24, 8, 5)[rng.integers(4)]))
        # The exponent field of the largest value is `field` or one less; of the smallest, 1 (0 without a zero).
        field, near = (1 << e) - 1, int(rng.integers(-3, 4))
        targets = {
            "largest of float64": field - 1023,
            "smallest of float64": 1075 - m,
            "largest of float32": field - 127,
            "smallest of float32": 150 - m,
            "smallest normal of float32": 127,
            "largest just below 1": field,
            "smallest just below 1": 1 - m,
            "usual": field // 2,
        }
        anywhere = rng.random() < 0.4
        bias = (
            int(rng.integers(min(field - 1030, 1079 - m), 1080 - m))
            if anywhere
            else int(rng.choice([*targets.values()])) + near
        )
        name = f"e{e}m{m}b{bias}_{specials}{'' if signed else '_unsigned'}"
        try:
            return FloatFormat(name, e, m, bias, specials, signed)
        except FormatError:
            continue  # its values would not all be float64 numbers, or there would be none above zero


def random_points(fmt: FloatFormat, rng: np.random.Generator, count: int) -> Array:
    """Return at most `count` critical points of a format of any size, in random order, then the specials."""
    # Numbers come first among the magnitude codes, then infinity and NaNs.
    every = range(1 << fmt.exponent_bits + fmt.mantissa_bits)
    top = bisect_left(every, True, key=lambda code: isinstance(reference.decode(code, fmt), Special)) - 1
    normal = 1 << fmt.mantissa_bits
    chosen = {0, 1, 2, top - 2, top - 1, top, normal - 1, normal, normal + 1}
    chosen |= {int(code) for code in rng.integers(0, top, 12, endpoint=True)}
    codes = [code for code in sorted(chosen) if 0 <= code <= top]
    here = [_magnitude(code, fmt) for code in codes]
    upper = [_magnitude(code + 1, fmt) for code in codes if code < top]
    # Beyond the largest value the ruler goes on as before: one field more, and the same fraction.
    upper.append(here[-1] + _gap(here[-1], fmt))
    exact = [
        v + (w - v) * part for v, w in zip(here, upper, strict=True) for part in (0, 1 / 4, 1 / 2, 3 / 4, 1)
    ]
    smallest = min(v for v in here if v)
    exact += [here[-1] * 2**k for k in (1, 2, 3, int(rng.integers(4, 30)), int(rng.integers(4, 2000)))]
    exact += [smallest / 2**k for k in (1, 2, 3, int(rng.integers(4, 30)), int(rng.integers(4, 2000)))]
    largest = int(np.finfo(np.float64).max)
    points = np.array([float(x) for x in exact if x <= largest and float(x) == x])
    with np.errstate(over="ignore"):
        around = np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, np.inf)])
        around = np.concatenate([around, np.nextafter(points.astype(np.float32), np.float32(np.inf))])
    points = rng.choice(around, count - 10, replace=False) if len(around) > count - 10 else around
    nans = [] if fmt.specials == "finite" else [np.nan, -np.nan]
    ends = [0.0, -0.0, np.inf, -np.inf, 5e-324, -np.finfo(np.float64).max, *nans]
    return np.concatenate([np.where(rng.random(len(points)) < 0.5, points, -points), ends])


def _gap(value: Fraction, fmt: FloatFormat) -> Fraction:
    """Return the distance from a value to the next larger one."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    e -= value < Fraction(2) ** e
    zero = fmt.specials != "scale"
    return Fraction(2) ** (max(e, zero - (fmt.bias or 0)) - fmt.mantissa_bits)


def _magnitude(code: int, fmt: FloatFormat) -> Fraction:
    value = reference.decode(code, fmt)
    assert isinstance(value, Fraction)
    return value


# -- the steps of a rounding over the float32 numbers ----------------------------------------------------


class Steps:
    """The codes of the float32 numbers of one sign: `codes[i]` from pattern `starts[i]` up to `starts[i + 1]`.

    A pattern is the 31 bits of a magnitude, read as an integer; the order of the patterns is that of the numbers.
    """

    def __init__(self, starts: list[int], codes: list[int]) -> None:
        self.starts = np.array(starts, np.int64)
        self.codes = np.array(codes, np.int64)

    def expected(self, first: int, step: int, count: int) -> Array:
        """Return the codes of the patterns first, first + step, ... (count of them)."""
        # How many of these patterns lie below the start of each stretch; the differences are the runs' lengths.
        below = np.clip(-((first - self.starts) // step), 0, count)
        lengths = np.diff(np.append(below, count))
        lengths[0] += below[0]
        return np.repeat(self.codes, lengths)


def _pattern_value(pattern: int, minus: bool) -> Any:
    word = np.array(pattern | (1 << 31 if minus else 0), np.uint32)
    return float(word.view(np.float32))


def find_steps(
    fmt: FloatFormat, rounding: str, minus: bool, random_integer: int = 0, random_bits: int = 0
) -> Steps:
    """Return the steps of a rounding on the float32 numbers of one sign, found by asking the scalar oracle.

    The oracle is asked on both sides of every value and midpoint, where the jumps of all modes but the stochastic
    ones are; between two numbers that round differently it is asked on until the jump is found.
    """

    def code_of(pattern: int) -> int:
        number = _pattern_value(pattern, minus)
        return reference.round(
            number, fmt, rounding, random_integer=random_integer, random_bits=random_bits
        ).code

    has_nan = fmt.specials != "finite"
    last = 0x7FFFFFFF if has_nan else INFINITY_PATTERN
    table = magnitudes(fmt)
    points = np.concatenate([table, table[:-1] + np.diff(table) / 2])
    points = points[points <= np.finfo(np.float32).max]
    near = np.unique(points.astype(np.float32)).view(np.uint32).astype(np.int64)
    asked = np.unique(np.concatenate([near - 1, near, near + 1]))
    ends = np.array([0, 1, INFINITY_PATTERN - 1, INFINITY_PATTERN, INFINITY_PATTERN + 1, last])
    asked = np.unique(np.concatenate([asked, ends]))
    asked = asked[(asked >= 0) & (asked <= last)]
    starts, codes = [0], [code_of(0)]
    for left, right in zip(asked[:-1].tolist(), asked[1:].tolist(), strict=True):
        code = code_of(right)
        while (
            code != codes[-1]
        ):  # a jump in (left, right]; more than one where the float32 numbers are sparse
            low, high, before = left, right, codes[-1]
            while high - low > 1:
                middle = (low + high) // 2
                if code_of(middle) == before:
                    low = middle
                else:
                    high = middle
            starts.append(high)
            codes.append(code_of(high))
            left = high
    return Steps(starts, codes)
