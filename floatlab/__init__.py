"""floatlab: a laboratory for float formats.

Round, encode and compute in any float format, bit for bit; train small networks in it; watch gradients
underflow, and recover.

>>> import floatlab as fl
>>> fl.quantize([0.1, 1000.0], "fp8_e4m3").tolist()
[0.1015625, nan]

The numbers are loaded at once. The rooms for training, figures and proofs are loaded when they are first used, so
that ``import floatlab`` costs little more than NumPy.

Three functions have the names of the modules that they come from: `array`, `explain` and `formats`. So ``import
floatlab.formats as m`` gives the function; write ``from floatlab.formats import FloatFormat``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from floatlab.codes import encode as _encode
from floatlab.codes.decode import decode
from floatlab.codes.neighbours import classify, next_down, next_up, spacing, ulp
from floatlab.errors import FloatlabError
from floatlab.explain import Explanation, explain
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.formats.info import finfo
from floatlab.rounding import quantize as _quantize
from floatlab.rounding.flags import Flags, recorded

if TYPE_CHECKING:
    from floatlab import (
        amp,
        autograd,
        data,
        experiments,
        memory,
        nn,
        optim,
        plots,
        telemetry,
        testing,
        verify,
    )
    from floatlab.autograd import Tensor, no_grad

__version__ = "0.1.0"

quantize, encode = recorded(_quantize.quantize), recorded(_encode.encode)
del recorded

_ROOMS = (
    "amp",
    "autograd",
    "data",
    "experiments",
    "memory",
    "nn",
    "optim",
    "plots",
    "telemetry",
    "testing",
    "verify",
)

__all__ = [
    "Arithmetic",
    "Explanation",
    "FlagRecord",
    "Flags",
    "FloatArray",
    "FloatFormat",
    "FloatlabError",
    "Tensor",
    "add",
    "amp",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "arithmetic",
    "array",
    "asarray",
    "autograd",
    "average",
    "cbrt",
    "classify",
    "cos",
    "cosh",
    "cumprod",
    "cumsum",
    "data",
    "decode",
    "deg2rad",
    "divide",
    "dot",
    "einsum",
    "encode",
    "erf",
    "exp",
    "exp2",
    "experiments",
    "explain",
    "expm1",
    "finfo",
    "floor_divide",
    "fma",
    "fmod",
    "formats",
    "from_codes",
    "gelu",
    "get_format",
    "hypot",
    "ldexp",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "matmul",
    "mean",
    "median",
    "memory",
    "multiply",
    "nanmean",
    "nansum",
    "next_down",
    "next_up",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "plots",
    "power",
    "prod",
    "quantile",
    "quantize",
    "rad2deg",
    "reciprocal",
    "remainder",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "spacing",
    "sqrt",
    "square",
    "std",
    "subtract",
    "sum",
    "tan",
    "tanh",
    "telemetry",
    "tensordot",
    "testing",
    "track_flags",
    "ulp",
    "var",
    "vecdot",
    "verify",
]


if not TYPE_CHECKING:  # a type checker has the imports above, and finds a name that does not exist

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"floatlab.{name}")  # which also makes it an attribute
        if name in ("Tensor", "no_grad"):
            value = getattr(import_module("floatlab.autograd"), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'floatlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
