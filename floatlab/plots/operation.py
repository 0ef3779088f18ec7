"""What becomes of a op b, for all pairs of values of a small format? Exact, rounded, tied, overflowed, or NaN."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from floatlab.codes.decode import decode
from floatlab.codes.neighbours import ulp
from floatlab.errors import check_option
from floatlab.formats import FloatFormat
from floatlab.operations.operate import operate
from floatlab.plots.colours import Theme, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import small_format
from floatlab.plots.style import canvas, plain_number

__all__ = ["operation_data", "plot_operation"]

_EXACTLY: dict[str, tuple[str, Callable[[Fraction, Fraction], Fraction]]] = {
    "add": ("+", operator.add),
    "subtract": ("−", operator.sub),
    "multiply": ("×", operator.mul),
    "divide": ("÷", operator.truediv),
}
_LEAST, _MOST = 3, 8
# What can become of a result, in the order in which it is asked.
_OUTCOMES = ("nan", "infinite", "overflow", "exact", "zero", "tie", "rounded")
_WORDS = {
    "exact": "exact", "rounded": "rounded", "tie": "rounded from a tie", "zero": "became 0", "overflow": "overflow",
    "infinite": "∞, exactly", "nan": "NaN",
}  # fmt: skip


def operation_data(op: str = "add", fmt: FloatFormat | str = "e2m1") -> dict[str, NDArray[Any]]:
    """Return what `plot_operation` draws: a row for each pair of values of the format, a the slower one.

    ``result`` is floatlab's, rounded to nearest, ties to even. ``exact`` is the exact result as a float64 (rounded to
    that, if need be); ``error`` the distance of both in units in the last place at the exact result, from fractions.
    ``outcome`` is "nan"; "infinite", as it should be; "overflow"; "exact"; "zero", where the exact result is not;
    "tie", where the exact result was the middle between two values; or "rounded". The values are in order, -0 before
    0, infinities at the ends; a NaN, of which one stands for all, comes last.

    Raises
    ------
    FormatError
        If the format has fewer than 3 bits or more than 8, or is unknown.
    OptionError
        If the operation is not add, subtract, multiply or divide.

    Examples
    --------
    >>> data = operation_data("multiply", "e2m1")
    >>> at = (data["a"] == 1.5) & (data["b"] == 1.5)
    >>> data["result"][at].tolist(), data["exact"][at].tolist(), data["outcome"][at].tolist()
    ([2.0], [2.25], ['rounded'])
    """
    check_option("op", op, _EXACTLY)
    fmt = small_format(fmt, _MOST, "A chart of an operation", _LEAST)
    values = _values(fmt)
    n = len(values)
    a, b = np.repeat(values, n), np.tile(values, n)
    # What has no NaN to answer with saturates; what is invalid there gets no rounding at all.
    invalid = _invalid(op, a, b) & (not fmt.has_nan)
    overflow = None if fmt.has_nan else "saturate"
    safe_a, safe_b = np.where(invalid, 1.0, a), np.where(invalid, 1.0, b)
    result, flags = operate(op, (safe_a, safe_b), fmt, overflow=overflow, return_flags=True)
    result = np.where(invalid, np.nan, np.asarray(result, np.float64))
    exact, error = _exact_results(op, a, b, result, fmt)
    outcome = np.select(
        [
            np.isnan(result) & ~flags.overflow,
            np.isinf(exact),
            np.asarray(flags.overflow),
            error == 0,
            result == 0,
            error == 0.5,
        ],
        ["nan", "infinite", "overflow", "exact", "zero", "tie"],
        "rounded",
    )
    return {"a": a, "b": b, "result": result, "exact": exact, "error": error, "outcome": outcome}


def _values(fmt: FloatFormat) -> NDArray[np.float64]:
    """Return all values in order, with one NaN at the end if there is any."""
    values = np.asarray(decode(np.arange(1 << fmt.bits, dtype=fmt.code_dtype), fmt), np.float64)
    there = values[~np.isnan(values)]
    order = np.lexsort((~np.signbit(there), there))
    return np.append(there[order], [np.nan] if fmt.has_nan else [])


def _invalid(op: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether an operation of finite numbers has no result, or an infinite one: a division by zero."""
    return (op == "divide") & (b == 0)


def _exact_results(
    op: str, a: NDArray[Any], b: NDArray[Any], result: NDArray[Any], fmt: FloatFormat
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the exact results as float64, and the distance of the rounded ones in units in the last place."""
    compute = _EXACTLY[op][1]
    exact, error = np.full(a.shape, np.nan), np.full(a.shape, np.nan)
    finite = np.isfinite(a) & np.isfinite(b) & ((op != "divide") | (b != 0))
    fractions = {value: Fraction(value) for value in np.unique(a[np.isfinite(a)]).tolist()}
    places = np.flatnonzero(finite)
    truths = [
        compute(fractions[x], fractions[y])
        for x, y in zip(a[places].tolist(), b[places].tolist(), strict=True)
    ]
    exact[places] = [float(truth) for truth in truths]
    units = np.asarray(ulp(exact[places], fmt), np.float64)
    for place, truth, r, unit in zip(places, truths, result[places].tolist(), units.tolist(), strict=True):
        if np.isfinite(r):
            error[place] = float(abs(Fraction(r) - truth) / Fraction(unit))
    with np.errstate(all="ignore"):
        loose = {"add": a + b, "subtract": a - b, "multiply": a * b, "divide": a / b}[op]
    error[~finite & np.isfinite(loose)] = 0.0  # a number by an infinity: zero, and exact
    return np.where(finite, exact, loose), error


def plot_operation(
    op: str = "add",
    fmt: FloatFormat | str = "e4m3",
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw what becomes of a op b for all pairs of values of a format: one dot each, counted in the legend.

    The values stand in order, as many units apart as there are codes between them, so that each takes the same room.
    A rounded result is the darker, the larger its error; half a unit is a tie.

    Parameters
    ----------
    op : str
        "add", "subtract", "multiply" or "divide".
    fmt : str or FloatFormat
        A format of 3 to 8 bits.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If the format has fewer than 3 bits or more than 8, or is unknown.
    OptionError
        If the operation is not add, subtract, multiply or divide.
    """
    check_option("op", op, _EXACTLY)
    fmt = small_format(fmt, _MOST, "A chart of an operation", _LEAST)
    data = operation_data(op, fmt)
    n = round(len(data["a"]) ** 0.5)
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes, fills = made.axes, _fills(made.theme)
        picture = np.zeros((n * n, 3))
        for name, fill in fills.items():
            picture[data["outcome"] == name] = mpl.colors.to_rgb(fill)
        rounded = data["outcome"] == "rounded"
        light, deep = (np.array(mpl.colors.to_rgb(c)) for c in _ramp(made.theme))
        share = np.clip(data["error"][rounded] / 0.5, 0, 1)[:, None]
        picture[rounded] = light + share * (deep - light)
        axes.imshow(picture.reshape(n, n, 3), origin="lower", interpolation="nearest", aspect="equal")
        ticks, names = _ticks(data["a"].reshape(n, n)[:, 0], 9 if made.font > 10 else 5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ticks, names)
        axes.tick_params(labelsize=0.75 * made.font, length=2)
        axes.set_xlabel("b")
        axes.set_ylabel("a", rotation=0)
        axes.legend(
            handles=_legend(data, fills, made.theme), loc="center left", bbox_to_anchor=(1.02, 0.5),
            labelcolor=made.theme.ink, handlelength=1.1, handleheight=1.1,
        )  # fmt: skip
        sign = _EXACTLY[op][0]
        counts = {name: float(np.mean(data["outcome"] == name)) for name in _OUTCOMES}
        return made.finish(
            title,
            f"a {sign} b in {short_name(fmt)}: {counts['exact']:.0%} exact, {counts['overflow']:.0%} overflow",
        )


def _ramp(theme: Theme) -> tuple[str, str]:
    """Return the fills of an error next to zero, and of one next to half a unit."""
    return ("#22394D", "#7FB2DD") if theme.is_dark else ("#D6E6F4", "#2F6DA8")


def _fills(theme: Theme) -> dict[str, str]:
    return {
        "exact": theme.paper,
        "tie": theme.ink,
        "zero": theme.region("subnormal"),
        "overflow": theme.region("lost"),
        "infinite": theme.soft,
        "nan": theme.alarm,
    }


def _legend(data: dict[str, NDArray[Any]], fills: dict[str, str], theme: Theme) -> list[Patch]:
    handles = []
    for name in ("exact", "rounded", "tie", "zero", "overflow", "infinite", "nan"):
        count = int((data["outcome"] == name).sum())
        if count:
            fill = fills.get(name, _ramp(theme)[1])
            share = f"{100 * count / len(data['outcome']):.2g}%"
            handles.append(
                Patch(
                    facecolor=fill, edgecolor=theme.soft, lw=0.5, label=f"{_WORDS[name]}: {count:,} ({share})"
                )
            )
    return handles


def _ticks(values: NDArray[np.float64], most: int) -> tuple[list[int], list[str]]:
    """Return places and names of a few values: zero, the ends, and powers of two in between."""
    zero = int(np.flatnonzero(values == 0)[-1]) if (values == 0).any() else 0
    power = [i for i, v in enumerate(values) if np.isfinite(v) and v != 0 and abs(np.frexp(v)[0]) == 0.5]
    finite = np.flatnonzero(np.isfinite(values))
    places = [int(finite[0]), zero, int(finite[-1])]
    least = len(values) / most
    for i in sorted(power, key=lambda i: abs(abs(np.log2(abs(values[i]))) % 4)):
        if all(abs(i - other) >= least for other in places):
            places.append(i)
    places.sort()
    return places, [plain_number(float(values[i])).replace("-", "−") for i in places]
