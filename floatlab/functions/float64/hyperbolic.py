"""What is tanh x, and 1 / (1 + e**-x)? The addition theorem, from a point of a table nearby."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from floatlab.functions.float64.blocks import Floats, nearest_place, run
from floatlab.functions.float64.exponential import exp64
from floatlab.functions.tables import (
    SIGMOID_END,
    SIGMOID_STEPS,
    TANH_END,
    TANH_STEPS,
    sigmoid_table,
    tanh_table,
)

__all__ = ["sigmoid64", "tanh64"]


def _tanh_kernel(x: Floats, out: Floats) -> None:
    high, low = tanh_table()
    r = np.clip(x, -TANH_END, TANH_END)
    place = nearest_place(r, TANH_STEPS, TANH_END)
    square = np.multiply(r, r)
    rest = np.multiply(square, -17 / 315)  # t = tanh r = r + rest, rest = r³ (-1/3 + 2/15 r² - 17/315 r⁴)
    rest += 2 / 15
    rest *= square
    rest -= 1 / 3
    rest *= square
    rest *= r
    # tanh(c + r) = tanh c + t - p (t + tanh c) / (1 + p) with p = t tanh c: all but tanh c + r is far smaller
    base = high.take(place, mode="clip")
    t = np.add(r, rest)
    p = np.multiply(t, base, out=square)
    t += base
    t *= p
    p += 1
    t /= p
    rest -= t
    rest += low.take(place, mode="clip", out=p)
    total = np.add(base, r, out=t)
    base -= total
    base += r  # what the addition lost
    rest += base
    total += rest
    np.copysign(total, x, out=out)  # -0 stays -0


def tanh64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the hyperbolic tangent, the same bits on every CPU, within 1 ulp.

    Parameters as in `exp64`; -0 gives -0.

    Examples
    --------
    >>> tanh64([0.0, 1e-10, -np.inf])
    array([ 0.e+00,  1.e-10, -1.e+00])
    """
    return run("tanh64", _tanh_kernel, x, out)


def _sigmoid_kernel(x: Floats, out: Floats) -> None:
    high, low, slope = sigmoid_table()
    small = x < -SIGMOID_END if not x.min() >= -SIGMOID_END else None
    tail = exp64(x[small]) if small is not None else None
    r = np.clip(x, -SIGMOID_END, SIGMOID_END)
    place = nearest_place(r, SIGMOID_STEPS, SIGMOID_END)
    u = np.multiply(r, 1 / 720)  # u = expm1(r) = r + r² (1/2 + r/6 + r²/24 + r³/120 + r⁴/720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2):
        u += coefficient
        u *= r
    u *= r
    u += r
    # sigmoid(c + r) = s + s (1 - s) u / (1 + s u) with s = sigmoid c
    base = high.take(place, mode="clip")
    np.multiply(base, u, out=r)
    r += 1
    u *= slope.take(place, mode="clip")
    u /= r
    u += low.take(place, mode="clip", out=r)
    np.add(base, u, out=out)
    if small is not None:
        out[small] = tail


def sigmoid64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return 1 / (1 + e**-x), the same bits on every CPU, within 1 ulp.

    Parameters and special values as in `exp64`; the left tail is accurate down to the subnormals.

    Examples
    --------
    >>> sigmoid64([0.0, -800.0, np.inf])
    array([0.5, 0. , 1. ])
    """
    return run("sigmoid64", _sigmoid_kernel, x, out)
