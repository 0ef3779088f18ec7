"""What does rounding do to these numbers? The numbers, what becomes of them, and the error of each."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from floatlab.codes.neighbours import ulp
from floatlab.formats import FloatFormat, get_format
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import numbers
from floatlab.plots.style import canvas, plain_number, tidy
from floatlab.rounding.options import RoundingOptions, check_names
from floatlab.rounding.quantize import quantize

__all__ = ["plot_quantization", "quantization_data"]

_WHAT = "A chart of quantization"
_FATES = ("exact", "rounded", "zero", "overflow", "nan")


def quantization_data(
    x: Any, fmt: FloatFormat | str = "e4m3", **options: Unpack[RoundingOptions]
) -> dict[str, NDArray[Any]]:
    """Return what `plot_quantization` draws: each number, what it becomes, the error, and half a unit.

    ``fate`` says what happened: "exact", "rounded", "zero" where a number other than zero became zero, "overflow", or
    "nan" where there was no number. The error is ``quantized - x``, NaN where one of them is NaN.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers in one dimension, or NaN alone.
    FormatError, OptionError
        If a format or an option is unknown.

    Examples
    --------
    >>> data = quantization_data([0.1, 1e-6, 448.0, 1000.0], "e4m3")
    >>> data["quantized"].tolist(), data["fate"].tolist()
    ([0.1015625, 0.0, 448.0, nan], ['rounded', 'zero', 'exact', 'overflow'])
    """
    check_names("quantization_data", options)
    x = numbers(x, _WHAT, dimensions=1)
    fmt = get_format(fmt)
    quantized, flags = quantize(x, fmt, **options, return_flags=True)
    with np.errstate(invalid="ignore"):
        error = quantized - x
    fate = np.select(
        [np.isnan(x), flags.overflow, quantized == x, quantized == 0],
        ["nan", "overflow", "exact", "zero"],
        "rounded",
    )
    half = np.asarray(ulp(x, fmt), np.float64) / 2
    return {
        "index": np.arange(len(x)), "x": x, "quantized": np.asarray(quantized, np.float64), "error": error,
        "half_ulp": half, "fate": fate,
    }  # fmt: skip


def plot_quantization(
    x: Any,
    fmt: FloatFormat | str = "e4m3",
    *,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
    **options: Unpack[RoundingOptions],
) -> Figure:
    """Draw numbers, what they become in a format, and below that the error, within half a unit in the last place.

    What overflows, and what becomes zero, is marked where the number was. A NaN is a gap.

    Parameters
    ----------
    x : array_like of float, one dimension
        The numbers, in the order in which they are drawn.
    fmt : str or FloatFormat
        The format.
    size, dark, title
        As in `plot_ranges`.
    **options
        Those of `floatlab.quantize`: rounding, overflow, subnormals, rng ...

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers in one dimension, or NaN alone.
    FormatError, OptionError
        If a format or an option is unknown.
    """
    fmt = get_format(fmt)
    check_names("plot_quantization", options)
    data = quantization_data(x, fmt, **options)
    with canvas(2, 1, size=size, dark=dark, sharex=True, height_ratios=[3, 2]) as made:
        above, below = made.axes
        style = format_styles([fmt])[fmt]
        colour, i = style.colour(made.theme), data["index"]
        few = len(i) <= 80
        above.plot(i, data["x"], color=made.theme.soft, lw=0.11 * made.font, label="numbers", zorder=3)
        above.step(
            i, data["quantized"], where="mid", color=colour, label=f"in {short_name(fmt)}", zorder=2,
            marker=style.marker if few else None, ms=0.4 * made.font,
        )  # fmt: skip
        for fate, marker, word in (("zero", "o", "became 0"), ("overflow", "X", "overflowed")):
            at = data["fate"] == fate
            if at.any():
                above.plot(
                    i[at],
                    np.where(np.isfinite(data["x"][at]), data["x"][at], np.nan),
                    marker,
                    ms=0.55 * made.font,
                    zorder=4,
                    mfc="none" if fate == "zero" else made.theme.alarm,
                    mec=made.theme.alarm,
                    label=f"{word}: {at.sum()}",
                )
        half = np.where(data["fate"] == "overflow", np.nan, data["half_ulp"])
        below.fill_between(
            i, -half, half, step="mid", fc=made.theme.region("normal"), lw=0,
            label="half a unit in the last place",
        )  # fmt: skip
        error = np.where(np.isfinite(data["error"]), data["error"], np.nan)
        error = np.where(data["fate"] == "overflow", np.nan, error)
        below.vlines(i, 0, error, color=colour, lw=min(0.1 * made.font, 6 * made.font / len(i)))
        if few:
            below.plot(i, error, ls="", marker=style.marker, ms=0.35 * made.font, color=colour)
        below.axhline(0, color=made.theme.soft, lw=0.8)
        above.set_ylabel("value")
        below.set_ylabel("error")
        below.set_xlabel("index")
        for axes in (above, below):
            tidy(axes)
            axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, labelcolor=made.theme.ink, borderaxespad=0.1,
                handlelength=1.2, columnspacing=1.2,
            )  # fmt: skip
        return made.finish(title, _title(data, fmt))


def _title(data: dict[str, NDArray[Any]], fmt: FloatFormat) -> str:
    count = {fate: int((data["fate"] == fate).sum()) for fate in _FATES}
    there = len(data["x"]) - count["nan"]
    parts = [
        f"{count[fate]} {words if count[fate] > 1 else one}"
        for fate, words, one in (
            ("exact", "exact", "exact"),
            ("zero", "become 0", "becomes 0"),
            ("overflow", "overflow", "overflows"),
        )
        if count[fate]
    ]
    rounded = data["fate"] == "rounded"
    if rounded.any():
        worst = float(np.max(np.abs(data["error"][rounded]) / data["half_ulp"][rounded])) / 2
        parts.append(f"{count['rounded']} rounded by at most {plain_number(worst)} ulp")
    return f"{there} numbers in {short_name(fmt)}: {', '.join(parts)}"
