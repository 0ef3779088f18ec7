"""Which values do two formats share, and where has one more of them? Counts for each power of two, from constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from floatlab.errors import FormatError
from floatlab.formats import FloatFormat
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.edges import edges_of
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import chosen_formats
from floatlab.plots.style import canvas, power_axis, tidy

__all__ = ["compare_data", "plot_compare"]


def compare_data(a: FloatFormat | str = "bf16", b: FloatFormat | str = "fp16") -> dict[str, NDArray[Any]]:
    """Return what `plot_compare` draws: how many positive values each format has between two powers of two.

    ``a`` and ``b`` count those from 2**exponent up to, without, 2**(exponent+1), and ``shared`` those that both have.
    The counts are Python integers in an array, as float64 has 2**52 values there.

    Raises
    ------
    FormatError
        If a format is unknown, or both are the same.

    Examples
    --------
    >>> data = compare_data("e5m2", "e4m3")
    >>> row = data["exponent"].tolist().index(8)  # 256 up to 512, where E4M3 ends at 448
    >>> int(data["a"][row]), int(data["b"][row]), int(data["shared"][row])
    (4, 7, 4)
    """
    first, second = _two(a, b)
    low = min(_first(first), _first(second))
    exponents = range(low, max(first.emax, second.emax) + 1)
    columns = {
        "a": [_count(first, e, first.max) for e in exponents],
        "b": [_count(second, e, second.max) for e in exponents],
        "shared": [_shared(first, second, e) for e in exponents],
    }
    return {
        "exponent": np.array(exponents),
        **{name: np.array(column, dtype=object) for name, column in columns.items()},
    }


def _two(a: FloatFormat | str, b: FloatFormat | str) -> tuple[FloatFormat, FloatFormat]:
    both = chosen_formats([a, b])
    if len(both) < 2:
        raise FormatError(
            f"A comparison needs two formats. Got {both[0].name} twice. Name another for one of them."
        )
    return both[0], both[1]


def _first(fmt: FloatFormat) -> int:
    return fmt.etiny if fmt.has_subnormals else fmt.emin


def _unit(fmt: FloatFormat, e: int) -> int:
    """Return the exponent of the distance of the values from 2**e on."""
    return max(e, fmt.emin) - fmt.mantissa_bits


def _count(fmt: FloatFormat, e: int, largest: float, unit: int | None = None) -> int:
    """Return how many multiples of the unit lie from 2**e up to 2**(e+1), and at or below `largest`."""
    unit = _unit(fmt, e) if unit is None else unit
    if not _first(fmt) <= e <= fmt.emax or unit > e:
        return 0
    all_of_them = 1 << (e - unit)
    if largest >= 2.0**e * 2 if e < 1023 else False:
        return all_of_them
    top = int(np.floor(np.ldexp(largest, -unit))) if largest >= np.ldexp(1.0, e) else -1
    return max(0, min(top - all_of_them + 1, all_of_them))


def _shared(a: FloatFormat, b: FloatFormat, e: int) -> int:
    """Both are grids of a power of two, so that the values of the coarser grid are in the finer one."""
    if not max(_first(a), _first(b)) <= e <= min(a.emax, b.emax):
        return 0
    return _count(a, e, min(a.max, b.max), max(_unit(a, e), _unit(b, e)))


def plot_compare(
    a: FloatFormat | str = "bf16",
    b: FloatFormat | str = "fp16",
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw how many values two formats have between neighbouring powers of two, and how many they share.

    Parameters
    ----------
    a, b : str or FloatFormat
        Two formats of any size.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If a format is unknown, or both are the same.
    """
    first, second = _two(a, b)
    data = compare_data(first, second)
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes, edges = made.axes, np.append(data["exponent"], data["exponent"][-1] + 1)
        heights = {name: _heights(data[name]) for name in ("a", "b", "shared")}
        axes.stairs(
            heights["shared"],
            edges,
            baseline=-1,
            fill=True,
            fc=made.theme.grid,
            hatch="...",
            ec=made.theme.soft,
            lw=0,
            label="both have",
        )
        for k, ((fmt, style), name) in enumerate(
            zip(format_styles([first, second]).items(), ("a", "b"), strict=True)
        ):
            colour, h = style.colour(made.theme), heights[name]
            axes.stairs(h, edges, baseline=-1, color=colour, lw=0.2 * made.font)
            there = np.flatnonzero(h > -1)
            every = max(1, len(there) // 7)
            at = there[(k * every) // 2 :: every]
            axes.plot(edges[at] + 0.5, h[at], marker=style.marker, color=colour, ls="", ms=0.6 * made.font,
                      label=short_name(fmt))  # fmt: skip
            other = heights["b" if name == "a" else "a"]
            denser = h > other
            if denser.any():
                axes.fill_between(
                    edges,
                    -1,
                    np.append(np.where(denser, h, -1), -1),
                    step="post",
                    color=colour,
                    alpha=0.10,
                    lw=0,
                    zorder=0,
                )
        top = max(float(heights["a"].max()), float(heights["b"].max()))
        axes.set_ylim(-1, top + 1.5 + 0.16 * top)
        power_axis(axes.xaxis, edges[0], edges[-1])
        axes.set_yticks(*_count_ticks(top))
        axes.set_xlabel("magnitude   (shaded: where that format has more)")
        axes.set_ylabel("values from $2^e$ to $2^{e+1}$")
        axes.legend(loc="upper center", ncols=3, labelcolor=made.theme.ink)
        tidy(axes)
        return made.finish(title, _title(first, second, data))


def _heights(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return log2 of the counts; what is not there lies at -1, below the 2**0 of a single value."""
    return np.array([np.log2(float(n)) if n else -1.0 for n in counts])


def _count_ticks(top: float) -> tuple[list[float], list[str]]:
    step = next(s for s in (1, 2, 5, 10) if top / s < 8)
    exponents = [float(t) for t in np.arange(0, top + 0.5, step)]
    names = [f"{2**t:.0f}" if t <= 13 else f"$2^{{{int(t)}}}$" for t in exponents]
    return [-1.0, *exponents], ["none", *names]


def _title(a: FloatFormat, b: FloatFormat, data: dict[str, NDArray[Any]]) -> str:
    shared, all_a, all_b = (int(sum(data[name])) for name in ("shared", "a", "b"))
    text = f"Of {all_a:,} positive values of {short_name(a)} and {all_b:,} of {short_name(b)}, {shared:,} are the same"
    if shared == all_a and edges_of(a).largest <= edges_of(b).largest:
        text = f"Every value of {short_name(a)} is a value of {short_name(b)}"
    elif shared == all_b:
        text = f"Every value of {short_name(b)} is a value of {short_name(a)}"
    return text if all(n < 10**6 for n in (all_a, all_b)) or text.startswith("Every") else (
        f"{short_name(a)} and {short_name(b)} share {shared / min(all_a, all_b):.1%} of the values of the smaller set"
    )  # fmt: skip
