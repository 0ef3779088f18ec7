"""What is a block format? An element format, how many elements share a scale, and what that scale is.

    mxfp4       32 elements of e2m1 along an axis share a power of two (e8m0): 4 + 8/32 = 4.25 bits a number
    nvfp4       16 elements of e2m1 share a scale of e4m3, and all blocks one of float32: 4.5 bits
    fp8_128x128 a tile of 128 x 128 elements of e4m3 shares a scale of float32

Sources: OCP Microscaling Formats (MX) Specification 1.0, section 5; NVIDIA, "Pretraining Large Language Models with
NVFP4" (2025); DeepSeek-AI, "DeepSeek-V3 Technical Report" (2024), section 3.3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.block_formats.elements import Element, element_of
from floatlab.block_formats.integer_format import IntFormat
from floatlab.block_formats.scale_rules import RULES, ScaleRule
from floatlab.errors import FormatError, OptionError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.system.html import number, table

__all__ = ["BlockFormat", "rule_of_scales"]


@dataclass(frozen=True)
class BlockFormat:
    """A block format: numbers of a short format that share a scale, block by block.

    A number is the element times the scale of its block, and times the tensor's scale where there is one.

    Parameters
    ----------
    name : str
        What to call it.
    element : FloatFormat, IntFormat or str
        The format of the elements.
    block : int or tuple of two ints
        How many elements along an axis share a scale, or rows and columns of a tile of the last two axes.
    scale : FloatFormat or str
        The format of the scales: "e8m0" for powers of two, "e4m3", or "fp32".
    rule : str
        Which scale a block gets, one of `floatlab.block_formats.RULES`; it can be chosen anew in each call.
    tensor_scale : {None, "amax"}
        Whether there is a float32 scale of the whole tensor besides: the largest number over the largest value that
        element and scale have together.

    Attributes
    ----------
    bits_per_value : float
        Of a large array, without the tensor's scale.

    Raises
    ------
    FormatError, OptionError
        If a name is unknown, or the parts do not fit together.

    Examples
    --------
    >>> mine = BlockFormat("mine", "e3m2", 64, "e8m0", rule="rceil")
    >>> mine.bits_per_value, mine.max == 28 * 2.0**127
    (6.125, True)
    """

    name: str
    element: FloatFormat | IntFormat
    block: tuple[int, ...]
    scale: FloatFormat
    rule: str = "floor"
    tensor_scale: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise FormatError(f'The name of a format is a text. Got {self.name!r}. Give it one, as "mine".')
        element = self.element if isinstance(self.element, IntFormat) else get_format(self.element)
        object.__setattr__(self, "element", element)
        object.__setattr__(self, "scale", get_format(self.scale))
        object.__setattr__(self, "block", _block(self.block))
        if self.tensor_scale not in (None, "amax"):
            raise OptionError(
                f'tensor_scale of a format is None or "amax". Got {self.tensor_scale!r}. '
                "Pass a number to floatlab.quantize."
            )
        rule_of_scales(self, self.rule)
        if self.tensor_scale is not None and not RULES["nvfp4"].fits(self.scale):
            raise FormatError(
                "The tensor's scale belongs to block scales of short range, as e4m3. "
                f"Got scales of {self.scale}. Leave tensor_scale out."
            )
        _ = self.parts

    @cached_property
    def parts(self) -> Element:
        """How its elements are rounded."""
        return element_of(self.element)

    @property
    def is_tile(self) -> bool:
        """Whether blocks extend along two axes."""
        return len(self.block) == 2

    @property
    def block_size(self) -> int:
        """How many elements share a scale."""
        return math.prod(self.block)

    @property
    def bits_per_value(self) -> float:
        """Bits of an element, and its share of those of the scale."""
        return self.parts.bits + self.scale.bits / self.block_size

    def nbytes(self, elements: int, blocks: int) -> int:
        """Return the bytes of so many elements, packed, and of the scales of so many blocks, and the tensor's.

        >>> BlockFormat("mine", "e2m1", 32, "e8m0").nbytes(100, 4)
        54
        """
        tensor = 0 if self.tensor_scale is None else 4
        return -(-elements * self.parts.bits // 8) + -(-blocks * self.scale.bits // 8) + tensor

    @property
    def max(self) -> float:
        """The largest number, at the largest scale; the tensor's scale comes besides."""
        return self.parts.max * float(self.scale.max)

    @property
    def is_exact_in_float32(self) -> bool:
        """Whether a float32 holds every number that it does not overflow at: scales are powers of two."""
        return self.scale.mantissa_bits == 0 and self.parts.grid.etiny >= -22

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        """Show the format as a table in a notebook."""
        shape = " x ".join(map(str, self.block))
        rows = [
            ("elements", f"{shape} of {self.parts} share a scale"),
            ("scale", f"{self.scale}" + (", and a float32 of the tensor" if self.tensor_scale else "")),
            ("rule", f"{self.rule}: {RULES[self.rule].sentence}"),
            ("bits a number", number(self.bits_per_value)),
            ("largest element", number(self.parts.max)),
        ]
        return table(self.name, rows)


def _block(given: Any) -> tuple[int, ...]:
    sides = given if isinstance(given, tuple | list) else (given,)
    ok = len(sides) in (1, 2) and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in sides
    )
    if not ok:
        raise FormatError(
            "block is a number of elements, or rows and columns of a tile, each at least 1. "
            f"Got {given!r}. Use 32, or (16, 16)."
        )
    sides = tuple(int(n) for n in sides)
    return sides[1:] if len(sides) == 2 and sides[0] == 1 else sides


def rule_of_scales(fmt: BlockFormat, rule: str | None) -> ScaleRule:
    """Return a rule by name, the format's own for None, checked against the format.

    Raises
    ------
    OptionError
        If the name is unknown, or the scale format cannot carry what the rule makes.

    Examples
    --------
    >>> rule_of_scales(BlockFormat("mine", "e2m1", 32, "e8m0"), "rceil").who
    "Transformer Engine, cuBLAS, torchao, DeepGEMM's ue8m0"
    """
    name = fmt.rule if rule is None else rule
    check_option("rule", name, RULES)
    found = RULES[name]
    if not found.fits(fmt.scale):
        fitting = [other for other, one in RULES.items() if one.fits(fmt.scale)]
        ways = f"Use one of: {', '.join(fitting)}." if fitting else "Use e8m0, e4m3 or fp32 for the scales."
        raise OptionError(f"Scales of {fmt.scale} cannot carry every rule. Got rule={name!r}. {ways}")
    if name == "nvfp4_4over6" and fmt.parts.max != 6.0:
        raise OptionError(
            f"Four over six is a choice between the values 4 and 6 of e2m1. Got elements of {fmt.element}. "
            'Use rule="nvfp4".'
        )
    return found
