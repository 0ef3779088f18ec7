"""How do four bits train? By a scale for each block of an operand: recipes for the products of Linear and Conv2d.

Each is a `floatlab.amp.block_operands.BlockScaling` with the formats and the precautions that its source has.

Sources: OCP, "Microscaling Formats (MX) Specification 1.0", section 6.2 (blocks lie along the axis that is summed);
NVIDIA Transformer Engine, `transformer_engine/common/recipe` (MXFP8BlockScaling, NVFP4BlockScaling and their
defaults); NVIDIA, "Pretraining Large Language Models with NVFP4" (2025), section 4; A. Tseng, T. Yu and Y. Park,
"Training LLMs with MXFP4" (2025), for MXFP4 with the transform and stochastic rounding; J. Cook et al., "Four Over
Six: More Accurate NVFP4 Quantization with Adaptive Block Scaling" (2025); DeepSeek-AI, "DeepSeek-V3 Technical Report"
(2024), section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.amp.block_operands import BlockRecipe, BlockScaling, in_blocks, quantized
from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.catalogue import block_format
from floatlab.errors import check_option, check_switch
from floatlab.rounding.options import checks_names

__all__ = ["MXFP4", "MXFP6", "MXFP8", "NVFP4", "Tiles"]

Array = NDArray[Any]


@checks_names
@dataclass(frozen=True)
class MXFP8(BlockScaling):
    """MXFP8, in E4M3 throughout and with scales that nothing exceeds, as Transformer Engine has it.

    Parameters
    ----------
    forward, backward : {"mxfp8_e4m3", "mxfp8_e5m2"}
        ``backward="mxfp8_e5m2"`` is the hybrid of the older recipes.
    rule, rht, stochastic, accumulator, keep, seed
        As of `BlockScaling`.

    Examples
    --------
    >>> MXFP8().forward.name, MXFP8().rule
    ('mxfp8_e4m3', 'rceil')
    """

    rule: str | None = "rceil"
    _names = ("mxfp8_e4m3", "mxfp8_e5m2")


@checks_names
@dataclass(frozen=True)
class MXFP6(BlockScaling):
    """MXFP6: "mxfp6_e2m3", or "mxfp6_e3m2" with more range and less precision; else as `MXFP8`."""

    forward: str | BlockFormat = "mxfp6_e2m3"
    rule: str | None = "rceil"
    _names = ("mxfp6_e2m3", "mxfp6_e3m2")


@checks_names
@dataclass(frozen=True)
class MXFP4(BlockScaling):
    """MXFP4; with ``rht=True, stochastic=True`` what Tseng et al. add to make it train; else as `MXFP8`."""

    forward: str | BlockFormat = "mxfp4"
    rule: str | None = "rceil"
    _names = ("mxfp4",)


@checks_names
@dataclass(frozen=True)
class NVFP4(BlockScaling):
    """NVFP4 as Transformer Engine trains on it.

    Parameters
    ----------
    rht : bool
        Whether both operands of wgrad pass the random Hadamard transform first.
    stochastic : bool
        Whether gradients are rounded stochastically.
    two_d_weights : bool
        Whether weights have a scale for each tile of 16 x 16, and so are the same in forward and in dgrad. Of a
        convolution they are not: it turns its kernels round in dgrad, and its tiles with them.
    four_over_six : bool
        Whether blocks may reach 4 instead of 6, where their error is smaller. Gradients that are rounded stochastically
        have no such choice: the better of two random results is not right on average.
    arithmetic : {"exact", "te"}
        How scales are computed: "te" as Transformer Engine does, in float32.
    accumulator, keep, seed
        As of `BlockRecipe`.

    Examples
    --------
    >>> recipe = NVFP4()
    >>> recipe.format_of("weight").name, recipe.format_of("gradient").name
    ('nvfp4_16x16', 'nvfp4')
    """

    forward: str | BlockFormat = "nvfp4"
    rht: bool = True
    stochastic: bool = True
    two_d_weights: bool = True
    four_over_six: bool = False
    arithmetic: str = "exact"
    _names = ("nvfp4",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("two_d_weights", "four_over_six"):
            object.__setattr__(self, name, check_switch(name, getattr(self, name)))
        check_option("arithmetic", self.arithmetic, ("exact", "te"), meanings={"transformer_engine": "te"})

    def format_of(self, operand: str) -> BlockFormat:
        """Return the format of an operand: weights have tiles, if they have."""
        tiles = self.two_d_weights and operand == "weight"
        return block_format("nvfp4_16x16") if tiles else super().format_of(operand)

    def options_of(self, operand: str) -> dict[str, Any]:
        """Return the options with which an operand is quantized."""
        chooses = self.four_over_six and not self.draws(operand)
        return {"rule": "nvfp4_4over6" if chooses else self.rule, "arithmetic": self.arithmetic}


@checks_names
@dataclass(frozen=True)
class Tiles(BlockRecipe):
    """DeepSeek-V3's recipe: E4M3 with float32 scales, for 128 numbers of inputs and gradients, 128 x 128 of weights.

    Parameters
    ----------
    power_of_two : bool
        Whether scales are rounded up to powers of two, as DeepGEMM does on Blackwell.
    accumulator, keep, seed
        As of `BlockRecipe`. On Hopper its tensor cores add 128 products before they are added up in float32:
        ``accumulator="chunked:fp32:fp32:128"`` has that order.

    Examples
    --------
    >>> Tiles(power_of_two=True).format_of("weight").name
    'fp8_128x128:pow2'
    """

    power_of_two: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "power_of_two", check_switch("power_of_two", self.power_of_two))

    def format_of(self, operand: str) -> BlockFormat:
        """Return the format of an operand."""
        name = "fp8_128x128" if operand == "weight" else "fp8_1x128"
        return block_format(f"{name}:pow2" if self.power_of_two else name)

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return the values of an operand in its tiles."""
        return quantized(values, self.format_of(operand), axis, operand)

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int]:
        """Return the format and the bytes of what a device keeps of an operand."""
        return in_blocks(self.format_of(operand), shape)
