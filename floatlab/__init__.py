"""floatlab: a laboratory for float formats.

Round, encode and compute in any float format, bit for bit; train small networks in it; watch gradients
underflow, and recover.

>>> import floatlab as fl
>>> fl.quantize([0.1, 1000.0], "fp8_e4m3").tolist()
[0.1015625, nan]

Functions of numbers take tensors too, and are a part of the graph then: ``fl.exp(x)``, ``fl.sum(x, 1)``. PyTorch's
names that make tensors or join them stand beside them: ``fl.zeros``, ``fl.randn``, ``fl.cat``.

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
from floatlab.border import open_to_all, with_blocks
from floatlab.codes import decode as _decode
from floatlab.codes import encode as _encode
from floatlab.codes.neighbours import classify, next_down, next_up, spacing, ulp
from floatlab.errors import FloatlabError
from floatlab.explain import Explanation, explain
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.formats.info import finfo
from floatlab.names import device, find, load, save
from floatlab.rounding import quantize as _quantize
from floatlab.rounding.flags import Flags, recorded
from floatlab.rounding.pool import threads

if TYPE_CHECKING:
    from floatlab import (
        amp,
        autograd,
        block_formats,
        course,
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
    from floatlab.autograd import (
        Tensor,
        cat,
        enable_grad,
        inference_mode,
        is_grad_enabled,
        manual_seed,
        maximum,
        minimum,
        no_grad,
        set_grad_enabled,
        stack,
        where,
    )
    from floatlab.autograd.creation import (
        arange,
        as_tensor,
        empty,
        eye,
        from_numpy,
        full,
        full_like,
        multinomial,
        ones,
        ones_like,
        rand,
        rand_like,
        randint,
        randn,
        randn_like,
        randperm,
        tensor,
        zeros,
        zeros_like,
    )
    from floatlab.autograd.functions import (
        abs,
        allclose,
        amax,
        amin,
        argmax,
        argmin,
        argsort,
        bmm,
        chunk,
        clamp,
        clip,
        clone,
        equal,
        flatten,
        flip,
        gather,
        index_select,
        isfinite,
        isinf,
        isnan,
        log_softmax,
        masked_fill,
        max,
        min,
        mm,
        neg,
        permute,
        pow,
        relu,
        reshape,
        softmax,
        sort,
        split,
        squeeze,
        topk,
        transpose,
        tril,
        triu,
        unbind,
        unsqueeze,
    )
    from floatlab.block_formats.block_array import BlockArray
    from floatlab.block_formats.block_format import BlockFormat
    from floatlab.block_formats.differences import compare_rules
    from floatlab.block_formats.hadamard import hadamard
    from floatlab.block_formats.integer_array import IntArray
    from floatlab.block_formats.integer_format import IntFormat
    from floatlab.block_formats.integers import quantize_int
    from floatlab.inspection import inspect

__version__ = "0.1.0"

quantize = open_to_all(_quantize.quantize, recorded(_quantize.quantize))
encode = open_to_all(_encode.encode, recorded(_encode.encode))
decode = open_to_all(_decode.decode)
array, get_format = with_blocks(array), with_blocks(get_format)
del recorded

for _name in (
    *(
        "add",
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctan2",
        "arctanh",
        "average",
        "cbrt",
        "cos",
        "cosh",
    ),
    *(
        "cumprod",
        "cumsum",
        "deg2rad",
        "divide",
        "dot",
        "einsum",
        "erf",
        "exp",
        "exp2",
        "expm1",
        "floor_divide",
        "fma",
    ),
    *(
        "fmod",
        "gelu",
        "hypot",
        "ldexp",
        "log",
        "log1p",
        "log2",
        "log10",
        "logaddexp",
        "logaddexp2",
        "matmul",
        "mean",
    ),
    *(
        "median",
        "multiply",
        "nanmean",
        "nansum",
        "norm",
        "power",
        "prod",
        "quantile",
        "rad2deg",
        "reciprocal",
    ),
    *(
        "remainder",
        "rsqrt",
        "sigmoid",
        "sin",
        "sinh",
        "softplus",
        "sqrt",
        "square",
        "std",
        "subtract",
        "sum",
        "tan",
    ),
    *("tanh", "tensordot", "var", "vecdot"),
    *("linspace", "next_down", "next_up", "spacing", "ulp"),
):
    globals()[_name] = open_to_all(globals()[_name])


del open_to_all, with_blocks

_ROOMS = (
    "amp",
    "autograd",
    "block_formats",
    "course",
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
    "Arithmetic", "BlockArray", "BlockFormat",
    "Explanation", "FlagRecord", "Flags", "FloatArray", "FloatFormat", "FloatlabError",
    "IntArray", "IntFormat",
    "Tensor", "abs", "add", "allclose", "amax", "amin", "amp", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "arithmetic", "array",
    "as_tensor", "asarray", "autograd", "average", "block_formats",
    "bmm", "cat", "cbrt", "chunk", "clamp", "classify", "clip",
    "clone", "compare_rules", "cos", "cosh", "course", "cumprod", "cumsum", "data", "decode", "deg2rad",
    "device", "divide", "dot",
    "einsum", "empty", "enable_grad", "encode", "equal", "erf", "exp", "exp2", "experiments", "explain",
    "expm1", "eye", "finfo", "flatten", "flip", "floor_divide", "fma", "fmod", "formats", "from_codes",
    "from_numpy", "full", "full_like", "gather", "gelu", "get_format", "hadamard", "hypot", "index_select",
    "inference_mode", "inspect", "is_grad_enabled", "isfinite", "isinf", "isnan", "ldexp", "linspace", "load",
    "log", "log1p", "log2", "log10", "log_softmax", "logaddexp", "logaddexp2", "manual_seed", "masked_fill",
    "matmul", "max", "maximum", "mean", "median", "memory", "min", "minimum", "mm", "multinomial", "multiply",
    "nanmean", "nansum", "neg", "next_down", "next_up", "nn", "no_grad", "norm", "ones", "ones_like", "optim",
    "permute", "plots", "pow", "power", "prod", "quantile", "quantize", "quantize_int", "rad2deg", "rand", "rand_like",
    "randint", "randn", "randn_like", "randperm", "reciprocal", "relu", "remainder", "reshape", "rsqrt",
    "save", "set_grad_enabled", "sigmoid", "sin", "sinh", "softmax", "softplus", "sort", "spacing", "split",
    "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "tan", "tanh", "telemetry", "tensor",
    "tensordot", "testing", "threads", "topk", "track_flags", "transpose", "tril", "triu", "ulp", "unbind", "unsqueeze",
    "var", "vecdot", "verify", "where", "zeros", "zeros_like",
]  # fmt: skip


if not TYPE_CHECKING:  # a type checker has the imports above, and finds a name that does not exist

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"floatlab.{name}")  # which also makes it an attribute
        value, stays = find(name)
        if stays:
            globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
