"""In which layer is what lost? Histograms of each layer over a format's range, and shares over the steps.

These figures draw the records of a log (floatlab.telemetry), as `Log.rows` returns them or as they stand in a
file of JSON lines: plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from floatlab.errors import ExperimentError, FormatError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.plots.colours import REGIONS, format_styles
from floatlab.plots.edges import format_regions
from floatlab.plots.figure import Figure
from floatlab.plots.style import LINES, Canvas, Size, canvas, label_lines, tidy

__all__ = ["plot_layers", "plot_underflow", "shares_over_steps"]

Records = Sequence[Mapping[str, Any]]
_NO_LAYER = "(no layer)"
_PHASES = ("forward", "backward")


def plot_layers(
    records: Records,
    *,
    format: FloatFormat | str | None = None,
    phase: str = "backward",
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw for each layer how the magnitudes of its results lie in the range of the format, before rounding.

    Each layer's histogram has its own height: its tallest bar fills the row. What a layer only moves or selects
    (as a ReLU does) was not rounded there, and is left out.

    Parameters
    ----------
    records : sequence of mappings
        A log's operation records; others are passed over.
    format : str or FloatFormat, optional
        Whose results to draw: by default the narrowest format in the records.
    phase : str
        "forward" or "backward".
    size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the layers need. The title names the layer that loses most.

    Raises
    ------
    ExperimentError
        If no record is of this phase and format and has a histogram.
    """
    check_option("phase", phase, _PHASES)
    chosen = [r for r in records if r.get("phase") == phase and r["rounded"] and r["bins"]]
    if format is None and chosen:
        format = min((r["format"] for r in chosen), key=lambda name: get_format(name).bits)
    fmt = None if format is None else get_format(format)
    chosen = [r for r in chosen if fmt is not None and _is(r["format"], fmt)]
    if fmt is None or not chosen:
        raise ExperimentError(
            f"A figure of layers needs operation records with histograms. Got none of phase {phase!r} and "
            f"format {format}. Record some with telemetry.watch(), or name another phase or format."
        )
    drawn = {r["layer"] for r in chosen}
    layers = [layer for layer in _layers(records) if layer in drawn]
    low, high = _range(chosen, fmt)
    with canvas(
        len(layers),
        size=size,
        natural=(12, 1.9 + 0.95 * len(layers)),
        dark=dark,
        sharex=True,
        squeeze=False,
        gridspec_kw={"hspace": 0},
    ) as made:
        for axis, layer in zip(made.axes[:, 0], layers, strict=True):
            mine = [r for r in chosen if r["layer"] == layer]
            _shade(made, axis, fmt, low, high)
            _ridge(made, axis, mine, layer, format_styles([fmt])[fmt].colour(made.theme))
        _name_regions(made, made.axes[0, 0], fmt, low, high)
        last = made.axes[-1, 0]
        last.set_xlim(low, high)
        last.spines["bottom"].set_visible(True)
        step = 5 if high - low < 60 else 10
        ticks = np.arange(np.ceil(low / step) * step, high, step)
        last.set_xticks(ticks, [f"$2^{{{int(t)}}}$" for t in ticks])
        last.tick_params(axis="x", length=4, labelsize=made.font)
        last.set_xlabel(f"magnitude before it is rounded to {fmt.name}, {phase}", fontsize=1.08 * made.font)
        made.figure.supylabel("layer", fontsize=1.08 * made.font)
        return made.finish(title, _worst_layer(chosen, layers))


def _worst_layer(records: Records, layers: Sequence[str]) -> str:
    """Say which layer loses most of its results to zero, and how many."""
    shares = {}
    for layer in layers:
        mine = [r for r in records if r["layer"] == layer]
        shares[layer] = sum(r["underflows"] for r in mine) / max(sum(r["values"] for r in mine), 1)
    worst = max(shares, key=lambda layer: shares[layer])
    if not shares[worst]:
        return "No result becomes 0"
    return f"In layer {worst or _NO_LAYER}, {100 * shares[worst]:.3g}% of the results become 0"


def _layers(records: Records) -> list[str]:
    """Return the layers in the order of the forward pass, and then those that only the backward pass has."""
    operations = [r for r in records if "phase" in r]
    return list(
        dict.fromkeys(
            r["layer"] for phase in ("forward", "backward") for r in operations if r["phase"] == phase
        )
    )


def _is(name: str, fmt: FloatFormat) -> bool:
    """Whether a record's format is `fmt`, by whatever name."""
    try:
        return get_format(name).same_as(fmt)
    except FormatError:  # an older record of somebody's own format, which holds a name alone
        return name == fmt.name


def _range(records: Records, fmt: FloatFormat) -> tuple[float, float]:
    """Return the exponents to show: all magnitudes that count, and the lower end of the format."""
    total: dict[int, int] = {}
    for record in records:
        for exponent, number in record["bins"]:
            total[exponent] = total.get(exponent, 0) + number
    enough = 0.0005 * sum(total.values())
    held = [exponent for exponent, number in total.items() if number >= enough]
    lost, normal, overflow = format_regions(fmt)
    low, high = min(held) - 2.0, max(held) + 3.0
    if low < normal + 12:  # the lower end is near enough to be shown
        low = min(low, lost - 5.0)
    return low, overflow + 5.0 if high > overflow - 12 else high


def _shade(made: Canvas, axis: Axes, fmt: FloatFormat, low: float, high: float) -> None:
    lost, normal, overflow = format_regions(fmt)
    for name, left, right in (("lost", low, lost), ("subnormal", lost, normal), ("overflow", overflow, high)):
        left, right = max(left, low), min(right, high)
        if right > left:
            axis.axvspan(
                left,
                right,
                facecolor=made.theme.region(name),
                hatch=REGIONS[name][2],
                edgecolor=made.theme.paper,
                alpha=0.6,
                linewidth=0,
                zorder=0,
            )


def _name_regions(made: Canvas, axis: Axes, fmt: FloatFormat, low: float, high: float) -> None:
    lost, normal, overflow = format_regions(fmt)
    regions = (
        ("becomes 0", low, lost),
        ("subnormal: fewer bits", lost, normal),
        ("normal", normal, overflow),
        ("overflow", overflow, high),
    )
    for text, left, right in regions:
        left, right = max(left, low), min(right, high)
        room = 100 * (right - left) / (high - low)  # about 1.05 per cent of the axis for a letter
        fitting = next((t for t in (text, text.split(":")[0]) if 1.05 * len(t) < room), "")
        axis.text(
            (left + right) / 2,
            1.06,
            fitting,
            transform=axis.get_xaxis_transform(),
            ha="center",
            fontsize=made.font,
        )


def _ridge(made: Canvas, axis: Axes, records: Records, layer: str, colour: str) -> None:
    total: dict[int, int] = {}
    for record in records:
        for exponent, number in record["bins"]:
            total[exponent] = total.get(exponent, 0) + number
    exponents = np.arange(min(total), max(total) + 2)
    shares = np.array([total.get(int(e), 0) for e in exponents[:-1]], dtype=np.float64)
    shares /= shares.max()
    axis.stairs(shares, exponents, fill=True, color=colour, alpha=0.85, zorder=3)
    axis.set_ylim(0, 1.15)
    axis.set_yticks([])
    axis.tick_params(axis="x", length=0)
    for side in ("left", "top", "right"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(made.theme.behind)
    axis.text(-0.01, 0.08, layer or _NO_LAYER, transform=axis.transAxes, ha="right", fontsize=made.font)
    remarks = [
        f"{_percent(number, records)} {what}"
        for name, what in (("underflows", "become 0"), ("overflows", "overflow"), ("saturations", "saturate"))
        if (number := sum(r[name] for r in records))
    ]
    axis.text(
        1.01, 0.08, "\n".join(remarks) or "none lost", transform=axis.transAxes, fontsize=made.font,
        color=made.theme.alarm if remarks else made.theme.soft,
    )  # fmt: skip


def _percent(number: int, records: Records) -> str:
    share = 100 * number / max(sum(r["values"] for r in records), 1)
    return "<1%" if share < 1 else ">99%" if 99 < share < 100 else f"{share:.0f}%"


def plot_underflow(
    records: Records,
    *,
    phase: str = "backward",
    ax: Axes | None = None,
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw over the steps which share of each layer's results rounding turned into zeros.

    Parameters
    ----------
    records : sequence of mappings
        A log's operation records; others are passed over. Only results that were rounded count.
    phase : str
        "forward" or "backward".
    ax, size, dark, title
        As in `plot_ranges`; a `size` of None is that of this chart alone. The title names the layer that loses most.

    Raises
    ------
    ExperimentError
        If there is no such record.
    """
    check_option("phase", phase, _PHASES)
    lines = shares_over_steps(
        [r for r in records if r.get("phase") == phase and r["rounded"]], "layer", "underflows", "rounded"
    )
    order = [layer or _NO_LAYER for layer in _layers(records)]
    lines = {key: lines[key] for key in order if key in lines}
    if not lines:
        raise ExperimentError(
            "A figure over the steps needs records. Got none that fit. Record some with telemetry.watch()."
        )
    with canvas(ax=ax, size=size, natural=(12, 6.4), dark=dark) as made:
        _over_steps(made, lines, f"results that become 0, {phase}")
        means = {key: float(shares.mean()) for key, (_, shares) in lines.items()}
        worst = max(means, key=lambda key: means[key])
        found = f"In layer {worst}, {100 * means[worst]:.3g}% of the results become 0"
        return made.finish(title, found if means[worst] else "No result becomes 0")


_Line = tuple[NDArray[Any], NDArray[Any]]


def shares_over_steps(records: Records, name: str, part: str, whole: str) -> dict[str, _Line]:
    """Return for each layer or parameter the steps, and the share of `part` in `whole` at each."""
    sums: dict[str, dict[int, tuple[int, int]]] = {}
    for record in records:
        steps = sums.setdefault(record[name] or _NO_LAYER, {})
        a, b = steps.get(record["step"], (0, 0))
        steps[record["step"]] = (a + record[part], b + record[whole])
    return {
        key: (np.array(sorted(steps)), np.array([steps[s][0] / max(steps[s][1], 1) for s in sorted(steps)]))
        for key, steps in sums.items()
    }


def _over_steps(made: Canvas, lines: dict[str, _Line], what: str) -> None:
    axis, font = made.axes, made.font
    lossy = [key for key in lines if lines[key][1].any()]
    largest = sorted(lossy, key=lambda key: -float(lines[key][1].mean()))[: len(LINES)]
    styles = dict(zip([key for key in lines if key in largest], LINES, strict=False))
    right = max(float(steps[-1]) for steps, _ in lines.values())
    left = min(float(steps[0]) for steps, _ in lines.values())
    labels = []
    for key, (steps, shares) in lines.items():
        colour = styles[key].colour(made.theme) if key in styles else made.theme.behind
        axis.plot(
            steps,
            100 * shares,
            color=colour,
            marker=styles[key].marker if key in styles else "o" if len(steps) < 3 else None,
            markevery=max(1, len(steps) // 8),
            zorder=3 if key in styles else 2,
        )
        if key in styles:
            labels.append((key, 100 * float(shares[-1]), colour))
    highest = 100 * max(float(shares.max()) for _, shares in lines.values())
    top = next(limit for limit in (1, 5, 10, 20, 50, 100) if highest <= limit) if highest else 100
    axis.set_ylim(-0.02 * top, 1.04 * top)
    axis.set_yticks([top * i / 5 for i in range(6)], [f"{top * i / 5:g}%" for i in range(6)])
    axis.set_xlim(left, right if right > left else left + 1)
    others = len(lines) - len(largest)
    if not largest:
        axis.text(0.5, 0.5, "none in any step", transform=axis.transAxes, ha="center", fontsize=1.2 * font)
    axis.set_xlabel(
        f"step   (grey: {others} with smaller shares)" if others and largest else "step", fontsize=1.08 * font
    )
    axis.set_ylabel(what, fontsize=1.08 * font)
    tidy(axis)
    label_lines(axis, labels, right if right > left else left + 1, gap=0.06, size=font)
