"""How are the arrays of a device rounded? By one kernel in one pass, from words to words."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise, array_module, is_gpu_array, widened
from floatlab.formats import FloatFormat
from floatlab.rounding.definition import refuse_nan, round_exactly
from floatlab.rounding.device.constants import KNOWN_MODES, format_constants, rule_constants
from floatlab.rounding.device.files import source, word_type
from floatlab.rounding.options import Rule
from floatlab.rounding.random_integers import RandomIntegers

__all__ = [
    "carrier_of",
    "convert",
    "in_value_type",
    "random_operands",
    "round_on_device",
    "rounding_kernel",
    "words",
]


def words(x: Array) -> Array:
    """Return the same memory as unsigned integers: a kernel that takes them cannot flush what they mean.

    >>> words(np.float32([1.0])).tolist() == [0x3F800000]
    True
    """
    return x.view(f"u{x.dtype.itemsize}")


def carrier_of(fmt: FloatFormat, given: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type to round in: float32 where it holds the numbers given and the format, else float64.

    >>> from floatlab.formats import get_format
    >>> carrier_of(get_format("fp16"), np.dtype(np.float16)), carrier_of(get_format("fp64"), np.dtype(np.float32))
    (dtype('float32'), dtype('float64'))
    """
    return np.dtype(np.float64) if given.itemsize == 8 else fmt.value_dtype


@lru_cache(maxsize=1024)
def rounding_kernel(
    rule: Rule,
    given: np.dtype[Any],
    result: np.dtype[Any],
    random_bits: int = 0,
    random_dtype: np.dtype[Any] | None = None,
    encode: bool = False,
) -> Elementwise:
    """Return the kernel of a conversion.

    Parameters
    ----------
    rule : Rule
        What was asked for.
    given, result : dtype
        The type of the numbers, and that of the values, or of the codes.
    random_bits, random_dtype
        How many bits the random integers of stochastic rounding have, and their type.
    encode : bool
        Whether codes are wanted in place of values.

    Returns
    -------
    Elementwise
        ``(words of the numbers[, random integers]) -> words of the values, or codes``.
    """
    carrier = carrier_of(rule.fmt, given)
    draws = random_dtype is not None
    value = f"rounded(same_number<word>(x), {'r' if draws else '0'})"
    kind = word_type(result)
    operation = f"y = ({kind})code_of({value})" if encode else f"y = same_number<{kind}>({value})"
    preamble = "".join(
        (
            source("words.cuh"),
            format_constants(rule.fmt, carrier),
            rule_constants(rule, carrier, random_bits),
            source("rounding.cuh"),
            source("codes.cuh") if encode else "",
        )
    )
    inputs = f"{word_type(given)} x" + (f", {word_type(random_dtype)} r" if random_dtype is not None else "")
    name = f"floatlab_{'encode' if encode else 'quantize'}_{rule.rounding}_{carrier.name}"
    return Elementwise(inputs, f"{kind} y", operation, name, preamble)


@lru_cache(maxsize=16)
def _conversion(given: np.dtype[Any], result: np.dtype[Any]) -> Elementwise:
    operation = f"y = same_number<{word_type(result)}>(x)"
    return Elementwise(
        f"{word_type(given)} x", f"{word_type(result)} y", operation, "floatlab_convert", source("words.cuh")
    )


def convert(target: Array, values: Array) -> None:
    """Copy numbers into an array of another type, which holds them."""
    _conversion(values.dtype, target.dtype)(words(values), words(target))


def in_value_type(values: Array, fmt: FloatFormat) -> Array:
    """Return values of a format, in any type that holds them, in the type that its arrays have; of NumPy's, too.

    >>> from floatlab.formats import get_format
    >>> in_value_type(np.array([1.5]), get_format("fp16")).dtype
    dtype('float32')
    """
    if not is_gpu_array(values) or values.dtype == fmt.value_dtype:
        return values.astype(fmt.value_dtype, copy=False)
    result: Array = array_module(values).empty(values.shape, fmt.value_dtype)
    convert(result, values)
    return result


def round_on_device(
    target: Array, given: Array, rule: Rule, draw: RandomIntegers | None, start: int = 0
) -> None:
    """Round an array of a device into another, which may be the same; `start` as in `Plan.run`.

    Nothing is read back, but where a format has no NaN: whether there is one is asked then.
    """
    integers, bits, kind = random_operands(draw, given, start)
    if rule.rounding in KNOWN_MODES:
        kernel = rounding_kernel(rule, given.dtype, target.dtype, bits, kind)
        kernel(words(given), *integers, words(target))
    else:
        convert(target, round_exactly(widened(given), rule, integers[0] if integers else None, bits))
    refuse_nan(target, rule)


def random_operands(
    draw: RandomIntegers | None, given: Array, start: int
) -> tuple[tuple[Array, ...], int, np.dtype[Any] | None]:
    """Return what a kernel takes for the randomness: the integers of the elements, if any; their bits; their type."""
    if draw is None:
        return (), 0, None
    integers = draw.block(start, given.size).reshape(given.shape)
    if integers.dtype.kind != "u":
        integers = integers.astype(np.uint64)
    return (integers,), draw.bits, integers.dtype
