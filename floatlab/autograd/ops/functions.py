"""The elementary functions that are no activations: each correctly rounded, with its derivative in float64.

exp, log, sqrt, tanh and sigmoid, which training lives on, stand in elementwise.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Kernel, Node, Op, rounded, wide
from floatlab.autograd.ops.elementwise import evaluated
from floatlab.autograd.rounding import round_to
from floatlab.functions import evaluate as functions
from floatlab.functions.float64 import cos64, exp64, expm1_64, log64, sigmoid64, sin64

_LN2, _LN10 = math.log(2.0), math.log(10.0)

#: f'(x) for every function, by operations that are the same on every machine.
_SLOPES: dict[str, tuple[str, Callable[[Array], Any]]] = {
    "exp2": ("2 ** a", lambda x: _LN2 * exp64(np.asarray(x * _LN2))),
    "expm1": ("e ** a - 1", exp64),
    "log2": ("the logarithm to base 2", lambda x: 1.0 / (x * _LN2)),
    "log10": ("the logarithm to base 10", lambda x: 1.0 / (x * _LN10)),
    "log1p": ("log(1 + a)", lambda x: 1.0 / (1.0 + x)),
    "sin": ("the sine", cos64),
    "cos": ("the cosine", lambda x: -sin64(x)),
    "tan": ("the tangent", lambda x: 1.0 / np.square(cos64(x))),
    "sinh": ("the hyperbolic sine", lambda x: 0.5 * (exp64(x) + exp64(-x))),
    "cosh": ("the hyperbolic cosine", lambda x: 0.5 * (expm1_64(x) - expm1_64(-x))),
    "arcsin": ("the angle whose sine is a", lambda x: 1.0 / np.sqrt((1.0 - x) * (1.0 + x))),
    "arccos": ("the angle whose cosine is a", lambda x: -1.0 / np.sqrt((1.0 - x) * (1.0 + x))),
    "arctan": ("the angle whose tangent is a", lambda x: 1.0 / (1.0 + x * x)),
    "arcsinh": ("the number whose hyperbolic sine is a", lambda x: 1.0 / np.sqrt(1.0 + x * x)),
    "arccosh": ("the number whose hyperbolic cosine is a", lambda x: 1.0 / np.sqrt((x - 1.0) * (x + 1.0))),
    "arctanh": ("the number whose hyperbolic tangent is a", lambda x: 1.0 / ((1.0 - x) * (1.0 + x))),
    "erf": ("the error function", lambda x: 2.0 / math.sqrt(math.pi) * exp64(-x * x)),
    "rsqrt": ("1 / sqrt(a)", lambda x: -0.5 / (x * np.sqrt(x))),
    "deg2rad": ("degrees in radians", lambda x: np.full(x.shape, math.pi / 180.0)),
    "rad2deg": ("radians in degrees", lambda x: np.full(x.shape, 180.0 / math.pi)),
}


#: Those that `floatlab.functions` has up to 24 bits of precision only: a few float64 operations, within some ulp.
_IN_FLOAT64: dict[str, Callable[[Array], Any]] = {
    "exp2": lambda x: np.ldexp(exp64(np.asarray((x - _whole(x)) * _LN2)), _whole(x).astype(np.int32)),
    "log2": lambda x: np.frexp(x)[1] + log64(np.asarray(np.frexp(x)[0])) / _LN2,
    "log10": lambda x: log64(x) / _LN10,
    "tan": lambda x: sin64(x) / cos64(x),
    "sinh": lambda x: 0.5 * (expm1_64(x) - expm1_64(-x)),
    "cosh": lambda x: 0.5 * (exp64(x) + exp64(-x)),
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
}


def _whole(x: Array) -> Array:
    return np.nan_to_num(np.rint(np.clip(x, -1100.0, 1100.0)))


def _derivative(slope: Callable[[Array], Any]) -> Kernel:
    return wide(lambda node, g: np.asarray(node.wide(g) * slope(node.wide(node.a))))


def _function(name: str) -> Op:
    doc, slope = _SLOPES[name]
    in_float64 = _IN_FLOAT64.get(name)

    def forward(node: Node, x: Array) -> Array:
        if in_float64 is not None and node.target.precision > 24:
            return round_to(np.asarray(in_float64(node.wide(x))), node.target, node.arithmetic)
        return evaluated(name, node, x)

    return Op(name, rounded(forward), (_derivative(slope),), doc, keeps=(0,))


def _cube_root_derivative(node: Node, g: Array) -> Array:
    return np.asarray(node.wide(g) / (3.0 * np.square(node.wide(node.out))))


# -- of two numbers ------------------------------------------------------------------------------------


#: The derivatives of f(a, b) by a and by b.
_PAIRS: dict[str, tuple[str, Callable[[Array, Array], Any], Callable[[Array, Array], Any]]] = {
    "hypot": (
        "sqrt(a a + b b)",
        lambda a, b: _share_of_length(a, b),
        lambda a, b: _share_of_length(b, a),
    ),
    "arctan2": (
        "the angle of the point (b, a)",
        lambda y, x: x / (x * x + y * y),
        lambda y, x: -y / (x * x + y * y),
    ),
    "logaddexp": ("log(e ** a + e ** b)", lambda a, b: _weight(a, b, 1.0), lambda a, b: _weight(b, a, 1.0)),
    "logaddexp2": (
        "log2(2 ** a + 2 ** b)",
        lambda a, b: _weight(a, b, _LN2),
        lambda a, b: _weight(b, a, _LN2),
    ),
}


def _share_of_length(a: Array, b: Array) -> Array:
    length = np.sqrt(a * a + b * b)
    return np.where(length == 0, 0.0, a / length)  # at the origin 0, as in PyTorch's norm


def _weight(a: Array, b: Array, factor: float) -> Array:
    return sigmoid64(np.asarray(np.where(a == b, 0.0, a - b) * factor))  # infinities that are equal share


def _pair(name: str) -> Op:
    doc, *slopes = _PAIRS[name]

    def forward(node: Node, a: Array, b: Array) -> Array:
        rules = node.arithmetic.for_results
        return np.asarray(functions.evaluate_pair(name, a, b, node.target, **rules))

    derivatives = [
        wide(
            lambda node, g, slope=slope: np.asarray(
                node.wide(g) * slope(node.wide(node.a), node.wide(node.b))
            )
        )
        for slope in slopes
    ]
    return Op(name, rounded(forward), derivatives, doc, keeps=(0, 1))


OPS = (
    *map(_function, _SLOPES),
    Op(
        "cbrt",
        rounded(lambda node, x: evaluated("cbrt", node, x)),
        (wide(_cube_root_derivative),),
        "the cube root",
        keeps_output=True,
    ),
    *map(_pair, _PAIRS),
)
