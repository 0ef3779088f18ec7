"""What happens to the numbers of one tensor in a format? Two passes over it, some thousand numbers at a time.

The first pass finds what is there: zeros, NaNs, infinities, the largest and the smallest number, and a sample for the
choice of a factor. The second rounds every number in every format, and counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from floatlab.block_formats.block_format import rule_of_scales
from floatlab.block_formats.quantize import encode_blocks
from floatlab.block_formats.scales import tensor_scale_of
from floatlab.formats import FloatFormat
from floatlab.inspection.outcomes import Outcome, TensorReport
from floatlab.inspection.scales import (
    BLOCKS,
    best_power,
    best_real,
    block_scaling,
    channel_scales,
    overflow_from,
)
from floatlab.inspection.source import BLOCK, Array, Source
from floatlab.rounding.quantize import quantize

__all__ = ["SCALINGS", "measure"]

#: From the simplest to the one that needs most.
SCALINGS = {
    "none": "nothing is scaled",
    "tensor": "the best power of two for the tensor",
    "tensor_real": "the best factor for the tensor, power of two or not",
    "channel": "a power of two for each index of the first axis",
    "tile128": "a float32 for each 128 numbers along the last axis; formats of at most 8 bits",
    "mx32": "a power of two for each 32 numbers along the last axis, as OCP's MX formats have it; at most 8 bits",
    "nv16": "an e4m3 scale for each 16 numbers along the last axis, and one of the tensor, as NVFP4; at most 8 bits",
}
_SAMPLE = 8192


def measure(
    source: Source,
    formats: Iterable[FloatFormat],
    scaling: Iterable[str],
    *,
    elements: int,
    shape: tuple[int, ...],
    advance: Callable[[int], Any],
) -> TensorReport:
    """Return what becomes of a tensor in each format and scaling.

    Parameters
    ----------
    source : Source
        The tensor, or a sample of it.
    formats : iterable of FloatFormat
        The formats.
    scaling : iterable of str
        As in `SCALINGS`. A tensor of one axis has no channels, and no outcome for them.
    elements, shape : int and tuple of int
        Of the whole tensor.
    advance : callable
        Called with a number of elements after each pass over them.

    Raises
    ------
    DataError
        If the numbers cannot be read.
    """
    report = partial(TensorReport, name=source.name, dtype=source.dtype, shape=shape, elements=elements)
    if source.read is None:
        is_float = source.dtype.startswith(("float", "longdouble"))  # of a type that is no float64
        return report(measured=0, note="not read" if is_float else "not floats")
    found = _Survey(source, advance)
    kinds = [kind for kind in scaling if kind != "channel" or len(source.shape) > 1]
    tallies = [
        _Tally(fmt, kind, found)
        for fmt in formats
        for kind in kinds
        if kind not in BLOCKS or block_scaling(kind, fmt) is not None
    ]
    line = source.shape[-1] if source.shape else 1
    for start, block in source.blocks():
        x = _finite(block)
        zeros = x.size - int(np.count_nonzero(x))
        rows = found.largest_of_rows(x, start) if "channel" in kinds else None
        for tally in tallies:
            tally.add(x, zeros, rows, line)
        advance(block.size)
    return report(
        measured=source.size,
        zeros=found.zeros,
        nans=found.nans,
        infinities=found.infinities,
        largest=found.largest,
        smallest=found.smallest if found.nonzero else 0.0,
        note="a sample" if source.size < elements else "",
        outcomes=tuple(tally.outcome(source.name) for tally in tallies),
    )


def _finite(block: Array) -> Array:
    """Return numbers with zeros in place of NaNs and infinities: zeros change no count and no sum."""
    finite = np.isfinite(block)
    return block if finite.all() else np.where(finite, block, block.dtype.type(0))


class _Survey:
    """The first pass: what is there."""

    def __init__(self, source: Source, advance: Callable[[int], Any]) -> None:
        self.zeros = self.nans = self.infinities = 0
        self.largest, self.smallest = 0.0, math.inf
        self._row = max(source.row, 1)
        self._long_rows = np.zeros(source.shape[0]) if self._row > BLOCK else None
        step = max(1, source.size // _SAMPLE)
        parts: list[Array] = []
        for start, block in source.blocks():
            self._see(block, start)
            parts.append(_finite(block)[-start % step :: step].astype(np.float64))  # no view: the block goes
            advance(block.size)
        self.nonzero = source.size - self.zeros - self.nans - self.infinities
        sample = np.concatenate([*parts, []])
        if np.max(np.abs(sample), initial=0.0) < self.largest:
            sample = np.append(sample, self.largest)
        self.sample = sample[sample != 0]

    def _see(self, block: Array, start: int) -> None:
        self.nans += int(np.count_nonzero(np.isnan(block)))
        self.infinities += int(np.count_nonzero(np.isinf(block)))
        self.zeros += int(block.size - np.count_nonzero(block))
        size = np.abs(_finite(block))
        largest = float(np.max(size))
        self.largest = max(self.largest, largest)
        self.smallest = min(self.smallest, float(np.min(size, where=size > 0, initial=np.inf)))
        if self._long_rows is not None:
            row = start // self._row
            self._long_rows[row] = max(self._long_rows[row], largest)

    def largest_of_rows(self, x: Array, start: int) -> Array:
        """Return the largest magnitude in each row that a block holds, or has a part of."""
        if self._long_rows is not None:
            return self._long_rows[start // self._row : start // self._row + 1]
        return np.asarray(np.max(np.abs(x.reshape(-1, self._row)), axis=1), np.float64)

    def stays_exact(self, scale: float) -> bool:
        """Whether a power of two times any number, in float32, is the exact product."""
        info = np.finfo(np.float32)
        normal = (scale, self.smallest * scale, self.largest * scale)
        return all(float(info.tiny) <= x <= float(info.max) for x in normal)


@dataclass
class _Tally:
    """The second pass, of one format and scaling: counts and sums."""

    fmt: FloatFormat
    kind: str
    found: _Survey
    underflow: int = 0
    subnormal: int = 0
    overflow: int = 0
    relative: float = 0.0
    sums: Array = field(default_factory=lambda: np.zeros(4))  # of x², error², x · result, result²
    scale: float | None = 1.0

    def __post_init__(self) -> None:
        sample = self.found.sample
        self._blocks = block_scaling(self.kind, self.fmt) if self.kind in BLOCKS else None
        if self.kind == "channel" or self._blocks is not None:
            self.scale = None
        elif self.kind != "none" and sample.size:
            self.scale = (best_power if self.kind == "tensor" else best_real)(sample, self.fmt)
        # Squares of numbers near 1 neither overflow nor vanish.
        self._unit = math.ldexp(1.0, -max(-1000, min(1000, math.frexp(self.found.largest)[1])))
        self._overflows = np.float64(overflow_from(self.fmt))
        self._normal = np.float64(self.fmt.smallest_normal)

    def add(self, x: Array, zeros: int, rows: Array | None, line: int) -> None:
        """Round a block of finite numbers, so many of them zeros, and count; lines of the last axis are so long."""
        if self._blocks is not None:
            y, q, back = self._in_blocks(x, line)
        else:
            y, back = self._scaled(x, rows)
            q = quantize(y, self.fmt, overflow="saturate")
        gone = q.size - np.count_nonzero(q)
        self.underflow += int(gone - zeros)
        self.subnormal += int(np.count_nonzero(np.abs(q) < self._normal) - gone)
        self.overflow += int(np.count_nonzero(np.abs(y) >= self._overflows))
        if gone > zeros:
            self.relative = max(self.relative, 1.0)
        y, q = y.astype(np.float64, copy=False), q.astype(np.float64, copy=False)
        error = q - y
        there = y != 0
        share = np.divide(error, y, out=np.zeros_like(y), where=there)
        self.relative = max(self.relative, float(np.max(np.abs(share), initial=0.0)))
        y, q, error = y * back, q * back, error * back
        self.sums += (y @ y, error @ error, y @ q, q @ q)

    def _in_blocks(self, x: Array, line: int) -> tuple[Array, Array, Array]:
        """Return numbers over the scales of their blocks, what these become, and factors as `_scaled` has them."""
        assert self._blocks is not None
        options: dict[str, Any] = {}
        if self._blocks.tensor_scale is not None:
            rule = rule_of_scales(self._blocks, None)
            options["tensor_scale"] = tensor_scale_of(self.found.largest, self._blocks, rule, "exact").value
        lines = x.reshape(-1, min(line, x.size))
        coded = encode_blocks(lines, self._blocks, **options)
        scales = coded.spread_scales().reshape(-1)
        scales[scales == 0] = 1.0  # where every number becomes zero
        return x / scales, coded.elements.reshape(-1), self._unit * scales

    def _scaled(self, x: Array, rows: Array | None) -> tuple[Array, Any]:
        """Return the scaled numbers, and the factor that brings them to the unit of the sums."""
        if self.scale is None:
            assert rows is not None
            scales = np.repeat(channel_scales(rows, self.fmt), x.size // rows.size)
            return x * scales, self._unit / scales
        if self.scale == 1.0:
            return x, self._unit
        exact = x.dtype == np.float32 and self.kind == "tensor" and self.found.stays_exact(self.scale)
        y = x * np.float32(self.scale) if exact else x * np.float64(self.scale)
        return y, self._unit / self.scale

    def outcome(self, name: str) -> Outcome:
        """Return what has been counted, of the tensor of this name."""
        signal, noise, cross, result = self.sums.tolist()
        there = self.found.nonzero > 0
        sqnr = math.nan if not there else math.inf if not noise else 10 * math.log10(signal / noise)
        cosine = math.nan if not there else cross / math.sqrt(signal * result) if result else 0.0
        return Outcome(
            tensor=name,
            format=self.fmt.spec,
            bits=self.fmt.bits if self._blocks is None else self._blocks.bits_per_value,
            scaling=self.kind,
            scale=self.scale,
            nonzero=self.found.nonzero,
            underflow=self.underflow,
            subnormal=self.subnormal,
            overflow=self.overflow,
            sqnr=sqnr,
            cosine=min(cosine, 1.0) if there else cosine,
            relative_error=self.relative if there else math.nan,
        )
