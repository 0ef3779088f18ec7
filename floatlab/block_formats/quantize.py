"""How does an array become blocks? The public face: `quantize_blocks` to values, `encode_blocks` to codes and scales.

Both walk over the array a chunk at a time (`layout.py`), so that memory beside the result does not grow with it, and
convert each chunk as `conversion.py` says. A scale of the whole tensor needs a walk of its own before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np

from floatlab.backend import Array, refuse_device
from floatlab.block_formats.block_array import BlockArray
from floatlab.block_formats.block_format import BlockFormat, rule_of_scales
from floatlab.block_formats.catalogue import block_format
from floatlab.block_formats.conversion import Conversion
from floatlab.block_formats.layout import Chunk, Layout, layout
from floatlab.block_formats.magnitudes import words_of
from floatlab.block_formats.scales import TensorScale, tensor_scale_of
from floatlab.block_formats.values import values_of
from floatlab.codes.encode import encode_values
from floatlab.errors import DtypeError, OptionError, check_option
from floatlab.rounding.inputs import exact_source
from floatlab.rounding.options import RoundingOptions, check_names, drawing, make_rule
from floatlab.rounding.random_integers import RandomIntegers, spread
from floatlab.system.environment import check_environment

__all__ = ["encode_blocks", "quantize_blocks"]

_CHUNK = (
    1 << 17
)  # numbers: half a megabyte of float32. Shorter ones pay more for calls than they gain in the cache
_OTHER_WORDS = {
    "transformer_engine": "te",
    "nvidia": "te",
    "deepseek_v3": "deepseek",
    "deep_gemm": "deepgemm",
}
_OWN = ("axis", "rule", "arithmetic", "nonfinite", "tail", "tensor_scale")
_ROUNDING = ("rounding", "subnormals", "rng", "random_bits", "random_integers", "overflow")


class _BlockOptions(RoundingOptions, total=False):
    axis: int | tuple[int, int] | None
    rule: str | None
    arithmetic: str
    nonfinite: str
    tail: str
    tensor_scale: float | None


def quantize_blocks(x: Any, fmt: Any, *, out: Array | None = None, **options: Unpack[_BlockOptions]) -> Array:
    """Round numbers to a block format: to the values that its codes and scales stand for.

    `floatlab.quantize` comes here with a block format.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind, of one dimension or more, on this machine.
    fmt : str or BlockFormat
        The format, as "mxfp4", "nvfp4", "fp8_128x128", "int4:32".
    axis : int, optional
        Along which axis blocks lie. Default: the last. Tiles lie in the last two.
    rule : str, optional
        Which scale a block gets, of `floatlab.block_formats.RULES`. Default: the format's.
    arithmetic : str
        "exact": every scale and every element is rounded once. Else the float32 steps of a library, where it has its
        own: "te" (Transformer Engine), "torchao", "deepseek", "deepgemm".
    nonfinite : {"nan", "saturate", "error"}
        What a block that holds a NaN or an infinity becomes: NaN, as OCP's specification has it. "saturate": with an
        infinity it gets the largest scale and saturates, as Transformer Engine has it; with a NaN it is NaN.
    tail : {"short", "error"}
        What becomes of numbers that fill no block: they are a shorter one, or an error.
    tensor_scale : float, optional
        The scale of the whole tensor, where the format has one, instead of that of its largest number.
    out : array, optional
        Where to put the result; may be `x` itself. Its dtype must be that of the result.
    rounding, subnormals, rng, random_bits, random_integers
        As of `floatlab.quantize`: how an element is rounded. Scales are rounded as their rule says. An element
        saturates always.

    Returns
    -------
    array
        Of the shape of `x`: float32 where `x` has no more bits and scales are powers of two, else float64, which holds
        element times scale times tensor's scale exactly.

    Raises
    ------
    DtypeError
        If `x` is not an array of real numbers, or float32 does not hold a result: an element beyond its range.
    FormatError, OptionError, ShapeError
        If a name is unknown, options do not fit together, or there is no such axis.

    Examples
    --------
    >>> quantize_blocks([1.0, 3.3, 100.0, 0.1], "mxfp4").tolist()
    [0.0, 0.0, 96.0, 0.0]
    >>> quantize_blocks([1.0, 3.3, 100.0, 0.1], BlockFormat("pairs", "e2m1", 2, "e8m0")).tolist()
    [1.0, 3.0, 96.0, 0.0]
    """
    job = _Job("quantize", x, fmt, options)
    values = _target(job, out)
    target = values.reshape(job.layout.three)
    for chunk, blocks, integers, room in job.pieces():
        place = chunk.take(target) if job.layout.in_order else None
        found = values_of(job.conversion, blocks, integers, chunk.block[1], room, values.dtype, place)
        if place is None:
            chunk.put(target, found)
    if out is not None and values is not out:
        out[...] = values
        return out
    return values


def encode_blocks(x: Any, fmt: Any, **options: Unpack[_BlockOptions]) -> BlockArray:
    """Round numbers to a block format and return codes and scales. `floatlab.encode` comes here with a block format.

    Parameters
    ----------
    x, fmt, **options
        As of `quantize_blocks`.

    Returns
    -------
    BlockArray

    Examples
    --------
    >>> a = encode_blocks([1.0, 3.3, 100.0, 0.1], "mxfp4")
    >>> a.scales, a.codes
    (array([131], dtype=uint8), array([0, 0, 7, 0], dtype=uint8))
    """
    job = _Job("encode", x, fmt, options)
    element, where = job.format.parts, job.layout
    codes = np.empty(where.shape, element.code_dtype)
    scales = np.empty(where.scale_shape, job.format.scale.code_dtype)
    target, places = codes.reshape(where.three), scales.reshape(where.three_of_scales)
    for chunk, blocks, integers, room in job.pieces():
        part, found = job.conversion.codes(blocks, integers, chunk.block[1], *room)
        chunk.put(target, part)
        part = places[chunk.scales]
        part[...] = encode_values(found, job.format.scale).reshape(part.shape)
    tensor = None if job.format.tensor_scale is None else np.float32(job.conversion.tensor.value)
    return BlockArray(job.format, codes, scales, tensor, where.axes, job.conversion.rule.name)


def _target(job: _Job, out: Array | None) -> Array:
    """Return where the values go."""
    dtype = job.value_dtype
    if out is None:
        return np.empty(job.layout.shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or out.shape != job.layout.shape:
        found = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise DtypeError(
            f"out has the type and the shape of the result, {dtype} of shape {job.layout.shape}. Got {found}. "
            "Allocate it so, or leave it out."
        )
    if not out.flags.writeable:
        raise OptionError("out must be writeable. Got a read-only array. Pass a copy, or leave out away.")
    if not out.flags.c_contiguous or np.may_share_memory(out, job.source):
        return np.empty(job.layout.shape, dtype)
    return out


class _Room:
    """Memory for one chunk at a time: the words of its numbers, and the quotients."""

    def __init__(self, job: _Job) -> None:
        dtype = job.source.dtype
        size = min(max(_CHUNK, job.format.block_size), job.source.size)
        self._words = np.empty(size, words_of(dtype).integer)
        self._quotients = np.empty(size, job.conversion.quotient_dtype(dtype))

    def of(self, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Return both for a chunk."""
        size = math.prod(shape)
        return self._words[:size].reshape(shape), self._quotients[:size].reshape(shape)


class _Job:
    """What was asked for, checked: the numbers, where their blocks lie, and how they are converted."""

    def __init__(self, name: str, x: Any, fmt: Any, options: Any) -> None:
        check_environment()
        check_names(name, options, (*_OWN, *_ROUNDING))
        self.format: BlockFormat = block_format(fmt)
        rule = rule_of_scales(self.format, options.get("rule"))
        arithmetic = options.get("arithmetic", "exact")
        check_option(
            f"arithmetic of the rule {rule.name}", arithmetic, rule.arithmetics, meanings=_OTHER_WORDS
        )
        nonfinite = options.get("nonfinite", "nan")
        check_option("nonfinite", nonfinite, ("nan", "saturate", "error"))
        overflow = options.get("overflow")
        if overflow not in (None, "saturate"):
            raise OptionError(
                f'An element of a block saturates. Got overflow={overflow!r}. Leave it out, or use "saturate".'
            )
        rounding = make_rule(
            self.format.parts.grid, options.get("rounding", "nearest_even"), "saturate",
            options.get("subnormals", "gradual"), False,
        )  # fmt: skip
        draw = None if rounding.variant is None else RandomIntegers(*drawing(options))
        self.source = _source(x, self.format, draw)
        self.layout: Layout = layout(
            self.source.shape, self.format.block, options.get("axis"), options.get("tail", "short")
        )
        if arithmetic != "exact" and self.source.dtype == np.float64:
            raise DtypeError(
                f"Libraries compute in float32. Got arithmetic={arithmetic!r} for numbers that are rounded from "
                'float64. Pass x as float32, or use arithmetic="exact".'
            )
        if arithmetic != "exact" and rounding.rounding != "nearest_even" and draw is None:
            raise OptionError(
                f'Libraries round to nearest, or at random. Got arithmetic={arithmetic!r} with '
                f'rounding={rounding.rounding!r}. Use arithmetic="exact".'
            )  # fmt: skip
        if nonfinite == "error" and not np.isfinite(self.source).all():
            raise OptionError(
                'With nonfinite="error" all numbers are finite. Got a NaN or an infinity. '
                'Use "nan", which loses its block alone.'
            )
        self.integers = _integers(draw, self.source, self.layout)
        bits = None if draw is None else draw.bits
        self.conversion = Conversion(
            self.format, rule, arithmetic, rounding, bits, "nan" if nonfinite == "error" else nonfinite,
            self._tensor_scale(rule, arithmetic, options.get("tensor_scale")),
        )  # fmt: skip

    def pieces(self) -> Iterator[tuple[Chunk, Array, Array | None, tuple[Array, Array]]]:
        """Yield where blocks lie, and what a conversion of them takes: room is given again with the next ones."""
        source, room = self.source.reshape(self.layout.three), _Room(self)
        for chunk in self.layout.chunks(_CHUNK):
            blocks = np.ascontiguousarray(chunk.take(source))
            drawn = None if self.integers is None else np.ascontiguousarray(chunk.take(self.integers))
            yield chunk, blocks, drawn, room.of(blocks.shape)

    @property
    def value_dtype(self) -> np.dtype[Any]:
        short = self.source.dtype == np.float32 and self.format.is_exact_in_float32
        return np.dtype(np.float32 if short else np.float64)

    def _tensor_scale(self, rule: Any, arithmetic: str, given: Any) -> TensorScale:
        if self.format.tensor_scale is None:
            if given is not None:
                raise OptionError(
                    f"{self.format} has no scale of the whole tensor. Got tensor_scale={given!r}. "
                    'Leave it out, or use "nvfp4".'
                )
            return TensorScale()
        if given is None:
            return tensor_scale_of(self._largest(), self.format, rule, arithmetic)
        ok = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
        if not ok or not 0 < given < math.inf or float(np.float32(given)) != float(given):
            raise OptionError(
                f"tensor_scale is a positive float32. Got {given!r}. Use 1.0, or the largest number over "
                f"{self.format.parts.max * float(self.format.scale.max):g}, rounded to float32."
            )
        if arithmetic == "te":
            raise OptionError(
                "Transformer Engine takes the scale of a tensor from its largest number. "
                f"Got tensor_scale={given!r}. Leave it out."
            )
        return TensorScale(float(given))

    def _largest(self) -> float:
        """Return the largest finite magnitude."""
        words = words_of(self.source.dtype)
        flat, largest = self.source.reshape(-1), 0
        for start in range(0, flat.size, _CHUNK):
            sizes = flat[start : start + _CHUNK].view(words.integer) & words.integer.type(words.magnitude)
            top = int(sizes.max())
            if top >= words.infinity:
                top = int(sizes[sizes < words.infinity].max(initial=0))
            largest = max(largest, top)
        return float(np.array(largest, words.integer).view(self.source.dtype))


def _source(x: Any, fmt: BlockFormat, draw: RandomIntegers | None) -> Array:
    """Return the numbers as a contiguous array of float32 or float64 that stands for them exactly."""
    refuse_device("What block formats take", x)
    array, rest = exact_source(x, fmt.parts.grid, 26 + (0 if draw is None else draw.bits + 1))
    if rest:
        raise DtypeError(
            "With so many random bits the numbers are float64 values. "
            f"Got one that lies beside {float(array.reshape(-1)[min(rest)])!r}. Use fewer, such as random_bits=8."
        )
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return (
        array if array.flags.c_contiguous else np.ascontiguousarray(array)
    )  # which makes a row of one number


def _integers(draw: RandomIntegers | None, source: Array, where: Layout) -> Array | None:
    """Return a random integer for each number, in C order, as the layout sees them."""
    if draw is None:
        return None
    if draw.supplied is not None:
        return spread(draw.supplied, source).reshape(where.three)
    return draw.block(0, source.size).reshape(where.three)
