"""How does a format look in a notebook? Its range and special values first, then how it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from floatlab.system.html import Raw, number, table

__all__ = ["catalogue_in_html", "constants_in_html", "format_in_html", "specials_of"]


def specials_of(fmt: Any) -> str:
    """Return the special values of a format in words.

    >>> from floatlab.formats import get_format
    >>> specials_of(get_format("fp16")), specials_of(get_format("e4m3")), specials_of(get_format("e2m1"))
    ('±∞, NaN, −0', 'NaN, −0; no infinity', '−0; no infinity, no NaN')
    """
    sign = "±" if fmt.signed else ""
    parts = {f"{sign}∞": fmt.has_infinity, "NaN": fmt.has_nan, "−0": fmt.has_negative_zero}
    there = ", ".join(word for word, has in parts.items() if has)
    missing = [
        word
        for word, has in (("infinity", fmt.has_infinity), ("NaN", fmt.has_nan), ("zero", fmt.has_zero))
        if not has
    ]
    lacks = ", ".join(f"no {word}" for word in missing)
    return "; ".join(part for part in (there, lacks) if part)


def format_in_html(fmt: Any) -> Raw:
    """Return a format as a table."""
    rows = [
        ("range", f"{number(fmt.lowest)} … {number(fmt.max)}"),
        ("special values", specials_of(fmt)),
        ("smallest normal", _with_power(fmt.smallest_normal)),
        ("smallest subnormal", _with_power(fmt.smallest_subnormal) if fmt.has_subnormals else "none"),
        ("distance of 1 to the next value", _with_power(fmt.eps)),
        ("precision", f"{fmt.precision} {'bit' if fmt.precision == 1 else 'bits'}"),
        ("bits", _layout(fmt)),
        ("bias", str(fmt.bias)),
        ("NumPy or ml_dtypes type", str(fmt.dtype) if fmt.dtype is not None else "none"),
    ]
    return table(fmt.name, rows)


def _layout(fmt: Any) -> str:
    parts = [f"{fmt.bits} ="] + (["1 sign +"] if fmt.signed else [])
    return " ".join([*parts, f"{fmt.exponent_bits} exponent + {fmt.mantissa_bits} fraction"])


def _with_power(value: float) -> Raw:
    """Return a power of two, also as such."""
    exponent = round(math.log2(value))
    return Raw(f"2<sup>{str(exponent).replace('-', '−')}</sup> = {number(value)}")


def catalogue_in_html(formats: Iterable[Any]) -> Raw:
    """Return formats as a table, a row for each."""
    rows = [
        (
            fmt.name, fmt.bits, f"{fmt.exponent_bits}/{fmt.mantissa_bits}", number(fmt.max),
            Raw(f"2<sup>{str(fmt.emin).replace('-', '−')}</sup>"),
            Raw(f"2<sup>{str(fmt.etiny).replace('-', '−')}</sup>") if fmt.has_subnormals else "none",
            specials_of(fmt),
        )
        for fmt in formats
    ]  # fmt: skip
    head = (
        "format",
        "bits",
        "exponent/fraction",
        "largest",
        "smallest normal",
        "smallest subnormal",
        "special values",
    )
    return table(f"{len(rows)} {'format' if len(rows) == 1 else 'formats'}", rows, head=head)


def constants_in_html(info: Any) -> Raw:
    """Return the constants of `numpy.finfo` as a table."""
    rows = [
        (name, number(value) if isinstance(value, float) else value) for name, value in vars(info).items()
    ]
    return table(f"Constants of a format of {info.bits} bits, as numpy.finfo names them", rows)
