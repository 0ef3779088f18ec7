"""One dot product on every chip: eight numbers, of which each matrix unit makes something else.

    a = [-2^13, -1/2, -1/4, -1/8]     b = [2^10, 1, 1, 1]     c = 2^23        exact: -0.875

The first product and c are -2^23 and 2^23, and cancel. What is left of the three small products says how many bits the
unit keeps below its largest term: with F fraction bits all below 2^(23 - F) is cut.

Prediction: of a unit that aligns its products, by that sentence alone; of the others, step by step on paper: the
reason is given with each. Nothing of `floatlab.matrix_units` computes it but the number F.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from floatlab.errors import check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units import get_unit, units
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.shown import families, lines_of

__all__ = ["EXACT", "TEXT", "Case", "cases", "measured", "predicted"]

A, B, C = (-(2.0**13), -0.5, -0.25, -0.125), (2.0**10, 1.0, 1.0, 1.0), 2.0**23
EXACT = -0.875
TEXT = "2^23 - 2^13 * 2^10 - 1/2 - 1/4 - 1/8, as the first block of a dot product with c = 2^23"
_TOP = 23  # the exponent of the largest term

_STEPS = "2^23 has no halves in fp32"
#: Of the units that do not align: what they leave, and why.
_ON_PAPER: dict[tuple[str, str], tuple[float, str]] = {
    ("mi100", "fp16"): (-0.875, "the exact sum of the block is rounded once"),
    ("mi100", "bf16"): (-0.875, "c - 2^23 - 0.5 is exact, and so is the next block"),
    ("mi250", "fp16"): (0.0, f"(-2^23 - 0.5) + (-0.25 - 0.125) is rounded to -2^23: {_STEPS}"),
    ("mi250", "bf16"): (0.0, f"(-2^23 - 0.5) + (-0.25 - 0.125) is rounded to -2^23: {_STEPS}"),
    ("mi300", "fp16"): (-0.5, "products are cut at 2^-1, 24 bits below the largest"),
    ("mi300", "bf16"): (-0.5, "products are cut at 2^-1, 24 bits below the largest"),
    ("mi300", "tf32"): (-0.5, "products are cut at 2^-1, 24 bits below the largest"),
    ("mi300", "fp8fnuz"): (-1.0, "the odd products, -0.5 - 0.125, are cut apart, and then floored at 2^-1"),
    ("avx512_bf16", "bf16"): (-0.875, "c - 0.5 comes first, and has halves"),
    ("amx_bf16", "bf16"): (-1.0, f"even and odd products meet as -2^23 - 0.625, rounded to -2^23 - 1: {_STEPS}"),
    ("arm_bf16", "bf16"): (-1.375, f"-2^23 - 0.5 is rounded to odd, to -2^23 - 1: {_STEPS}"),
    ("arm_ebf16", "bf16"): (-0.375, f"-2^23 - 0.5 is a tie, rounded to even, to -2^23: {_STEPS}"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A unit, and the format of both operands."""

    unit: str
    format: FloatFormat  # or its name

    def __post_init__(self) -> None:
        check_option("unit", self.unit, units())
        object.__setattr__(self, "format", get_format(self.format))

    @property
    def operands(self) -> str:
        """The family of the format."""
        return families([self.format])


def cases() -> list[Case]:
    """Return every unit of floats with each kind of operands whose formats hold 2^13.

    >>> [f"{case.unit} {case.operands}" for case in cases()][:4]
    ['v100 fp16', 't4 fp16', 'a100 fp16', 'a100 bf16']
    """
    found: dict[tuple[str, str], Case] = {}
    for name in units():
        for line in lines_of(get_unit(name).instructions):
            for fmt in () if line.kind else line.operands:  # neither blocks with scales nor integers
                if fmt.max >= -A[0]:
                    case = Case(name, fmt)
                    found.setdefault((name, case.operands), case)
    return list(found.values())


def predicted(case: Case) -> tuple[float, str]:
    """Return what a unit will make of it, and why.

    >>> predicted(Case("h100", "fp16"))
    (-0.75, 'F = 25: cut at 2^-2')
    """
    one = get_unit(case.unit).instruction(case.format, case.format)
    if not isinstance(one, Aligned):
        return _ON_PAPER[case.unit, case.operands]
    place = _TOP - one.fraction_bits
    left = sum(math.trunc(x / 2.0**place) * 2.0**place for x in A[1:])
    return left + 0.0, f"F = {one.fraction_bits}: cut at 2^{place}"


def measured(case: Case) -> float:
    """Return what the unit makes of it.

    >>> measured(Case("a100", "fp16"))
    -0.5
    """
    unit = get_unit(f"{case.unit}:bias_first")
    a, b, c = np.array([A]), np.array([B]).T, np.array([[C]])
    return float(unit.multiply(a, b, c, (case.format, case.format)).item())
