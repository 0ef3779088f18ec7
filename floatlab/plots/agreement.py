"""How right is a function in a format? Its error over all inputs, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.array import elementwise
from floatlab.array.core import FloatArray, from_codes
from floatlab.codes.neighbours import ulp
from floatlab.errors import OptionError, ShapeError, check_option
from floatlab.formats import FloatFormat
from floatlab.functions.evaluate import FUNCTIONS, evaluate
from floatlab.plots.colours import format_styles, short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import Formats, chosen_formats, small_format
from floatlab.plots.style import canvas, heading, power_axis, tidy
from floatlab.rounding.quantize import quantize

__all__ = ["agreement_data", "plot_agreement"]

_USUAL = ("bf16", "fp16", "e4m3")
_MOST = 16
_FLOOR = 2.0**-9  # where an error of nothing is drawn

Function = str | Callable[[Any], Any]


def agreement_data(
    f: Function = "exp", formats: Formats = _USUAL, *, exact: Function | None = None
) -> dict[str, NDArray[Any]]:
    """Return what `plot_agreement` draws: a row for each format and finite input, with result and error.

    ``error`` is the distance from the exact result in units in the last place of the format. ``right`` says whether
    the result is the correctly rounded one. Where the exact result is NaN or infinite, or would overflow, ``error``
    is 0 if the result is as it should be, else infinite. The exact result is a float64, which is wrong by a few
    parts in 2**52 at most: so is an error in units of a format of 11 bits by a few in 2**41.

    Parameters
    ----------
    f : str or callable
        A function of floatlab's by its name, as "exp"; or what takes a FloatArray and returns one of its format.
    formats : format, or sequence of formats
        Each of at most 16 bits.
    exact : str or callable, optional
        What should come out: a function by its name, or what takes a float64 array. By default the function that `f`
        names, or has as its name.

    Raises
    ------
    FormatError
        If a format is unknown or has more than 16 bits, or there is none.
    OptionError
        If a function is unknown, or it is not said what is exact.
    ShapeError
        If a function returns another shape than it was given.

    Examples
    --------
    >>> data = agreement_data("exp", "e4m3")
    >>> bool(data["right"].all()), float(data["error"].max()) <= 0.5
    (True, True)
    """
    chosen = [small_format(fmt, _MOST, "A chart of all inputs") for fmt in chosen_formats(formats)]
    truth = _truth(f, exact)
    parts = [_rows(f, fmt, truth) for fmt in chosen]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _truth(f: Function, exact: Function | None) -> Function:
    """Return what says what is exact."""
    named = exact if exact is not None else f if isinstance(f, str) else getattr(f, "__name__", None)
    if isinstance(f, str):
        check_option("f", f, FUNCTIONS)
    elif not callable(f):
        raise OptionError(f'f is the name of a function, or a function. Got {f!r}. Use "exp".')
    if callable(exact):
        return exact
    if exact is None and named not in FUNCTIONS:
        raise OptionError(
            f"What is compared with the exact result needs one. Got {named!r}, which floatlab does not know. "
            'Use exact="exp", or a function of float64 arrays.'
        )
    check_option("exact", named, FUNCTIONS)
    return str(named)


def _rows(f: Function, fmt: FloatFormat, truth: Function) -> dict[str, NDArray[Any]]:
    x = from_codes(np.arange(1 << fmt.bits, dtype=fmt.code_dtype), fmt)
    x = x[np.isfinite(x.values) & ~((x.values == 0) & np.signbit(x.values))]
    wide = x.values.astype(np.float64)
    with np.errstate(all="ignore"):
        ideal = _numbers(truth(wide) if callable(truth) else evaluate(truth, wide, "float64"), wide, "exact")
        if not fmt.has_nan:  # there is no answer outside of the domain
            inside = ~np.isnan(ideal)
            x, wide, ideal = x[inside], wide[inside], ideal[inside]
        got = getattr(elementwise, f)(x) if isinstance(f, str) else f(x)
    result = _numbers(got, wide, "f")
    rounded, flags = (np.asarray(part) for part in _rounded(truth, wide, ideal, fmt))
    with np.errstate(all="ignore"):
        same = (rounded == result) | (np.isnan(rounded) & np.isnan(result))
        error = np.abs(result - ideal) / np.asarray(ulp(ideal, fmt), np.float64)
        beyond = flags | ~np.isfinite(ideal)
    error = np.where(beyond, np.where(same, 0.0, np.inf), np.where(np.isfinite(result), error, np.inf))
    return {"format": np.full(len(wide), fmt.spec), "x": wide, "result": result, "exact": ideal, "error": error,
            "right": same}  # fmt: skip


def _rounded(truth: Function, x: NDArray[Any], ideal: NDArray[Any], fmt: FloatFormat) -> tuple[Any, Any]:
    """Return the correctly rounded results, and where they overflow."""
    policy = None if fmt.has_nan else "saturate"
    rounded, flags = quantize(ideal, fmt, overflow=policy, return_flags=True)
    if isinstance(truth, str):
        rounded = evaluate(truth, x, fmt, overflow=policy)  # once, from as many digits as it takes
    return rounded, flags.overflow


def _numbers(got: Any, x: NDArray[Any], name: str) -> NDArray[np.float64]:
    result = np.asarray(got.values if isinstance(got, FloatArray) else got, np.float64)
    if result.shape != x.shape:
        raise ShapeError(
            f"{name} returns a result for each input. Got the shape {result.shape} for {x.shape}. "
            "Use a function of single elements."
        )
    return result


def plot_agreement(
    f: Function = "exp",
    formats: Formats = _USUAL,
    *,
    exact: Function | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the largest error of a function between neighbouring powers of two, over all inputs of each format.

    The line at half a unit is that of correct rounding; an infinite error (NaN or an infinity where a number should
    be, or the reverse) is a mark at the upper edge. Negative inputs are drawn to the left, where there are any.

    Parameters
    ----------
    f, formats, exact
        As in `agreement_data`.
    size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError, OptionError, ShapeError
        As `agreement_data`.

    Examples
    --------
    >>> import floatlab as fl
    >>> figure = fl.plots.plot_agreement(lambda x: 1 / (1 + fl.exp(-x)), ["e4m3"], exact="sigmoid")
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['negative inputs', 'positive inputs']
    """
    chosen = chosen_formats(formats)
    data = agreement_data(f, chosen, exact=exact)
    signs = [s for s in (-1, 1) if (data["x"][~np.isnan(data["exact"])] * s > 0).any()] or [1]
    curves = {(s, fmt): _curve(data, fmt, s) for s in signs for fmt in chosen}
    finite = [y[np.isfinite(y)] for _, y in curves.values()]
    top = max([1.0, *(float(y.max()) for y in finite if y.size)])
    ceiling = 2.0 ** np.ceil(np.log2(top) + 1)
    low = max(_FLOOR, min([0.25, *(float(y[y > 0].min()) for y in finite if (y > 0).any())]))
    with canvas(1, len(signs), size=size, dark=dark, sharey=True, squeeze=False) as made:
        for axes, sign in zip(made.axes.flat, signs, strict=True):
            for fmt, style in format_styles(chosen).items():
                e, y = curves[sign, fmt]
                if not e.size:
                    continue
                look = style.line(made.theme) | {"markevery": max(1, len(e) // 8), "label": short_name(fmt)}
                axes.plot(e + 0.5, np.log2(np.clip(y, low / 2, ceiling)), **look)
                wrong = ~np.isfinite(y)
                if wrong.any():
                    axes.plot(
                        e[wrong] + 0.5,
                        np.full(wrong.sum(), np.log2(ceiling)),
                        ls="",
                        marker=style.marker,
                        ms=0.8 * made.font,
                        mfc="none",
                        mec=made.theme.alarm,
                    )
            axes.axhline(-1, color=made.theme.alarm, ls=(0, (4, 2)), lw=0.1 * made.font, zorder=1)
            axes.set_ylim(np.log2(low) - 1.2, np.log2(ceiling) + 0.4)
            axes.set_xlim(*_window([curves[sign, fmt] for fmt in chosen], low))
            left, right = axes.get_xlim()
            power_axis(axes.xaxis, left, right, 7)
            if sign < 0:
                axes.invert_xaxis()
                axes.set_xticks(
                    axes.get_xticks(), [t.get_text().replace("$2", "$-2") for t in axes.get_xticklabels()]
                )
            tidy(axes, grid="both")
            over = any(not np.isfinite(curves[sign, fmt][1]).all() for fmt in chosen)
            axes.set_xlabel("input   (at the top: NaN, or a wrong infinity)" if over else "input")
            heading(axes, "negative inputs" if sign < 0 else "positive inputs", size=made.font)
        first = made.axes.flat[0]
        bottom, over = first.get_ylim()
        power_axis(first.yaxis, bottom, over, 9)
        first.set_ylabel("largest error [ulp]")
        last = made.axes.flat[-1]
        last.text(
            0.99,
            0.02,
            "dashes: ½ ulp, correctly rounded",
            transform=last.transAxes,
            ha="right",
            va="bottom",
            color=made.theme.alarm,
            fontsize=0.85 * made.font,
            bbox={"facecolor": made.theme.paper, "edgecolor": "none", "pad": 2},
        )
        made.figure.legend(loc="outside lower center", ncols=min(5, len(chosen)), labelcolor=made.theme.ink,
                           handles=last.get_legend_handles_labels()[0])  # fmt: skip
        return made.finish(title, _title(data, f, chosen))


def _window(curves: list[tuple[NDArray[Any], NDArray[Any]]], low: float) -> tuple[float, float]:
    """Return the ends of an axis that holds all errors worth seeing: beyond, the results are as good as exact."""
    seen = [float(x) for e, y in curves for x in e[y > low / 2]] or [float(x) for e, _ in curves for x in e]
    return (min(seen) - 3, max(seen) + 4) if seen else (0.0, 1.0)


def _curve(data: dict[str, NDArray[Any]], fmt: FloatFormat, sign: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the powers of two, and the largest error of the inputs between each and the next."""
    mine = (data["format"] == fmt.spec) & (sign * data["x"] > 0) & ~np.isnan(data["exact"])
    if not mine.any():
        return np.array([]), np.array([])
    exponents = np.frexp(np.abs(data["x"][mine]))[1] - 1
    there = np.unique(exponents)
    return there, np.array([data["error"][mine][exponents == e].max() for e in there])


def _title(data: dict[str, NDArray[Any]], f: Function, chosen: list[FloatFormat]) -> str:
    name = f if isinstance(f, str) else getattr(f, "__name__", "f").replace("<lambda>", "the function")
    shares = {fmt: float(data["right"][data["format"] == fmt.spec].mean()) for fmt in chosen}
    if all(share == 1 for share in shares.values()):
        return f"{name}: correctly rounded for all {len(data['x']):,} inputs"
    worst = min(shares, key=lambda fmt: shares[fmt])
    return f"{name}: {shares[worst]:.1%} of the results in {short_name(worst)} are correctly rounded"
