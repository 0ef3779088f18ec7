"""How far apart are the values of a format, and how large an error is that? Against the magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import OptionError
from floatlab.formats import FloatFormat
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.edges import edges_of
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import Formats, chosen_formats
from floatlab.plots.style import canvas, heading, power_axis, tidy

__all__ = ["plot_precision", "precision_data"]

_USUAL = ("bf16", "fp16", "e5m2", "e4m3")


def precision_data(formats: Formats = _USUAL) -> dict[str, NDArray[Any]]:
    """Return what `plot_precision` draws, a row for each power of two between which a format has values.

    ``exponent`` is e of the magnitudes from 2**e up to 2**(e+1), or to the largest value; ``spacing`` the distance
    of the values there, 2**log2_spacing; ``relative`` the largest relative error of rounding to nearest, which is
    that at 2**e: half the spacing, as a share of it.

    >>> data = precision_data("e4m3")
    >>> data["exponent"][:5].tolist(), data["log2_spacing"][:5].tolist()
    ([-9, -8, -7, -6, -5], [-9, -9, -9, -9, -8])
    >>> data["relative"][:5].tolist()
    [0.5, 0.25, 0.125, 0.0625, 0.0625]
    """
    names: list[str] = []
    exponents: list[int] = []
    spacings: list[int] = []
    for fmt in chosen_formats(formats):
        for e in range(fmt.etiny if fmt.has_zero else fmt.emin, fmt.emax + 1):
            names.append(fmt.spec)
            exponents.append(e)
            spacings.append(max(e, fmt.emin) - fmt.mantissa_bits)
    start, s = np.array(exponents), np.array(spacings)
    return {
        "format": np.array(names),
        "exponent": start,
        "log2_spacing": s,
        "spacing": np.ldexp(1.0, s),
        "relative": np.ldexp(0.5, s - start),
    }


def plot_precision(
    formats: Formats = _USUAL,
    *,
    exponents: tuple[int, int] | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the spacing of the values, and the relative error of rounding to nearest, against the magnitude.

    Parameters
    ----------
    formats : format, or sequence of formats
        One line for each.
    exponents : pair of int, optional
        The powers of two at the ends of the axis. By default those of the formats, the wide ones cut where the
        narrow ones end.
    size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If there is no format, or one is unknown.
    OptionError
        If `exponents` are not a smaller and a larger integer.
    """
    chosen = chosen_formats(formats)
    low, high = _window(chosen, exponents)
    data = precision_data(chosen)
    with canvas(1, 2, size=size, dark=dark) as made:
        left, right = made.axes
        for index, (fmt, style) in enumerate(format_styles(chosen).items()):
            mine = data["format"] == fmt.spec
            e, spacing = data["exponent"][mine], data["log2_spacing"][mine]
            ends = np.append(
                e[1:], edges_of(fmt).largest
            )  # the last values are not followed by a power of two
            x = np.column_stack([e, ends]).ravel()
            steps, saw = np.repeat(spacing, 2), np.repeat(spacing, 2) - 1 - x
            inside = np.flatnonzero((x >= low) & (x <= high))
            every = max(1, len(inside) // 6)
            look = style.line(made.theme) | {
                "markevery": list(inside[index % 2 :: every]),
                "label": short_name(fmt),
            }
            left.plot(x, steps, **look)
            right.plot(x, saw, **look)
        for axes, text in (
            (left, "Distance between neighbours"),
            (right, "Largest relative error of rounding"),
        ):
            axes.set_xlim(low, high)
            seen = [
                y for line in axes.lines for x, y in zip(*line.get_data(), strict=True) if low <= x <= high
            ]
            axes.set_ylim(min(seen) - 1, max(seen) + 1)
            power_axis(axes.xaxis, low, high, 8)
            power_axis(axes.yaxis, *axes.get_ylim())
            axes.set_xlabel("magnitude")
            tidy(axes, grid="both")
            heading(axes, text, size=1.05 * made.font)
        made.figure.legend(loc="outside lower center", ncols=min(len(chosen), 5), labelcolor=made.theme.ink,
                           handles=left.get_legend_handles_labels()[0])  # fmt: skip
        return made.finish(title, _title(chosen))


def _window(chosen: list[FloatFormat], exponents: tuple[int, int] | None) -> tuple[float, float]:
    if exponents is not None:
        try:
            low, high = (float(e) for e in exponents)
        except (TypeError, ValueError):
            low = high = 0.0
        if not low < high:
            raise OptionError(
                f"exponents are those of the ends of the axis. Got {exponents!r}. Use a pair such as (-30, 20)."
            )
        return low, high
    ends = [(edges_of(fmt).subnormal, edges_of(fmt).largest) for fmt in chosen]
    narrow = [(a, b) for a, b in ends if b - a < 64] or ends
    return min(a for a, _ in narrow) - 3, max(b for _, b in narrow) + 3


def _title(chosen: list[FloatFormat]) -> str:
    finest = max(chosen, key=lambda fmt: fmt.precision)
    share = f"$2^{{-{finest.precision}}}$ of a number"
    if len(chosen) == 1:
        return f"{short_name(finest)} rounds normal numbers to within {share}"
    return f"{short_name(finest)} is finest: it rounds normal numbers to within {share}"
