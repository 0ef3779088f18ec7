"""How do processors multiply matrices of bytes? The integer instructions, which `floatlab.block_formats` computes.

Source: Intel, "Intel 64 and IA-32 architectures software developer's manual", volume 2 (VPDPBUSD, VPDPBUSDS,
VPMADDUBSW).
"""

from __future__ import annotations

from dataclasses import dataclass

from floatlab.formats import FloatFormat
from floatlab.matrix_units.instruction import Instruction

__all__ = ["IntegerBlock"]


@dataclass(frozen=True)
class IntegerBlock(Instruction):
    """An accumulator of int32 and a block of products of bytes: one of the sums of `floatlab.matmul` of integers.

    Parameters
    ----------
    sums : str
        "int32", which wraps; "int32_saturate"; or "maddubs", whose pairs stop at an end of int16 first.
    """

    sums: str = "int32"

    def multiplies(self, a: FloatFormat, b: FloatFormat) -> bool:
        """Return no: it multiplies no floats."""
        return False
