"""How far does a sum drift from the exact one? By accumulator, as more and more terms are added."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from floatlab.errors import DataError, OptionError
from floatlab.formats import FloatFormat
from floatlab.plots.colours import Style, format_styles, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import numbers
from floatlab.plots.style import LINES, canvas, label_lines, power_axis, tidy
from floatlab.sums.accumulators import Accumulator, Sequential
from floatlab.sums.matmul import sum as sum_in_order
from floatlab.sums.names import get_accumulator

__all__ = ["accumulation_data", "plot_accumulation"]

_USUAL = ("bf16", "fp16", "fp32", "pairwise:bf16", "kahan:bf16")
_WHAT = "A chart of accumulation"
_MARKERS = "osv^DXP*<>dph8H"

Accumulators = Sequence[str | FloatFormat | Accumulator]


def _default_terms() -> NDArray[np.float64]:
    """Return 4096 numbers from 0 up to 1, the same ones everywhere."""
    return np.random.default_rng(0).random(4096)


def accumulation_data(
    x: Any = None, accumulators: Accumulators = _USUAL, *, points: int = 40
) -> dict[str, NDArray[Any]]:
    """Return what `plot_accumulation` draws: for each accumulator and number of terms, the sum and its error.

    ``exact`` is the exact sum, rounded to float64; ``error`` the relative error, computed with fractions before it is
    rounded: infinite for an infinite sum, NaN for none, and where the exact sum is 0 but the other is not.

    Parameters
    ----------
    x : array_like of float, one dimension, optional
        The terms, each taken as it is: round them first, if they should be values of a format. By default, 4096
        numbers from 0 up to 1.
    accumulators : sequence
        As `floatlab.sum` takes them.
    points : int
        For how many numbers of terms, spaced evenly on a logarithmic axis.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no finite floating-point numbers in one dimension.
    OptionError
        If an accumulator is unknown, or there is none, or `points` is no integer of at least 2.

    Examples
    --------
    >>> data = accumulation_data(np.ones(4096), ["fp16", "bf16"])
    >>> {str(name): float(s) for name, s in zip(data["accumulator"], data["sum"])}
    {'sequential:float16': 2048.0, 'sequential:bfloat16': 256.0}
    """
    terms = _default_terms() if x is None else numbers(x, _WHAT, dimensions=1)
    if not np.isfinite(terms).all():
        raise DataError(
            f"{_WHAT} adds finite numbers. Got {int((~np.isfinite(terms)).sum())} others. Leave them out."
        )
    kinds = _chosen(accumulators)
    if isinstance(points, bool) or not isinstance(points, int | np.integer) or points < 2:
        raise OptionError(f"points is an integer of at least 2. Got {points!r}. Use 40.")
    counts = np.unique(np.round(np.geomspace(1, len(terms), int(points))).astype(int))
    exact = _exact_sums(terms, counts)
    rows: dict[str, list[Any]] = {"accumulator": [], "terms": [], "sum": [], "exact": [], "error": []}
    for kind in kinds:
        for count, total, true in zip(counts, _sums(terms, counts, kind), exact, strict=True):
            rows["accumulator"].append(str(kind))
            rows["terms"].append(int(count))
            rows["sum"].append(total)
            rows["exact"].append(float(true))
            rows["error"].append(_relative(total, true))
    return {name: np.array(column) for name, column in rows.items()}


def _chosen(accumulators: Accumulators) -> list[Accumulator]:
    if isinstance(accumulators, str | FloatFormat | Accumulator):
        accumulators = [accumulators]
    kinds = list(dict.fromkeys(get_accumulator(one) for one in accumulators))
    if not kinds:
        raise OptionError(f'{_WHAT} needs an accumulator. Got none. Name some, as ["fp16", "fp32"].')
    return kinds


def _exact_sums(terms: NDArray[np.float64], counts: NDArray[Any]) -> list[Fraction]:
    """Return the exact sum of so many terms each, as fractions."""
    sums, total, start = [], Fraction(0), 0
    for count in counts:
        total += sum((Fraction(float(x)) for x in terms[start:count]), Fraction(0))
        start = count
        sums.append(total)
    return sums


def _sums(terms: NDArray[np.float64], counts: NDArray[Any], kind: Accumulator) -> list[float]:
    """Return the sum of so many terms each. In sequence, one goes on from the other: its sum is the first term."""
    found: list[float] = []
    start = 0
    for count in counts:
        part = terms[:count]
        if isinstance(kind, Sequential) and found:
            part = np.append(found[-1], terms[start:count])
        found.append(float(sum_in_order(part, "float64", accumulator=kind)))
        start = count
    return found


def _relative(total: float, exact: Fraction) -> float:
    if not np.isfinite(total):
        return abs(total)
    if not exact:
        return 0.0 if total == 0 else np.nan
    return float(abs(Fraction(total) - exact) / abs(exact))


def plot_accumulation(
    x: Any = None,
    accumulators: Accumulators = _USUAL,
    *,
    points: int = 40,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the relative error of a sum against the number of terms, for each accumulator.

    Parameters
    ----------
    x, accumulators, points
        As in `accumulation_data`.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    DtypeError, ShapeError, DataError, OptionError
        As `accumulation_data`.
    """
    data = accumulation_data(x, accumulators, points=points)
    kinds = _chosen(accumulators)
    last, seen = int(data["terms"][-1]), data["error"][np.isfinite(data["error"]) & (data["error"] > 0)]
    low, high = (float(f(np.log2(seen))) for f in (np.min, np.max)) if seen.size else (-1.0, 0.0)
    floor = low - 5  # where an error of zero is drawn
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes, labels = made.axes, []
        for kind, style in zip(kinds, _styles(kinds), strict=True):
            mine = data["accumulator"] == str(kind)
            error = data["error"][mine]
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.where(error == 0, floor, np.where(np.isfinite(error), np.log2(error), np.nan))
            look = style.line(made.theme) | {"markevery": max(1, len(y) // 9)}
            axes.plot(np.log2(data["terms"][mine]), y, **look, zorder=3)
            ends = y[~np.isnan(y)]
            word = (
                _name(kind)
                if np.isfinite(error[-1])
                else f"{_name(kind)} (becomes {data['sum'][mine][-1]:g})"
            )
            labels.append((word, float(ends[-1]) if ends.size else -1.0, style.colour(made.theme)))
        axes.set_xlim(0, max(np.log2(last), 1))
        axes.set_ylim(floor - 1 if (data["error"] == 0).any() else low - 2, max(high, low + 2) + 2)
        power_axis(axes.xaxis, 0, np.log2(last), 9)
        power_axis(axes.yaxis, low - 1, axes.get_ylim()[1])
        if (data["error"] == 0).any():
            ticks = axes.get_yticks()
            axes.set_yticks([floor, *ticks], ["0", *(f"$2^{{{int(t)}}}$" for t in ticks)])
        axes.set_xlabel("number of terms")
        axes.set_ylabel("relative error of the sum")
        tidy(axes, grid="both")
        label_lines(axes, labels, float(np.log2(last)), gap=0.06, size=0.9 * made.font)
        return made.finish(title, _title(data, kinds))


def _name(kind: Accumulator) -> str:
    """Return what an accumulator is called on a slide: "fp16", "pairwise bf16", "chunks of 64 in fp16, fp32"."""
    formats = [short_name(fmt) for fmt in kind.formats()]
    if isinstance(kind, Sequential):
        return formats[0]
    word = type(kind).__name__.lower()
    return f"{word} {' + '.join(formats)}" if formats else word


def _styles(kinds: list[Accumulator]) -> list[Style]:
    """Return a style for each: the colour of its widest format, and a marker that no other has."""
    styles: list[Style] = []
    for kind in kinds:
        formats = kind.formats()
        widest = max(formats, key=lambda fmt: fmt.precision) if formats else None
        style = LINES[len(styles) % len(LINES)] if widest is None else format_styles([widest])[widest]
        taken = {other.marker for other in styles}
        if style.marker in taken or not isinstance(kind, Sequential):
            own = {
                format_styles([f])[f].marker for k in kinds for f in k.formats() if isinstance(k, Sequential)
            }
            free = next((m for m in _MARKERS if m not in taken | own), style.marker)
            style = Style(style.light, style.dark, free, style.hatch)
        styles.append(style)
    return styles


def _title(data: dict[str, NDArray[Any]], kinds: list[Accumulator]) -> str:
    last = data["terms"] == data["terms"][-1]
    errors = data["error"][last]
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    terms = f"After {int(data['terms'][-1]):,} terms"
    if not np.isfinite(errors[worst]):
        return f"{terms}, {_name(kinds[worst])} holds {data['sum'][last][worst]:g}"
    return f"{terms}, {_name(kinds[worst])} is off by {100 * float(errors[worst]):.3g}%"
