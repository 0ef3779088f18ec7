"""How far apart are two results? In units of the last place, for tests.

A *ulp* here is a step from one value of the format to the next: the distance of two values is the number of steps
between them, in the order of their codes. That is what a unit in the last place means inside a binade, and it has a
meaning across binades, around zero and up to infinity as well.

>>> import numpy as np
>>> import floatlab as fl
>>> x = fl.array([1.0, 300.0], "e4m3")
>>> fl.testing.assert_ulp(np.exp(x), np.exp(x.values.astype(float)), max_ulp=0).tolist()
[0, 0]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.array import FloatArray, asarray
from floatlab.array.core import format_of
from floatlab.errors import FormatError, FormatMismatchError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.quantize import quantize

__all__ = ["assert_ulp", "ulp_distance"]

_FAR = np.uint64(2**64 - 1)  # of a NaN from a number
_SHOWN = 5  # elements in a message


def ulp_distance(actual: Any, desired: Any, fmt: Any = None) -> np.ndarray[Any, Any]:
    """Return how many values of the format lie between two, the second one counted.

    Parameters
    ----------
    actual, desired : FloatArray or array_like
        Shapes broadcast. Plain numbers are rounded to the format, to nearest.
    fmt : str, FloatFormat or dtype, optional
        The format; by default that of the FloatArrays, or of the NumPy or ml_dtypes type of `actual`.

    Returns
    -------
    array of uint64
        0 for equal values: -0 and +0 are one value here, and all NaNs are. An infinity is one step beyond the largest
        value. Between a NaN and a number: 2**64 - 1.

    Raises
    ------
    FormatError
        If no format is given, and none is known.
    FormatMismatchError
        If the arrays have two formats, or another one than `fmt`.
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> ulp_distance([1.0, -0.0, np.nan, 448.0], [1.25, 0.001953125, np.nan, 416.0], "e4m3").tolist()
    [2, 1, 0, 1]
    """
    return _distance(*_operands(actual, desired, fmt))


def assert_ulp(actual: Any, desired: Any, max_ulp: int = 1, fmt: Any = None) -> np.ndarray[Any, Any]:
    """Assert that no two elements are more than `max_ulp` steps of the format apart.

    Parameters
    ----------
    actual, desired, fmt
        As in `ulp_distance`.
    max_ulp : int
        So many steps are allowed.

    Returns
    -------
    array of uint64
        The distances, as `numpy.testing.assert_array_max_ulp` returns them.

    Raises
    ------
    AssertionError
        If elements are farther apart; the message shows the worst of them, with their codes. Also if shapes differ.

    Examples
    --------
    >>> assert_ulp([1.0, 2.0, 3.0], [1.0, 2.25, 7.0], fmt="e4m3")
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 3 elements of float8_e4m3fn are more than 1 ulp from what is desired; the worst: 10 ulp.
      at (2,): actual 3.0 (0x44), desired 7.0 (0x4e): 10 ulp
    """
    if isinstance(max_ulp, bool) or not isinstance(max_ulp, int | np.integer) or max_ulp < 0:
        raise OptionError(f"max_ulp is a whole number of steps. Got {max_ulp!r}. Use 0 for equal values.")
    try:
        x, y, known = _operands(actual, desired, fmt)
    except ShapeError as error:
        raise AssertionError(str(error)) from None
    distance = _distance(x, y, known)
    far = distance > np.uint64(max_ulp)
    if far.any():
        raise AssertionError(_message(x, y, known, distance, far, int(max_ulp)))
    return distance


def _operands(actual: Any, desired: Any, fmt: Any) -> tuple[FloatArray, FloatArray, FloatFormat]:
    given = get_format(fmt) if fmt is not None else None
    formats = [x.format for x in (actual, desired) if isinstance(x, FloatArray)]
    known = given or (formats[0] if formats else format_of(actual))
    if known is None:
        raise FormatError(
            f'A ulp is one of a format. Got a {type(actual).__name__} and none. Say it: fmt="float16".'
        )
    for other in formats:
        if not other.same_as(known):
            raise FormatMismatchError(
                f"Both sides have one format. Got {other.spec} and {known.spec}. "
                f'Convert one of them with .astype("{known.spec}").'
            )
    x, y = _in_format(actual, known), _in_format(desired, known)
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise ShapeError(
            f"actual and desired have shapes that broadcast. Got {x.shape} and {y.shape}. Reshape one of them."
        ) from None
    left: Any = np.broadcast_to(x, shape)
    right: Any = np.broadcast_to(y, shape)
    return left, right, known


def _in_format(x: Any, fmt: FloatFormat) -> FloatArray:
    """Return numbers as values of the format, whatever the context says about rounding."""
    if isinstance(x, FloatArray):
        return x
    own = format_of(x)
    if own is not None and own.same_as(fmt):
        return asarray(x, fmt)
    return FloatArray._wrap(quantize(x, fmt).astype(fmt.value_dtype, copy=False), fmt)


def _place(x: FloatArray, fmt: FloatFormat) -> np.ndarray[Any, Any]:
    """Return the place of each value in the order of the codes: 0 at zero, 1 at the smallest number ..."""
    codes = x.codes.astype(np.int64)
    size = codes & ((1 << fmt.magnitude_bits) - 1)
    return np.where(codes & fmt.sign_mask, -size, size) if fmt.bits < 64 else np.where(codes < 0, -size, size)


def _distance(x: FloatArray, y: FloatArray, fmt: FloatFormat) -> np.ndarray[Any, Any]:
    nan_x, nan_y = np.isnan(x.values), np.isnan(y.values)
    a, b = _place(x, fmt), _place(y, fmt)
    with np.errstate(over="ignore"):  # right modulo 2^64, and it is below
        steps = np.maximum(a, b).astype(np.uint64) - np.minimum(a, b).astype(np.uint64)
    return np.where(nan_x & nan_y, np.uint64(0), np.where(nan_x | nan_y, _FAR, steps))


def _message(
    x: FloatArray,
    y: FloatArray,
    fmt: FloatFormat,
    distance: np.ndarray[Any, Any],
    far: np.ndarray[Any, Any],
    max_ulp: int,
) -> str:
    count = int(far.sum())
    order = np.argsort(distance, axis=None, kind="stable")[::-1][: min(count, _SHOWN)]
    digits = -(-fmt.bits // 4)
    lines = [
        f"{count} of {far.size} elements of {fmt} are more than {max_ulp} ulp from what is desired; "
        f"the worst: {_steps(distance.flat[order[0]])}."
    ]
    for i in sorted(order.tolist(), key=lambda i: (-int(distance.flat[i]), i)):
        place = tuple(int(k) for k in np.unravel_index(i, far.shape))
        left, right = (f"{v.values.flat[i].item()!r} (0x{int(v.codes.flat[i]):0{digits}x})" for v in (x, y))
        lines.append(f"  at {place}: actual {left}, desired {right}: {_steps(distance.flat[i])}")
    if count > _SHOWN:
        lines.append(f"  and {count - _SHOWN} more")
    return "\n".join(lines)


def _steps(distance: Any) -> str:
    return "a NaN and a number" if distance == _FAR else f"{int(distance)} ulp"
