"""Which scale does a block get? From its largest magnitude, by a rule, exactly or as a library computes it.

A scale is a value of the scale format: here the number itself, in float64, and NaN for a block that holds a NaN or an
infinity. Where libraries take short cuts in float32, each one's steps are written out, so that its bits come out; what
is called exact rounds once.

Sources: see `floatlab.block_formats.scale_rules`; the steps of Transformer Engine are those of its reference for NVFP4
(transformer_engine/pytorch/custom_recipes), those of torchao its nvfp4_quantize, those of DeepGEMM its
deep_gemm/utils/math.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.scale_rules import RULES, ScaleRule, exponents
from floatlab.operations.operate import operate
from floatlab.rounding.quantize import quantize

__all__ = ["TensorScale", "block_scales", "candidates", "marked", "tensor_scale_of"]

_F = np.float32
_LARGEST = np.finfo(np.float32).max
#: Below it no tile's largest number counts (DeepSeek-V3's inference code, DeepGEMM).
_LEAST = float(np.float32(1e-4))


@dataclass(frozen=True)
class TensorScale:
    """The scale of a whole tensor.

    Attributes
    ----------
    value : float
        What every number is a multiple of: a float32. 1.0 where there is none.
    encoding : float
        The factor that Transformer Engine computes first, whose reciprocal is `value`; else 0.
    amax : float
        The largest finite magnitude, which its errors of four over six are computed from.
    """

    value: float = 1.0
    encoding: float = 0.0
    amax: float = 0.0


def tensor_scale_of(amax: float, fmt: BlockFormat, rule: ScaleRule, arithmetic: str) -> TensorScale:
    """Return the scale of a tensor from its largest finite magnitude.

    It maps that number to the largest value times the largest scale, or, with four over six, times 256: there a scale
    half as large again must have room.

    >>> from floatlab.block_formats.catalogue import block_format
    >>> tensor_scale_of(2688.0, block_format("nvfp4"), RULES["nvfp4"], "exact").value
    1.0
    """
    bound = fmt.parts.max * (256.0 if rule.name == "nvfp4_4over6" else float(fmt.scale.max))
    with np.errstate(all="ignore"):
        if arithmetic == "te":
            encoding = np.minimum(_F(bound) / _F(amax), _LARGEST)
            if amax == 0 or encoding == 0:
                encoding = _F(1)
            return TensorScale(float(_F(1) / encoding), float(encoding), amax)
        if arithmetic == "torchao":
            return TensorScale(float(_F(amax) / _F(bound)))
    value = float(operate("divide", (amax, bound), "float32"))
    return TensorScale(value if 0.0 < value < np.inf else 1.0)


def block_scales(
    amax: Array, fmt: BlockFormat, rule: ScaleRule, arithmetic: str, tensor: TensorScale, nonfinite: str
) -> Array:
    """Return the scales of blocks, without the tensor's.

    Parameters
    ----------
    amax : array of float32 or float64
        The largest magnitudes, of the type that the numbers have; infinity or NaN where a block holds one.
    nonfinite : {"nan", "saturate"}
        What an infinity makes of its scale.

    Returns
    -------
    array of float64
        Values of the scale format; NaN where the block is lost.

    Examples
    --------
    >>> from floatlab.block_formats.catalogue import block_format
    >>> fmt = block_format("mxfp8_e4m3")
    >>> block_scales(np.array([449.0, 0.0]), fmt, RULES["rceil"], "exact", TensorScale(), "nan").tolist()
    [2.0, 5.877471754111438e-39]
    """
    finite = np.isfinite(amax)
    sizes = amax if finite.all() else np.where(finite, amax, amax.dtype.type(0))
    with np.errstate(all="ignore"):
        scales = _power_scales(sizes, fmt, rule) if rule.power else _STEPS[rule.name](
            sizes, fmt, arithmetic, tensor
        )  # fmt: skip
    return scales if sizes is amax else marked(scales, amax, fmt, nonfinite)


def marked(scales: Array, amax: Array, fmt: BlockFormat, nonfinite: str) -> Array:
    """Return scales with those of blocks that hold an infinity or a NaN put in: NaN, or the largest scale there is.

    >>> from floatlab.block_formats.catalogue import block_format
    >>> marked(np.ones(3), np.array([1.0, np.inf, np.nan]), block_format("nvfp4"), "saturate").tolist()
    [1.0, 448.0, nan]
    """
    lost = np.isnan(amax) if nonfinite == "saturate" else ~np.isfinite(amax)
    return np.where(lost, np.nan, np.where(np.isinf(amax), float(fmt.scale.max), scales))


def _power_scales(amax: Array, fmt: BlockFormat, rule: ScaleRule) -> Array:
    """Return powers of two, the exponents clamped to those of e8m0."""
    found = exponents(amax, rule, fmt.parts)
    np.maximum(found, max(-127, fmt.scale.emin), out=found)
    np.minimum(found, 127, out=found)
    found += 1023
    found <<= 52
    return found.view(np.float64)


def _nvfp4(amax: Array, fmt: BlockFormat, arithmetic: str, tensor: TensorScale) -> Array:
    largest, scale = _F(fmt.parts.max), fmt.scale
    if arithmetic == "exact":
        return quotient(amax, fmt.parts.max * tensor.value, fmt)
    if arithmetic == "te":
        factor = _F(tensor.encoding) * (_F(1) / largest)
        found = np.minimum(amax.astype(_F) * factor, _LARGEST)
    else:
        found = np.clip(_over(amax.astype(_F) / largest, tensor), _F(scale.smallest_normal), _F(scale.max))
    return quantize(found, scale, overflow="saturate").astype(np.float64)


def _over(amax: Array, tensor: TensorScale) -> Array:
    found: Array = amax / _F(tensor.value)
    return found


def candidates(amax: Array, fmt: BlockFormat, arithmetic: str, tensor: TensorScale) -> tuple[Array, Array]:
    """Return the two scales that four over six chooses between: the largest number to 6, and to 4.

    >>> from floatlab.block_formats.catalogue import block_format
    >>> [s.tolist() for s in candidates(np.array([6.0]), block_format("nvfp4"), "exact", TensorScale())]
    [[1.0], [1.5]]
    """
    if arithmetic == "exact":
        return quotient(amax, 6.0 * tensor.value, fmt), quotient(amax, 4.0 * tensor.value, fmt)
    base = amax.astype(_F) / _F(6) * _F(tensor.encoding)
    found = (quantize(x, fmt.scale, overflow="saturate") for x in (base, base * _F(1.5)))
    six, four = (x.astype(np.float64) for x in found)
    return six, four


def quotient(amax: Array, by: float, fmt: BlockFormat) -> Array:
    """Return amax / by rounded once to the scale format, saturating.

    A float32 over a float32 times a short number is no midpoint of the scale format, nor nearer to one than float64
    sees, as `floatlab.block_formats.conversion` says of elements.
    """
    if amax.dtype == _F and fmt.scale.mantissa_bits <= 8:
        return quantize(amax / np.float64(by), fmt.scale, overflow="saturate")
    return operate("divide", (amax, by), fmt.scale, overflow="saturate").astype(np.float64)


def _absmax(amax: Array, fmt: BlockFormat, arithmetic: str, tensor: TensorScale) -> Array:
    scales = quotient(amax, fmt.parts.max, fmt)
    scales[(scales == 0) & (amax > 0)] = fmt.scale.smallest_subnormal
    scales[amax == 0] = 1.0
    return scales


def _amax(amax: Array, fmt: BlockFormat, arithmetic: str, tensor: TensorScale) -> Array:
    sizes = np.maximum(amax, _F(_LEAST))
    if arithmetic == "exact":
        return quotient(sizes, fmt.parts.max, fmt)
    return (sizes.astype(_F) / _F(fmt.parts.max)).astype(np.float64)


def _amax_pow2(amax: Array, fmt: BlockFormat, arithmetic: str, tensor: TensorScale) -> Array:
    if arithmetic == "te":
        factor = np.minimum(_F(fmt.parts.max) / amax.astype(_F), _LARGEST)
        factor[amax == 0] = 1
        return 1.0 / (factor.view(np.int32) & 0x7F800000).view(_F).astype(np.float64)
    if arithmetic == "exact":
        return _power_scales(np.maximum(amax, _F(_LEAST)), fmt, RULES["rceil"])
    words = _amax(amax, fmt, "deepgemm", tensor).astype(_F).view(np.int32)
    return (words + 0x7FFFFF & 0x7F800000).view(_F).astype(np.float64)


_STEPS = {"nvfp4": _nvfp4, "absmax": _absmax, "amax": _amax, "amax_pow2": _amax_pow2}
