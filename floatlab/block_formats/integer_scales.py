"""Which scale, and which zero point? From the numbers themselves, exactly, and rounded once to the scale's format.

- *symmetric*: the largest magnitude becomes the largest code, and 0 is code 0: scale = amax / 127 for int8.
- *affine*: the range from the least to the largest number, widened to hold 0, is spread over all codes: scale =
  (max - min) / 255, and the zero point is the code that 0 becomes, qmin - round(min / scale), ties to even.

The extremes are float64 numbers, or integers rounded to odd at 53 bits, and so is the range. A scale of at most 24 bits
times the number of steps has at most 48, so it compares with them as with the exact numbers: the quotient is that of
the exact ones, rounded once. To nearest, that is; a scale below the smallest normal number of its format, or of a
format with fewer bits than the codes have, is rounded up, lest the largest elements saturate. So it is never 0. Where
all numbers are 0, it is 1.

Source: B. Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference"
(2018), section 2.1, and for rounding the zero point, section 3. PyTorch's own way, the preset "torch":
`torch.ao.quantization.observer`, UniformQuantizationObserverBase.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.groups import Groups
from floatlab.block_formats.integer_format import IntFormat
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.rounding.inputs import as_source

__all__ = ["Scales", "affine", "given_scales", "refuse_special", "scale_format", "symmetric", "torch_scales"]

_LONGEST = 24  # bits, of a scale that is computed
_CODE_BITS = 24  # of the codes, where the scale is computed
_FLOAT32 = get_format("float32")
_TORCH_EPS = np.float32(2.0**-23)  # below which PyTorch's observers let no scale fall


class Scales(NamedTuple):
    """A scale and a zero point for each group."""

    scale: Array
    zero_point: Array


def symmetric(low: Array, high: Array, fmt: IntFormat, of: FloatFormat) -> Scales:
    """Return the scales that make the largest magnitude the largest code.

    >>> from floatlab.block_formats.integer_format import IntFormat
    >>> symmetric(np.array(-254.0), np.array(3.0), IntFormat(8), get_format("fp32")).scale.item()
    2.0
    """
    if not fmt.signed and (low < 0).any():
        raise OptionError(
            f'{fmt} has no code below that of 0 with scheme="symmetric". Got {float(low.min())!r}. '
            'Use scheme="affine", or a signed format.'
        )
    scale = _rounded(np.maximum(-low, high), fmt.max, of, fmt)
    return Scales(scale, np.zeros(scale.shape, np.int32))


def affine(low: Array, high: Array, fmt: IntFormat, of: FloatFormat) -> Scales:
    """Return the scales and zero points that spread the range over all codes.

    >>> from floatlab.block_formats.integer_format import IntFormat
    >>> affine(np.array(0.0), np.array(510.0), IntFormat(8), get_format("fp32"))
    Scales(scale=array(2., dtype=float32), zero_point=array(-128, dtype=int32))
    """
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    span = operate("subtract", (high, low), "float64", rounding="to_odd")
    scale = _rounded(span, fmt.max - fmt.min, of, fmt)
    exact = operate("divide", (low, scale), "float64", rounding="to_odd")  # on the right side of each middle
    zero_point = np.clip(fmt.min - np.rint(exact), fmt.min, fmt.max)
    return Scales(scale, np.asarray(zero_point).astype(np.int64 if fmt.bits > 31 else np.int32))


def _rounded(span: Array, steps: int, of: FloatFormat, fmt: IntFormat) -> Array:
    """Return span / steps as a scale: to nearest, below the smallest normal number up, and 1 for 0."""
    if fmt.bits > _CODE_BITS:
        raise OptionError(
            f"A scale is computed for formats of up to {_CODE_BITS} bits. Got {fmt}. Pass scale=, as a product of two "
            "scales is for a sum of products."
        )
    if (span == 0).any():
        span = np.where(span == 0, float(steps), span)
    nearest = "nearest_even" if of.precision >= fmt.bits else "toward_positive"
    scale = operate("divide", (span, float(steps)), of, rounding=nearest)
    small = scale < of.smallest_normal
    if small.any():
        up = operate("divide", (span, float(steps)), of, rounding="toward_positive")
        scale = np.where(small, up, scale)
    if not (scale <= of.max).all():
        raise OptionError(
            f"A scale is a finite number of {of}. Got a range of {float(span.max())!r} for {steps} steps. "
            "Multiply the numbers by a power of two first, or pass scale=."
        )
    return np.asarray(scale, of.value_dtype)


def torch_scales(low: Array, high: Array, fmt: IntFormat, scheme: str) -> Scales:
    """Return scales and zero points as PyTorch's observers do: float32 arithmetic, half the codes for each side.

    >>> from floatlab.block_formats.integer_format import IntFormat
    >>> torch_scales(np.float32(-1), np.float32(1), IntFormat(8), "symmetric").scale.item()  # 1 / 127.5
    0.007843137718737125
    """
    low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
    steps = fmt.max - fmt.min
    with np.errstate(over="ignore"):
        if scheme == "symmetric":
            scale = np.maximum(np.maximum(-low, high) / np.float32(steps / 2), _TORCH_EPS)
        else:
            scale = np.maximum((high - low) / np.float32(steps), _TORCH_EPS)
    if not np.isfinite(scale).all():
        raise OptionError(
            "A scale is a finite number of float32. Got a range beyond it. Multiply the numbers by a power of two."
        )
    zero = np.full(np.shape(scale), 0 if fmt.signed else (fmt.max + 1) // 2)
    if scheme == "affine":
        zero = np.clip(fmt.min - np.rint(low / scale), fmt.min, fmt.max)
    return Scales(np.asarray(scale, np.float32), np.asarray(zero).astype(np.int32))


def given_scales(scale: Any, zero_point: Any, groups: Groups, fmt: IntFormat) -> Scales:
    """Return the scales and zero points that a caller has passed, checked, in the shape that the groups want.

    A scale is kept as a float32 number if it is one, else as float64.
    """
    given = as_source(scale, get_format("float64"))
    given = _of_groups("scale", given, groups)
    if not ((given > 0) & np.isfinite(given)).all():
        raise OptionError(
            f"A scale is a positive finite number. Got {float(given[~((given > 0) & np.isfinite(given))][0])!r}. "
            "Leave it out to have it computed."
        )
    with np.errstate(over="ignore", under="ignore"):
        short = given.astype(np.float32)
    zero = np.asarray(0 if zero_point is None else zero_point)
    if zero.dtype.kind not in "iu" or (
        zero.size and not fmt.min <= int(zero.min()) <= int(zero.max()) <= fmt.max
    ):
        raise OptionError(
            f"A zero point is one of the codes, an integer from {fmt.min} to {fmt.max}. Got {zero_point!r}. "
            "Use one of these."
        )
    zero = _of_groups("zero_point", zero, groups).astype(np.int64 if fmt.bits > 31 else np.int32)
    return Scales(short if (short == given).all() else given.astype(np.float64), zero)


def _of_groups(name: str, given: Array, groups: Groups) -> Array:
    """Return numbers in the shape of the groups: one for all, one for each in a row, or in that shape."""
    shape = groups.scale_shape
    if given.ndim == 0:
        return np.array(np.broadcast_to(given, shape))
    if given.shape == shape:
        return given
    if groups.kind == "channel" and given.ndim == 1 and given.size == groups.shape[groups.axis or 0]:
        return given.reshape(shape)
    raise ShapeError(
        f"{name} has a number for each group of elements. Got shape {given.shape} where the groups have {shape}. "
        "Use that shape, or one number for all."
    )


def scale_format(fmt: Any) -> FloatFormat:
    """Return the format that scales are rounded to, checked.

    >>> scale_format("bf16").name
    'bfloat16'
    """
    of = get_format(fmt)
    if of.precision > _LONGEST:
        raise OptionError(
            f"A scale that is computed has at most {_LONGEST} bits. Got {of}. "
            'Use "float32", or pass scale= with the numbers themselves.'
        )
    return of


def refuse_special(low: Array, high: Array, why: str, infinities: bool = True) -> None:
    """Raise if the extremes of some numbers say that one of them is NaN, or infinite where that is refused too."""
    nan = np.isnan(low).any() or np.isnan(high).any()
    if nan or (infinities and not (np.isfinite(low).all() and np.isfinite(high).all())):
        raise DtypeError(
            f"{why}. Got {'NaN' if nan else 'an infinity'}. "
            "Replace it first, with numpy.nan_to_num, or use a format of floats."
        )
