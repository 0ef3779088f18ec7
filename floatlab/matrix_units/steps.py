"""How does a tensor core multiply fp8 that has no unit for it? As fp16, in two steps, with the accumulator last.

``mma.sync`` with fp8 operands is such an instruction on a Hopper, whose own fp8 unit is reached by ``wgmma`` alone, and
on a Blackwell with fp16 results. Of 32 products, those with k mod 4 < 2 are added first, from 0; then the others; then
the accumulator, in one more addition.

Source: F. A. Khattak and M. Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from floatlab.backend import Array
from floatlab.errors import OptionError
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.instruction import Formats, Instruction
from floatlab.rounding.quantize import quantize
from floatlab.sums.exact import add_to_odd

__all__ = ["InTwoSteps"]


@dataclass(frozen=True)
class InTwoSteps(Instruction):
    """Two blocks of another instruction, from 0, and the accumulator added to what they leave, to nearest even."""

    through: Aligned = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block != 2 * self.through.block:
            raise OptionError(
                f"Two steps take two blocks. Got block={self.block} through blocks of {self.through.block}. "
                f"Use {2 * self.through.block}."
            )

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        first = np.arange(self.block) % 4 < 2
        wide = self.through.operands[0], self.through.operands[0]
        d = np.zeros(c.shape)
        for half in (first, ~first):
            d = self.through.add(a[..., half], b[..., half, :], d, wide)
        with np.errstate(invalid="ignore"):
            total = quantize(add_to_odd(d, c), self.register)
        return np.where(np.isnan(total), np.nan, total)
