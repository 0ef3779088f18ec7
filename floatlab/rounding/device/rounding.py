"""How are the arrays of a device rounded? By one kernel in one pass, from words to words."""

from __future__ import annotations

from dataclasses import dataclass
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
    "as_type",
    "carrier_of",
    "kernel_in_fours",
    "put",
    "round_on_device",
    "rounding_kernel",
    "run_kernel",
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


@dataclass(frozen=True)
class _Conversion:
    """One conversion of arrays: what is asked for, and the types of all that takes part."""

    rule: Rule
    given: np.dtype[Any]
    result: np.dtype[Any]
    random_bits: int
    random_dtype: np.dtype[Any] | None
    encode: bool

    @property
    def name(self) -> str:
        what = "encode" if self.encode else "quantize"
        return f"floatlab_{what}_{self.rule.rounding}_{carrier_of(self.rule.fmt, self.given).name}"

    @property
    def preamble(self) -> str:
        """The C++ of one number: ``result_of(x, random)``."""
        carrier, kind = carrier_of(self.rule.fmt, self.given), word_type(self.result)
        value = "rounded(same_number<word>(x), random)"
        result = f"({kind})code_of({value})" if self.encode else f"same_number<{kind}>({value})"
        return "".join(
            (
                source("words.cuh"),
                format_constants(self.rule.fmt, carrier),
                rule_constants(self.rule, carrier, self.random_bits),
                source("rounding.cuh"),
                source("codes.cuh") if self.encode else "",
                f"__device__ inline {kind} result_of({word_type(self.given)} x, uint64 random) {{\n",
                f"    return {result};\n}}\n",
            )
        )

    def parameters(self, raw: str = "") -> str:
        """The inputs of a kernel, each ``raw`` or not."""
        drawn = f", {raw}{word_type(self.random_dtype)} r" if self.random_dtype is not None else ""
        return f"{raw}{word_type(self.given)} x{drawn}"


@lru_cache(maxsize=1024)
def rounding_kernel(
    rule: Rule,
    given: np.dtype[Any],
    result: np.dtype[Any],
    random_bits: int = 0,
    random_dtype: np.dtype[Any] | None = None,
    encode: bool = False,
) -> Elementwise:
    """Return the kernel of a conversion, for arrays of any strides.

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
    wanted = _Conversion(rule, given, result, random_bits, random_dtype, encode)
    operation = f"y = result_of(x, {'0' if random_dtype is None else 'r'})"
    return Elementwise(wanted.parameters(), f"{word_type(result)} y", operation, wanted.name, wanted.preamble)


@lru_cache(maxsize=1024)
def kernel_in_fours(
    rule: Rule,
    given: np.dtype[Any],
    result: np.dtype[Any],
    random_bits: int = 0,
    random_dtype: np.dtype[Any] | None = None,
    encode: bool = False,
) -> Elementwise:
    """Return the kernel of a conversion for arrays that lie in one piece: a thread takes four numbers at once.

    Parameters are those of `rounding_kernel`.

    Returns
    -------
    Elementwise
        ``(words of the numbers[, random integers], n) -> words of the values, or codes[, nan]``, on n numbers; it runs
        n / 4 times, rounded up. Where the format has no NaN, the one element of `nan` is set to 1 if there was one.
    """
    wanted = _Conversion(rule, given, result, random_bits, random_dtype, encode)
    kind, drawn = word_type(result), random_dtype is not None
    looks = not rule.fmt.has_nan
    operation = f"""
        const long long first = 4 * (long long)i;
        {"bool found = false;" if looks else ""}
        if (first + 4 <= n && in_fours(&x[0]) && in_fours(&y[0]){" && in_fours(&r[0])" if drawn else ""}) {{
            const Four<{word_type(given)}> numbers = ((const Four<{word_type(given)}>*)&x[0])[i];
            {
        f"const Four<{word_type(random_dtype)}> drawn = ((const Four<{word_type(random_dtype)}>*)&r[0])[i];"
        if random_dtype is not None
        else ""
    }
            Four<{kind}> done;
            for (int k = 0; k < 4; k++) {{
                done.at[k] = result_of(numbers.at[k], {"drawn.at[k]" if drawn else "0"});
                {"found |= is_nan(numbers.at[k]);" if looks else ""}
            }}
            ((Four<{kind}>*)&y[0])[i] = done;
        }} else for (long long k = first; k < n && k < first + 4; k++) {{
            {"found |= is_nan(x[k]);" if looks else ""}
            y[k] = result_of(x[k], {"r[k]" if drawn else "0"});
        }}
        {"if (found) nan[0] = 1;" if looks else ""}"""
    outputs = f"raw {kind} y" + (", raw uint32 nan" if looks else "")
    preamble = wanted.preamble + source("four.cuh")
    return Elementwise(
        f"{wanted.parameters('raw ')}, int64 n", outputs, operation, f"{wanted.name}_in_fours", preamble
    )


@lru_cache(maxsize=16)
def _conversion(given: np.dtype[Any], result: np.dtype[Any]) -> Elementwise:
    operation = f"y = same_number<{word_type(result)}>(x)"
    return Elementwise(
        f"{word_type(given)} x", f"{word_type(result)} y", operation, "floatlab_convert", source("words.cuh")
    )


def put(target: Array, values: Array) -> None:
    """Copy numbers into an array of a type that holds them, bit for bit, subnormal ones on a device too.

    >>> target = np.empty(1, np.float32)
    >>> put(target, np.float64([2.0**-149]))
    >>> float(target[0]) == 2.0**-149
    True
    """
    if is_gpu_array(target):
        _conversion(values.dtype, target.dtype)(words(values), words(target))
        return
    with np.errstate(all="ignore"):
        target[...] = values


def as_type(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return numbers in a type that holds them: themselves if it is theirs.

    >>> as_type(np.float64([0.5]), np.dtype(np.float32))
    array([0.5], dtype=float32)
    """
    if values.dtype == dtype:
        return values
    result: Array = array_module(values).empty(values.shape, dtype)
    put(result, values)
    return result


def round_on_device(
    target: Array, given: Array, rule: Rule, draw: RandomIntegers | None, start: int = 0
) -> None:
    """Round an array of a device into another, which may be the same; `start` as in `Plan.run`.

    Nothing is read back, but where a format has no NaN: whether there is one is asked then.
    """
    if rule.rounding in KNOWN_MODES:
        run_kernel(target, given, rule, draw, start)
        return
    integers, bits, _ = random_operands(draw, given, start)
    put(target, round_exactly(widened(given), rule, integers[0] if integers else None, bits))
    refuse_nan(target, rule)


def run_kernel(
    target: Array, given: Array, rule: Rule, draw: RandomIntegers | None, start: int = 0, encode: bool = False
) -> None:
    """Round an array of a device into another, values or codes, in a mode that the kernels know."""
    integers, bits, kind = random_operands(draw, given, start)
    arguments = (rule, given.dtype, target.dtype, bits, kind, encode)
    into = target if encode else words(target)
    if not (given.flags.c_contiguous and target.flags.c_contiguous and given.size):
        rounding_kernel(*arguments)(words(given), *integers, into)
        refuse_nan(given if encode else target, rule)
        return
    nan = () if rule.fmt.has_nan else (array_module(given).zeros(1, np.uint32),)
    kernel_in_fours(*arguments)(words(given), *integers, given.size, into, *nan, size=-(-given.size // 4))
    if nan and nan[0].item():
        refuse_nan(given if encode else target, rule)


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
