"""What does a figure say to those who do not see it? A text made from what is drawn: titles, axes, series, labels.

It is the alternative text that a notebook or a page puts beside the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["describe"]

_MOST = 12  # labels of one kind that are read out before "and so many more"


def describe(figure: Any) -> str:
    """Return what a figure shows, in words.

    >>> from floatlab import plots
    >>> from floatlab.plots.description import describe
    >>> figure, axes = plots.subplots(size=(4, 3))
    >>> _ = axes.set_title("Loss"), axes.set_xlabel("step"), axes.plot([0, 9], [2.3, 0.5], label="fp16")
    >>> describe(figure)
    'Chart: Loss. Across: step, 0 to 8. Up: 0.50 to 2.25. fp16: from 2.3 to 0.5.'
    """
    title = _plain(figure.get_suptitle())
    panels = [axes for axes in figure.axes if axes.get_visible() and not _is_scale_beside(axes)]
    kind = "Chart" if len(panels) == 1 else f"Chart of {len(panels)} panels"
    parts = [f"{kind}: {_ended(title)}" if title else f"{kind}."]
    for number, axes in enumerate(panels, start=1):
        said = list(_of_axes(axes))
        if len(panels) > 1:
            parts.append(f"Panel {number}:")
        elif not title and said and said[0] == _ended(_heading(axes)):
            parts = [f"{kind}: {said.pop(0)}"]
        parts += said
    return " ".join(parts)


def _of_axes(axes: Any) -> Iterator[str]:
    """Give the sentences about one panel."""
    if heading := _heading(axes):
        yield _ended(heading)
    for name, axis in (("Across", axes.xaxis), ("Up", axes.yaxis)):
        if said := _of_axis(axis):
            yield f"{name}: {said}."
    for line in axes.get_lines():
        if said := _of_line(line, _is_of_powers(axes)):
            yield f"{said}."
    _, labels = axes.get_legend_handles_labels()
    lines = {line.get_label() for line in axes.get_lines()}
    if others := _listed(_plain(label) for label in labels if label not in lines):
        yield f"Also: {others}."
    if texts := _listed(_plain(text.get_text()) for text in axes.texts if text.get_visible()):
        yield f"Labels: {texts}."


def _of_axis(axis: Any) -> str:
    """Return what an axis measures, and from where to where; or the names that stand at it."""
    label = _plain(axis.get_label_text())
    ticks = [_plain(tick.get_text()) for tick in axis.get_ticklabels()]
    ends = axis.get_view_interval()
    ticks = [
        t for t, at in zip(ticks, axis.get_ticklocs(), strict=False) if t and min(ends) <= at <= max(ends)
    ]
    if not axis.get_visible() or not ticks:
        return label
    named = any(not re.fullmatch(r"[-+−]?[\d.]+(?:e[-+]?\d+|\^\S+)?%?", tick) for tick in ticks)
    span = _listed(ticks) if named else f"{ticks[0]} to {ticks[-1]}"
    return f"{label}, {span}" if label else span


def _of_line(line: Any, powers: bool) -> str:
    """Return the name of a line that has one, with its first and last value, which may be exponents of two."""
    name = str(line.get_label())
    if name.startswith("_") or not name:
        return ""
    y = np.asarray(line.get_ydata(), dtype=float).ravel()
    known = y[np.isfinite(y)]
    ends = (
        [("2^" if powers else "") + f"{value:.3g}" for value in known[[0, -1]]] if known.size else ["nothing"]
    )
    return f"{_plain(name)}: " + (f"from {ends[0]} to {ends[-1]}" if known.size > 1 else ends[0])


def _is_of_powers(axes: Any) -> bool:
    """Return whether the axis upwards holds exponents and shows powers of two; its neighbour may do so for it."""
    alike = axes.get_shared_y_axes().get_siblings(axes)
    ticks = [tick for panel in alike for tick in panel.yaxis.get_ticklabels()]
    return any(_plain(tick.get_text()).startswith("2^") for tick in ticks)


def _is_scale_beside(axes: Any) -> bool:
    """Return whether axes are nothing but the scale of a shade."""
    return getattr(axes, "_colorbar", None) is not None


def _heading(axes: Any) -> str:
    return next(
        (text for place in ("left", "center", "right") if (text := _plain(axes.get_title(place)))), ""
    )


def _listed(texts: Iterable[str]) -> str:
    """Return texts beside each other, each once, and how many more there are."""
    found = [text for text in dict.fromkeys(texts) if text]
    more = len(found) - _MOST
    return "; ".join(found[:_MOST]) + (f"; and {more} more" if more > 0 else "")


def _ended(sentence: str) -> str:
    """Return a sentence with a full stop, unless it ends already."""
    return sentence if sentence.endswith(("?", "!")) else f"{sentence}."


def _plain(text: str) -> str:
    r"""Return a text of Matplotlib's without its marks.

    >>> _plain("$2^{-14}$ \n and $3 \\times 2$:")
    '2^-14 and 3 × 2'
    """
    text = re.sub(r"\\[a-z]+|[${}]", "", text.replace(r"\times", "×").replace(r"\cdot", "·"))
    return " ".join(text.split()).rstrip(".:")
