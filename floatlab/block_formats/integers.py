"""How do numbers of any kind become integers? A scale for each group, a quotient, rounded once, and an end.

    code = clip(round(x / scale) + zero_point)

The division and the rounding are one step: x / scale is rounded from its exact value, ties included, in every mode of
`floatlab.quantize`. PyTorch multiplies by the float32 number nearest to 1 / scale instead, which is the preset "torch".

`_Rounding.put` walks over the array in parts that stay in the cache. `_Rounding._exactly`, a number at a time on
Python's integers, is what it computes, and where float64 is not enough, how.

Sources: as for `floatlab.block_formats.integer_scales`; ONNX, operator QuantizeLinear, for the order of rounding, zero
point and saturation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.backend import Array, ignore_float_errors, refuse_device
from floatlab.block_formats.groups import Groups, groups_of, in_small_parts
from floatlab.block_formats.integer_array import IntArray
from floatlab.block_formats.integer_format import IntFormat, get_int_format
from floatlab.block_formats.integer_scales import (
    Scales,
    affine,
    given_scales,
    refuse_special,
    scale_format,
    symmetric,
    torch_scales,
)
from floatlab.block_formats.whole_numbers import (
    MARKED,
    depth_of,
    is_short,
    quotients,
    round_fraction,
    round_whole,
)
from floatlab.errors import DtypeError, OptionError, check_option
from floatlab.formats import get_format
from floatlab.rounding.inputs import exact_source
from floatlab.rounding.modes import MODES, OTHER_WORDS, Mode
from floatlab.rounding.odd import Exact
from floatlab.rounding.options import check_names
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["quantize_int"]

_PART = 1 << 14  # elements, whose float64 quotients stay in the cache
_SCHEMES = ("symmetric", "affine")
_OPTIONS = (
    "scheme", "granularity", "axis", "scale", "zero_point", "scale_format", "rounding", "overflow", "rng",
    "random_bits", "random_integers", "preset",
)  # fmt: skip


def quantize_int(
    x: Any,
    fmt: Any = "int8",
    *,
    scheme: str | None = None,
    granularity: str | int = "tensor",
    axis: int | None = None,
    scale: Any = None,
    zero_point: Any = None,
    scale_format: Any = None,
    rounding: str = "nearest_even",
    overflow: str = "saturate",
    rng: np.random.Generator | int | None = None,
    random_bits: int | None = None,
    random_integers: Any = None,
    preset: str | None = None,
    **unknown: Any,
) -> IntArray:
    """Quantize numbers to integers with a scale, or to fixed point, rounded once from the exact x / scale.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind and shape, as `floatlab.quantize` takes them, each at its exact value. No NaN, and an
        infinity only where the scale is given and ends saturate.
    fmt : str, IntFormat or dtype
        "int8", "uint8", "int4" ..., or fixed point as "q8.8": multiples of 2^-8, whose scale is fixed.
    scheme : {"symmetric", "affine"}
        How the scale is computed (`floatlab.block_formats.integer_scales`). Default: "symmetric".
    granularity : "tensor", "channel" or int
        What shares a scale: everything; what has the same index along `axis`; so many neighbours along it, of which the
        last may be fewer.
    axis : int, optional
        Default: the first for "channel" (that of the outputs in a weight), the last for blocks.
    scale, zero_point : array_like, optional
        Given ones, one for all or one for each group, instead of computed ones. Scales are float64 numbers.
    scale_format : str or FloatFormat, optional
        What a computed scale is rounded to: to nearest, ties to even, or up where the format has fewer bits than the
        codes; at most 24 bits long. Default: "float32".
    rounding, rng, random_bits, random_integers
        Those of `floatlab.quantize`.
    overflow : {"saturate", "wrap"}
        Whether a code beyond the end becomes the last one, or what its low bits say in two's complement.
    preset : {None, "torch"}
        "torch" computes as PyTorch's observers and its `quantize_per_tensor` do, in float32: scale amax / 127.5, at
        least 2^-23, and x times the float32 number nearest to 1 / scale. Of float32 numbers only.

    Returns
    -------
    IntArray
        With `codes`, `scale`, `zero_point` and `decode()`.

    Raises
    ------
    DtypeError
        If `x` is not an array of real numbers, or holds a NaN.
    FormatError, OptionError, ShapeError
        If a name, an option, a shape or an axis is none.

    Examples
    --------
    >>> quantize_int([1.0, -2.0, 3.0], "int8").codes
    array([ 42, -85, 127], dtype=int8)
    >>> x = quantize_int([0.0, 1.0, 2.55], "uint8", scheme="affine")
    >>> x.codes, x.zero_point.item()
    (array([  0, 100, 255], dtype=uint8), 0)
    >>> quantize_int([0.1, 200.0], "q8.8").decode()  # the end is 128 - 1/256
    array([1.0156250e-01, 1.2799609e+02], dtype=float32)
    """
    check_environment()
    if unknown:
        check_names("quantize_int", unknown, _OPTIONS)
    fmt, mode = get_int_format(fmt), _mode(rounding)
    check_option("overflow", overflow, ("saturate", "wrap"))
    if overflow == "wrap" and fmt.narrow:
        raise OptionError(
            f'What wraps takes every code of its bits. Got overflow="wrap" for {fmt}, which leaves one out. '
            f'Use "{fmt.name.removesuffix("_narrow")}", or "saturate".'
        )
    refuse_device("What becomes integers", x)
    source, rest, draw = _source(x, mode, rng, random_bits, random_integers)
    groups = groups_of(source.shape, granularity, axis)
    if preset is not None:
        check_option("preset", preset, ("torch",))
        _check_torch(source, fmt, mode)
    low, high = groups.extremes(source)
    given = scale is not None or fmt.frac_bits is not None
    infinite = not given or overflow == "wrap"
    refuse_special(low, high, "An integer stands for a number" + " between two ends" * infinite, infinite)
    scales = _scales(fmt, groups, low, high, scheme, scale, zero_point, scale_format, preset)
    codes = np.empty(source.shape, fmt.dtype)
    with ignore_float_errors(source):
        if preset == "torch":
            _as_torch(codes, source, groups, scales, fmt)
        else:
            bits, integers = 0, None
            if draw is not None:
                bits, integers = draw.bits, draw.block(0, source.size).reshape(source.shape)
            _Rounding(fmt, mode, overflow == "wrap", groups, scales, integers, bits).put(codes, source, rest)
    return IntArray(fmt, codes, scales.scale, scales.zero_point, groups)


# -- what is asked for -------------------------------------------------------------------------------------------


def _mode(rounding: str) -> Mode:
    check_option("rounding", rounding, MODES, meanings=OTHER_WORDS)
    return MODES[rounding]


def _source(
    x: Any, mode: Mode, rng: Any, random_bits: int | None, random_integers: Any
) -> tuple[Array, dict[int, Exact], RandomIntegers | None]:
    """Return the numbers, those of them that no float64 is, and a stochastic rounding's integers."""
    source, rest = exact_source(x, get_format("float64"))
    source = np.ascontiguousarray(source).reshape(source.shape)
    draw = None
    if mode.variant is not None:
        draw = RandomIntegers(rng, random_bits, random_integers)
        draw.fit(source)
        draw.hold(source.size)
    return source, rest, draw


def _check_torch(source: Array, fmt: IntFormat, mode: Mode) -> None:
    if source.dtype.itemsize > 4:
        raise DtypeError(
            'The preset "torch" computes in float32, as PyTorch does. Got numbers of float64. '
            "Round them first, with x.astype(numpy.float32)."
        )
    if fmt.frac_bits is not None or fmt.bits > 8 or mode.name != "nearest_even":
        raise OptionError(
            'The preset "torch" knows integers of up to 8 bits, rounded to nearest_even. '
            f"Got {fmt} and {mode.name}. Leave the preset out."
        )


def _scales(
    fmt: IntFormat,
    groups: Groups,
    low: Array,
    high: Array,
    scheme: str | None,
    scale: Any,
    zero_point: Any,
    of: Any,
    preset: str | None,
) -> Scales:
    """Return the scales and zero points: fixed, given, or computed from the extremes."""
    if of is not None and (fmt.frac_bits is not None or scale is not None or preset is not None):
        raise OptionError(
            "scale_format is what a computed scale is rounded to. "
            f"Got scale_format={of!r} where the scale is given, fixed, or PyTorch's float32. Leave it out."
        )
    if fmt.frac_bits is not None:
        if scale is not None or zero_point is not None or scheme is not None or groups.axis is not None:
            raise OptionError(
                f"The scale of fixed point is the format's own, {fmt.step!r} for {fmt}. "
                f"Got a scheme, a scale, a zero point or a granularity. Leave it out, or use int{fmt.bits}."
            )
        return Scales(np.asarray(fmt.step, np.float32), np.zeros((), np.int32))
    if scale is not None:
        if scheme is not None:
            raise OptionError(
                f"A scheme computes the scale. Got scheme={scheme!r} beside scale=. Pass one of them."
            )
        return given_scales(scale, zero_point, groups, fmt)
    if zero_point is not None:
        raise OptionError(
            f"A zero point belongs to a given scale. Got zero_point={zero_point!r} alone. Pass scale= as well, or "
            'scheme="affine" to have both computed.'
        )
    scheme = "symmetric" if scheme is None else scheme
    check_option("scheme", scheme, _SCHEMES)
    if preset == "torch":
        return torch_scales(low, high, fmt, scheme)
    return (symmetric if scheme == "symmetric" else affine)(
        low, high, fmt, scale_format("float32" if of is None else of)
    )


# -- rounding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rounding:
    """How the codes of an array are found.

    Attributes
    ----------
    fmt : IntFormat
        The ends.
    mode : Mode
        Which way.
    wraps : bool
        Whether what is beyond the ends keeps its low bits.
    groups : Groups
        What shares a scale.
    scales : Scales
        Scales and zero points.
    integers : array or None
        The random integers of a stochastic mode, one for each number, and
    bits : int
        how many bits they have.
    """

    fmt: IntFormat
    mode: Mode
    wraps: bool
    groups: Groups
    scales: Scales
    integers: Array | None
    bits: int

    def put(self, codes: Array, source: Array, rest: dict[int, Exact]) -> None:
        """Put the codes in: in parts, and then those for which float64 is not enough."""
        depth = depth_of(self.mode, self.bits)
        short = is_short(source, self.scales.scale, depth) and self.fmt.bits + 2 <= MARKED
        scratch = np.empty(_PART)
        beside = [codes] if self.integers is None else [codes, self.integers]
        wide = Scales(self.scales.scale.astype(np.float64), self.scales.zero_point)
        for x, scale, zero, out, *drawn in _parts(source, beside, self.groups, wide):
            q = quotients(x, scale, depth, short, scratch[: x.size].reshape(x.shape))
            self._end(out, q, zero, drawn[0] if drawn else None)
        reach = MARKED if short else 52 - depth  # in powers of two, how far the quotients are good
        hard: Iterable[int] = rest
        if self.wraps or self.fmt.bits + 1 > reach:
            size = np.abs(np.divide(source, self.groups.spread(wide.scale)))
            hard = {*rest, *np.flatnonzero(size >= 2.0**reach).tolist()}
        if hard:
            self._exactly(codes, source, rest, hard)

    def _end(self, out: Array, q: Array, zero: Array, integers: Array | None) -> None:
        """Round quotients, in place, and put in the codes."""
        fmt = self.fmt
        if not self.wraps and self.mode.name != "nearest_even":
            limit = 2.0 ** (fmt.bits + 1)  # a quotient beyond is beyond every end, whatever the zero point
            np.clip(q, -limit, limit, out=q)
        round_whole(q, self.mode, integers, self.bits)
        if zero.any():
            q += zero
        if self.wraps:
            whole = np.where(np.abs(q) < 2.0**52, q, 0.0).astype(np.int64)  # what is beyond comes later
            q = (whole - fmt.min & (1 << fmt.bits) - 1) + fmt.min
        else:
            np.clip(q, fmt.min, fmt.max, out=q)
        np.copyto(out, q, casting="unsafe")

    def _exactly(self, codes: Array, source: Array, rest: dict[int, Exact], places: Iterable[int]) -> None:
        """Put in the codes of some numbers, one at a time, on Python's integers."""
        spread = [np.broadcast_to(self.groups.spread(g), source.shape).reshape(-1) for g in self.scales]
        flat, fmt = codes.reshape(-1), self.fmt
        drawn = None if self.integers is None else self.integers.reshape(-1)
        for i in places:
            if i in rest:
                n, e = rest[i]
                number = n * Fraction(2) ** e
            elif np.isfinite(x := source.flat[i]):
                number = Fraction(float(x))
            else:
                continue  # an infinity, which is at its end already
            R = 0 if drawn is None else int(drawn[i])
            scale, zero = Fraction(float(spread[0][i])), int(spread[1][i])
            code = round_fraction(number / scale, self.mode, R, self.bits) + zero
            if self.wraps:
                flat[i] = (code - fmt.min) % (1 << fmt.bits) + fmt.min
            else:
                flat[i] = min(max(code, fmt.min), fmt.max)


def _parts(source: Array, beside: list[Array], groups: Groups, scales: Scales) -> Iterable[list[Array]]:
    """Yield parts of the numbers, the scales, the zero points, and of what has the shape of the numbers."""
    lists = [list(groups.parts(source, *scales)), *(list(groups.parts(other)) for other in beside)]
    for whole, *others in zip(*lists, strict=True):
        yield from in_small_parts([*whole, *(view for (view,) in others)], _PART)


def _as_torch(codes: Array, source: Array, groups: Groups, scales: Scales, fmt: IntFormat) -> None:
    """Put in PyTorch's codes: a product with the rounded reciprocal, in float32."""
    single = source.astype(np.float32, copy=False)
    inverse = Scales(np.float32(1.0) / scales.scale.astype(np.float32), scales.zero_point)
    for x, factor, zero, out in _parts(single, [codes], groups, inverse):
        q = np.rint(x * factor) + zero.astype(np.float64)
        out[...] = np.clip(q, fmt.min, fmt.max).astype(fmt.dtype)
