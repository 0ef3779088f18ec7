"""What is f(x) of a GPU's array? Its float64 function, one look at which elements are suspects, and these alone here.

The device computes f(x) in float64, with last bits of its own; a kernel says which results are too near a number at
which rounding changes its mind. Of those the arguments are read, settled as those of a CPU are, and the results sent
back. Of functions of one number, zeros, infinities and NaNs never are: what f(0) rounds to is known, and the others are
what they are. Of functions of two, infinities and NaNs are suspects.

See Also
--------
floatlab.functions.evaluate : the method
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise, array_module, asnumpy, beside
from floatlab.formats import FloatFormat
from floatlab.functions.suspects import ALL, NEAR, TINY, settle, sticky_values, wide_values

__all__ = ["settled_at", "wide_on_device"]

_TEXT = f"""
    long long bits = __double_as_longlong(y), sign = 1ll << 63;
    bool is_near = ((bits + {NEAR}) & mask) <= {2 * NEAR} || untrusted;
    is_near = is_near || (looks_at_tiny && y < {TINY.hex()} && y > -{TINY.hex()});
    near = {{near}};
    long long nan = 0x7ff8000000000000ll | ({{sign_of_nan}});
    r = {{zero}}(y == y ? y : __longlong_as_double(nan));
"""


@lru_cache(maxsize=2)
def _kernel(operands: int) -> Elementwise:
    """Return the kernel that finds suspects, and gives NaNs the sign of the first argument that is one."""
    names = "xz"[:operands]
    sign = "0"
    for v in reversed(names):
        sign = f"{v} == {v} ? {sign} : __double_as_longlong({v}) & sign"
    alone = operands == 1
    text = _TEXT.format(
        # An infinity less itself is a NaN.
        near="is_near && y == y && x - x == 0 && x != 0"
        if alone
        else "(is_near && y == y) || !(x - x == z - z)",
        sign_of_nan=sign,
        zero="x == 0 ? (__double_as_longlong(x) < 0 ? at_minus_zero : at_zero) : " if alone else "",
    )
    inputs = ", ".join(f"float64 {v}" for v in names)
    inputs += (
        ", float64 y, bool untrusted, float64 at_zero, float64 at_minus_zero, int64 mask, bool looks_at_tiny"
    )
    return Elementwise(inputs, "float64 r, bool near", text, "floatlab_suspects")


@lru_cache(maxsize=64)
def _at_zeros(name: str) -> tuple[float, float]:
    """Return what f(0) and f(-0) are, or what every mode rounds as it would round them."""
    at_zero, at_minus_zero = sticky_values(name, np.array([0.0, -0.0])).tolist()
    return at_zero, at_minus_zero


def _power_of_finite(x: Array, y: Array) -> Array:
    xp: Any = array_module(x)
    minus = xp.signbit(x)
    size = xp.power(abs(x), y)
    signed = xp.where(minus & (abs(xp.fmod(y, 2.0)) == 1), -size, size)
    return xp.where(minus & (x != 0) & (xp.rint(y) != y), np.nan, signed)


# Functions of two finite numbers, which need not know what infinities and NaNs give.
_OF_FINITE: dict[str, Callable[[Array, Array], Array]] = {
    "hypot": lambda a, b: array_module(a).hypot(a, b),
    "arctan2": lambda y, x: array_module(y).arctan2(y, x),
    "power": _power_of_finite,
}


def wide_on_device(
    name: str,
    wide: tuple[Array, ...],
    bits: int,
    fmt: FloatFormat,
    task: tuple[FloatFormat, dict[str, Any]] | None,
    integers: Array | None = None,
) -> Array:
    """Return float64 numbers that round as f(x) does.

    Parameters
    ----------
    name : str
        The function.
    wide : tuple of arrays of float64
        Its arguments, of one dimension.
    bits : int
        The bits of the numbers at which rounding changes its mind.
    fmt : FloatFormat
        Where its smallest value is near float64's, small results are looked at, too.
    task, integers
        As `floatlab.functions.suspects.settle` takes them.
    """
    function = ALL[name]
    kernel: Callable[..., Array] = _OF_FINITE.get(name, function.kernel)
    y = kernel(*wide)
    untrusted: Any = False if function.untrusted is None else function.untrusted(*wide, y)
    dropped = 53 - bits
    mask = (1 << dropped) - 1 if dropped >= 12 else 0  # of so many bits every number is near one
    zeros = _at_zeros(name) if len(wide) == 1 else (0.0, 0.0)
    looks_at_tiny = fmt.smallest_subnormal < 4 * TINY
    y, near = _kernel(len(wide))(*wide, y, untrusted, *zeros, mask, looks_at_tiny)
    where = array_module(y).flatnonzero(near)
    if where.size:
        doubts = None if untrusted is False else asnumpy(untrusted[where])
        drawn = None if integers is None else asnumpy(integers[where])
        y[where] = beside(settled_at(name, wide, where, task, doubts, drawn), y)
    return y


def settled_at(
    name: str,
    wide: tuple[Array, ...],
    where: Array,
    task: tuple[FloatFormat, dict[str, Any]] | None,
    untrusted: np.ndarray[Any, Any] | None = None,
    integers: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Return, on the host, what every mode rounds as the results of the elements `where`."""
    at = tuple(asnumpy(x[where]) for x in wide)
    with np.errstate(all="ignore"):
        ys = wide_values(name, at)
        settle(name, at, ys, np.arange(ys.size), task, untrusted, integers)
    return ys
