"""Which formats, numbers and arrays does nobody think of? Those that are drawn here.

A generator that a person writes has the person's habits: usual biases, round numbers, contiguous arrays. So a format is
drawn from all that `FloatFormat` accepts, and its bias often from where something must give: the ends of float32
and float64, a maximum below 1, subnormals above 1. Numbers are mostly those on which a wrong rounding shows: values,
midpoints, and their neighbours. Everything comes from one `random.Random`, so that a seed and the number of a batch
say what is drawn, whatever NumPy's version.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np

from floatlab import reference
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.formats.notation import SPECIALS
from floatlab.verify.oracle import DETERMINISTIC, STOCHASTIC, policies

__all__ = ["ALL_MODES", "any_code", "any_format", "any_layout", "any_number", "any_options", "narrowed"]

ALL_MODES = (*DETERMINISTIC, *STOCHASTIC)
DTYPES = ("f8", "f8", "f4", "f4", "f2")
LAYOUTS = ("plain", "plain", "strided", "reversed", "transposed", "byteswapped", "readonly", "list")
RANDOM_BITS = (1, 2, 5, 8, 11, 16, 23, 24, 31, 32, 33, 40, 48)

_EXTREMES = (0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 5e-324, -5e-324, 1.7e308, -1.7e308)
_LANDMARKS = (
    1.0,
    2.0,
    1e-40,
    1e-45,
    3.4028235677973366e38,
    65504.0,
    65520.0,
    2.0**53 + 2,
    2.0**24 + 1,
    448.0,
)


# -- formats ---------------------------------------------------------------------------------------------


def any_format(draw: Random, precision: int = 53) -> FloatFormat:
    """Return a format of at most `precision` bits: one with a name, or any that can be described."""
    while True:
        kind = draw.random()
        if kind < 0.25:
            fmt: FloatFormat | None = draw.choice(formats())
        elif kind < 0.32:
            fmt = _p3109(draw)
        else:
            fmt = _described(draw)
        if fmt is not None and fmt.precision <= precision:
            return fmt


def _p3109(draw: Random) -> FloatFormat | None:
    k, sign, domain = draw.randint(3, 16), draw.choice("su"), draw.choice("ef")
    p = draw.randint(max(1, k - 10 + (sign == "u")), k - (sign == "s"))
    return get_format(f"binary{k}p{p}{sign}{domain}")


def _described(draw: Random) -> FloatFormat | None:
    """Return a format with fields, specials, and a bias anywhere between the ends of float64; None: no such format."""
    specials = draw.choice(SPECIALS)
    e = draw.choice([draw.randint(1, 11), draw.randint(2, 6)])
    m = (
        0
        if specials == "scale"
        else draw.choice([draw.randint(0, 52), draw.randint(0, 11), draw.randint(0, 4)])
    )
    signed = specials == "fnuz" or (specials != "scale" and draw.random() < 0.85)
    if specials == "ieee":
        e, m = max(e, 2), max(m, 1)
    top = (1 << e) - (2 if specials == "ieee" or m == 0 else 1)  # the largest exponent field, nearly
    usual = (1 << e - 1) - 1
    # emin - m >= -1074 and emax <= 1023, with emin = 1 - bias and emax = top - bias
    least, most = top - 1023, 1075 - m
    if least > most:
        return None
    where = draw.random()
    if where < 0.3:
        bias = usual + draw.choice([0, 0, 1])
    elif where < 0.5:
        bias = draw.randint(least, most)
    elif where < 0.6:
        bias = draw.choice([least, most, least + draw.randint(0, 3), most - draw.randint(0, 3)])
    else:  # where float32 ends, above or below, or the maximum passes 1, or the subnormals do
        landmark = draw.choice([top - 127, 127, 150 - m, 127 - m, top, top + 1, -m, 1])
        bias = landmark + draw.randint(-3, 3)
    if not least <= bias <= most:
        return None
    name = f"e{e}m{m}b{bias}{specials}" + ("" if signed else "u")
    try:
        return FloatFormat(name, e, m, bias, specials, signed)
    except ValueError:  # the ends are off by one for some specials; that is what errors are for
        return None


# -- numbers ---------------------------------------------------------------------------------------------


def any_code(draw: Random, fmt: FloatFormat) -> int:
    """Return a code of the format; often one where something begins or ends."""
    if draw.random() < 0.6:
        return draw.getrandbits(fmt.bits)
    normal = 1 << fmt.mantissa_bits
    marks = [0, 1, normal - 1, normal, normal + 1, fmt.max_code - 1, fmt.max_code, fmt.max_code + 1]
    code = draw.choice([*marks, fmt.nan_code or 0, (1 << fmt.magnitude_bits) - 1])
    return (code | draw.choice([0, fmt.sign_mask])) & (1 << fmt.bits) - 1


def value_of(code: int, fmt: FloatFormat) -> float:
    """Return what a code means, as a float."""
    return reference.to_float(reference.decode(code, fmt))


def any_number(draw: Random, fmt: FloatFormat) -> float:
    """Return a float64 number: a value of the format, a midpoint, a neighbour of these, or anything at all."""
    kind = draw.random()
    if kind < 0.65:
        base = value_of(any_code(draw, fmt), fmt)
        if not math.isfinite(base):
            return base
        exponent = math.frexp(base)[1] - 1 if base else fmt.emin
        half = math.ldexp(1.0, max(-1074, max(exponent, fmt.emin) - fmt.mantissa_bits - 1))
        number = base + draw.choice([0, 0, 1, -1, 0.5, 1.5]) * half
        return draw.choice([number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf)])
    if kind < 0.8:  # of any magnitude, and far beyond the ends
        return math.ldexp(
            draw.choice([1.0, 1.5, draw.uniform(1, 2)]), draw.randint(-1074, 1023)
        ) * draw.choice([1, -1])
    if kind < 0.9:
        return float(np.array([draw.getrandbits(64)], np.uint64).view(np.float64)[0])
    return draw.choice([*_EXTREMES, *_LANDMARKS])


def narrowed(numbers: list[float], dtype: str) -> list[float]:
    """Return what numbers are in a narrower type: exactly what an array of this type holds."""
    with np.errstate(all="ignore"):
        return [float(x) for x in np.array(numbers, np.float64).astype(dtype)]


# -- options and layouts -----------------------------------------------------------------------------------


def any_options(draw: Random, fmt: FloatFormat, stochastic: bool = True) -> dict[str, object]:
    """Return options of `quantize` that the format can carry out; only those that are not the default."""
    options: dict[str, object] = {}
    if draw.random() < 0.8:
        options["rounding"] = draw.choice(ALL_MODES if stochastic else DETERMINISTIC)
    if draw.random() < 0.5:
        options["overflow"] = draw.choice(policies(fmt))
    if draw.random() < 0.3:
        options["subnormals"] = "flush"
    if draw.random() < 0.2:
        options["flush_inputs"] = True
    if str(options.get("rounding")).startswith("stochastic"):
        options["random_bits"] = draw.choice(RANDOM_BITS)
    return {name: value for name, value in options.items() if value is not None}


def any_layout(draw: Random) -> str:
    """Return a way in which an array lies in memory."""
    return draw.choice(LAYOUTS)
