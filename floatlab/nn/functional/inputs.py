"""What is a function given beside tensors? Labels, masks, targets and weights, in whatever they come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor, cast_policy
from floatlab.errors import DataError

__all__ = ["array_of", "numbers_of", "target_of", "weights_of"]

Array = NDArray[Any]


def array_of(name: str, given: Any) -> Array:
    """Return a tensor's values, or an array of whatever was given; None and ragged lists are refused."""
    if isinstance(given, Tensor):
        return given.array
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{name} is an array. Got {type(given).__name__}: {error}. Use a plain array."
        ) from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} is an array of numbers. Got dtype {array.dtype}. Use a plain array.")
    return array


def numbers_of(name: str, given: Any) -> Array:
    """Return whole numbers; those of a float tensor become integers, fractions stay for the operation to refuse."""
    array = array_of(name, given)
    if not isinstance(given, Tensor):
        return array
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    return whole if np.array_equal(whole, array) else array


def target_of(target: Any, like: Tensor) -> Tensor:
    """Return an array of targets as a tensor: of the format of `like`, or exact where autocast widens `like`."""
    if isinstance(target, Tensor):
        return target
    narrow = cast_policy.get() is not None and like.format.value_dtype == np.float32
    return Tensor(array_of("target", target), format="float32" if narrow else like.format)


def weights_of(**given: Any) -> dict[str, Array]:
    """Return the weights that are there, by name, in float64."""
    return {
        name: array_of(name, value).astype(np.float64) for name, value in given.items() if value is not None
    }
