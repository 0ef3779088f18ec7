"""Which constants does a conversion compile with? Those of the format, and those of what was asked for.

A conversion is known when its kernel is made, so a compiler sees numbers where a reader sees names: whatever the
options rule out is not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.device.files import word_type
from floatlab.rounding.modes import MODES, decides_by_code
from floatlab.rounding.options import Rule

__all__ = ["KNOWN_MODES", "format_constants", "rule_constants", "word_of"]

# The modes that rounding.cuh knows, by its own names for them.
KNOWN_MODES = tuple(MODES)[:10]


def word_of(value: float, carrier: np.dtype[Any], negative: bool = False) -> int:
    """Return the bits of a number that a carrier type holds; of a NaN, those of the quiet one.

    >>> hex(word_of(-1.0, np.dtype(np.float32))), hex(word_of(float("nan"), np.dtype(np.float32), negative=True))
    ('0xbf800000', '0xffc00000')
    """
    if value != value:
        value = float(np.copysign(np.nan, -1.0 if negative else 1.0))
    return int(np.asarray(value, carrier).view(f"u{carrier.itemsize}"))


def _declared(numbers: dict[str, int | bool], kind: str) -> list[str]:
    suffix = "" if kind == "int" else "ull"
    return [f"const {kind} {name} = {int(value)}{suffix};" for name, value in numbers.items()]


def format_constants(fmt: FloatFormat, carrier: np.dtype[Any]) -> str:
    """Return what `codes.cuh` has to know, for values that are numbers of the carrier type."""
    assert fmt.bias is not None
    small: dict[str, int | bool] = {
        "MANTISSA_BITS": fmt.mantissa_bits,
        "EMIN": fmt.emin,
        "FORMAT_BIAS": fmt.bias,
        "IS_SIGNED": fmt.signed,
        "IS_P3109": fmt.is_p3109,
        "HAS_ZERO": fmt.has_zero,
        "HAS_NEGATIVE_ZERO": fmt.has_negative_zero,
        "HAS_INFINITY": fmt.has_infinity,
        "NAN_HAS_SIGN": fmt.nan_has_sign,
    }
    codes: dict[str, int | bool] = {
        "SIGN_CODE": fmt.sign_mask,
        "MAGNITUDE_CODES": (1 << fmt.magnitude_bits) - 1,
        "MAX_CODE": fmt.max_code,
        "INFINITY_CODE": fmt.inf_code or 0,
        "NAN_CODE": fmt.nan_code or 0,
    }
    lines = [f"typedef {word_type(carrier)} word;", *_declared(small, "int"), *_declared(codes, "uint64")]
    return "\n".join(lines) + "\n"


def rule_constants(rule: Rule, carrier: np.dtype[Any], random_bits: int) -> str:
    """Return what `rounding.cuh` has to know besides: the options of a conversion, and its ends as words."""
    fmt, least_exponent = rule.fmt, -126 if carrier.itemsize == 4 else -1022
    mode = KNOWN_MODES.index(rule.rounding)
    flushes = rule.flush_inputs or rule.subnormals == "flush"
    # The usual numbers: from here to there they are normal numbers of the carrier, and of the format if it flushes.
    first = max(fmt.emin, least_exponent) if flushes else least_exponent
    start, end = word_of(float(np.ldexp(1.0, first)), carrier), word_of(fmt.max, carrier)
    beyond = (1 << 8 * carrier.itemsize - 1) - 1
    negative_zero = -0.0 if fmt.has_negative_zero else 0.0
    zeros = (rule.zero, (negative_zero if rule.zero == 0 else -rule.zero) if fmt.signed else rule.zero)
    words: dict[str, int | bool] = {
        "USUAL_FROM": start,
        "USUAL_TO": end,
        # Beyond all numbers of the carrier, if every value is subnormal and the next binade is not the carrier's.
        "SMALLEST_NORMAL": word_of(fmt.smallest_normal, carrier)
        if fmt.emin <= -least_exponent + 1
        else beyond,
        "LARGEST": end,
        "SMALLEST": word_of(fmt.smallest_subnormal, carrier),
        "LEAST": 0 if fmt.has_zero else word_of(fmt.lowest, carrier),
    }
    ends = {
        "OVER": rule.over,
        "INFINITE": rule.infinite,
        "ZERO": zeros,
        "NAN": (np.nan, np.nan),
    }
    for name, (above, below) in ends.items():
        words[f"{name}_ABOVE"] = word_of(above, carrier)
        words[f"{name}_BELOW"] = word_of(below, carrier, negative=fmt.nan_has_sign)
    small: dict[str, int | bool] = {
        "MODE": mode,
        "RANDOM_BITS": random_bits,
        "ODD_BY_CODE": decides_by_code(rule.mode, fmt),
        "HAS_USUAL": start <= end,
        "BELOW_NORMAL": first < fmt.emin,
        "FLUSH_INPUTS": rule.flush_inputs,
        "FLUSH_RESULTS": rule.subnormals == "flush",
    }
    return "\n".join([*_declared(words, "word"), *_declared(small, "int")]) + "\n"
