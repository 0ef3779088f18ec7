"""Which bits is a number in each format? Sign, exponent and fraction, in boxes whose boundaries stand in line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from floatlab.codes.encode import encode
from floatlab.errors import ShapeError
from floatlab.plots.colours import BITS, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import Formats, chosen_formats, numbers
from floatlab.plots.style import Canvas, canvas, row_names
from floatlab.rounding.quantize import quantize

__all__ = ["bit_data", "plot_bits"]

_USUAL = ("fp32", "bf16", "fp16", "e5m2", "e4m3", "e2m1")
_MOST = 16  # rows


def bit_data(x: Any = 0.1, formats: Formats = _USUAL) -> dict[str, NDArray[Any]]:
    """Return what `plot_bits` draws: a row for each number and format, with the bits as text.

    ``value`` is what the number becomes, rounded to nearest, ``code`` its code, and ``relative_error`` is NaN where
    the number or the value is not finite, or the number is 0.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If `x` is no floating-point number, nor some of them, or NaN alone.
    FormatError
        If a format is unknown.

    Examples
    --------
    >>> data = bit_data(0.1, ["fp16", "e4m3"])
    >>> [f"{s} {e} {f}" for s, e, f in zip(data["sign"], data["exponent"], data["fraction"])]
    ['0 01011 1001100110', '0 0011 101']
    """
    chosen = chosen_formats(formats)
    numbers_ = np.atleast_1d(numbers(x, "A chart of bits")).ravel()
    rows = []
    for number in numbers_:
        for fmt in chosen:
            code = int(encode(number, fmt))
            value = float(quantize(number, fmt))
            digits = f"{code:0{fmt.bits}b}"
            sign, rest = digits[: int(fmt.signed)], digits[int(fmt.signed) :]
            rows.append(
                {
                    "x": float(number), "format": fmt.spec, "value": value, "code": code, "sign": sign,
                    "exponent": rest[: fmt.exponent_bits], "fraction": rest[fmt.exponent_bits :],
                    "relative_error": _relative(value, float(number)),
                }
            )  # fmt: skip
    return {
        key: np.array([row[key] for row in rows], dtype=object if key == "code" else None) for key in rows[0]
    }


def _relative(value: float, number: float) -> float:
    if number == 0 or not np.isfinite(value) or not np.isfinite(number):
        return float("nan")
    return float((Fraction(value) - Fraction(number)) / abs(Fraction(number)))


def plot_bits(
    x: Any = 0.1,
    formats: Formats = _USUAL,
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the bits of a number in each format, with the value that they mean and its error.

    Parameters
    ----------
    x : float, or array_like of float
        One number, or a few.
    formats : format, or sequence of formats
        A row for each; for several numbers, the rows of one stand together.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If `x` is no floating-point number, nor some of them, or there would be more than 16 rows.
    FormatError
        If a format is unknown.
    """
    chosen = chosen_formats(formats)
    data = bit_data(x, chosen)
    count = len(data["x"])
    if count > _MOST:
        raise ShapeError(
            f"A chart of bits has at most {_MOST} rows. Got {count}. Draw fewer numbers or formats."
        )
    several = count > len(chosen)
    with canvas(ax=ax, size=size, dark=dark) as made:
        left = max(len(s) + len(e) for s, e in zip(data["sign"], data["exponent"], strict=True))
        right = max(len(f) for f in data["fraction"])
        span = left + right
        cell = made.figure.get_figwidth() * 72 * (0.55 if several else 0.6) / (span + 1.0)  # points
        for row in range(count):
            _boxes(made, data, row, left=left, cell=cell)
            made.axes.text(span + 0.02 * span, row, _words(data, row), va="center", fontsize=0.85 * made.font)
        made.axes.set_xlim(-0.01 * span, 1.42 * span)
        names = [short_name(name) for name in data["format"]] if not several else [
            f"{x:.6g} in {short_name(name)}" for x, name in zip(data["x"], data["format"], strict=True)
        ]  # fmt: skip
        row_names(made.axes, names, made.theme)
        made.axes.set_xticks([])
        made.axes.spines["bottom"].set_visible(False)
        made.axes.legend(
            handles=[Patch(facecolor=made.theme.bits(name), edgecolor=made.theme.soft, label=name) for name in BITS],
            loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, labelcolor=made.theme.ink,
        )  # fmt: skip
        return made.finish(title, _title(data, several))


def _boxes(made: Canvas, data: dict[str, NDArray[Any]], row: int, *, left: int, cell: float) -> None:
    """Draw the bits of a row, so that the fraction begins at `left` in every row."""
    at = left - len(data["sign"][row]) - len(data["exponent"][row])
    for name in BITS:
        fill = made.theme.bits(name)
        for digit in data[name][row]:
            made.axes.add_patch(
                Rectangle(
                    (at, row - 0.36),
                    1,
                    0.72,
                    facecolor=fill,
                    edgecolor=made.theme.paper,
                    lw=min(1.0, cell / 10),
                    gid=name,
                )
            )
            if cell >= 6:
                made.axes.text(at + 0.5, row, digit, ha="center", va="center", color=made.theme.ink_on(fill),
                               fontsize=min(0.9 * made.font, 0.85 * cell))  # fmt: skip
            elif digit == "1":  # no room for digits: a mark for each 1
                made.axes.plot([at + 0.5], [row], "o", color=made.theme.ink_on(fill), ms=0.45 * cell)
            at += 1


def _words(data: dict[str, NDArray[Any]], row: int) -> str:
    value, error = float(data["value"][row]), float(data["relative_error"][row])
    text = f"{value:.8g}".replace("e-0", "e-").replace("e+", "e")
    if np.isnan(error):
        return text
    percent = f"{100 * error:+.3g}%" if abs(error) >= 0.01 else f"{100 * error:+.2g}%".replace("e-0", "e-")
    return f"{text}   {'exact' if error == 0 else percent}"


def _title(data: dict[str, NDArray[Any]], several: bool) -> str:
    if several:
        return f"{len(np.unique(data['x']))} numbers in {len(set(data['format']))} formats, bit by bit"
    number = data["x"][0]
    if not np.isfinite(number):
        return f"The bits of {number:g}"
    exact = sum(v == x for v, x in zip(data["value"], data["x"], strict=True))
    have = "has" if exact < 2 else "have"
    return f"The bits of {number:.8g}: {exact or 'none'} of {len(data['x'])} formats {have} it exactly"
