"""How does a matrix unit look? What it multiplies and how it adds, in a terminal, in a notebook, and as data.

`lines_of` is the table of a unit: a line for all kinds of operands that it adds in the same way. `unit_in_text` and
`unit_in_html` show it with the unit's sources, and with what its results were compared with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from floatlab.formats import FloatFormat, aliases
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.amd import ExactBlock, FlushedPairs, TwoStages
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.processors import FusedPairs, OddPairs, OncePairs, TwoChains
from floatlab.matrix_units.scaled import BlockScaled, GroupScaled
from floatlab.matrix_units.steps import InTwoSteps
from floatlab.matrix_units.whole_numbers import IntegerBlock
from floatlab.system.html import Raw, table

__all__ = ["HEAD", "Line", "families", "lines_of", "short_name", "unit_in_html", "unit_in_text"]

HEAD = ("operands", "L", "F", "rounding", "result")
_LEGEND = "L products are added at a time. F is how many bits are kept below the largest of them."
_ALL = "exact"


@dataclass(frozen=True)
class Line:
    """How a unit adds the products of some formats.

    Attributes
    ----------
    operands : tuple of FloatFormat
        The formats; empty: all, or none but integers.
    kind : str
        "" for numbers as they are; which scales they have, as "e8m0 per 32"; "u8 s8" for integers.
    block : int
        How many products are added at a time.
    fraction_bits : str
        How many bits are kept below the largest term, or "exact", or the format of each step.
    rounding : str
        How the sum is rounded.
    result : str
        The format of the accumulator, and of the result before it is rounded to what was asked for.
    """

    operands: tuple[FloatFormat, ...]
    kind: str
    block: int
    fraction_bits: str
    rounding: str
    result: str

    def cells(self) -> tuple[str, ...]:
        """Return the texts of a row under `HEAD`."""
        names = " ".join(map(short_name, self.operands))
        return (
            ", ".join(filter(None, (names, self.kind))) or "any",
            str(self.block),
            self.fraction_bits,
            self.rounding,
            self.result,
        )

    @property
    def family(self) -> str:
        """The operands in few letters."""
        if not self.operands:
            return self.kind or "any"
        return families(self.operands) + (", scaled" if self.kind else "")

    def data(self) -> dict[str, Any]:
        """Return the same for JSON, the formats by their full names."""
        names = [fmt.name for fmt in self.operands] or [self.kind or "any"]
        scales = {"scales": self.kind} if self.operands and self.kind else {}
        return dict(zip(HEAD, (names, self.block, *self.cells()[2:]), strict=True)) | scales


def short_name(fmt: FloatFormat) -> str:
    """Return the short name of a format, as tables of chips have it.

    >>> from floatlab.formats import get_format
    >>> [short_name(get_format(name)) for name in ("float16", "tf32", "float8_e4m3fn", "float8_e5m2fnuz", "e6m9")]
    ['fp16', 'tf32', 'e4m3', 'e5m2fnuz', 'e6m9']
    """
    names = [fmt.name, *aliases(fmt)]
    for pattern in (r"e\d+m\d+\w*", r"(?:fp|bf|tf)\d+"):
        found = [name for name in names if re.fullmatch(pattern, name)]
        if found:
            return min(found, key=len)
    return fmt.name


def families(operands: Iterable[FloatFormat]) -> str:
    """Return formats by families, where a table has little room: those of 8, 6 and 4 bits have one name each.

    >>> from floatlab.formats import get_format
    >>> families(map(get_format, ("e4m3", "e5m2", "e2m1"))), families([get_format("bf16")])
    ('fp8 fp4', 'bf16')
    """
    names = [
        short_name(fmt) if fmt.bits > 8 else f"fp{fmt.bits}{'fnuz' if fmt.name.endswith('fnuz') else ''}"
        for fmt in operands
    ]
    return " ".join(dict.fromkeys(names))


def lines_of(instructions: Sequence[Instruction]) -> list[Line]:
    """Return the table of some instructions; operands that are added in the same way share a line.

    >>> [line.cells() for line in lines_of([Aligned(("fp16",), 16, fraction_bits=25), ExactBlock(("bf16",), 2)])]
    [('fp16', '16', '25', 'toward zero', 'fp32'), ('bf16', '2', 'exact', 'nearest even', 'fp32')]
    """
    together: dict[tuple[Any, ...], list[FloatFormat]] = {}
    for one in instructions:
        bits, rounding = _ways(one)
        result = "int32" if isinstance(one, IntegerBlock) else short_name(one.register)
        how = _kind(one), one.block, bits, rounding, result
        together.setdefault(how, []).extend(one.operands)
    return [Line(tuple(operands), *how) for how, operands in together.items()]


def _kind(one: Instruction) -> str:
    if isinstance(one, BlockScaled):
        formats, sizes = "/".join(map(short_name, one.scale_formats)), "/".join(map(str, one.scale_blocks))
        return f"{formats} per {sizes}"
    return "u8 s8" if isinstance(one, IntegerBlock) else ""


def _words(mode: str) -> str:
    return mode.replace("_", " ")


def _aligned(one: Aligned) -> tuple[str, str]:
    assert one.kept is not None
    short = f", {one.kept.precision} bits" if one.kept.precision < one.register.precision else ""
    return str(one.fraction_bits), _words(one.rounding) + short


_OF_INTEGERS = {"int32": "wraps", "int32_saturate": "saturates", "maddubs": "pairs saturate at int16"}
#: How each kind of instruction keeps bits and rounds, in words.
_WAYS: dict[type[Instruction], Callable[[Any], tuple[str, str]]] = {
    Aligned: _aligned,
    GroupScaled: lambda one: (str(one.fraction_bits), f"{one.group} exactly, then toward zero"),
    InTwoSteps: lambda one: (str(one.through.fraction_bits), "in two steps, then nearest even"),
    ExactBlock: lambda one: (_ALL, "nearest even"),
    FlushedPairs: lambda one: ("fp32", "nearest even, each step"),
    TwoStages: lambda one: ("24", "down, then nearest even"),
    FusedPairs: lambda one: (_ALL, "nearest even, each FMA"),
    TwoChains: lambda one: (_ALL, "nearest even, each FMA"),
    OddPairs: lambda one: ("fp32", "to odd, each step"),
    OncePairs: lambda one: (_ALL, "nearest even, pair and sum"),
    IntegerBlock: lambda one: (_ALL, _OF_INTEGERS[one.sums]),
}


def _ways(one: Instruction) -> tuple[str, str]:
    """Return how an instruction keeps bits and rounds; of a kind of somebody's own, the class says it."""
    way = next((_WAYS[kind] for kind in type(one).__mro__ if kind in _WAYS), None)
    return ("own", type(one).__name__) if way is None else way(one)


def _heading(unit: Any) -> str:
    return f"{unit}: {unit.about}" if unit.about else str(unit)


def _settings(unit: Any) -> list[str]:
    """Return what is set beside the instructions, a sentence each."""
    found = []
    if unit.promote is not None:
        found.append(
            f"After each {unit.promote} products the partial result is added in fp32, to nearest even."
        )
    if unit.bias_first:
        found.append("The bias is what the accumulator begins with.")
    return found


def unit_in_text(unit: Any) -> str:
    """Return a unit as a table, with its sources and what it was checked against.

    >>> from floatlab.matrix_units import MatrixUnit
    >>> print(unit_in_text(MatrixUnit("mine", fraction_bits=25, block=16, operands=("fp16",))))
    mine
    operands   L   F  rounding     result
    fp16      16  25  toward zero  fp32
    L products are added at a time. F is how many bits are kept below the largest of them.
    """
    rows = [HEAD, *(line.cells() for line in lines_of(unit.instructions))]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [_heading(unit)]
    for row in rows:
        cells = (
            cell.rjust(width) if name in ("L", "F") else cell.ljust(width)
            for cell, width, name in zip(row, widths, HEAD, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    lines += [_LEGEND, *_settings(unit)]
    lines += [f"Source: {text}" for text in unit.sources] + [f"Checked: {text}" for text in unit.proven]
    return "\n".join(lines)


def unit_in_html(unit: Any) -> Raw:
    """Return the same as HTML, for a notebook."""
    rows = [line.cells() for line in lines_of(unit.instructions)]
    parts = [table(_heading(unit), rows, head=HEAD, note=" ".join([_LEGEND, *_settings(unit)]))]
    known = [("source", text) for text in unit.sources] + [("checked", text) for text in unit.proven]
    if known:
        parts.append(table("", known, texts=2))
    return Raw("".join(parts))
