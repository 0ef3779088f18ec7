"""Which values does a small format have, and which numbers become each of them? A number line."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from floatlab.codes.decode import decode
from floatlab.formats import FloatFormat
from floatlab.plots.colours import Style, format_styles, short_name
from floatlab.plots.edges import overflow_threshold
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import small_format
from floatlab.plots.style import Canvas, canvas, plain_number, tidy
from floatlab.rounding.quantize import quantize

__all__ = ["plot_values", "value_data"]

_MOST = 6  # bits; 64 values still stand side by side


def value_data(fmt: FloatFormat | str = "e2m1") -> dict[str, NDArray[Any]]:
    """Return what `plot_values` draws: the finite values in order, and the numbers that round to each.

    Rounding is to nearest, ties to even. ``low`` and ``high`` are the ends of the region of a value, and
    ``low_belongs`` and ``high_belongs`` say whether these ends, which are ties, become it themselves. Beyond the
    outermost regions overflow begins. Both zeros are one value, with the code of +0.

    Raises
    ------
    FormatError
        If the format has more than 6 bits.

    Examples
    --------
    >>> data = value_data("e2m1")
    >>> data["value"][-3:].tolist(), data["low"][-3:].tolist(), data["high"][-3:].tolist()
    ([3.0, 4.0, 6.0], [2.5, 3.5, 5.0], [3.5, 5.0, 7.0])
    >>> data["high_belongs"][-3:].tolist()
    [False, True, False]
    """
    fmt = small_format(fmt, _MOST, "A number line of values")
    codes = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
    values = np.asarray(decode(codes, fmt), np.float64)
    kept = np.isfinite(values) & ~((values == 0) & np.signbit(values))
    order = np.argsort(values[kept], kind="stable")
    codes, values = codes[kept][order], values[kept][order]
    middles = (values[1:] + values[:-1]) / 2
    threshold = overflow_threshold(fmt)
    # Without a sign there is nothing below the first value: a number below zero is invalid, and does not round.
    start = -threshold if fmt.signed else 0.0
    low, high = np.append(start, middles), np.append(middles, threshold)
    return {
        "code": codes,
        "value": values,
        "subnormal": (np.abs(values) < fmt.smallest_normal) & (values != 0),
        "low": low,
        "high": high,
        "low_belongs": _becomes(low, values, fmt),
        "high_belongs": _becomes(high, values, fmt),
    }


def _becomes(x: NDArray[np.float64], values: NDArray[np.float64], fmt: FloatFormat) -> NDArray[np.bool_]:
    """Whether each number rounds to its value, and does not overflow."""
    overflow = "saturate" if not fmt.has_nan else None
    rounded, flags = quantize(x, fmt, overflow=overflow, return_flags=True)
    return np.asarray((rounded == values) & ~flags.overflow & ~flags.invalid)


def plot_values(
    fmt: FloatFormat | str = "e2m1",
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw every value of a small format on a line, with the numbers that round to it, to nearest, ties to even.

    A format of more than 4 bits with a sign is drawn from zero upwards: below zero is its mirror image.

    Parameters
    ----------
    fmt : str or FloatFormat
        A format of at most 6 bits.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If the format has more than 6 bits, or is unknown.
    """
    fmt = small_format(fmt, _MOST, "A number line of values")
    data = value_data(fmt)
    half = fmt.signed and fmt.bits > 4
    with canvas(ax=ax, size=size, dark=dark) as made:
        rows = [i for i, v in enumerate(data["value"]) if not half or v >= 0]
        style = format_styles([fmt])[fmt]
        _regions(made, data, rows, half)
        # A marker is as large as its neighbours let it be.
        inches = 0.8 * made.figure.get_figwidth() / (data["value"][rows[-1]] - data["value"][rows[0]] or 1.0)
        marker = min(0.6 * made.font, max(0.15 * made.font, 72 * 1.1 * inches * fmt.smallest_subnormal))
        for i in rows:
            _value(made, data, i, style, marker)
        _labels(made, data, rows)
        threshold = overflow_threshold(fmt)
        ends = [threshold] if half or not fmt.signed else [-threshold, threshold]
        edge = 1.13 * threshold
        beyond = "∞" if fmt.has_infinity else "NaN" if fmt.has_nan else f"{plain_number(fmt.max)} (saturates)"
        for end in ends:
            made.axes.axvline(end, color=made.theme.alarm, ls=(0, (3, 2)), lw=0.12 * made.font)
            made.axes.axvspan(
                end, np.copysign(edge, end), fc=made.theme.region("overflow"), hatch="\\\\\\", alpha=0.6, lw=0
            )
        start = "beyond" if data["high_belongs"][-1] else "from"
        made.axes.text(
            threshold, 0.98, f"overflow {start} {plain_number(threshold)}: becomes {beyond}  ", ha="right", va="bottom",
            color=made.theme.alarm, fontsize=0.9 * made.font,
        )  # fmt: skip
        made.axes.set_xlim(-edge if len(ends) == 2 else -0.02 * edge, edge)
        made.axes.set_ylim(-0.5, 1.1)
        made.axes.set_yticks([])
        made.axes.spines["left"].set_visible(False)
        made.axes.set_xlabel(
            "number   (bands: what rounds to a value; dot: a tie, on the side where it goes; open: subnormal)"
        )
        tidy(made.axes, grid=None)
        finite = len(data["value"])
        text = f"{short_name(fmt)} has {finite} values, from {plain_number(fmt.lowest)} to {plain_number(fmt.max)}"
        return made.finish(title, text + (" (drawn from 0 on)" if half else ""))


def _regions(made: Canvas, data: dict[str, NDArray[Any]], rows: list[int], half: bool) -> None:
    """Shade the region of each value, in turn light and dark, and mark each tie on the side where it goes."""
    for k, i in enumerate(rows):
        low, high = data["low"][i], data["high"][i]
        low = max(low, 0.0) if half else low
        # Two shades that differ by lightness: green and grey are one to some eyes.
        shade, line = made.theme.region("normal") if k % 2 else made.theme.paper, 0.08 * made.font
        made.axes.barh(
            -0.25, high - low, left=low, height=0.34, fc=shade, ec=made.theme.behind, lw=line, gid="region"
        )
        gap = 0.004 * (data["high"][-1] - (0 if half else data["low"][0]))
        for end, belongs, side in (
            (low, data["low_belongs"][i], 1), (high, data["high_belongs"][i], -1),
        ):  # fmt: skip
            if belongs and not (half and side == 1 and low == 0):
                made.axes.plot([end + side * gap], [-0.25], "o", color=made.theme.ink, ms=0.28 * made.font)


def _value(made: Canvas, data: dict[str, NDArray[Any]], i: int, style: Style, size: float) -> None:
    value, open_ = data["value"][i], bool(data["subnormal"][i])
    top, colour = 0.55, style.colour(made.theme)
    made.axes.plot([value, value], [0, top], color=colour, lw=0.1 * made.font, zorder=3)
    made.axes.plot(
        [value], [top], marker=style.marker, color=colour, ms=size,
        mfc=made.theme.paper if open_ else colour, zorder=4, ls="", gid="value",
    )  # fmt: skip


def _labels(made: Canvas, data: dict[str, NDArray[Any]], rows: list[int]) -> None:
    """Write the values above their stems, as many as have room; those of powers of two come first."""
    span = data["value"][rows[-1]] - data["value"][rows[0]]
    room = (0.021 if len(rows) > 16 else 0.036) * span
    taken: list[float] = []
    by_weight = sorted(
        rows, key=lambda i: (abs(np.frexp(data["value"][i])[0]) != 0.5, -abs(data["value"][i]))
    )
    for i in [rows[-1], *by_weight]:
        value = float(data["value"][i])
        if all(abs(value - other) > room for other in taken):
            taken.append(value)
            made.axes.text(value, 0.66, plain_number(value), ha="center", va="bottom", rotation=90 if
                           len(rows) > 16 else 0, fontsize=0.85 * made.font)  # fmt: skip
