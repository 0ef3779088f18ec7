"""Are these numbers what a matrix unit can be given? Operands in its formats, nothing rounded in silence."""

from __future__ import annotations

import numpy as np

from floatlab.backend import Array, refuse_device
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import round_floats

__all__ = ["checked", "cut"]


def checked(x: Array, fmt: FloatFormat, what: str) -> Array:
    """Return float64 numbers that are values of a format, as they are.

    Raises
    ------
    DtypeError
        If some are none; it says how many, and which is the first.
    """
    refuse_device(f"What a matrix unit multiplies, {what} here,", x)
    rule = make_rule(fmt, "nearest_even", None, "gradual", False)
    with np.errstate(all="ignore"):
        rounded = round_floats(x, rule, np.empty(x.shape))
        wrong = rounded != x
        if wrong.any():
            wrong &= ~(np.isnan(x) & np.isnan(rounded))
    count = int(np.count_nonzero(wrong))
    if count:
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DtypeError(
            f"{what} is made of values of {fmt}, which a unit takes as they are. Got {count:,} of {x.size:,} "
            f"numbers that are none; the first is {float(x[place])!r} at {list(place)}. "
            f'Round it first: fl.quantize(x, "{fmt.spec}").'
        )
    return x


def cut(x: Array, fmt: FloatFormat) -> Array:
    """Return numbers without the bits that a format lacks.

    >>> from floatlab.formats import get_format
    >>> cut(np.array([1 + 2.0**-11, -(1 + 2.0**-10)]), get_format("tf32"))
    array([ 1.        , -1.00097656])
    """
    rule = make_rule(fmt, "toward_zero", None, "gradual", False)
    return round_floats(x, rule, np.empty(x.shape))
