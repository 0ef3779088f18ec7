"""Counting: 1 + 1 + 1 + ... stops. Where does it, on each chip?

All operands are 1, and the accumulator is the count. A unit that aligns its products cuts a 1 as soon as it lies below
the last fraction bit, that is, if the count has reached 2^(F + 1): Volta counts to 2^24, Ampere to 2^25, Hopper to
2^26, and a Hopper's fp8 unit, with 13 fraction bits, to 2^14. fp32 itself, one addition after the other, stops at 2^24.

The other units add up a block first and round once, to nearest: L ones are lost where they are half a unit in the last
place, at L * 2^24. Arm's rounding to odd stops a step later than the power of two: 2^25 + 2 becomes 2^25 + 4, whose
significand is odd, and then stays there.

Prediction: from F and L by these rules. Measurement: blocks of ones. Within a binade one block does what all others do,
so that only some counts of each are tried, and all near its end; `whole=True` leaves nothing out.
"""

from __future__ import annotations

import math

import numpy as np

from floatlab.experiments.one_dot_product import Case
from floatlab.formats import FloatFormat
from floatlab.matrix_units import MatrixUnit, get_unit, units
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.shown import lines_of

__all__ = ["cases", "measured", "predicted"]

_FP32 = 24  # bits of precision
_LAST = 40  # a count of more bits than any unit reaches
_TRIED = 16  # counts that are tried in a binade, and blocks that are run at its end
#: Units that do not add a whole block at once: where they stop, and why.
_OTHERS = {
    "avx512_bf16": (2**24, "one fused multiply-add after the other, to nearest even"),
    "arm_bf16": (2**25 + 4, "pairs, rounded to odd"),
}


def cases() -> list[Case]:
    """Return every unit of floats with the first format of each line of its table.

    >>> [str(case.format) for case in cases() if case.unit == "h100"]
    ['float16', 'tf32', 'float8_e4m3fn']
    """
    return [
        Case(name, line.operands[0])
        for name in units()
        for line in lines_of(get_unit(name).instructions)
        if not line.kind  # neither blocks with scales nor integers
    ]


def predicted(case: Case) -> tuple[int, str]:
    """Return at which count a unit stops, and why.

    >>> predicted(Case("h100", "fp16"))
    (67108864, 'F = 25: a 1 is cut from 2^26 on')
    """
    if case.unit in _OTHERS:
        return _OTHERS[case.unit]
    one = get_unit(case.unit).instruction(case.format, case.format)
    if isinstance(one, Aligned):
        bits = one.fraction_bits + 1
        return 2**bits, f"F = {one.fraction_bits}: a 1 is cut from 2^{bits} on"
    bits = _FP32 + int(math.log2(one.block))
    return 2**bits, f"L = {one.block} ones are half a unit in the last place at 2^{bits}"


def measured(case: Case, *, whole: bool = False) -> int:
    """Return the count at which one block of ones after the other changes nothing any more.

    >>> measured(Case("h100", "e4m3"))
    16384
    """
    unit = get_unit(f"{case.unit}:bias_first")
    block = unit.instruction(case.format, case.format).block
    count = 0.0
    for bits in range(block.bit_length(), _LAST):
        end = 2.0**bits
        if not whole and end - count > 2 * _TRIED * block:
            tried = _some(count, end, block)
            if (_after(unit, case.format, block, tried) == tried + block).all():
                count = end - _TRIED * block
        while count < end:
            following = float(_after(unit, case.format, block, np.array([count]))[0])
            if following == count:
                return int(count)
            count = following
    return int(count)


def _some(count: float, end: float, block: int) -> np.ndarray:
    """Return counts that are whole blocks away from this one, evenly from it to near the end."""
    steps = int((end - count) // block)
    found: np.ndarray = count + block * np.linspace(0, steps - 1, _TRIED).astype(np.int64)
    return found.astype(np.float32).astype(np.float64)


def _after(unit: MatrixUnit, fmt: FloatFormat, block: int, counts: np.ndarray) -> np.ndarray:
    """Return what one block of ones makes of each count."""
    ones = np.ones((len(counts), block))
    found: np.ndarray = unit.multiply(ones, np.ones((block, 1)), counts[:, None], (fmt, fmt))[:, 0]
    return found
