"""What is sin x, and cos x? Turns taken off in parts of pi, and the addition theorem from a point of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from floatlab.functions.float64.blocks import MAGIC, Floats, bits_of, run
from floatlab.functions.float64.device import FAR
from floatlab.functions.multiprecision import nearest
from floatlab.functions.tables import TURN, sin_table

__all__ = ["cos64", "sin64"]


def _circle_kernel(x: Floats, out: Floats, quarter_turns: int) -> None:
    """sin(x + quarter_turns pi / 2)."""
    high, low, cosine, (c1, c2, c3, c4) = sin_table()
    shifted = np.multiply(x, TURN / (2 * np.pi))
    shifted += MAGIC
    place = np.add(bits_of(shifted), quarter_turns * (TURN // 4))
    place &= TURN - 1
    shifted -= MAGIC
    r, work = np.multiply(shifted, c1), np.multiply(shifted, c2)
    np.subtract(x, r, out=r)  # exact; the next two are exact wherever the one after them cancels
    r -= work
    r -= np.multiply(shifted, c3, out=work)
    shifted *= c4
    r -= shifted
    square = np.multiply(r, r, out=work)
    rest = np.multiply(square, 1 / 120, out=shifted)  # sin r = r + rest, rest = r³ (-1/6 + r²/120)
    rest -= 1 / 6
    rest *= square
    rest *= r
    bend = np.multiply(square, 1 / 24)  # cos r - 1 = r² (-1/2 + r²/24)
    bend -= 1 / 2
    bend *= square
    # sin(c + r) = sin c + r cos c + (rest cos c + bend sin c): the bracket is far smaller
    base, slope = high.take(place, mode="clip"), cosine.take(place, mode="clip", out=square)
    bend *= base
    rest *= slope
    rest += bend
    rest += low.take(place, mode="clip", out=bend)
    r *= slope
    total = np.add(base, r, out=slope)
    base -= total
    base += r  # what the addition lost
    rest += base
    np.add(total, rest, out=out)


def _sin_kernel(x: Floats, out: Floats) -> None:
    result = np.empty_like(x)
    _far_or_near("sin", 0, x, result)
    np.copyto(result, x, where=x == 0)  # -0 stays -0
    out[...] = result


def _cos_kernel(x: Floats, out: Floats) -> None:
    _far_or_near("cos", 1, x, out)


def _far_or_near(name: str, quarter_turns: int, x: Floats, out: Floats) -> None:
    if x.min() >= -FAR and x.max() <= FAR:
        _circle_kernel(x, out, quarter_turns)
        return
    far = ~(np.abs(x) <= FAR)  # one at a time, in as many digits as it takes
    values = [nearest(name, v) if np.isfinite(v) else np.nan for v in x[far].tolist()]
    _circle_kernel(np.where(far, 0.0, x), out, quarter_turns)
    out[far] = values


def sin64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the sine of x radians, the same bits on every CPU, within 2 ulp, also near multiples of pi.

    Parameters as in `exp64`; infinities give NaN, -0 gives -0. Beyond 2**17 an element costs tens of microseconds.

    Examples
    --------
    >>> sin64([0.0, np.pi, np.inf])
    array([0.0000000e+00, 1.2246468e-16,           nan])
    """
    return run("sin64", _sin_kernel, x, out)


def cos64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the cosine of x radians, the same bits on every CPU, within 2 ulp, also near its zeros.

    Parameters and special values as in `sin64`.

    Examples
    --------
    >>> cos64([0.0, np.inf])
    array([ 1., nan])
    """
    return run("cos64", _cos_kernel, x, out)
