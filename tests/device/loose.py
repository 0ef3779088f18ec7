"""The C++ of a device's kernels on the processor: floats in, values and codes out."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from device.compiler import loosened
from floatlab.rounding.device.constants import format_constants, rule_constants
from floatlab.rounding.device.files import source, word_type
from floatlab.rounding.device.rounding import carrier_of
from floatlab.rounding.options import Rule


def _library(given: np.dtype[Any], rule: Rule, bits: int) -> tuple[ctypes.CDLL, np.dtype[Any]]:
    """Return the functions of a conversion, and the type of the values."""
    carrier = carrier_of(rule.fmt, given)
    text = f"""{source("words.cuh")}{format_constants(rule.fmt, carrier)}{rule_constants(rule, carrier, bits)}
    {source("rounding.cuh")}{source("codes.cuh")}
    extern "C" void convert(long long n, const {word_type(given)}* x, const uint64* r, word* y, uint64* code) {{
        for (long long i = 0; i < n; i++) {{ y[i] = rounded(same_number<word>(x[i]), r[i]); code[i] = code_of(y[i]); }}
    }}
    extern "C" void values(long long n, const uint64* code, word* y) {{
        for (long long i = 0; i < n; i++) y[i] = value_of(code[i]);
    }}"""
    return loosened(text)[0], carrier


def _at(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def rounded(
    x: np.ndarray[Any, Any], rule: Rule, integers: np.ndarray[Any, Any] | None = None, bits: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what the kernel makes of floats: the values, in the carrier's type, and the codes."""
    x = np.ascontiguousarray(x)
    compiled, carrier = _library(x.dtype, rule, bits)
    drawn = np.zeros(x.size, np.uint64) if integers is None else integers.astype(np.uint64)
    values, codes = np.empty(x.size, carrier), np.empty(x.size, np.uint64)
    compiled.convert(ctypes.c_longlong(x.size), _at(x), _at(drawn), _at(values), _at(codes))
    return values, codes


def decoded(codes: np.ndarray[Any, Any], rule: Rule) -> np.ndarray[Any, Any]:
    """Return the values of codes of a rule's format."""
    compiled, carrier = _library(rule.fmt.value_dtype, rule, 0)
    codes, values = codes.astype(np.uint64), np.empty(codes.size, carrier)
    compiled.values(ctypes.c_longlong(codes.size), _at(codes), _at(values))
    return values
