"""The C++ of a device's kernels on the processor: every conversion from one compilation.

A kernel is compiled with the constants of its conversion, which takes half a second; there are thousands of
conversions. Here the same lines are compiled once for each pair of types, with the constants as variables that are set
before each run. What is compiled with the constants in their places is tried by the stand-in's kernels and by PTX.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.device.constants import format_constants, rule_constants
from floatlab.rounding.device.files import source, word_type
from floatlab.rounding.device.rounding import carrier_of
from floatlab.rounding.options import Rule

COMPILER = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")

SHIM = """
#define __device__
#define __clz(x) __builtin_clz((unsigned)(x))
#define __clzll(x) __builtin_clzll((unsigned long long)(x))
#define __umul64hi(a, b) ((unsigned long long)(((unsigned __int128)(a) * (b)) >> 64))
"""
CONSTANT = re.compile(r"const (int|word|uint64) (\w+) = (-?\d+)(?:ull)?;")


def library(text: str, *flags: str) -> ctypes.CDLL:
    """Return C++ compiled to a library, from a folder of temporary files if it is there already."""
    assert COMPILER is not None
    folder = Path(tempfile.gettempdir()) / "floatlab-kernels"
    folder.mkdir(exist_ok=True)
    name = hashlib.sha256((text + repr(flags)).encode()).hexdigest()[:24]
    made = folder / f"{name}.so"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder) as own:  # workers may compile the same at once
            (Path(own) / "kernel.cpp").write_text(text)
            options = ["-O2", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wno-unused", *flags]
            subprocess.run([COMPILER, *options, "-o", f"{own}/kernel.so", f"{own}/kernel.cpp"], check=True)
            (Path(own) / "kernel.so").rename(made)
    return ctypes.CDLL(str(made))


@functools.cache
def _compiled(given: np.dtype[Any], carrier: np.dtype[Any], fmt: FloatFormat, rule: Rule) -> Any:
    constants = format_constants(fmt, carrier) + rule_constants(rule, carrier, 0)
    loose = CONSTANT.sub(r"static \1 \2;", constants)
    names = [name for _, name, _ in CONSTANT.findall(constants)]
    values = "".join(f"{name} = (decltype({name}))v[{place}]; " for place, name in enumerate(names))
    text = f"""{SHIM}{source("words.cuh")}{loose}{source("rounding.cuh")}{source("codes.cuh")}
    extern "C" void set(const uint64* v) {{ {values} }}
    extern "C" void convert(long long n, const {word_type(given)}* x, const uint64* r, word* y, uint64* code) {{
        for (long long i = 0; i < n; i++) {{ y[i] = rounded(same_number<word>(x[i]), r[i]); code[i] = code_of(y[i]); }}
    }}
    extern "C" void values(long long n, const uint64* code, word* y) {{
        for (long long i = 0; i < n; i++) y[i] = value_of(code[i]);
    }}"""
    return library(text), names


# Any rule has the same names, so the first of each pair of types stands for all.
_FIRST: dict[tuple[np.dtype[Any], np.dtype[Any]], Any] = {}


def _set(given: np.dtype[Any], rule: Rule, bits: int) -> tuple[ctypes.CDLL, np.dtype[Any]]:
    carrier = carrier_of(rule.fmt, given)
    if (given, carrier) not in _FIRST:
        _FIRST[given, carrier] = _compiled(given, carrier, rule.fmt, rule)
    compiled, names = _FIRST[given, carrier]
    text = format_constants(rule.fmt, carrier) + rule_constants(rule, carrier, bits)
    found = {name: int(value) for _, name, value in CONSTANT.findall(text)}
    numbers = np.array([found[name] % 2**64 for name in names], np.uint64)
    assert found.keys() == set(names)
    compiled.set(_at(numbers))
    return compiled, carrier


def _at(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def rounded(
    x: np.ndarray[Any, Any], rule: Rule, integers: np.ndarray[Any, Any] | None = None, bits: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what the kernel makes of floats: the values, in the carrier's type, and the codes."""
    x = np.ascontiguousarray(x)
    compiled, carrier = _set(x.dtype, rule, bits)
    drawn = np.zeros(x.size, np.uint64) if integers is None else integers.astype(np.uint64)
    values, codes = np.empty(x.size, carrier), np.empty(x.size, np.uint64)
    compiled.convert(ctypes.c_longlong(x.size), _at(x), _at(drawn), _at(values), _at(codes))
    return values, codes


def decoded(codes: np.ndarray[Any, Any], rule: Rule) -> np.ndarray[Any, Any]:
    """Return the values of codes of a rule's format."""
    compiled, carrier = _set(rule.fmt.value_dtype, rule, 0)
    codes, values = codes.astype(np.uint64), np.empty(codes.size, carrier)
    compiled.values(ctypes.c_longlong(codes.size), _at(codes), _at(values))
    return values
