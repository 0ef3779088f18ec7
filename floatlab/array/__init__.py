"""Arrays that compute in a format: `FloatArray`, the functions on it, and NumPy's protocols.

- `protocols.py`: who computes a function of NumPy.
- `storage.py`: what an array holds, and what can be read from it.
- `core.py`: the class, and how one is made.
- `calls.py`: what one call was asked for, and what it hands back.
- `exactly.py`: comparisons with any real numbers, which round nothing.
- `stand_ins.py`: how what computes in a format stands in for a function of NumPy.
- `elementwise.py`: ``+ - * /``, sqrt, fma, exp and all other functions of single elements.
- `ufuncs.py`: comparisons, signs, the larger of two, and neighbours.
- `integral.py`: ``// % fmod frexp ldexp round`` and their kind.
- `ratios.py`: one rounding of results that float64 does not hold.
- `pairs.py`: hypot, power and other functions of two arguments.
- `reductions.py`: sum, prod, mean, dot, matmul, cumsum.
- `statistics/`: var, std, median, quantile, average, and those that skip NaN.
- `structure.py`: arrays taken apart and put together.
- `sequences.py`: linspace, differences, running sums.
- `contractions.py`: einsum, tensordot.
- `linear.py`: vecdot, cross, kron and other products.
- `norms.py`: norms.
- `functions.py`: what other functions of NumPy do with a FloatArray.
"""

from floatlab.array import functions as _functions  # they register what stands in for NumPy's functions
from floatlab.array import structure as _structure
from floatlab.array import ufuncs as _ufuncs
from floatlab.array.contractions import einsum, tensordot
from floatlab.array.core import FloatArray, array, asarray, from_codes
from floatlab.array.elementwise import (
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    cbrt,
    cos,
    cosh,
    deg2rad,
    divide,
    erf,
    exp,
    exp2,
    expm1,
    fma,
    gelu,
    log,
    log1p,
    log2,
    log10,
    multiply,
    rad2deg,
    reciprocal,
    rsqrt,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)
from floatlab.array.integral import floor_divide, fmod, ldexp, remainder
from floatlab.array.linear import vecdot
from floatlab.array.norms import norm
from floatlab.array.pairs import arctan2, hypot, logaddexp, logaddexp2, power
from floatlab.array.reductions import cumprod, cumsum, dot, matmul, mean, prod, sum
from floatlab.array.sequences import linspace
from floatlab.array.statistics import average, median, nanmean, nansum, quantile, std, var
from floatlab.context import Arithmetic, arithmetic
from floatlab.rounding.flags import FlagRecord, track_flags

del _functions, _structure, _ufuncs

__all__ = [
    "Arithmetic",
    "FlagRecord",
    "FloatArray",
    "add",
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
    "average",
    "cbrt",
    "cos",
    "cosh",
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
    "fmod",
    "from_codes",
    "gelu",
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
    "multiply",
    "nanmean",
    "nansum",
    "norm",
    "power",
    "prod",
    "quantile",
    "rad2deg",
    "reciprocal",
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
    "tanh",
    "tensordot",
    "track_flags",
    "var",
    "vecdot",
]
