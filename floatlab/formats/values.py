"""How do values of a format look in a notebook? Their shape, and as many as have room, with their codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.formats.format import FloatFormat
from floatlab.system.html import Raw, number, table

__all__ = ["values_in_html"]

_ROWS, _COLUMNS = 12, 10  # that are shown


def values_in_html(
    values: np.ndarray[Any, Any],
    fmt: FloatFormat,
    codes: np.ndarray[Any, Any] | None = None,
    remarks: str = "",
) -> Raw:
    """Return values of a format as a table: a row for each, with its code, or as the matrix that they are.

    Of an array of more than two dimensions the first matrix is shown. Without codes there is no column for them.
    """
    shape = " × ".join(map(str, values.shape)) if values.ndim != 1 else f"{len(values)} elements"
    title = f"{fmt.name}, {shape or 'a single value'}{remarks}"
    if not values.size:
        return table(title, [], note="no elements")
    if values.ndim < 2:
        return _line(title, np.atleast_1d(values), None if codes is None else np.atleast_1d(codes), fmt)
    first = values.reshape(-1, *values.shape[-2:])[0]
    note = f"the first of {values.size // first.size} matrices" if values.ndim > 2 else ""
    return _matrix(title, first, fmt, note)


def _line(
    title: str, values: np.ndarray[Any, Any], codes: np.ndarray[Any, Any] | None, fmt: FloatFormat
) -> Raw:
    digits = -(-fmt.bits // 4)
    rows: list[list[object]] = []
    for i in _places(len(values), _ROWS):
        if i is None:
            rows.append(["…"] * (4 if codes is not None else 3))
            continue
        code = [f"0x{int(codes[i]):0{digits}x}"] if codes is not None else []
        rows.append([i, number(float(values[i])), *code, _kind(float(values[i]), fmt)])
    return table(title, rows, head=("", "value", *(["code"] if codes is not None else []), ""))


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
