"""Rows that a GPU's matrix units computed (`benchmarks/matrix_units.py`), and the rule that all of them follow.

Products and addend are aligned to the largest exponent among them, cut off below its F-th fraction bit, added without
an error and rounded once. On Hopper F is 25 for 16-bit operands and 13 for fp8, whose fp32 results keep 13 fraction
bits. (Exponents are those of the operands, added, before a product is normalised.) A zero product has no part in the
largest.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl
from floatlab.formats import FloatFormat, get_format

VECTORS = np.load(Path(__file__).parents[1] / "data" / "matrix_units_h200.npz")
KINDS = {
    "fp16_fp32": (25, "fp32", "toward_zero"),
    "bf16_fp32": (25, "fp32", "toward_zero"),
    "fp16_fp16": (25, "fp16", "nearest_even"),
    "e4m3_fp32": (13, "e8m13", "toward_zero"),
    "e5m2_fp32": (13, "e8m13", "toward_zero"),
    "e4m3_fp16": (13, "fp16", "nearest_even"),
    "e5m2_fp16": (13, "fp16", "nearest_even"),
}


def exponent(x: float, fmt: FloatFormat) -> int:
    return max(math.frexp(x)[1] - 1, fmt.emin)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_aligned_cut_off_added_and_rounded_once(kind):
    bits, kept, mode = KINDS[kind]
    given, result = map(get_format, kind.split("_"))
    operands = (fl.decode(VECTORS[f"{kind}_{name}"], given).tolist() for name in "ab")
    addend, answers = (fl.decode(VECTORS[f"{kind}_{name}"], result).tolist() for name in "cd")
    for a, b, c, d in zip(*operands, addend, answers, strict=True):
        terms = [(x * y, exponent(x, given) + exponent(y, given)) for x, y in zip(a, b, strict=True) if x * y]
        terms += [(c, exponent(c, result))] if c else []
        unit = Fraction(2) ** (max(e for _, e in terms) - bits)
        total = sum(math.trunc(Fraction(term) / unit) for term, _ in terms) * unit
        assert fl.quantize(float(total), kept, rounding=mode) == d
