"""Is every float32 number converted right? All 2^32 of them, against casts by others and against the reference.

*Casts.* The nearest-even codes are compared bit for bit with those of NumPy (float16) and ml_dtypes. The inputs
come in an order that mixes signs and exponents: input i is the bit pattern i * 2654435769 mod 2^32, and since the
factor is odd, every pattern comes up once. (The factor is 2^32 over the golden ratio, so that the first n inputs of
the short form are spread evenly.)

*Steps.* In every deterministic mode, and with a few fixed random integers in the stochastic ones, the rounded values of
all float32 numbers in ascending order are compared with the steps that `floatlab.reference` gives. (Every 7th in the
stochastic modes, every 15th for e8m0, whose rounding is slow; the report counts what is passed over.)

What the casts do otherwise is left out, and counted:

- NaN in fp6 and fp4, which have none: ml_dtypes makes -0 of it, floatlab raises an error;
- the payload of a NaN, which NumPy keeps: only that it is a NaN, and its sign, are compared;
- float32 subnormals to e8m0, which ml_dtypes rounds wrongly (2^-127 * 1.25 becomes 2^-126); these are compared
  with the rule of the reference instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from floatlab.codes.encode import encode
from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize
from floatlab.verify.oracle import (
    DETERMINISTIC,
    INFINITY_PATTERN,
    STOCHASTIC,
    code_values,
    find,
    find_steps,
    float_bits,
)
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "tasks"]

CHUNK = 1 << 24
BLOCK = 1 << 20  # at a time within a chunk
MIX = 2654435769  # odd: i -> i * MIX mod 2^32 visits every bit pattern once
RANDOM_BITS = 8
RANDOM_INTEGERS = (85, 1, 255)


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: for the casts 256 chunks per format, for the steps one for each mode and sign."""
    typed = [fmt for fmt in kinds if fmt.dtype is not None and fmt.bits <= 16]
    return [task for part in (_casts, _steps) for fmt in typed for task in part(fmt, full)]


def _casts(fmt: FloatFormat, full: bool) -> list[Task]:
    peer, pieces = "NumPy" if fmt.dtype == np.float16 else "ml_dtypes", 256 if full else 1
    seconds = 1.4 if fmt.mantissa_bits == 0 or peer == "NumPy" else 0.4
    return [
        Task("conversions", f"casts of {peer}", fmt.name, (), seconds, piece, pieces, full)
        for piece in range(pieces)
    ]


def _steps(fmt: FloatFormat, full: bool) -> list[Task]:
    slow = fmt.mantissa_bits == 0
    details = list(DETERMINISTIC if full or fmt.bits <= 8 else ("nearest_even", "toward_positive"))
    if fmt.bits <= 8:  # longer formats have too many stochastic steps to find; "rounding" has these modes
        integers = RANDOM_INTEGERS if full and not slow else RANDOM_INTEGERS[:1]
        details += [f"{mode} R={integer} of 2^{RANDOM_BITS}" for mode in STOCHASTIC for integer in integers]
    found = []
    for detail in details:
        seconds = 2**31 / _stride(fmt, detail, full) * (7e-8 if slow else 8e-9) + (
            2 if fmt.bits > 8 else 0.05
        )
        part = "steps of the reference"
        found += [
            Task("conversions", part, fmt.name, (), seconds, minus, 2, full, detail) for minus in (0, 1)
        ]
    return found


def _stride(fmt: FloatFormat, detail: str, full: bool) -> int:
    """Return the distance of the float32 numbers that are tried against the steps; odd, so that last bits vary."""
    if not full:
        return 2053
    if fmt.mantissa_bits == 0:
        return 15
    return 7 if detail.startswith("stochastic") else 1


def check(task: Task) -> Outcome:
    """Run one task."""
    if task.part.startswith("casts"):
        return _check_casts(task)
    return _check_steps(task)


def _check_casts(task: Task) -> Outcome:
    fmt, tally = find(task.subject), Tally()
    scale = fmt.specials == "scale"
    steps = find_steps(fmt, "nearest_even", False) if scale else None
    for start in range(task.piece * CHUNK, (task.piece + 1) * CHUNK, BLOCK):
        patterns = np.arange(start, start + BLOCK, dtype=np.uint32) * np.uint32(MIX)
        x = patterns.view(np.float32)
        if fmt.nan_code is None:
            tally.exclude("NaN, which the format does not have", int(np.isnan(x).sum()))
            x = x[~np.isnan(x)]
        codes = encode(x, fmt)
        with np.errstate(all="ignore"):
            expected = x.astype(fmt.dtype).view(codes.dtype)
        if fmt.dtype == np.float16:
            expected = _without_payload(expected)
        if scale:  # where ml_dtypes is wrong, ask the steps
            assert steps is not None
            small = (x != 0) & (np.abs(x) < 2.0**-126) & ~np.signbit(x)
            places = np.searchsorted(steps.starts, x[small].view(np.uint32).astype(np.int64), side="right")
            expected[small] = steps.codes[places - 1].astype(codes.dtype)
            tally.exclude("float32 subnormals, compared with the reference instead", int(small.sum()))
            tally.comparisons -= int(small.sum())
        if fmt.dtype is not None and fmt.bits < 8:  # ml_dtypes leaves the upper bits of the byte as they are
            expected = expected & np.uint8((1 << fmt.bits) - 1)
        tally.compare(codes, expected, lambda i, x=x: f"encode({_hex(x[i])}, {fmt.name})")
    return tally.outcome()


def _without_payload(codes: Array) -> Array:
    """Replace every NaN of float16 by the quiet one of its sign with no payload."""
    nan = (codes & 0x7FFF) > 0x7C00
    codes[nan] = codes[nan] & 0x8000 | 0x7E00
    return codes


def _check_steps(task: Task) -> Outcome:
    fmt, tally, minus = find(task.subject), Tally(), task.piece == 1
    mode, _, integer = task.detail.partition(" R=")
    options: dict[str, Any] = {}
    random_integer = 0
    if integer:
        random_integer = int(integer.partition(" ")[0])
        options = {"random_bits": RANDOM_BITS, "random_integers": np.int64(random_integer)}
    steps = find_steps(fmt, mode, minus, random_integer, RANDOM_BITS if integer else 0)
    table = float_bits(code_values(fmt).astype(np.float32), fmt)
    stop = 1 << 31 if fmt.has_nan else INFINITY_PATTERN + 1
    step = _stride(fmt, task.detail, task.full)
    count = -(-stop // step)
    for start in range(0, count, BLOCK):
        n = min(BLOCK, count - start)
        patterns = np.arange(start, start + n, dtype=np.int64) * step
        words = patterns.astype(np.uint32) | np.uint32(minus << 31)
        x = words.view(np.float32)
        values = quantize(x, fmt, rounding=mode, **options)
        expected = table[steps.expected(start * step, step, n)]
        tally.compare(
            float_bits(values, fmt),
            expected,
            lambda i, x=x: f"quantize({_hex(x[i])}, {fmt.name}, {task.detail}) as bits",
        )
    if not fmt.has_nan:
        tally.exclude("NaN, which the format does not have", ((1 << 31) - stop) // step)
    if step > 1:
        tally.exclude("float32 numbers passed over between those tried", stop - count)
    return tally.outcome()


def _hex(x: np.floating[Any]) -> str:
    return float(x).hex() if np.isfinite(x) else str(x)
