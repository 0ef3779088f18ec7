"""How does a log read? As a table of layers and parameters: in plain text, with rich, or live while it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from floatlab.system.html import Raw, table
from floatlab.system.terminal import make_console
from floatlab.telemetry.counts import Counts
from floatlab.telemetry.records import Records

__all__ = ["as_html", "as_text", "make_table", "show"]

#: "made here": the share of zeros that rounding made of other numbers.
_LAYERS = (
    "layer",
    "phase",
    "values",
    "zeros",
    "made here",
    "overflows",
    "saturated",
    "inf",
    "NaN",
    "magnitudes",
    "scales",
)
_PARAMETERS = ("parameter", "format", "weights", "updates lost", "never moved")
_LOUD = {"made here", "overflows", "saturated", "inf", "NaN", "updates lost", "never moved"}
Row = tuple[str, ...]


def _layer_rows(log: Records, step: int | None) -> list[Row]:
    groups: dict[tuple[str, str], Counts] = {}
    for record in log.operations:
        if step is None or record.step == step:
            # Of elements over their scales: other magnitudes than those of results.
            key = (record.layer, f"{record.phase} casts" if record.block_format else record.phase)
            groups[key] = groups.get(key, Counts()) + record
    layers = {layer: i for i, layer in enumerate(dict.fromkeys(layer for layer, _ in groups))}
    ordered = sorted(groups.items(), key=lambda item: (item[0][1].startswith("backward"), layers[item[0][0]]))
    return [(layer or "(none)", phase, *_cells(c)) for (layer, phase), c in ordered]


def _cells(c: Counts) -> Row:
    shares = (_percent(c.share("zeros")), _percent(c.share("underflows")))
    numbers = (c.overflows, c.saturations, c.infinities, c.nans)
    return (
        f"{c.values:,}",
        *shares,
        *(f"{n:,}" if n else "" for n in numbers),
        _span(c.bins),
        _span(c.scales),
    )


def _span(bins: tuple[tuple[int, int], ...]) -> str:
    """Write from where to where a histogram reaches.

    >>> _span(((-3, 1), (2, 5)))
    '2^-3..2^3'
    """
    return f"2^{bins[0][0]}..2^{bins[-1][0] + 1}" if bins else ""


def _parameter_rows(log: Records, step: int | None) -> list[Row]:
    driven: dict[str, int] = {}
    lost: dict[str, int] = {}
    about: dict[str, tuple[str, int]] = {}
    for u in log.updates:
        if step is None or u.step == step:
            driven[u.parameter] = driven.get(u.parameter, 0) + u.driven
            lost[u.parameter] = lost.get(u.parameter, 0) + u.lost
            fmt = u.format if u.format == u.updated_in else f"{u.format} (master {u.updated_in})"
            about[u.parameter] = (fmt, u.values)
    never = log.stagnated
    return [
        (name, fmt, f"{size:,}", _percent(lost[name] / max(driven[name], 1)), _percent(never.get(name, 0.0)))
        for name, (fmt, size) in about.items()
    ]


def _filled(head: Row, rows: list[Row]) -> tuple[Row, list[Row]]:
    """Leave out the columns in which nothing is written."""
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return tuple(head[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def _percent(share: float) -> str:
    """Write a share such that neither a few nor all but a few read as none or all.

    >>> _percent(0.0), _percent(0.0001), _percent(0.625), _percent(0.9999)
    ('', '<0.1%', '62.5%', '>99.9%')
    """
    if share == 0.0:
        return ""
    if share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1.0 else f"{100 * share:.1f}%"


def as_text(log: Records) -> str:
    """Return both tables and the first happenings as plain text."""
    parts = [_text(_LAYERS, _layer_rows(log, None)), _text(_PARAMETERS, _parameter_rows(log, None))]
    parts.append("\n".join(_remarks(log)))
    return "\n\n".join(part for part in parts if part) or "An empty log: no operation ran while it listened."


def _remarks(log: Records) -> list[str]:
    """Return a line on the steps that a scaler skipped, and one for the first of each fate."""
    skipped = sum(step.skipped is True for step in log.steps)
    lines = [f"{skipped} of {len(log.steps)} steps skipped"] if skipped else []
    return lines + [f"first {fate}: {place}" for fate, place in log.first.items()]


def _text(head: Row, rows: list[Row]) -> str:
    if not rows:
        return ""
    head, rows = _filled(head, rows)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for row in (head, *rows):
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(words + numbers))
    return "\n".join(line.rstrip() for line in lines)


def as_html(log: Records) -> Raw:
    """Return both tables and the first happenings for a notebook."""
    parts = []
    for title, head, rows in (
        (f"Layers, {len(log.steps)} steps", _LAYERS, _layer_rows(log, None)),
        ("Parameters", _PARAMETERS, _parameter_rows(log, None)),
    ):
        if rows:
            names, cells = _filled(head, rows)
            parts.append(table(title, cells, head=names))
    parts += [table("", [], note=remark) for remark in _remarks(log)]
    return (
        Raw("".join(parts)) if parts else table("An empty log", [], note="no operation ran while it listened")
    )


def make_table(log: Records, step: int | None = None) -> Any:
    """Return both tables and the first happenings as one rich object."""
    from rich.console import Group
    from rich.text import Text

    title = "all steps" if step is None else f"step {step}"
    parts: list[Any] = [_rich(_LAYERS, _layer_rows(log, step), title)]
    if rows := _parameter_rows(log, step):
        parts.append(_rich(_PARAMETERS, rows, ""))
    parts += [Text(remark) for remark in _remarks(log)]
    return Group(*parts)


def _rich(head: Row, rows: list[Row], title: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, rows = _filled(head, rows)
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 2 else "right")
    for row in rows:
        cells = zip(head, row, strict=True)
        table.add_row(*(Text(cell, style="bold red" if name in _LOUD else "") for name, cell in cells))
    return table


@contextlib.contextmanager
def show() -> Iterator[Any]:
    """Show a table in the terminal that can be replaced by a newer one."""
    from rich.live import Live

    with Live(auto_refresh=False, console=make_console()) as live:
        yield _Display(live)


class _Display:
    def __init__(self, live: Any) -> None:
        self._live = live

    def update(self, table: Any) -> None:
        """Show `table` in the place of the last one."""
        self._live.update(table, refresh=True)
