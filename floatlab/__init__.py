"""floatlab: a laboratory for float formats.

Round, encode and compute in any float format, bit for bit; train small networks in it; watch gradients
underflow, and recover.

>>> import floatlab as fl
>>> fl.quantize([0.1, 1000.0], "fp8_e4m3").tolist()
[0.1015625, nan]

Functions of numbers take tensors too, and are a part of the graph then: ``fl.exp(x)``, ``fl.sum(x, 1)``. PyTorch's
names that make tensors or join them stand beside them: ``fl.zeros``, ``fl.randn``, ``fl.cat``.

Everything is loaded when it is first used: the functions of numbers together, the rooms for training, figures and
proofs one by one. So ``import floatlab`` costs little more than NumPy.

Three functions have the names of the modules that they come from: `array`, `explain` and `formats`. So ``import
floatlab.formats as m`` gives the function; write ``from floatlab.formats import FloatFormat``.
"""

# ruff: noqa: F403, F405 - a type checker looks up the names of numbers where they are
from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from floatlab.errors import FloatlabError
from floatlab.names import OF_ROOMS, PLACES, device, find, load, save
from floatlab.system.environment import check_environment

check_environment()  # or tables and constants would be wrong, and stay so
del check_environment

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
    from floatlab.matrix_units import MatrixUnit, get_unit, units
    from floatlab.numeric import *

__version__ = "0.1.0"

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
    "IntArray", "IntFormat", "MatrixUnit",
    "Tensor", "abs", "add", "allclose", "amax", "amin", "amp", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "arithmetic", "array",
    "as_tensor", "asarray", "autograd", "average", "block_formats",
    "bmm", "cat", "cbrt", "chunk", "clamp", "classify", "clip",
    "clone", "compare_rules", "cos", "cosh", "course", "cumprod", "cumsum", "data", "decode", "deg2rad",
    "device", "divide", "dot",
    "einsum", "empty", "enable_grad", "encode", "equal", "erf", "exp", "exp2", "experiments", "explain",
    "explain_dot", "expm1", "eye", "finfo", "flatten", "flip", "floor_divide", "fma", "fmod", "formats", "from_codes",
    "from_numpy", "full", "full_like", "gather", "gelu", "get_format", "get_unit", "hadamard", "hypot", "index_select",
    "inference_mode", "inspect", "is_grad_enabled", "isfinite", "isinf", "isnan", "ldexp", "linspace", "load",
    "log", "log1p", "log2", "log10", "log_softmax", "logaddexp", "logaddexp2", "manual_seed", "masked_fill",
    "matmul", "max", "maximum", "mean", "median", "memory", "min", "minimum", "mm", "multinomial", "multiply",
    "nanmean", "nansum", "neg", "next_down", "next_up", "nn", "no_grad", "norm", "ones", "ones_like", "optim",
    "permute", "plots", "pow", "power", "prod", "quantile", "quantize", "quantize_int", "rad2deg", "rand", "rand_like",
    "randint", "randn", "randn_like", "randperm", "reciprocal", "relu", "remainder", "reshape", "rsqrt",
    "save", "set_grad_enabled", "sigmoid", "sin", "sinh", "softmax", "softplus", "sort", "spacing", "split",
    "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "tan", "tanh", "telemetry", "tensor",
    "tensordot", "testing", "threads", "topk", "track_flags", "transpose", "tril", "triu", "ulp", "unbind",
    "units", "unsqueeze", "var", "vecdot", "verify", "where", "zeros", "zeros_like",
]  # fmt: skip


if not TYPE_CHECKING:  # a type checker has the imports above, and finds a name that does not exist

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"floatlab.{name}")  # which also makes it an attribute
        if name in __all__ and name not in PLACES and name not in OF_ROOMS:
            globals().update({n: getattr(_numeric(), n) for n in _numeric().__all__ if n not in _HIDING})
            return globals()[name]
        value, stays = find(name)
        if stays:
            globals()[name] = value
        return value


def _numeric() -> Any:
    return import_module("floatlab.numeric")


class _Package(ModuleType):
    """floatlab itself. Three functions have the names of the modules that they come from, and hide these.

    Whoever imports such a module sets an attribute of the package, as Python has it; here that does nothing.
    """


def _function(name: str) -> property:
    """Return an attribute that is the function of this name, whatever else it is set to."""

    def get(package: _Package) -> Any:
        return getattr(_numeric(), name)

    def ignore(package: _Package, module: object) -> None:
        pass

    return property(get, ignore)


_HIDING = ("array", "explain", "formats")
for _name in _HIDING:
    setattr(_Package, _name, _function(_name))
sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
