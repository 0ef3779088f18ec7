"""From C++ to a function: a shared library for each source, made once and kept in the temporary folder.

A kernel of rounding is compiled with the constants of its conversion (``const int MANTISSA_BITS = 3;``), which takes a
second; there are thousands of conversions. Here the same lines are compiled once, with the constants as variables that
are set before each run. The exhaustive runs and the PTX are made with the constants in their places.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["CUDA", "compiled", "compiler", "library", "loosened"]

# No contraction of a product and a sum, no reordering: as `Elementwise.options` says for the device.
_FLAGS = ("-O2", "-std=c++17", "-ffp-contract=off", "-fno-fast-math", "-shared", "-fPIC", "-w")

# Those functions of CUDA that kernels may call, for a processor.
CUDA = r"""
#include <cmath>
#include <cstdint>
#include <cstring>
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __constant__ const
#define __launch_bounds__(...)
template <typename To, typename From> static inline To bits_as_(From x) { To y; memcpy(&y, &x, sizeof y); return y; }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
static inline long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
static inline unsigned __float_as_uint(float x) { return bits_as_<unsigned>(x); }
static inline int __float_as_int(float x) { return bits_as_<int>(x); }
static inline float __uint_as_float(unsigned x) { return bits_as_<float>(x); }
static inline float __int_as_float(int x) { return bits_as_<float>(x); }
static inline long long __double_as_longlong(double x) { return bits_as_<long long>(x); }
static inline double __longlong_as_double(long long x) { return bits_as_<double>(x); }
static inline double __dadd_rn(double x, double y) { return x + y; }
static inline double __dmul_rn(double x, double y) { return x * y; }
static inline double __ddiv_rn(double x, double y) { return x / y; }
static inline double __dsqrt_rn(double x) { return std::sqrt(x); }
static inline double __fma_rn(double x, double y, double z) { return std::fma(x, y, z); }
template <typename T> static inline T min(T x, T y) { return y < x ? y : x; }
template <typename T> static inline T max(T x, T y) { return x < y ? y : x; }
using std::abs; using std::ceil; using std::copysign; using std::floor; using std::fma; using std::isfinite;
using std::isinf; using std::isnan; using std::ldexp; using std::nextafter; using std::rint; using std::signbit;
using std::sqrt; using std::trunc;
"""


def compiler() -> str | None:
    """Return the C++ compiler of this machine: $CXX, g++, c++ or clang++; None if there is none."""
    names = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


_CONSTANT = re.compile(r"^const (int|word|uint64) ([A-Z_]+) = (-?\d+)(?:ull)?;$", re.MULTILINE)


def loosened(source: str) -> tuple[ctypes.CDLL, dict[str, int]]:
    """Return a source as a library, with its constants set to what they are; and their values by name."""
    values = {name: int(value) for _, name, value in _CONSTANT.findall(source)}
    setting = "".join(f"{name} = (decltype({name}))v[{place}]; " for place, name in enumerate(values))
    variables = _CONSTANT.sub(r"static \1 \2;", source)
    made = library(f'{variables}\nextern "C" void set(const uint64_t* v) {{ {setting} }}\n')
    numbers = (ctypes.c_uint64 * max(len(values), 1))(*(value % 2**64 for value in values.values()))
    made.set(numbers)
    return made, values


def compiled(source: str) -> Any:
    """Return the function ``run`` of a C++ source, which may call what `CUDA` declares."""
    return loosened(source)[0].run


@functools.lru_cache(maxsize=4096)
def library(source: str) -> ctypes.CDLL:
    """Return a C++ source, which may call what `CUDA` declares, as a library."""
    program = compiler()
    assert program is not None, "no C++ compiler"
    source = CUDA + source
    key = hashlib.sha256("\0".join([source, program, *_FLAGS]).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"floatlab-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f"{key}.so"
    if not made.exists():
        own = folder / f"{key}.{os.getpid()}"  # another process may be making the same one
        text, fresh = own.with_suffix(f"{own.suffix}.cpp"), own.with_suffix(f"{own.suffix}.so")
        text.write_text(source, encoding="utf-8")
        run = subprocess.run([program, *_FLAGS, "-o", fresh, text], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{source}\n{run.stderr}")
        text.unlink()
        fresh.replace(made)
    return ctypes.CDLL(str(made))
