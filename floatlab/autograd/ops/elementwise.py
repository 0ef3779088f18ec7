"""The operations that treat each element by itself: arithmetic, functions, selection.

Arithmetic computes in ``node.work`` (float32 where that is wide enough, see numeric.py), functions are
correctly rounded by `floatlab.functions.evaluate`, and formulas of several steps are taken in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Kernel, Node, Op, moved, rounded, wide
from floatlab.autograd.rounding import combine, fill, is_subset, round_to, zero_where
from floatlab.errors import ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.functions import evaluate as functions
from floatlab.functions.float64 import exp64, log64
from floatlab.operations.operate import operate
from floatlab.rounding.inputs import as_source
from floatlab.rounding.quantize import quantize

_FLOAT64 = get_format("float64")

# -- arithmetic --------------------------------------------------------------------------------------


def _binary(ufunc: np.ufunc) -> Kernel:
    return wide(lambda node, a, b: combine(node, ufunc, a, b))


def _exactly(name: str) -> Kernel:
    """Return a kernel that is right in every mode, as slow as that is."""
    return rounded(lambda node, *xs: _operate(name, node, *xs))


def _operate(name: str, node: Node, *xs: Any) -> Array:
    return np.asarray(operate(name, xs, node.target, **node.arithmetic.for_results))


def _power(node: Node, base: Array, exponent: Array) -> Array:
    if exponent.ndim == 0 and exponent == 2:
        return _operate("multiply", node, base, base)
    if exponent.ndim == 0 and exponent == -1:
        return _operate("divide", node, 1.0, base)
    rules = node.arithmetic.for_results
    return np.asarray(functions.evaluate_pair("power", base, exponent, node.target, **rules))


def _add_scaled(node: Node, a: Array, b: Array, *, alpha: float) -> Array:
    return _operate("fma", node, b, as_source(alpha, _FLOAT64), a)


def _scaled(node: Node, g: Array) -> Array:
    return combine(node, np.multiply, g, np.array(float(node.params["alpha"])), np.float64)


def _negate(node: Node, x: Array) -> Array:
    values = np.negative(x)  # a sign bit, and nothing that a context has a say in
    return values if node.target.has_negative_zero else round_to(values, node.target)


def power64(base: Array, exponent: Array) -> Array:
    """Return base ** exponent in float64 by operations that every CPU does alike.

    Small whole exponents are products; the rest is exp(exponent * log |base|), which is within about 2**-43.
    """
    base, exponent = np.asarray(base, np.float64), np.asarray(exponent, np.float64)
    if exponent.ndim == 0 and abs(exponent) <= 64 and exponent == np.rint(exponent):
        result, square, n = np.ones_like(base), base, abs(int(exponent))
        while n:
            if n & 1:
                result = result * square
            n >>= 1
            if n:
                square = square * square
        return np.asarray(1.0 / result if exponent < 0 else result)
    if exponent.ndim == 0 and exponent == 0.5:
        return np.where(base == -np.inf, np.inf, np.sqrt(base) + 0.0)  # IEEE 754 has pow(-0, 0.5) = +0
    whole = exponent == np.rint(exponent)
    odd = np.isfinite(exponent) & (np.fmod(exponent, 2.0) != 0.0)  # an infinite exponent counts as even
    size = np.asarray(exp64(np.asarray(exponent * log64(np.abs(base)))))
    one = (base == 1.0) | (exponent == 0.0) | ((base == -1.0) & np.isinf(exponent))
    size = np.where(one, 1.0, size)  # even of NaN and infinity, as IEEE 754 has it
    signed = np.where(np.signbit(base) & whole & odd, -size, size)
    return np.where((base < 0) & np.isfinite(base) & ~whole & np.isfinite(exponent), np.nan, signed)


def _pow_base_derivative(node: Node, g: Array) -> Array:
    slope = node.b * power64(node.a, np.asarray(node.b, np.float64) - 1.0)
    return np.where(node.b == 0, 0.0, g * slope)  # a ** 0 is 1 whatever a is, 0 and NaN as well


def _pow_exponent_derivative(node: Node, g: Array) -> Array:
    base = node.wide(node.a)
    # 0 ** b does not depend on b > 0, although log 0 is infinite; at 0 ** 0 it is 0 by agreement, as in PyTorch.
    return np.where((base == 0) & (node.b >= 0), 0.0, g * node.wide(node.out) * log64(base))


# -- functions ---------------------------------------------------------------------------------------


def evaluated(name: str, node: Node, x: Array) -> Array:
    """Return a function of the values, correctly rounded to the node's target."""
    return np.asarray(functions.evaluate(name, x, node.target, **node.arithmetic.for_results))


def _function(name: str) -> Kernel:
    return rounded(lambda node, x: evaluated(name, node, x))


# -- selection ---------------------------------------------------------------------------------------


def larger(a: Array, b: Array) -> Array:
    """Return the larger of two, the first of equal ones, and NaN before all else.

    NumPy's `maximum` leaves it to the processor which of 0 and -0 it returns.
    """
    return np.where((a >= b) | (a != a), a, b)


def _bound(value: float, fmt: FloatFormat) -> Array:
    """Return a bound as a value of the format, so that what it cuts off becomes one."""
    policy = None if np.isinf(value) and fmt.has_infinity else "saturate"
    return np.asarray(quantize(float(value), fmt, overflow=policy), dtype=fmt.value_dtype)


def _clamp(node: Node, x: Array, *, low: float | None = None, high: float | None = None) -> Array:
    if low is not None:
        x = larger(x, _bound(low, node.target))
    return np.array(x) if high is None else -larger(-x, -_bound(high, node.target))


def _clamp_derivative(node: Node, g: Array) -> Array:
    low, high, x = node.params.get("low"), node.params.get("high"), node.a
    inside = x == x  # a NaN passes, and its gradient does not, as in PyTorch
    if low is not None:
        inside &= x > _bound(
            low, node.format
        )  # at a bound 0, as for relu; so PyTorch since 2.14, before it was 1
    if high is not None:
        inside &= x < _bound(high, node.format)
    return zero_where(np.logical_not(inside), g)


def _masked_fill(node: Node, x: Array, *, mask: Any, value: float) -> Array:
    return np.where(mask, fill(value, node, finite_too=True), x)  # a mask of -1e9 is not meant to be NaN


def _share(node: Node, g: Array, loses: Any) -> Array:
    # Of two equal inputs each gets half, as in PyTorch.
    return np.where(loses, 0.0, np.where(node.a == node.b, np.float64(0.5) * g, g))


def _dropout(node: Node, x: Array, *, mask: Any, p: float) -> Array:
    if np.shape(mask) != x.shape:
        raise ShapeError(f"dropout needs a mask of x's shape. Got {np.shape(mask)} for {x.shape}. Draw one.")
    if p >= 1:
        return np.zeros_like(x)
    return zero_where(np.logical_not(mask), combine(node, np.divide, x, np.array(1.0 - p), np.float64))


def _dropout_derivative(node: Node, g: Array) -> Array:
    return _dropout(node, g, **node.params)


def _cast(
    node: Node, x: Array, *, format: FloatFormat, gradient_format: FloatFormat, **options: Any
) -> Array:
    rules = node.arithmetic
    if rules.is_native and not options and is_subset(node.inputs[0].format, node.target):
        return np.array(x, dtype=node.target.value_dtype)  # a copy: the two tensors may change apart
    return np.asarray(
        quantize(x, node.target, **rules.of_operation(**options)), dtype=node.target.value_dtype
    )


OPS = (
    Op(
        "add", _binary(np.add), (moved(lambda n, g: g), moved(lambda n, g: g)), "a + b", exact=_exactly("add")
    ),
    Op(
        "sub",
        _binary(np.subtract),
        (moved(lambda n, g: g), wide(lambda n, g: np.negative(g))),
        "a - b",
        exact=_exactly("subtract"),
    ),
    Op(
        "add_scaled",
        rounded(_add_scaled),
        (moved(lambda n, g: g), wide(_scaled)),
        "a + alpha * b, rounded once",
    ),
    Op(
        "mul",
        _binary(np.multiply),
        (
            wide(lambda n, g: combine(n, np.multiply, g, n.b)),
            wide(lambda n, g: combine(n, np.multiply, g, n.a)),
        ),
        "a * b",
        keeps=(0, 1),
        exact=_exactly("multiply"),
    ),
    Op(
        "div",
        _binary(np.divide),
        (
            wide(lambda n, g: combine(n, np.divide, g, n.b)),
            wide(lambda n, g: -n.wide(g) * (n.wide(n.a) / n.b / n.wide(n.b))),
        ),
        "a / b",
        keeps=(0, 1),
        exact=_exactly("divide"),
    ),
    Op(
        "neg",
        wide(lambda n, x: np.negative(x)),
        (wide(lambda n, g: np.negative(g)),),
        "-a",
        exact=moved(_negate),
    ),
    Op(
        "pow",
        wide(lambda n, a, b: power64(a, b)),
        (
            wide(_pow_base_derivative),
            wide(_pow_exponent_derivative),
        ),
        "a ** b",
        keeps=(0, 1),
        keeps_output=True,
        exact=rounded(_power),
    ),
    Op(
        "exp",
        _function("exp"),
        (wide(lambda n, g: combine(n, np.multiply, g, n.out)),),
        "e ** a",
        keeps_output=True,
    ),
    Op(
        "log",
        _function("log"),
        (wide(lambda n, g: combine(n, np.divide, g, n.a)),),
        "the natural logarithm",
        keeps=(0,),
    ),
    Op(
        "sqrt",
        wide(lambda n, x: np.sqrt(x, dtype=n.work)),
        (wide(lambda n, g: n.wide(g) / (2.0 * n.wide(n.out))),),
        "the square root",
        keeps_output=True,
        exact=_exactly("sqrt"),
    ),
    Op(
        "abs",
        moved(lambda n, x: np.abs(x)),
        (wide(lambda n, g: n.wide(g) * np.sign(n.a)),),
        "|a|",
        keeps=(0,),
    ),
    Op(
        "tanh",
        _function("tanh"),
        (wide(lambda n, g: n.wide(g) * (1.0 - np.square(n.wide(n.out)))),),
        "tanh a",
        keeps_output=True,
    ),
    Op(
        "sigmoid",
        _function("sigmoid"),
        (wide(lambda n, g: n.wide(g) * n.out * (1.0 - n.wide(n.out))),),
        "1 / (1 + e ** -a)",
        keeps_output=True,
    ),
    # A NaN passes, and so does -0, as in PyTorch.
    Op(
        "relu",
        moved(lambda n, x: zero_where(x < 0, x)),
        (moved(lambda n, g: zero_where(n.out <= 0, g)),),
        "max(a, 0)",
        keeps_output=True,
    ),
    Op("clamp", moved(_clamp), (moved(_clamp_derivative),), "a, kept between low and high", keeps=(0,)),
    Op(
        "maximum",
        moved(lambda n, a, b: larger(a, b)),
        (wide(lambda n, g: _share(n, g, n.a < n.b)), wide(lambda n, g: _share(n, g, n.b < n.a))),
        "the larger of a and b",
        keeps=(0, 1),
    ),
    Op(
        "minimum",
        moved(lambda n, a, b: -larger(-a, -b)),
        (wide(lambda n, g: _share(n, g, n.a > n.b)), wide(lambda n, g: _share(n, g, n.b > n.a))),
        "the smaller of a and b",
        keeps=(0, 1),
    ),
    Op(
        "where",
        moved(lambda n, a, b, *, condition: np.where(condition, a, b)),
        (
            moved(lambda n, g: np.where(n.params["condition"], g, 0.0)),
            moved(lambda n, g: np.where(n.params["condition"], 0.0, g)),
        ),
        "a where the condition holds, b elsewhere",
    ),
    Op(
        "masked_fill",
        moved(_masked_fill),
        (moved(lambda n, g: np.where(n.params["mask"], 0.0, g)),),
        "a, and value where the mask holds",
    ),
    Op(
        "dropout",
        wide(_dropout),
        (wide(_dropout_derivative),),
        "a / (1 - p) where the mask holds, 0 elsewhere",
    ),
    Op("cast", rounded(_cast), (moved(lambda n, g: g),), "a in another format"),
)
