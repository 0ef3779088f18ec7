"""The rounding kernel, compiled for the processor with its constants in place, on every float32 number there is.

    PYTHONPATH=tests python -m device.exhaustive            all 2^32 to nearest even, each format: minutes
    PYTHONPATH=tests python -m device.exhaustive --modes    2^28 of them in every other mode: most of an hour

`test_rounding_kernel` tries what is critical, with constants that are variables; a compiler that knows them may do
something else with the same lines.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import floatlab as fl
from device.compiler import library
from floatlab.formats import FloatFormat
from floatlab.rounding.device.constants import format_constants, rule_constants
from floatlab.rounding.device.files import source
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import make_rule

PIECE = 1 << 18
FLOAT32 = np.dtype(np.float32)


def differing(fmt: FloatFormat, mode: str, step: int) -> tuple[int, int]:
    """Return how many of the numbers whose words are multiples of `step` differ, and how many there are."""
    rule = make_rule(fmt, mode, None, "gradual", False)
    bits = 16 if rule.variant else 0
    text = f"""{source("words.cuh")}{format_constants(fmt, FLOAT32)}{rule_constants(rule, FLOAT32, bits)}
    {source("rounding.cuh")}
    extern "C" void run(long long n, const word* x, const uint16* r, word* y) {{
        for (long long i = 0; i < n; i++) y[i] = rounded(x[i], r[i]);
    }}"""
    run = library(text).run

    def piece(start: int) -> int:
        words = np.arange(start, start + PIECE, dtype=np.uint64) * np.uint64(step)
        x = words.astype(np.uint32).view(np.float32)
        if not fmt.has_nan:
            x = np.where(np.isnan(x), np.float32(0), x)
        integers = np.random.default_rng(start).integers(0, 1 << 16, x.size, np.uint16)
        result = np.empty_like(x)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, integers, result)]
        run(ctypes.c_longlong(x.size), *pointers)
        expected = fl.quantize(x, fmt, rounding=mode, **({"random_integers": integers} if bits else {}))
        unlike = expected.view(np.uint32) != result.view(np.uint32)
        if unlike.any():
            nan = np.isnan(expected) & np.isnan(result) & (np.signbit(expected) == np.signbit(result))
            unlike &= ~nan
        return int(unlike.sum())

    total = (1 << 32) // step
    with ThreadPoolExecutor() as pool:
        return sum(pool.map(piece, range(0, total, PIECE))), total


def main() -> None:
    """Print a line for each conversion; exit with 1 if any result differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--modes", action="store_true", help="every other mode, on 2^28 numbers")
    parser.add_argument("--formats", nargs="*", help="these formats alone")
    arguments = parser.parse_args()
    modes = [mode for mode in MODES if mode != "nearest_even"] if arguments.modes else ["nearest_even"]
    formats = [fl.get_format(name) for name in arguments.formats] if arguments.formats else fl.formats()
    wrong = results = 0
    for fmt in (fmt for fmt in formats if fmt.value_dtype == FLOAT32):
        for mode in modes:
            began = time.time()
            unlike, total = differing(fmt, mode, 16 if arguments.modes else 1)
            wrong, results = wrong + unlike, results + total
            print(
                f"{fmt.name:20} {mode:16} {total:,} numbers, {unlike} differ, {time.time() - began:.0f} s",
                flush=True,
            )
    print(f"{results:,} results, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
