"""What can be drawn? Formats, and numbers that are there; whatever else is refused before a figure is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError, DtypeError, FloatlabError, FormatError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.interchange.guests import taken

__all__ = ["Formats", "chosen_formats", "numbers", "small_format", "title_of_answers"]

Formats = FloatFormat | str | Sequence[FloatFormat | str]


def chosen_formats(formats: Formats) -> list[FloatFormat]:
    """Return formats, of which there is at least one; what means the same is drawn once.

    >>> [fmt.name for fmt in chosen_formats(["fp16", "half", "e4m3"])]
    ['float16', 'float8_e4m3fn']
    """
    if isinstance(formats, str | FloatFormat | type | np.dtype) or not isinstance(formats, Iterable):
        formats = [formats]
    found: list[FloatFormat] = []
    for one in formats:
        fmt = get_format(one)
        if not any(fmt.same_as(other) for other in found):
            found.append(fmt)
    if not found:
        raise FormatError('A chart of formats needs at least one. Got none. Name some, as ["fp16", "bf16"].')
    return found


def small_format(fmt: FloatFormat | str, most: int, what: str, least: int = 1) -> FloatFormat:
    """Return a format whose codes can all be drawn.

    Raises
    ------
    FormatError
        If it has more bits than `most`, or fewer than `least`.
    """
    known = get_format(fmt)
    if not least <= known.bits <= most:
        room = f"{least} to {most} bits" if least > 1 else f"at most {most} bits"
        raise FormatError(
            f"{what} shows formats of {room}. Got {known.name}, which has {known.bits}. "
            f'Use "{"e2m1" if most < 8 else "e4m3"}", or plot_ranges for wide formats.'
        )
    return known


def numbers(x: Any, what: str, dimensions: int | None = None) -> NDArray[np.float64]:
    """Return numbers as float64, exactly: floats of any type, FloatArrays and tensors, also of other libraries.

    Raises
    ------
    DtypeError
        If they are integers, or no real numbers at all: whether 3 means 3.0 or a code is not for a chart to guess.
    ShapeError
        If there are none, or if they have another number of dimensions than `dimensions`.
    DataError
        If every one is NaN.
    """
    try:
        array = np.asarray(taken(x, "drawn", looking=True))
    except FloatlabError:  # of an array that cannot be taken in, which says why
        raise
    except (TypeError, ValueError) as error:
        raise DtypeError(f"{what} draws an array of numbers. Got {type(x).__name__}. Pass one.") from error
    if array.dtype.kind in "iub":
        raise DtypeError(
            f"{what} draws floating-point numbers. Got {array.dtype}. "
            "Write them as floats, x.astype(float), or decode them, if they are codes."
        )
    if array.dtype.kind != "f":
        try:
            get_format(array.dtype)  # one of ml_dtypes' types
        except FormatError:
            raise DtypeError(
                f"{what} draws floating-point numbers. Got {array.dtype}. Pass an array of floats."
            ) from None
    if not array.size:
        raise ShapeError(f"{what} needs numbers to draw. Got an empty array. Pass at least one number.")
    if dimensions is not None and array.ndim != dimensions:
        raise ShapeError(
            f"{what} draws an array of {dimensions} {'dimension' if dimensions == 1 else 'dimensions'}. "
            f"Got the shape {array.shape}. Use x.ravel(), or a part of it."
        )
    values = array.astype(np.float64)
    if np.isnan(values).all():
        raise DataError(f"{what} needs numbers to draw. Got NaN alone. Look at where they come from.")
    return values


def title_of_answers(
    records: Sequence[Mapping[str, Any]], title: Callable[[Sequence[Mapping[str, Any]]], str]
) -> str:
    """Return a title made of the runs that answer, and how many do not: where fp32 itself gets nowhere none does.

    >>> title_of_answers([{"failed": True}, {"failed": None}], lambda answers: f"{len(answers)} fails")
    '1 fails; 1 of 2 runs gives no answer'
    """
    answers = [record for record in records if record.get("failed", False) is not None]
    silent = len(records) - len(answers)
    if not silent:
        return title(records)
    if not answers:
        return "No run gives an answer: fp32 itself gets nowhere"
    return f"{title(answers)}; {silent} of {len(records)} runs {'gives' if silent == 1 else 'give'} no answer"
