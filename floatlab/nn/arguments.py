"""Which arguments can a layer have? Sizes, pairs, probabilities and switches, checked when the layer is made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.errors import OptionError, ShapeError, check_switch

__all__ = [
    "Pair",
    "Rng",
    "alone",
    "axis_of",
    "is_whole",
    "number",
    "pair",
    "positive",
    "probability",
    "switches",
    "whole_shape",
]

Rng = np.random.Generator | int | None
Pair = int | tuple[int, int]


def is_whole(value: Any) -> bool:
    """Whether a value is an integer; True and False are none here, though Python counts with them.

    >>> is_whole(3), is_whole(True), is_whole(3.0)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def positive(**sizes: Any) -> None:
    """Raise OptionError if one of the sizes is not an integer of at least 1."""
    for name, size in sizes.items():
        if not is_whole(size) or size < 1:
            raise OptionError(f"{name} is an integer of at least 1. Got {size!r}. Give the layer a size.")


def pair(name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """Return one integer twice, or two integers as they are; each is at least `least`.

    >>> pair("stride", 2), pair("padding", (0, 1), 0)
    ((2, 2), (0, 1))
    """
    parts = (value, value) if is_whole(value) else value
    if not isinstance(parts, tuple | list) or len(parts) != 2 or not all(is_whole(part) for part in parts):
        raise OptionError(f"{name} is an integer, or a pair of them. Got {value!r}. Use 2 or (2, 2).")
    if min(parts) < least:
        raise OptionError(f"{name} is at least {least}. Got {value!r}. Use a larger number.")
    return int(parts[0]), int(parts[1])


def alone(name: str, value: Any) -> tuple[int]:
    """Return one integer, which may stand in a tuple of its own: of a sequence, which has a single axis.

    >>> alone("stride", 2), alone("stride", (2,))
    ((2,), (2,))
    """
    number = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    if not is_whole(number):
        raise OptionError(f"{name} is one integer here. Got {value!r}. Use 1.")
    return (int(number),)


def number(name: str, value: Any, least: float = -math.inf, beyond: bool = False) -> float:
    """Return a finite real number of at least `least`, or above it if `beyond` is set.

    >>> number("eps", 1e-5, 0.0)
    1e-05
    """
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.complexfloating)
    if not real or not math.isfinite(value) or value < least or (beyond and value <= least):
        bound = "" if least == -math.inf else f" above {least:g}" if beyond else f" of at least {least:g}"
        raise OptionError(f"{name} is a finite number{bound}. Got {value!r}. Give such a number.")
    return float(value)


def probability(name: str, value: Any) -> float:
    """Return a number from 0 to 1.

    >>> probability("p", 0.5)
    0.5
    """
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.complexfloating)
    if not real or not 0.0 <= value <= 1.0:
        raise OptionError(f"{name} is a probability. Got {value!r}. Give a number from 0 to 1.")
    return float(value)


def switches(**options: Any) -> None:
    """Raise OptionError if one of the options is neither True nor False."""
    for name, value in options.items():
        check_switch(name, value)


def whole_shape(name: str, value: Any) -> tuple[int, ...]:
    """Return one size, or several, as a shape of sizes of at least 1.

    >>> whole_shape("normalized_shape", 3), whole_shape("normalized_shape", [2, 3])
    ((3,), (2, 3))
    """
    shape = (value,) if is_whole(value) else value
    if not isinstance(shape, tuple | list) or not shape or not all(is_whole(n) and n >= 1 for n in shape):
        raise OptionError(f"{name} is a size, or a shape of sizes. Got {value!r}. Use 8 or (4, 8).")
    return tuple(int(n) for n in shape)


def axis_of(name: str, value: Any, ndim: int) -> int:
    """Return an axis counted from the front; a number that is none of the axes is a ShapeError.

    >>> axis_of("dim", -1, 3)
    2
    """
    if not is_whole(value) or not -ndim <= value < ndim:
        raise ShapeError(
            f"{name} is an axis, from {-ndim} to {ndim - 1} here. Got {value!r}. Check the shape."
        )
    return int(value) % ndim
