"""What are numbers that share a scale? Blocks of a short float format or of integers, and what is done with them.

Integers:

- `coded.py`: what arrays of codes have in common.
- `integer_format.py`: an integer type, and fixed point.
- `whole_numbers.py`: a quotient, rounded once to a whole number.
- `groups.py`: which elements share a scale.
- `integer_scales.py`: which scale, and which zero point.
- `integer_array.py`: codes, scales and zero points in one array.
- `integers.py`: numbers of any kind, quantized.
- `integer_matmul.py`: products of such arrays, as processors sum them.
- `hadamard.py`: the transform that spreads outliers.

Blocks:

- `elements.py`: what an element of a block is, float or integer.
- `scale_rules.py`: by what a block is divided: every published rule, as data.
- `block_format.py`: element, block and scale in one format.
- `catalogue.py`: the block formats that people use.
- `magnitudes.py`: the largest number of a block, by its words.
- `units.py`: a float32, rounded to few bits.
- `scales.py`: the scale of a block, exactly or by a library's steps.
- `conversion.py`: some blocks, converted.
- `values.py`: their values.
- `layout.py`: where the blocks of an array lie.
- `block_array.py`: codes and scales in one array; the product of two.
- `quantize.py`: arrays to block formats.
- `differences.py`: what each rule makes of the same numbers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floatlab.block_formats.block_array import BlockArray
    from floatlab.block_formats.block_format import BlockFormat
    from floatlab.block_formats.catalogue import block_formats as formats
    from floatlab.block_formats.differences import compare_rules, count_blocks
    from floatlab.block_formats.scale_rules import RULES

__all__ = ["RULES", "BlockArray", "BlockFormat", "compare_rules", "count_blocks", "formats"]

# Each is loaded when it is used: files of this room are imported from many places, and by threads at once.
_PLACES = {
    "RULES": ("scale_rules", "RULES"),
    "BlockArray": ("block_array", "BlockArray"),
    "BlockFormat": ("block_format", "BlockFormat"),
    "compare_rules": ("differences", "compare_rules"),
    "count_blocks": ("differences", "count_blocks"),
    "formats": ("catalogue", "block_formats"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        file, what = _PLACES[name]
        return getattr(import_module(f"{__name__}.{file}"), what)
