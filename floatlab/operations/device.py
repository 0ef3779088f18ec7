"""How does a GPU form a op b so that one rounding is all that is left? One kernel: float64, and what it loses.

What `floatlab.operations.error_free` does with arrays is done here with single numbers, in C++ that CuPy compiles: the
operands become float64 by an instruction of their own (CuPy's own conversion would flush float32 subnormals), the
operation and its error are float64 operations, and the last bit is an integer's. The signs of zeros and NaNs are given
on the way, so that nothing is read back.

See Also
--------
floatlab.operations.error_free : the same for arrays of a CPU, and the sources of the formulas
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from floatlab.backend import WIDE, Array, Elementwise
from floatlab.rounding.odd import NUDGED

__all__ = ["exact_results", "exact_results_and_extremes", "operation_kernel"]

PAIRS = """
// The exact number is the sum of the two; of a quotient or a root, the error's sign counts.
struct Exact { double nearest, error; };

__device__ inline Exact two_sum(double x, double y) {
    double total = x + y, back = total - x;
    return {total, (x - (total - back)) + (y - back)};
}
__device__ inline double upper_half(double x) {
    double raised = x * 134217729.0;
    return raised - (raised - x);
}
__device__ inline Exact two_product(double x, double y) {
    double product = x * y, a = upper_half(x), b = x - a, c = upper_half(y), d = y - c;
    return {product, b * d - (((product - a * c) - b * c) - a * d)};
}
__device__ inline double to_odd(Exact exact) { return nudged(exact.nearest, exact.error); }
"""

_SPECIAL = """
#define INFINITE __longlong_as_double(0x7ff0000000000000ll)  // a device's compiler has no INFINITY
__device__ inline bool is_nan(double x) { return x != x; }
__device__ inline bool is_minus(double x) { return __double_as_longlong(x) < 0; }
__device__ inline double size_of(double x) { return __longlong_as_double(__double_as_longlong(x) & ~(1ll << 63)); }
__device__ inline bool is_finite(double x) { return size_of(x) < INFINITE; }
__device__ inline double with_sign(double x, double sign) {
    return __longlong_as_double(__double_as_longlong(size_of(x)) | (__double_as_longlong(sign) & (1ll << 63)));
}
__device__ inline bool is_extreme(double x) { return size_of(x) > 0x1p300 || (size_of(x) < 0x1p-300 && x != 0); }
"""

# What is left of an infinity is no number, and changes nothing.
_EXACT = {
    "add": "Exact exact = two_sum(x, y);",
    "subtract": "Exact exact = two_sum(x, -y);",
    "multiply": "Exact exact = two_product(x, y);",
    "divide": """
        double quotient = x / y;
        Exact back = two_product(quotient, y);
        double remainder = (x - back.nearest) - back.error;  // exact: no longer than the dividend
        Exact exact = {quotient, is_minus(y) ? -remainder : remainder};
    """,
    "sqrt": """
        double root = sqrt(x);
        Exact square = two_product(root, root);
        Exact exact = {root, (x - square.nearest) - square.error};
    """,
    # By Boldo and Melquiond: the exact result is high + (low + lower), the latter rounded to odd.
    "fma": """
        Exact product = two_product(x, y), middle = two_sum(z, product.error);
        Exact high = two_sum(product.nearest, middle.nearest);
        Exact exact = two_sum(high.nearest, to_odd(two_sum(middle.error, high.error)));
        bool ordinary = is_finite(exact.nearest) && exact.nearest != 0;
        bool beyond = !is_finite(product.nearest) && is_finite(x) && is_finite(y);
        if (!ordinary) exact.nearest = (beyond ? with_sign(1.0, product.nearest) : product.nearest) + z;
    """,
}
_DIRECT = {
    "add": "double r = x + y;",
    "subtract": "double r = x - y;",
    "multiply": "double r = x * y;",
    "divide": "double r = x / y;",
    "sqrt": "double r = sqrt(x);",
    "fma": "double r = x * y + z;",
}
# The float64 that a mode wants, from the nearest one and the sign of what is missing.
_STEPS = {
    "to_odd": "double r = to_odd(exact);",
    "nearest_even": "double r = exact.nearest;",
    "toward_positive": "double r = exact.error > 0 ? nextafter(exact.nearest, INFINITE) : exact.nearest;",
    "toward_negative": "double r = exact.error < 0 ? nextafter(exact.nearest, -INFINITE) : exact.nearest;",
    "toward_zero": """
        bool inward = (exact.error < 0 || exact.error > 0) && (exact.error < 0) != (exact.nearest < 0);
        double r = inward ? nextafter(exact.nearest, 0.0) : exact.nearest;
    """,
}
_MINUS = {"add": "is_minus(x) || is_minus(y)", "subtract": "is_minus(x) || !is_minus(y)"}
_MINUS["fma"] = "is_minus(x) != is_minus(y) || is_minus(z)"
_NAMES = "xyz"


@lru_cache(maxsize=256)
def operation_kernel(
    name: str, way: str, types: tuple[np.dtype[np.float64], ...], to_minus: bool, extremes: bool
) -> Elementwise:
    """Return the kernel of an operation.

    Parameters
    ----------
    name : str
        One of `floatlab.operations.operate.OPERATIONS`.
    way : str
        "direct": the float64 operation. Else the exact result as a float64 of a mode: "to_odd", "nearest_even",
        "toward_zero", "toward_positive" or "toward_negative".
    types : tuple of dtype
        float32 or float64, for each operand.
    to_minus : bool
        Whether sums that cancel are -0.
    extremes : bool
        Whether to say as well where the result is an ordinary number, but it or its error may lie beyond float64, and
        where the result is not exact.

    Returns
    -------
    Elementwise
        ``(operands) -> result[, beyond, inexact]``.
    """
    operands = _NAMES[: len(types)]
    lines = [f"double {v} = wide({v}_);" for v in operands]
    lines.append(_DIRECT[name] if way == "direct" else _EXACT[name] + _STEPS[way])
    if to_minus and name in _MINUS:
        lines.append(f"if (r == 0 && ({_MINUS[name]})) r = -0.0;")
    sign = "0.0"
    for v in reversed(operands):
        sign = f"is_nan({v}) ? {v} : {sign}"
    lines.append(f"if (is_nan(r)) r = with_sign(__longlong_as_double(0x7ff8000000000000ll), {sign});")
    lines.append("r_ = r;")
    outputs = "float64 r_"
    if extremes:
        regular = {"sqrt": "x > 0", "multiply": "x != 0 && y != 0", "divide": "x != 0 && y != 0"}
        finite = " && ".join(f"is_finite({v})" for v in operands)
        far = " || ".join(f"is_extreme({v})" for v in operands)
        lines.append(f"is_beyond = {regular.get(name, 'true')} && {finite} && ({far});")
        error = "false" if way == "direct" else "exact.error < 0 || exact.error > 0"
        lines.append(f"is_inexact = {error};")
        outputs += ", bool is_beyond, bool is_inexact"
    letters = "ABC"[: len(types)]
    inputs = ", ".join(f"{kind} {v}_" for kind, v in zip(letters, operands, strict=True))
    preamble = WIDE + NUDGED + PAIRS + _SPECIAL
    return Elementwise(inputs, outputs, "\n".join(lines), f"floatlab_{name}_{way}", preamble)


def exact_results(name: str, xs: list[Array], way: str, to_minus: bool) -> Array:
    """Return the results in float64, as `way` says, with the signs of zeros and NaNs; no operand is extreme."""
    xs, types = _single_types(xs)
    return operation_kernel(name, way, types, to_minus, False)(*xs)


def exact_results_and_extremes(
    name: str, xs: list[Array], way: str, to_minus: bool
) -> tuple[Array, Array, Array]:
    """Return the results, where they may be wrong because of float64's ends, and where they are not exact."""
    xs, types = _single_types(xs)
    result, beyond, inexact = operation_kernel(name, way, types, to_minus, True)(*xs)
    return result, beyond, inexact


def _single_types(xs: list[Array]) -> tuple[list[Array], tuple[np.dtype[np.float64], ...]]:
    """Return operands of the types that kernels know: float16 becomes float64, which flushes none of its numbers."""
    xs = [x.astype(np.float64) if x.dtype == np.float16 else x for x in xs]
    return xs, tuple(x.dtype for x in xs)
