"""How does a floatlab figure look? Paper, type sizes, axes of powers of two, and labels beside what they name.

Figures are made for a slide of 16:9, whole or half as wide: no more ink than the numbers need, a label in words beside
each line in the place of a legend, and nothing that only a colour says (`floatlab.plots.colours`).
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from floatlab.errors import FormatError, OptionError, check_option, check_switch
from floatlab.formats import get_format
from floatlab.plots.colours import FORMATS, THEMES, Style, Theme, format_styles
from floatlab.plots.figure import LETTERS, Figure, figure_of, new_canvas

__all__ = [
    "RUN_STYLES",
    "SIZES",
    "Canvas",
    "Size",
    "canvas",
    "heading",
    "label_lines",
    "plain_number",
    "power_axis",
    "power_of_ten",
    "row_names",
    "run_style",
    "series_styles",
    "subplots",
    "tidy",
]

SIZES = {"full": (13.333, 7.5), "half": (6.667, 3.75)}  # inches of a slide, and of half its width
_FONTS = {"full": 15.0, "own": 13.0, "half": 9.0}
_DPI = {"full": 100.0, "own": 100.0, "half": 150.0}
Size = str | tuple[float, float] | None

# The runs of the demonstration: colour says the format, dashes that the loss is scaled, the marker which run it is.
RUN_STYLES: dict[str, Style] = {
    "fp32": FORMATS["float32"],
    "bf16": FORMATS["bfloat16"],
    "fp16": FORMATS["float16"],
    "fp16 static": replace(FORMATS["float16"], marker="D", solid=False),
    "fp16 dynamic": replace(FORMATS["float16"], marker="^", solid=False),
    "fp8": FORMATS["float8_e5m2"],
    "fp8 dynamic": replace(FORMATS["float8_e5m2"], marker="*", solid=False),
}
# Lines that are no formats: layers, parameters, runs of somebody's own.
LINES: tuple[Style, ...] = (
    Style("#1D5C8A", "#7FB8E6", "o", ""),
    Style("#A02C5A", "#F08CB4", "s", "///"),
    Style("#4A6B00", "#B5D46A", "^", "\\\\\\"),
    Style("#8A5A00", "#E3B45C", "D", "xxx"),
    Style("#6A4BB0", "#B9A3F0", "v", "..."),
    Style("#00695C", "#6FCDBF", "P", "+++"),
)


def _rules(theme: Theme, font: float) -> dict[Any, Any]:
    """Return Matplotlib's settings for a paper and a size of type."""
    return LETTERS | {
        "font.size": font,
        "axes.labelsize": font,
        "axes.titlesize": 1.2 * font,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.soft,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.linewidth": 1.0,
        "xtick.labelsize": 0.9 * font,
        "ytick.labelsize": 0.9 * font,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "text.color": theme.ink,
        "lines.linewidth": 0.16 * font,
        "lines.markersize": 0.5 * font,
        "hatch.color": theme.ink,
        "legend.frameon": False,
        "legend.fontsize": 0.9 * font,
        "figure.facecolor": theme.paper,
    }


@dataclass(frozen=True)
class Canvas:
    """Where a chart is drawn: its figure, its axes, its paper and inks, and the size of its type in points."""

    figure: Any
    axes: Any
    theme: Theme
    font: float
    owned: bool

    def finish(self, title: str | None, fallback: str, *, above: bool = False) -> Any:
        """Set the title, `fallback` where none was given, and return the figure.

        Several axes have one title above them all, and so has one with a legend on top of it (`above`).
        """
        text = _wrapped(fallback if title is None else title, self._letters())
        if text and self.owned and (above or isinstance(self.axes, np.ndarray)):
            self.figure.suptitle(
                text, fontsize=1.2 * self.font, fontweight="bold", x=0.01, ha="left", color=self.theme.ink
            )
        elif text:
            heading(self.axes, text, size=1.2 * self.font)
        return self.figure

    def note(self, text: str, most: int = 110) -> str:
        """Break a remark below the axes where it is longer than the paper is wide, or than `most` letters."""
        room = 0.9 * 72 * self.figure.get_figwidth() / (0.58 * self.font)  # a letter is 0.58 of its size wide
        return "\n".join(_balanced(text, max(20, min(most, int(room)))))

    def _letters(self) -> int:
        """Return how many letters of a title fit side by side: bold ones are about 0.68 of their size wide."""
        width = self.figure.get_figwidth()
        if not self.owned:
            width *= self.axes.get_position().width
        return max(12, int(72 * width / (0.68 * 1.2 * self.font)))


def _balanced(text: str, letters: int) -> list[str]:
    """Break a text into as few lines as fit, of about the same length: no word is left alone in the last one.

    >>> _balanced("grey: fp32; scale: seed 0", 22)
    ['grey: fp32;', 'scale: seed 0']
    """
    lines = textwrap.wrap(text, letters)
    while letters > 1 and len(narrower := textwrap.wrap(text, letters - 1)) == len(lines) > 1:
        letters, lines = letters - 1, narrower
    return lines


def _wrapped(title: str, letters: int) -> str:
    """Break a title where it is longer than the paper is wide."""
    shown = title.replace("$", "").replace("{", "").replace("}", "").replace("^", "")
    if len(shown) <= letters:
        return title
    return "\n".join(textwrap.wrap(title, max(12, len(title) // -(-len(shown) // letters) + 6)))


@contextmanager
def canvas(
    rows: int = 1,
    columns: int = 1,
    *,
    ax: Axes | None = None,
    size: Size = "full",
    natural: tuple[float, float] | None = None,
    dark: bool = False,
    **options: Any,
) -> Iterator[Canvas]:
    """Give a new figure of a slide's size, or the axes of somebody else's; the style holds within the block.

    `natural` are the inches of a chart that is as large as what it draws, which a `size` of None asks for.
    """
    theme = THEMES[check_switch("dark", dark)]
    name, inches = ("own", natural) if size is None and natural else _inches(size)
    if ax is not None:
        if not isinstance(ax, Axes):
            raise OptionError(
                f"ax is the axes to draw in. Got a {type(ax).__name__}. Take one from plots.subplots."
            )
        figure = figure_of(ax)
        name = "full" if figure.get_figwidth() * ax.get_position().width > 6.5 else "half"
        with mpl.rc_context(_rules(theme, _FONTS[name])):
            yield Canvas(figure, ax, theme, _FONTS[name], False)
        return
    with mpl.rc_context(_rules(theme, _FONTS[name])):
        figure = new_canvas(inches, _DPI[name], theme.paper)
        axes = figure.subplots(rows, columns, **options)
        yield Canvas(figure, axes, theme, _FONTS[name], True)


def _inches(size: Size) -> tuple[str, tuple[float, float]]:
    """Return which type goes with a size, and its inches."""
    if isinstance(size, str):
        check_option("size", size, SIZES)
        return size, SIZES[size]
    try:
        width, height = (float(part) for part in size or ())
    except (TypeError, ValueError):
        width = height = math.nan
    if not (0.5 <= width <= 100 and 0.5 <= height <= 100):
        raise OptionError(
            f'size is "full", "half", or a width and a height in inches. Got {size!r}. Use "full".'
        )
    return ("full" if width > 9 else "half"), (width, height)


def subplots(
    rows: int = 1,
    columns: int = 1,
    *,
    size: Size = "full",
    dark: bool = False,
    **options: Any,
) -> tuple[Figure, Any]:
    """Return a figure that shows itself, and axes to hand to charts as ``ax=``; options are those of `Figure.subplots`.

    >>> from floatlab import plots
    >>> figure, (left, right) = plots.subplots(1, 2)
    >>> plots.plot_ranges(["fp16", "bf16"], ax=left) is figure
    True
    """
    with canvas(rows, columns, size=size, dark=dark, **options) as made:
        assert isinstance(made.figure, Figure)
        return made.figure, made.axes


def run_style(name: str, index: int = 0) -> Style:
    """Return how a run is drawn; a run that has no style of its own gets a spare one."""
    return RUN_STYLES.get(name, LINES[index % len(LINES)])


def series_styles(names: Sequence[str]) -> dict[str, Style]:
    """Return the style of each series: the colour of the format that its name begins with, and a marker of its own.

    >>> styles = series_styles(["fp16", "fp16 stochastic", "by class"])
    >>> styles["fp16"].light == styles["fp16 stochastic"].light, len({style.marker for style in styles.values()})
    (True, 3)
    """
    found: dict[str, Style] = {}
    spare = iter([style for _ in names for style in LINES])
    for name in names:
        try:
            style = (
                format_styles([word])[get_format(word)] if (word := re.split(r"[\s,]", name)[0]) else LINES[0]
            )
        except FormatError:
            style = next(spare)
        taken = {other.marker for other in found.values()}
        marker = next((m for m in (style.marker, *"osv^DXPp*<>dh8H") if m not in taken), style.marker)
        found[name] = replace(style, marker=marker)
    return found


def tidy(axes: Axes, *, grid: str | None = "y") -> None:
    """Give axes the house look: light grid lines behind the data, small ticks."""
    axes.set_axisbelow(True)
    if grid:
        dark = THEMES[mpl.colors.to_hex(axes.get_facecolor()) == THEMES[True].paper.lower()]
        axes.grid(True, axis=grid, color=dark.grid, linewidth=0.8)  # type: ignore[arg-type]
    axes.tick_params(length=3, width=0.8)


def heading(axes: Axes, text: str, size: float = 15) -> None:
    """Set a title above the left edge of the axes."""
    axes.set_title(text, loc="left", fontsize=size, fontweight="bold", pad=0.6 * size)


def power_axis(axis: Any, low: float, high: float, most: int = 11) -> None:
    """Number an axis that holds exponents of two: at most `most` ticks, written as powers.

    >>> from floatlab.plots.style import power_axis, subplots
    >>> _, axes = subplots(size=(4, 3))
    >>> power_axis(axes.xaxis, -24, 16)
    >>> [label.get_text() for label in axes.get_xticklabels()][:2]
    ['$2^{-20}$', '$2^{-15}$']
    """
    steps = (k * 10**n for n in range(5) for k in (1, 2, 5))
    step = next(s for s in steps if (high - low) / s < most)
    ticks = np.arange(math.ceil(low / step) * step, high + 1e-9, step)
    axis.set_ticks(ticks, [f"$2^{{{int(t)}}}$" for t in ticks])


def row_names(axes: Axes, names: Sequence[str], theme: Theme) -> None:
    """Name the rows 0, 1, 2 ... of axes from top to bottom, without ticks and without a line beside them."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelcolor=theme.ink)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)


def plain_number(value: float) -> str:
    """Return a number as one would say it: 65504, 0.000122, 3.4e38.

    >>> plain_number(65504.0), plain_number(3.4028234663852886e38), plain_number(2.0**-13), plain_number(-0.5)
    ('65504', '3.4e38', '0.000122', '-0.5')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.6g}"
    return f"{value:.2g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def power_of_ten(value: float) -> str:
    """Return a number as it is said on a slide: 1, 0.5, or a power of ten where it is one.

    >>> power_of_ten(1e-6), power_of_ten(1.0), power_of_ten(0.03)
    ('$10^{-6}$', '1', '0.03')
    """
    exponent = round(math.log10(value)) if value > 0 else 0
    if abs(exponent) >= 2 and math.isclose(value, 10.0**exponent, rel_tol=1e-9):
        return f"$10^{{{exponent}}}$"
    return f"{value:g}"


def label_lines(
    axes: Axes, labels: Sequence[tuple[str, float, str]], x: float, *, gap: float = 0.065, size: float = 13
) -> None:
    """Write labels to the right of `x`, each as near its line's end as the others allow.

    Parameters
    ----------
    labels : sequence of (text, y, colour)
        What to write, where its line ends in data units, and in which colour.
    x : float
        The right end of the lines, in data units.
    gap : float
        The least distance between two labels, as a share of the height of the axes.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = sorted(
        (
            (float(min(max(to_axes.transform((x, y))[1], 0.0), 1.0)), text, y, colour)
            for text, y, colour in labels
        ),
        key=lambda item: item[0],
    )
    places = spread([item[0] for item in wanted], gap)
    if places:  # the whole column stays beside the axes
        shift = max(0.0, -places[0]) - max(0.0, places[-1] - 1.0)
        places = [place + shift for place in places]
    edge = float(to_axes.transform((x, wanted[0][2]))[0]) if wanted else 1.0
    for (at, text, _, colour), place in zip(wanted, places, strict=True):
        axes.annotate(
            text,
            xy=(edge, at),
            xytext=(edge + 0.035, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colour,
            fontsize=size,
            va="center",
            ha="left",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 1.2,
                "shrinkA": 3,
                "shrinkB": 1,
                "relpos": (0.0, 0.5),
            },
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move sorted `places` apart until neighbours are `gap` apart, as little as possible in total.

    Places that touch become a block around the mean of what its members wanted, and blocks that touch merge.

    >>> [round(place, 3) for place in spread([0.0, 0.01, 0.5], 0.1)]
    [-0.045, 0.055, 0.5]
    """
    blocks: list[list[float]] = []  # each: what its members want, and from it the place of the first
    for place in places:
        blocks.append([place])
        while len(blocks) > 1 and _start(blocks[-1], gap) < _start(blocks[-2], gap) + len(blocks[-2]) * gap:
            last = blocks.pop()
            blocks[-1].extend(last)
    return [_start(block, gap) + k * gap for block in blocks for k in range(len(block))]


def _start(block: Sequence[float], gap: float) -> float:
    return sum(block) / len(block) - gap * (len(block) - 1) / 2
