"""How do these numbers lie in the range of a format, and what share of them is lost there? Exact counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError
from floatlab.plots.colours import REGIONS, format_styles, short_name
from floatlab.plots.edges import edges_of
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import Formats, chosen_formats, numbers
from floatlab.plots.style import Canvas, canvas, power_axis, row_names, tidy
from floatlab.rounding.quantize import quantize

__all__ = ["histogram_data", "plot_histogram"]

_USUAL = ("bf16", "fp16", "e5m2", "e4m3")
_WHAT = "A histogram"
_SHARES = ("lost", "subnormal", "overflow")


def histogram_data(x: Any, formats: Formats = _USUAL) -> dict[str, dict[str, list[Any]]]:
    """Return what `plot_histogram` draws: ``bins``, counts for each power of two, and ``formats``, shares in each.

    A bin counts the magnitudes from 2**exponent up to 2**(exponent+1). The shares are of the numbers that are finite
    and not zero: those that a format rounds to zero ("lost"), that become subnormal values ("subnormal"), and that
    overflow ("overflow"), in rounding to nearest; each was rounded, and counted. ``zeros``, ``infinities`` and
    ``nans`` of the numbers themselves are counted apart.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers, or none that is finite and not zero.
    FormatError
        If a format is unknown.

    Examples
    --------
    >>> data = histogram_data([1.0, 1.5, 1e-9, 1e6], ["fp16"])
    >>> data["formats"]["lost"], data["formats"]["overflow"], data["bins"]["count"][-1]
    ([0.25], [0.25], 1)
    """
    chosen = chosen_formats(formats)
    x = numbers(x, _WHAT).ravel()
    size = np.abs(x[np.isfinite(x) & (x != 0)])
    if not size.size:
        raise _nothing()
    exponents = np.frexp(size)[1] - 1
    low, high = int(exponents.min()), int(exponents.max())
    counts = np.bincount(exponents - low, minlength=high - low + 1)
    rows: dict[str, list[Any]] = {"format": [], **{share: [] for share in _SHARES}}
    for fmt in chosen:
        rounded, flags = quantize(size, fmt, return_flags=True)
        rows["format"].append(fmt.spec)
        rows["lost"].append(float(np.mean(rounded == 0)))
        rows["subnormal"].append(float(np.mean((rounded > 0) & (rounded < fmt.smallest_normal))))
        rows["overflow"].append(float(np.mean(flags.overflow)))
    special = {"zeros": x == 0, "infinities": np.isinf(x), "nans": np.isnan(x)}
    return {
        "bins": {"exponent": list(range(low, high + 1)), "count": counts.tolist()},
        "formats": rows,
        "others": {name: [int(there.sum())] for name, there in special.items()},
    }


def _nothing() -> DataError:
    return DataError(
        f"{_WHAT} of magnitudes needs a number that is finite and not zero. Got none. Look at where they come from."
    )


def plot_histogram(
    x: Any,
    formats: Formats = _USUAL,
    *,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw a histogram of magnitudes over the ranges of formats, with the share that each of them loses.

    Parameters
    ----------
    x : array_like of float
        The numbers, of any shape: an array, a FloatArray, a tensor.
    formats : format, or sequence of formats
        A strip for each: where it has no values, subnormal ones, normal ones, and where it overflows.
    size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers, or none that is finite and not zero.
    FormatError
        If a format is unknown.
    """
    chosen = chosen_formats(formats)
    data = histogram_data(x, chosen)
    with canvas(2, 1, size=size, dark=dark, sharex=True, height_ratios=[5, 0.75 * len(chosen) + 0.4]) as made:
        above, below = made.axes
        exponents, counts = (np.array(data["bins"][key]) for key in ("exponent", "count"))
        low, high = _window(exponents, counts, chosen)
        above.stairs(
            100 * counts / counts.sum(), np.append(exponents, exponents[-1] + 1), fill=True, color=made.theme.soft
        )  # fmt: skip
        above.set_ylabel("share of the numbers [%]")
        tidy(above)
        for row, fmt in enumerate(chosen):
            strip(made, below, row, *edges_of(fmt), low=low, high=high)
            below.text(
                1.01, row, _words(data["formats"], row), va="center", fontsize=0.85 * made.font,
                transform=below.get_yaxis_transform(), color=made.theme.ink,
            )  # fmt: skip
        row_names(below, [short_name(fmt) for fmt in chosen], made.theme)
        for label, style in zip(below.get_yticklabels(), format_styles(chosen).values(), strict=True):
            label.set_color(style.colour(made.theme))
        below.set_xlim(low, high)
        power_axis(below.xaxis, low, high)
        below.set_xlabel("magnitude")
        return made.finish(title, _title(data, [short_name(fmt) for fmt in chosen]))


def strip(
    made: Canvas, axes: Any, row: int, lost: float, _smallest: float, normal: float, _largest: float, overflow: float,
    *, low: float, high: float,
) -> None:  # fmt: skip
    """Draw the regions of a format as a row, with their names where these have room."""
    bounds = (-np.inf, lost, normal, overflow, np.inf)
    words = ("becomes 0", "subnormal", "normal", "overflow")
    letters = made.figure.get_figwidth() * 72 * 0.75 / (0.62 * 0.8 * made.font)
    for (name, (_, _, hatch)), a, b, word in zip(
        REGIONS.items(), bounds[:-1], bounds[1:], words, strict=True
    ):
        left, right = max(a, low), min(b, high)
        if right <= left:
            continue
        fill = made.theme.region(name)
        axes.barh(row, right - left, left=left, height=0.78, facecolor=fill, hatch=hatch, edgecolor=made.theme.paper,
                  lw=0, gid=name)  # fmt: skip
        if letters * (right - left) / (high - low) > len(word) + 1:
            axes.text(
                (left + right) / 2,
                row,
                word,
                ha="center",
                va="center",
                fontsize=0.8 * made.font,
                color=made.theme.ink_on(fill),
                bbox={"facecolor": fill, "edgecolor": "none", "pad": 1},
            )


def _window(exponents: NDArray[Any], counts: NDArray[Any], chosen: list[Any]) -> tuple[float, float]:
    """Return the ends of the axis: all numbers but the last thousandth of each tail, and a format's end nearby."""
    share = np.cumsum(counts) / counts.sum()
    first = int(exponents[np.searchsorted(share, 0.0005)])
    last = int(exponents[min(int(np.searchsorted(share, 0.9995)), len(exponents) - 1)])
    low, high = float(first) - 2, float(last) + 3
    for fmt in chosen:
        edges = edges_of(fmt)
        if low - 12 < edges.lost < low + 4:
            low = edges.lost - 4
        if high - 4 < edges.overflow < high + 12:
            high = edges.overflow + 4
    return low, high


def _percent(share: float) -> str:
    if share == 0:
        return "0%"
    return "<0.1%" if share < 0.001 else ">99.9%" if 0.999 < share < 1 else f"{100 * share:.3g}%"


def _words(rows: dict[str, list[Any]], row: int) -> str:
    parts = [f"{_percent(rows[name][row])} {word}"
             for name, word in (("lost", "become 0"), ("overflow", "overflow"), ("subnormal", "subnormal"))
             if rows[name][row]]  # fmt: skip
    return "\n".join(parts[:2]) or "nothing lost"


def _title(data: dict[str, dict[str, list[Any]]], names: list[str]) -> str:
    rows = data["formats"]
    total = [a + b for a, b in zip(rows["lost"], rows["overflow"], strict=True)]
    worst = int(np.argmax(total))
    count = f"{sum(data['bins']['count']):,} numbers"
    if not total[worst]:
        return f"{count}: none becomes 0, and none overflows"
    return f"{count}: {names[worst]} loses {_percent(total[worst])} of them"
