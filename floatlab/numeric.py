"""What do floatlab's functions of numbers look like from outside? As here: open to other libraries' arrays.

`floatlab` takes its names from this file when one of them is first used, so that what needs none, as ``floatlab
--version``, does not wait for them.
"""

from __future__ import annotations

from floatlab.array import (
    Arithmetic,
    FlagRecord,
    FloatArray,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    arithmetic,
    array,
    asarray,
    average,
    cbrt,
    cos,
    cosh,
    cumprod,
    cumsum,
    deg2rad,
    divide,
    dot,
    einsum,
    erf,
    exp,
    exp2,
    expm1,
    floor_divide,
    fma,
    fmod,
    from_codes,
    gelu,
    hypot,
    ldexp,
    linspace,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    matmul,
    mean,
    median,
    multiply,
    nanmean,
    nansum,
    norm,
    power,
    prod,
    quantile,
    rad2deg,
    reciprocal,
    remainder,
    rsqrt,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    square,
    std,
    subtract,
    sum,
    tan,
    tanh,
    tensordot,
    track_flags,
    var,
    vecdot,
)
from floatlab.border import open_to_all, with_blocks
from floatlab.codes import decode as _decode
from floatlab.codes import encode as _encode
from floatlab.codes.neighbours import classify, next_down, next_up, spacing, ulp
from floatlab.explain import Explanation, explain, explain_dot
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.formats.info import finfo
from floatlab.rounding import quantize as _quantize
from floatlab.rounding.flags import Flags, recorded
from floatlab.rounding.pool import threads

__all__ = [
    "Arithmetic", "Explanation", "FlagRecord", "Flags", "FloatArray", "FloatFormat", "add", "arccos",
    "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "arithmetic", "array", "asarray",
    "average", "cbrt", "classify", "cos", "cosh", "cumprod", "cumsum", "decode", "deg2rad", "divide",
    "dot", "einsum", "encode", "erf", "exp", "exp2", "explain", "explain_dot", "expm1", "finfo", "floor_divide",
    "fma", "fmod", "formats", "from_codes", "gelu", "get_format", "hypot", "ldexp", "linspace", "log",
    "log1p", "log2", "log10", "logaddexp", "logaddexp2", "matmul", "mean", "median", "multiply",
    "nanmean", "nansum", "next_down", "next_up", "norm", "power", "prod", "quantile", "quantize",
    "rad2deg", "reciprocal", "remainder", "rsqrt", "sigmoid", "sin", "sinh", "softplus", "spacing",
    "sqrt", "square", "std", "subtract", "sum", "tan", "tanh", "tensordot", "threads", "track_flags",
    "ulp", "var", "vecdot",
]  # fmt: skip

quantize = open_to_all(_quantize.quantize, recorded(_quantize.quantize))
encode = open_to_all(_encode.encode, recorded(_encode.encode))
decode = open_to_all(_decode.decode)
array, get_format = with_blocks(array), with_blocks(get_format)
del recorded

# Types, contexts and what is wrapped above; all else takes numbers, and other libraries' arrays of them.
_AS_THEY_ARE = {
    "Arithmetic", "Explanation", "FlagRecord", "Flags", "FloatArray", "FloatFormat", "arithmetic",
    "array", "asarray", "classify", "decode", "encode", "explain", "explain_dot", "finfo", "formats", "from_codes",
    "get_format", "quantize", "threads", "track_flags",
}  # fmt: skip

for _name in set(__all__) - _AS_THEY_ARE:
    globals()[_name] = open_to_all(globals()[_name])


del open_to_all, with_blocks
