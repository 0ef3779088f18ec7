"""What does a code stand for? Its fields, one by one, and the value that they make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.codes.decode import decode
from floatlab.errors import DtypeError
from floatlab.explain.text import as_html, as_lines, code_text, grouped, kind_of, value_text
from floatlab.formats import FloatFormat, get_format

__all__ = ["CodeExplanation", "explain_code"]


@dataclass(frozen=True)
class CodeExplanation:
    """A code, taken to pieces. Print it, or read its fields.

    Attributes
    ----------
    title : str
    format : FloatFormat
    code : int
    value : float
        What the code stands for.
    rows : tuple of (str, str)
        All of it as text, line by line.
    """

    title: str
    format: FloatFormat
    code: int
    value: float
    rows: tuple[tuple[str, str], ...]

    @property
    def bits(self) -> str:
        """The code in binary, grouped as sign, exponent, mantissa: "0 1111 110"."""
        return grouped(self.code, self.format)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict of plain values, for JSON; infinities and NaN are words there."""
        value = self.value if math.isfinite(self.value) else value_text(self.value)
        return {"format": self.format.spec, "code": self.code, "bits": self.bits, "value": value}

    def __str__(self) -> str:
        return as_lines(self.title, self.rows)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        return as_html(self.title, self.rows)


def explain_code(code: int, fmt: Any) -> CodeExplanation:
    """Explain which value a code stands for: its sign, its exponent field, its mantissa.

    Parameters
    ----------
    code : int
        From 0 to ``2**fmt.bits - 1``.
    fmt : str, FloatFormat or dtype

    Raises
    ------
    DtypeError
        If the format has no such code.

    Examples
    --------
    >>> print(explain_code(0x7E, "e4m3"))
    0x7E in float8_e4m3fn
    <BLANKLINE>
      code      0 1111 110 = 0x7E
      sign      0: positive
      exponent  1111 = 15, less the bias 7: 2^8
      mantissa  1.110 = 1.75
      value     1.75 * 2^8 = 448 (normal)
    """
    fmt = get_format(fmt)
    if isinstance(code, bool) or not isinstance(code, int | np.integer) or not 0 <= code < 1 << fmt.bits:
        raise DtypeError(
            f"A code of {fmt} is an integer from 0 to {(1 << fmt.bits) - 1:#x}. Got {code!r}. Use one of them."
        )
    code = int(code)
    value = float(decode(np.array([code], fmt.code_dtype), fmt)[0])
    rows = [("code", code_text(code, fmt))]
    if fmt.signed:
        rows.append(("sign", "1: negative" if code & fmt.sign_mask else "0: positive"))
    rows += _fields(code & ~fmt.sign_mask if fmt.signed else code, value, fmt)
    return CodeExplanation(f"0x{code:0{(fmt.bits + 3) // 4}X} in {fmt}", fmt, code, value, tuple(rows))


def _fields(magnitude: int, value: float, fmt: FloatFormat) -> list[tuple[str, str]]:
    """Tell the exponent and the mantissa, or why this code has none."""
    field, m = magnitude >> fmt.mantissa_bits, fmt.mantissa_bits
    fraction = magnitude & (1 << m) - 1
    exponent_bits, mantissa_bits = f"{field:0{fmt.exponent_bits}b}", f"{fraction:0{m}b}" if m else ""
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "infinity"
        return [("value", f"{value_text(value)}: the format keeps this code for {name}")]
    if value == 0:
        return [("exponent", f"{exponent_bits} = 0: no leading 1"), ("value", f"{value_text(value)} (zero)")]
    size, kind = abs(value), kind_of(value, fmt)
    exponent = math.frexp(size)[1] - 1 if kind == "normal" else fmt.emin
    mantissa = size / 2.0**exponent if exponent > -1000 else math.ldexp(size, -exponent)
    if kind == "normal":
        how = f"{exponent_bits} = {field}, less the bias {field - exponent}: 2^{exponent}"
    else:
        how = f"{exponent_bits} = {field}: no leading 1, and the smallest exponent, 2^{exponent}"
    rows = [("exponent", how)]
    if m:
        rows.append(
            ("mantissa", f"{'1' if kind == 'normal' else '0'}.{mantissa_bits} = {value_text(mantissa)}")
        )
    sign = "-" if value < 0 else ""
    rows.append(("value", f"{sign}{value_text(mantissa)} * 2^{exponent} = {value_text(value)} ({kind})"))
    return rows
