"""What does each rule for scales make of a block? The error of every number, a row for rules that agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.catalogue import block_format
from floatlab.block_formats.differences import RuleComparison, compare_rules, masks
from floatlab.errors import ShapeError
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import numbers
from floatlab.plots.style import canvas, tidy

__all__ = ["plot_rules", "rule_data"]

_WHAT = "A chart of rules"
_MOST = 256


def rule_data(x: Any, fmt: BlockFormat | str = "mxfp4") -> dict[str, Any]:
    """Return what `plot_rules` draws: the numbers, and for each rule its scale, what they become, and the error.

    Rows of ``values``, ``error`` and ``fate`` are rules. ``fate`` says what happened: "rounded", "zero" where a number
    other than zero became zero, "saturated", or "nan".

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers in one dimension, too many, or NaN alone.
    FormatError
        If a format is unknown.

    Examples
    --------
    >>> data = rule_data([448.0, 100.0, 30.0], "mxfp4")
    >>> data["rule"][0], float(data["scale"][0]), data["values"][0].tolist(), data["fate"][0].tolist()
    ('floor', 64.0, [384.0, 96.0, 32.0], ['saturated', 'rounded', 'rounded'])
    """
    x = numbers(x, _WHAT, dimensions=1)
    if len(x) > _MOST:
        raise ShapeError(
            f"{_WHAT} shows at most {_MOST} numbers. Got {len(x)}. Pass some blocks: x[:{_MOST}]."
        )
    fmt = block_format(fmt)
    x = x.astype(np.float32).astype(np.float64)
    found = compare_rules(x.reshape(1, -1) if fmt.is_tile else x, fmt)
    values = np.array([one.values.reshape(-1) for one in found])
    each = [masks(x.reshape(one.blocks.shape), one.blocks) for one in found]
    saturated, zero, lost = (np.array([masks_of[k].reshape(-1) for masks_of in each]) for k in range(3))
    fate = np.select([lost, saturated, zero], ["nan", "saturated", "zero"], "rounded")
    return {
        "x": x, "rule": _names(found), "scale": np.array([one.scale for one in found]), "values": values,
        "error": values - x, "fate": fate, "relative_error": np.array([one.error for one in found]),
    }  # fmt: skip


def _names(found: RuleComparison) -> list[str]:
    return [one.rule if one.arithmetic == "exact" else f"{one.rule}, {one.arithmetic}" for one in found]


def plot_rules(
    x: Any,
    fmt: BlockFormat | str = "mxfp4",
    *,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw what each rule for the scale makes of the same numbers: the error of each, a row for rules that agree.

    What saturates, and what becomes zero, is marked.

    Parameters
    ----------
    x : array_like of float, one dimension
        A block, or a few of them; at most 256 numbers, taken as float32.
    fmt : str or BlockFormat
        The format whose rules are compared.
    size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    DtypeError, ShapeError, DataError
        If there are no floating-point numbers in one dimension, too many, or NaN alone.
    FormatError
        If a format is unknown.
    """
    fmt = block_format(fmt)
    data = rule_data(x, fmt)
    groups, index = _agreeing(data), np.arange(len(data["x"]))
    finite = np.abs(data["error"][np.isfinite(data["error"])])
    limit = 1.25 * float(finite.max(initial=0.0)) or 1.0
    with canvas(len(groups), 1, size=size, dark=dark, sharex=True, sharey=True) as made:
        for axes, group in zip(np.atleast_1d(np.asarray(made.axes)), groups, strict=True):
            error, fate = data["error"][group[0]], data["fate"][group[0]]
            axes.vlines(
                index, 0, error, color=made.theme.soft, lw=min(0.2 * made.font, 9 * made.font / len(index))
            )
            for name, marker, face in (("saturated", "X", made.theme.alarm), ("zero", "o", "none")):
                at = fate == name
                axes.plot(
                    index[at], error[at], marker, ms=0.55 * made.font, mfc=face, mec=made.theme.alarm, ls="",
                    label=name, zorder=4,
                )  # fmt: skip
            axes.axhline(0, color=made.theme.soft, lw=0.8)
            axes.set_ylim(-limit, limit)
            axes.set_title(_heading(data, group), loc="left", fontsize=made.font, pad=0.2 * made.font)
            axes.locator_params(axis="y", nbins=3)
            axes.set_ylabel("error")
            tidy(axes)
        axes.set_xlabel(f"index, in blocks of {fmt.block_size}   (x: saturated, o: became 0)")
        return made.finish(title, _title(data, fmt), above=True)


def _agreeing(data: dict[str, Any]) -> list[list[int]]:
    """Return the rules, those together that make the same of all numbers, with the same scale."""
    groups: dict[bytes, list[int]] = {}
    for k, values in enumerate(data["values"]):
        groups.setdefault(values.tobytes() + data["scale"][k].tobytes(), []).append(k)
    return list(groups.values())


def _title(data: dict[str, Any], fmt: BlockFormat) -> str:
    errors = data["relative_error"]
    if not np.isfinite(errors).any():
        return f"{len(data['x'])} numbers in {fmt}: lost by every rule"
    best, worst = int(np.nanargmin(errors)), int(np.nanargmax(errors))
    text = f"{len(data['x'])} numbers in {fmt}: error {errors[best]:.2%} by {data['rule'][best]}"
    return text if errors[best] == errors[worst] else f"{text}, {errors[worst]:.2%} by {data['rule'][worst]}"


def _heading(data: dict[str, Any], group: list[int]) -> str:
    k = group[0]
    names = " = ".join(data["rule"][other] for other in group)
    parts = [names, f"scale {data['scale'][k]:.4g}", f"error {data['relative_error'][k]:.2%}"]
    for fate, words in (("saturated", "saturated"), ("zero", "became 0"), ("nan", "lost")):
        count = int(np.count_nonzero(data["fate"][k] == fate))
        if count:
            parts.append(f"{count} {words}")
    return "   ".join(parts)
