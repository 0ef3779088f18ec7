"""How does an array look in a notebook? Its format and shape, and values with their codes, as many as have room."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.system.html import Raw, number, table

__all__ = ["array_in_html"]

_ROWS, _COLUMNS = 12, 10  # that are shown


def array_in_html(values: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], fmt: FloatFormat) -> Raw:
    """Return values of a format as a table: in a row with their codes, or as the matrix that they are.

    Of an array of more than two dimensions the first matrix is shown.
    """
    shape = " × ".join(map(str, values.shape)) if values.ndim != 1 else f"{len(values)} elements"
    title = f"{fmt.name}, {shape or 'a single value'}"
    if not values.size:
        return table(title, [], note="no elements")
    if values.ndim < 2:
        return _line(title, np.atleast_1d(values), np.atleast_1d(codes), fmt)
    first = values.reshape(-1, *values.shape[-2:])[0]
    note = f"the first of {values.size // first.size} matrices" if values.ndim > 2 else ""
    return _matrix(title, first, fmt, note)


def _line(title: str, values: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], fmt: FloatFormat) -> Raw:
    digits = -(-fmt.bits // 4)
    places = _places(len(values), _ROWS)
    rows = [
        ("…",) * 4
        if i is None
        else (str(i), number(float(values[i])), f"0x{int(codes[i]):0{digits}x}", _kind(float(values[i]), fmt))
        for i in places
    ]
    return table(title, rows, head=("", "value", "code", ""))


def _matrix(title: str, values: np.ndarray[Any, Any], fmt: FloatFormat, note: str) -> Raw:
    rows, columns = _places(values.shape[0], _ROWS), _places(values.shape[1], _COLUMNS)
    body = [
        [
            "…" if i is None else str(i),
            *("…" if None in (i, j) else number(float(values[i, j])) for j in columns),
        ]
        for i in rows
    ]
    return table(title, body, head=("", *("…" if j is None else str(j) for j in columns)), note=note)


def _places(count: int, most: int) -> list[int | None]:
    """Return the places to show, and None for those left out in the middle."""
    if count <= most:
        return list(range(count))
    half = most // 2
    return [*range(half), None, *range(count - half, count)]


def _kind(value: float, fmt: FloatFormat) -> str:
    """Return what is special about a value."""
    if not np.isfinite(value):
        return ""
    if value and abs(value) < fmt.smallest_normal:
        return "subnormal"
    return "largest" if value == fmt.max else "lowest" if value == fmt.lowest and fmt.signed else ""
