"""Do IEEE 754's own operations come out right, flags and all? Against Berkeley SoftFloat.

``+ - * /``, sqrt and fma of float16, float32 and bfloat16, in SoftFloat's five modes, on random codes, on codes near
the ends and near one another, and on exact cases; results and the five flags are compared, tininess after rounding.

SoftFloat has no arithmetic in bfloat16. There its float32 operation runs toward zero, and where that is inexact the
last bit of the result is made 1 (rounding to odd); converting this to bfloat16 rounds as the exact result would,
since float32 has 16 bits to spare and the same exponents.

Left open by IEEE 754, and not compared: which NaN; whether fma(0, infinity, NaN) is invalid. Only quiet NaNs are
given, as floatlab has no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from floatlab.codes.decode import decode
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.verify.oracle import find, float_bits
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "tasks"]

OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
MODES = {
    "nearest_even": "NEAR_EVEN",
    "nearest_away": "NEAR_MAX_MAG",
    "toward_zero": "MIN_MAG",
    "toward_negative": "MIN",
    "toward_positive": "MAX",
}
FLAGS = {
    "invalid": "INVALID",
    "divide_by_zero": "INFINITE",
    "overflow": "OVERFLOW",
    "underflow": "UNDERFLOW",
    "inexact": "INEXACT",
}
_FLOAT16, _BFLOAT16, _FLOAT32 = (get_format(name) for name in ("float16", "bfloat16", "float32"))
NAMES = {"subtract": "sub", "multiply": "mul", "divide": "div", "fma": "mul_add"}


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format, operation and mode."""
    found = []
    for fmt in kinds:
        if fmt not in (_FLOAT16, _BFLOAT16, _FLOAT32):
            continue
        for name in OPERATIONS:
            for mode in MODES:
                seconds = (0.9 if full else 0.02) * (2 if name == "fma" else 1)
                part, detail = "SoftFloat", f"{name} {mode}"
                found.append(
                    Task("softfloat", part, fmt.name, ("softfloatpy",), seconds, full=full, detail=detail)
                )
    return found


def operands(fmt: FloatFormat, count: int, size: int, seed: int) -> Array:
    """Return `count` rows of codes (one row for each operand), random and on the edges; no signaling NaN."""
    rng = np.random.default_rng([fmt.bits, fmt.mantissa_bits, seed])
    m, top = fmt.mantissa_bits, (1 << fmt.bits - 1) - 1
    infinity = fmt.inf_code or 0
    edges = [
        0,
        1,
        2,
        (1 << m) - 1,
        1 << m,
        (1 << m) + 1,
        infinity - 1,
        infinity - 2,
        infinity,
        infinity | 1 << m - 1,
    ]
    one = fmt.bias << m if fmt.bias else 0
    edges += [one - 1, one, one + 1, one + (1 << m), one - (1 << m), one + (1 << m - 1)]
    kinds = [
        rng.integers(0, top, (count, size)),
        rng.choice(edges, (count, size)),
        one + rng.integers(-2 << m, 2 << m, (count, size)),  # near 1
        rng.integers(0, 4 << m, (count, size)),  # near and below the smallest normal value
        infinity - rng.integers(0, 3 << m, (count, size)),  # near the largest
        (rng.integers(0, infinity, (1, size)) + rng.integers(-3, 4, (count, size))),  # near one another
        rng.integers(0, infinity >> m, (count, size)) << m,  # powers of two
    ]
    which = rng.choice(len(kinds), size, p=[0.4, 0.1, 0.15, 0.1, 0.05, 0.15, 0.05])
    codes = np.choose(which[None, :], kinds)
    codes = np.where(rng.random((count, size)) < 0.03, rng.choice(edges, (count, size)), codes)
    codes = np.clip(codes, 0, top)
    codes = np.where(codes > infinity, codes | 1 << m - 1, codes)
    signs: Array = rng.integers(0, 2, (count, size)) << fmt.bits - 1
    return codes | signs


def check(task: Task) -> Outcome:
    """Run one task."""
    fmt, tally = find(task.subject), Tally()
    name, mode = task.detail.split()
    size = 200_000 if task.full else 4_000
    seed = list(OPERATIONS).index(name) * len(MODES) + list(MODES).index(mode)
    codes = operands(fmt, OPERATIONS[name], size, seed)
    expected, raised = _by_softfloat(fmt, name, mode, codes)
    x = tuple(decode(row.astype(fmt.code_dtype), fmt) for row in codes)
    values, flags = operate(name, x, fmt, rounding=mode, return_flags=True)
    wanted = decode(expected.astype(fmt.code_dtype), fmt)

    def describe(what: str) -> Callable[[int], str]:
        return lambda i: f"{what} of {[float(one[i]).hex() for one in x]} in {fmt.name}, {mode}"

    tally.compare(_bits(values, fmt), _bits(wanted, fmt), describe(f"{name}, as bits,"))
    plain = operate(name, x, fmt, rounding=mode)
    tally.compare(_bits(plain, fmt), _bits(wanted, fmt), describe(f"{name} without flags, as bits,"))
    open_case = np.zeros(size, bool)
    if name == "fma":
        open_case = np.isnan(x[2]) & (((x[0] == 0) & np.isinf(x[1])) | (np.isinf(x[0]) & (x[1] == 0)))
        tally.exclude("flags of fma(0, infinity, NaN), which IEEE 754 leaves open", int(open_case.sum()))
    import softfloatpy

    for flag, theirs in FLAGS.items():
        bit = int(getattr(softfloatpy.ExceptionFlag, theirs))
        wanted_flag = (raised & bit) != 0
        got = np.asarray(getattr(flags, flag))
        tally.compare(np.where(open_case, wanted_flag, got), wanted_flag, describe(f"flag {flag} of {name}"))
    return tally.outcome()


def _bits(values: Any, fmt: FloatFormat) -> Array:
    """Return the bits of values, with one pattern for every NaN."""
    wide = np.asarray(values).astype(np.float64)
    return float_bits(np.where(np.isnan(wide), np.nan, wide), fmt)


def _by_softfloat(fmt: FloatFormat, name: str, mode: str, codes: Array) -> tuple[Array, Array]:
    """Return SoftFloat's codes and flags."""
    import softfloatpy as sf

    sf.set_tininess_mode(sf.TininessMode.AFTER_ROUNDING)
    rounding = getattr(sf.RoundingMode, MODES[mode])
    inexact, tiny = int(sf.ExceptionFlag.INEXACT), int(sf.ExceptionFlag.UNDERFLOW)
    narrow = fmt == _BFLOAT16
    kind, width = (sf.Float16, 2) if fmt == _FLOAT16 else (sf.Float32, 4)
    prefix = "f16" if fmt == _FLOAT16 else "f32"
    operation = getattr(sf, f"{prefix}_{NAMES.get(name, name)}")
    sf.set_rounding_mode(sf.RoundingMode.MIN_MAG if narrow else rounding)
    shift = 16 if narrow else 0
    results, flags = [], []
    for row in codes.T.tolist():
        numbers = [kind.from_bytes((code << shift).to_bytes(width, "big")) for code in row]
        sf.set_exception_flags(0)
        result = operation(*numbers)
        raised = int(sf.get_exception_flags())
        if narrow:
            sf.set_rounding_mode(rounding)
            if not raised:  # exact: only the sign of a zero depends on the mode
                result = operation(*numbers)
            word = int.from_bytes(result.to_bytes(), "big")
            odd = sf.Float32.from_bytes((word | bool(raised & inexact)).to_bytes(4, "big"))
            sf.set_exception_flags(0)
            result = sf.f32_to_bf16(odd)
            sf.set_rounding_mode(sf.RoundingMode.MIN_MAG)
            raised = int(sf.get_exception_flags()) | raised & ~tiny
        results.append(int.from_bytes(result.to_bytes(), "big"))
        flags.append(raised)
    return np.array(results, np.int64), np.array(flags)
