"""What does each rule make of the same numbers? A table of scales, losses and errors, rule by rule, library by library.

Elements that saturate, that become zero, and that are NaN are counted as they come out: from the numbers before and
after, and not from what a rule intends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.block_array import BlockArray
from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.catalogue import block_format
from floatlab.block_formats.quantize import encode_blocks
from floatlab.block_formats.scale_rules import RULES
from floatlab.rounding.inputs import exact_source
from floatlab.rounding.quantize import quantize
from floatlab.system.html import number, table

__all__ = ["BlockCounts", "RuleComparison", "RuleOutcome", "compare_rules", "count_blocks", "masks"]


@dataclass(frozen=True)
class BlockCounts:
    """What became of the numbers of an array of blocks.

    Attributes
    ----------
    elements, blocks : int
        How many there are.
    saturated : int
        Elements that are the largest value although the number, over its scale, is beyond it.
    flushed : int
        Numbers that were not zero and are.
    nan : int
        Elements of blocks that are lost.
    blocks_by_scale : dict
        How many blocks have each scale; the scales as numbers, NaN as "nan".
    """

    elements: int
    blocks: int
    saturated: int
    flushed: int
    nan: int
    blocks_by_scale: dict[float | str, int]


def count_blocks(x: Any, blocks: BlockArray) -> BlockCounts:
    """Return what became of numbers that were encoded as blocks.

    Parameters
    ----------
    x : array_like
        The numbers.
    blocks : BlockArray
        What `floatlab.encode` made of them.

    Examples
    --------
    >>> x = [449.0, 1e-9, 1.0]
    >>> count = count_blocks(x, encode_blocks(x, "mxfp8_e4m3"))
    >>> count.saturated, count.flushed, count.blocks_by_scale
    (1, 1, {1.0: 1})
    """
    saturated, flushed, lost = (int(np.count_nonzero(mask)) for mask in masks(x, blocks))
    scales: Counter[float | str] = Counter(
        "nan" if s != s else s for s in blocks.scale_values.reshape(-1).astype(float).tolist()
    )
    return BlockCounts(
        elements=blocks.size,
        blocks=blocks.scales.size,
        saturated=saturated,
        flushed=flushed,
        nan=lost,
        blocks_by_scale=dict(sorted(scales.items(), key=lambda item: (isinstance(item[0], str), item[0]))),
    )


def masks(x: Any, blocks: BlockArray) -> tuple[Array, Array, Array]:
    """Return where numbers saturated, where they became zero without being it, and where their block is lost.

    >>> x = [449.0, 1e-9, 1.0]
    >>> [mask.tolist() for mask in masks(x, encode_blocks(x, "mxfp8_e4m3"))]
    [[True, False, False], [False, True, False], [False, False, False]]
    """
    values, numbers = blocks.decode(np.float64), _numbers(x, blocks.format)
    lost = np.isnan(values)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(numbers) > np.abs(values)
    at_the_end = np.abs(blocks.elements) == blocks.format.parts.max
    return at_the_end & beyond & ~lost, (values == 0) & (numbers != 0), lost


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule made of the numbers.

    Attributes
    ----------
    rule, arithmetic, who : str
        The rule, whose steps, and who computes so.
    scale : float
        The scale of the first block, with the tensor's.
    counts : BlockCounts
    error : float
        The relative error: the root of the sum of squared errors, over that of the squared numbers. NaN where numbers
        are lost.
    blocks : BlockArray
        What the numbers became.
    """

    rule: str
    arithmetic: str
    who: str
    scale: float
    counts: BlockCounts
    error: float
    blocks: BlockArray

    @property
    def values(self) -> Array:
        """What the numbers became, in float64."""
        return self.blocks.decode(np.float64)


class RuleComparison(tuple[RuleOutcome, ...]):
    """Outcomes, rule by rule: a tuple that a notebook shows as a table, and a terminal as lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        head = ("rule", "scale", "saturated", "flushed", "nan", "error")
        return "\n".join(
            f"{r[0]:<22}{r[1]:>14}{r[2]:>11}{r[3]:>9}{r[4]:>6}{r[5]:>11}" for r in (head, *self._rows())
        )

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for one in self:
            name = one.rule if one.arithmetic == "exact" else f"{one.rule}, {one.arithmetic}"
            counts = (one.counts.saturated, one.counts.flushed, one.counts.nan)
            yield name, f"{one.scale:.6g}", *map(str, counts), f"{one.error:.4%}"

    def _repr_html_(self) -> str:
        rows = [(*row, one.who) for row, one in zip(self._rows(), self, strict=True)]
        head = ("rule", "scale", "saturated", "flushed", "NaN", "error", "who")
        return table(
            "What each rule makes of the numbers",
            rows,
            head=head,
            note=f"{number(self[0].counts.elements)} numbers",
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a row for each rule, ready for pandas."""
        return [
            {"rule": one.rule, "arithmetic": one.arithmetic, "scale": one.scale, "saturated": one.counts.saturated,
             "flushed": one.counts.flushed, "nan": one.counts.nan, "error": one.error}
            for one in self
        ]  # fmt: skip


def compare_rules(
    x: Any, fmt: str | BlockFormat = "mxfp8_e4m3", *, axis: int | None = None
) -> RuleComparison:
    """Return what every rule, and every library's way to compute it, makes of numbers.

    Parameters
    ----------
    x : array_like
        Real numbers: one block, or many. They are taken as float32, which libraries compute in.
    fmt : str or BlockFormat
        The format whose rules are compared: those that its scales can carry.
    axis : int, optional
        As of `floatlab.quantize`.

    Returns
    -------
    RuleComparison
        A tuple of `RuleOutcome`.

    Examples
    --------
    >>> compare_rules([449.0, 100.0, 1.0], "mxfp8_e4m3")
    rule                           scale  saturated  flushed   nan      error
    floor                              1          1        0     0    0.8963%
    ceil                               2          0        0     0    0.8963%
    even                               1          1        0     0    0.8963%
    rceil                              2          0        0     0    0.8963%
    nearest                            1          1        0     0    0.8963%
    """
    fmt = block_format(fmt)
    numbers = quantize(x, "float32").astype(np.float32, copy=False)
    found = []
    for rule in RULES.values():
        if not rule.fits(fmt.scale) or (rule.power and fmt.scale.mantissa_bits):
            continue
        if rule.name == "nvfp4_4over6" and fmt.parts.max != 6.0:
            continue
        for arithmetic in rule.arithmetics:
            found.append(_outcome(numbers, fmt, rule.name, arithmetic, rule.who, axis))
    return RuleComparison(found)


def _outcome(
    x: Array, fmt: BlockFormat, rule: str, arithmetic: str, who: str, axis: int | None
) -> RuleOutcome:
    blocks = encode_blocks(x, fmt, rule=rule, arithmetic=arithmetic, axis=axis)
    values, wide = blocks.decode(np.float64), x.astype(np.float64)
    power = float(np.sum(wide**2))
    with np.errstate(all="ignore"):
        error = float(np.sqrt(np.sum((values - wide) ** 2) / power)) if power else 0.0
    tensor = 1.0 if blocks.tensor_scale is None else float(blocks.tensor_scale)
    scale = float(blocks.scale_values.reshape(-1)[0]) * tensor if blocks.scales.size else float("nan")
    return RuleOutcome(rule, arithmetic, who, scale, count_blocks(x, blocks), error, blocks)


def _numbers(x: Any, fmt: BlockFormat) -> Array:
    """Return the numbers as float64, rounded to odd where they are none."""
    return exact_source(x, fmt.parts.grid, 26)[0].astype(np.float64)
