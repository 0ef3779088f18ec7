"""Where do gradients lie, and what does each format do to numbers there?

The upper panels are histograms of gradient magnitudes, one bin for each power of two. Below them, on the
same axis, every format is a strip: values in its *lost* region round to zero (at most half the smallest
subnormal value), those in its *subnormal* region keep fewer and fewer bits, and those in its *normal*
region keep them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from floatlab.errors import ShapeError
from floatlab.formats import FloatFormat
from floatlab.plots.colours import REGIONS, Theme, format_styles, short_name
from floatlab.plots.edges import format_regions
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import chosen_formats
from floatlab.plots.style import LINES, Canvas, Size, canvas, heading, tidy

__all__ = ["plot_gradients"]


def plot_gradients(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    formats: Sequence[FloatFormat | str] = ("bfloat16", "float16", "float8_e5m2"),
    notes: Mapping[str, str] | None = None,
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw histograms of gradient magnitudes over the regions of each format.

    Parameters
    ----------
    panels : mapping of title to mapping of label to (exponents, counts)
        For each panel one or two histograms: ``counts[i]`` gradients have magnitudes from ``2**exponents[i]``
        up to ``2**(exponents[i] + 1)``. Each is drawn as shares of its own total.
    formats : sequence
        The formats of the strips.
    notes : mapping of panel title to str, optional
        A remark to set into a panel.
    size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the panels need.

    Raises
    ------
    ShapeError
        If exponents and counts have different lengths, or there is no histogram.
    """
    chosen = chosen_formats(formats)
    if not any(kinds for kinds in panels.values()):
        raise ShapeError("A figure of gradients needs a histogram. Got none. Pass exponents and counts.")
    shares = {panel: {label: _shares(*h) for label, h in kinds.items()} for panel, kinds in panels.items()}
    low, high = _range(shares)
    rows = len(panels)
    top = max(
        (share.max(initial=0.05) for kinds in shares.values() for _, share in kinds.values()), default=1.0
    )
    with canvas(
        rows + 1,
        size=size,
        natural=(12, 1.5 + 2.15 * rows + 0.45 * len(chosen)),
        dark=dark,
        sharex=True,
        height_ratios=[2.15] * rows + [0.45 * len(chosen)],
    ) as made:
        axes = made.axes
        for k, (axis, (panel, kinds)) in enumerate(zip(axes, shares.items(), strict=False)):
            _histograms(axis, kinds, _inks(made.theme), top=1.25 * top)
            heading(axis, panel, size=1.15 * made.font)
            _lost_lines(made, axis, chosen, (low, high), named=k == 0)
            lines = [] if k else [(label, ink) for label, ink in zip(kinds, _inks(made.theme), strict=False)]
            lines += [(line, made.theme.ink) for line in ((notes or {}).get(panel) or "").splitlines()]
            _words(made, axis, lines, left=_centre(kinds) > (low + high) / 2)
        axes[0].set_xlim(low, high)
        _strips(made, axes[-1], chosen, low, high)
        made.figure.supylabel("share of the gradients, for each power of two", fontsize=made.font)
        return made.finish(title, "")


def _inks(theme: Theme) -> tuple[str, str]:
    """Return the inks of the two histograms of a panel."""
    return LINES[0].colour(theme), theme.ink


def _lost_lines(
    made: Canvas, axis: Axes, formats: Sequence[FloatFormat], limits: tuple[float, float], *, named: bool
) -> None:
    """Draw for each format the line left of which it loses what there is."""
    low, high = limits
    found = [(format_regions(fmt)[0], fmt, style) for fmt, style in format_styles(formats).items()]
    end = low + 0.25 * (high - low)  # of what is written already: the heading
    for lost, fmt, style in sorted(found, key=lambda line: line[0]):
        if not low < lost < high:
            continue
        colour, text = style.colour(made.theme), f"← lost in {short_name(fmt)}"
        axis.axvline(lost, color=colour, linewidth=0.1 * made.font, linestyle=(0, (4, 3)), zorder=1)
        if named:
            width = 0.6 * made.font * len(text) / (72 * made.figure.get_figwidth()) * (high - low)
            left = lost - width > end
            end = lost if left else lost + width
            axis.annotate(
                text,
                xy=(lost, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0 if left else 3, 0.4 * made.font),
                textcoords="offset points",
                ha="right" if left else "left",
                color=colour,
                fontsize=made.font,
            )


def _shares(exponents: ArrayLike, counts: ArrayLike) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    e, c = np.asarray(exponents, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if e.ndim != 1 or e.shape != c.shape:
        raise ShapeError(
            f"A histogram has one count for each exponent. Got shapes {e.shape} and {c.shape}. "
            "Use equal lengths."
        )
    return e, c / max(float(c.sum()), 1.0)


Curves = Mapping[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


def _centre(kinds: Curves) -> float:
    means = [float((e * share).sum() / share.sum()) for e, share in kinds.values() if share.sum()]
    return sum(means) / len(means) if means else 0.0


def _words(made: Canvas, axis: Axes, lines: Sequence[tuple[str, str]], *, left: bool) -> None:
    """Write lines in their colours into the half of a panel where the histogram is not."""
    for k, (text, colour) in enumerate(lines):
        axis.text(
            0.012 if left else 0.988,
            0.95 - 0.155 * k,
            text,
            transform=axis.transAxes,
            color=colour,
            ha="left" if left else "right",
            va="top",
            fontsize=made.font,
            bbox={"facecolor": made.theme.paper, "edgecolor": "none", "pad": 1.0},
            zorder=5,
        )


def _range(shares: Mapping[str, Curves]) -> tuple[float, float]:
    """Leave out the thin tails: the axis covers the bins that hold at least a share of 0.002."""
    held = [e[share >= 0.002] for kinds in shares.values() for e, share in kinds.values()]
    seen = np.concatenate([*held, np.array([-18.0, -2.0])])
    return float(seen.min()) - 1.5, float(seen.max()) + 4


def _histograms(axis: Axes, kinds: Curves, inks: tuple[str, str], *, top: float) -> None:
    for (exponents, share), colour in zip(kinds.values(), inks, strict=False):
        if len(share):
            fill = colour == inks[0]
            edges = np.append(exponents, exponents[-1] + 1)
            axis.stairs(
                share, edges, color=colour, fill=fill, alpha=0.5 if fill else 1.0, linewidth=2.2, zorder=3
            )
    axis.set_ylim(0, top)
    ticks = np.arange(0, min(top, 1.01), 0.1 if top < 0.55 else 0.25)
    axis.set_yticks(ticks, [f"{100 * t:.0f}%" for t in ticks])
    tidy(axis)
    axis.tick_params(labelbottom=False)


def _strips(made: Canvas, axis: Axes, formats: Sequence[FloatFormat], low: float, high: float) -> None:
    for row, fmt in enumerate(formats):
        lost, normal, overflow = format_regions(fmt)
        bounds = (-np.inf, lost, normal, overflow, np.inf)
        words = ("lost: rounds to 0", "subnormal: fewer bits", "normal", "overflow")
        for (region, (_, _, hatch)), left, right, text in zip(
            REGIONS.items(), bounds[:-1], bounds[1:], words, strict=True
        ):
            a, b = max(left, low), min(right, high)
            if b <= a:
                continue
            colour = made.theme.region(region)
            axis.barh(
                row, b - a, left=a, height=0.78, color=colour, hatch=hatch, edgecolor=made.theme.paper, lw=0
            )
            # A letter takes about a hundredth of the axis; a text that does not fit is cut to its first word.
            room = (b - a) / (high - low) * 100
            short = text.split(":")[0]
            fitting = text if room > 0.95 * len(text) else short if room > 0.95 * len(short) else ""
            box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5} if hatch else None
            axis.text(
                (a + b) / 2, row, fitting, ha="center", va="center", fontsize=0.92 * made.font, bbox=box
            )
    axis.set_yticks(range(len(formats)), [short_name(fmt) for fmt in formats])
    axis.set_ylim(len(formats) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0, labelsize=made.font)
    for side in ("left", "top", "right"):
        axis.spines[side].set_visible(False)
    step = 5 if high - low < 60 else 10
    ticks = np.arange(np.ceil(low / step) * step, high, step)
    axis.set_xticks(ticks, [f"$2^{{{int(t)}}}$" for t in ticks])
    axis.tick_params(axis="x", labelsize=made.font)
    why = "A weight's gradient is a sum of products with gradients of outputs: where these become 0, so does it."
    axis.set_xlabel(f"magnitude of the gradient in fp32\n{made.note(why)}")
