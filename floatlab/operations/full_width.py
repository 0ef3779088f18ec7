"""What is a op b where float64 has no bits to spare? By steps from the nearest float64, or by integers, one at a time.

Results in float64 itself, and those of which it lies beyond float64's ends what rounding has to know.

See Also
--------
floatlab.operations.integers : exact results as integers
floatlab.operations.operate : when this is asked
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy
from floatlab.formats import FloatFormat
from floatlab.operations.error_free import NATIVE, STEPS, is_extreme, plain_fma, with_error
from floatlab.operations.integers import EXACT
from floatlab.operations.special_values import (
    flags_of_operation,
    negative_zeros,
    sign_nans,
)
from floatlab.rounding.device.rounding import as_type
from floatlab.rounding.flags import Flags
from floatlab.rounding.odd import integer_to_odd
from floatlab.rounding.options import Rule
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import Rounded, round_ratio

__all__ = ["beyond_float64", "ended", "full_width", "odd_integer"]


def odd_integer(name: str, row: Sequence[float]) -> float:
    """Return one exact result, rounded to odd in float64; beyond its range, the largest float64, which is odd."""
    n, e = EXACT[name](55, *row)
    return integer_to_odd(n, e) if n else _exact_zero(name, row)


def beyond_float64(name: str, xs: list[Array]) -> list[int]:
    """Return the places of finite operands whose result, or its error, may leave float64."""
    xp = array_module(xs[0])
    finite = xp.ones(xs[0].shape, bool)
    extreme = xp.zeros(xs[0].shape, bool)
    for x in xs:
        finite &= xp.isfinite(x)
        extreme |= is_extreme(x)
    return _regular(name, xs, finite & extreme)


def _regular(name: str, xs: list[Array], where: Array) -> list[int]:
    """Return the places among `where` at which the result is an ordinary number, as `integers` wants it."""
    if name == "sqrt":
        where = where & (xs[0] > 0)
    elif name in ("multiply", "divide"):
        where = where & (xs[0] != 0) & (xs[1] != 0)
    return list(asnumpy(array_module(where).flatnonzero(where)).tolist())


def _exact_zero(name: str, row: Sequence[float]) -> float:
    """Return the zero that a sum is whose terms cancel, or are all zero."""
    a, b, *rest = row
    if name == "fma":
        a, b = math.copysign(1.0, a) * math.copysign(1.0, b) * (0.0 if a == 0 or b == 0 else 1.0), rest[0]
    elif name == "subtract":
        b = -b
    return a + b if a == 0 and b == 0 else 0.0


def full_width(
    name: str,
    xs: list[Array],
    rule: Rule,
    route: str,
    draw: RandomIntegers | None,
    overflow: str | None,
    return_flags: bool,
) -> Any:
    """Return results for which float64 has no bits to spare, by steps from the nearest float64 or by integers."""
    fmt = rule.fmt
    xs = [x.astype(np.float64, copy=False).reshape(-1) for x in xs]
    if route == "steps":
        result, error = with_error(name, xs)
        inexact = np.abs(error) > 0
        result = STEPS[rule.rounding](result, error)
        places = beyond_float64(name, xs)
    else:
        result = plain_fma(*xs) if name == "fma" else NATIVE[name](*xs)
        inexact = np.zeros(result.shape, bool)
        places = _regular(name, xs, np.all(np.isfinite(np.stack(xs)), axis=0))
    bits = draw.bits if draw is not None else 0
    integers = asnumpy(draw.block(0, result.size)) if draw is not None else None
    found: dict[int, Rounded] = {}
    for i in places:
        row = [float(x[i]) for x in xs]
        n, e = EXACT[name](fmt.precision + bits + 3, *row)
        result[i], inexact[i] = 0.0, False
        if n == 0:
            result[i] = _exact_zero(name, row)
        else:
            R = int(integers[i]) if integers is not None else 0
            found[i] = round_ratio(n << max(e, 0), 1 << max(-e, 0), rule, R, bits)
    if rule.mode.cancels_to_minus and name in ("add", "subtract", "fma"):
        negative_zeros(name, xs, result)
    sign_nans(xs, result, fmt)
    mode = rule.rounding if draw is None else "nearest_even"
    kept: dict[str, Any] = {"rounding": mode, "overflow": overflow, "subnormals": rule.subnormals}
    return ended(name, xs, fmt, (result, inexact, found), kept, return_flags)


def ended(
    name: str,
    xs: list[Array],
    fmt: FloatFormat,
    exact: tuple[Array, Array, dict[int, Rounded]],
    kept: dict[str, Any],
    return_flags: bool,
) -> Any:
    """Return flat results whose finite numbers are values of the format: with the policy for infinities, and flags."""
    result, inexact, found = exact
    rounded = None
    if return_flags:
        values, rounded = quantize(result, fmt, **kept, return_flags=True)
    else:
        values = quantize(result, fmt, **kept)
    values = as_type(values, fmt.value_dtype)
    for i, one in found.items():
        values[i] = one.value
    if rounded is None:
        return values
    flags = flags_of_operation(name, xs, result, rounded)
    raised = {name: getattr(flags, name) for name in flags.__dataclass_fields__}
    raised["inexact"] = raised["inexact"] | inexact
    for i, one in found.items():
        for name in ("invalid", "overflow", "underflow", "inexact"):
            raised[name][i] = getattr(one, name)
    return values, Flags(**raised)
