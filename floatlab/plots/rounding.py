"""What does each rounding mode do between two values? Staircases; and where chance decides, a probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from floatlab.codes.neighbours import next_up
from floatlab.errors import OptionError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.style import canvas, heading, plain_number, tidy
from floatlab.rounding.modes import MODES, draws
from floatlab.rounding.quantize import quantize

__all__ = ["plot_rounding", "rounding_data"]

_USUAL = (
    "nearest_even", "nearest_away", "nearest_zero", "to_odd", "toward_zero", "toward_positive", "toward_negative",
    "stochastic",
)  # fmt: skip
_PARTS = 16  # points between two values: ties are among them, and the quarters


def rounding_data(
    fmt: FloatFormat | str = "e2m1",
    modes: Sequence[str] = _USUAL,
    *,
    limits: tuple[float, float] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return what `plot_rounding` draws: a row for each mode and number, with what it becomes.

    ``down`` and ``up`` are the values around a number (both the number itself where it is one). ``rounded`` is what
    the mode makes of it, NaN where chance decides; ``probability`` that of going up. The numbers are 16 to each gap
    between two values, ties among them, from `limits[0]` to `limits[1]`; by default, three values on either side of
    zero.

    Raises
    ------
    FormatError
        If the format is unknown.
    OptionError
        If there is no mode, one is unknown, or the limits hold fewer than two values of the format, or too many.

    Examples
    --------
    >>> data = rounding_data("e2m1", ["nearest_even", "stochastic"], limits=(1.0, 2.0))
    >>> tie = (data["x"] == 1.25) & (data["mode"] == "nearest_even")
    >>> data["rounded"][tie].tolist(), data["probability"][(data["x"] == 1.25)].tolist()
    ([1.0], [0.0, 0.5])
    """
    fmt = get_format(fmt)
    names = _modes(modes)
    values = _values(fmt, limits)
    steps = np.arange(_PARTS) / _PARTS
    gaps = np.diff(values)
    x = np.append((values[:-1, None] + gaps[:, None] * steps).ravel(), values[-1])
    down = values[np.minimum(np.searchsorted(values, x, side="right") - 1, len(values) - 1)]
    up = values[np.searchsorted(values, x, side="left")]
    rows: dict[str, list[NDArray[Any]]] = {"rounded": [], "probability": []}
    for name in names:
        if draws(
            name
        ):  # the exact share of the gap; a finite number of random bits comes as near as they allow
            with np.errstate(invalid="ignore"):
                share = np.where(up > down, (x - down) / (up - down), 0.0)
            rows["rounded"].append(np.where(up > down, np.nan, x))
            rows["probability"].append(share)
        else:
            rounded = np.asarray(quantize(x, fmt, rounding=name), np.float64)
            rows["rounded"].append(rounded)
            rows["probability"].append(np.where(up > down, (rounded == up).astype(np.float64), 0.0))
    return {
        "mode": np.repeat(names, len(x)),
        "x": np.tile(x, len(names)),
        "down": np.tile(down, len(names)),
        "up": np.tile(up, len(names)),
        **{name: np.concatenate(parts) for name, parts in rows.items()},
    }


def _modes(modes: Sequence[str]) -> list[str]:
    names = [modes] if isinstance(modes, str) else list(modes)
    if not names:
        raise OptionError('A chart of rounding needs a mode. Got none. Name some, as ["nearest_even"].')
    for name in names:
        check_option("rounding", name, MODES)
    return list(dict.fromkeys(names))


def _values(fmt: FloatFormat, limits: tuple[float, float] | None) -> NDArray[np.float64]:
    """Return the values of the format within the limits, in order."""
    if limits is None:
        if fmt.signed:
            low, high = -3 * fmt.smallest_subnormal, 3 * fmt.smallest_subnormal
        else:
            low, high = fmt.smallest_subnormal, 6 * fmt.smallest_subnormal
    else:
        try:
            low, high = (float(end) for end in limits)
        except (TypeError, ValueError):
            low = high = math.nan
    found: list[float] = []
    if low < high and math.isfinite(low) and math.isfinite(high):
        value = float(quantize(low, fmt, rounding="toward_positive", overflow="saturate"))
        while value <= high and len(found) < 130:
            found.append(value)
            following = float(next_up(value, fmt))
            if not following > value or math.isinf(following):
                break
            value = following
    if not 2 <= len(found) < 130:
        raise OptionError(
            f"limits hold 2 to 129 values of the format, the ends included. Got {limits!r} for {fmt.name}. "
            f"Use limits=({plain_number(fmt.smallest_normal)}, {plain_number(2 * fmt.smallest_normal)})."
        )
    return np.array(found) + 0.0  # a zero without a sign


def plot_rounding(
    fmt: FloatFormat | str = "e2m1",
    modes: Sequence[str] = _USUAL,
    *,
    limits: tuple[float, float] | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw what each rounding mode makes of the numbers around zero: a staircase each, ties marked.

    A stochastic mode has no staircase: the darker a value is drawn, the more probable it is.

    Parameters
    ----------
    fmt : str or FloatFormat
        The format.
    modes : sequence of str
        A panel for each.
    limits : pair of float, optional
        The ends of the axes; by default, three values on either side of zero.
    size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If the format is unknown.
    OptionError
        If there is no mode, one is unknown, or the limits hold fewer than two values of the format, or too many.
    """
    fmt = get_format(fmt)
    names = _modes(modes)
    data = rounding_data(fmt, names, limits=limits)
    columns = next(c for c, most in ((1, 1), (2, 4), (3, 6), (4, math.inf)) if len(names) <= most)
    rows = -(-len(names) // columns)
    colour_of = format_styles([fmt])[fmt]
    with canvas(rows, columns, size=size, dark=dark, sharex=True, sharey=True, squeeze=False) as made:
        colour = colour_of.colour(made.theme)
        values = np.unique(np.concatenate([data["down"], data["up"]]))
        for axes, name in zip(made.axes.flat, names, strict=False):
            mine = {key: column[data["mode"] == name] for key, column in data.items()}
            ends = (values[0], values[-1])
            axes.plot(ends, ends, color=made.theme.soft, lw=0.07 * made.font, ls=(0, (1, 2)))
            if draws(name):
                _probabilities(axes, mine, colour, made.font)
            else:
                _stairs(axes, mine, colour, made.font, made.theme.paper)
            heading(axes, name, size=made.font)
            tidy(axes, grid=None)
            shown = values if len(values) <= 9 else values[:: -(-len(values) // 8)]
            axes.set_xticks(shown, [plain_number(v) for v in shown], rotation=45 if len(shown) > 5 else 0)
            axes.set_yticks(shown, [plain_number(v) for v in shown])
            axes.tick_params(labelsize=0.72 * made.font)
            axes.grid(True, color=made.theme.grid, lw=0.8)
        for axes in list(made.axes.flat)[len(names) :]:
            axes.set_visible(False)
        made.figure.supxlabel("number   (full dot: where a tie goes; dotted: no rounding)", fontsize=made.font,
                              color=made.theme.ink)  # fmt: skip
        made.figure.supylabel(f"value in {short_name(fmt)}", fontsize=made.font, color=made.theme.ink)
        return made.finish(title, _title(data, names, fmt))


def _stairs(axes: Any, data: dict[str, NDArray[Any]], colour: str, font: float, paper: str) -> None:
    """Draw the step of each value over the numbers that become it, and a dot on each tie."""
    x, rounded = data["x"], data["rounded"]
    nearest = MODES[str(data["mode"][0])].nearest
    for value in np.unique(rounded):
        become = x[rounded == value]
        low, high = float(become.min()), float(become.max())
        # What becomes a value ends at a tie, or at the next value; the last number that was tried may lie before it.
        below, above = data["down"][data["up"] == value], data["up"][data["down"] == value]
        if low < value:
            low = (value + below.min()) / 2 if nearest else float(below.min())
        if high > value:
            high = (value + above.max()) / 2 if nearest else float(above.max())
        if low < high:
            axes.plot(
                [low, high], [value, value], color=colour, lw=0.24 * font, solid_capstyle="butt", zorder=3
            )
        else:  # itself, and nothing else
            axes.plot([value], [value], "s", color=colour, ms=0.3 * font, zorder=3)
    ties = (data["up"] > data["down"]) & (x == (data["up"] + data["down"]) / 2)
    axes.plot(x[ties], rounded[ties], "o", color=colour, ms=0.42 * font, mec=paper, zorder=4, ls="")


def _probabilities(axes: Any, data: dict[str, NDArray[Any]], colour: str, font: float) -> None:
    """Draw both values between which chance decides, each as opaque as it is probable."""
    x = data["x"]
    inside = np.flatnonzero(np.diff(x) > 0)
    # Between two of the numbers lie the same two values, and the probability in the middle is the mean.
    middle = (x[inside] + x[inside + 1]) / 2
    down, up = data["down"][inside], data["up"][inside + 1]
    share = (middle - down) / (up - down)
    for value, opacity in ((down, 1 - share), (up, share)):
        pieces = np.stack([np.stack([x[inside], value], -1), np.stack([x[inside + 1], value], -1)], 1)
        axes.add_collection(
            LineCollection(
                list(pieces), colors=[(colour, float(p)) for p in opacity], lw=0.3 * font, zorder=3
            )
        )
    axes.text(0.03, 0.95, "opacity: probability", transform=axes.transAxes, va="top", fontsize=0.75 * font)


def _title(data: dict[str, NDArray[Any]], names: list[str], fmt: FloatFormat) -> str:
    at = (data["x"] == (data["down"] + data["up"]) / 2) & (data["up"] > data["down"])
    ties = len(np.unique(data["x"][at]))
    counted = f"{len(names)} rounding {'mode' if len(names) == 1 else 'modes'}"
    return f"{short_name(fmt)} in {counted}, with {ties} {'tie' if ties == 1 else 'ties'}"
