"""The operations that go to a whole number, or to a sign. Their slope is 0 wherever there is one, as in PyTorch."""

from __future__ import annotations

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, wide


def _sign(node: Node, x: Array) -> Array:
    return np.asarray(np.where(x > 0, 1.0, np.where(x < 0, -1.0, 0.0)))


def _flat(node: Node, g: Array) -> Array:
    return np.zeros(g.shape, g.dtype)


_FUNCTIONS = {
    "floor": (np.floor, "the largest whole numbers that are not larger"),
    "ceil": (np.ceil, "the smallest whole numbers that are not smaller"),
    "round": (np.rint, "the nearest whole numbers, the even ones of two"),
    "trunc": (np.trunc, "the whole numbers without their fractions"),
}

OPS = (
    *(
        Op(name, wide(lambda n, x, of=function: of(n.wide(x))), (moved(_flat),), what)
        for name, (function, what) in _FUNCTIONS.items()
    ),
    Op("sign", wide(_sign), (moved(_flat),), "1, 0 or -1"),
)
