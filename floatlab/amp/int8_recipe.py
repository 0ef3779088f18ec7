"""How does int8 train? Each operand of a product as integers with a scale, for each row or for the whole.

The three products are those of `floatlab.amp.block_recipes`. A scale for each row of an operand, which lies along the
axis that is summed, can be taken out of the sum as one for all of it can: on a machine the sum is one of int32, scaled
once. Here the numbers that the integers stand for are multiplied exactly and rounded once, which is the same.

Gradients are rounded stochastically by default: to nearest, what is less than half of the smallest step is lost in
every step of training again.

Sources: R. Banner et al., "Scalable methods for 8-bit training of neural networks" (2018); F. Zhu et al., "Towards
unified INT8 training for convolutional neural network" (2020), for stochastic rounding of gradients; M. Wortsman et
al., "Stable and low-precision training for large-scale vision-language models" (2023), for scales of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.amp.block_casts import is_watched, tell
from floatlab.amp.block_operands import BlockRecipe
from floatlab.block_formats.elements import element_of
from floatlab.block_formats.integers import quantize_int
from floatlab.errors import check_option
from floatlab.rounding.options import checks_names

__all__ = ["Int8"]

Array = NDArray[Any]
_OTHER_WORDS = {"channel": "row", "axis": "row", "token": "row", "column": "row", "layer": "tensor"}


@checks_names
@dataclass(frozen=True)
class Int8(BlockRecipe):
    """Training in int8, symmetric: what is summed by a product shares a scale, or the whole operand does.

    Parameters
    ----------
    gradient_rounding : {"stochastic", "nearest_even"}
        How gradients become integers. The others are rounded to nearest.
    granularity : {"row", "tensor"}
        What shares a scale: what goes into one number of the result, or all of an operand.
    accumulator, keep, seed
        As of `BlockRecipe`.

    Notes
    -----
    A row that holds an infinity or a NaN becomes NaN, so that a loss scaler sees it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Int8().quantize(np.array([[1.27, 0.014], [12.7, 0.014]]), 1, "input", rng).round(4).tolist()
    [[1.27, 0.01], [12.7, 0.0]]
    """

    gradient_rounding: str = "stochastic"
    granularity: str = "row"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option(
            "gradient_rounding", self.gradient_rounding, ("stochastic", "nearest_even"), meanings=_OTHER_WORDS
        )
        check_option("granularity", self.granularity, ("row", "tensor"), meanings=_OTHER_WORDS)

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return the numbers that an operand's integers stand for, in float64."""
        if not values.size:
            return values
        finite = np.isfinite(values)
        lost = None
        if not finite.all():
            lost = ~finite.all(axis=axis if self.granularity == "row" else None, keepdims=True)
            values = np.where(finite, values, 0)
        options: dict[str, Any] = {}
        if self.granularity == "row":
            options |= {"granularity": "channel", "axis": 1 - axis}
        if operand == "gradient" and self.gradient_rounding == "stochastic":
            options |= {"rounding": "stochastic", "rng": rng}
        integers = quantize_int(values, "int8", **options)
        found: Array = integers.decode("float64")
        if lost is not None:
            found = np.where(lost, np.nan, found)
        if is_watched():
            scales = (
                integers.scale
                if lost is None
                else np.where(lost.reshape(integers.scale.shape), np.nan, integers.scale)
            )
            tell(
                f"int8:{self.granularity}",
                operand,
                element_of(integers.fmt),
                values,
                integers.codes,
                scales,
                scales,
            )
        return found

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int] | None:
        """Return the name and the bytes of what a device keeps of an operand: codes, and float32 scales."""
        scales = shape[1] if self.granularity == "row" else 1
        return f"int8:{self.granularity}", shape[0] * shape[1] + 4 * scales
