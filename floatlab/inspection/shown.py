"""How does a report of tensors read? Ten lines: what it is of, the first tensors, all together, and what to do.

In the column of a format stands the share that is lost without scaling (or with the first scaling that was asked for)
and the SQNR in decibels.
"""

from __future__ import annotations

import html
import math
from collections import Counter
from typing import Protocol

from floatlab.formats import aliases, get_format
from floatlab.inspection.outcomes import LOST, SQNR, Outcome, TensorReport
from floatlab.system.html import Raw, table

__all__ = ["as_html", "as_text"]

_SHORTEST_NAME = 12
# The name of a tensor may be longer than a page is wide: it is broken, so that its numbers stand beside it.
_NAME = '<div style="min-width:9em;white-space:normal;overflow-wrap:anywhere">{}</div>'
Row = tuple[str, ...]
# Where numbers do not all have one factor: who does.
_SHARED = {"channel": "per channel", "tile128": "per 128", "mx32": "MX per 32", "nv16": "NV per 16"}


class Shown(Protocol):
    """What a report has, so that it can be shown."""

    @property
    def tensors(self) -> tuple[TensorReport, ...]: ...
    @property
    def formats(self) -> tuple[str, ...]: ...
    @property
    def scaling(self) -> tuple[str, ...]: ...
    @property
    def outcomes(self) -> list[Outcome]: ...
    def recommend(self) -> Outcome | None: ...


def as_text(report: Shown, width: int, rows: int) -> str:
    """Return the report as text of about so many columns, with so many tensors."""
    head, body = _cells(report, rows)
    widths = _widths(head, body)
    if width - sum(widths[1:]) - 2 * len(widths[1:]) < _SHORTEST_NAME:  # then without the numbers' column
        head, body = (head[0], *head[2:]), [(row[0], *row[2:]) for row in body]
        widths = _widths(head, body)
    widths[0] = max(_SHORTEST_NAME, min(widths[0], width - sum(widths[1:]) - 2 * len(widths[1:])))
    lines = []
    for name, *rest in (head, *body):
        cells = [cell.rjust(size) for cell, size in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([_shortened(name, widths[0]).ljust(widths[0]), *cells]).rstrip())
    return "\n".join([_title(report), *lines, _advice(report)])


def _widths(head: Row, body: list[Row]) -> list[int]:
    return [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]


def as_html(report: Shown, rows: int = 20) -> Raw:
    """Return the report as a table for a notebook."""
    head, body = _cells(report, rows)
    broken = [(Raw(_NAME.format(html.escape(name))), *cells) for name, *cells in body]
    return table(_title(report), broken, head=head, note=_advice(report))


def _title(report: Shown) -> str:
    kinds = Counter(tensor.dtype for tensor in report.tensors)
    numbers = sum(tensor.elements for tensor in report.tensors)
    measured = sum(tensor.measured for tensor in report.tensors if tensor.outcomes)
    of_floats = sum(tensor.elements for tensor in report.tensors if tensor.outcomes)
    count = f"{len(report.tensors)} tensor{'s' * (len(report.tensors) != 1)}"
    parts = [f"{count}, {numbers:,} numbers ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())})"]
    if measured < of_floats:
        parts.append(f"a sample of {measured:,}")
    parts.append(f"lost, and SQNR in dB, with scaling: {report.scaling[0]}")
    return "; ".join(parts)


def _cells(report: Shown, rows: int) -> tuple[Row, list[Row]]:
    head = ("tensor", "numbers", *map(_short, report.formats), "recommended")
    body = [_row(report, tensor) for tensor in report.tensors[:rows]]
    left = len(report.tensors) - rows
    if left > 0:
        body.append((f"... {left} more", *("" for _ in head[1:])))
    if len(report.tensors) > 1:
        together = [_together(report, fmt) for fmt in report.formats]
        size = sum(tensor.elements for tensor in report.tensors)
        chosen = report.recommend()
        body.append(("all", f"{size:,}", *together, _chosen(chosen, "factors")))
    return head, body


def _row(report: Shown, tensor: TensorReport) -> Row:
    found = {o.format: o for o in reversed(tensor.outcomes) if o.scaling == report.scaling[0]}
    cells = [_cell(found.get(fmt)) for fmt in report.formats]
    odd = [f"{n:,} {what}" for n, what in ((tensor.nans, "NaN"), (tensor.infinities, "inf")) if n]
    words = [_chosen(tensor.recommend()) if tensor.outcomes else tensor.note, *odd]
    return (tensor.name or "(array)", f"{tensor.elements:,}", *cells, ", ".join(words))


def _cell(outcome: Outcome | None) -> str:
    if outcome is None or not outcome.nonzero:
        return "-"
    return f"{_percent(outcome.share('lost'))} {_decibels(outcome.sqnr)}"


def _together(report: Shown, fmt: str) -> str:
    """Return what all tensors together lose, and the lowest SQNR."""
    found = [o for o in report.outcomes if o.format == fmt and o.scaling == report.scaling[0] and o.nonzero]
    if not found:
        return "-"
    lost = sum(o.underflow + o.overflow for o in found) / sum(o.nonzero for o in found)
    return f"{_percent(lost)} {_decibels(min(o.sqnr for o in found))}"


def _short(spec: str) -> str:
    """Return the usual short name of a format: "fp8_e4m3" for float8_e4m3fn."""
    return min((spec, *aliases(get_format(spec))[:1]), key=len)


def _chosen(outcome: Outcome | None, factor: str = "") -> str:
    if outcome is None:
        return "none of them"
    name = _short(outcome.format)
    if outcome.scale is None:
        return f"{name}, {_SHARED[outcome.scaling]}"
    if outcome.scaling == "none":
        return name
    return f"{name} × {factor or _factor(outcome.scale or 1.0)}"


def _factor(scale: float) -> str:
    fraction, exponent = math.frexp(scale)
    return f"2^{exponent - 1}" if fraction == 0.5 else f"{scale:.4g}"


def _advice(report: Shown) -> str:
    rule = f"at most {LOST:.1%} lost, at least {SQNR:g} dB"
    chosen = report.recommend()
    if chosen is None:
        return f"Recommended: none of these for all tensors ({rule})."
    how = {
        "none": "without scaling",
        "tensor": "with a power of two for each tensor",
        "tensor_real": "with a factor for each tensor",
        "channel": "with a power of two for each channel",
        "tile128": "with a float32 for each 128 numbers",
        "mx32": "with a power of two for each 32 numbers (MX)",
        "nv16": "with an e4m3 scale for each 16 numbers (NVFP4)",
    }
    return f"Recommended: {_short(chosen.format)} {how[chosen.scaling]}, the narrowest with {rule}."


def _percent(share: float) -> str:
    """Write a share such that neither a few nor all but a few read as none or all.

    >>> _percent(0.0), _percent(0.0001), _percent(0.625), _percent(0.9999)
    ('0%', '<0.1%', '62.5%', '>99.9%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    return ">99.9%" if share >= 0.9995 else f"{100 * share:.1f}%"


def _decibels(sqnr: float) -> str:
    return "exact" if sqnr == math.inf else f"{sqnr:.0f}"


def _shortened(name: str, width: int) -> str:
    """Leave out the middle of a name that is too long.

    >>> _shortened("model.layers.17.weight", 15)
    'model.…7.weight'
    """
    if len(name) <= width:
        return name
    head = (width - 1) // 2 - 1
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
