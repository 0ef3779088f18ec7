"""How far does each format reach, and how finely? One bar for each, over the powers of two."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from floatlab.formats import FloatFormat
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.edges import edges_of
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import Formats, chosen_formats
from floatlab.plots.style import Canvas, canvas, plain_number, power_axis, row_names, tidy

__all__ = ["plot_ranges", "range_data"]

_USUAL = ("fp32", "tf32", "bf16", "fp16", "e5m2", "e4m3", "e3m2", "e2m3", "e2m1")


def range_data(formats: Formats = _USUAL) -> dict[str, list[Any]]:
    """Return what `plot_ranges` draws: a column for each constant, a row for each format.

    The columns are format, bits, precision, the exponents of two of the smallest subnormal, the smallest normal and
    the largest value (``log2_...``), those values themselves, and what lies beyond: "infinity", "NaN" or "largest"
    where the format has neither.

    >>> range_data(["fp16", "e4m3"])["max"]
    [65504.0, 448.0]
    """
    rows = []
    for fmt in chosen_formats(formats):
        edges = edges_of(fmt)
        rows.append(
            {
                "format": fmt.spec,
                "bits": fmt.bits,
                "precision": fmt.precision,
                "log2_smallest_subnormal": edges.subnormal,
                "log2_smallest_normal": edges.normal,
                "log2_max": edges.largest,
                "smallest_subnormal": fmt.smallest_subnormal,
                "smallest_normal": fmt.smallest_normal,
                "max": fmt.max,
                "beyond": "infinity" if fmt.has_infinity else "NaN" if fmt.has_nan else "largest",
                "has_nan": fmt.has_nan,
            }
        )
    return {key: [row[key] for row in rows] for key in rows[0]}


def plot_ranges(
    formats: Formats = _USUAL,
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw for each format where its values lie: subnormal, normal, the largest, and what becomes of the rest.

    Parameters
    ----------
    formats : format, or sequence of formats
        One bar for each, from top to bottom.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of in a new figure.
    size : str or pair of float
        "full" or "half" of a slide of 16:9, or inches.
    dark : bool
        Whether to draw on dark paper.
    title : str, optional
        Instead of the one that the data give; "" for none.

    Returns
    -------
    Figure
        It shows itself in a notebook; that of `ax`, if there is one.

    Raises
    ------
    FormatError
        If there is no format, or one is unknown.

    Examples
    --------
    >>> from floatlab import plots
    >>> plots.plot_ranges(["fp32", "bf16", "fp16"])
    <Figure of 13.333 x 7.5 inches, 1 panel>
    """
    chosen = chosen_formats(formats)
    data = range_data(chosen)
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes, font = made.axes, made.font
        low, high = min(data["log2_smallest_subnormal"]), max(data["log2_max"])
        span = high - low
        for row, (fmt, style) in enumerate(format_styles(chosen).items()):
            colour = style.colour(made.theme)
            small, normal, top = (
                data[f"log2_{k}"][row] for k in ("smallest_subnormal", "smallest_normal", "max")
            )
            if normal > small:
                for look in (
                    {"facecolor": colour, "alpha": 0.28},
                    {"fill": False, "hatch": "////", "ec": colour},
                ):
                    axes.barh(
                        row, normal - small, left=small, height=0.56, lw=1 if "ec" in look else 0, **look
                    )
            axes.barh(row, max(top - normal, 0), left=normal, height=0.56, color=colour, lw=0)
            axes.plot([top], [row], marker=style.marker, color=colour, ls="", ms=0.75 * font, zorder=4,
                      mec=made.theme.paper)  # fmt: skip
            beyond = {"infinity": "∞", "NaN": "NaN", "largest": "saturates"}[data["beyond"][row]]
            axes.text(
                top + 0.018 * span,
                row,
                f"{plain_number(fmt.max)}, then {beyond}",
                va="center",
                fontsize=0.88 * font,
            )
            axes.text(
                small - 0.012 * span, row, _bits(fmt.precision), va="center", ha="right", fontsize=0.88 * font
            )
        _finish_axes(made, [short_name(fmt) for fmt in chosen], low, high)
        return made.finish(title, _title(chosen))


def _title(chosen: list[FloatFormat]) -> str:
    def span(fmt: FloatFormat) -> float:
        return edges_of(fmt).largest - edges_of(fmt).subnormal

    widest, finest = max(chosen, key=span), max(chosen, key=lambda fmt: fmt.precision)
    name, reach = short_name(widest), f"{span(widest):.0f} powers of two"
    if widest is finest:
        return f"{name} reaches over {reach}, with {_bits(widest.precision)} of precision"
    return f"{name} reaches farthest, over {reach}; {short_name(finest)} is finest, with {_bits(finest.precision)}"


def _bits(precision: int) -> str:
    return f"{precision} bit" if precision == 1 else f"{precision} bits"


def _finish_axes(made: Canvas, names: list[str], low: float, high: float) -> None:
    axes = made.axes
    span = max(high - low, 1.0)
    axes.set_xlim(low - 0.13 * span, high + 0.26 * span)
    power_axis(axes.xaxis, low, high)
    axes.set_xlabel("magnitude of the values   (hatched: subnormal; left of a bar: its precision)")
    tidy(axes, grid="x")
    row_names(axes, names, made.theme)
