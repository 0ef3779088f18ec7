"""Which statistics stand in for NumPy's, and which of its arguments do they take?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.stand_ins import UNSET, into, refuse
from floatlab.array.statistics.means import average, nancumprod, nancumsum, nanmean, nanprod, nansum
from floatlab.array.statistics.quantiles import median, nanmedian, nanquantile, quantile, quantiles_of
from floatlab.array.statistics.spread import nanstd, nanvar, std, var
from floatlab.errors import DtypeError

__all__: list[str] = []

_WAY_OUT = "Use .astype for another format, and np.where or indices for a choice of elements."
_TAKEN = ("q", "axis", "ddof", "keepdims", "method")


def _stand_in(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a function of NumPy: it has NumPy's arguments, and takes those that `_TAKEN` names."""
    signature = inspect.signature(getattr(np, name))

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        a, out = given.pop("a"), given.pop("out", None)
        if given.get("correction", UNSET) is not UNSET:
            given["ddof"] = given.pop("correction")
        taken = {k: given.pop(k) for k in _TAKEN if given.get(k, UNSET) is not UNSET}
        given.pop("overwrite_input", None)  # elements are copied in any case
        refuse(name, given, _WAY_OUT)
        result = function(a, **taken)
        return result if out is None else into(name, out, result)

    return stand_in


def _percents(name: str) -> Callable[..., Any]:
    def function(a: Any, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Any:
        return quantiles_of(name, a, q, 100, None, axis, keepdims, method, {})

    return function


def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = UNSET
) -> Any:
    if not isinstance(a, FloatArray):
        raise DtypeError(
            f"numpy.average of numbers with weights of {weights.format} has no format. Got a {type(a).__name__}. "
            f'Use fl.average(a, "{weights.format.spec}", weights=weights).'
        )
    keep = False if keepdims is UNSET else keepdims
    return average(a, axis=axis, weights=weights, returned=returned, keepdims=keep)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "var": var,
    "std": std,
    "nanvar": nanvar,
    "nanstd": nanstd,
    "nansum": nansum,
    "nanmean": nanmean,
    "nanprod": nanprod,
    "nancumsum": nancumsum,
    "nancumprod": nancumprod,
    "median": median,
    "nanmedian": nanmedian,
    "quantile": quantile,
    "nanquantile": nanquantile,
    "percentile": _percents("percentile"),
    "nanpercentile": _percents("nanpercentile"),
}
FUNCTIONS.fill(_FUNCTIONS, lambda name: _stand_in(name, _FUNCTIONS[name]))
FUNCTIONS[np.average] = _average
