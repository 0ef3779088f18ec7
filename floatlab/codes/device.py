"""How do the arrays of a device become codes, and codes values? By a kernel each; see `floatlab.rounding.device`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise, array_module
from floatlab.errors import OverflowPolicyError
from floatlab.formats import FloatFormat
from floatlab.rounding.device.constants import KNOWN_MODES, format_constants
from floatlab.rounding.device.files import source, word_type
from floatlab.rounding.device.rounding import round_on_device, run_kernel, words
from floatlab.rounding.options import Rule
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["codes_on_device", "decoding_kernel", "encode_on_device", "encoding_kernel", "values_on_device"]


def encode_on_device(codes: Array, given: Array, rule: Rule, draw: RandomIntegers | None) -> Array:
    """Round an array of a device to a format, and put the codes into another; return that one."""
    if rule.rounding not in KNOWN_MODES:
        values = array_module(given).empty(given.shape, rule.fmt.value_dtype)
        round_on_device(values, given, rule, draw)
        return codes_on_device(values, rule.fmt)
    run_kernel(codes, given, rule, draw, encode=True)
    return codes


def codes_on_device(values: Array, fmt: FloatFormat) -> Array:
    """Return the codes of values that are the format's already, in a device's array of any float type."""
    xp = array_module(values)
    for kind, has, found in (("NaN", fmt.has_nan, xp.isnan), ("infinity", fmt.has_infinity, xp.isinf)):
        if not has and found(values).any():
            raise OverflowPolicyError(
                f"{fmt} has no code for {kind}. Got one. Use encode, which takes a policy."
            )
    codes: Array = xp.empty(values.shape, fmt.code_dtype)
    encoding_kernel(fmt, values.dtype)(words(values), codes)
    return codes


def values_on_device(codes: Array, fmt: FloatFormat) -> Array:
    """Return the values of codes in a device's array."""
    if (
        fmt.dtype is not None and fmt.dtype == fmt.value_dtype
    ):  # float32 and float64: a code is the bits, payload too
        return codes.view(fmt.value_dtype)
    values: Array = array_module(codes).empty(codes.shape, fmt.value_dtype)
    decoding_kernel(fmt)(codes, words(values))
    return values


@lru_cache(maxsize=256)
def encoding_kernel(fmt: FloatFormat, given: np.dtype[Any]) -> Elementwise:
    """Return the kernel that makes codes of values: ``words of the values -> codes``."""
    kind = word_type(fmt.code_dtype)
    operation = f"y = ({kind})code_of(same_number<word>(x))"
    return Elementwise(
        f"{word_type(given)} x", f"{kind} y", operation, "floatlab_encode_values", _preamble(fmt)
    )


@lru_cache(maxsize=256)
def decoding_kernel(fmt: FloatFormat) -> Elementwise:
    """Return the kernel that makes values of codes: ``codes -> words of the values``."""
    inputs, outputs = f"{word_type(fmt.code_dtype)} x", f"{word_type(fmt.value_dtype)} y"
    return Elementwise(inputs, outputs, "y = value_of(x)", "floatlab_decode", _preamble(fmt))


def _preamble(fmt: FloatFormat) -> str:
    return source("words.cuh") + format_constants(fmt, fmt.value_dtype) + source("codes.cuh")
