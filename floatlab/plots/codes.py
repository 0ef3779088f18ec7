"""What does every code of an 8-bit format mean? All 256 on one page, 16 by 16."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from floatlab.codes.decode import decode
from floatlab.formats import FloatFormat
from floatlab.plots.colours import short_name
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import small_format
from floatlab.plots.style import Canvas, canvas, plain_number

__all__ = ["code_data", "plot_codes"]

_KINDS = ("zero", "subnormal", "normal", "infinity", "nan")


def code_data(fmt: FloatFormat | str = "e4m3") -> dict[str, NDArray[Any]]:
    """Return what `plot_codes` draws: for each code its value, its kind, and its power of two.

    ``kind`` is zero, subnormal, normal, infinity or nan; ``exponent`` is e where 2**e <= abs(value) < 2**(e+1), and 0
    where there is none.

    Raises
    ------
    FormatError
        If the format has more than 8 bits, or fewer than 2.

    Examples
    --------
    >>> data = code_data("e4m3")
    >>> data["value"][[1, 0x7E, 0x7F]].tolist(), data["kind"][[1, 0x7E, 0x7F]].tolist()
    ([0.001953125, 448.0, nan], ['subnormal', 'normal', 'nan'])
    """
    fmt = small_format(fmt, 8, "A page of codes", least=2)
    codes = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
    values = np.asarray(decode(codes, fmt), np.float64)
    size = np.abs(values)
    finite = np.isfinite(values) & (values != 0)
    kinds = np.select(
        [np.isnan(values), np.isinf(values), values == 0, size < fmt.smallest_normal],
        ["nan", "infinity", "zero", "subnormal"],
        "normal",
    )
    exponent = np.frexp(np.where(finite, size, 1.0))[1] - 1
    return {"code": codes, "value": values, "kind": kinds, "exponent": np.where(finite, exponent, 0)}


def plot_codes(
    fmt: FloatFormat | str = "e4m3",
    *,
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw every code of a format of at most 8 bits with its value: 16 in a row, a shade for each power of two.

    Subnormal values are dotted; zeros, infinities and NaNs are set apart. The row is the first hexadecimal digit of
    the code, the column the second; a format of 4 bits or less has a row for each sign. Half a slide has no room for
    256 numbers: there a cell names its power of two.

    Parameters
    ----------
    fmt : str or FloatFormat
        A format of 2 to 8 bits.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    FormatError
        If the format has more than 8 bits, or is unknown.
    """
    fmt = small_format(fmt, 8, "A page of codes", least=2)
    data = code_data(fmt)
    with canvas(ax=ax, size=size, dark=dark) as made:
        fills = _fills(made, data)
        columns = min(16, len(fills) // 2)
        for i, fill in enumerate(fills):
            _cell(made, data, i, fill, *divmod(i, columns))
        rows = len(fills) // columns
        made.axes.set_xlim(0, columns)
        made.axes.set_ylim(rows, 0)
        made.axes.xaxis.tick_top()
        made.axes.set_xticks(np.arange(columns) + 0.5, [f"{c:X}" for c in range(columns)])
        digits = [f"{r:X}" if columns == 16 else f"{r * columns:X} +" for r in range(rows)]
        made.axes.set_yticks(np.arange(rows) + 0.5, digits)
        made.axes.tick_params(length=0, labelcolor=made.theme.ink)
        for side in ("left", "bottom"):
            made.axes.spines[side].set_visible(False)
        count = {kind: int((data["kind"] == kind).sum()) for kind in _KINDS}
        named = [
            f"{n} {name + 's' if n > 1 and name.endswith(('l', 'o', 'N')) else name}"
            for name, n in (
                ("normal", count["normal"]), ("subnormal", count["subnormal"]), ("zero", count["zero"]),
                ("∞", count["infinity"]), ("NaN", count["nan"]),
            )
            if n
        ]  # fmt: skip
        where = "code: first digit down, second across" if columns == 16 else "code: row + column"
        shade = "shade: power of two" if made.font > 10 else "shade and number: power of two"
        made.axes.set_xlabel(f"{where}   ({shade}; dots: subnormal)")
        return made.finish(title, f"The {len(fills)} codes of {short_name(fmt)}: {', '.join(named)}")


def _fills(made: Canvas, data: dict[str, NDArray[Any]]) -> list[str]:
    """Return the fill of each cell; neighbouring powers of two differ by more than their place in the range."""
    exponents = data["exponent"]
    finite = (data["kind"] == "normal") | (data["kind"] == "subnormal")
    low, high = (int(exponents[finite].min()), int(exponents[finite].max())) if finite.any() else (0, 0)
    ramp = mpl.colormaps["cividis"]  # made for all eyes: J. R. Nunez et al., PLOS ONE 13 (2018)
    fills = []
    for kind, e in zip(data["kind"], exponents, strict=True):
        if kind in ("normal", "subnormal"):
            place = (int(e) - low) / max(high - low, 1)
            fills.append(mpl.colors.to_hex(ramp(0.12 * (int(e) % 2) + 0.88 * place)).upper())
        else:
            fills.append({"zero": made.theme.paper, "infinity": made.theme.region("overflow")}.get(
                kind, made.theme.region("lost")
            ))  # fmt: skip
    return fills


def _cell(made: Canvas, data: dict[str, NDArray[Any]], i: int, fill: str, row: int, column: int) -> None:
    kind, value = data["kind"][i], float(data["value"][i])
    ink = made.theme.ink_on(fill)
    hatch = {"subnormal": "..", "infinity": "\\\\\\", "nan": "///"}.get(kind)
    made.axes.add_patch(
        Rectangle((column, row), 1, 1, facecolor=fill, edgecolor=made.theme.paper, lw=0.06 * made.font)
    )
    if hatch:
        made.axes.add_patch(
            Rectangle((column, row), 1, 1, fill=False, edgecolor=ink, hatch=hatch, lw=0, alpha=0.35)
        )
    if made.font > 10:
        text, points = _short(value), 0.66 * made.font
    else:
        text = {"zero": "0", "infinity": "∞", "nan": "NaN"}.get(kind, str(data["exponent"][i]))
        points = 0.72 * made.font
    made.axes.text(
        column + 0.5, row + 0.52, text, ha="center", va="center", color=ink, fontsize=points,
        bbox={"facecolor": fill, "edgecolor": "none", "pad": 0.5} if hatch else None,
    )  # fmt: skip


def _short(value: float) -> str:
    """Return a value in at most seven letters."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "−0" if np.signbit(value) else "0"
    text = f"{value:.6g}" if abs(value) >= 1e-3 else plain_number(value)
    text = text if len(text.lstrip("-")) <= 7 else f"{value:.3g}"
    return text.replace("-", "−").replace("e+0", "e").replace("e+", "e")
